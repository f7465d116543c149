"""Why the interpreter is not let into a room, or not heard there: a sentence that tells the host what to do. Pure."""

from __future__ import annotations

from webrtc.janus.address import JanusAddress
from webrtc.janus.messages import Failed
from webrtc.janus.videoroom import (
    INVALID_ELEMENT,
    MISSING_ELEMENT,
    NO_SUCH_ROOM,
    PUBLISHERS_FULL,
    UNAUTHORIZED,
    Refused,
)

# Of the Janus API itself; apierror.h.
_UNAUTHORIZED = (403, 405)
_PLUGIN_NOT_FOUND = 460

KICKED = "somebody put the interpreter out of the room; start it again if it is still wanted"
DESTROYED = "the room was closed"
_PIN_PLACE = "(after `pin=` in the address, or `join.password_env`)"


def join_refused(refused: Refused, address: JanusAddress) -> str:
    """Why the room does not take us."""
    if refused.code == NO_SUCH_ROOM:
        return f"there is no {address.title}; create it first, or correct the room in the address"
    if refused.code == UNAUTHORIZED or (refused.code == MISSING_ELEMENT and not address.pin):
        what = "refuses the PIN; correct it" if address.pin else "wants a PIN; add it"
        return f"{address.title} {what} {_PIN_PLACE}"
    if refused.code == INVALID_ELEMENT:
        return f"{address.title} cannot be named so there; Janus says: {_quoted(refused.error)}"
    return f"{address.title} does not take the interpreter, error {refused.code}; Janus says: {_quoted(refused.error)}"


def publish_refused(refused: Refused, name: str) -> str:
    """Why one of our participants is not heard."""
    if refused.code == PUBLISHERS_FULL:
        return f"{name} is not heard, as the room has as many publishers as it takes; raise its `publishers`"
    return f"{name} is not heard, error {refused.code}; Janus says: {_quoted(refused.error)}"


def janus_refused(failed: Failed) -> str:
    """Why Janus itself refuses us."""
    if failed.code in _UNAUTHORIZED:
        return "the Janus server wants a token; name it in `join.token_env` (an API secret is not for guests)"
    if failed.code == _PLUGIN_NOT_FOUND:
        return no_videoroom()
    return f"the Janus server refuses the interpreter, error {failed.code}; it says: {_quoted(failed.reason)}"


def no_videoroom() -> str:
    """A server for other things than rooms."""
    return "the Janus server has no VideoRoom plugin; have its operator load it"


def not_janus(host: str) -> str:
    """What answers speaks another protocol."""
    return f"what answers at {host} is no Janus WebSocket; correct the address, its path included"


def _quoted(text: str) -> str:
    """A foreign text on one line, that can do nothing to a terminal."""
    return ascii(text[:120])
