"""Loudness as ITU-R BS.1770-4 measures it: how loud a programme is to an average listener, in LUFS.

The signal is K-weighted (two filters), its power averaged over blocks of 400 ms that overlap by 75 %, and the blocks
that pass two gates are averaged again: an absolute gate at -70 LUFS leaves out silence, a relative one 10 LU below
the mean of what is left leaves out pauses.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import Pcm

BLOCK_S = 0.4
"""Length of a gating block; nothing shorter can be measured."""

_HOP_S = 0.1
_ABSOLUTE_GATE_LUFS = -70.0
_RELATIVE_GATE_LU = -10.0
_OFFSET_LU = -0.691
"""Makes a full-scale 997 Hz sine in one front channel read -3.01 LUFS."""

_CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)
"""Left, right, centre, left surround, right surround (table 3)."""

_RING_OUT_S = 0.5
"""Both filters have decayed below the precision of a double by then: exp(-2 pi 38 Hz 0.5 s) = 1e-52."""

Array = NDArray[np.float64]


def integrated_loudness(pcm: Pcm, rate_hz: int) -> float:
    """Loudness of a whole programme, in LUFS; minus infinity when no block passes the gates.

    Args:
        pcm: [T], or [C, T] with up to five channels in the order of table 3 of the recommendation.
        rate_hz: sample rate.

    Raises:
        ValueError: shorter than one block of 400 ms, or more than five channels.
    """
    channels = np.atleast_2d(pcm)
    if len(channels) > len(_CHANNEL_WEIGHTS):
        raise ValueError(f"expected at most {len(_CHANNEL_WEIGHTS)} channels, got {len(channels)}")
    if channels.shape[1] < round(BLOCK_S * rate_hz):
        raise ValueError(f"expected at least {BLOCK_S} s, got {channels.shape[1] / rate_hz:.3f} s")
    weights = np.array(_CHANNEL_WEIGHTS[: len(channels)])
    power: Array = weights @ _block_power(k_weighted(channels, rate_hz), rate_hz)
    heard = power[power > _power_of(_ABSOLUTE_GATE_LUFS)]
    if not len(heard):
        return -math.inf
    gate = heard.mean() * 10 ** (_RELATIVE_GATE_LU / 10)
    return _OFFSET_LU + 10 * math.log10(heard[heard > gate].mean())


def normalised(pcm: Pcm, rate_hz: int, target_lufs: float) -> Pcm:
    """`pcm` with the gain that brings its integrated loudness to `target_lufs`, not limited.

    Raises:
        ValueError: silent, or shorter than 400 ms.
    """
    loudness = integrated_loudness(pcm, rate_hz)
    if loudness == -math.inf:
        raise ValueError(f"expected something louder than {_ABSOLUTE_GATE_LUFS:g} LUFS, got silence")
    gain = 10 ** ((target_lufs - loudness) / 20)
    return np.multiply(pcm, gain, dtype=np.float32)


def k_weighted(pcm: Pcm, rate_hz: int) -> Array:
    """`pcm` [..., T] through both K-weighting filters.

    The filters are applied as their exact frequency response. The transform is longer than the signal by the time
    they need to decay, so nothing wraps around, and the result is that of the recursion to double precision.
    """
    samples = pcm.shape[-1]
    length = _next_fast_length(samples + round(_RING_OUT_S * rate_hz))
    z = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)  # one delay, at each frequency
    spectrum = np.fft.rfft(pcm.astype(np.float64), length)
    for numerator, denominator in (head_filter(rate_hz), highpass(rate_hz)):
        spectrum *= np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
    filtered: Array = np.fft.irfft(spectrum, length)[..., :samples]
    return filtered


def head_filter(rate_hz: int) -> tuple[Array, Array]:
    """The first filter, a shelf for the effect of the head: numerator and denominator in powers of one delay.

    The recommendation tabulates it for 48 kHz only. Its analogue prototype is a second-order shelf; these are the
    frequency, quality and gains that the bilinear transform takes back to that table (see the tests).
    """
    k = math.tan(math.pi * 1681.974450955533 / rate_hz)
    quality = 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    numerator = [high + middle * k / quality + k * k, 2 * (k * k - high), high - middle * k / quality + k * k]
    denominator = [1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k]
    return np.array(numerator) / denominator[0], np.array(denominator) / denominator[0]


def highpass(rate_hz: int) -> tuple[Array, Array]:
    """The second filter, as `head_filter`; its numerator is not normalised in the recommendation either."""
    k = math.tan(math.pi * 38.13547087602444 / rate_hz)
    quality = 0.5003270373238773
    denominator = [1 + k / quality + k * k, 2 * (k * k - 1), 1 - k / quality + k * k]
    return np.array([1.0, -2.0, 1.0]), np.array(denominator) / denominator[0]


def _block_power(pcm: Array, rate_hz: int) -> Array:
    """Mean square of each whole block: [C, T] -> [C, blocks]."""
    block, hop = round(BLOCK_S * rate_hz), round(_HOP_S * rate_hz)
    energy = np.concatenate((np.zeros((len(pcm), 1)), np.cumsum(pcm * pcm, axis=1)), axis=1)
    starts = np.arange(0, pcm.shape[1] - block + 1, hop)
    power: Array = (energy[:, starts + block] - energy[:, starts]) / block
    return power


def _power_of(loudness_lufs: float) -> float:
    power: float = 10 ** ((loudness_lufs - _OFFSET_LU) / 10)
    return power


def _next_fast_length(length: int) -> int:
    """The next multiple of a power of two that leaves a factor of at most 16: quick to transform."""
    step = 1 << max(length.bit_length() - 4, 0)
    return -(-length // step) * step
