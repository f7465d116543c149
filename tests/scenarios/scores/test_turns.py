from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scenarios.scores.turn_taking import Sides, joined, stretches_of, turn_scores
from scenarios.voicing import Span


def spans(*times: tuple[float, float]) -> tuple[Span, ...]:
    return tuple(Span(start_s=a, end_s=b) for a, b in times)


def test_the_floor_is_transferred_with_an_offset() -> None:
    # A talks, B answers after 0.3 s, A comes in 0.2 s too soon, pauses, goes on.
    found = stretches_of(Sides(one=spans((0.0, 2.0), (3.8, 5.0), (5.5, 6.0)), other=spans((2.3, 4.0))))
    assert found.offsets_s == pytest.approx((0.3, -0.2))
    assert found.gaps == spans((2.0, 2.3))
    assert found.pauses == spans((5.0, 5.5))
    (overlap,) = found.overlaps
    assert (overlap.start_s, overlap.end_s) == (3.8, 4.0)


def test_what_lies_within_the_others_speech_transfers_nothing() -> None:
    found = stretches_of(Sides(one=spans((0.0, 10.0)), other=spans((4.0, 4.4), (10.2, 11.0))))
    assert found.offsets_s == pytest.approx((0.2,))
    assert found.overlaps == spans((4.0, 4.4))
    assert found.gaps == spans((10.0, 10.2))


def test_figures_are_per_minute_of_conversation() -> None:
    found = stretches_of(Sides(one=spans((0.0, 6.0), (7.0, 9.0)), other=spans((9.5, 12.5))))
    scores = {one.name: one for one in turn_scores("turns", [found, found], 60.0)}
    assert scores["turns.ipus.rate"].value == pytest.approx(6.0)
    assert scores["turns.ipus.time"].value == pytest.approx(22.0)
    assert scores["turns.pauses.time"].value == pytest.approx(2.0)
    assert scores["turns.gaps.time"].value == pytest.approx(1.0)
    assert scores["turns.offset.p50"].value == pytest.approx(0.5)


def test_people_of_one_side_are_joined() -> None:
    assert joined(spans((3.0, 4.0), (0.0, 2.0), (1.0, 2.5))) == spans((0.0, 2.5), (3.0, 4.0))


SIDE = st.lists(st.floats(0.1, 3.0), max_size=12).map(
    lambda steps: spans(*((sum(steps[: 2 * n + 1]), sum(steps[: 2 * n + 2])) for n in range(len(steps) // 2)))
)


@pytest.mark.slow
@given(SIDE, SIDE)
def test_time_is_talk_of_one_or_both_or_silence(one: tuple[Span, ...], other: tuple[Span, ...]) -> None:
    found = stretches_of(Sides(one=one, other=other))
    everything = joined([*one, *other])
    if not everything:
        return
    talk = sum(span.duration_s for span in (*one, *other)) - sum(span.duration_s for span in found.overlaps)
    silence = sum(span.duration_s for span in (*found.pauses, *found.gaps))
    assert talk + silence == pytest.approx(everything[-1].end_s - everything[0].start_s)


@example(one=spans((1.0, 2.0), (4.0, 5.0)), other=spans((1.0, 3.0), (4.0, 5.0)))
@given(SIDE, SIDE)
def test_sides_may_be_exchanged(one: tuple[Span, ...], other: tuple[Span, ...]) -> None:
    a, b = stretches_of(Sides(one=one, other=other)), stretches_of(Sides(one=other, other=one))
    assert (len(a.gaps), len(a.pauses), len(a.overlaps)) == (len(b.gaps), len(b.pauses), len(b.overlaps))
