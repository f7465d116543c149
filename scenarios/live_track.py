"""Somebody's microphone in a run: what they say in any case, and what they say because of what they hear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from duplex_model.contract import FRAME_S
from scenarios.run_time import RunTime
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, IncomingFrame, Pcm

NETWORK_S = 0.03
"""From a microphone to the tick that may pull its sound, where there is no network."""

REMEMBERED_S = 1.0
"""What was sent is remembered for so long: longer than a network and a canceller take."""


class LiveTrack:
    """Fulfils `webrtc.room.IncomingAudio`.

    Args:
        pcm: [T] of what is said in any case, from the run's beginning on; may be shorter than the run.
        time: the run's.
        duration_s: of the run, at most.
        delay_s: from the end of a frame to the time at which it is pulled; negative for a frame to be sent ahead.
    """

    def __init__(self, pcm: Pcm, *, time: RunTime, duration_s: float, delay_s: float = NETWORK_S) -> None:
        self._pcm = np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
        length = min(len(pcm), len(self._pcm))
        self._pcm[:length] = pcm[:length]
        self._time = time
        self._delay_s = delay_s
        self._losses: list[tuple[float, float, float]] = []
        self._rng = np.random.default_rng(0)
        self.heard = 0
        """Samples up to which the track was pulled: what is added must come after them."""

        self.last: IncomingFrame | None = None
        """The frame pulled last, in the run's time."""

        self._sent = np.zeros(round(REMEMBERED_S * SAMPLE_RATE_HZ), dtype=np.float32)

    @property
    def pcm(self) -> Pcm:
        """[T]: what the microphone picked up."""
        return self._pcm

    def sent(self, samples: int) -> Pcm:
        """What was pulled last, as it was: [samples]."""
        return self._sent[len(self._sent) - samples :]

    def add(self, pcm: Pcm, at_s: float) -> None:
        """Adds a sound that begins at `at_s`, which lies in the future."""
        start = round(at_s * SAMPLE_RATE_HZ)
        assert start >= self.heard, "what was heard cannot be changed"
        length = min(len(pcm), len(self._pcm) - start)
        self._pcm[start : start + max(0, length)] += pcm[: max(0, length)]

    def lose(self, share: float, from_s: float, to_s: float, seed: int) -> None:
        """Has a share of the packets sent from `from_s` to `to_s` never come."""
        self._losses.append((share, from_s, to_s))
        self._rng = np.random.default_rng(seed)

    def pull(self, now_s: float) -> IncomingFrame:
        """See `IncomingAudio.pull`. Packets that never came are silent, and counted as concealed."""
        captured_at_s = self._time.of(now_s) - self._delay_s - FRAME_S
        begin = round(captured_at_s * SAMPLE_RATE_HZ)
        pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        low, high = max(begin, 0), min(begin + FRAME_SAMPLES, len(self._pcm))
        if low < high:
            pcm[low - begin : high - begin] = self._pcm[low:high]
        self.heard = max(self.heard, high)
        concealed = 0
        for share, from_s, to_s in self._losses:
            if from_s <= captured_at_s < to_s:
                for first in range(0, FRAME_SAMPLES, PACKET_SAMPLES):
                    if self._rng.random() < share:
                        pcm[first : first + PACKET_SAMPLES] = 0.0
                        concealed += PACKET_SAMPLES
        self._sent = np.concatenate([self._sent[FRAME_SAMPLES:], pcm])
        self.last = IncomingFrame(
            pcm=pcm, captured_at_s=captured_at_s, concealed_samples=concealed, silent=not pcm.any()
        )
        return replace(self.last, captured_at_s=captured_at_s + self._time.origin_s)
