"""What a script makes a session say, and when."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm, Session, StepFlag, StepOutput, TickGrid
from duplex_model.errors import SessionFailed, SpecError, Unsupported
from duplex_model.script import read_script
from duplex_model.scripted import MAX_WAITING, NOTICE_HZ, ScriptedEngine, build
from duplex_model.sound import FADE_SAMPLES, level_dbfs, tone
from tests.duplex_model.engines import failure_of, hum, opened, prompt, silence

GRID = TickGrid(origin_s=0.0)
TONE = {"hz": 500, "duration_s": 0.24}
SAID_WAV = {"directions": {"*": {"cues": [{"at_frame": 0, "sound": {"wav": "said.wav"}}]}}}


def session_of(*cues: dict[str, object], **more: object) -> Session:
    script = read_script({"directions": {"*": {"cues": list(cues)}}, **more})
    return opened(ScriptedEngine(script, grid=GRID))


def heard(session: Session, pattern: str) -> list[StepOutput]:
    """Feeds a frame of speech for each `x` and of silence for each `.`."""
    return [session.feed(hum(n) if mark == "x" else silence()).result(0) for n, mark in enumerate(pattern)]


def sounding(outputs: list[StepOutput]) -> str:
    return "".join("#" if output.pcm.any() else "-" for output in outputs)


def pitch_hz(pcm: Pcm) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE_HZ / len(pcm)


@pytest.mark.parametrize(
    ("trigger", "pattern", "expected"),
    [
        ({"at_frame": 0}, "....", "###-"),
        ({"at_frame": 2}, "xxxxxx", "--###-"),
        ({"after_speech_s": 0.0}, "..xxxxxx", "--###---"),
        ({"after_speech_s": 0.24}, "..xxxxxxx", "----###--"),
        ({"after_speech_s": 0.24}, "..x.......", "----###---"),
        ({"on_pause_s": 0.16}, "xx..........", "---###------"),
        ({"on_pause_s": 0.16}, "xx.x...x.....", "-----###-----"),
        ({"on_pause_s": 0.08}, "x......x......", "-###----###---"),
        ({"after_speech_s": 0.0}, "x.....x.....", "###---###---"),
        ({"after_speech_s": 0.0}, "x....x.....", "###--------"),
        ({"after_speech_s": 0.0, "spurt": 1}, "x.....x.....x...", "------###-------"),
        ({"on_pause_s": 0.08, "spurt": 0}, "x......x......", "-###----------"),
        ({"on_pause_s": 0.08}, "..........", "----------"),
    ],
)  # fmt: skip
def test_cues_are_said_when_their_trigger_is_met(
    trigger: dict[str, object], pattern: str, expected: str
) -> None:
    gap = {"spurt_gap_s": 0.4}  # five silent frames part two spurts, four do not
    assert sounding(heard(session_of({**trigger, "sound": TONE}, **gap), pattern)) == expected


def test_levels_between_the_thresholds_keep_speech_going_and_do_not_begin_it() -> None:
    def feed(session: Session, levels_dbfs: list[float]) -> str:
        amplitudes = [10 ** ((level + 3.01) / 20) for level in levels_dbfs]
        frames = [hum(0, amplitude=amplitude) for amplitude in amplitudes]
        return sounding([session.feed(frame).result(0) for frame in frames])

    cue = {"on_pause_s": 0.08, "sound": {"hz": 500, "duration_s": 0.08}}
    assert feed(session_of(cue), [-50, -50, -60]) == "---"
    assert feed(session_of(cue), [-40, -50, -50, -60]) == "---#"


def test_a_tone_has_its_pitch_level_and_length_and_no_clicks() -> None:
    cue = {"at_frame": 0, "sound": {"hz": 437.5, "peak_dbfs": -6.0, "duration_s": 0.2}}
    pcm = np.concatenate([output.pcm for output in heard(session_of(cue), "....")])
    assert pitch_hz(pcm[:4800]) == pytest.approx(437.5, abs=6)
    assert np.abs(pcm).max() == pytest.approx(10 ** (-6 / 20), rel=0.001)
    assert np.flatnonzero(pcm)[-1] < 0.2 * SAMPLE_RATE_HZ
    steepest = 2 * np.pi * 437.5 / SAMPLE_RATE_HZ * 10 ** (-6 / 20)
    assert np.abs(np.diff(pcm)).max() <= steepest * 1.05


def test_text_comes_in_its_frames_and_without_sound_too() -> None:
    pieces = [{"text": " one", "at_s": 0.0}, {"text": " two", "at_s": 0.24}, {"text": "fold", "at_s": 0.3}]
    outputs = heard(session_of({"at_frame": 1, "text": pieces}), "......")
    assert [output.text for output in outputs] == ["", " one", "", "", " twofold", ""]
    assert sounding(outputs) == "------"


def test_a_cue_waits_for_the_one_being_said() -> None:
    first = {"at_frame": 0, "sound": {"hz": 500, "duration_s": 0.24}, "text": [{"text": " a"}]}
    second = {"at_frame": 1, "sound": {"hz": 1000, "duration_s": 0.16}, "text": [{"text": " b"}]}
    outputs = heard(session_of(first, second), "......")
    assert [output.text for output in outputs] == [" a", "", "", " b", "", ""]
    assert pitch_hz(outputs[3].pcm) == pytest.approx(1000, abs=13)


def test_cues_beyond_those_that_may_wait_are_dropped_so_that_delay_stays_bounded() -> None:
    cues = [{"at_frame": n, "text": [{"text": f" {n}"}, {"text": "", "at_s": 8.0}]} for n in range(60)]
    outputs = heard(session_of(*cues), "." * 3000)
    assert "".join(output.text for output in outputs).split() == [str(n) for n in range(MAX_WAITING + 1)]


def test_wav_files_are_said_sample_by_sample(tmp_path: Path) -> None:
    samples = np.arange(-3000, 3000, dtype="<i2")
    write_wav(tmp_path / "said.wav", samples)
    script = read_script(
        {"directions": {"*": {"cues": [{"at_frame": 0, "sound": {"wav": "said.wav"}}]}}}, folder=tmp_path
    )
    pcm = np.concatenate([output.pcm for output in heard(opened(ScriptedEngine(script, grid=GRID)), "....")])
    np.testing.assert_array_equal(pcm[:6000], samples / np.float32(32768))
    assert not pcm[6000:].any()


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())


@pytest.mark.parametrize("wrong", [{"rate_hz": 48_000}, {"channels": 2}])
def test_wav_files_of_another_format_are_refused(tmp_path: Path, wrong: dict[str, int]) -> None:
    write_wav(tmp_path / "said.wav", np.zeros(100, "<i2"), **wrong)
    script = read_script(
        {"directions": {"*": {"cues": [{"at_frame": 0, "sound": {"wav": "said.wav"}}]}}}, folder=tmp_path
    )
    with pytest.raises(SpecError, match="expected 24000 Hz, 1 channel, 16 bit"):
        ScriptedEngine(script, grid=GRID)


def test_an_interruption_fades_within_20_ms_and_drops_what_waits() -> None:
    long = {"at_frame": 0, "sound": {"hz": 500, "duration_s": 2.0}, "text": [{"text": " late", "at_s": 0.4}]}
    waiting = {"at_frame": 1, "sound": TONE}
    session = session_of(long, waiting)
    before = heard(session, "...")
    session.interrupt()
    after = heard(session, "....")
    whole = tone(500, -20.0, 2.0)
    np.testing.assert_array_equal(
        np.concatenate([output.pcm for output in before]), whole[: 3 * FRAME_SAMPLES]
    )
    fading = after[0].pcm[:FADE_SAMPLES]
    full = whole[3 * FRAME_SAMPLES : 3 * FRAME_SAMPLES + FADE_SAMPLES]
    assert (np.abs(fading) <= np.abs(full)).all()
    assert fading[1] == pytest.approx(full[1], rel=0.01)
    assert np.abs(fading[-10:]).max() < 0.001
    assert not after[0].pcm[FADE_SAMPLES:].any()
    assert sounding(after) == "#---"
    assert "".join(output.text for output in after) == ""


def test_a_notice_waits_for_the_rendering_in_progress_and_goes_before_those_that_wait() -> None:
    session = session_of(
        {"at_frame": 0, "sound": TONE}, {"at_frame": 1, "sound": TONE, "text": [{"text": " next"}]}
    )
    heard(session, "..")
    first, second = session.say("first"), session.say("second")
    outputs = heard(session, "." * 13)
    own = [bool(output.flags & StepFlag.AS_SELF) for output in outputs]
    assert own == [False] + [True] * 8 + [False] * 4
    assert [output.text for output in outputs if output.text] == [" first", " second", " next"]
    assert first.done()
    assert second.done()
    assert pitch_hz(outputs[2].pcm) == pytest.approx(NOTICE_HZ, abs=13)


def test_a_notice_now_cuts_the_rendering_in_progress() -> None:
    session = session_of({"at_frame": 0, "sound": {"hz": 300, "duration_s": 4.0}})
    heard(session, "..")
    spoken = session.say("now", now=True)
    outputs = heard(session, ".....")
    assert [bool(output.flags & StepFlag.AS_SELF) for output in outputs] == [True] * 4 + [False]
    assert spoken.done()
    assert sounding(outputs) == "####-"
    assert level_dbfs(outputs[0].pcm[FADE_SAMPLES:]) == pytest.approx(-23.0, abs=0.5)


def test_interrupted_notices_are_over() -> None:
    session = session_of()
    spoken = [session.say("one two three"), session.say("four")]
    heard(session, ".")
    session.interrupt()
    assert all(notice.done() for notice in spoken)
    assert sounding(heard(session, "...")) == "#--"


def test_too_many_notices_are_refused() -> None:
    session = session_of()
    for _ in range(MAX_WAITING + 1):
        session.say("again")
    assert isinstance(failure_of(lambda: session.say("again")), Unsupported)


def test_each_direction_follows_its_own_part() -> None:
    part = {"cues": [{"at_frame": 0, "text": [{"text": " named"}]}]}
    rest = {"cues": [{"at_frame": 0, "text": [{"text": " rest"}]}]}
    engine = ScriptedEngine(read_script({"directions": {"es>en": part, "*": rest}}), grid=GRID)
    assert opened(engine, prompt("es", "en")).feed(silence()).result(0).text == " named"
    assert opened(engine, prompt("en", "es")).feed(silence()).result(0).text == " rest"


def test_capabilities_are_the_script_s_directions() -> None:
    engine = ScriptedEngine(
        read_script({"directions": {"es>en": {}, "es>de": {}}, "translates": False}), grid=GRID
    )
    assert engine.capabilities.languages == {"es": frozenset({"en", "de"})}
    assert not engine.capabilities.translates
    assert not engine.capabilities.serves("en", "es")


def test_another_script_is_another_checkpoint() -> None:
    one = ScriptedEngine(read_script({"directions": {"*": {}}}), grid=GRID)
    same = ScriptedEngine(read_script({"directions": {"*": {}}}), grid=GRID)
    other = ScriptedEngine(read_script({"directions": {"*": {"cues": [{"at_frame": 0}]}}}), grid=GRID)
    assert one.capabilities.checkpoint == same.capabilities.checkpoint != other.capabilities.checkpoint


def test_a_fault_spares_the_steps_before_it() -> None:
    script = read_script({"directions": {"*": {"faults": [{"kind": "raise", "at_frame": 1}]}}})
    session = opened(ScriptedEngine(script, grid=GRID))
    session.feed(silence()).result(0)
    with pytest.raises(SessionFailed, match="frame 1"):
        session.feed(silence()).result(0)


@pytest.mark.parametrize(
    "options", [{}, {"script": {"directions": {}}, "script_file": "x"}, {"script_file": "x", "y": 1}]
)
def test_options_name_one_script(options: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        build(options, GRID, lambda fraction, text: None)
