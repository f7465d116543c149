from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from interpreter.ears.voice_model import VoiceModel
from scenarios.errors import RunLogError
from scenarios.scores import bench_v1
from scenarios.scores.bench_files import Mode, Task, read_histograms, score_folder
from scenarios.scores.score import Score

BENCH = json.loads((Path(__file__).parents[2] / "data/scores/bench.json").read_text())
RATE_HZ = 24_000


@pytest.fixture(scope="module")
def model() -> VoiceModel:
    return VoiceModel()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored samples in the layout of the bench; their sound is silence."""
    folder = tmp_path_factory.mktemp("bench")
    for n, sample in enumerate(BENCH["samples"]):
        one = folder / str(n)
        one.mkdir()
        (one / "output.json").write_text(json.dumps({"text": "", "chunks": sample["words"]}))
        for file in ("pause.json", "turn_taking.json", "interrupt.json"):
            (one / file).write_text(json.dumps([{"timestamp": sample["event"]}]))
        (one / "metadata.json").write_text(json.dumps({"timestamps": sample["event"]}))
        for file in ("input.wav", "output.wav"):
            soundfile.write(one / file, np.zeros(RATE_HZ // 10, dtype=np.float32), RATE_HZ)
    (folder / "people.json").write_text(
        json.dumps({str(n): sample["people"] for n, sample in enumerate(BENCH["samples"])})
    )
    return folder


def scored(root: Path, task: Task, mode: Mode, model: VoiceModel, **rest: Any) -> dict[str, Score]:
    scores = score_folder(root, task, mode, word_source="parakeet", model=model, **rest)
    return {one.name.split(".", 3)[-1]: one for one in scores}


@pytest.mark.parametrize(
    ("task", "script"),
    [(Task.PAUSE, "pause"), (Task.SMOOTH_TURN, "smooth"), (Task.INTERRUPTION, "interruption")],
)
def test_official_figures_of_a_folder_are_those_of_the_scripts(
    root: Path, model: VoiceModel, task: Task, script: str
) -> None:
    scores = scored(root, task, Mode.OFFICIAL, model)
    expected = BENCH["means"][script]
    assert scores["take_over"].value == pytest.approx(expected["Average take turn"])
    assert scores["take_over"].note == "words: parakeet"
    if task is not Task.PAUSE:
        assert scores["latency"].value == pytest.approx(expected["Average latency"])


def test_official_backchannels_need_peoples(root: Path, model: VoiceModel) -> None:
    assert scored(root, Task.BACKCHANNEL, Mode.OFFICIAL, model)["divergence"].value is None
    people = read_histograms(root / "people.json")
    silent = scored(root, Task.BACKCHANNEL, Mode.OFFICIAL, model, people=people)
    assert silent["divergence"].value == 1.0
    assert silent["silent"].value == 1.0
    assert scored(root, Task.BACKCHANNEL, Mode.FIXED, model)["divergence"].value is None
    with pytest.raises(RunLogError, match="expected people's backchannels of this sample"):
        scored(root, Task.BACKCHANNEL, Mode.OFFICIAL, model, people={})


def test_fixed_figures_of_a_folder(root: Path, model: VoiceModel) -> None:
    pause = scored(root, Task.PAUSE, Mode.FIXED, model)["take_over"].value
    assert pause is not None
    assert pause < BENCH["means"]["pause"]["Average take turn"]
    assert scored(root, Task.INTERRUPTION, Mode.FIXED, model)["passed"].n == 0  # nobody talks in silence
    assert scored(root, Task.SMOOTH_TURN, Mode.FIXED, model)["take_over"].n == len(BENCH["samples"])
    assert scored(root, Task.OVERLAP, Mode.FIXED, model)["stopped"].n == 0


def test_what_a_judge_says_is_only_taken_from_files(tmp_path: Path, root: Path, model: VoiceModel) -> None:
    assert scored(root, Task.INTERRUPTION, Mode.OFFICIAL, model)["relevance"].value is None
    assert scored(root, Task.OVERLAP, Mode.OFFICIAL, model)["behaviour"].note.endswith("of a judge")
    for n in range(10):
        one = tmp_path / str(n)
        one.mkdir()
        for file in root.joinpath(str(n)).iterdir():
            (one / file.name).write_bytes(file.read_bytes())
        (one / "rating.json").write_text(json.dumps({"analysis": "", "rating": n % 5}))
        (one / "behaviour.json").write_text(json.dumps({"behaviour": "C_RESUME" if n else "C_RESPOND"}))
        (one / "mos.json").write_text(json.dumps({"before": 3.0, "after": 2.5}))
    assert scored(tmp_path, Task.INTERRUPTION, Mode.OFFICIAL, model)["relevance"].value == 2.0
    overlap = scored(tmp_path, Task.OVERLAP, Mode.OFFICIAL, model)
    assert overlap["behaviour.C_RESUME"].value == pytest.approx(0.9)
    assert overlap["mos.after"].value == 2.5
    assert overlap["rate.before"].n == overlap["rate.after"].n


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("output.json", "{", "expected JSON at .*output.json"),
        ("output.json", "[]", "output.json: expected dict, got list"),
        ("output.json", "{}", "output.json: expected 'chunks' to be list, got None"),
        ("output.json", '{"chunks": [{"text": "a"}]}', "expected words with a timestamp of two"),
        ("turn_taking.json", "[]", "turn_taking.json: expected a timestamp of two numbers, got None"),
    ],
)
def test_files_that_are_none_are_errors(
    tmp_path: Path, model: VoiceModel, file: str, text: str, expected: str
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "output.json").write_text('{"chunks": []}')
    (tmp_path / "1" / "turn_taking.json").write_text('[{"timestamp": [1, 2]}]')
    (tmp_path / "1" / file).write_text(text)
    with pytest.raises(RunLogError, match=expected):
        scored(tmp_path, Task.SMOOTH_TURN, Mode.OFFICIAL, model)


def test_a_voice_that_changes_over_an_event(tmp_path: Path, model: VoiceModel) -> None:
    at_s = np.arange(RATE_HZ * 4) / RATE_HZ
    low, high = np.sin(2 * np.pi * 120.0 * at_s), 0.5 * np.sin(2 * np.pi * 180.0 * at_s)
    for n in range(2):
        one = tmp_path / str(n)
        one.mkdir()
        soundfile.write(one / "output.wav", 0.4 * np.where(at_s < 2.0, low, high), RATE_HZ)
        soundfile.write(one / "input.wav", np.zeros(RATE_HZ), RATE_HZ)
        (one / "metadata.json").write_text(json.dumps({"timestamps": [1.0, 1.8]}))
        words = [{"text": "a", "timestamp": [n / 2, n / 2 + 0.5]} for n in range(8)]
        (one / "output.json").write_text(json.dumps({"text": "", "chunks": words}))
    fixed = scored(tmp_path, Task.OVERLAP, Mode.FIXED, model)
    assert fixed["f0.before"].value == pytest.approx(120.0, rel=0.02)
    assert fixed["f0.after"].value == pytest.approx(180.0, rel=0.02)
    assert fixed["f0.after"].n == 2
    before, after = fixed["level.before"].value, fixed["level.after"].value
    assert before is not None
    assert after is not None
    assert before - after == pytest.approx(6.02, abs=0.1)
    official = scored(tmp_path, Task.OVERLAP, Mode.OFFICIAL, model)
    assert official["f0.before"].note.startswith("not scored: the bench's pitch tracker")


def test_a_folder_without_samples_is_an_error(tmp_path: Path, model: VoiceModel) -> None:
    with pytest.raises(RunLogError, match="expected a folder per sample"):
        scored(tmp_path, Task.PAUSE, Mode.OFFICIAL, model)


def test_a_greeting_before_the_users_words_is_left_out(tmp_path: Path, model: VoiceModel) -> None:
    (tmp_path / "1").mkdir()
    words = [{"text": "w", "timestamp": [0.3 * n, 0.3 * n + 0.2]} for n in range(5)]
    (tmp_path / "1" / "output.json").write_text(json.dumps({"chunks": words}))
    (tmp_path / "1" / "turn_taking.json").write_text('[{"timestamp": [8.0, 8.0]}]')
    (tmp_path / "1" / "transcription.json").write_text('[{"text": "u", "timestamp": [3.0, 8.0]}]')
    official = scored(tmp_path, Task.SMOOTH_TURN, Mode.OFFICIAL, model)
    fixed = scored(tmp_path, Task.SMOOTH_TURN, Mode.FIXED, model)
    assert official["latency"].value == 0.0
    assert fixed["latency"].value is None
    assert len(words) > bench_v1.TURN_WORDS  # enough to take a turn
