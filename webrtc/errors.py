"""What can go wrong in `webrtc`.

    WebRTCError
    ├── LocalError         our caller broke the rules of this package
    ├── RemoteError        the other side sent something it must not, or vanished
    │   ├── SignallingError    a malformed, oversized or unexpected signalling message
    │   ├── SdpError           an offer or answer we cannot use
    │   ├── WrongHostKey       the proof that somebody is a host proves nothing
    │   ├── RoomFull           the room's limit of participants is reached
    │   └── Refused            who asks for something may not have it, or not so
    └── MediaLibraryError  libopus is missing or refused a call

`RemoteError` carries `code`, a stable word for programs, beside its message for people.
"""

from __future__ import annotations

from typing import ClassVar


class WebRTCError(Exception):
    """Base of every error this package raises on purpose."""


class LocalError(WebRTCError):
    """Our caller broke the rules of this package."""


class RemoteError(WebRTCError):
    """The other side broke the rules, or is gone."""

    code: ClassVar[str] = "remote-error"


class SignallingError(RemoteError):
    """A signalling message that cannot be accepted."""

    code = "bad-message"


class SdpError(RemoteError):
    """A session description that cannot be used."""

    code = "bad-sdp"


class WrongHostKey(RemoteError):
    """Somebody wants to be a host with a key that is not the room's."""

    code = "wrong-host-key"


class RoomFull(RemoteError):
    """No seat is free."""

    code = "room-full"


class Refused(RemoteError):
    """Who asks for something may not have it, or not in this way; the message tells them why."""

    code = "refused"


class MediaLibraryError(WebRTCError):
    """libopus cannot be found, or one of its calls failed."""
