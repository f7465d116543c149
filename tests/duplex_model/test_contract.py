from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import FRAME_S, Capabilities, TickGrid, check_frame
from duplex_model.errors import FrameError

ORIGINS = st.floats(0, 1e7, allow_nan=False)
TICKS = st.integers(0, 10_000_000)


@given(ORIGINS, TICKS)
def test_a_tick_belongs_to_itself_and_the_next_one_follows_it(origin_s: float, tick: int) -> None:
    grid = TickGrid(origin_s=origin_s)
    assert grid.tick_at(grid.time_of(tick)) == tick
    assert grid.next_tick(grid.time_of(tick)) == tick + 1


@given(ORIGINS, TICKS, st.floats(0.001, FRAME_S - 0.001))
def test_every_time_lies_between_its_tick_and_the_next(origin_s: float, tick: int, after_s: float) -> None:
    grid = TickGrid(origin_s=origin_s)
    now_s = grid.time_of(tick) + after_s
    assert grid.time_of(grid.tick_at(now_s)) <= now_s < grid.time_of(grid.next_tick(now_s))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.zeros(1920), r"got float64 \[1920\]"),
        (np.zeros((1, 1920), dtype=np.float32), r"got float32 \[1, 1920\]"),
        ([0.0] * 1920, "got list"),
    ],
)
def test_another_frame_is_refused_in_words(frame: object, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        check_frame(frame)  # type: ignore[arg-type]


def test_a_star_stands_for_any_language() -> None:
    def can(languages: dict[str, frozenset[str]]) -> Capabilities:
        return Capabilities(checkpoint="x", licence="y", languages=languages, translates=True, lanes=1)

    assert can({"*": frozenset({"*"})}).serves("es", "en")
    assert can({"es": frozenset({"en"})}).serves("es", "en")
    assert not can({"es": frozenset({"en"})}).serves("en", "es")
