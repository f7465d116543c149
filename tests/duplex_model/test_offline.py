from __future__ import annotations

import json
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_model.assembly import NeuralOptions, assemble
from duplex_model.contract import FRAME_SAMPLES, Capabilities, Pcm, Prompt, TickGrid
from duplex_model.errors import PromptError, SessionFailed
from duplex_model.loopback import LoopbackEngine
from duplex_model.offline import OfflineResult, choose_languages, run_offline
from duplex_model.script import read_script
from duplex_model.scripted import ScriptedEngine
from tests.duplex_model.tiny_checkpoint import tiny_config, write_tiny_checkpoint

GRID = TickGrid(origin_s=0.0)
PROMPT = Prompt(language_in="es", language_out="en")


def noise(samples: int) -> Pcm:
    return np.random.default_rng(1).uniform(-0.5, 0.5, samples).astype(np.float32)


def run(engine: LoopbackEngine | ScriptedEngine, pcm: Pcm, tail_s: float = 0.0) -> OfflineResult:
    return run_offline(engine, PROMPT, pcm, seed=1, report=lambda done, words: None, tail_s=tail_s)


def test_loopback_gives_the_recording_back_filled_up_with_silence() -> None:
    pcm = noise(3 * FRAME_SAMPLES + 100)
    engine = LoopbackEngine(lanes=1, grid=GRID)
    result = run(engine, pcm)
    assert result.frames == 4
    assert np.array_equal(result.pcm[: len(pcm)], pcm)
    assert not result.pcm[len(pcm) :].any()
    assert len(result.pcm) == 4 * FRAME_SAMPLES
    assert result.text == ""
    assert engine.sessions_open == 0


def test_a_tail_lets_what_lags_be_heard() -> None:
    pcm = noise(5 * FRAME_SAMPLES)
    result = run(LoopbackEngine(lanes=1, delay_ms=160, grid=GRID), pcm, tail_s=0.16)
    assert result.frames == 7
    assert np.array_equal(result.pcm[2 * FRAME_SAMPLES :], pcm)


def test_text_comes_with_its_times() -> None:
    cues = [{"at_frame": 2, "text": [{"text": " good"}, {"text": "bye", "at_s": 0.16}]}]
    script = read_script({"directions": {"es>en": {"cues": cues}}})
    result = run(ScriptedEngine(script, lanes=1, grid=GRID), noise(10 * FRAME_SAMPLES))
    assert result.text == "goodbye"
    written = json.loads(json.dumps(result.as_json()))
    assert written["pieces"] == [{"text": " good", "time_s": 0.16}, {"text": "bye", "time_s": 0.32}]
    assert (written["text"], written["frames"]) == ("goodbye", 10)
    assert set(written) == {"text", "pieces", "frames", "timing"}


def test_timing_is_of_the_clock_given() -> None:
    ticks = count()
    result = run_offline(
        LoopbackEngine(lanes=1, grid=GRID),
        PROMPT,
        noise(4 * FRAME_SAMPLES),
        seed=1,
        report=lambda done, words: None,
        now=lambda: 0.02 * next(ticks),
    )
    timing = result.timing
    assert timing.open_s == pytest.approx(0.02)
    assert (timing.step_p50_ms, timing.step_max_ms) == (pytest.approx(20), pytest.approx(20))
    assert timing.real_time_factor == pytest.approx(0.25)


def test_progress_is_reported_to_the_end() -> None:
    reports: list[tuple[float, str]] = []
    run_offline(
        LoopbackEngine(lanes=1, grid=GRID),
        PROMPT,
        noise(4 * FRAME_SAMPLES),
        seed=1,
        report=lambda *said: reports.append(said),
    )
    assert reports == [
        (0.25, "0.1 of 0.3 s"),
        (0.5, "0.2 of 0.3 s"),
        (0.75, "0.2 of 0.3 s"),
        (1.0, "0.3 of 0.3 s"),
    ]


def test_a_failing_session_fails_the_run_and_frees_its_lane() -> None:
    script = read_script({"directions": {"*": {"faults": [{"kind": "nan", "at_frame": 3}]}}})
    engine = ScriptedEngine(script, lanes=1, grid=GRID)
    with pytest.raises(SessionFailed):
        run(engine, noise(5 * FRAME_SAMPLES))
    assert engine.sessions_open == 0


def able(**languages: str) -> Capabilities:
    return Capabilities(
        checkpoint="some",
        licence="ours",
        languages={heard.replace("any", "*"): frozenset(out.split()) for heard, out in languages.items()},
        translates=True,
        lanes=1,
    )


@pytest.mark.parametrize(
    ("can", "heard", "said", "chosen"),
    [
        (able(en="en"), None, None, ("en", "en")),
        (able(fr="en", es="en"), None, None, ("fr", "en")),
        (able(fr="en", es="en"), "es", None, ("es", "en")),
        (able(es="en", en="es"), None, "es", ("en", "es")),
        (able(any="*"), None, None, ("en", "en")),
        (able(any="*"), "es", None, ("es", "es")),
        (able(any="*"), None, "de", ("de", "de")),
        (able(any="*"), "es", "en", ("es", "en")),
        (able(any="en"), "es", None, ("es", "en")),
    ],
)
def test_languages_are_those_asked_for_or_those_there_are(
    can: Capabilities, heard: str | None, said: str | None, chosen: tuple[str, str]
) -> None:
    assert choose_languages(can, heard, said) == chosen
    assert can.serves(*chosen)


def test_a_direction_nobody_serves() -> None:
    with pytest.raises(PromptError, match=r"some serves \(fr to en, es to en\), got en to fr"):
        choose_languages(able(fr="en", es="en"), "en", "fr")


@pytest.mark.slow
def test_a_neural_session_says_the_same_again_for_the_same_seed(tmp_path: Path) -> None:
    config = tiny_config()
    files = write_tiny_checkpoint(tmp_path, config)
    options = NeuralOptions(lanes=1, device=torch.device("cpu"), dtype=torch.float32, window_frames=160)
    grid = TickGrid(origin_s=time.monotonic())
    engine = assemble(config, files, options, grid=grid, report=lambda done, words: None)
    prompt = Prompt(role_text="take one", language_in="en", language_out="en")
    pcm = noise(30 * FRAME_SAMPLES)
    one, again, other = (
        run_offline(engine, prompt, pcm, seed=seed, report=lambda done, words: None) for seed in (1, 1, 2)
    )
    engine.close()
    assert one.frames == 30
    assert np.array_equal(one.pcm, again.pcm)
    assert one.pieces == again.pieces
    assert not np.array_equal(one.pcm, other.pcm)
