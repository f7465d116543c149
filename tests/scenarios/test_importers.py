"""Drafts from corpora. The samples are made up, in the layouts of the corpora; none of their text is here."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from interpreter.errors import ConfigError
from scenarios.commands import add_scenarios
from scenarios.importers.draft import Draft, DraftPerson, DraftTurn, draft_yaml
from scenarios.importers.full_duplex_bench import find_samples, read_sample
from scenarios.importers.mts_dialog import read_mts_dialog
from scenarios.importers.primock57 import find_consultations, read_consultation
from scenarios.importers.webvtt import read_webvtt
from scenarios.plan import plan_of
from scenarios.recordings import scenario_say
from scenarios.scenario_file import SayKind, Scenario
from scenarios.schema import load_scenarios, parse_scenario
from scenarios.timeline import render
from scenarios.units import Duration
from tests.scenarios.test_timeline import say


def loaded(draft: Draft) -> Scenario:
    return parse_scenario(draft_yaml(draft), name=draft.id, folder=Path())


def text_grid(*intervals: tuple[float, float, str]) -> str:
    rows = "".join(f'{start}\n{end}\n"{text}"\n' for start, end, text in intervals)
    end = intervals[-1][1]
    tier = f'"IntervalTier"\n"utterances"\n0\n{end}\n{len(intervals)}\n{rows}'
    return f'"ooTextFile"\n"TextGrid"\n0\n{end}\n<exists>\n1\n{tier}'


def tone(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(round(seconds * 16_000)) / 16_000
    sf.write(path, 0.05 * np.sin(2 * np.pi * 300 * t), 16_000)


@pytest.fixture
def primock57(tmp_path: Path) -> Path:
    folder = tmp_path / "primock57"
    (folder / "transcripts").mkdir(parents=True)
    doctor = text_grid(
        (0, 0.5, ""), (0.5, 2.0, "<UNSURE>Hello</UNSURE>, come in."), (2.0, 4.0, ""), (4.0, 5.0, "<UNIN/>")
    )
    patient = text_grid((0, 1.8, ""), (1.8, 3.0, 'Hi, I said ""ouch"".'), (3.0, 5.0, ""))
    for speaker, grid in (("doctor", doctor), ("patient", patient)):
        name = f"day1_consultation01_{speaker}"
        (folder / "transcripts" / f"{name}.TextGrid").write_text(grid)
        tone(folder / "audio" / f"{name}.wav", 5.0)
    return folder


def test_a_consultation_of_primock57(primock57: Path) -> None:
    (files,) = find_consultations(primock57)
    scenario = loaded(read_consultation(files))
    assert scenario.id == "primock57-day1-consultation01"
    assert scenario.draft
    assert scenario.source.licence == "CC-BY-4.0"
    assert scenario.source.attribution is not None
    assert [(item.by, item.at, item.say) for item in scenario.timeline] == [
        ("doctor", Duration(0.5), {"en": "Hello , come in."}),
        ("patient", Duration(1.8), {"en": 'Hi, I said "ouch".'}),
    ]
    assert scenario.participants["doctor"].role == "clinician"
    assert scenario.participants["listener"].language == "es"
    assert scenario.listeners(scenario.timeline[0]) == ("listener",)


def test_real_overlaps_stay_where_they_were_recorded(primock57: Path) -> None:
    (files,) = find_consultations(primock57)
    scenario = loaded(read_consultation(files))
    tracks = render(plan_of(scenario).timeline, scenario_say(scenario, say))
    spans = {one.utterance.id: one.span for track in tracks.values() for one in track.placed}
    assert spans["u1"].end_s == pytest.approx(2.0)
    assert spans["u2"].start_s == pytest.approx(1.8)


def test_textgrids_without_sound(primock57: Path) -> None:
    (files,) = find_consultations(primock57 / "transcripts")
    (primock57 / "audio" / "day1_consultation01_doctor.wav").unlink()
    with pytest.raises(ConfigError, match=r"expected .*doctor\.wav or .*doctor\.wav, got neither"):
        read_consultation(files)
    scenario = loaded(read_consultation(files, recorded=False))
    assert scenario.participants["doctor"].voice == "f2"
    assert scenario.timeline[1].after is not None
    assert scenario.timeline[1].after.delay == Duration(-0.2)
    files[0].write_text("no TextGrid")
    with pytest.raises(ConfigError, match=r"doctor\.TextGrid: expected a (whole )?TextGrid"):
        read_consultation(files, recorded=False)


CAPTIONS = """\
WEBVTT - a visit

NOTE
00:00:00.000 --> 00:00:09.000
a note that looks like a cue

STYLE
::cue { color: red }

1
00:00:01.000 --> 00:00:02.500 position:10%
<v Dr. Núñez>How <i>are</i> you &amp; yours?</v>

