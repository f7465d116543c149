"""The arithmetic of a mix: gain matrices, ducking, limiter. Pure; state goes in and comes out.

Each function gives the same samples however the signal was cut (ducking: at multiples of its 20 ms block), so a
frame's length is heard nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ

Pcm = NDArray[np.float32]
Gains = NDArray[np.float32]

ROUTE_RAMP_S = 0.25
"""Time a gain of the matrix takes from 0 to 1: how an original returns when the session that covered it dies."""

ROUTE_STEP = FRAME_SAMPLES / SAMPLE_RATE_HZ / ROUTE_RAMP_S
"""The most a gain of the matrix moves in one frame."""


def approach(before: Gains, target: Gains, step: float = ROUTE_STEP) -> Gains:
    """`before` moved towards `target` by at most `step` per entry."""
    return np.asarray(before + np.clip(target - before, -step, step), dtype=np.float32)


def mix(sources: NDArray[np.float32], before: Gains, after: Gains) -> NDArray[np.float32]:
    """What each listener hears while the gains move linearly from `before` to `after`.

    Linear in `sources`. A source whose gains are 0 in a listener's rows is absent from their mix to the last bit.

    Args:
        sources: pcm [S, N].
        before: gains [L, S] that held at the sample before the first.
        after: gains [L, S] reached at the last sample.

    Returns:
        pcm [L, N], not limited (see `limit`).
    """
    mixed = _product(before, sources)
    if not np.array_equal(before, after):
        samples = sources.shape[1]
        ramp = np.arange(1, samples + 1, dtype=np.float32) / samples
        mixed += _product(after - before, sources * ramp)
    return mixed


def _product(gains: Gains, sources: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not `@`: BLAS would hand this small product to threads that wait for one another in a busy loop, which takes
    # 32 ms instead of 0.03 as soon as another process wants a core. einsum takes 0.13 ms for 16 listeners, always.
    return np.asarray(np.einsum("ls,sn->ln", gains, sources), dtype=np.float32)


# Ducking ------------------------------------------------------------------------------------------------------------

DUCK_BLOCK_SAMPLES = 480
"""20 ms: activity is judged, and the gain's slope chosen, by the block."""


@dataclass(frozen=True, kw_only=True)
class Ducking:
    """How an original gives way to its rendering; interpretation practice in voice-over."""

    depth_db: float = -15.0
    """Gain of the original while the rendering sounds, at most 0."""

    attack_s: float = 0.1
    """Time from full level to `depth_db`."""

    hold_s: float = 0.5
    """How long the original stays down after the rendering's last sound: longer than a pause between phrases."""

    release_s: float = 0.8
    """Time from `depth_db` back to full level: slow, so that nobody is startled."""

    threshold_dbfs: float = -50.0
    """A block of the rendering louder than this is sound."""


@dataclass(frozen=True, kw_only=True)
class Duck:
    """Where one original's gain stands."""

    gain_db: float = 0.0
    hold_samples: int = 0
    """Samples the gain is still kept down."""


def duck(state: Duck, rendering: Pcm, ducking: Ducking) -> tuple[Duck, NDArray[np.float32]]:
    """The gain of an original under `rendering`.

    A block is known whole when its first sample is mixed: the gain starts down up to 20 ms ahead of the sound.

        rendering  ......|#########|...................................
        gain       0 dB  '.                                    .-'  0 dB
                           '---------- depth_db ------------.-'
                         attack           hold           release

    Args:
        state: where the gain stands.
        rendering: pcm [N], N a multiple of `DUCK_BLOCK_SAMPLES`.
        ducking: levels and times.

    Returns:
        The new state, and linear gains [N]. They move by at most `|depth_db| / attack_s` dB a second.
    """
    blocks = rendering.reshape(-1, DUCK_BLOCK_SAMPLES)
    sounding = np.einsum("bn,bn->b", blocks, blocks) > DUCK_BLOCK_SAMPLES * 10.0 ** (
        ducking.threshold_dbfs / 10.0
    )
    if state == Duck() and not sounding.any():
        return state, np.ones(rendering.size, dtype=np.float32)
    attack_db = ducking.depth_db / (ducking.attack_s * SAMPLE_RATE_HZ)
    release_db = -ducking.depth_db / (ducking.release_s * SAMPLE_RATE_HZ)
    steps = np.arange(1, DUCK_BLOCK_SAMPLES + 1)
    gain_db, hold_samples = state.gain_db, state.hold_samples
    curve_db = np.empty(blocks.shape)
    for row, sounds in zip(curve_db, sounding.tolist(), strict=True):
        if sounds:
            hold_samples = round(ducking.hold_s * SAMPLE_RATE_HZ)
        down = sounds or hold_samples > 0
        if not sounds:
            hold_samples = max(0, hold_samples - DUCK_BLOCK_SAMPLES)
        if down:
            np.maximum(gain_db + attack_db * steps, ducking.depth_db, out=row)
        else:
            np.minimum(gain_db + release_db * steps, 0.0, out=row)
        gain_db = float(row[-1])
    gains = np.power(10.0, curve_db.reshape(-1) / 20.0).astype(np.float32)
    return Duck(gain_db=gain_db, hold_samples=hold_samples), gains


