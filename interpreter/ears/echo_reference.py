"""What was sent to one person a moment ago, to be compared with what their microphone gives back. Pure.

Sound is addressed by **position**: samples of 24 kHz since the zero of the clock, so that a difference of positions is
a delay. Frames follow one another without a seam although their times wobble: the listener hears them so.

    at_s       0.000   0.081   0.159             0.320
    positions  |0     |1920   |3840   |5760     |7680          one frame was never sent: silence
               ########################.........########
"""

from __future__ import annotations

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

KEPT_S = 4.0
"""How far back sound is kept: the longest echo, the longest wait in a receive buffer, and the windows."""

_KEPT_SAMPLES = round(KEPT_S / FRAME_S) * FRAME_SAMPLES

_SLIP_S = 0.002  # the shortest piece that a receive buffer takes out is a pitch period of 2.5 ms
_WOBBLE_S = 0.01
_STEADY_S = 0.0005  # less is no move
_STEADY_FRAMES = 4
_MOST_STEADY_FRAMES = 8
_JUMP_S = 0.04  # a longer gap or jump begins anew


class Timeline:
    """Gives frames that come with wobbling times positions without seams."""

    def __init__(self, slack_s: float) -> None:
        """Begins with the first frame.

        Args:
            slack_s: a frame this much earlier or later than the one before suggests still follows it directly.
        """
        self._slack_s = slack_s
        self._next: tuple[int, float] | None = (
            None  # position and time of the next frame, if it follows directly
        )

    def place(self, at_s: float) -> tuple[int, bool]:
        """Position of the first sample of the frame that starts at `at_s`, and whether it follows the one before."""
        follows = self._next is not None and abs(at_s - self._next[1]) <= self._slack_s
        position = self._next[0] if self._next is not None and follows else round(at_s * SAMPLE_RATE_HZ)
        self._next = position + FRAME_SAMPLES, at_s + FRAME_S
        return position, follows


class CaptureTimeline:
    """Gives the frames of a microphone positions: time that slips and stays is followed, time that wobbles is not.

    Where a receive buffer takes a pitch period out, or puts one in, a frame's time moves by exactly that, and those
    after it stay there: of a clock that was steady, each such move counts. One that is not goes back and forth, and
    only longer moves count. Drift never does: the echo's delay follows it.
    """

    def __init__(self) -> None:
        self._next: tuple[int, float] | None = None  # as in `Timeline`
        self._move_s = 0.0  # the last one, against what the frame before suggested
        self._steady_frames = 0  # without a move, less those that moved back

    def place(self, at_s: float) -> tuple[int, bool]:
        """Position of the first sample of the frame captured at `at_s`, and whether it follows the one before."""
        if self._next is None:
            return self._put(round(at_s * SAMPLE_RATE_HZ), at_s), False
        position, expected_s = self._next
        move_s = at_s - expected_s
        if abs(move_s) <= _STEADY_S:
            self._steady_frames = min(self._steady_frames + 1, _MOST_STEADY_FRAMES)
        else:
            if self._move_s * move_s < 0:
                self._steady_frames = max(self._steady_frames - 1, 0)
            self._move_s = move_s
        steady = self._steady_frames >= _STEADY_FRAMES
        if abs(move_s) <= (_SLIP_S if steady else _WOBBLE_S):
            return self._put(position, at_s), True
        if abs(move_s) <= _JUMP_S:
            return self._put(position + round(move_s * SAMPLE_RATE_HZ), at_s), False
        return self._put(round(at_s * SAMPLE_RATE_HZ), at_s), False

    def _put(self, position: int, at_s: float) -> int:
        self._next = position + FRAME_SAMPLES, at_s + FRAME_S
        return position


class Reference:
    """The last seconds sent to one person."""

    def __init__(self) -> None:
        self._timeline = Timeline(FRAME_S / 2)
        self._samples = np.zeros(
            _KEPT_SAMPLES, dtype=np.float32
        )  # sample at position p is at p % _KEPT_SAMPLES
        self._end: int | None = None  # position after the last sample

    def put(self, pcm: Pcm, at_s: float) -> None:
        """Appends a frame.

        Args:
            pcm: [1920], 24 kHz.
            at_s: when its first sample leaves, not before earlier frames.
        """
        start, _ = self._timeline.place(at_s)
        if self._end is not None and start > self._end:
            self._write(self._end, np.zeros(min(start - self._end, _KEPT_SAMPLES), dtype=np.float32))
        self._write(start, pcm)
        self._end = start + len(pcm)

    def read(self, position: int, samples: int) -> Pcm:
        """[samples] from `position` on; zeros where nothing was sent, or it is forgotten."""
        pcm = np.zeros(samples, dtype=np.float32)
        if self._end is None:
            return pcm
        first = max(position, self._end - _KEPT_SAMPLES)
        last = min(position + samples, self._end)
        if first < last:
            places = np.arange(first, last) % _KEPT_SAMPLES
            pcm[first - position : last - position] = self._samples[places]
        return pcm

    def _write(self, position: int, pcm: Pcm) -> None:
        self._samples[np.arange(position, position + len(pcm)) % _KEPT_SAMPLES] = pcm
