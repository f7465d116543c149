"""Which room of which Janus server: `janus+wss://HOST[:PORT]/PATH?room=ROOM&pin=PIN`. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from webrtc.errors import LocalError

RoomId = int | str
"""A number, or on servers with `string_ids` a text."""

SCHEMES = {"janus+wss": "wss", "janus+ws": "ws"}
_EXAMPLE = "janus+wss://janus.example.org/janus?room=1234"
_QUERY = ("room", "pin")


@dataclass(frozen=True, kw_only=True)
class JanusAddress:
    """One room."""

    url: str
    """Of the server's WebSocket, such as `wss://janus.example.org/janus`; no secret."""

    room: RoomId
    pin: str = field(default="", repr=False)

    @property
    def title(self) -> str:
        """For people and logs."""
        return f"room {self.room} of {urlsplit(self.url).netloc}"


def parse_janus_url(text: str, *, insecure: bool = False) -> JanusAddress:
    """The room that an address names.

    Args:
        text: the address; its pin is in no error.
        insecure: allows connections in clear beyond this machine.

    Raises:
        LocalError: it is no such address.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise LocalError(f"expected an address like {_EXAMPLE}, got one that cannot be read") from None
    if parts.scheme not in SCHEMES or not host or parts.fragment or "@" in parts.netloc or port == 0:
        raise LocalError(f"expected an address like {_EXAMPLE}, got {text.partition('?')[0][:80]!a}")
    if parts.scheme == "janus+ws" and not insecure and not _is_here(host):
        raise LocalError(f"expected janus+wss beyond this machine, got janus+ws on {host[:80]!a}")
    query = parse_qsl(parts.query, keep_blank_values=True)
    names = [name for name, _ in query]
    if unknown := next((name for name in names if name not in _QUERY or names.count(name) > 1), None):
        raise LocalError(f"expected {' and '.join(_QUERY)} after the ?, each once, got {unknown[:20]!a}")
    values = dict(query)
    room = values.get("room", "").strip()
    if not room:
        raise LocalError(f"expected the room in the address, like {_EXAMPLE}, got none")
    return JanusAddress(
        url=f"{SCHEMES[parts.scheme]}://{parts.netloc}{parts.path or '/'}",
        room=int(room) if room.isascii() and room.isdigit() and len(room) < 20 else room,
        pin=values.get("pin", ""),
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
