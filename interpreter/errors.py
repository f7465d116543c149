"""What can go wrong in `interpreter`.

    InterpreterError
    ├── CommandError            a command that is not carried out; says why to whoever gave it
    │   ├── UnknownCommand      there is none of that name
    │   ├── NotAllowed          it is for somebody of another standing
    │   ├── BadArgument         an argument is missing, unknown or of the wrong kind
    │   └── StaleEdit           it would change what somebody else has changed since its giver looked
    │       └── NothingExpected it does not say what its giver looked at
    ├── ConsoleMessageError     what a page or a client sent is no message; says what was expected
    ├── ConfigError             a configuration file or command-line value that cannot be used; names file and line
    ├── IdentityError           a key, passport or sealed file cannot be used, or is not what it says
    └── IncompleteInstallation  a package, or a file of one, that is needed is not there

All of them are the caller's to mend. Faults of an engine or of a connection stay `DuplexModelError` and
`WebRTCError`; inside a meeting they are contained, counted and told to the people concerned.
"""

from __future__ import annotations


class InterpreterError(Exception):
    """Base of every error this package raises on purpose."""


class CommandError(InterpreterError):
    """A command is not carried out; the message is for the person who gave it."""


class UnknownCommand(CommandError):
    """There is no command of that name."""


class NotAllowed(CommandError):
    """The command is not for somebody of this standing."""


class BadArgument(CommandError):
    """An argument is missing, unknown or of the wrong kind."""


class StaleEdit(CommandError):
    """It would change what somebody else has changed since its giver looked."""


class NothingExpected(StaleEdit):
    """It does not say what its giver looked at, and might undo what they have not seen."""


class ConsoleMessageError(InterpreterError):
    """What a console's page or a client sent is no message; the message says what was expected."""


class ConfigError(InterpreterError):
    """The configuration cannot be used; the message says where, what was expected and what came."""


class IdentityError(InterpreterError):
    """A key, passport or sealed file cannot be used, or is not what it says; the message says what was expected."""


class IncompleteInstallation(InterpreterError):
    """Something that comes with the installation is missing; the message names it."""
