"""Calls that cross what was trained several times, with the real model, tiny and random.

Levels are no matter here and text is seldom padding, so a lane is silent where it was interrupted a moment ago.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from duplex_model.batch_model import BatchStep, Mask
from duplex_model.batcher import Batcher, EngineOptions
from duplex_model.contract import LongCalls, Pcm, Prompt, Session, StepFlag, StepOutput
from duplex_model.delays import delayed
from duplex_model.engine import NeuralEngine
from duplex_model.errors import PromptError, SessionFailed
from duplex_model.long_call import SINKS_ONLY, LongCall, LongCallPlan, LongCallPlans, next_seed
from duplex_model.neural import NeuralModel
from duplex_model.offline import run_offline
from duplex_model.sampling import sample
from duplex_model.speech import HUSH_FRAMES
from tests.duplex_model.batches import GRID, HandClock
from tests.duplex_model.lanes_of_noise import PROMPT, SAMPLED, noise_model
from tests.duplex_model.test_neural import Lanes, bits, frames, memory_of

pytestmark = pytest.mark.slow

UNPROMPTED = replace(PROMPT, role_text="")
REFRESH = LongCallPlan(
    method=LongCalls.REFRESH, after_frames=24, recent_frames=4, quiet_frames=3, quiet_dbfs=200.0
)
RESTART = replace(REFRESH, method=LongCalls.RESTART, after_frames=8, recent_frames=0)
PAUSES = range(10, 1000, 14)
"""Frames before which the session is interrupted."""

LONG = 70


def of(plan: LongCallPlan) -> Lanes:
    name = "hibiki-1b" if plan.method is LongCalls.RESTART else "personaplex-7b"
    return Lanes(name, lanes=2, long_calls=plan)


def told(plan: LongCallPlan) -> Prompt:
    return UNPROMPTED if plan is RESTART else PROMPT


def position(lanes: Lanes, session: Session) -> int:
    return int(lanes.model.generator.positions[lane_of(session)])


def lane_of(session: Session) -> int:
    lane: int = session.lane  # type: ignore[attr-defined]
    return lane


def call(
    lanes: Lanes, session: Session, heard: Sequence[Pcm], pauses: Iterable[int] = PAUSES
) -> tuple[list[StepOutput], list[int]]:
    """What is said, and the lane's position after each frame."""
    said, positions = [], []
    for n, frame in enumerate(heard):
        if n in pauses:
            session.interrupt()
        said += lanes.hear(session, [frame])
        positions.append(position(lanes, session))
    return said, positions


def renewals(positions: Sequence[int]) -> list[int]:
    """Frames after which a lane stands at an earlier position."""
    return [n for n in range(1, len(positions)) if positions[n] <= positions[n - 1]]


@pytest.mark.parametrize("plan", [REFRESH, RESTART], ids=["refresh", "restart"])
def test_a_call_crosses_the_limit_again_and_again_and_stays_small_and_sound(plan: LongCallPlan) -> None:
    lanes = of(plan)
    session = lanes.open(prompt=told(plan))
    said, positions = call(lanes, session, frames(1, LONG))
    assert len(renewals(positions)) >= 3
    assert max(positions) <= plan.after_frames + 14 + HUSH_FRAMES
    assert all(np.isfinite(output.pcm).all() for output in said)
    assert max(len(held._history) for held in lanes.model._calls) <= 24
    before = [tensor.data_ptr() for tensor in memory_of(lanes.model)]
    again, _ = call(lanes, session, frames(2, LONG))
    assert [tensor.data_ptr() for tensor in memory_of(lanes.model)] == before, "in place, at fixed addresses"
    assert len({output.pcm.tobytes() for output in said + again}) > LONG


@pytest.mark.parametrize("plan", [REFRESH, RESTART], ids=["refresh", "restart"])
def test_a_renewed_session_says_the_same_at_any_pace_lane_and_company(plan: LongCallPlan) -> None:
    alone = of(plan)
    expected, positions = call(alone, alone.open(prompt=told(plan)), frames(1, LONG))
    assert renewals(positions)
    lanes = of(plan)
    neighbour = lanes.open(seed=8, prompt=told(plan))
    subject = lanes.open(prompt=told(plan))
    answers = []
    for n, frame in enumerate(frames(1, LONG)):
        if n in PAUSES:
            subject.interrupt()
        answers.append(subject.feed(frame))
        if plan is RESTART or n % 10 == 0:  # of several to be refreshed, one waits for the other
            neighbour.feed(frame)
        if n % 5 == 0:
            lanes.work()
    lanes.work()
    assert bits([answer.result(timeout=0) for answer in answers]) == bits(expected)


