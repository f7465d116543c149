"""How to take part in a room of a Janus server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ssl import SSLContext

from webrtc.errors import LocalError
from webrtc.janus.address import JanusAddress
from webrtc.peer import IceSettings

IDS = 10_000
"""An instance's own ids, from its first one on: those of its seats, and of their ghosts where a connection was lost."""

IDS_OF_SEAT = 100


def ids_from(started_s: int, chance: int) -> int:
    """The first id of an instance: of two instances, the one that was started first has the lower one.

    Args:
        started_s: Unix time.
        chance: 0 to 9, for instances that are started within a second.
    """
    return (started_s * 10 + chance) * IDS  # below 2**53, which JavaScript counts to, for some thousand years


@dataclass(frozen=True, kw_only=True)
class JanusSettings:
    """One instance of the interpreter in one room: a publisher for each channel."""

    address: JanusAddress

    seats: Mapping[str, str]
    """Channel -> display name of the publisher that speaks on it."""

    first_id: int
    """Of the first seat's ids in the room; `ids_from` makes one. Of several instances the one with the lowest works."""

    token: str = field(default="", repr=False)
    """For the server, where it wants one."""

    ice: IceSettings = field(default_factory=IceSettings)
    tls: SSLContext | None = None
    """Knows an authority of the server's own; None trusts those the system does."""

    def __post_init__(self) -> None:
        """Refuses seats that could not be told apart."""
        if not self.seats:
            raise LocalError("expected a channel at least, got none")
        if len(set(self.seats.values())) < len(self.seats):
            raise LocalError("expected seats with names of their own, got one twice")
