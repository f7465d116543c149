"""The messages between an operator's page and the server: JSON texts over one WebSocket. Pure.

    page -> server                             server -> page
    watch    {room}                            welcome   {protocol, you, commands}
    sync     {topic}                           snapshot  {topic, seq, state}
    command  {id, room?, name, arguments,      delta     {topic, seq, ops}
              expect?}                         levels    {room, levels}          10 a second, of the watched room
    apply    {id, room, commands, expect}      heartbeat {at, topics}            one a second
    editing  {room, slot}                      reply     {id, accepted, code, text, language, revision?, result?}
    language {tag}                             gone      {topic}
                                               error     {code, message}: refused, the connection goes on
                                               closed    {code, message}: the last message, the server hangs up

Topics are `house`, `room/ID`, `notes/ID` and `page/NAME`. What each message means is told in docs/console-protocol.md.
An unknown type, a missing, extra or twice-given member is refused: nothing a page sends is ever guessed at.
"""

from __future__ import annotations

import json
import math
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interpreter.console.deltas import Json, Op, op_to_json, to_json
from interpreter.console.snapshot import RoomLevels
from interpreter.errors import ConsoleMessageError

PROTOCOL = 1
"""Counts up when a page that knows the former one could no longer follow."""

MAX_MESSAGE_BYTES = 16_384
MAX_ID_CHARACTERS = 32
MAX_COMMANDS = 8
MAX_ARGUMENTS = 8
MAX_ARGUMENT_CHARACTERS = 700
MAX_SLOT_CHARACTERS = 80

_ROOM = re.compile(r"[0-9a-f]{1,32}")
_TOPIC = re.compile(r"house|(room|notes)/[0-9a-f]{1,32}|page/[a-z][a-z0-9-]{0,31}")
_TAG = re.compile(r"[a-z]{2,8}")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")

Argument = str | float | bool


@dataclass(frozen=True, kw_only=True)
class Watch:
    """Show this room in full instead of the one before."""

    room: str | None
    """None for no room."""


@dataclass(frozen=True, kw_only=True)
class Sync:
    """Send a topic's snapshot again, or begin with it: the page has missed something."""

    topic: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One command as a page gives it."""

    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Command:
    """Do this."""

    id: str
    """The page's own, 1 to 32 characters, returned with the reply."""

    asked: Asked
    room: str | None = None
    """None for commands that are about no room."""

    expect: int | None = None
    """Revision of the room that whoever gives it was looking at."""


@dataclass(frozen=True, kw_only=True)
class Apply:
    """Do all of these together, or none of them: what was staged on the page."""

    id: str
    room: str
    commands: tuple[Asked, ...]
    expect: int


@dataclass(frozen=True, kw_only=True)
class SetLanguage:
    """Answer me in this language."""

    tag: str
    """Primary; English where there are no answers in it."""


@dataclass(frozen=True, kw_only=True)
class Editing:
    """Tell the others what I am about to change."""

    room: str
    slot: str
    """Such as `role/3f2a`; empty for nothing any more."""


ClientMessage = Watch | Sync | Command | Apply | Editing | SetLanguage


@dataclass(frozen=True, kw_only=True)
class Welcome:
    """The connection stands."""

    id: str
    """The console's, as in `House.operators`."""

    name: str
    standing: str
    commands: Sequence[Mapping[str, object]]
    """Those that this operator may give: see `commands.describe`."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All of a topic."""

    topic: str
    seq: int
    state: object


@dataclass(frozen=True, kw_only=True)
class Delta:
    """What changed in a topic since `seq - 1`."""

    topic: str
    seq: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A topic is no more: its room was left."""

    topic: str


@dataclass(frozen=True, kw_only=True)
class Levels:
    """How loud everybody is."""

    room: str
    levels: RoomLevels


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The server lives; a page that has had none for 2 s shows STALE."""

    at: float
    """Unix seconds."""

    topics: Mapping[str, int]
    """Topic -> the last `seq` of it, of all that are followed."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a command."""

    id: str
    accepted: bool
    code: str
    """`done`, or why not: see docs/console-protocol.md."""

    text: str
    """For people; never markup."""

    language: str = "en"
    """Of the text."""

    revision: int | None = None
    """Of the room, afterwards."""

    result: Mapping[str, Json] | None = None
    """What was asked for: a file, a sample."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A message was refused, and harmed nothing."""

    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Closed:
    """The last message."""

    code: str
    message: str


