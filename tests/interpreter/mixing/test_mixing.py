from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from interpreter.mixing.mixing import (
    DUCK_BLOCK_SAMPLES,
    LIMIT_CEILING,
    LIMIT_LOOKAHEAD_SAMPLES,
    ROUTE_STEP,
    Duck,
    Ducking,
    Limit,
    approach,
    duck,
    limit,
    mix,
)
from tests.fakes import tone

RATE = 24_000
seeds = st.integers(0, 2**32 - 1)


def noise(seed: int, *shape: int, peak: float = 1.0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-peak, peak, shape).astype(np.float32)


def gains(seed: int, listeners: int, sources: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(0, 1, (listeners, sources)).astype(np.float32)


def cut(pcm: NDArray[np.float32], places: list[int]) -> list[NDArray[np.float32]]:
    return np.split(pcm, sorted(places))


@given(seeds, st.floats(-2, 2), st.floats(-2, 2))
def test_mix_is_linear(seed: int, a: float, b: float) -> None:
    x, y = noise(seed, 4, 960), noise(seed + 1, 4, 960)
    before, after = gains(seed, 3, 4), gains(seed + 1, 3, 4)
    both = mix((a * x + b * y).astype(np.float32), before, after)
    apart = a * mix(x, before, after) + b * mix(y, before, after)
    np.testing.assert_allclose(both, apart, atol=1e-4)


@given(seeds)
def test_a_voice_without_gain_is_absent_to_the_last_bit(seed: int) -> None:
    voices = noise(seed, 4, 960)
    before, after = gains(seed, 4, 4), gains(seed + 1, 4, 4)
    np.fill_diagonal(before, 0.0)
    np.fill_diagonal(after, 0.0)
    mixed = mix(voices, before, after)
    for own in range(4):
        without = voices.copy()
        without[own] = 0.0
        np.testing.assert_array_equal(mix(without, before, after)[own], mixed[own])


def test_gains_move_in_a_straight_line_from_the_sample_before_to_the_last() -> None:
    ramp = mix(np.ones((1, 100), dtype=np.float32), np.zeros((1, 1)), np.ones((1, 1)))[0]
    np.testing.assert_allclose(ramp, np.arange(1, 101) / 100, atol=1e-6)


@given(seeds)
def test_no_gain_moves_faster_than_the_ramp(seed: int) -> None:
    before, target = gains(seed, 3, 4), gains(seed + 1, 3, 4).round()
    steps = 0
    while not np.array_equal(before, target):
        after = approach(before, target)
        assert np.abs(after - before).max() <= ROUTE_STEP + 1e-6
        before, steps = after, steps + 1
    assert steps <= 4  # 250 ms of 80 ms frames


def rms(level_db: float, samples: int) -> NDArray[np.float32]:
    return np.full(samples, 10 ** (level_db / 20), dtype=np.float32)


def duck_all(rendering: NDArray[np.float32], ducking: Ducking, places: list[int]) -> NDArray[np.float32]:
    state, curves = Duck(), []
    for piece in cut(rendering, places):
        state, curve = duck(state, piece, ducking)
        curves.append(curve)
    return np.concatenate(curves)


def test_duck_goes_down_holds_and_comes_back() -> None:
    ducking = Ducking(depth_db=-15.0, attack_s=0.1, hold_s=0.5, release_s=0.8)
    rendering = np.zeros(4 * RATE, dtype=np.float32)
    rendering[RATE : 2 * RATE] = rms(-20.0, RATE)
    gain_db = 20 * np.log10(duck_all(rendering, ducking, []))
    at = lambda s: gain_db[round(s * RATE) - 1]  # noqa: E731
    assert at(1.0) == 0.0
    assert at(1.05) == pytest.approx(-7.5, abs=0.01)
    assert at(1.1) == pytest.approx(-15.0, abs=0.01)
    assert at(2.5) == pytest.approx(-15.0, abs=0.01)
    assert at(2.9) == pytest.approx(-7.5, abs=0.01)
    assert at(3.3) == pytest.approx(0.0, abs=0.01)


def test_duck_looks_ahead_within_its_block() -> None:
    rendering = np.zeros(DUCK_BLOCK_SAMPLES, dtype=np.float32)
    rendering[-100:] = 0.5
    _, curve = duck(Duck(), rendering, Ducking())
    assert curve[100] < 1.0


@given(
    seeds,
    st.lists(st.integers(0, 40), max_size=6),
    st.floats(-40, 0),
    st.floats(0.05, 0.15),
    st.floats(0.4, 0.6),
    st.floats(0.6, 1.0),
)
def test_duck_is_the_same_however_cut_and_bounded_in_level_and_slope(
    seed: int, blocks: list[int], depth_db: float, attack_s: float, hold_s: float, release_s: float
) -> None:
    ducking = Ducking(depth_db=depth_db, attack_s=attack_s, hold_s=hold_s, release_s=release_s)
    sounds = np.random.default_rng(seed).random(40) < 0.3
    rendering = np.repeat(np.where(sounds, 0.1, 0.0), DUCK_BLOCK_SAMPLES).astype(np.float32)
    whole = duck_all(rendering, ducking, [])
    np.testing.assert_array_equal(
        whole, duck_all(rendering, ducking, [b * DUCK_BLOCK_SAMPLES for b in blocks])
    )
    curve_db = 20 * np.log10(np.concatenate([[1.0], whole]))
    assert curve_db.max() <= 1e-6
    assert curve_db.min() >= depth_db - 1e-3
    steps = np.diff(curve_db)
    slack = 2e-5  # of float32 gains
    assert steps.min() >= depth_db / attack_s / RATE - slack
    assert steps.max() <= -depth_db / release_s / RATE + slack


def limit_all(pcm: NDArray[np.float32], places: list[int]) -> NDArray[np.float32]:
    state, out = Limit(), []
    for piece in cut(pcm, places):
        state, limited = limit(state, piece)
        assert limited.shape == piece.shape
        assert limited.dtype == np.float32
        out.append(limited)
    return np.concatenate(out)


@given(seeds, st.floats(0.01, 50.0))
def test_limit_never_passes_the_ceiling(seed: int, peak: float) -> None:
    rng = np.random.default_rng(seed)
    pcm = noise(seed, 4_000, peak=0.5)
    for at in rng.integers(0, 4_000, 8):
        pcm[at : at + rng.integers(1, 200)] *= peak
    assert np.abs(limit_all(pcm, [])).max() <= LIMIT_CEILING + 1e-6


@given(st.floats(-1e-3, 1e-3))
def test_a_hair_above_the_ceiling_is_above_it(hair: float) -> None:
    pcm = np.full(1_000, LIMIT_CEILING * (1.0 + hair), dtype=np.float32)
    assert np.abs(limit_all(pcm, [])).max() <= LIMIT_CEILING + 1e-6


@settings(max_examples=50)
@given(seeds, st.lists(st.integers(0, 6_000), max_size=8), st.floats(0.1, 8.0))
def test_limit_is_the_same_however_cut(seed: int, places: list[int], peak: float) -> None:
    pcm = noise(seed, 6_000, peak=0.8)
    pcm[2_000:2_300] *= peak
    np.testing.assert_allclose(limit_all(pcm, places), limit_all(pcm, []), atol=1e-6)


def test_limit_leaves_what_is_below_the_ceiling_alone_but_for_its_delay() -> None:
    pcm = noise(3, 5_000, peak=LIMIT_CEILING)
    out = limit_all(pcm, [1_000, 3_000])
    np.testing.assert_array_equal(out[LIMIT_LOOKAHEAD_SAMPLES:], pcm[:-LIMIT_LOOKAHEAD_SAMPLES])
    assert not out[:LIMIT_LOOKAHEAD_SAMPLES].any()


def test_limit_lets_go_in_some_tenths_of_a_second() -> None:
    pcm = tone(500.0, frames=12, peak=0.5)
    pcm[2_000:2_100] = 4.0
    out = limit_all(pcm, [])
    assert np.abs(out[2_300:2_700]).max() < 0.3
    np.testing.assert_array_equal(
        out[-1_920:], pcm[-1_920 - LIMIT_LOOKAHEAD_SAMPLES : -LIMIT_LOOKAHEAD_SAMPLES]
    )


def test_limit_bends_the_gain_over_its_look_ahead() -> None:
    pcm = np.full(4_000, 0.5, dtype=np.float32)
    pcm[2_000] = 5.0
    gain = limit_all(pcm, [])[LIMIT_LOOKAHEAD_SAMPLES:] / pcm[:-LIMIT_LOOKAHEAD_SAMPLES]
    assert gain.min() == pytest.approx(LIMIT_CEILING / 5.0, rel=1e-3)
    assert np.abs(np.diff(gain)).max() <= 1.0 / LIMIT_LOOKAHEAD_SAMPLES
