from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import Prompt, Session, TickGrid
from duplex_model.errors import EngineDied, PromptError, SessionFailed
from interpreter.directions import Direction
from interpreter.metrics import Count, Metrics
from interpreter.sessions.sessions import (
    ENGINE_RETRY_S,
    FIRST_BACKOFF_S,
    FULL_RETRY_S,
    MAX_BACKOFF_S,
    MAX_OUTSTANDING_FRAMES,
    PROVEN_S,
    Heard,
    Plan,
    SessionEvents,
    Sessions,
    SessionState,
)
from tests.fakes import tone
from tests.interpreter.engines import PuppetEngine, PuppetSession

THERE, BACK = Direction("ana", "es", "en"), Direction("ben", "en", "es")


def plan(direction: Direction, role_text: str = "") -> Plan:
    prompt = Prompt(
        language_in=direction.language_in, language_out=direction.language_out, role_text=role_text
    )
    return Plan(engine="puppet", prompt=prompt)


class SlowOpeningEngine(PuppetEngine):
    """Opens sessions when told."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__(TickGrid(origin_s=0.0), now_s)
        self.openings: list[tuple[Future[Session], Session]] = []

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        future: Future[Session] = Future()
        self.openings.append((future, super().open(prompt, seed=seed).result()))
        return future

    def finish_opening(self) -> None:
        openings, self.openings = self.openings, []
        for future, session in openings:
            future.set_result(session)


@dataclass
class Stage:
    """Sessions on a time that a test sets; what is posted runs at `run`."""

    lanes: int = 8
    now_s: float = 100.0
    engine: PuppetEngine = field(init=False)
    sessions: Sessions = field(init=False)
    metrics: Metrics = field(default_factory=Metrics)
    answered: list[int] = field(default_factory=list)
    said: list[tuple[Direction, int]] = field(default_factory=list)
    posted: list[Callable[[], None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.use(PuppetEngine(TickGrid(origin_s=0.0), lambda: self.now_s, lanes=self.lanes))

    def use(self, engine: PuppetEngine) -> None:
        self.engine = engine
        self.sessions = Sessions(
            engines={"puppet": engine},
            seed=1,
            now_s=lambda: self.now_s,
            post=self.posted.append,
            events=SessionEvents(
                said=lambda direction, tick, output: self.said.append((direction, tick)),
                answered=self.answered.append,
                changed=lambda: None,
            ),
            metrics=self.metrics,
        )

    def run(self) -> None:
        while self.posted:
            self.posted.pop(0)()

    def want(self, *directions: Direction) -> None:
        self.sessions.want({direction: plan(direction) for direction in directions}, self.now_s)
        self.run()

    def feed(self, tick: int) -> None:
        frame = Heard(pcm=tone(400.0, tick))
        self.sessions.feed(tick, {"ana": frame, "ben": frame}, self.now_s)
        self.run()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.sessions.open_due(self.now_s)
        self.run()


def test_every_tick_is_answered_once_even_without_sessions() -> None:
    stage = Stage()
    stage.feed(0)
    stage.want(THERE, BACK)
    stage.feed(1)
    stage.engine.holding = True
    stage.feed(2)
    stage.feed(3)
    assert stage.answered == [0, 1]
    stage.engine.answer()
    stage.run()
    assert stage.answered == [0, 1, 2, 3]
    assert sorted(tick for _, tick in stage.said) == [1, 1, 2, 2, 3, 3]


def test_a_failed_session_leaves_no_tick_waiting() -> None:
    stage = Stage()
    stage.want(THERE, BACK)
    stage.engine.holding = True
    stage.feed(0)
    stage.feed(1)
    here, there = stage.engine.opened
    here.fail()
    stage.run()
    assert stage.answered == []
    there.answer()
    stage.run()
    assert stage.answered == [0, 1]
    assert sorted(state.value for state in stage.sessions.states.values()) == ["failed", "open"]


def test_a_session_that_opens_after_it_is_no_longer_wanted_is_closed() -> None:
    stage = Stage()
    engine = SlowOpeningEngine(lambda: stage.now_s)
    stage.use(engine)
    stage.want(THERE)
    stage.want()
    stage.want(THERE)
    assert len(engine.openings) == 2
    engine.finish_opening()
    stage.run()
    first, second = engine.opened
    assert first.closed
    assert not second.closed
    assert stage.sessions.states == {THERE: SessionState.OPEN}


def test_a_session_that_opens_after_the_end_is_closed() -> None:
    stage = Stage()
    engine = SlowOpeningEngine(lambda: stage.now_s)
    stage.use(engine)
    stage.want(THERE)
    stage.sessions.close()
    engine.finish_opening()
    stage.run()
    assert engine.opened[0].closed


def test_nothing_is_fed_before_the_session_is_open() -> None:
    stage = Stage()
    engine = SlowOpeningEngine(lambda: stage.now_s)
    stage.use(engine)
    stage.want(THERE)
    stage.feed(0)
    assert engine.opened[0].heard == []
    assert stage.answered == [0]
    assert stage.sessions.take(0) == {}


def test_backoff_doubles_up_to_its_limit_and_starts_over_after_good_service() -> None:
    stage = Stage()
    stage.want(THERE)
    waits_s = []
    for _ in range(8):
        stage.engine.opened[-1].fail(SessionFailed("again"))
        stage.feed(0)
        opened, waited_s = len(stage.engine.opened), 0.0
        while len(stage.engine.opened) == opened:
            stage.wait(0.25)
            waited_s += 0.25
        waits_s.append(waited_s)
    assert waits_s == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0]
    assert waits_s[0] == FIRST_BACKOFF_S
    assert waits_s[-1] == MAX_BACKOFF_S
    stage.wait(PROVEN_S)
    stage.engine.opened[-1].fail(SessionFailed("after long"))
    stage.feed(1)
    stage.wait(FIRST_BACKOFF_S)
    assert stage.sessions.states == {THERE: SessionState.OPEN}


def test_a_dead_engine_is_asked_again_quickly_and_a_full_one_at_leisure() -> None:
    stage = Stage(lanes=1)
    stage.engine.dead = True
    stage.want(THERE)
    assert stage.sessions.states == {THERE: SessionState.DOWN}
    stage.engine.dead = False
    stage.wait(ENGINE_RETRY_S)
    assert stage.sessions.states == {THERE: SessionState.OPEN}
    stage.want(THERE, BACK)
    assert stage.sessions.states[BACK] is SessionState.FULL
    assert [stage.sessions.await_lane(name) for name in ("puppet", "another")] == [True, False]
    stage.want(BACK)
    stage.wait(FULL_RETRY_S)
    assert stage.sessions.states == {BACK: SessionState.OPEN}


def test_a_refused_prompt_is_not_tried_again() -> None:
    class Refusing(PuppetEngine):
        asked = 0

        def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
            self.asked += 1
            raise PromptError("no such language")

    stage = Stage()
    engine = Refusing(TickGrid(origin_s=0.0), lambda: stage.now_s)
    stage.use(engine)
    stage.want(THERE)
    for _ in range(20):
        stage.wait(1.0)
    assert engine.asked == 1
    assert stage.sessions.states == {THERE: SessionState.REFUSED}


def test_a_session_that_owes_too_much_is_given_up() -> None:
    stage = Stage()
    stage.want(THERE)
    stage.engine.holding = True
    for n in range(MAX_OUTSTANDING_FRAMES + 1):
        stage.feed(n)
    assert stage.engine.opened[0].closed
    assert stage.answered == list(range(MAX_OUTSTANDING_FRAMES + 1))
    assert stage.metrics.snapshot().counts[Count.SESSIONS_FAILED] == 1


def test_answers_of_a_session_that_was_given_up_are_not_heard() -> None:
    class Deaf(PuppetSession):
        def close(self) -> None:
            """Answers on, as a process does that has not read of the closing yet."""

    stage = Stage()
    stage.want(THERE)
    stage.engine.holding = True
    stage.feed(0)
    stage.engine.opened[0].__class__ = Deaf
    stage.want()
    stage.engine.opened[0].answer()
    stage.run()
    assert stage.said == []
    assert stage.answered == [0]


def test_a_session_that_ends_in_a_word_fades_out_once() -> None:
    stage = Stage()
    stage.want(THERE)
    stage.feed(0)
    assert stage.sessions.take(0)[THERE].pcm.any()
    stage.want()
    fading = stage.sessions.take(1)[THERE].pcm
    assert fading[:120].any()
    assert not fading[120:].any()
    assert stage.sessions.take(2) == {}


def test_a_speaker_without_a_frame_is_silence() -> None:
    stage = Stage()
    stage.want(THERE)
    stage.sessions.feed(0, {}, stage.now_s)
    stage.run()
    np.testing.assert_array_equal(stage.engine.opened[0].heard[0], np.zeros(1_920, dtype=np.float32))


def test_an_engine_that_dies_while_opening_is_down_not_failed() -> None:
    class Dying(PuppetEngine):
        def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
            future: Future[Session] = Future()
            future.set_exception(EngineDied("gone"))
            return future

    stage = Stage()
    stage.use(Dying(TickGrid(origin_s=0.0), lambda: stage.now_s))
    stage.want(THERE)
    assert stage.sessions.states == {THERE: SessionState.DOWN}
    assert stage.metrics.snapshot().counts[Count.SESSIONS_FAILED] == 0


def test_another_plan_opens_another_session_and_the_same_one_does_not() -> None:
    stage = Stage()
    stage.want(THERE, BACK)
    stage.want(THERE, BACK)
    assert len(stage.engine.opened) == 2
    stage.sessions.want({THERE: plan(THERE, "You are brief."), BACK: plan(BACK)}, stage.now_s)
    stage.run()
    assert [session.prompt.role_text for session in stage.engine.opened] == ["", "", "You are brief."]
    assert [session.closed for session in stage.engine.opened] == [True, False, False]


def test_the_session_of_a_direction_is_interrupted_and_no_other() -> None:
    stage = Stage()
    stage.want(THERE, BACK)
    stage.engine.holding = True
    stage.feed(0)
    stage.sessions.interrupt(THERE)
    stage.sessions.interrupt(Direction("eva", "en", "es"))
    held = {session.prompt.language_in: len(session.held) for session in stage.engine.opened}
    assert held == {"es": 0, "en": 1}
