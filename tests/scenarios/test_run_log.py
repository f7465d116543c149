from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from interpreter.facts_guard.facts import FactKind
from interpreter.floor.floor import FloorEventKind
from interpreter.record.transcript import Mark
from scenarios.errors import RunLogError
from scenarios.run_files import read_run, read_sound, write_run
from scenarios.run_log import (
    Announcement,
    ExpectedFact,
    FloorMoment,
    GivenCommand,
    HeardWord,
    Person,
    Rendering,
    RunLog,
    SaidUtterance,
    SpokenWord,
    Unit,
    from_json,
    mix_sound,
    original_sound,
    rendering_sound,
    to_json,
)
from scenarios.timeline import Kind
from scenarios.voicing import Span

PCM = np.linspace(-1.0, 1.0, 4800, dtype=np.float32)


def whole_run() -> RunLog:
    """A run in which every field has something in it."""
    return RunLog(
        scenario_id="dose-01",
        duration_s=12.0,
        people=(Person(id="doctor", language="en", spurts=(Span(start_s=0.5, end_s=1.5),)),),
        utterances=(
            SaidUtterance(
                id="d1",
                speaker_id="doctor",
                kind=Kind.TURN,
                language="en",
                text="Take two.",
                span=Span(start_s=0.5, end_s=1.5),
                words=(SpokenWord(text="Take", start_s=0.5, end_s=1.0),),
                references={"es": "Tome dos."},
                facts=(ExpectedFact(kind=FactKind.NUMBER, value="2"),),
                units=(Unit(id="u", phrases={"es": ("dos",)}, wrong={"es": ("doce",)}),),
            ),
        ),
        renderings=(
            Rendering(
                speaker_id="doctor",
                language_in="en",
                language_out="es",
                listener_ids=("patient",),
                words=(
                    HeardWord(
                        text="Tome",
                        start_s=2.0,
                        end_s=2.3,
                        utterance_id="d1",
                        source_word=0,
                        as_self=False,
                        marks=Mark.CUT | Mark.UNSURE,
                    ),
                ),
                spurts=(Span(start_s=2.0, end_s=2.3),),
                word_source="asr: x",
            ),
        ),
        floor=(
            FloorMoment(
                kind=FloorEventKind.CUT,
                at_s=2.2,
                speaker_id="doctor",
                language_out="es",
                by="patient",
                onset_s=2.1,
                text="ñ",
            ),
        ),
        announcements=(
            Announcement(
                listener_id="patient", language="es", text="Hola", span=Span(start_s=0.0, end_s=1.0)
            ),
        ),
        commands=(GivenCommand(name="pause", by="doctor", at_s=3.0, refused="not now"),),
        counts={"ticks": 150},
    )


def same(one: RunLog, other: RunLog) -> bool:
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(RunLog) if f.name != "sounds")


def test_a_run_comes_back_from_its_text() -> None:
    assert same(from_json(to_json(whole_run())), whole_run())


def test_the_text_of_a_run_is_the_same_bytes_and_sorted() -> None:
    text = to_json(whole_run())
    assert to_json(from_json(text)) == text
    assert text == json.dumps(json.loads(text), ensure_ascii=False, sort_keys=True, indent=1) + "\n"


def test_the_same_time_is_the_same_text() -> None:
    run = whole_run()
    one = replace(
        run, duration_s=0.1 + 0.2, people=(replace(run.people[0], spurts=(Span(start_s=-0.0, end_s=1.0),)),)
    )
    other = replace(
        run, duration_s=0.3, people=(replace(run.people[0], spurts=(Span(start_s=0.0, end_s=1.0),)),)
    )
    assert to_json(one) == to_json(other)


@given(st.floats(-1e6, 1e6), st.text(max_size=20))
def test_any_time_and_text_survive(at_s: float, text: str) -> None:
    moment = FloorMoment(
        kind=FloorEventKind.LOST,
        at_s=at_s,
        speaker_id="d",
        language_out="es",
        text=text.encode("utf-8", "ignore").decode(),
    )
    run = replace(whole_run(), floor=(moment,))
    back = from_json(to_json(run))
    assert back.floor is not None
    assert back.floor[0].at_s == pytest.approx(at_s, abs=1e-6)
    assert back.floor[0].text == moment.text
    assert to_json(back) == to_json(run)


