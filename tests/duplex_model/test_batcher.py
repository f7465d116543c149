"""The batcher on a clock moved by hand, so that every order of events is chosen and repeats."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.batcher import Batcher, EngineOptions
from duplex_model.contract import Pcm, Prompt, Session, Snapshot, StepFlag, StepOutput
from duplex_model.errors import (
    DuplexModelError,
    EngineDied,
    EngineFull,
    FrameError,
    PromptError,
    SessionClosed,
    SessionFailed,
    Unsupported,
)
from duplex_model.scheduler import Work
from tests.duplex_model.batches import GRID, PROMPT, HandClock, SumModel, noise


class Table:
    """A batcher, its model and its clock."""

    def __init__(self, lanes: int = 4, *, step_s: float = 0.01, **options: Any) -> None:
        self.clock = HandClock()
        self.model = SumModel(lanes, self.clock, step_s=step_s)
        chosen = EngineOptions(**options)
        self.batcher = Batcher(self.model, grid=GRID, options=chosen, now_s=self.clock)

    @property
    def tick(self) -> int:
        """The tick in progress."""
        return GRID.next_tick(self.clock()) - 1

    def work(self, until_s: float = inf) -> None:
        """Lets the device's thread work until `until_s`, or until there is nothing to do."""
        while self.clock() < until_s:
            wake_s = min(self.batcher.turn(), self.clock.next_event_s, until_s)
            if wake_s == inf:
                return
            self.clock.move_to(wake_s)

    def next_tick(self) -> None:
        """Works to a moment after the next tick, when its frames are fed."""
        self.work(GRID.time_of(self.tick + 1) + 0.001)

    def speak(self, session: Session, ticks: range, delay_s: float = 0.001) -> list[Future[StepOutput]]:
        """Feeds a frame after each of `ticks`, when its time comes; the answers, in the order fed."""
        answers: list[Future[StepOutput]] = []
        for tick in ticks:
            feed = partial(self._feed, session, tick, answers)
            self.clock.at(GRID.time_of(tick) + delay_s, feed)
        return answers

    @staticmethod
    def _feed(session: Session, tick: int, answers: list[Future[StepOutput]]) -> None:
        answers.append(session.feed(noise(tick)))

    def open(self, seed: int = 1, prompt: Prompt = PROMPT) -> Session:
        future = self.batcher.open(prompt, seed)
        self.work()
        return future.result(timeout=0)

    def hear(self, session: Session, frame: Pcm) -> StepOutput:
        """Feeds one frame and works until it is answered."""
        future = session.feed(frame)
        self.work()
        return future.result(timeout=0)


def error_of(future: Future[Any]) -> DuplexModelError:
    error = future.exception(timeout=0)
    assert isinstance(error, DuplexModelError)
    return error


def said(answers: list[Future[StepOutput]]) -> list[bytes]:
    return [answer.result(timeout=0).pcm.tobytes() for answer in answers]


def test_frames_are_answered_in_order_by_one_lane() -> None:
    table = Table()
    session = table.open(seed=8)
    first, second = table.hear(session, noise(1)), table.hear(session, noise(2))
    memory = 4.0 + float(noise(1).sum())
    assert first.pcm[0] == np.float32(memory)
    assert second.pcm[0] == np.float32(0.5 * memory + float(noise(2).sum()))
    assert first.text == f" {np.float32(memory):g}"


def test_all_that_came_is_one_batch() -> None:
    table = Table()
    sessions = [table.open() for _ in range(3)]
    table.next_tick()
    for session in sessions:
        session.feed(noise(1))
    table.next_tick()
    assert table.model.steps == [(0, 1, 2)]


def test_a_frame_fed_late_is_stepped_in_its_own_tick_and_holds_nobody() -> None:
    table = Table()
    first, second = table.open(), table.open()
    prompt = table.speak(first, range(1, 4))
    table.speak(second, range(1, 3))
    table.speak(second, range(3, 4), delay_s=0.03)
    table.work()
    assert table.model.steps == [(0, 1), (0, 1), (0,), (1,)]
    assert prompt[2].result(timeout=0).timing.started_s == pytest.approx(GRID.time_of(3) + 0.01)
    assert table.batcher.load.late_frames == 0


