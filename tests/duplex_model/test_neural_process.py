"""The neural engine in a process of its own: the same bits, a death survived, and files that cannot be used."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from duplex_model.audio_file import write_wav
from duplex_model.contract import (
    FRAME_SAMPLES,
    SAMPLE_RATE_HZ,
    EndsInput,
    Engine,
    LongCalls,
    Pcm,
    Prompt,
    StepFlag,
    TickGrid,
)
from duplex_model.errors import EngineDied
from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.supervision import EnginePhase
from tests.duplex_model.engines import failure_of
from tests.duplex_model.tiny_checkpoint import tiny_config, write_tiny_checkpoint

pytestmark = pytest.mark.slow

START_S = 60.0
"""Importing PyTorch on a busy machine takes seconds."""

THREADS = 1
FRAMES = 60
CONFIG = replace(tiny_config(), ends_source=True)
PROMPTS = (
    Prompt(role_text="take one", voice="low", language_in="en", language_out="es"),
    Prompt(language_in="es", language_out="en", long_calls=LongCalls.RESTART),
)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> EngineSpec:
    """A tiny checkpoint and one recorded voice, `low`."""
    folder, voices = tmp_path_factory.mktemp("tiny"), tmp_path_factory.mktemp("voices")
    write_tiny_checkpoint(folder, CONFIG)
    seconds = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    write_wav(voices / "low.wav", (0.3 * np.sin(2 * np.pi * 110 * seconds)).astype(np.float32))
    options = {
        "checkpoint": str(folder),
        "voices": str(voices),
        "lanes": 2,
        "device": "cpu",
        "renewals": True,
        "backlog_frames": 2 * FRAMES,  # fed faster than real time, and nothing may be dropped
    }
    return EngineSpec(kind="neural", options=options)


@pytest.fixture(scope="module")
def child(spec: EngineSpec) -> Iterator[EngineProcess]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", str(THREADS))
        engine = EngineProcess(spec)
        engine.wait_ready(START_S)
        yield engine
        engine.close()


def heard(seed: int) -> list[Pcm]:
    noise = np.random.default_rng(seed).standard_normal((FRAMES, FRAME_SAMPLES))
    return list((0.1 * noise).astype(np.float32))


def meeting(engine: Engine, end: int = 40) -> list[list[tuple[bytes, str, StepFlag]]]:
    """What two sessions at once say to sixty frames each, fed as fast as they are taken; one speaker ends before."""
    openings = [engine.open(prompt, seed=7 + n) for n, prompt in enumerate(PROMPTS)]
    sessions = [opening.result(START_S) for opening in openings]
    asked = []
    for n, frames in enumerate(zip(*(heard(n) for n in range(len(sessions))), strict=True)):
        if n == end and isinstance(sessions[0], EndsInput):
            sessions[0].end_input()
        asked.append([session.feed(frame) for session, frame in zip(sessions, frames, strict=True)])
    said = [[answer.result(START_S) for answer in answers] for answers in zip(*asked, strict=True)]
    for session in sessions:
        session.close()
    return [
        [(output.pcm.tobytes(), output.text, output.flags & ~StepFlag.LATE) for output in outputs]
        for outputs in said
    ]


@pytest.fixture(scope="module")
def expected(spec: EngineSpec) -> Iterator[Sequence[object]]:
    """What the same engine says in this process, on as many threads: sums split otherwise round otherwise."""
    torch.set_num_threads(THREADS)
    engine = build_engine(spec, grid=TickGrid(origin_s=time.monotonic()), report=lambda fraction, text: None)
    yield meeting(engine)
    engine.close()


def test_a_process_of_its_own_changes_no_bit(child: EngineProcess, expected: Sequence[object]) -> None:
    assert child.capabilities.checkpoint == "tiny"
    said = meeting(child)
    assert said == expected
    assert said[0] != said[1]
    assert child.capabilities.long_calls == frozenset(LongCalls)
    assert any(text for _, text, _ in said[0])
    assert child.sessions_open == 0


def test_the_end_of_the_input_reaches_the_model_in_its_process(
    child: EngineProcess, expected: Sequence[Sequence[object]]
) -> None:
    never = meeting(child, end=FRAMES)
    assert never[0][:40] == expected[0][:40]
    assert never[0] != expected[0]
    assert never[1] == expected[1], "the other speaker has not finished"


def test_a_killed_process_is_replaced_by_one_that_says_the_same(
    child: EngineProcess, expected: Sequence[object]
) -> None:
    session = child.open(PROMPTS[1], seed=1).result(START_S)
    session.feed(heard(0)[0]).result(START_S)
    first = child.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert isinstance(failure_of(lambda: session.feed(heard(0)[1])), EngineDied)
    child.wait_ready(START_S)
    assert child.pid != first
    assert child.sessions_open == 0
    assert meeting(child) == expected


def refusal_of(checkpoint: str) -> str:
    """What operators are told of an engine that cannot be started."""
    engine = EngineProcess(EngineSpec(kind="neural", options={"checkpoint": checkpoint, "device": "cpu"}))
    with pytest.raises(EngineDied):
        engine.wait_ready(START_S)
    state = engine.state
    engine.close()
    assert state.phase is EnginePhase.FAILED
    assert "\n" not in state.text
    return state.text


def test_a_missing_tensor_is_told_in_a_sentence(tmp_path: Path) -> None:
    files = write_tiny_checkpoint(tmp_path, CONFIG)
    tensors = load_file(files.lm[0])
    del tensors["out_norm.alpha"]
    save_file(tensors, files.lm[0])
    told = refusal_of(str(tmp_path))
    assert told.startswith(
        f"{files.lm[0]}: expected the tensors of its architecture, got 1 missing (out_norm.alpha"
    )


def test_a_missing_folder_is_told_in_a_sentence(tmp_path: Path) -> None:
    told = refusal_of(f"personaplex-7b={tmp_path / 'gone'}")
    assert f"got nothing at {tmp_path / 'gone'}" in told
