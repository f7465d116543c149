"""The messages of the Janus API: JSON text to dataclasses, and the requests we make. Pure.

Every request has a transaction, by which its answer is known; a message to a plugin is acknowledged first and answered
by an event later. What Janus tells unasked has none. Upstream: Janus 1.1.2; unknown kinds are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from webrtc.errors import SignallingError

MAX_MESSAGE_BYTES = 256 * 1024
"""Of a room with hundreds of publishers; an offer of one track has some 2 kB."""

SUBPROTOCOL = "janus-protocol"
VIDEOROOM = "janus.plugin.videoroom"

Body = Mapping[str, Any]
"""A JSON object."""


@dataclass(frozen=True, kw_only=True)
class Jsep:
    """A session description (what Janus calls JSEP)."""

    kind: str
    """`offer` or `answer`."""

    sdp: str
    encrypted: bool = False
    """End to end: the media cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Acknowledged:
    """The request has arrived; its answer is still to come, but for a keep-alive's."""

    transaction: str


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    """The request is done."""

    transaction: str
    id: int | None
    """Of the session or handle that it made."""

    data: Body
    """What a plugin answered at once."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The request was refused by Janus itself, not by a plugin."""

    transaction: str
    code: int
    reason: str
    """In Janus's words, untrusted."""


@dataclass(frozen=True, kw_only=True)
class PluginEvent:
    """A plugin answers, or tells something."""

    handle: int
    transaction: str
    """Empty where nobody asked."""

    data: Body
    jsep: Jsep | None


@dataclass(frozen=True, kw_only=True)
class HandleOver:
    """The connection of a handle has ended, or the handle itself."""

    handle: int
    detached: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class SessionOver:
    """The session has ended: Janus heard nothing for too long."""


Message = Acknowledged | Succeeded | Failed | PluginEvent | HandleOver | SessionOver


def parse(text: str) -> Message | None:
    """What a message says; None for one that needs no attention.

    Raises:
        SignallingError: it is no JSON object, or lacks what its kind must have.
    """
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise SignallingError("expected a JSON object of Janus, got something else") from None
    if not isinstance(message, dict):
        raise SignallingError("expected a JSON object of Janus, got another value")
    match message.get("janus"):
        case "ack":
            return Acknowledged(transaction=_text(message, "transaction"))
        case "success":
            data, plugin = _object(message, "data"), _object(message, "plugindata")
            made = data.get("id")
            return Succeeded(
                transaction=_text(message, "transaction"),
                id=made if _is_id(made) else None,
                data=_object(plugin, "data"),
            )
        case "error":
            error = _object(message, "error")
            code = error.get("code")
            return Failed(
                transaction=_text(message, "transaction"),
                code=code if _is_id(code) else 0,
                reason=_text(error, "reason")[:200],
            )
        case "event":
            return PluginEvent(
                handle=_sender(message),
                transaction=_text(message, "transaction"),
                data=_object(_object(message, "plugindata"), "data"),
                jsep=_jsep(message),
            )
        case "hangup" | "detached" as kind:
            reason = _text(message, "reason")[:200]
            return HandleOver(handle=_sender(message), detached=kind == "detached", reason=reason)
        case "timeout":
            return SessionOver()
        case str():
            return None  # webrtcup, media, slowlink and what later versions tell
        case _:
            raise SignallingError("expected a message of Janus with its kind, got none")


def _sender(message: Body) -> int:
    sender = message.get("sender")
    if not _is_id(sender):
        raise SignallingError("expected the handle that an event is of, got none")
    return sender


def _jsep(message: Body) -> Jsep | None:
    jsep = _object(message, "jsep")
    if not jsep:
        return None
    kind, sdp = _text(jsep, "type"), _text(jsep, "sdp")
    if kind not in ("offer", "answer") or not sdp:
        raise SignallingError("expected an offer or answer with its description, got another jsep")
    return Jsep(kind=kind, sdp=sdp, encrypted=jsep.get("e2ee") is True)


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64


def _text(message: Body, key: str) -> str:
    value = message.get(key)
    return value if isinstance(value, str) else ""


def _object(message: Body, key: str) -> Body:
    value = message.get(key)
    return value if isinstance(value, dict) else {}


def encode(body: Body) -> str:
    """A request as text."""
    return json.dumps(body, separators=(",", ":"))
