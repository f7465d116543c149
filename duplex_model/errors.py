"""What can go wrong in `duplex_model`.

    DuplexModelError
    ├── CheckpointError    a checkpoint cannot be found, read or recognised; the message says what to do
    ├── PromptError        the caller's prompt cannot be served (role text, voice or languages)
    ├── FrameError         a fed frame has not the agreed shape or dtype
    ├── EngineFull         every lane is taken; nobody was slowed down
    ├── Unsupported        this checkpoint cannot do what was asked (see `Capabilities`)
    ├── SpecError          no engine can be built from these options
    ├── EspeakError        espeak-ng or one of its voices is missing
    ├── SessionClosed      the session was closed, by its owner or with its engine
    ├── WireError          the other end of an engine's socket sent what is no message
    └── SessionFailed      this session's lane failed; other sessions go on
        └── EngineDied         the engine's process or device is gone; all its sessions failed with it

The first seven are the caller's to mend, the last three are the engine's fault.
"""

from __future__ import annotations


class DuplexModelError(Exception):
    """Base of every error this package raises on purpose."""


class CheckpointError(DuplexModelError):
    """The checkpoint cannot be used; the message says which file or tensor, and what to do."""


class PromptError(DuplexModelError):
    """The prompt cannot be served; the message says what was expected and what came."""


class FrameError(DuplexModelError):
    """A frame must be float32 pcm of shape [1920]; the message says what came."""


class EngineFull(DuplexModelError):
    """No lane is free."""


class Unsupported(DuplexModelError):
    """The checkpoint lacks the capability the caller asked for."""


class SpecError(DuplexModelError):
    """An engine's options are wrong; the message names the option, what was expected and what came."""


class EspeakError(DuplexModelError):
    """espeak-ng's library, its data or a voice is missing; the message says which, and how to get it."""


class SessionClosed(DuplexModelError):
    """The session no longer exists."""


class WireError(DuplexModelError):
    """Bytes on the socket between an engine and its process that are no message of ours."""


class SessionFailed(DuplexModelError):
    """The session's lane failed; its futures and only its futures carry this error."""


class EngineDied(SessionFailed):
    """The engine is gone, and this session with it. A new engine takes over; open a new session there."""
