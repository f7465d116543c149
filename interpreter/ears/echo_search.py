"""Where in a microphone's track the sound that was sent to its owner comes back: generalised cross-correlation. Pure.

Windows of 320 ms of the microphone are compared with windows of what was sent 0, 80, 160 … ms before. Of each pair
only the phases between 300 and 3800 Hz are kept, so every frequency has one vote, and no level, tone or hum outweighs
the rest. Votes are averaged over the last second or so of sound; their inverse Fourier transform has a peak at the
delay of an echo, and noise elsewhere, whose size is known beforehand: the phases of unrelated sounds are random. A
score is counted in standard deviations of that noise, were all frequencies and windows independent (their tapering
and overlap make it up to twice as much).

    sent         ...[  window 2  ]                     lag 160 ms +- 40
                        [  window 1  ]                 lag  80 ms +- 40
                            [  window 0  ]             lag   0 ms +- 40
    microphone              [   window   ]

Source: C. H. Knapp, G. C. Carter, The generalized correlation method for estimation of time delay, IEEE Trans. ASSP
24(4), 1976; the weighting is their phase transform, here per window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

WINDOW_FRAMES = 4  # 320 ms: a few syllables, and long beside the 40 ms a lag may differ from its window's
LAGS = 14  # windows of what was sent: delays up to 1.08 s

_WINDOW_SAMPLES = WINDOW_FRAMES * FRAME_SAMPLES
_TAPER = np.hanning(_WINDOW_SAMPLES).astype(np.float32)
_BIN_HZ = SAMPLE_RATE_HZ / _WINDOW_SAMPLES  # 3.125
# Where a loudspeaker plays and a codec keeps phases:
_BAND = slice(round(300 / _BIN_HZ), round(3800 / _BIN_HZ))
_BINS = _BAND.stop - _BAND.start
_STEPS = 2560  # of the inverse transform: at 8 kHz, which holds the band
_STEP_SAMPLES = _WINDOW_SAMPLES // _STEPS  # 3
_HALF = FRAME_SAMPLES // _STEP_SAMPLES // 2  # lags of one window: 40 ms to either side
_QUIET_POWER = 10.0 ** (-60 / 10)  # of what was sent: below, its echo is heard by nobody
_SILENT_POWER = 10.0 ** (-80 / 10)  # of a microphone: below, there is nothing but rounding
_REMEMBERED = 0.9  # of the votes, per frame of sound

Phases = NDArray[np.complex64]
"""[1120] unit phasors."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """The likeliest echo."""

    delay_samples: int
    """From sending to hearing, at 24 kHz, -960 to 25920, in steps of 3."""

    score: float
    """How far it stands out of what unrelated sounds give: unrelated voices reach 8 to 16 in a minute, two of one
    synthesiser up to 35; an echo alone reaches 20 within a quarter of a second, and 100 in a second."""


class EchoSearch:
    """Compares one microphone with what was sent to its owner."""

    def __init__(self) -> None:
        self._near = np.zeros(_WINDOW_SAMPLES, dtype=np.float32)
        self._sent = np.zeros(_WINDOW_SAMPLES, dtype=np.float32)
        self._near_phases: Phases | None = None  # of the last window, if it has any sound
        self._sent_phases = np.zeros((LAGS, _BINS), dtype=np.complex64)  # newest first
        self._sounding = np.zeros(LAGS, dtype=bool)  # whether a window of `_sent_phases` has any sound
        self._votes = np.zeros((LAGS, _BINS), dtype=np.complex64)
        self._square_weight = np.zeros(LAGS)  # sum of the squared weights of the windows that voted

    def advance(self, near: Pcm, sent: Pcm) -> None:
        """Hears the next frame.

        Args:
            near: [1920] of the microphone.
            sent: [1920] that was sent while `near` was captured.
        """
        self._near = np.concatenate((self._near[FRAME_SAMPLES:], near))
        self._remember(sent)
        self._near_phases = None
        if self._sounding.any() and _power(self._near) > _SILENT_POWER:
            self._near_phases = _phases(self._near)
            self._vote(self._near_phases)

    def resume(self, sent: Pcm) -> None:
        """Goes on at another time, after a gap in the microphone's track or a jump of its clock.

        Args:
            sent: [N], everything that was sent before it, the last second of which counts.
        """
        self._near[:] = 0.0
        for frame in sent[len(sent) % FRAME_SAMPLES :].reshape(-1, FRAME_SAMPLES):
            self._remember(frame)

    def forget(self) -> None:
        """Nothing of what was heard so far counts any more."""
        self._votes[:] = 0.0
        self._square_weight[:] = 0.0

    def likeliest(self) -> Peak | None:
        """The likeliest echo, by the last second or so of sound; None where the last frame had none."""
        if self._near_phases is None:
            return None
        # A sum of random phasors of weights w has the variance sum(w^2).
        return _highest(_correlation(self._votes) / np.sqrt(np.maximum(self._square_weight, 1.0))[:, None])

    def likeliest_now(self) -> Peak | None:
        """The same by the last window alone: quick to see a new delay, easily misled."""
        if self._near_phases is None:
            return None
        votes = self._near_phases * np.conj(self._sent_phases)
        return _highest(_correlation(votes) * self._sounding[:, None])

    def likeness(self, delay_samples: int, slack_samples: int = 48) -> float:
        """The score of an echo of `delay_samples` in the last window alone, 2 ms earlier or later included.

        Some 30 is an echo and nothing else, 2 is none; 0 where there is no sound to compare.
        """
        lag = min(max((delay_samples + FRAME_SAMPLES // 2) // FRAME_SAMPLES, 0), LAGS - 1)
        if self._near_phases is None or not self._sounding[lag]:
            return 0.0
        scores = _correlation((self._near_phases * np.conj(self._sent_phases[lag]))[None])[0]
        centre = _HALF + (delay_samples - lag * FRAME_SAMPLES) // _STEP_SAMPLES
        slack = slack_samples // _STEP_SAMPLES
        return float(scores[max(0, centre - slack) : centre + slack + 1].max(initial=0.0))

    def _remember(self, sent: Pcm) -> None:
        self._sent = np.concatenate((self._sent[FRAME_SAMPLES:], sent))
        self._sent_phases[1:] = self._sent_phases[:-1]
        self._sounding[1:] = self._sounding[:-1]
        self._sounding[0] = _power(self._sent) > _QUIET_POWER
        if self._sounding[0]:
            self._sent_phases[0] = _phases(self._sent)

    def _vote(self, near: Phases) -> None:
        lags = self._sounding
        self._votes[lags] = _REMEMBERED * self._votes[lags] + near * np.conj(self._sent_phases[lags])
        self._square_weight[lags] = _REMEMBERED**2 * self._square_weight[lags] + 1


def _highest(scores: NDArray[np.floating]) -> Peak:
    lag, step = divmod(int(np.argmax(scores)), scores.shape[1])
    return Peak(
        delay_samples=lag * FRAME_SAMPLES + (step - _HALF) * _STEP_SAMPLES, score=float(scores[lag, step])
    )


def _power(window: Pcm) -> float:
    return float(np.einsum("n,n->", window, window)) / len(window)


def _phases(window: Pcm) -> Phases:
    spectrum = np.fft.rfft(window * _TAPER)[_BAND]
    return np.asarray(spectrum / (np.abs(spectrum) + 1e-12), dtype=np.complex64)


def _correlation(votes: Phases) -> NDArray[np.float32]:
    """[R, 640] at lags of -40 to 40 ms around each of R windows'; of one vote of random phases the variance is 1."""
    spectrum = np.zeros((len(votes), _STEPS // 2 + 1), dtype=np.complex64)
    spectrum[:, _BAND] = votes
    # irfft sums every bin and its mirror image, divided by the steps; half the bins' variance is in the real part.
    lags = np.fft.irfft(spectrum, _STEPS) * (_STEPS / 2 * np.sqrt(2 / _BINS))
    return np.concatenate((lags[:, -_HALF:], lags[:, :_HALF]), axis=1)
