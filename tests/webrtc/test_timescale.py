"""Splices in tones, noise and quiet: no clicks, the pitch stays, lengths are as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.room import SAMPLE_RATE_HZ, Pcm
from webrtc.timescale import (
    MAX_PERIOD_SAMPLES,
    MIN_PERIOD_SAMPLES,
    bridge_step,
    find_splice,
    insert,
    insert_marks,
    remove,
    remove_marks,
)


def tone(hz: float, samples: int = 2280) -> Pcm:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(samples) / SAMPLE_RATE_HZ)).astype(np.float32)


def impurity_db(pcm: Pcm, hz: float) -> float:
    """Power that is not at `hz`, relative to what is."""
    angle = 2 * np.pi * hz * np.arange(len(pcm)) / SAMPLE_RATE_HZ
    basis = np.stack((np.sin(angle), np.cos(angle)), axis=1)
    fitted = basis @ np.linalg.lstsq(basis, pcm, rcond=None)[0]
    return float(10 * np.log10(np.mean((pcm - fitted) ** 2) / np.mean(fitted**2)))


@pytest.mark.parametrize("hz", [70.0, 100.0, 155.5, 220.0, 440.0, 1000.0])
@pytest.mark.parametrize("change", [remove, insert])
def test_a_tone_stays_pure_and_at_its_pitch(hz: float, change) -> None:  # type: ignore[no-untyped-def]
    pcm = tone(hz)
    splice = find_splice(pcm)
    assert splice is not None
    assert splice.correlation > 0.99
    spliced = change(pcm, splice)
    assert abs(len(spliced) - len(pcm)) == splice.period
    assert impurity_db(spliced, hz) < -25
    steepest = 0.5 * 2 * np.pi * hz / SAMPLE_RATE_HZ
    assert np.max(np.abs(np.diff(spliced))) < 1.1 * steepest


def test_noise_correlates_too_little_to_be_spliced_unless_it_must() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(2280)).astype(np.float32)
    splice = find_splice(noise)
    assert splice is not None
    assert splice.correlation < 0.6


def test_quiet_is_spliced_by_the_longest_period() -> None:
    splice = find_splice(np.full(1920, 1e-4, dtype=np.float32))
    assert splice is not None
    assert (splice.period, splice.correlation) == (MAX_PERIOD_SAMPLES, 1.0)


def test_a_splice_avoids_the_onset_of_a_word() -> None:
    pcm = np.concatenate((tone(200, 960), tone(333, 960)))
    splice = find_splice(pcm)
    assert splice is not None
    assert not splice.at < 960 < splice.at + 2 * splice.period


@pytest.mark.parametrize("max_period", [1, MIN_PERIOD_SAMPLES, 100, MAX_PERIOD_SAMPLES, 10_000])
def test_the_period_keeps_to_its_limits(max_period: int) -> None:
    splice = find_splice(tone(150), max_period)
    assert splice is not None
    assert MIN_PERIOD_SAMPLES <= splice.period <= min(MAX_PERIOD_SAMPLES, max(max_period, MIN_PERIOD_SAMPLES))


def test_too_short_to_splice() -> None:
    assert find_splice(tone(150, 2 * MAX_PERIOD_SAMPLES - 1)) is None


@given(st.integers(0, 2**32 - 1), st.integers(2 * MAX_PERIOD_SAMPLES, 3000))
def test_marks_follow_their_samples(seed: int, samples: int) -> None:
    pcm = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    marks = np.arange(samples)
    splice = find_splice(pcm)
    assert splice is not None
    assert len(remove(pcm, splice)) == len(remove_marks(marks, splice)) == samples - splice.period
    assert len(insert(pcm, splice)) == len(insert_marks(marks, splice)) == samples + splice.period
    assert np.array_equal(remove_marks(insert_marks(marks, splice), splice), marks)


def test_a_step_becomes_a_slope() -> None:
    bent = bridge_step(-0.5, np.full(480, 0.5, dtype=np.float32))
    assert bent[0] == -0.5
    assert np.max(np.abs(np.diff(bent))) < 0.02
    assert np.all(bent[MIN_PERIOD_SAMPLES:] == 0.5)
    assert len(bridge_step(0.5, np.zeros(0, dtype=np.float32))) == 0
