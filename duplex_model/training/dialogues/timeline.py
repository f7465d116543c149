"""When the interpreter's words are written and when they sound; pure arithmetic on word times.

The text leads the voice by a frame, a frame announces each word, and a word waits for what it translates:

    frame            10   11   12   13   14   15   16
    text             ·    EP   pain ·    EP   here ·        EP: end of padding
    voice                           pain ~~~~ ~~~~ here
    ready (here)                         ^                  word 2 may be written from here on

Where a word has to wait longer than the voice would take, the voice is cut before it and goes on later. Where words
are shorter than their pieces, the text falls behind the voice by at most the frame it leads; then the voice waits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ

_LEAD_FRAMES = 1
"""By which a word's first piece is written before it sounds."""


@dataclass(frozen=True)
class Span:
    """A word of an utterance, seconds from the utterance's start."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Placed:
    """A word on the timeline of a dialogue."""

    frame: int
    """Of its first piece."""

    start_s: float
    """Of its sound."""

    end_s: float


def first_frame_after(time_s: float) -> int:
    """The first frame that begins at or after `time_s`."""
    return math.ceil(time_s / FRAME_S - 1e-6)


def frame_at(time_s: float) -> int:
    """The frame that is on at `time_s`."""
    return math.floor(time_s / FRAME_S + 1e-6)


def place(
    words: Sequence[Span], pieces: Sequence[int], ready_s: Sequence[float], earliest_frame: int
) -> list[Placed]:
    """Places the words of one utterance.

    Args:
        words: in order, on the utterance's own timeline.
        pieces: [words], tokens of each.
        ready_s: [words], before which a word must not be written.
        earliest_frame: of the announcing frame of the first word.

    Returns:
        One per word. Between any two, sounds are at least as far apart as they were.
    """
    placed: list[Placed] = []
    free = earliest_frame
    shift_s = 0.0
    for word, count, ready in zip(words, pieces, ready_s, strict=True):
        soonest = max(free + 1, first_frame_after(ready))
        natural = frame_at(word.start_s + shift_s) if placed else -1
        frame = max(soonest, natural - _LEAD_FRAMES)
        if frame > natural:
            shift_s = (frame + _LEAD_FRAMES) * FRAME_S - word.start_s
        placed.append(Placed(frame, word.start_s + shift_s, word.end_s + shift_s))
        free = frame + count
    return placed


def samples(time_s: float) -> int:
    """The sample at `time_s`."""
    return round(time_s * SAMPLE_RATE_HZ)


def whole_frames(time_s: float) -> int:
    """Frames that cover `time_s`."""
    return max(math.ceil(samples(time_s) / FRAME_SAMPLES), 1)
