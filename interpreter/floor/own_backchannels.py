"""The model's own "mm-hm": it belongs to the person it answers, and to nobody else. Pure.

A full-duplex model may show its speaker that it follows. Said to the listeners, in their language, it would sound as
the speaker's assent. So a stretch of speech that is nothing but such a sound, begun while the speaker is in the middle
of their turn, goes to the speaker alone, lower, and so often a minute at most. A word, such as "yes", always goes to
the listeners: it may be the first of a rendering, and a lost "yes" is worse than a wrong one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from duplex_model.contract import Pcm
from interpreter.floor.floor import Talk
from interpreter.floor.spoken_words import words_of
from interpreter.sessions.hold import KEPT_PAUSE_FRAMES, NOTHING, Said

_SOUNDS = frozenset({"mm", "mmm", "mhm", "hm", "hmm", "uh", "huh", "aha", "aja", "uhum", "mjm"})
"""Sounds of assent that are no words, in any language of the family's checkpoints."""

MID_TURN_S = 1.2
"""A speaker who has spoken so long and still does is in the middle of a turn: no answer is as long."""


@dataclass(frozen=True, kw_only=True)
class BackchannelSettings:
    """What becomes of them."""

    to_speaker: bool = True
    """The speaker hears them; otherwise nobody does."""

    per_minute: int = 6
    """At most so many for one speaker; further ones are heard by nobody."""

    gain_db: float = -9.0
    """Their level."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Parted:
    """A frame, parted into what is for the listeners and what is for the speaker."""

    said: Said
    aside: Pcm | None = None
    """[1920] for the speaker; None for nothing."""


class OwnBackchannels:
    """Finds the backchannels in what one direction's session says."""

    def __init__(self, settings: BackchannelSettings) -> None:
        self._settings = settings
        self._text = ""  # of the unit being said
        self._pause_frames = KEPT_PAUSE_FRAMES
        self._aside = False  # the unit being said is for the speaker
        self._heard_s: deque[float] = deque()  # when the last ones began
        self._allowed = False

    def part(self, said: Said, speaker: Talk | None, now_s: float) -> Parted:
        """Parts one frame.

        Args:
            said: what the session says.
            speaker: who it hears.
            now_s: time of the frame.
        """
        if not said.sounds:
            self._pause_frames += 1
            if self._pause_frames >= KEPT_PAUSE_FRAMES:
                self._text, self._aside = "", False
            return Parted(said=NOTHING if self._aside else said)
        begins = self._pause_frames >= KEPT_PAUSE_FRAMES
        self._pause_frames = 0
        self._text += said.text
        if begins:
            self._aside = self._is_own(speaker)
            self._allowed = self._aside and self._may(now_s)
        elif self._aside and not _is_sound(self._text):
            self._aside = False  # "mm" has become "mmol", or words follow: a rendering after all
            return Parted(said=replace(said, text=self._text))
        if not self._aside:
            return Parted(said=said)
        gain = np.float32(10.0 ** (self._settings.gain_db / 20.0))
        return Parted(said=NOTHING, aside=said.pcm * gain if self._allowed else None)

    def _is_own(self, speaker: Talk | None) -> bool:
        mid_turn = speaker is not None and speaker.voice.active and speaker.voice.speech_s >= MID_TURN_S
        return mid_turn and _is_sound(self._text)

    def _may(self, now_s: float) -> bool:
        while self._heard_s and self._heard_s[0] <= now_s - 60.0:
            self._heard_s.popleft()
        if not self._settings.to_speaker or len(self._heard_s) >= self._settings.per_minute:
            return False
        self._heard_s.append(now_s)
        return True


def _is_sound(text: str) -> bool:
    words = words_of(text)
    return bool(words) and all(word in _SOUNDS for word in words)
