"""Time waits for the answers of an engine, all those of a tick together."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import numpy as np
import pytest

from duplex_model.contract import (
    FRAME_SAMPLES,
    Pcm,
    Prompt,
    Session,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
)
from duplex_model.errors import SessionFailed
from duplex_model.loopback import LoopbackEngine
from duplex_model.passing_on import PassingEngine, PassingSession
from scenarios.lockstep import LockstepEngine

FRAME: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
PROMPT = Prompt(language_in="es", language_out="en")
TIMING = StepTiming(received_s=0.0, started_s=0.0, finished_s=0.0)


class Slow(PassingEngine):
    """Answers from a thread, and only once `together` frames have come."""

    def __init__(self, together: int) -> None:
        super().__init__(
            LoopbackEngine(grid=TickGrid(origin_s=0.0)), lambda session: _SlowSession(session, self)
        )
        self.fed: list[Future[StepOutput]] = []
        self._together = together

    def feed(self) -> Future[StepOutput]:
        self.fed.append(Future())
        if len(self.fed) == self._together:
            threading.Timer(0.05, self._answer).start()
        return self.fed[-1]

    def _answer(self) -> None:
        for n, one in reversed(list(enumerate(self.fed))):
            if n == 1:
                one.set_exception(SessionFailed("expected a whole lane, got a broken one"))
            else:
                one.set_result(StepOutput(pcm=FRAME, text=str(n), timing=TIMING, flags=StepFlag.NONE))


class _SlowSession(PassingSession):
    def __init__(self, session: Session, engine: Slow) -> None:
        super().__init__(session)
        self._slow = engine

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        return self._slow.feed()


async def test_frames_of_one_go_are_answered_together_in_their_order() -> None:
    slow = Slow(together=3)
    engine = LockstepEngine(slow)
    sessions = [engine.open(PROMPT, seed=n).result() for n in range(3)]
    order: list[int] = []
    answers = [session.feed(FRAME) for session in sessions]
    for n, answer in enumerate(answers):
        answer.add_done_callback(lambda done, n=n: order.append(n))
    assert len(slow.fed) == 3, "an engine that steps lanes together has all their frames"
    assert order == []
    await asyncio.sleep(0)
    assert order == [0, 1, 2], "not the order in which the engine came to them"
    assert answers[2].result().text == "2"
    with pytest.raises(SessionFailed, match="a broken one"):
        answers[1].result()


async def test_the_engine_inside_is_its_owners() -> None:
    inner = LoopbackEngine(grid=TickGrid(origin_s=0.0))
    engine = LockstepEngine(inner)
    engine.close()
    with engine.open(PROMPT, seed=1).result() as session:
        answer = session.feed(FRAME)
        await asyncio.sleep(0)
        assert answer.done()
    inner.close()
