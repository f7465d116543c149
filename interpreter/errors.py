"""What can go wrong in `interpreter`.

    InterpreterError
    ├── ConfigError      a configuration file or command-line value that cannot be used; names file and line
    └── UnsupportedRoom  the room reaches its listeners in a way the meeting does not serve

All of them are the caller's to mend. Faults of an engine or of a connection stay `DuplexModelError` and
`WebRTCError`; inside a meeting they are contained, counted and told to the people concerned.
"""

from __future__ import annotations


class InterpreterError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(InterpreterError):
    """The configuration cannot be used; the message says where, what was expected and what came."""


class UnsupportedRoom(InterpreterError):
    """A meeting cannot be held in this kind of room."""