00:02.600 --> 00:03.000
<v Dr. Núñez>Sit down.

01:00:04.000 --> 01:00:05.000
<v.loud Ana>Fine.</v>
<v Dr. Núñez>Good.</v>

00:00:05.500 --> 00:00:06.000
nobody named
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_captions(line_end: str) -> None:
    draft = read_webvtt("\ufeff" + CAPTIONS.replace("\n", line_end), name="visit", licence="CC0-1.0")
    assert [(turn.by, turn.text, turn.start_s, turn.end_s) for turn in draft.turns] == [
        ("Dr. Núñez", "How are you & yours? Sit down.", 1.0, 3.0),
        ("speaker", "nobody named", 5.5, 6.0),
        ("Ana", "Fine.", 3604.0, 3605.0),
        ("Dr. Núñez", "Good.", 3604.0, 3605.0),
    ]
    scenario = loaded(draft)
    assert list(scenario.participants) == ["dr_nunez", "speaker", "ana", "listener"]
    assert scenario.source.licence == "CC0-1.0"
    delays = [item.after.delay.s for item in scenario.timeline[1:] if item.after]
    assert delays == pytest.approx([2.5, 30.0, -1.0]), "as in the captions, within what other voices allow"


def test_what_are_no_captions() -> None:
    with pytest.raises(ConfigError, match="expected WEBVTT in the first line"):
        read_webvtt("1\n00:01.000 --> 00:02.000\nHi", name="x", licence="CC0-1.0")
    with pytest.raises(ConfigError, match="expected cues, got none"):
        read_webvtt("WEBVTT\n\n00:61.000 --> 00:02.000\nHi", name="x", licence="CC0-1.0")


ROWS = (
    "ID,section_header,section_text,dialogue\r\n"
    '7,ALLERGY,None.,"Doctor: Any allergies?\r\nPatient: No,\r\n""none"" at all.\r\nGuest_family: He: never."\r\n'
    '8,PASTSURGICAL,Knee.,"Doctor: Surgery?  \nPatient: My knee: twice."\r\n'
)