def test_a_run_in_a_folder_keeps_its_samples(tmp_path: Path) -> None:
    sounds = {original_sound("../doctor"): PCM, mix_sound("a/b"): -PCM, rendering_sound("ñ", "es"): PCM[:0]}
    run = replace(whole_run(), sounds=sounds)
    write_run(tmp_path / "run", run)
    back = read_run(tmp_path / "run")
    assert back.sounds.keys() == sounds.keys()
    for name, pcm in sounds.items():
        np.testing.assert_array_equal(back.sounds[name], pcm)
    assert same(back, run)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_writing_a_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    run = replace(whole_run(), sounds={mix_sound("doctor"): PCM})
    write_run(tmp_path, run)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    write_run(tmp_path, read_run(tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert len(before) == 2


def test_sounds_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    write_run(tmp_path, replace(whole_run(), sounds={mix_sound("doctor"): PCM, mix_sound("nurse"): PCM}))
    write_run(tmp_path, replace(whole_run(), sounds={mix_sound("doctor"): PCM}))
    assert list(read_run(tmp_path).sounds) == [mix_sound("doctor")]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 44_100, 48_000])
def test_a_files_rate_does_not_shift_its_times(tmp_path: Path, rate_hz: int) -> None:
    samples = np.zeros((3 * rate_hz, 2), dtype=np.float32)
    tone = 0.5 * np.sin(2 * np.pi * 500 * np.arange(rate_hz) / rate_hz)
    samples[rate_hz : 2 * rate_hz] = tone[:, np.newaxis]  # from 1 s to 2 s
    soundfile.write(tmp_path / "a.wav", samples, rate_hz)
    pcm = read_sound(tmp_path / "a.wav")
    loud = np.flatnonzero(np.abs(pcm) > 0.1)
    assert len(pcm) == pytest.approx(3 * 24_000, abs=2)
    assert loud[0] / 24_000 == pytest.approx(1.0, abs=0.002)
    assert loud[-1] / 24_000 == pytest.approx(2.0, abs=0.002)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"schema": "interp-run/9"}, "expected the schema interp-run/1, got 'interp-run/9'"),
        ({"duration_s": "long"}, "RunLog.duration_s: expected float, got str 'long'"),
        ({"duration_s": True}, "RunLog.duration_s: expected float, got bool True"),
        ({"volume": 3}, "RunLog: expected one of .*, got 'volume'"),
        ({"people": [{"id": "a", "language": "en"}]}, r"RunLog.people\[0\]: expected spurts, got none"),
        ({"people": {"id": "a"}}, "RunLog.people: expected list, got dict"),
        ({"counts": {"ticks": 1.5}}, "RunLog.counts.ticks: expected int, got float 1.5"),
        ({"people": None}, "RunLog.people: expected list, got null"),
    ],
)
def test_what_is_no_run_is_an_error_that_says_where(change: dict[str, object], expected: str) -> None:
    text = json.dumps({**json.loads(to_json(whole_run())), **change})
    with pytest.raises(RunLogError, match=expected):
        from_json(text)


def test_an_unknown_member_is_an_error_that_says_what_is_known() -> None:
    text = to_json(whole_run())
    with pytest.raises(
        RunLogError, match=r"RunLog.utterances\[0\].kind: expected turn, backchannel, .* got 'shout'"
    ):
        from_json(text.replace('"kind": "turn"', '"kind": "shout"'))
    with pytest.raises(RunLogError, match=r"words\[0\].marks: expected .*CUT.*, got \['BOLD'\]"):
        from_json(json.dumps(_with_marks(json.loads(text), ["BOLD"])))


def _with_marks(whole: dict[str, list[dict[str, list[dict[str, object]]]]], marks: list[str]) -> object:
    whole["renderings"][0]["words"][0]["marks"] = marks
    return whole


def test_no_run_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(RunLogError, match="expected a run at .*run.json"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RunLogError, match="run.json: expected an object, got list"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunLogError, match="run.json: expected JSON"):
        read_run(tmp_path)


def test_what_is_no_sound_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("noise")
    with pytest.raises(RunLogError, match="expected a sound at"):
        read_sound(tmp_path / "a.wav")


def test_sounds_of_a_folder_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    write_run(tmp_path, replace(whole_run(), sounds={mix_sound("doctor"): PCM, mix_sound("patient"): PCM}))
    run = read_run(tmp_path)
    (tmp_path / "sounds" / "mix%2Fpatient.wav").write_text("noise")
    assert len(run.sounds) == 2
    assert run.sounds[mix_sound("doctor")] is not run.sounds[mix_sound("doctor")], "nobody keeps it"
    assert run.sounds.get(original_sound("doctor")) is None
    with pytest.raises(RunLogError, match="expected a sound at"):
        run.sounds[mix_sound("patient")]


def test_lookups() -> None:
    run = whole_run()
    assert run.rendering("doctor", "es") is run.renderings[0]
    assert run.rendering("doctor", "fr") is None
    assert run.said_by("patient") == ()