def test_a_frame_stepped_after_its_tick_is_late() -> None:
    table = Table(step_s=0.03)
    first, second = table.open(), table.open()
    steady = table.speak(first, range(1, 6))
    table.speak(second, range(1, 3))
    late = table.speak(second, range(3, 4), delay_s=0.06)
    table.work()
    assert [answer.result(timeout=0).flags for answer in steady] == [StepFlag.NONE] * 5
    assert late[0].result(timeout=0).flags == StepFlag.LATE
    assert table.batcher.load.late_frames == 1


def test_a_lane_behind_catches_up_in_the_spare_time_of_a_tick() -> None:
    table = Table(step_s=0.01)
    first, second = table.open(), table.open()
    table.speak(first, range(1, 4))
    table.speak(second, range(1, 3))
    table.work(GRID.time_of(3))
    burst = [second.feed(noise(n)) for n in range(4)]
    table.work(GRID.time_of(4))
    assert table.model.steps[-4:] == [(0, 1), (1,), (1,), (1,)]
    assert all(answer.done() for answer in burst)


@pytest.mark.parametrize(("step_s", "dropped"), [(0.036, 0), (0.06, 1)])
def test_a_lane_behind_does_not_stay_behind_whatever_a_step_costs(step_s: float, dropped: int) -> None:
    table = Table(step_s=step_s)
    first, second = table.open(), table.open()
    steady = table.speak(first, range(1, 60))
    table.speak(second, range(1, 10))
    table.speak(second, range(10, 11), delay_s=0.075)  # too late for its tick: one frame behind from here on
    answers = table.speak(second, range(11, 60))
    table.work()
    assert [answer.result(timeout=0).flags for answer in steady] == [StepFlag.NONE] * 59, (
        "nobody else is late"
    )
    assert [answer.result(timeout=0).flags for answer in answers[-20:]] == [StepFlag.NONE] * 20
    assert table.batcher.load.dropped_frames == dropped


def test_a_lane_that_is_catching_up_drops_nothing_however_long_it_takes() -> None:
    table = Table(step_s=0.03, backlog_frames=100)
    first, second = table.open(), table.open()
    table.speak(first, range(1, 60))
    table.speak(second, range(1, 3))
    table.work(GRID.time_of(3))
    burst = [second.feed(noise(n)) for n in range(60)]
    table.work()
    assert sum(StepFlag.LATE in answer.result(timeout=0).flags for answer in burst) > 25
    assert table.batcher.load.dropped_frames == 0


def test_beyond_the_backlog_the_oldest_frames_are_dropped_and_say_so() -> None:
    table = Table(backlog_frames=3)
    session = table.open()
    table.next_tick()
    futures = [session.feed(noise(n), concealed=n in (0, 4)) for n in range(5)]
    table.work()
    outputs = [future.result(timeout=0) for future in futures]
    assert [output.flags for output in outputs] == [
        StepFlag.LATE | StepFlag.CONCEALED,
        StepFlag.LATE,
        StepFlag.NONE,
        StepFlag.NONE,
        StepFlag.CONCEALED,
    ]
    assert not outputs[0].pcm.any()
    assert not outputs[1].pcm.any()
    assert table.batcher.load.dropped_frames == 2
    kept = Table()
    again = kept.open()
    assert [kept.hear(again, noise(n)).pcm[0] for n in (2, 3, 4)] == [output.pcm[0] for output in outputs[2:]]


def test_delay_does_not_grow_when_steps_take_longer_than_a_tick() -> None:
    table = Table(step_s=0.1, backlog_frames=4)
    answers = [answer for _ in range(2) for answer in [table.speak(table.open(), range(10, 110))]]
    table.work()
    timings = [answer.result(timeout=0).timing for spoken in answers for answer in spoken]
    assert len(timings) == 200
    assert max(timing.finished_s - timing.received_s for timing in timings) < 0.1 * (4 + 2)
    assert 0.1 < table.batcher.load.dropped_frames / 200 < 0.25, (
        "of ten frames in 0.8 s, two cannot be stepped"
    )