# Limiter ------------------------------------------------------------------------------------------------------------

LIMIT_CEILING = 10.0 ** (-1.0 / 20.0)
"""-1 dBFS: leaves room for the peaks between samples that a codec makes."""

LIMIT_LOOKAHEAD_SAMPLES = 120
"""5 ms, which is also the delay the limiter adds."""

LIMIT_DELAY_S = LIMIT_LOOKAHEAD_SAMPLES / SAMPLE_RATE_HZ

LIMIT_RELEASE_S = 0.075
"""Time constant of the return to gain 1."""

_DECAY = 1.0 / (LIMIT_RELEASE_S * SAMPLE_RATE_HZ)  # natural logarithm of the reduction lost per sample
_NEGLIGIBLE = 1e-4  # a reduction below 0.001 dB counts as none: then frames pass untouched
_TARGET = LIMIT_CEILING * (1.0 - _NEGLIGIBLE)  # so that what is neglected stays below the ceiling


def _zeros(samples: int) -> NDArray[np.float64]:
    return np.zeros(samples)


@dataclass(frozen=True, kw_only=True, eq=False)
class Limit:
    """What a limiter remembers of the samples before."""

    pcm: Pcm = field(default_factory=lambda: np.zeros(LIMIT_LOOKAHEAD_SAMPLES, dtype=np.float32))
    """[120] not yet given out."""

    reduction: NDArray[np.float64] = field(default_factory=lambda: _zeros(2 * LIMIT_LOOKAHEAD_SAMPLES))
    """[240] `1 - gain` asked for by the samples before, oldest first."""

    @property
    def idle(self) -> bool:
        """Whether no sample before asks for a reduction any more."""
        return not self.reduction.any()


def limit(state: Limit, pcm: Pcm) -> tuple[Limit, Pcm]:
    """`pcm`, 5 ms later and never above `LIMIT_CEILING`.

    Each sample asks for the reduction that brings it to the ceiling; the request decays by `LIMIT_RELEASE_S`. It is
    held over the look-ahead and averaged over it, so the gain bends in 5 ms and has arrived when the peak goes out.

    Args:
        state: of the samples before.
        pcm: [N], any finite level, any N.

    Returns:
        The new state, and pcm [N]: the input delayed by `LIMIT_LOOKAHEAD_SAMPLES`.
    """
    if pcm.size == 0:
        return state, pcm
    delayed = np.concatenate([state.pcm, pcm])
    waiting = delayed[pcm.size :].copy()
    peaks = np.abs(pcm)
    if state.idle and float(peaks.max()) <= LIMIT_CEILING:
        return Limit(pcm=waiting, reduction=state.reduction), delayed[: pcm.size].copy()
    asked = 1.0 - _TARGET / np.maximum(peaks.astype(np.float64), _TARGET)
    reduction = np.concatenate([state.reduction, _decaying_maximum(float(state.reduction[-1]), asked)])
    held = _windowed_maximum(reduction, LIMIT_LOOKAHEAD_SAMPLES + 1)
    smooth = np.convolve(
        held, np.full(LIMIT_LOOKAHEAD_SAMPLES + 1, 1.0 / (LIMIT_LOOKAHEAD_SAMPLES + 1)), "valid"
    )
    limited = delayed[: pcm.size] * (1.0 - smooth)
    new = Limit(pcm=waiting, reduction=reduction[-2 * LIMIT_LOOKAHEAD_SAMPLES :])
    return new, limited.astype(np.float32)


def _decaying_maximum(before: float, asked: NDArray[np.float64]) -> NDArray[np.float64]:
    """`u[n] = max(asked[n], u[n-1] * e**-_DECAY)` with `u[-1] = before`, as a running maximum of logarithms."""
    rise = _DECAY * np.arange(asked.size + 1)
    with np.errstate(divide="ignore"):
        logs = np.log(np.concatenate([[before], asked])) + rise
    decayed = np.exp(np.maximum.accumulate(logs) - rise)[1:]
    decayed[decayed < _NEGLIGIBLE] = 0.0
    return np.asarray(decayed)


def _windowed_maximum(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The maximum of each `window` values in a row [N - window + 1], in log2(window) passes."""
    width = 1
    while width < window:
        step = min(width, window - width)
        values = np.maximum(values[:-step], values[step:])
        width += step
    return values