@pytest.mark.parametrize("plan", [REFRESH, RESTART], ids=["refresh", "restart"])
def test_no_bit_of_another_lane_changes_and_no_frame_of_anybody_is_late(plan: LongCallPlan) -> None:
    def beside(long_calls: LongCallPlan) -> tuple[list[tuple[bytes, str]], list[int]]:
        timed = Timed("hibiki-1b" if plan is RESTART else "personaplex-7b", long_calls)
        long, *others = (timed.open(seed, told(plan)) for seed in (5, 6, 7))
        for session in others:
            timed.never_renew(session)
        answers = []
        for tick in range(timed.next_tick, timed.next_tick + 60):
            answers += [timed.speak(session, frames(tick, 1)[0], tick) for session in (*others, long)]
            if tick % 14 == 0:
                timed.clock.at(GRID.time_of(tick) - 0.001, long.interrupt)
        timed.run()
        outputs = [answer.result(timeout=0) for answer in answers]
        assert not any(StepFlag.LATE in output.flags for output in outputs)
        assert timed.batcher.load.late_frames == 0
        return bits([output for n, output in enumerate(outputs) if n % 3 < 2]), timed.model.kept_up

    expected, _ = beside(SINKS_ONLY)
    said, kept_up = beside(plan)
    assert kept_up.count(0) >= 3
    assert said == expected


class Timed:
    """The real model on a clock by which steps and pieces take time."""

    def __init__(self, name: str, plan: LongCallPlan | LongCallPlans) -> None:
        self.clock = HandClock()
        self._neural = noise_model(3, name, long_calls=plan)
        self.model = _TimedModel(self._neural, self.clock)
        self.batcher = Batcher(self.model, grid=GRID, options=EngineOptions(), now_s=self.clock)

    @property
    def next_tick(self) -> int:
        return GRID.next_tick(self.clock())

    def open(self, seed: int, prompt: Prompt) -> Session:
        opening = self.batcher.open(prompt, seed)
        self.run()
        return opening.result(timeout=0)

    def never_renew(self, session: Session) -> None:
        calls, lane = self._neural._calls, lane_of(session)
        calls[lane] = LongCall(SINKS_ONLY, self._neural.generator.lm.config, calls[lane].prompt)

    def speak(self, session: Session, frame: Pcm, tick: int) -> Any:
        answer: list[Any] = []
        self.clock.at(GRID.time_of(tick) - 0.0005, lambda: answer.append(session.feed(frame)))
        return _Later(answer)

    def run(self) -> None:
        """Until nothing is left to do or to come."""
        while True:
            until_s = self.batcher.turn()
            if until_s <= self.clock():
                continue
            until_s = min(until_s, self.clock.next_event_s)
            if until_s == float("inf"):
                return
            self.clock.move_to(until_s)


class _Later:
    def __init__(self, answer: list[Any]) -> None:
        self.answer = answer

    def result(self, timeout: float) -> StepOutput:
        output: StepOutput = self.answer[0].result(timeout)
        return output


class _TimedModel:
    """A model whose steps take 30 ms and whose pieces take 20 ms."""

    def __init__(self, model: NeuralModel, clock: HandClock) -> None:
        self._model = model
        self._clock = clock
        self.kept_up: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def step(self, pcm: Pcm, executing: Mask) -> BatchStep:
        self._clock.move_to(self._clock() + 0.03)
        return self._model.step(pcm, executing)

    def keep_up(self, lane: int) -> None:
        self._clock.move_to(self._clock() + 0.02)
        self.kept_up.append(lane)
        self._model.keep_up(lane)


CHOICES = LongCallPlans(SINKS_ONLY, {LongCalls.REFRESH: REFRESH, LongCalls.RESTART: RESTART})