def test_joining_makes_nobody_late() -> None:
    table = Table(step_s=0.05)
    table.model.piece_s = 0.02
    steady = table.speak(table.open(), range(1, 40))
    table.work(GRID.time_of(10))
    joining = table.batcher.open(replace(PROMPT, role_text="p" * 12), 5)
    table.work(GRID.time_of(20))
    assert not joining.done()
    table.work(GRID.time_of(23))
    assert joining.done(), "one piece fits beside a step"
    timings = [answer.result(timeout=0).timing for answer in steady if answer.done()]
    assert all(timing.started_s - timing.received_s < 1e-6 for timing in timings)
    assert table.batcher.load.late_frames == 0


def test_a_join_that_finds_no_spare_time_is_told_that_the_engine_is_full() -> None:
    table = Table(step_s=0.06, join_patience_s=1.0)
    table.model.piece_s = 0.03
    steady = table.speak(table.open(), range(5, 40))
    table.work(GRID.time_of(10))
    refused = table.batcher.open(PROMPT, 5)
    table.work(GRID.time_of(22))
    assert not refused.done()
    table.work(GRID.time_of(25))
    assert isinstance(error_of(refused), EngineFull)
    assert table.batcher.sessions_open == 1
    table.work()
    assert len(steady) == 35
    assert table.batcher.load.late_frames == 0


def test_prompts_go_in_one_after_the_other() -> None:
    table = Table()
    openings = [table.batcher.open(PROMPT, seed) for seed in range(3)]
    assert table.batcher.load.opening == 3
    table.work()
    assert table.model.pieces == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert all(opening.done() for opening in openings)


def test_a_prompt_that_cannot_be_served_is_refused_at_once() -> None:
    table = Table()
    with pytest.raises(PromptError, match="es>en"):
        table.batcher.open(replace(PROMPT, language_out="fr"), 1)
    with pytest.raises(PromptError, match="voice"):
        table.batcher.open(replace(PROMPT, voice="NATF0"), 1)
    assert table.batcher.sessions_open == 0


def test_a_prompt_that_fails_in_the_device_fails_alone() -> None:
    table = Table()
    bad = table.batcher.open(replace(PROMPT, role_text="p!"), 1)
    good = table.open(seed=2)
    assert isinstance(error_of(bad), PromptError)
    assert table.model.cleared == [0]
    assert table.batcher.sessions_open == 1
    good.close()


def test_full_is_said_when_every_lane_is_taken() -> None:
    table = Table(lanes=2)
    first, _ = table.open(), table.batcher.open(PROMPT, 2)
    with pytest.raises(EngineFull, match="2"):
        table.batcher.open(PROMPT, 3)
    first.close()
    table.batcher.open(PROMPT, 3)


def test_full_is_said_when_steps_are_slow_but_not_of_an_empty_engine() -> None:
    table = Table(step_s=0.07, admit_below=0.75)
    session = table.open()
    for _ in range(99):
        table.hear(session, noise(0))
    table.batcher.open(PROMPT, 2)
    table.work()
    table.hear(session, noise(0))
    with pytest.raises(EngineFull, match="60 ms"):
        table.batcher.open(PROMPT, 3)
    quick = Table(step_s=0.02, admit_below=0.75)
    session = quick.open()
    for _ in range(200):
        quick.hear(session, noise(0))
    quick.open()
    table.batcher.end(SessionClosed("closed"))


def test_an_idle_engine_that_was_slow_admits_again() -> None:
    table = Table(step_s=0.07, admit_below=0.75)
    session = table.open()
    for _ in range(100):
        table.hear(session, noise(0))
    session.close()
    table.open()


def test_nan_ends_one_session_and_its_lane_is_as_new() -> None:
    table = Table(lanes=2)
    neighbour, failing = table.open(seed=1), table.open(seed=2)
    poisoned = noise(0)
    poisoned[7] = np.nan
    futures = [neighbour.feed(noise(1)), failing.feed(poisoned), failing.feed(noise(1))]
    spoken = failing.say("never said")
    table.work()
    assert np.isfinite(futures[0].result(timeout=0).pcm).all()
    for failed in (futures[1], futures[2], spoken, failing.feed(noise(1)), failing.snapshot()):
        assert type(error_of(failed)) is SessionFailed
    assert table.batcher.load.failed_sessions == 1
    assert table.batcher.sessions_open == 1
    follower = table.open(seed=9)
    assert table.model.cleared == [1]
    fresh = Table(lanes=2)
    expected = fresh.hear(fresh.open(seed=9), noise(4))
    assert table.hear(follower, noise(4)).pcm.tobytes() == expected.pcm.tobytes()


