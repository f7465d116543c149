"""Whether and since when somebody speaks on one track. Pure: media time comes with the frames.

Silero's model judges hops of 32 ms at 16 kHz. A **spurt** is speech whose gaps are shorter than `bridge_s`:

    sound      ...######....####..........................
    hops       ...||||||....||||..........................
    active     ...##########--------......................   # stays up for `hang_s` of quiet
                  ^onset_s      |<- bridge_s ->|
    spurt         |===========================|              speech_s: only the hops with a voice

What a frame tells is known when the frame is complete, but for its last 16 ms where a hop reaches into the next frame.
So a voice that starts at time t is reported by the end of the frame which contains t + 33 ms or, for a soft start, the
hop after; `onset_s` is counted back over all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears.voice_model import HOP_S, HOP_SAMPLES, VoiceModel, VoiceState
from interpreter.ears.voice_rate import Downsampler
from interpreter.levels import level_dbfs

FORGET_HOPS = 8
"""Digital silence, some 0.25 s, after which the model's memory starts anew: a gap of a few packets leaves it alone."""


@dataclass(frozen=True, kw_only=True)
class VoiceSettings:
    """When a probability is a voice."""

    on: float = 0.5
    """Probability from which a voice begins, in [0, 1]; the model's authors' threshold."""

    off: float = 0.35
    """Probability below which a hop has no voice any more, at most `on`."""

    hang_s: float = 0.096
    """Quiet after which a voice is no longer active, 3 hops: longer than the stop of a consonant."""

    bridge_s: float = 0.2
    """Gap from which on the next voice is a new spurt; told at the end of the hop it is reached in."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """What is known of one track at the end of a frame."""

    active: bool
    """Somebody speaks, or stopped less than `hang_s` ago."""

    onset_s: float | None
    """Media time of the running spurt's first voiced sample, on the clock of `captured_at_s`; None between spurts."""

    speech_s: float
    """Time with a voice within the running spurt, its gaps left out; 0 between spurts."""

    pause_s: float
    """From the last voiced sample to the last one judged; 0 while the voice goes on, infinite before any voice."""

    level_dbfs: float
    """RMS of the frame, voice or not, at least -100."""

    backchannel_in: frozenset[str] = frozenset()
    """Languages in which all of the running spurt sounds like a backchannel; see `backchannel_sound`."""


class VoiceActivity:
    """The detector of one track."""

    def __init__(self, model: VoiceModel, settings: VoiceSettings | None = None) -> None:
        self._model = model
        self._settings = settings or VoiceSettings()
        self._downsampler = Downsampler()
        self._waiting = np.zeros(0, dtype=np.float32)  # 16 kHz, less than a hop
        self._state = VoiceState()
        self._silent_hops = 0
        self._frames = 0  # given in
        self._hops = 0  # judged
        self._active = False
        self._onset_hop: int | None = None  # the running spurt's first
        self._voiced_hops = 0  # within the running spurt
        self._quiet_since_hop: int | None = None  # the one after the last with a voice

    def advance(self, pcm: Pcm, captured_at_s: float) -> Voice:
        """Hears the next frame.

        Args:
            pcm: [1920], 24 kHz, finite. Zeros where the track has a gap.
            captured_at_s: time of its first sample.

        Raises:
            ValueError: the frame has another length, or samples that are not finite: they would stay in the
                model's memory for ever.
        """
        if pcm.shape != (FRAME_SAMPLES,) or not np.isfinite(pcm).all():
            raise ValueError(f"expected {FRAME_SAMPLES} finite samples, got shape {list(pcm.shape)}")
        self._frames += 1
        self._waiting = np.concatenate((self._waiting, self._downsampler.advance(pcm)))
        whole = len(self._waiting) // HOP_SAMPLES * HOP_SAMPLES
        for hop in self._waiting[:whole].reshape(-1, HOP_SAMPLES):
            self._judge(self._probability(hop))
        self._waiting = self._waiting[whole:]
        return Voice(
            active=self._active,
            onset_s=self._onset_s(captured_at_s),
            speech_s=self._voiced_hops * HOP_S,
            pause_s=self._quiet_hops() * HOP_S,
            level_dbfs=level_dbfs(pcm),
        )

    def _onset_s(self, captured_at_s: float) -> float | None:
        """On the clock of the last frame, captured at `captured_at_s`."""
        if self._onset_hop is None:
            return None
        return captured_at_s + self._onset_hop * HOP_S - (self._frames - 1) * FRAME_S

    def _quiet_hops(self) -> float:
        """Without a voice, up to the last hop judged."""
        return inf if self._quiet_since_hop is None else self._hops - self._quiet_since_hop

    def _probability(self, hop: Pcm) -> float:
        """What the model says; digital silence is not worth asking about."""
        self._silent_hops = 0 if hop.any() else self._silent_hops + 1
        if self._silent_hops < FORGET_HOPS:
            probability, self._state = self._model.listen(hop, self._state)
            return probability
        if self._silent_hops == FORGET_HOPS:
            self._state = VoiceState()
        return 0.0

    def _judge(self, probability: float) -> None:
        """Moves on by one hop."""
        settings = self._settings
        self._hops += 1
        if probability >= (settings.off if self._active else settings.on):
            if self._onset_hop is None:
                self._onset_hop = self._hops - 1
            self._active = True
            self._voiced_hops += 1
            self._quiet_since_hop = self._hops
            return
        quiet_s = self._quiet_hops() * HOP_S
        if quiet_s >= settings.hang_s:
            self._active = False
        if quiet_s >= settings.bridge_s:
            self._onset_hop = None
            self._voiced_hops = 0
