"""What a session says, from its output to the mix. Pure.

Output k belongs to heard frame k and is due in the mix of tick k. When the engine is late it is played later, never
cut inside a word; the lag is caught up by leaving out silent frames, of which speech has plenty. The lag is bounded,
so delay never grows:

    tick       5     6     7     8     9     10    11
    arrived    5     -     -    6,7,8  9     10    11       engine held up for two ticks
    played     5    (u)   (u)    6     7      9*   11*      u: underrun; *: silent 8 and 10 left out
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.levels import level_dbfs
from interpreter.sessions.hold import Said

MAX_LAG_FRAMES = 25
"""2 s: an output later than this is dropped. By then the speaker is sentences ahead."""

SILENT_DBFS = -60.0
"""Quieter frames hold no speech: the level of comfort noise."""

_FADE_SAMPLES = 120  # 5 ms: too short to be heard as a fade, long enough not to click
_FADE_IN: Pcm = (np.arange(1, _FADE_SAMPLES + 1) / (_FADE_SAMPLES + 1)).astype(np.float32)


class Renderings:
    """The outputs of one session that wait for their tick."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Said]] = deque()
        self._tail: Pcm = np.zeros(_FADE_SAMPLES, dtype=np.float32)  # end of what was played last
        self._follows: int | None = None  # output that would continue the last one played without a joint
        self.underruns = 0
        """Takes, since the first output, that found nothing due."""
        self.skipped_silent = 0
        """Silent outputs left out to catch up."""
        self.dropped = 0
        """Outputs dropped for being later than `MAX_LAG_FRAMES`."""
        self.lag_frames = 0
        """How many ticks late the last take was."""

    def put(self, tick: int, said: Said) -> None:
        """Adds the output for heard frame `tick`; ticks come in increasing order."""
        self._waiting.append((tick, said))

    def take(self, tick: int) -> Said:
        """What is said at `tick`; its pcm is the caller's to keep. Called with increasing ticks.

        Where outputs are missing or left out, the joint is a crossfade of 5 ms. No text is left out.
        """
        left_out = self._catch_up(tick)
        if not self._waiting or self._waiting[0][0] > tick:
            self.underruns += self._follows is not None
            return Said(pcm=self._silence(), text=left_out)
        index, said = self._waiting.popleft()
        self.lag_frames = tick - index
        return replace(said, pcm=self._joined(index, said.pcm), text=left_out + said.text)

    def finish(self) -> Said:
        """A last frame that lets the sound end without a click; nothing more is taken."""
        self._waiting.clear()
        return Said(pcm=self._silence())

    def _catch_up(self, tick: int) -> str:
        """Leaves out what is too late or silent; the text of it."""
        left_out = ""
        while self._waiting and self._waiting[0][0] < tick - MAX_LAG_FRAMES:
            left_out += self._waiting.popleft()[1].text
            self.dropped += 1
        # The last waiting output is kept: left out, it would only make an underrun.
        while len(self._waiting) > 1 and self._waiting[1][0] <= tick:
            if level_dbfs(self._waiting[0][1].pcm) > SILENT_DBFS:
                break
            left_out += self._waiting.popleft()[1].text
            self.skipped_silent += 1
        return left_out

    def _joined(self, index: int, pcm: Pcm) -> Pcm:
        joined = pcm.copy()
        if self._follows is not None and index != self._follows:
            joined[:_FADE_SAMPLES] = joined[:_FADE_SAMPLES] * _FADE_IN + self._fading_tail()
        self._follows = index + 1
        self._tail = pcm[-_FADE_SAMPLES:].copy()
        return joined

    def _silence(self) -> Pcm:
        silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        silence[:_FADE_SAMPLES] = self._fading_tail()
        self._tail = np.zeros(_FADE_SAMPLES, dtype=np.float32)
        if self._follows is not None:
            self._follows = -1  # whatever comes next starts from silence
        return silence

    def _fading_tail(self) -> Pcm:
        """The last played sound run backwards and faded: it goes on from the last sample without a step."""
        return np.asarray(self._tail[::-1] * _FADE_IN[::-1], dtype=np.float32)