ServerMessage = Welcome | Snapshot | Delta | Gone | Levels | Heartbeat | Reply | Refusal | Closed


def parse(text: str) -> ClientMessage:
    """The message in `text`.

    Raises:
        ConsoleMessageError: it is none; says what was expected, and never what a secret was.
    """
    message = _object_in(text)
    kind = message.pop("type", None)
    parser = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        raise ConsoleMessageError(f"expected a type of {', '.join(_PARSERS)}")
    return parser(message)


def body_from(text: str, names: str) -> dict[str, Any]:
    """The JSON object in the body of a call.

    Args:
        text: the body.
        names: members it may have, separated by spaces.

    Raises:
        ConsoleMessageError: it is none, or has others.
    """
    body = _object_in(text)
    _only(body, names)
    return body


def asked_from(message: Mapping[str, Any]) -> Asked:
    """A command from a JSON object of `name` and `arguments`.

    Raises:
        ConsoleMessageError: it is none.
    """
    _only(message, "name arguments")
    arguments = message.get("arguments", {})
    if not isinstance(arguments, dict) or len(arguments) > MAX_ARGUMENTS:
        raise ConsoleMessageError(f"expected an object of at most {MAX_ARGUMENTS} arguments")
    return Asked(
        name=_text(message, "name", _WORD),
        arguments={_argument_name(name): _argument(value) for name, value in arguments.items()},
    )


def expect_from(message: Mapping[str, Any]) -> int | None:
    """The expected revision in a JSON object; None where there is none.

    Raises:
        ConsoleMessageError: it is no whole number.
    """
    expect = message.get("expect")
    if expect is None:
        return None
    if isinstance(expect, bool) or not isinstance(expect, int) or not 0 <= expect < 2**53:
        raise ConsoleMessageError("expected a revision, a whole number, as `expect`")
    return expect


def commands_from(message: Mapping[str, Any]) -> tuple[Asked, ...]:
    """The commands in a JSON object's `commands`.

    Raises:
        ConsoleMessageError: there are none, or too many.
    """
    commands = message.get("commands")
    if not isinstance(commands, list) or not 0 < len(commands) <= MAX_COMMANDS:
        raise ConsoleMessageError(f"expected a list of 1 to {MAX_COMMANDS} commands")
    if not all(isinstance(one, dict) for one in commands):
        raise ConsoleMessageError("expected every command to be an object")
    return tuple(asked_from(one) for one in commands)


def encode(message: ServerMessage) -> str:
    """`message` as JSON text in ASCII, which also carries what is no valid Unicode."""
    return json.dumps(_members(message), separators=(",", ":"), allow_nan=False)


class Encoder:
    """Encodes once what several pages are sent: the very same message, one page after the other."""

    def __init__(self) -> None:
        self._recent: deque[tuple[ServerMessage, str]] = deque(maxlen=8)

    def text(self, message: ServerMessage) -> str:
        """`message` as JSON text."""
        for known, text in self._recent:
            if known is message:
                return text
        self._recent.append((message, encode(message)))
        return self._recent[-1][1]


def reply_to_json(reply: Reply) -> dict[str, Json]:
    """The members of a reply; what is not known is left out."""
    members: dict[str, Json] = {
        "accepted": reply.accepted,
        "code": reply.code,
        "text": reply.text,
        "language": reply.language,
    }
    if reply.revision is not None:
        members["revision"] = reply.revision
    if reply.result is not None:
        members["result"] = dict(reply.result)
    return members


def _object_in(text: str) -> dict[str, Any]:
    if len(text) > MAX_MESSAGE_BYTES or len(text.encode(errors="replace")) > MAX_MESSAGE_BYTES:
        raise ConsoleMessageError(f"expected at most {MAX_MESSAGE_BYTES} bytes, got more")
    try:
        message = json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except RecursionError:
        raise ConsoleMessageError("expected a flat JSON object, got one nested too deep") from None
    except ValueError as error:
        raise ConsoleMessageError(f"expected JSON, got something else: {error}"[:200]) from None
    if not isinstance(message, dict):
        raise ConsoleMessageError("expected a JSON object")
    return message


