from __future__ import annotations

import io
import time
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_model.assembly import Footprint, NeuralOptions, assemble, footprint
from duplex_model.catalogue import Precision, memory_need
from duplex_model.config import CHECKPOINTS
from duplex_model.contract import FRAME_SAMPLES, Engine, LongCalls, Prompt, TickGrid
from duplex_model.engine import NeuralEngine
from duplex_model.errors import CheckpointError, PromptError, SpecError
from duplex_model.source import CheckpointFiles
from duplex_model.spec import EngineSpec, build_engine
from tests.duplex_model.tiny_checkpoint import tiny_config, write_tiny_checkpoint

PATIENCE_S = 60.0
CPU = torch.device("cpu")
PROMPT = Prompt(role_text="take one", language_in="en", language_out="en")
CONFIG = tiny_config()


def options(*voices: Path) -> NeuralOptions:
    return NeuralOptions(lanes=2, device=CPU, dtype=torch.float32, window_frames=160, voices=voices)


def grid() -> TickGrid:
    return TickGrid(origin_s=time.monotonic())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CheckpointFiles:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), CONFIG)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """A folder with one recording, `low`."""
    pcm = (0.3 * np.sin(np.arange(60_000) * 0.05) * 32767).astype("<i2")
    with wave.open(str(tmp_path / "low.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(pcm.tobytes())
    return tmp_path


@pytest.fixture
def engine(files: CheckpointFiles, voices: Path) -> Iterator[NeuralEngine]:
    engine = assemble(CONFIG, files, options(voices), grid=grid(), report=lambda fraction, text: None)
    yield engine
    engine.close()


def answers(engine: Engine, prompt: Prompt, count: int = 5) -> list[bytes]:
    with engine.open(prompt, seed=3).result(PATIENCE_S) as session:
        frames = np.random.default_rng(0).standard_normal((count, FRAME_SAMPLES)).astype(np.float32)
        said = [session.feed(0.1 * frame).result(PATIENCE_S) for frame in frames]
    return [output.pcm.tobytes() for output in said]


def test_a_checkpoint_becomes_an_engine_that_answers(engine: NeuralEngine) -> None:
    assert engine.capabilities.checkpoint == "tiny"
    assert engine.capabilities.lanes == 2
    assert engine.capabilities.context_frames == 160
    first = answers(engine, PROMPT)
    assert len(set(first)) == 5
    assert answers(engine, PROMPT) == first


def test_role_and_voice_change_what_is_said(engine: NeuralEngine) -> None:
    said = {
        tuple(answers(engine, prompt))
        for prompt in (PROMPT, replace(PROMPT, role_text=""), replace(PROMPT, voice="low"))
    }
    assert len(said) == 3


def test_a_voice_by_name_is_the_voice_by_path(engine: NeuralEngine, voices: Path) -> None:
    by_path = replace(PROMPT, voice=str(voices / "low.wav"))
    assert answers(engine, by_path) == answers(engine, replace(PROMPT, voice="low"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"role_text": "take one tablet " * 20}, "at most 80 frames"),
        ({"voice": "unheard"}, "low"),
        ({"language_out": "fr"}, "en>en"),
    ],
)
def test_prompts_that_cannot_be_served_are_explained_at_once(
    engine: NeuralEngine, wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        engine.open(replace(PROMPT, **wrong), seed=1)
    assert engine.sessions_open == 0


def test_a_checkpoint_that_takes_no_prompt_says_so(files: CheckpointFiles) -> None:
    plain = replace(CONFIG, role_text=False, voice_prompt=False)
    engine = assemble(plain, files, options(), grid=grid(), report=lambda fraction, text: None)
    for prompt in (PROMPT, replace(PROMPT, role_text="", voice="low")):
        with pytest.raises(PromptError, match="tiny takes none"):
            engine.open(prompt, seed=1)
    assert len(answers(engine, replace(PROMPT, role_text=""))) == 5
    engine.close()


def test_progress_is_told_to_the_end(files: CheckpointFiles) -> None:
    told: list[tuple[float, str]] = []
    assemble(
        CONFIG, files, options(), grid=grid(), report=lambda fraction, text: told.append((fraction, text))
    ).close()
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_files_of_another_checkpoint_are_refused(files: CheckpointFiles) -> None:
    with pytest.raises(
        CheckpointError, match=r"\.safetensors: expected the tensors of its architecture, got"
    ):
        assemble(
            replace(CHECKPOINTS["moshiko-7b"], lm=replace(CONFIG.lm, own_codebooks=4)),
            files,
            options(),
            grid=grid(),
            report=lambda fraction, text: None,
        )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"checkpoint": "moshi-700b"}, "personaplex-7b"),
        ({}, "the files of personaplex-7b, got nothing at /nowhere"),
        ({"lanes": 0}, "lanes"),
        ({"device": "abacus"}, "abacus"),
        ({"device": "cuda:99"}, "use cpu"),
        ({"dtype": "float8"}, "bfloat16"),
        ({"dtype": "float32", "int8": True}, "int8"),
        ({"device": "cpu", "cuda_graph": True}, "CUDA device"),
        ({"device": "cpu", "attention": "triton"}, "CUDA device for attention triton, got cpu"),
        ({"device": "cpu", "attention": "flash"}, "eager, triton, got flash"),
        ({"long_calls": "hang up"}, "sinks, refresh or restart, got hang up"),
        ({"gather_ms": 100}, "gather_ms"),
        ({"lames": 3}, "lames"),
    ],
)
def test_wrong_options_are_explained(wrong: dict[str, object], message: str) -> None:
    spec = EngineSpec(kind="neural", options={"checkpoint": "personaplex-7b=/nowhere"} | wrong)
    with pytest.raises((SpecError, CheckpointError), match=message):
        build_engine(spec, grid=grid(), report=lambda fraction, text: None)


