"""The order in which a session's work is done, on a manual clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from duplex_model.contract import StepFlag, TickGrid
from duplex_model.errors import SessionClosed
from duplex_model.script import read_script
from duplex_model.scripted import ScriptedEngine
from tests.duplex_model.engines import opened, prompt, silence

GRID = TickGrid(origin_s=0.0)
STALL = {"directions": {"*": {"faults": [{"kind": "stall", "at_frame": 1, "stall_ms": 250}]}}}


class Timers:
    """Keeps what is to be called later until the test calls it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, delay_s: float, call: Callable[[], None]) -> None:
        self.waiting.append((delay_s, call))

    def fire(self) -> None:
        waiting, self.waiting = self.waiting, []
        for _, call in waiting:
            call()


@pytest.fixture
def timers() -> Timers:
    return Timers()


@pytest.fixture
def engine(timers: Timers) -> ScriptedEngine:
    return ScriptedEngine(read_script(STALL), grid=GRID, now=lambda: 0.0, later=timers)


def test_work_asked_for_during_a_stall_waits_and_keeps_its_order(
    engine: ScriptedEngine, timers: Timers
) -> None:
    with opened(engine) as session:
        answers = [session.feed(silence()) for _ in range(2)]
        spoken = session.say("wait")
        snapshot = session.snapshot()
        answers += [session.feed(silence()) for _ in range(5)]
        assert [answer.done() for answer in answers] == [True] + [False] * 6
        assert not snapshot.done()
        assert [delay_s for delay_s, _ in timers.waiting] == [0.25]
        timers.fire()
        assert all(answer.done() for answer in answers)
        assert snapshot.done()
        assert spoken.done()
        flags = [answer.result().flags for answer in answers]
    late = StepFlag.LATE
    assert flags == [StepFlag.NONE, late, *[late | StepFlag.AS_SELF] * 4, late]


def test_a_stall_may_be_over_before_it_is_waited_for() -> None:
    engine = ScriptedEngine(read_script(STALL), grid=GRID, later=lambda delay_s, call: call())
    with opened(engine) as session:
        assert all(session.feed(silence()).done() for _ in range(4))


def test_answers_after_the_stall_are_on_time_again(engine: ScriptedEngine, timers: Timers) -> None:
    with opened(engine) as session:
        session.feed(silence())
        session.feed(silence())
        timers.fire()
        assert session.feed(silence()).result(0).flags == StepFlag.NONE


def test_a_stalled_lane_stalls_no_other(engine: ScriptedEngine) -> None:
    with opened(engine) as stalled, opened(engine) as other:
        stalled.feed(silence())
        assert not stalled.feed(silence()).done()
        assert other.feed(silence()).done()


def test_a_timer_that_fires_after_the_close_does_nothing(engine: ScriptedEngine, timers: Timers) -> None:
    session = opened(engine)
    session.feed(silence())
    held = session.feed(silence())
    session.close()
    timers.fire()
    assert isinstance(held.exception(0), SessionClosed)


def test_callbacks_may_feed_and_close_their_own_session(engine: ScriptedEngine) -> None:
    session = engine.open(prompt(), seed=1).result(0)
    fed = []
    session.feed(silence()).add_done_callback(lambda _: fed.append(session.feed(silence())))
    fed[0].add_done_callback(lambda _: None)
    session.close()
    assert isinstance(fed[0].exception(0), SessionClosed)
    assert engine.sessions_open == 0


def test_cancelling_an_answer_changes_nothing(engine: ScriptedEngine, timers: Timers) -> None:
    with opened(engine) as session:
        session.feed(silence())
        held = session.feed(silence())
        assert not held.cancel()
        timers.fire()
        assert held.result(0).pcm.dtype == np.float32
