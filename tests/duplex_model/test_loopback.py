"""The delay line, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, SayCapability, TickGrid
from duplex_model.errors import SpecError
from duplex_model.loopback import LoopbackEngine
from duplex_model.sound import FADE_SAMPLES
from tests.duplex_model.engines import hum, opened, prompt

GRID = TickGrid(origin_s=0.0)


def said(delay_ms: float, heard: list[np.ndarray]) -> np.ndarray:
    with opened(LoopbackEngine(grid=GRID, delay_ms=delay_ms)) as session:
        return np.concatenate([session.feed(frame).result(0).pcm for frame in heard])


@settings(max_examples=30, deadline=None)
@given(st.floats(0.0, 500.0))
def test_it_says_what_it_heard_so_much_later(delay_ms: float) -> None:
    heard = [hum(n) for n in range(8)]
    delay_samples = round(delay_ms * SAMPLE_RATE_HZ / 1000)
    expected = np.concatenate([np.zeros(delay_samples, np.float32), *heard])[: 8 * FRAME_SAMPLES]
    np.testing.assert_array_equal(said(delay_ms, heard), expected)


def test_an_interruption_fades_what_is_held_and_forgets_the_rest() -> None:
    with opened(LoopbackEngine(grid=GRID, delay_ms=160.0)) as session:
        ones = np.ones(FRAME_SAMPLES, np.float32)
        for _ in range(3):
            session.feed(ones)
        session.interrupt()
        after = [session.feed(hum(n)).result(0).pcm for n in range(3)]
    fading = after[0][:FADE_SAMPLES]
    assert fading[0] > 0.99
    assert fading[-1] < 0.01
    assert (np.diff(fading) <= 0).all()
    assert not after[0][FADE_SAMPLES:].any()
    assert not after[1].any()
    np.testing.assert_array_equal(after[2], hum(0))


def test_without_delay_there_is_nothing_to_interrupt() -> None:
    with opened(LoopbackEngine(grid=GRID)) as session:
        session.feed(hum(0))
        session.interrupt()
        np.testing.assert_array_equal(session.feed(hum(1)).result(0).pcm, hum(1))


def test_it_serves_every_direction_and_renders_none() -> None:
    capabilities = LoopbackEngine(grid=GRID, lanes=3).capabilities
    assert capabilities.serves("es", "en")
    assert capabilities.serves("qu", "qu")
    assert not capabilities.translates
    assert capabilities.lanes == 3
    assert capabilities.licence == "ours"
    assert capabilities.say is SayCapability.NO


@pytest.mark.parametrize(
    "wrong", [{"lanes": 0}, {"lanes": 2.5}, {"delay_ms": -1.0}, {"delay_ms": float("nan")}]
)
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(SpecError, match=f"expected {next(iter(wrong))}"):
        LoopbackEngine(grid=GRID, **wrong)  # type: ignore[arg-type]


def test_another_delay_is_another_checkpoint() -> None:
    one, other = LoopbackEngine(grid=GRID), LoopbackEngine(grid=GRID, delay_ms=10.0)
    assert one.capabilities.checkpoint != other.capabilities.checkpoint


def test_timings_come_from_the_clock_given() -> None:
    engine = LoopbackEngine(grid=GRID, now=lambda: 42.0)
    with engine.open(prompt(), seed=1).result(0) as session:
        timing = session.feed(hum(0)).result(0).timing
    assert (timing.received_s, timing.started_s, timing.finished_s) == (42.0, 42.0, 42.0)
