"""Who asked what of the interpreter, and when: a sealed log without content. Pure: the wall clock is an argument.

    {"kind":"audit", ...}                        the file's first line: the meeting, and the key it is signed with
    {"kind":"event","event":"role.changed", ...} one act
    {"kind":"end", ...}                          the log is whole

Names, roles, ids and chosen values are written; what anybody said or typed never is. A text that is no plain word,
such as one with a space in it, is left out even where whoever calls would give it: null stands beside its
argument's name.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from interpreter.commands.arguments import LanguagePair, Value
from interpreter.commands.commands import Actor, Invocation
from interpreter.errors import IdentityError
from interpreter.identity.chain import Sealer
from interpreter.identity.encoding import Json, integer_in, kind_of, members, text_in
from interpreter.identity.heads import AUDIT_KIND, END_KIND, VERSION
from interpreter.identity.keys import IdentityKey, key_set

EVENT_KIND = "event"
KEPT_LINES = 1_000
"""Of a log in memory: the console's view of it, whether or not there is a file."""

TOKEN_HASH_CHARACTERS = 16
MAX_ARGUMENTS = 16
_LONGEST_NAME = 64
_EVENT = r"[a-z][a-z_]*(\.[a-z_]+)*"
_ARGUMENT_NAME = r"[a-z][a-z_]*"
_PLAIN_WORD = r"[A-Za-z0-9+-][A-Za-z0-9_.>+-]{0,63}"
_TOKEN_HASH = rf"([0-9a-f]{{{TOKEN_HASH_CHARACTERS}}})?"


def token_hash(token: str) -> str:
    """What stands for an access token: the first 16 hexadecimal digits of its SHA-256.

    It tells tokens apart and gives none away, as long as tokens are random.
    """
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()[:TOKEN_HASH_CHARACTERS]


class AuditLog:
    """The log of one meeting.

    Args:
        key: signs every line.
        meeting_id: names the meeting, as in its attestation.
        now_s: wall clock, Unix seconds.
        emit: gets every line, without newline, in order and at once; None where nothing is to be written.
    """

    def __init__(
        self,
        *,
        key: IdentityKey,
        meeting_id: str,
        now_s: float,
        emit: Callable[[str], object] | None = None,
    ) -> None:
        self._sealer = Sealer(key)
        self._emit = emit
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        head: dict[str, Json] = {
            "version": VERSION,
            "meeting": meeting_id,
            "at": int(now_s),
            "jwks": key_set([key.public]),
        }
        self._write(AUDIT_KIND, head)

    @property
    def lines(self) -> Sequence[str]:
        """The last `KEPT_LINES` lines."""
        return tuple(self._kept)

    def command(self, invocation: Invocation, now_s: float) -> None:
        """A command was given that may be carried out."""
        self.record(
            invocation.spec.audit_event,
            now_s,
            actor=invocation.actor,
            participant_id=invocation.subject,
            arguments=invocation.auditable(),
        )

    def record(
        self,
        event: str,
        now_s: float,
        *,
        actor: Actor | None = None,
        participant_id: str | None = None,
        arguments: Mapping[str, Value] | None = None,
    ) -> None:
        """Something happened that somebody may ask about later.

        Args:
            event: its name, such as `participant.opted_out`.
            now_s: wall clock, Unix seconds.
            actor: whose act it was; None for the interpreter's own.
            participant_id: whom it is about; None for everybody or the meeting.
            arguments: chosen values only.

        Raises:
            IdentityError: the event's or an argument's name is no plain name.
        """
        record: dict[str, Json] = {
            "event": event,
            "at_ms": round(1_000 * now_s),
            "actor": _short(actor.name) if actor else None,
            "actor_id": _short_or_none(actor.participant_id) if actor else None,
            "actor_role": actor.standing.words if actor else "interpreter",
            "token_hash": actor.token_hash[:TOKEN_HASH_CHARACTERS] if actor else "",
            "participant": _short_or_none(participant_id),
            "arguments": {name: _plain(value) for name, value in (arguments or {}).items()},
        }
        check_event(record)
        self._write(EVENT_KIND, record)

    def end(self, now_s: float) -> None:
        """The meeting is over: the log says that it is whole."""
        self._write(END_KIND, {"at": int(now_s), "lines": self._sealer.lines})

    def _write(self, kind: str, record: Mapping[str, Json]) -> None:
        line = self._sealer.seal(kind, record)
        self._kept.append(line)
        if self._emit is not None:
            self._emit(line)


def check_event(record: Mapping[str, Any]) -> None:
    """Raises `IdentityError` unless a record's members, but for `after` and `kind`, are those of an event."""
    names = "event at_ms actor actor_id actor_role token_hash participant arguments"
    event = members({k: v for k, v in record.items() if k not in {"after", "kind"}}, names)
    text_in(event, "event", pattern=_EVENT, longest=_LONGEST_NAME)
    integer_in(event, "at_ms")
    text_in(event, "actor_role", pattern=r"[a-z]+", longest=_LONGEST_NAME)
    text_in(event, "token_hash", pattern=_TOKEN_HASH)
    for name in ("actor", "actor_id", "participant"):
        if event[name] is not None:
            text_in(event, name, longest=_LONGEST_NAME)
    arguments = event["arguments"]
    if not isinstance(arguments, dict) or len(arguments) > MAX_ARGUMENTS:
        raise IdentityError(f"expected {MAX_ARGUMENTS} arguments at most, got {kind_of(arguments)}")
    for name, value in arguments.items():
        text_in({"argument": name}, "argument", pattern=_ARGUMENT_NAME, longest=_LONGEST_NAME)
        if not (value is None or isinstance(value, bool)):
            text_in(arguments, name, pattern=_PLAIN_WORD)


def _plain(value: Value) -> Json:
    """How an argument is written; None for text that may be more than a chosen word."""
    match value:
        case bool():
            return value
        case float() | int():
            return f"{value:g}"
        case LanguagePair():
            return str(value)
        case _:
            return value if re.fullmatch(_PLAIN_WORD, value) else None


def _short(text: str) -> str:
    """A name that somebody chose, as far as a log takes it."""
    return text.encode(errors="replace").decode()[:_LONGEST_NAME]


def _short_or_none(text: str | None) -> str | None:
    return None if text is None else _short(text)
