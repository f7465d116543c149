"""What the tests of engines share: prompts, frames, specs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Engine, Pcm, Prompt, Session, TickGrid
from duplex_model.errors import DuplexModelError
from duplex_model.spec import EngineSpec, build_engine

ANSWER_S = 20.0
"""Longer than any answer takes on a busy machine; a test that waits so long has failed."""

T = TypeVar("T")


def prompt(language_in: str = "es", language_out: str = "en", voice: str = "") -> Prompt:
    return Prompt(voice=voice, language_in=language_in, language_out=language_out)


def silence() -> Pcm:
    return np.zeros(FRAME_SAMPLES, dtype=np.float32)


def hum(frame: int, hz: float = 440.0, amplitude: float = 0.1) -> Pcm:
    """The n-th 80 ms of a tone; every sample of every frame differs from its neighbours."""
    n = np.arange(frame * FRAME_SAMPLES, (frame + 1) * FRAME_SAMPLES)
    return (amplitude * np.sin(2 * np.pi * hz * n / SAMPLE_RATE_HZ)).astype(np.float32)


def scripted(lanes: int = 4, **directions: object) -> EngineSpec:
    """`any` is the direction `*`, `es_en` is `es>en`."""
    named = {"*" if name == "any" else name.replace("_", ">"): part for name, part in directions.items()}
    return EngineSpec(kind="scripted", options={"lanes": lanes, "script": {"directions": named}})


def in_process(spec: EngineSpec) -> Engine:
    return build_engine(spec, grid=TickGrid(origin_s=0.0), report=lambda fraction, text: None)


def opened(engine: Engine, of: Prompt | None = None, seed: int = 1) -> Session:
    return engine.open(of or prompt(), seed=seed).result(ANSWER_S)


def failure_of(call: Callable[[], Future[T]]) -> DuplexModelError:
    """The error of `call`, whether it is raised or fails the future."""
    with pytest.raises(DuplexModelError) as caught:
        call().result(ANSWER_S)
    return caught.value


def until(condition: Callable[[], bool], what: str) -> None:
    """Waits for something another process or thread does."""
    deadline_s = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_of(pid: int) -> list[int]:
    """Every process of the session that `pid` leads."""
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                after_name = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(after_name[3]) == pid:
                members.append(int(entry))
    return members