def test_closing_fails_what_was_asked_and_gives_the_lane_back() -> None:
    table = Table(lanes=1)
    session = table.open()
    futures: list[Future[Any]] = [session.feed(noise(1)), session.say("left unsaid"), session.snapshot()]
    session.close()
    session.close()
    for future in futures:
        assert type(error_of(future)) is SessionClosed
    asks: list[Callable[[], object]] = [
        lambda: session.feed(noise(1)),
        lambda: session.say("x"),
        session.snapshot,
    ]
    for ask in asks:
        with pytest.raises(SessionClosed):
            ask()
    session.interrupt()
    follower = table.open(seed=3)
    assert table.model.cleared == [0]
    assert table.hear(follower, np.zeros_like(noise(0))).pcm[0] == 1.5


def test_a_session_closed_during_its_step_answers_nothing_and_the_lane_is_cleared_before_reuse() -> None:
    table = Table(lanes=1)
    session = table.open()
    heard = session.feed(noise(1))
    followers: list[Future[Session]] = []

    def close_and_reopen() -> None:
        table.model.on_step = None
        session.close()
        followers.append(table.batcher.open(PROMPT, 3))

    table.model.on_step = close_and_reopen
    table.work()
    assert type(error_of(heard)) is SessionClosed
    assert table.hear(followers[0].result(timeout=0), np.zeros_like(noise(0))).pcm[0] == 1.5


def test_a_frame_of_the_wrong_shape_is_refused_and_the_session_goes_on() -> None:
    table = Table()
    session = table.open()
    with pytest.raises(FrameError):
        session.feed(np.zeros(960, dtype=np.float32))
    table.hear(session, noise(1))


def test_the_caller_may_reuse_its_array() -> None:
    table = Table()
    session = table.open(seed=0)
    frame = np.ones_like(noise(0))
    future = session.feed(frame)
    frame.fill(0)
    table.work()
    assert future.result(timeout=0).pcm[0] == 1920


def test_a_text_is_flagged_and_answered_with_its_last_frame() -> None:
    table = Table()
    session = table.open()
    spoken = session.say("two words")
    first = table.hear(session, noise(0))
    assert not spoken.done()
    second = table.hear(session, noise(0))
    assert spoken.result(timeout=0) is None
    third = table.hear(session, noise(0))
    flags = [output.flags for output in (first, second, third)]
    assert flags == [StepFlag.AS_SELF, StepFlag.AS_SELF, StepFlag.NONE]


def test_a_text_comes_between_the_frames_it_was_asked_between() -> None:
    table = Table()
    session = table.open()
    before = session.feed(noise(0))
    session.say("one")
    after = session.feed(noise(0))
    table.work()
    assert before.result(timeout=0).flags == StepFlag.NONE
    assert after.result(timeout=0).flags == StepFlag.AS_SELF


@pytest.mark.parametrize("cut", ["interrupt", "now", "restore"])
def test_a_text_cut_off_counts_as_said(cut: str) -> None:
    table = Table()
    session = table.open()
    earlier = session.snapshot()
    spoken = session.say("many words more than one")
    table.hear(session, noise(0))
    actions: dict[str, Callable[[], object]] = {
        "interrupt": session.interrupt,
        "now": lambda: session.say("urgent", now=True),
        "restore": lambda: session.restore(earlier.result(timeout=0)),
    }
    actions[cut]()
    table.work()
    assert spoken.result(timeout=0) is None
    expected = StepFlag.AS_SELF if cut == "now" else StepFlag.NONE
    assert table.hear(session, noise(0)).flags == expected


def test_a_text_that_cannot_be_spoken_fails_alone() -> None:
    table = Table()
    session = table.open()
    refused, spoken = session.say(""), session.say("word")
    table.hear(session, noise(0))
    assert isinstance(error_of(refused), Unsupported)
    assert spoken.done()


def test_an_engine_that_cannot_speak_a_text_says_so() -> None:
    table = Table()
    table.model.capabilities = replace(table.model.capabilities, say=type(table.model.capabilities.say).NO)
    with pytest.raises(Unsupported):
        table.open().say("word")