def choosing(method: LongCalls | None) -> Prompt:
    return replace(PROMPT, long_calls=method)


def test_sessions_of_one_engine_choose_what_becomes_of_their_calls() -> None:
    """Each says what it says alone in an engine that does the same with every call."""
    together = Lanes("personaplex-7b", lanes=3, long_calls=CHOICES)
    assert together.model.capabilities.long_calls == frozenset(LongCalls)
    sessions = {method: together.open(prompt=choosing(method)) for method in (*CHOICES.others, None)}
    said: dict[LongCalls | None, list[StepOutput]] = {method: [] for method in sessions}
    for n, frame in enumerate(frames(1, LONG)):
        for method, session in sessions.items():
            said[method] += call(together, session, [frame], [0] if n in PAUSES else [])[0]
    for method in sessions:
        alone = Lanes("personaplex-7b", lanes=3, long_calls=CHOICES.of(method))
        expected, positions = call(alone, alone.open(), frames(1, LONG))
        assert bool(renewals(positions)) == (method is not None)
        assert bits(said[method]) == bits(expected)
    assert len(together.model._prefixes._prefixes) == 1, "the same prompt, however its call is prolonged"


@pytest.mark.parametrize(("later", "in_turn"), [(0, [[1], [0]]), (3, [[0], [], [], [1], [0]])])
def test_a_restart_goes_first_and_a_refresh_that_lost_its_pieces_begins_again(
    later: int, in_turn: list[list[int]]
) -> None:
    """Both are computed in the one lane apart; the restart asks for it so many frames later than the refresh."""

    def run(beside: LongCalls) -> tuple[list[bytes], list[list[int]]]:
        others = {
            LongCalls.REFRESH: replace(REFRESH, after_frames=60, recent_frames=30),
            LongCalls.RESTART: replace(RESTART, after_frames=60 + later),
        }
        plans = LongCallPlans(SINKS_ONLY, others)
        model = noise_model(2, "personaplex-7b", long_calls=plans, window_frames=128)
        for lane, prompt in enumerate((choosing(LongCalls.REFRESH), choosing(beside))):
            for _ in model.prepare(replace(prompt, role_text="abc" if lane == 0 else "xyz"), 5)(lane):
                pass
        said, kept_up = [], []
        for n, frame in enumerate(frames(1, 90)):
            if n >= 70:
                model.interrupt(0)
                model.interrupt(1)
            said.append(model.step(np.stack([frame, frame]), np.ones(2, bool)).pcm[0].tobytes())
            kept_up.append([entry.lane for entry in model.upkeep()])
            for lane in kept_up[-1]:
                model.keep_up(lane)
        assert int(model.generator.positions[0]) < 90, "refreshed"
        return said, kept_up

    alone, first_pieces = run(LongCalls.SINKS)
    said, kept_up = run(LongCalls.RESTART)
    begun = first_pieces.index([0])
    assert kept_up[begun : begun + len(in_turn)] == in_turn
    assert said == alone


def test_what_a_session_chose_goes_with_its_snapshot() -> None:
    lanes = Lanes("personaplex-7b", lanes=2, long_calls=CHOICES)
    heirs = Lanes("personaplex-7b", lanes=2, long_calls=CHOICES)
    session, heir = lanes.open(prompt=choosing(LongCalls.RESTART)), heirs.open(seed=2)
    call(lanes, session, frames(1, 22))
    taken = session.snapshot()
    expected, positions = call(lanes, session, frames(2, LONG))
    restored = heir.restore(taken.result(timeout=0))
    said, _ = call(heirs, heir, frames(2, LONG))
    assert restored.done()
    assert renewals(positions)
    assert bits(said) == bits(expected)


def test_an_engine_without_room_for_renewals_offers_none() -> None:
    lanes = Lanes("personaplex-7b", lanes=1)
    assert lanes.model.capabilities.long_calls == {LongCalls.SINKS}
    lanes.open(prompt=choosing(LongCalls.SINKS)).close()
    with pytest.raises(PromptError, match=r"prepared for here \(sinks\), got refresh"):
        lanes.open(prompt=choosing(LongCalls.REFRESH))


