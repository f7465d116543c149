"""Those who take part in a run, wherever they are: what each is played and told, and who is who in the room."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from scenarios.live_track import LiveTrack
from webrtc.room import SAMPLE_RATE_HZ, Pcm, Room


@dataclass(eq=False)
class Ear:
    """What somebody was played."""

    frames: list[tuple[float, Pcm]] = field(default_factory=list)
    """Run's time of the first sample, pcm."""

    def track(self, duration_s: float) -> Pcm:
        """All of it from the run's beginning on: pcm [T]; silence where nothing was played."""
        track = np.zeros(round(duration_s * SAMPLE_RATE_HZ), dtype=np.float32)
        for at_s, pcm in self.frames:
            start = round(at_s * SAMPLE_RATE_HZ)
            first = max(0, -start)
            piece = pcm[first : max(first, len(track) - start)]
            track[start + first : start + first + len(piece)] = piece
        return track


@dataclass(frozen=True, kw_only=True)
class ReadOut:
    """A sentence that the interpreter said as itself."""

    at_s: float
    who: str
    """The listener."""

    language: str
    text: str


@dataclass(eq=False)
class Witness:
    """What reached those who take part."""

    ears: dict[str, Ear] = field(default_factory=dict)
    """Who -> what they heard, also of those who have left."""

    read: list[ReadOut] = field(default_factory=list)
    human_asked_s: float | None = None
    """When a page first showed that somebody asked for a human."""


class Players(Protocol):
    """Those who take part in a run. `who` is the run's own name of somebody from when they come to when they go."""

    @property
    def room(self) -> Room:
        """For the meeting."""
        ...

    @property
    def witness(self) -> Witness:
        """What has reached them so far."""
        ...

    def join(self, who: str, name: str, language: str, track: LiveTrack, *, host: bool = False) -> None:
        """Somebody comes in with their microphone."""
        ...

    def leave(self, who: str, *, lost: bool = False) -> None:
        """Somebody goes, or is lost."""
        ...

    def who_is(self, participant_id: str) -> str:
        """Whom the room knows by that id; the id itself for nobody's."""
        ...

    def id_of(self, who: str) -> str | None:
        """By which id the room knows somebody; None for who is not in it."""
        ...

    async def all_in(self) -> None:
        """Returns when everybody who was let in is in the room."""
        ...

    def undelivered(self) -> str | None:
        """What of the scenario did not reach the room as it is written; None for nothing."""
        ...


Warp = Callable[[str, int, Pcm], Pcm]
"""What becomes of a frame on its way to a listener, given who they are and the tick."""