def test_the_footprint_is_that_of_the_published_sizes() -> None:
    whole = NeuralOptions(lanes=1, device=CPU, dtype=torch.bfloat16, window_frames=3000)
    taken = footprint(CHECKPOINTS["personaplex-7b"], whole)
    assert taken.weights == pytest.approx(2 * 7_687_729_152, rel=0.05), "facts: 8 depth steps; and the codec"
    assert taken.lane == pytest.approx(1.573e9 + 16.4e6, rel=0.01), "facts: keys and values of 3000 frames"


@pytest.mark.slow
def test_renewing_lanes_takes_one_lane_more() -> None:
    plain = NeuralOptions(lanes=1, device=CPU, dtype=torch.bfloat16)
    for name, method, aside in (
        ("personaplex-7b", None, 2),
        ("personaplex-7b", LongCalls.REFRESH, 3),
        ("hibiki-2b", None, 3),
        ("hibiki-2b", LongCalls.SINKS, 2),
    ):
        config = CHECKPOINTS[name]
        assert footprint(config, replace(plain, long_calls=method)).aside == aside
        assert footprint(config, replace(plain, long_calls=method, renewals=True)).aside == 3
        if method is None:
            assert memory_need(config, Precision.BF16).aside == aside


def test_a_device_that_is_too_small_is_told_what_would_fit() -> None:
    taken = Footprint(weights=16 << 30, lane=3 << 29, aside=2)
    taken.check(lanes=32, free=80 << 30)
    with pytest.raises(SpecError, match="set lanes to 1 or fewer"):
        taken.check(lanes=8, free=24 << 30)
    with pytest.raises(SpecError, match="smaller checkpoint"):
        taken.check(lanes=1, free=8 << 30)


def test_a_voice_that_is_no_recording_is_refused(engine: NeuralEngine, voices: Path) -> None:
    (voices / "noise.wav").write_bytes(io.BytesIO(b"RIFF").getvalue())
    with pytest.raises(PromptError, match="WAV"):
        engine.open(replace(PROMPT, voice="noise"), seed=1)