def test_a_restarted_session_is_a_fresh_one_bit_for_bit() -> None:
    lanes = of(RESTART)
    said, positions = call(lanes, lanes.open(prompt=UNPROMPTED), frames(1, LONG))
    seed = 5
    starts = [n + 1 for n in renewals(positions)]
    assert len(starts) >= 3
    for start, end in zip(starts, [*starts[1:], LONG], strict=True):
        seed = next_seed(seed)
        fresh = of(RESTART)
        pauses = [n - start for n in PAUSES]
        expected, _ = call(fresh, fresh.open(seed, UNPROMPTED), frames(1, LONG)[start:end], pauses)
        assert bits(said[start:end]) == bits(expected)
        assert not said[start].pcm.any(), "nothing whole has left yet"


def columns_read(lanes: Lanes, count: int) -> tuple[list[torch.Tensor], list[int]]:
    """The column that each step of a session read, and its position after the step."""
    session = lanes.open()
    generator = lanes.model.generator
    read, positions = [], []
    for n, frame in enumerate(frames(1, count)):
        if n in (36, 38):
            session.interrupt()
        lanes.hear(session, [frame])
        positions.append(position(lanes, session))
        ring = generator._lanes[generator.table]["ring"][lane_of(session)]
        read.append(ring[:, (positions[-1] - 1) % generator.table.slots].clone())
    return read, positions


def test_a_refreshed_session_goes_on_as_after_its_prompt_and_the_recent_frames() -> None:
    """Its text is what teacher-forced logits of the whole new table give, drawn by the new seed."""
    plan = replace(REFRESH, after_frames=40, recent_frames=12)
    lanes = Lanes("personaplex-7b", lanes=1, long_calls=plan, window_frames=64)
    read, positions = columns_read(lanes, 80)
    generator, config = lanes.model.generator, lanes.model.generator.lm.config
    swap = renewals(positions)[0]
    last = swap + 20
    assert positions[last] == positions[swap] + 20 < 64, "neither another renewal nor the ring's turn"
    prompt = lanes.model._calls[0].prompt.tokens
    told_frames = lanes.model._calls[0].prompt_positions
    kept = positions[swap] - 1 - told_frames
    assert kept >= plan.recent_frames
    # Frames 1, 2, ... of the new call: the prompt's, then those of the columns kept, each at its delay.
    live = torch.stack(read[swap - kept + 1 : last + 1], dim=1)
    count = live.shape[1] - config.acoustic_delay
    delays = list(enumerate(config.delays))
    frames_told = torch.stack([prompt[k, 1 + delay : 1 + delay + told_frames] for k, delay in delays])
    frames_kept = torch.stack([live[k, delay : delay + count] for k, delay in delays])
    table = delayed(config, torch.cat([frames_told, frames_kept], dim=1))
    until = told_frames + 1 + count
    with torch.no_grad():
        logits, _ = generator.lm(table[None, :, :until])
    first = positions[swap] + HUSH_FRAMES  # where text is the model's own again
    at = torch.arange(first, until)
    drawn = sample(
        logits[0, first - 1 : until - 1],
        SAMPLED.text,
        seed=torch.full_like(at, next_seed(5)),
        position=at,
        stream=0,
    )
    assert len(at) >= 8
    assert torch.equal(drawn, table[0, first:until])
    # What was heard, and what was decided before, is as if nothing had happened.
    never, _ = columns_read(Lanes("personaplex-7b", lanes=1, window_frames=64), last + 1)
    own = generator.table.own
    assert all(torch.equal(a[own:], b[own:]) for a, b in zip(read, never, strict=False))
    assert torch.equal(read[swap + 1], never[swap + 1])


@pytest.mark.parametrize("plan", [REFRESH, RESTART], ids=["refresh", "restart"])
@pytest.mark.parametrize("at", [22, 33])
def test_a_snapshot_goes_on_through_renewals_to_come(plan: LongCallPlan, at: int) -> None:
    lanes, heirs = of(plan), of(plan)
    heard = frames(1, LONG)
    expected, positions = call(lanes, lanes.open(prompt=told(plan)), heard)
    again = of(plan)
    session = again.open(prompt=told(plan))
    call(again, session, heard[:at])
    taken = session.snapshot()
    again.work()
    heirs.open(seed=1)
    heir = heirs.open(seed=2, prompt=UNPROMPTED)
    heirs.hear(heir, frames(3, 40))
    restored = heir.restore(taken.result(timeout=0))
    heirs.work()
    assert restored.result(timeout=0) is None
    said, _ = call(heirs, heir, heard[at:], [n - at for n in PAUSES])
    assert renewals(positions)
    assert bits(said) == bits(expected)[at:]


