"""Recorded tracks, compared with the windows that attest them. Pure.

A recording begins with the meeting's first frame and holds silence where a direction had nothing to say or was not
there. Which track is which direction's is found by its sound: the hash of two seconds in which anything sounds is
its own name. A direction that never sounds needs no track.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from duplex_model.contract import FRAME_SAMPLES
from interpreter.identity.records import WINDOW_FRAMES, Window

FRAME_BYTES = 2 * FRAME_SAMPLES
SHOWN_MISMATCHES = 5


class Tracks(Protocol):
    """Audio by track."""

    @property
    def names(self) -> Sequence[str]:
        """What people call each track."""
        ...

    def samples(self, track: int, frame: int, frames: int) -> bytes:
        """16-bit samples of so many frames from `frame` on, counted from the recording's first; fewer at its end."""
        ...

    def frames(self, track: int) -> int:
        """How many frames it has, the last one maybe in part."""
        ...


@dataclass(frozen=True, kw_only=True)
class SoundVerdict:
    """How a direction's recording compares with its windows."""

    track: str | None
    """Its track; None where none of those given is, and where it never sounds."""

    windows: int
    """How many were compared."""

    mismatches: int
    """Windows, and stretches beside them, that hold something else than was attested."""

    first_mismatches: tuple[tuple[int, int], ...]
    """The first of them, from frame to frame."""


@dataclass(eq=False)
class _Tally:
    """How a track compares so far."""

    mismatches: int = 0
    first: list[tuple[int, int]] = field(default_factory=list)

    def add(self, t0: int, t1: int) -> None:
        """Something else is there between these frames."""
        self.mismatches += 1
        if len(self.first) < SHOWN_MISMATCHES:
            self.first.append((t0, t1))


class SoundMatch:
    """Finds a direction's track, and what in it is not as attested.

    Args:
        tracks: all there are.
        first_frame: media-clock number of the recording's first frame.
    """

    def __init__(self, tracks: Tracks, first_frame: int) -> None:
        self._tracks = tracks
        self._first_frame = first_frame
        self._candidates = {track: _Tally() for track in range(len(tracks.names))}
        self._windows = 0
        self._next = first_frame
        self._gaps: list[tuple[int, int]] = []
        self._sounds = False
        self._found = False

    def add(self, window: Window) -> None:
        """Compares one window; they come in order of time."""
        if window.t0 > self._next:
            self._gaps.append((self._next, window.t0))
        self._next = window.t1
        frames = window.t1 - window.t0
        self._windows += 1
        matching = set()
        for track, tally in self._candidates.items():
            samples = self._tracks.samples(track, window.t0 - self._first_frame, frames)
            if hashlib.sha256(samples).hexdigest() == window.pcm_sha256:
                matching.add(track)
            else:
                tally.add(window.t0, window.t1)
        if window.pcm_sha256 == hashlib.sha256(bytes(frames * FRAME_BYTES)).hexdigest():
            return
        self._sounds = True
        if matching:
            self._found = True
            self._candidates = {track: self._candidates[track] for track in matching}

    def verdict(self, *, whole: bool) -> SoundVerdict:
        """After the last window.

        Args:
            whole: there are no further windows, so nothing may sound after the last one.
        """
        if not self._found:
            mismatches = self._windows if self._sounds else 0
            return SoundVerdict(track=None, windows=self._windows, mismatches=mismatches, first_mismatches=())
        beside: list[tuple[int, int | None]] = [*self._gaps, *([(self._next, None)] if whole else [])]
        for track, tally in self._candidates.items():
            for begin, end in beside:
                self._listen(track, tally, begin, end)
        best = min(self._candidates, key=lambda track: self._candidates[track].mismatches)
        return SoundVerdict(
            track=self._tracks.names[best],
            windows=self._windows,
            mismatches=self._candidates[best].mismatches,
            first_mismatches=tuple(self._candidates[best].first),
        )

    def _listen(self, track: int, tally: _Tally, begin: int, end: int | None) -> None:
        """Notes sound where no window is, from one frame to another, or to the recording's end."""
        last = self._first_frame + self._tracks.frames(track)
        for t0 in range(begin, last if end is None else min(end, last), WINDOW_FRAMES):
            t1 = t0 + WINDOW_FRAMES if end is None else min(t0 + WINDOW_FRAMES, end)
            if self._tracks.samples(track, t0 - self._first_frame, t1 - t0).strip(b"\0"):
                tally.add(t0, t1)
