"""Wrappers of engines that change nothing."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, Engine, Prompt, Session, TickGrid
from duplex_model.errors import EngineFull
from duplex_model.loopback import LoopbackEngine
from duplex_model.passing_on import PassingEngine, PassingSession

PROMPT = Prompt(language_in="es", language_out="en")


def test_everything_is_passed_on() -> None:
    inner = LoopbackEngine(grid=TickGrid(origin_s=0.0))
    engine: Engine = PassingEngine(inner)
    assert engine.capabilities is inner.capabilities
    assert engine.grid is inner.grid
    with engine.open(PROMPT, seed=1).result() as session:
        assert engine.sessions_open == 1
        loud = np.full(FRAME_SAMPLES, 0.5, dtype=np.float32)
        said = [session.feed(loud).result().pcm for _ in range(20)]
        assert any(np.array_equal(pcm, loud) for pcm in said)
    assert engine.sessions_open == 0
    engine.close()


class Recorder:
    """Whatever is called, notes it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments, **named: self.calls.append((name, arguments, named))


def test_a_session_passes_on_every_call() -> None:
    inner = Recorder()
    session: Session = PassingSession(inner)  # type: ignore[arg-type]
    session.say("Hello.", now=True)
    session.interrupt()
    session.snapshot()
    session.close()
    assert inner.calls == [
        ("say", ("Hello.",), {"now": True}), ("interrupt", (), {}), ("snapshot", (), {}), ("close", (), {}),
    ]  # fmt: skip


def test_what_does_not_open_fails_with_the_same_error() -> None:
    inner = LoopbackEngine(grid=TickGrid(origin_s=0.0))
    refused: Future[Session] = Future()
    refused.set_exception(EngineFull("expected a free lane, got none"))
    engine = PassingEngine(inner)
    opened = engine._wrapped(refused, PassingSession)
    with pytest.raises(EngineFull, match="expected a free lane"):
        opened.result(timeout=1.0)