@pytest.mark.parametrize("plan", [REFRESH, RESTART], ids=["refresh", "restart"])
def test_a_lane_given_back_while_it_is_renewed_is_as_new(plan: LongCallPlan) -> None:
    lanes, fresh = of(plan), of(plan)
    expected, _ = call(fresh, fresh.open(prompt=told(plan)), frames(1, 60))
    for length in (20, 27, 31):
        session = lanes.open(seed=3, prompt=told(plan))
        call(lanes, session, frames(4, length))
        failing = session.feed(np.full_like(frames(1, 1)[0], np.nan))
        lanes.work()
        assert isinstance(failing.exception(timeout=0), SessionFailed)
        session.close()
    said, _ = call(lanes, lanes.open(prompt=told(plan)), frames(1, 60))
    assert bits(said) == bits(expected)


def test_nobody_is_renewed_while_a_text_is_said() -> None:
    lanes = of(RESTART)
    session = lanes.open(prompt=UNPROMPTED)
    call(lanes, session, frames(1, 20))
    session.interrupt()
    spoken = session.say("good morning to you all")
    said, positions = call(lanes, session, frames(2, 60), [])
    assert spoken.done()
    text = [output.text for output in said if StepFlag.AS_SELF in output.flags]
    assert "".join("".join(text).split()).startswith("goodmorning")
    assert not renewals(positions[: max(n for n, o in enumerate(said) if StepFlag.AS_SELF in o.flags)])


@pytest.mark.parametrize("trained", [True, False])
def test_the_end_of_the_source_is_heard_once_on_all_codebooks(trained: bool) -> None:
    lanes = Lanes("hibiki-2b", ends_source=trained)
    session = lanes.open(prompt=PROMPT)
    call(lanes, session, frames(1, 12), [])
    taken = session.snapshot()
    session.end_input()  # type: ignore[attr-defined]
    lanes.hear(session, frames(2, 1))
    generator = lanes.model.generator
    lane = lane_of(session)
    heard = generator._lanes[generator.table]["ring"][lane, generator.table.own :]
    marker = generator.lm.config.end_of_source
    assert (heard == marker).sum(dim=1).tolist() == [int(trained)] * len(heard)
    lanes.hear(session, frames(2, 3))
    assert (heard == marker).sum().item() <= int(trained) * len(heard)
    assert taken.done()


def test_a_snapshot_takes_the_end_of_the_source_along() -> None:
    lanes, heirs = Lanes("hibiki-2b", ends_source=True), Lanes("hibiki-2b", ends_source=True)
    session = lanes.open()
    lanes.hear(session, frames(1, 3))
    session.end_input()  # type: ignore[attr-defined]
    taken = session.snapshot()
    expected = bits(lanes.hear(session, frames(2, 10)))
    heir = heirs.open(seed=2)
    heir.restore(taken.result(timeout=0))
    assert bits(heirs.hear(heir, frames(2, 10))) == expected


def test_an_offline_run_tells_a_model_that_knows_it_where_the_recording_ends() -> None:
    def run(trained: bool, tail_s: float) -> list[bytes]:
        engine = NeuralEngine(noise_model(1, "hibiki-2b", ends_source=trained), grid=GRID)
        pcm = np.concatenate(frames(1, 6))[:-100]
        result = run_offline(engine, UNPROMPTED, pcm, seed=1, report=lambda done, words: None, tail_s=tail_s)
        engine.close()
        return [frame.tobytes() for frame in result.pcm.reshape(-1, 1920)]

    told_it, not_told = run(True, 0.8), run(False, 0.8)
    assert len(told_it) == len(not_told) == 16
    assert told_it[:6] == not_told[:6]
    assert told_it[6:] != not_told[6:]
    assert run(True, 0.0) == told_it[:6]
