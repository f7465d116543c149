"""Who owns which audio of a Jitsi meeting, and which of it a seat hears. Pure.

A *source* is one RTP stream with a name, `1a2b3c4d-a0`: the owner's id in the room, a letter for the kind and a count.
The focus tells everybody's sources when a session begins and afterwards whenever they change, but not when somebody
leaves: then their sources are dropped here.

Never heard are the bridge itself (owner `jvb`), ourselves, sister bots, and names with a dot, which are what Jitsi's
own translation says: no rendering is ever rendered again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BRIDGE = "jvb"
"""Owner of the bridge's own stream, which carries no sound."""

MAX_SOURCES = 1_024
"""Audio sources of one meeting; a bridge holds a few hundred people."""


@dataclass(frozen=True, kw_only=True)
class RemoteSource:
    """Somebody's audio, as the focus tells it."""

    ssrc: int
    """1 to 2**32 - 1, unique in the meeting."""

    owner: str
    """Their id in the room, which is their nick."""

    name: str
    msid: str = ""
    """Stream and track in WebRTC's words; only shown."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a seat hears: all of it, in place of what was said before."""

    listening: bool
    """False: nothing at all is wanted from the bridge."""

    sources: tuple[RemoteSource, ...] = ()
    """In the order in which they came; empty where the seat does not listen."""

    excluded: tuple[str, ...] = ()
    """Names of the sources that the bridge must not send."""


class SourceTable:
    """The audio sources of one session. Single-threaded.

    Args:
        own: our id in the room.
        listens: whether the seat hears anybody.
        excluded: owners that are never heard.
    """

    def __init__(self, *, own: str, listens: bool, excluded: frozenset[str]) -> None:
        self._own = own
        self._listens = listens
        self._excluded = excluded
        self._by_ssrc: dict[int, RemoteSource] = {}

    def hear(self, *, listens: bool, excluded: frozenset[str]) -> None:
        """Starts or stops listening, and changes who is not heard."""
        self._listens, self._excluded = listens, excluded

    def add(self, sources: Iterable[RemoteSource]) -> None:
        """Takes sources in. The focus sees to it that an SSRC has one owner: whoever is named last has it."""
        for source in sources:
            if source.owner == BRIDGE or (
                source.ssrc not in self._by_ssrc and len(self._by_ssrc) >= MAX_SOURCES
            ):
                continue
            if self._by_ssrc.get(source.ssrc) != source:
                self._by_ssrc.pop(source.ssrc, None)
                self._by_ssrc[source.ssrc] = source

    def remove(self, sources: Iterable[RemoteSource]) -> None:
        """Drops sources; what is said of them but their SSRC does not matter."""
        for source in sources:
            self._by_ssrc.pop(source.ssrc, None)

    def drop_owner(self, owner: str) -> None:
        """Somebody has left."""
        self._by_ssrc = {ssrc: source for ssrc, source in self._by_ssrc.items() if source.owner != owner}

    def clear(self) -> None:
        """A session has ended: the next one tells all sources anew."""
        self._by_ssrc.clear()

    def heard(self) -> Heard:
        """What the seat hears now."""
        if not self._listens:
            return Heard(listening=False)
        others = [source for source in self._by_ssrc.values() if source.owner != self._own]
        return Heard(
            listening=True,
            sources=tuple(source for source in others if self._is_human(source)),
            excluded=tuple(source.name for source in others if not self._is_human(source)),
        )

    def _is_human(self, source: RemoteSource) -> bool:
        return source.owner not in self._excluded and "." not in source.name
