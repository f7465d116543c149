"""The rate that the voice activity model listens at: 24 kHz to 16 kHz, sample for sample. Pure.

Any resampler would do for the model's ear. This one is never more than 0.7 ms behind, where those that work in blocks
keep up to 20 ms back: time in which a listener's voice is not noticed.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from duplex_model.contract import Pcm

_REACH = 17
"""Samples of the input that an output needs before and after it."""

_BEHIND = _REACH + 0.5  # two outputs share a window: the other is 1.5 samples later
_CUTOFF_HZ = 6_400.0
_KAISER_BETA = 7.0  # nothing above 8 kHz is louder than -70 dB: what folds back hides soft voices


class Downsampler:
    """One stream."""

    def __init__(self) -> None:
        self._before = np.zeros(2 * _REACH + 1, dtype=np.float32)

    def advance(self, pcm: Pcm) -> Pcm:
        """The next samples: [N] at 24 kHz, N a multiple of 3 above 0 -> [2 * N / 3] at 16 kHz, 0.7 ms late."""
        heard = np.concatenate((self._before, pcm))
        self._before = heard[len(pcm) :]
        windows = sliding_window_view(heard, _TAPS.shape[1])[: len(pcm) : 3]
        # Not `@`, as in `mixing`: BLAS would hand it to threads.
        return np.asarray(np.einsum("nk,pk->np", windows, _TAPS), dtype=np.float32).reshape(-1)


def _taps() -> NDArray[np.float32]:
    """[2, 36]: a windowed sinc at the two places within three samples at which an output lies."""
    places = np.array([[-0.75], [0.75]]) - (np.arange(2 * _REACH + 2) - _BEHIND)
    window = np.i0(_KAISER_BETA * np.sqrt(np.maximum(0.0, 1.0 - (places / (_REACH + 1.25)) ** 2)))
    taps = np.sinc(2.0 * _CUTOFF_HZ / 24_000.0 * places) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)


_TAPS = _taps()
