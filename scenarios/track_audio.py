"""A recording as somebody's live track: the frames a room would give of it, at the ticks of any clock."""

from __future__ import annotations

import numpy as np

from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, IncomingFrame, Pcm

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ


class TrackAudio:
    """Fulfils `webrtc.room.IncomingAudio` with pcm that somebody says from `start_s` on.

    What is said at time t can be pulled from t + `network_s` on, so a tick's frame ends there:

        said      |  frame n   |
        pulled                 <- network_s -> tick

    Frames before the beginning and after the end are silent ones, and so are frames of digital silence: a sender with
    discontinuous transmission sends nothing then.

    Args:
        pcm: [T], 24 kHz.
        start_s: monotonic time at which its first sample is said.
        network_s: how long sound takes from the speaker's microphone to the tick that may pull it; at least 0.
    """

    def __init__(self, pcm: Pcm, *, start_s: float = 0.0, network_s: float = 0.03) -> None:
        self._pcm = pcm
        self._start_s = start_s
        self._network_s = network_s
        self._first: tuple[float, int] | None = None  # time of the first pull, and the sample it began with

    def pull(self, now_s: float) -> IncomingFrame:
        """The frame of the tick at `now_s`. Ticks may be left out; their sound is then never heard."""
        captured_at_s = now_s - self._network_s - _FRAME_S
        if self._first is None:
            self._first = now_s, round((captured_at_s - self._start_s) * SAMPLE_RATE_HZ)
        # Counted from the first pull, where a tick is a whole sample, so that rounding never doubles or drops one.
        first_s, first_sample = self._first
        begin = first_sample + round((now_s - first_s) * SAMPLE_RATE_HZ)
        pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        low, high = max(begin, 0), min(begin + FRAME_SAMPLES, len(self._pcm))
        if low < high:
            pcm[low - begin : high - begin] = self._pcm[low:high]
        return IncomingFrame(pcm=pcm, captured_at_s=captured_at_s, silent=not pcm.any())
