"""When a call is renewed, and from which columns: counted in frames, without a model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.config import CHECKPOINTS
from duplex_model.contract import LongCalls
from duplex_model.delays import delayed
from duplex_model.errors import Unsupported
from duplex_model.long_call import (
    SINKS_ONLY,
    LongCall,
    LongCallPlan,
    LongCallPlans,
    next_seed,
    plan_for,
    plans_for,
    unheard,
)
from duplex_model.prompt import PromptColumns
from tests.duplex_model.small import small_lm

CONFIG = replace(small_lm("hibiki-2b"), temporal=replace(small_lm("hibiki-2b").temporal, context=64))
REFRESH = LongCallPlan(method=LongCalls.REFRESH, after_frames=40, recent_frames=8, quiet_frames=3)
RESTART = replace(REFRESH, method=LongCalls.RESTART, recent_frames=0)


def frames(seed: int, count: int) -> torch.Tensor:
    return torch.randint(CONFIG.card, (CONFIG.streams, count), generator=torch.Generator().manual_seed(seed))


def call(plan: LongCallPlan = REFRESH, prompt: int = 10) -> LongCall:
    return LongCall(plan, CONFIG, PromptColumns(delayed(CONFIG, frames(1, prompt))))


def hear(subject: LongCall, count: int, *, silent: bool = False) -> None:
    for _ in range(count):
        subject.stepped([subject.position % 30] * CONFIG.streams, silent=silent)


def test_every_checkpoint_has_a_plan() -> None:
    for config in CHECKPOINTS.values():
        plan = plan_for(
            config.long_calls, trained_frames=config.trained_frames, window_frames=config.window_frames
        )
        assert plan.method is (LongCalls.RESTART if "hibiki" in config.name else LongCalls.SINKS)
        assert config.ends_source == ("hibiki" in config.name)
        assert plan.after_frames == config.trained_frames


def test_an_engine_with_room_for_renewals_leaves_the_choice_to_its_sessions() -> None:
    sizes = {"trained_frames": 40, "window_frames": 64}
    bound = plans_for(LongCalls.SINKS, renewals=False, **sizes)
    assert (bound.methods, bound.renews) == ({LongCalls.SINKS}, False)
    free = plans_for(LongCalls.SINKS, renewals=True, **sizes)
    assert (free.methods, free.renews) == (frozenset(LongCalls), True)
    assert free.of(None).method is LongCalls.SINKS
    for method in LongCalls:
        assert free.of(method) == plan_for(method, **sizes)
        assert bound.of(method) == bound.own


@pytest.mark.parametrize("chosen", LongCalls)
def test_what_was_chosen_is_kept_where_it_can_be(chosen: LongCalls) -> None:
    free = plans_for(LongCalls.SINKS, renewals=True, trained_frames=40, window_frames=64)
    prompt = PromptColumns(delayed(CONFIG, frames(1, 3)))
    tensors = LongCall(free.of(chosen), CONFIG, prompt, chosen).tensors()
    there = LongCall.restored(LongCallPlans(RESTART), CONFIG, tensors)
    assert there.plan.method is (LongCalls.SINKS if chosen is LongCalls.SINKS else LongCalls.RESTART)
    back = LongCall.restored(free, CONFIG, there.anew().tensors())
    assert back.plan.method is chosen


def test_nothing_happens_before_the_limit_however_silent_it_is() -> None:
    subject = call()
    hear(subject, 40 - subject.position - 1, silent=True)
    assert subject.waited is None
    hear(subject, 1, silent=True)
    assert subject.waited == 0
    assert not subject.due, "the pieces need time"


def test_a_silence_after_the_limit_is_waited_for() -> None:
    subject = call()
    hear(subject, 40 - subject.position + subject.lead)
    assert not subject.due
    hear(subject, 2, silent=True)
    assert not subject.due
    hear(subject, 1, silent=True)
    assert subject.due
    subject.disturbed()
    assert not subject.due


def test_a_silence_that_was_missed_is_not_tried_again_at_once() -> None:
    subject = call()
    hear(subject, 40 - subject.position + subject.lead - 3)
    hear(subject, 3, silent=True)
    assert subject.due
    hear(subject, 1, silent=True)
    assert not subject.due
    hear(subject, subject.lead, silent=True)
    assert subject.due


def test_without_a_silence_a_refresh_comes_all_the_same_and_a_restart_does_not() -> None:
    refreshed, restarted = call(), call(RESTART)
    hear(refreshed, 40 - refreshed.position + refreshed.patience)
    assert refreshed.due
    hear(restarted, 10_000)
    assert not restarted.due
    hear(restarted, 3, silent=True)
    assert restarted.due


def test_a_wait_that_was_in_vain_begins_again_with_what_is_recent_then() -> None:
    subject = call()
    hear(subject, 40 - subject.position + subject.patience)
    waits = subject.waits
    hear(subject, 1)
    assert (subject.waited, subject.kept, subject.waits) == (0, subject.recent, waits + 1)


def test_sinks_are_never_renewed_and_nothing_is_kept() -> None:
    subject = call(SINKS_ONLY)
    hear(subject, 10_000, silent=True)
    assert not subject.due
    assert subject.tensors()["history"].numel() == 0


@pytest.mark.slow
@settings(deadline=None)
@given(
    prompt=st.integers(0, 63),
    after=st.integers(1, 200),
    recent=st.integers(0, 80),
    silences=st.lists(st.booleans(), max_size=300),
)
def test_positions_and_memory_are_bounded(prompt: int, after: int, recent: int, silences: list[bool]) -> None:
    subject = call(replace(REFRESH, after_frames=after, recent_frames=recent, quiet_frames=1), prompt)
    for silent in silences:
        if subject.due:
            assert subject.renewed_position < min(subject.limit, CONFIG.temporal.context)
            subject.refreshed()
        hear(subject, 1, silent=silent)
        if subject.lead < subject.patience:
            assert subject.position <= max(subject.limit, prompt + 1) + subject.patience
            assert len(subject.tensors()["history"]) <= CONFIG.temporal.context


@settings(deadline=None, max_examples=30)
@given(prompt=st.integers(0, 12), live=st.integers(35, 45), cut=st.integers(1, 20))
def test_the_columns_are_those_of_prompt_and_recent_frames_heard_one_after_the_other(
    prompt: int, live: int, cut: int
) -> None:
    told, heard = frames(1, prompt), frames(2, live + 4)
    subject = call(replace(REFRESH, after_frames=30), prompt)
    table = delayed(CONFIG, torch.cat([told, heard], dim=1))
    for position in range(prompt + 1, prompt + 1 + live):
        if subject.waited == subject.patience:
            break
        subject.stepped(table[:, position].tolist(), silent=False)
    assert subject.waited is not None
    kept = subject.kept + subject.waited
    first = subject.position - kept - prompt - 1  # frames forgotten
    expected = delayed(CONFIG, torch.cat([told, heard[:, first:]], dim=1))
    until = subject.renewed_position
    pieces = [subject.columns(start, min(start + cut, until)) for start in range(0, until, cut)]
    assert torch.equal(torch.cat(pieces, dim=1), expected[:, :until])


def test_what_it_is_made_of_makes_it_again() -> None:
    subject = call()
    hear(subject, 40 - subject.position + subject.lead)
    hear(subject, 2, silent=True)
    subject.ended = True
    again = LongCall.restored(LongCallPlans(REFRESH), CONFIG, subject.tensors())
    for each in (subject, again):
        hear(each, 1, silent=True)
        assert each.due
    assert again.ended
    assert again.renewed_position == subject.renewed_position
    assert torch.equal(again.columns(0, 30), subject.columns(0, 30))


def test_a_call_goes_on_under_another_plan() -> None:
    subject = call(RESTART)
    hear(subject, 100)
    again = LongCall.restored(LongCallPlans(REFRESH), CONFIG, subject.tensors())
    hear(again, again.lead)
    hear(again, 3, silent=True)
    assert again.due
    assert again.renewed_position == again.prompt_positions + 1 + again.lead + 3


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("prompt", torch.zeros(3, 20, dtype=torch.int64)),
        ("prompt", torch.zeros(33, 20)),
        ("prompt", torch.full((33, 20), 10_000)),
        ("prompt", torch.zeros(33, 1, dtype=torch.int64)),
        ("prompt", torch.zeros(33, 200, dtype=torch.int64)),
        ("history", torch.zeros(7, dtype=torch.int64)),
        ("history", torch.full((5, 33), -3)),
        ("embedded", torch.zeros(4, 3)),
        ("state", torch.zeros(3, dtype=torch.uint8)),
    ],
)
def test_what_is_no_call_is_refused(name: str, wrong: torch.Tensor) -> None:
    with pytest.raises(Unsupported, match="expected"):
        LongCall.restored(LongCallPlans(REFRESH), CONFIG, call().tensors() | {name: wrong})
    tensors = call().tensors()
    del tensors["state"]
    with pytest.raises(Unsupported, match="got none"):
        LongCall.restored(LongCallPlans(REFRESH), CONFIG, tensors)


def test_seeds_do_not_come_again() -> None:
    seeds = [5]
    for _ in range(1000):
        seeds.append(next_seed(seeds[-1]))
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 1 << 63 for seed in seeds)


def test_a_lane_without_a_session_has_no_prompt() -> None:
    assert unheard(REFRESH, CONFIG).prompt_positions == 0