def test_a_snapshot_is_of_the_state_after_the_last_frame_fed() -> None:
    table = Table()
    session = table.open()
    session.feed(noise(1))
    taken = session.snapshot()
    session.feed(noise(2))
    table.work()
    other = Table(lanes=2)
    heir = other.open(seed=77)
    restored = heir.restore(taken.result(timeout=0))
    answer = other.hear(heir, noise(3))
    assert restored.done()
    straight = Table()
    expected = straight.open()
    straight.hear(expected, noise(1))
    assert answer.pcm.tobytes() == straight.hear(expected, noise(3)).pcm.tobytes()


def test_upkeep_is_done_in_spare_time_and_makes_nobody_late() -> None:
    table = Table(step_s=0.02)
    first, second = table.open(), table.open()
    answers = table.speak(first, range(1, 30)) + table.speak(second, range(1, 30))
    table.clock.at(GRID.time_of(5) + 0.001, lambda: table.model.upkeep_left.update({1: (12, False)}))
    table.work()
    assert table.model.kept_up == [1] * 12
    assert all(answer.result(timeout=0).flags == StepFlag.NONE for answer in answers)
    assert table.model.steps == [(0, 1)] * 29


def test_upkeep_that_does_not_fit_is_left_until_it_does_and_a_lone_lane_is_not_made_late_by_its_own() -> None:
    table = Table(step_s=0.02)
    table.model.piece_s = 0.07
    session = table.open()
    answers = table.speak(session, range(1, 10))
    table.clock.at(GRID.time_of(3) + 0.001, lambda: table.model.upkeep_left.update({0: (1, False)}))
    table.work()
    assert table.batcher.load.late_frames <= 1, "one, to learn how long a piece takes"
    assert len([answer for answer in answers if answer.result(timeout=0).flags == StepFlag.NONE]) >= 8


def test_a_lane_whose_upkeep_is_due_waits_for_it_and_no_other_lane_does() -> None:
    table = Table(step_s=0.02)
    table.model.piece_s = 0.03
    first, second = table.open(), table.open()
    steady, held = table.speak(first, range(1, 10)), table.speak(second, range(1, 10))
    table.clock.at(GRID.time_of(5) - 0.001, lambda: table.model.upkeep_left.update({1: (1, True)}))
    table.work()
    assert table.model.kept_up == [1]
    assert table.model.steps[4:6] == [(0,), (1,)], "in the same tick, after the others and the upkeep"
    assert all(answer.result(timeout=0).flags == StepFlag.NONE for answer in steady + held)


def test_a_lane_waits_for_its_upkeep_no_longer_than_until_its_second_frame() -> None:
    table = Table(step_s=0.02)
    first, second = table.open(), table.open()
    steady, held = table.speak(first, range(1, 10)), table.speak(second, range(1, 10))
    table.model.piece_s = 0.2
    table.batcher._scheduler.done(Work.UPKEEP, 0.2)
    table.clock.at(GRID.time_of(5) - 0.001, lambda: table.model.upkeep_left.update({1: (1, True)}))
    table.clock.at(GRID.time_of(7) + 0.03, table.model.upkeep_left.clear)
    table.work()
    assert table.model.kept_up == []
    assert all(answer.result(timeout=0).flags == StepFlag.NONE for answer in steady)
    flags = [answer.result(timeout=0).flags for answer in held]
    assert flags == [StepFlag.NONE] * 4 + [StepFlag.LATE] * 2 + [StepFlag.NONE] * 3


def test_the_end_of_input_comes_between_the_frames_it_was_told_between() -> None:
    table = Table()
    session = table.open()
    seen: list[list[int]] = []
    table.model.on_step = lambda: seen.append(list(table.model.inputs_ended))
    session.feed(noise(1))
    session.end_input()
    session.feed(noise(2))
    table.work()
    assert seen == [[], [0]]
    session.close()
    session.end_input()


def test_copies_go_piece_by_piece_and_hold_no_other_lane() -> None:
    table = Table(step_s=0.02)
    table.model.piece_s = 0.015
    first, copied = table.open(), table.open()
    steady = table.speak(first, range(1, 40))
    table.work(GRID.time_of(10))
    taken = copied.snapshot()
    table.work(GRID.time_of(11))
    assert not taken.done()
    table.work()
    assert isinstance(taken.result(timeout=0), Snapshot)
    assert len(steady) == 39
    assert table.batcher.load.late_frames == 0