def _members(message: ServerMessage) -> dict[str, Json]:
    match message:
        case Welcome():
            you: Json = {"id": message.id, "name": message.name, "standing": message.standing}
            return {
                "type": "welcome",
                "protocol": PROTOCOL,
                "you": you,
                "commands": to_json(tuple(message.commands)),
            }
        case Snapshot():
            return {
                "type": "snapshot",
                "topic": message.topic,
                "seq": message.seq,
                "state": to_json(message.state),
            }
        case Delta():
            ops: list[Json] = [op_to_json(op) for op in message.ops]
            return {"type": "delta", "topic": message.topic, "seq": message.seq, "ops": ops}
        case Gone():
            return {"type": "gone", "topic": message.topic}
        case Levels():
            return {"type": "levels", "room": message.room, "levels": to_json(message.levels)}
        case Heartbeat():
            return {"type": "heartbeat", "at": message.at, "topics": to_json(message.topics)}
        case Reply():
            return {"type": "reply", "id": message.id, **reply_to_json(message)}
        case Refusal():
            return {"type": "error", "code": message.code, "message": message.message}
        case Closed():
            return {"type": "closed", "code": message.code, "message": message.message}


def _watch(message: Mapping[str, Any]) -> Watch:
    _only(message, "room")
    return Watch(room=None if message.get("room") is None else _text(message, "room", _ROOM))


def _sync(message: Mapping[str, Any]) -> Sync:
    _only(message, "topic")
    return Sync(topic=_text(message, "topic", _TOPIC))


def _command(message: Mapping[str, Any]) -> Command:
    _only(message, "id room name arguments expect")
    asked = asked_from({key: message[key] for key in ("name", "arguments") if key in message})
    room = None if message.get("room") is None else _text(message, "room", _ROOM)
    return Command(id=_id(message), room=room, asked=asked, expect=expect_from(message))


def _apply(message: Mapping[str, Any]) -> Apply:
    _only(message, "id room commands expect")
    expect = expect_from(message)
    if expect is None:
        raise ConsoleMessageError("expected the room's revision as `expect`, got none")
    return Apply(
        id=_id(message), room=_text(message, "room", _ROOM), commands=commands_from(message), expect=expect
    )


def _editing(message: Mapping[str, Any]) -> Editing:
    _only(message, "room slot")
    slot = message.get("slot")
    if not isinstance(slot, str) or len(slot) > MAX_SLOT_CHARACTERS or not slot.isprintable():
        raise ConsoleMessageError(f"expected a slot of at most {MAX_SLOT_CHARACTERS} characters")
    return Editing(room=_text(message, "room", _ROOM), slot=slot)


def _language(message: Mapping[str, Any]) -> SetLanguage:
    _only(message, "tag")
    return SetLanguage(tag=_text(message, "tag", _TAG))


_PARSERS: Mapping[str, Callable[[Mapping[str, Any]], ClientMessage]] = {
    "watch": _watch,
    "sync": _sync,
    "command": _command,
    "apply": _apply,
    "editing": _editing,
    "language": _language,
}


def _only(message: Mapping[str, Any], names: str) -> None:
    extra = message.keys() - set(names.split())
    if extra:
        raise ConsoleMessageError(f"expected only {', '.join(names.split())}, got {min(extra)[:32]!a}")


def _text(message: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ConsoleMessageError(f"expected `{name}` like {pattern.pattern}")
    return value


def _id(message: Mapping[str, Any]) -> str:
    value = message.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS or not value.isprintable():
        raise ConsoleMessageError(f"expected an `id` of 1 to {MAX_ID_CHARACTERS} printable characters")
    return value


def _argument_name(name: str) -> str:
    if not _WORD.fullmatch(name):
        raise ConsoleMessageError("expected arguments with plain names")
    return name


def _argument(value: object) -> Argument:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_ARGUMENT_CHARACTERS:
        return value
    if isinstance(value, int | float) and abs(value) < 1e15 and math.isfinite(value):
        return float(value)
    raise ConsoleMessageError(
        f"expected arguments to be true, false, numbers or texts of at most {MAX_ARGUMENT_CHARACTERS} characters"
    )


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ConsoleMessageError("expected every member once, got one twice")
    return members


def _no_constant(word: str) -> None:
    raise ConsoleMessageError(f"expected JSON, got {word}")
