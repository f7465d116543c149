"""What a lane was told to say as the interpreter itself, and when it was told to be quiet; pure.

A lane says one text at a time; others wait here. An interruption fades what is on its way out and makes the model
say silence for a while, so that what it remembers of itself is what was heard.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from duplex_model.contract import Pcm
from duplex_model.errors import Unsupported
from duplex_model.fields import Fields
from duplex_model.sound import FADE_SAMPLES, fade_out

MAX_WAITING = 16
"""Texts that wait for the one being said."""

HUSH_FRAMES = 6
"""Silence after an interruption: as long as the pauses the model knows from its prompt, half a second."""

Words = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Notice:
    """A text to be said."""

    number: int | None
    """By which the engine knows it; None once it came from elsewhere with a snapshot."""

    words: Words
    """Tokens of each word."""

    now: bool
    """Whether it waits for nothing."""


@dataclass
class Speech:
    """One lane's."""

    delay_frames: int
    """Frames on their way out when the model is told something."""

    waiting: deque[Notice] = field(default_factory=deque)
    saying: Notice | None = None
    """The text that the model has."""

    heard: bool = False
    """Whether a frame of it has left."""

    ended: bool = False
    """Whether a text ended in the last step, so that nothing else can have begun."""

    hush_frames: int = 0
    """Silent frames still to be given to the model."""

    fade_frames: int = 0
    """Frames still to leave that must not be heard, but for the fading start of the first."""

    faded: bool = True
    """Whether that start has left."""

    @property
    def idle(self) -> bool:
        """Whether there is no text to be said."""
        return self.saying is None and not self.waiting

    def say(self, notice: Notice) -> tuple[int, ...]:
        """Takes a text; the number of the one cut off, if any.

        Raises:
            Unsupported: too many wait; nothing changed.
        """
        if len(self.waiting) >= MAX_WAITING:
            raise Unsupported(f"expected at most {MAX_WAITING} texts to wait, got one more")
        if not notice.now:
            self.waiting.append(notice)
            return ()
        cut_off = self._numbers([self.saying]) if self.heard else ()
        if self.saying is not None and not self.heard:
            self.waiting.appendleft(self.saying)
        self.saying, self.heard = None, False
        self.waiting.appendleft(notice)
        return cut_off

    def interrupt(self) -> tuple[int, ...]:
        """Drops every text; their numbers."""
        dropped = self._numbers([self.saying, *self.waiting])
        self.waiting.clear()
        self.saying, self.heard = None, False
        self.hush_frames, self.fade_frames, self.faded = HUSH_FRAMES, self.delay_frames, False
        return dropped

    def begin(self) -> Notice | None:
        """The text that the model must be given before the next step, if any."""
        if self.saying is not None or not self.waiting:
            return None
        notice = self.waiting.popleft()
        if self.hush_frames or self.ended:  # what it would wait for is silent already
            notice = replace(notice, now=True)
        self.saying, self.heard, self.hush_frames = notice, False, 0
        return notice

    def fade(self, pcm: Pcm) -> Pcm:
        """What is heard of a frame [1920] that leaves."""
        if not self.fade_frames:
            return pcm
        heard = np.zeros_like(pcm)
        if not self.faded:
            heard[:FADE_SAMPLES] = fade_out(pcm)
        self.fade_frames, self.faded = self.fade_frames - 1, True
        return heard

    def stepped(self, *, as_self: bool, busy: bool) -> tuple[int, ...]:
        """Learns of one step; the number of the text whose last frame has left.

        Args:
            as_self: the frame that left was of the text.
            busy: the model has not come to the text's end.
        """
        self.hush_frames = max(self.hush_frames - 1, 0)
        self.heard |= as_self
        self.ended = self.saying is not None and self.heard and not busy and not as_self
        if not self.ended:
            return ()
        done = self._numbers([self.saying])
        self.saying, self.heard = None, False
        return done

    def state(self) -> bytes:
        """Everything but the numbers, as JSON."""
        state = {
            "saying": None if self.saying is None else _spelt(self.saying),
            "waiting": [_spelt(notice) for notice in self.waiting],
            "heard": self.heard,
            "ended": self.ended,
            "hush_frames": self.hush_frames,
            "fade_frames": self.fade_frames,
            "faded": self.faded,
        }
        return json.dumps(state).encode()

    @classmethod
    def restored(cls, state: bytes, delay_frames: int) -> Speech:
        """The speech whose `state` it is.

        Raises:
            Unsupported: it is none.
        """
        try:
            fields = Fields(json.loads(state), "state of speech", Unsupported)
        except (ValueError, RecursionError) as error:
            raise Unsupported(f"expected the state of speech: {error}") from error
        return cls(
            delay_frames,
            waiting=deque(_read(value) for value in fields.items("waiting")),
            saying=_read(fields.mapping("saying")) if fields.has("saying") else None,
            heard=fields.flag("heard"),
            ended=fields.flag("ended"),
            hush_frames=fields.integer("hush_frames", 0, HUSH_FRAMES),
            fade_frames=fields.integer("fade_frames", 0, delay_frames),
            faded=fields.flag("faded"),
        )

    @staticmethod
    def _numbers(notices: Sequence[Notice | None]) -> tuple[int, ...]:
        return tuple(notice.number for notice in notices if notice is not None and notice.number is not None)


def _spelt(notice: Notice) -> dict[str, object]:
    return {"now": notice.now, "words": [list(word) for word in notice.words]}


def _read(value: object) -> Notice:
    fields = Fields(value, "state of speech, text", Unsupported)
    words = [_read_word(word) for word in fields.items("words")]
    return Notice(None, words, fields.flag("now"))


def _read_word(value: object) -> list[int]:
    if not isinstance(value, list) or not all(isinstance(token, int) for token in value):
        raise Unsupported(f"state of speech, text: expected tokens of a word, got {ascii(value)[:80]}")
    return value