def test_rows_of_mts_dialog() -> None:
    first, second = read_mts_dialog(ROWS, name="rows.csv")
    assert [(turn.by, turn.text) for turn in first.turns] == [
        ("Doctor", "Any allergies?"),
        ("Patient", 'No, "none" at all.'),
        ("Guest_family", "He: never."),
    ]
    scenario = loaded(first)
    assert scenario.id == "mts-dialog-allergy-7"
    assert [item.by for item in scenario.timeline] == ["doctor", "patient", "guest_family"]
    assert scenario.timeline[1].after is not None
    assert scenario.timeline[1].after.of == "u1"
    assert loaded(second).timeline[1].say == {"en": "My knee: twice."}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ID,section_header\n1,ALLERGY\n", "got no dialogue"),
        ("", "got no ID"),
        ("ID,section_header,dialogue\n1,ALLERGY,nobody speaks\n", "line 2: expected a dialogue"),
    ],
)
def test_what_is_no_mts_dialog(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_mts_dialog(text, name="rows.csv")


def sample(folder: Path, **files: object) -> Path:
    tone(folder / "input.wav", 6.0)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


WORDS = {
    "text": "Well I think so",
    "chunks": [
        {"text": "Well", "timestamp": [0.5, 0.8]},
        {"text": "I think so", "timestamp": [1.6, 2.4]},
    ],
}


def test_a_pause_of_full_duplex_bench(tmp_path: Path) -> None:
    folder = sample(
        tmp_path / "candor_pause_handling" / "12",
        transcription=WORDS,
        pause=[{"text": "[PAUSE]", "timestamp": [0.8, 1.6]}],
    )
    assert find_samples(tmp_path) == (folder,)
    scenario = loaded(read_sample(folder))
    (item,) = scenario.timeline
    assert scenario.id == "fdb-candor-pause-handling-12"
    assert scenario.source.licence == "CC-BY-NC-4.0"
    assert item.say == {"en": "Well I think so"}
    assert (item.at, item.cut and item.cut.end) == (Duration(0.5), Duration(2.4))
    track = render(plan_of(scenario).timeline, scenario_say(scenario, say))["user"]
    assert [(word.text, round(word.start_s, 3)) for word in track.words] == [
        ("Well", 0.5),
        ("I think so", 1.6),
    ]


def test_an_interruption_of_full_duplex_bench(tmp_path: Path) -> None:
    event = {"context": "Tell me about tea.", "interrupt": "No, coffee.", "timestamp": [4.0, 7.5]}
    folder = sample(tmp_path / "synthetic_user_interruption" / "7", interrupt=[event])
    scenario = loaded(read_sample(folder))
    assert scenario.source.licence == "MIT"
    first, second = scenario.timeline
    assert first.say == {"en": "Tell me about tea."}
    assert second.cut is not None
    assert (second.at, second.cut.end) == (Duration(4.0), Duration(6.0)), "no later than the recording's end"


def test_a_backchannel_of_full_duplex_bench_1_5(tmp_path: Path) -> None:
    event = {"context_text": "Tell me.", "current_turn_text": "Mm-hm.", "timestamps": [3.0, 3.5]}
    folder = sample(tmp_path / "user_backchannel" / "41", metadata=event)
    assert [item.kind for item in loaded(read_sample(folder)).timeline] == [SayKind.TURN, SayKind.BACKCHANNEL]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"metadata": []},
        {"metadata": {"context_text": "a", "current_turn_text": "b"}},
        {"metadata": {"context_text": "a", "current_turn_text": "b", "timestamps": [3, 2]}},
        {"metadata": {"context_text": "a", "current_turn_text": "b", "timestamps": [3]}},
        {"interrupt": [{"context": 1, "interrupt": "b", "timestamp": [1, 2]}]},
        {"transcription": {"text": "", "chunks": []}},
        {"transcription": {"text": ""}},
    ],
)
def test_what_is_no_sample(tmp_path: Path, files: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        draft_yaml(read_sample(sample(tmp_path / "task" / "1", **files)))


names = st.text(min_size=1, max_size=30)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(names, st.text(max_size=80), st.floats(0, 3600), st.sampled_from(["turn", "backchannel"])),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_was_said_by_whomever_makes_a_draft_that_loads(
    turns: list[tuple[str, str, float, str]],
) -> None:
    draft = Draft(
        id=turns[0][1],
        title="something",
        origin="somewhere",
        licence="CC0-1.0",
        people=tuple(DraftPerson(name=name) for name in dict.fromkeys(turn[0] for turn in turns)),
        turns=tuple(
            DraftTurn(by=by, text=text, start_s=start_s, end_s=start_s + 1, kind=kind)  # type: ignore[arg-type]
            for by, text, start_s, kind in turns
        ),
    )
    wanted = [" ".join("".join(c if c.isprintable() else " " for c in turn[1]).split()) for turn in turns]
    wanted = [text for text in wanted if text]
    if not wanted:
        with pytest.raises(ConfigError, match="expected something said"):
            draft_yaml(draft)
    else:
        assert [item.say for item in loaded(draft).timeline] == [{"en": text} for text in wanted]


def test_long_turns_become_several_utterances() -> None:
    sentence = "This is one of a great many sentences. "
    draft = Draft(
        id="long",
        title="long",
        origin="long",
        licence="CC0-1.0",
        people=(DraftPerson(name="Doctor"),),
        turns=(DraftTurn(by="Doctor", text=sentence * 120 + "x" * 5000),),
    )
    texts = [(item.say or {})["en"] for item in loaded(draft).timeline]
    assert len(texts) == 6
    assert all(text.endswith(".") for text in texts[:2])
    assert "".join(texts).replace(" ", "") == (sentence * 120 + "x" * 5000).replace(" ", "")


@pytest.mark.slow
def test_the_command_line(primock57: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_scenarios(parser.add_subparsers())

    def run(*words: str) -> str:
        arguments = parser.parse_args(["scenarios", *words])
        assert arguments.execute(arguments) == 0
        return capsys.readouterr().out

    drafts = tmp_path / "drafts"
    assert run("import", "primock57", str(primock57), "--out", str(drafts)) == f"1 drafts in {drafts}\n"
    (tmp_path / "visit.vtt").write_text(CAPTIONS, encoding="utf-8")
    run("import", "webvtt", str(tmp_path / "visit.vtt"), "--out", str(drafts), "--licence", "CC0-1.0")
    (tmp_path / "rows.csv").write_text(ROWS)
    run("import", "mts-dialog", str(tmp_path / "rows.csv"), "--out", str(drafts))
    sample(tmp_path / "fdb" / "icc_backchannel" / "3", transcription=WORDS)
    run("import", "full-duplex-bench", str(tmp_path / "fdb"), "--out", str(drafts), "--language", "es")
    assert len(load_scenarios([drafts])) == 5
    assert run("check", str(drafts)) == "5 scenarios are right, 5 of them drafts\n"
    assert "mts-dialog-allergy-7" in run("list", str(drafts))
    assert "never_yields" in run("list")
    with pytest.raises(ConfigError, match="which a draft would replace"):
        run("import", "mts-dialog", str(tmp_path / "rows.csv"), "--out", str(drafts))
    with pytest.raises(ConfigError, match="expected something to import"):
        run("import", "full-duplex-bench", str(primock57), "--out", str(drafts))
    with pytest.raises(ConfigError, match="expected a readable file"):
        run("import", "webvtt", str(tmp_path / "none.vtt"), "--out", str(drafts))
