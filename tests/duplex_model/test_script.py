"""Scripts are read whole, or refused with the place, what was expected and what came."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.errors import SpecError
from duplex_model.script import (
    Cue,
    Fault,
    FaultKind,
    Part,
    Piece,
    Script,
    Tone,
    Trigger,
    Wav,
    load_script,
    read_script,
)

WHOLE = {
    "translates": False,
    "speech_on_dbfs": -40,
    "speech_off_dbfs": -50,
    "spurt_gap_s": 0.5,
    "directions": {
        "es>en": {
            "cues": [
                {
                    "at_frame": 3,
                    "text": [{"text": " hi", "at_s": 0.1}],
                    "sound": {"hz": 440, "duration_s": 1},
                },
                {"on_pause_s": 0.3, "spurt": 2, "sound": {"wav": "a.wav"}},
            ],
            "faults": [{"kind": "stall", "at_frame": 4, "stall_ms": 250}],
        },
        "*": {},
    },
}
READ = Script(
    translates=False,
    speech_on_dbfs=-40.0,
    speech_off_dbfs=-50.0,
    spurt_gap_s=0.5,
    directions={
        "es>en": Part(
            cues=(
                Cue(
                    trigger=Trigger.AT_FRAME,
                    when=3,
                    text=(Piece(text=" hi", at_s=0.1),),
                    sound=Tone(hz=440.0, duration_s=1.0),
                ),
                Cue(trigger=Trigger.ON_PAUSE, when=0.3, spurt=2, sound=Wav(path=Path("sounds/a.wav"))),
            ),
            faults=(Fault(kind=FaultKind.STALL, at_frame=4, stall_ms=250.0),),
        ),
        "*": Part(),
    },
)


def test_everything_is_read() -> None:
    assert read_script(WHOLE, folder=Path("sounds")) == READ


def test_a_file_s_wavs_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "script.json").write_text(json.dumps(WHOLE))
    cue = load_script(tmp_path / "script.json").directions["es>en"].cues[1]
    assert cue.sound == Wav(path=tmp_path / "a.wav")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0"])
def test_a_file_that_is_not_json_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "script.json").write_text(text)
    with pytest.raises(SpecError, match="script.json"):
        load_script(tmp_path / "script.json")


def with_part(part: object) -> dict[str, object]:
    return {"directions": {"es>en": part}}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "script: expected an object, got \\[\\]"),
        ({}, "script: expected directions to be an object, got nothing"),
        ({"directions": {}, "direction": 1}, "expected only the fields .*directions.*, got 'direction'"),
        ({"directions": {"es": {}}}, "expected a direction such as 'es>en' or '\\*', got 'es'"),
        ({"directions": {"es>*": {}}}, "got 'es>\\*'"),
        (
            {"directions": {}, "speech_off_dbfs": -10},
            "speech_off_dbfs to be at most speech_on_dbfs -45, got -10",
        ),
        (with_part({"cues": 1}), "es>en: expected cues to be a list, got 1"),
        (with_part({"cues": [{}]}), "es>en, cue 0: expected one of at_frame, .* got none"),
        (with_part({"cues": [{"at_frame": 1, "on_pause_s": 1}]}), "got at_frame and on_pause_s"),
        (with_part({"cues": [{"at_frame": 1.5}]}), "cue 0: expected at_frame to be a whole number"),
        (with_part({"cues": [{"at_frame": 1, "spurt": 0}]}), "got 'spurt'"),
        (
            with_part({"cues": [{"at_frame": 1, "text": [{"at_s": 0}]}]}),
            "cue 0, text: expected text to be text",
        ),
        (
            with_part({"cues": [{"at_frame": 1, "sound": {"hz": 5}}]}),
            "sound: expected hz to be a number from 20",
        ),
        (with_part({"cues": [{"at_frame": 1, "sound": {"wav": "a", "hz": 50}}]}), "got 'hz'"),
        (
            with_part({"faults": [{"kind": "explode"}]}),
            "fault 0: expected kind to be one of raise, .*'explode'",
        ),
    ],
)
def test_what_is_wrong_is_named(values: object, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        read_script(values)


keys = st.sampled_from(
    ["directions", "*", "es>en", "cues", "faults", "at_frame", "text", "sound", "kind", "at_s"]
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("nan")
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=20
)


@given(anything | st.builds(lambda part: {"directions": {"*": part}}, anything))
def test_anything_is_a_script_or_an_error(values: object) -> None:
    try:
        script = read_script(values)
    except SpecError:
        return
    assert isinstance(script, Script)