def test_a_session_closed_while_copied_ends_the_copy() -> None:
    table = Table(lanes=1)
    session = table.open()
    taken = session.snapshot()
    table.batcher.turn()
    table.batcher.turn()
    session.close()
    assert type(error_of(taken)) is SessionClosed
    follower = table.open(seed=3)
    assert isinstance(follower.snapshot(), Future)
    table.work()
    assert table.hear(follower, np.zeros_like(noise(0))).pcm[0] == 1.5


def test_only_snapshots_of_the_checkpoint_are_restored() -> None:
    table = Table()
    session = table.open()
    with pytest.raises(Unsupported, match="other"):
        session.restore(Snapshot("other", b"[]"))
    broken = session.restore(Snapshot("sum", b"nonsense"))
    answer = table.hear(session, noise(0))
    assert isinstance(error_of(broken), Unsupported)
    assert np.isfinite(answer.pcm).all()


def test_the_end_of_the_engine_is_told_to_everybody_once() -> None:
    table = Table()
    session = table.open()
    opening = table.batcher.open(PROMPT, 2)
    heard = session.feed(noise(0))
    table.batcher.abandon(EngineDied("the device is lost"))
    table.batcher.end(SessionClosed("later"))
    for future in (heard, opening, session.feed(noise(0))):
        assert type(error_of(future)) is EngineDied
    with pytest.raises(EngineDied):
        table.batcher.open(PROMPT, 3)
    assert table.batcher.ended
    session.close()


def test_a_device_error_in_a_step_fails_the_frames_of_that_step_too() -> None:
    table = Table()
    session = table.open()
    heard = session.feed(noise(0))
    table.model.break_with = RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(RuntimeError, match="CUDA"):
        table.work()
    table.batcher.abandon(EngineDied("lost"))
    assert type(error_of(heard)) is EngineDied


def test_the_load_is_measured() -> None:
    table = Table(lanes=4, step_s=0.02)
    session = table.open()
    for n in range(10):
        table.model.step_s = 0.05 if n == 4 else 0.02
        table.hear(session, noise(n))
    load = table.batcher.load
    assert (load.lanes, load.lanes_used, load.opening, load.steps) == (4, 1, 0, 10)
    assert load.step_p50_s == pytest.approx(0.02)
    assert load.step_p99_s == load.step_max_s == pytest.approx(0.05)


Event = tuple[str, int]


EVENTS = st.tuples(st.sampled_from(["open", "close", "feed", "poison", "say", "snapshot"]), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(EVENTS, max_size=4), min_size=6, max_size=12))
def test_a_session_says_the_same_alone_and_among_any_neighbours(ticks: list[list[Event]]) -> None:
    alone, crowded = Table(), Table()
    neighbours: list[Session] = [crowded.open(seed=50), crowded.open(seed=51)]
    answers = [table.speak(table.open(seed=1), range(5, 5 + len(ticks))) for table in (crowded, alone)]
    for n, events in enumerate(ticks):
        crowded.clock.at(GRID.time_of(5 + n), partial(_disturb, crowded, neighbours, events))
    crowded.work()
    alone.work()
    assert len(answers[0]) == len(ticks)
    assert said(answers[0]) == said(answers[1])


def _disturb(table: Table, neighbours: list[Session], events: list[Event]) -> None:
    for what, which in events:
        _disturb_once(table, neighbours, what, which)


def _disturb_once(table: Table, neighbours: list[Session], what: str, which: int) -> None:
    if what == "open":
        if table.batcher.sessions_open < table.batcher.capabilities.lanes:
            table.batcher.open(PROMPT, which).add_done_callback(
                lambda opening: neighbours.append(opening.result())
            )
        return
    if not neighbours:
        return
    session = neighbours[which % len(neighbours)]
    if what == "close":
        neighbours.remove(session)
        session.close()
    elif what == "say":
        session.say("some words", now=which == 0)
    elif what == "snapshot":
        session.snapshot()
    else:
        session.feed(np.full_like(noise(0), np.nan) if what == "poison" else noise(which))
