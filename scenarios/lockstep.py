"""An engine that time waits for: on a virtual clock, however slow the machine is, it is never late.

    tick      feed feed feed |  wait for all three  | answers, in the order of the frames
    clock     stands still ........................ | goes on

What an engine says is then the same on every machine that computes the same, and how fast it is does not show. Frames
fed in one go of the event loop are waited for together, so that the engine can step them as one batch.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from functools import partial
from typing import TypeVar

from duplex_model.contract import Engine, Pcm, Prompt, Session, StepOutput
from duplex_model.passing_on import PassingEngine, PassingSession

Answer = TypeVar("Answer")

ANSWERED_WITHIN_S = 60.0
"""An engine that has not answered by then is taken for dead; whoever waits on the future learns of it there."""


class LockstepEngine(PassingEngine):
    """See `Engine`; used on an event loop. The engine inside stays its owner's.

    Args:
        engine: answers on threads of its own.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, lambda session: LockstepSession(session, self))
        self._asked: list[tuple[Future[StepOutput], Future[StepOutput]]] = []

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`; there, or refused, when it returns."""
        return _answered(super().open(prompt, seed=seed))

    def close(self) -> None:
        """Leaves the engine to its owner."""

    def wait_for(self, stepping: Future[StepOutput]) -> Future[StepOutput]:
        """The same answer, given before anything else happens on the event loop that was not due already."""
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._give)
        answer: Future[StepOutput] = Future()
        self._asked.append((stepping, answer))
        return answer

    def _give(self) -> None:
        asked, self._asked = self._asked, []
        wait([stepping for stepping, _ in asked], ANSWERED_WITHIN_S)
        for stepping, answer in asked:
            stepping.add_done_callback(partial(_copy, answer=answer))


class LockstepSession(PassingSession):
    """See `Session`. What it was told to `say` is said frames later, and not waited for."""

    def __init__(self, session: Session, engine: LockstepEngine) -> None:
        super().__init__(session)
        self._engine = engine

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """See `Session.feed`; answered before the clock goes on."""
        return self._engine.wait_for(super().feed(frame, concealed=concealed))


def _copy(done: Future[Answer], answer: Future[Answer]) -> None:
    error = done.exception()
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())


def _answered(future: Future[Answer]) -> Future[Answer]:
    wait([future], ANSWERED_WITHIN_S)
    return future
