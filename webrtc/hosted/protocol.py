"""The signalling protocol of the hosted room: JSON text messages over one WebSocket per page.

    page -> server                       server -> page
    join     {name, language, host_key?} welcome  {id, room, standing, ice_servers, participants}
    offer    {sdp}                       answer   {sdp}
    mute     {muted}                     joined, changed {participant}   left {id}   muted {id, muted}
    language {language}                  levels, caption, notice (what the interpreter has to say)
    command  {id, name, arguments}       state    how this person is interpreted now   replied {id, accepted, text, ...}
    leave    {}                          error    {code, message}: refused, the connection goes on
                                         closed   {code, message}: the last message, the server hangs up

A page sends `join`, then `offer` with every candidate in it; after `answer` it is in the room. `mute`, `language` and
`command` may come at any time after `join`; a command given before the offer is reported with the joining, before any
sound. Its arguments are texts, numbers, true or false; what they mean is not known here. `host_key` is given by pages
that were opened by the host's link. An unknown type, a missing, extra or twice-given key is refused: nothing a page
sends is ever guessed at. Attestations take another way, the data channel. Pure: knows messages, not sockets.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from webrtc.errors import SignallingError
from webrtc.room import Caption, CommandArgument, Levels, MeetingState, Notice, Replied

if TYPE_CHECKING:
    from webrtc.peer import IceServer

MAX_NAME_CHARACTERS = 64
MAX_LANGUAGE_CHARACTERS = 35  # RFC 5646 section 4.4.1: the longest tag one must be able to store
MAX_HOST_KEY_CHARACTERS = 128
MAX_REQUEST_ID_CHARACTERS = 32
MAX_ARGUMENTS = 8
MAX_ARGUMENT_CHARACTERS = 200
SILENCE_DBFS = -120.0
"""Level told for digital silence, whose decibels JSON cannot carry."""

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}")
"""Name of a command or of one of its arguments."""

# Unicode Bidirectional Algorithm (UAX 9) controls: they would reorder the words around a name.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls, surrogates, private use, unassigned; line and paragraph separators are white space and collapse.
_STRIPPED_CATEGORIES = frozenset({"Cc", "Cs", "Co", "Cn"})


@dataclass(frozen=True, kw_only=True)
class Join:
    """A page asks for a seat."""

    name: str
    """1–64 characters, NFC, no controls, at least one of them visible."""

    language: str
    """Language tag; whether the room offers it is the room's to say."""

    host_key: str | None = field(default=None, repr=False)
    """What should prove that the person is a host, 1–128 characters; None for whoever does not say so."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A page offers its audio connection."""

    sdp: str


@dataclass(frozen=True, kw_only=True)
class Mute:
    """A person switched their microphone off or on."""

    muted: bool


@dataclass(frozen=True, kw_only=True)
class SetLanguage:
    """A person changed their language."""

    language: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """A person asks something of whoever runs the room."""

    id: str
    """The page's own, 1–32 characters without controls; returned with the reply."""

    name: str
    arguments: Mapping[str, CommandArgument]


@dataclass(frozen=True, kw_only=True)
class Leave:
    """A person leaves."""


ClientMessage = Join | Offer | Mute | SetLanguage | Command | Leave


@dataclass(frozen=True, kw_only=True)
class RosterEntry:
    """What every page is told of one participant."""

    id: str
    name: str
    language: str
    muted: bool


@dataclass(frozen=True, kw_only=True)
class Welcome:
    """The seat is taken: who the page is, who is there, how to connect."""

    id: str
    room: str
    standing: str
    """`host` for hosts, else empty."""

    ice_servers: tuple[IceServer, ...]
    participants: tuple[RosterEntry, ...]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The server's answer to `Offer`, every candidate in it."""

    sdp: str


@dataclass(frozen=True, kw_only=True)
class RosterJoined:
    """Somebody is in the room; also sent to the page whose person that is."""

    participant: RosterEntry


@dataclass(frozen=True, kw_only=True)
class RosterChanged:
    """Somebody's name or language is another."""

    participant: RosterEntry


@dataclass(frozen=True, kw_only=True)
class RosterLeft:
    """Somebody is gone."""

    id: str


@dataclass(frozen=True, kw_only=True)
class RosterMuted:
    """Somebody switched their microphone off or on."""

    id: str
    muted: bool


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A message of the page was not accepted; the connection goes on."""

    code: str
    """Stable word for programs: the `code` of a `RemoteError`."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Closed:
    """The last message: the server hangs up, and why."""

    code: str
    """Stable word for programs: `unknown-room`, `room-full`, `removed`, `server-closing`, `connection-lost`,
    `join-timeout`, `too-slow`, `too-many-messages` or `too-many-errors`."""

    message: str


ServerMessage = (
    Welcome
    | Answer
    | RosterJoined
    | RosterChanged
    | RosterLeft
    | RosterMuted
    | Refused
    | Closed
    | Levels
    | Caption
    | Notice
    | Replied
    | MeetingState
)


def parse(text: str) -> ClientMessage:
    """The message a page sent.

    Args:
        text: one WebSocket text message; its size was limited by the caller.

    Raises:
        SignallingError: names what was expected and what came, never a value of an SDP.
    """
    fields = _object(text)
    kind = fields.pop("type", None)
    if not isinstance(kind, str) or kind not in _READERS:
        came = _shown(kind) if isinstance(kind, str) else _kind(kind)
        raise SignallingError(f'expected "type" to be one of {", ".join(_READERS)}, got {came}')
    keys, optional, reader = _READERS[kind]
    if not keys <= fields.keys() <= keys | optional:
        came = ", ".join(_shown(key) for key in sorted(fields)[:8]) or "none"
        expected = ", ".join((*sorted(keys), *(f"maybe {key}" for key in sorted(optional)))) or "none"
        raise SignallingError(f"expected in {kind} the keys {expected}, got {came}")
    return reader(fields)


def encode(message: ServerMessage) -> str:
    """`message` as the JSON text a page reads."""
    return json.dumps(_fields(message), separators=(",", ":"), allow_nan=False)


def clean_name(name: str) -> str:
    """The name as it is shown: NFC, no controls, white space collapsed.

    Raises:
        SignallingError: nothing visible is left, or more than 64 characters.
    """
    kept = "".join(character for character in name if character.isspace() or _is_kept(character))
    kept = " ".join(unicodedata.normalize("NFC", kept).split())
    if len(kept) > MAX_NAME_CHARACTERS:
        raise SignallingError(f"expected a name of at most {MAX_NAME_CHARACTERS} characters, got {len(kept)}")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in kept):
        raise SignallingError("expected a name with at least one visible character, got none")
    return kept


def _is_kept(character: str) -> bool:
    return character not in _BIDI_CONTROLS and unicodedata.category(character) not in _STRIPPED_CATEGORIES


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except SignallingError:
        raise
    except (ValueError, RecursionError) as error:  # ValueError: also integers of more than 4300 digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise SignallingError(f"expected a JSON object, got text that is {reason}") from None
    if not isinstance(value, dict):
        raise SignallingError(f"expected a JSON object, got {_kind(value)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise SignallingError("expected every key once, got one twice")
    return fields


def _no_constant(constant: str) -> None:
    raise SignallingError(f"expected JSON, got the number {constant}, which JSON has not")


def _string(fields: Mapping[str, Any], key: str) -> str:
    value = fields[key]
    if not isinstance(value, str):
        raise SignallingError(f'expected "{key}" to be a string, got {_kind(value)}')
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SignallingError(f'expected "{key}" to be Unicode text, got half a surrogate pair') from None
    return value


def _language(fields: Mapping[str, Any]) -> str:
    language = _string(fields, "language")
    if not 0 < len(language) <= MAX_LANGUAGE_CHARACTERS:
        expected = f"1 to {MAX_LANGUAGE_CHARACTERS} characters"
        raise SignallingError(f'expected "language" to be of {expected}, got {len(language)}')
    return language


def _join(fields: Mapping[str, Any]) -> Join:
    return Join(
        name=clean_name(_string(fields, "name")),
        language=_language(fields),
        host_key=_host_key(fields) if "host_key" in fields else None,
    )


def _host_key(fields: Mapping[str, Any]) -> str:
    key = _string(fields, "host_key")
    if not 0 < len(key) <= MAX_HOST_KEY_CHARACTERS:
        expected = f"1 to {MAX_HOST_KEY_CHARACTERS} characters"
        raise SignallingError(f'expected "host_key" to be of {expected}, got {len(key)}')
    return key


def _offer(fields: Mapping[str, Any]) -> Offer:
    return Offer(sdp=_string(fields, "sdp"))


def _mute(fields: Mapping[str, Any]) -> Mute:
    if not isinstance(fields["muted"], bool):
        raise SignallingError(f'expected "muted" to be true or false, got {_kind(fields["muted"])}')
    return Mute(muted=fields["muted"])


def _set_language(fields: Mapping[str, Any]) -> SetLanguage:
    return SetLanguage(language=_language(fields))


def _command(fields: Mapping[str, Any]) -> Command:
    arguments = fields["arguments"]
    if not isinstance(arguments, dict):
        raise SignallingError(f'expected "arguments" to be an object, got {_kind(arguments)}')
    if len(arguments) > MAX_ARGUMENTS:
        raise SignallingError(f"expected at most {MAX_ARGUMENTS} arguments, got {len(arguments)}")
    return Command(
        id=_visible("id", _string(fields, "id"), MAX_REQUEST_ID_CHARACTERS),
        name=_word("a command's name", _string(fields, "name")),
        arguments={
            _word("an argument's name", key): _argument(f"arguments.{key}", value)
            for key, value in arguments.items()
        },
    )


def _word(what: str, text: str) -> str:
    if not _WORD.fullmatch(text):
        raise SignallingError(f"expected {what} of 1 to 32 letters a-z, digits, - and _, got {_shown(text)}")
    return text


def _argument(key: str, value: object) -> CommandArgument:
    match value:
        case bool():
            return value
        case int() | float():
            return _number(key, value)
        case str():
            return _visible(key, _string({key: value}, key), MAX_ARGUMENT_CHARACTERS, least=0)
        case _:
            raise SignallingError(f'expected "{key}" to be text, a number, true or false, got {_kind(value)}')


def _number(key: str, value: int | float) -> float:
    try:
        number = float(value)
    except OverflowError:  # of an integer with more than 308 digits
        number = math.inf
    if not math.isfinite(number):  # JSON has 1e999, which Python reads as infinite
        raise SignallingError(f'expected "{key}" to be a finite number, got one beyond')
    return number


def _visible(key: str, text: str, most: int, *, least: int = 1) -> str:
    if not least <= len(text) <= most:
        raise SignallingError(f'expected "{key}" to be of {least} to {most} characters, got {len(text)}')
    if not all(_is_kept(character) for character in text):
        raise SignallingError(f'expected "{key}" to be free of control characters, got one')
    return text


def _leave(fields: Mapping[str, Any]) -> Leave:
    return Leave()


_READERS: Mapping[
    str, tuple[frozenset[str], frozenset[str], Callable[[Mapping[str, Any]], ClientMessage]]
] = {
    "join": (frozenset({"name", "language"}), frozenset({"host_key"}), _join),
    "offer": (frozenset({"sdp"}), frozenset(), _offer),
    "mute": (frozenset({"muted"}), frozenset(), _mute),
    "language": (frozenset({"language"}), frozenset(), _set_language),
    "command": (frozenset({"id", "name", "arguments"}), frozenset(), _command),
    "leave": (frozenset(), frozenset(), _leave),
}
"""Type -> the keys it must have, those it may have, and what reads them."""


def _kind(value: object) -> str:
    """What `value` is, in JSON's words; never the value itself, which may be long or private."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"


def _shown(text: str) -> str:
    """Text of the other side, short and without anything that could forge a log line."""
    return ascii(text if len(text) <= 32 else text[:32] + "...")


def _fields(message: ServerMessage) -> dict[str, Any]:
    match message:
        case Welcome():
            return {
                "type": "welcome",
                "id": message.id,
                "room": message.room,
                "standing": message.standing,
                "ice_servers": [_ice_server(server) for server in message.ice_servers],
                "participants": [_entry(participant) for participant in message.participants],
            }
        case Answer():
            return {"type": "answer", "sdp": message.sdp}
        case RosterJoined():
            return {"type": "joined", "participant": _entry(message.participant)}
        case RosterChanged():
            return {"type": "changed", "participant": _entry(message.participant)}
        case RosterLeft():
            return {"type": "left", "id": message.id}
        case RosterMuted():
            return {"type": "muted", "id": message.id, "muted": message.muted}
        case Refused():
            return {"type": "error", "code": message.code, "message": message.message}
        case Closed():
            return {"type": "closed", "code": message.code, "message": message.message}
        case Levels() | Caption() | Notice() | Replied():
            return _told(message)
        case MeetingState():
            return _state(message)


def _told(message: Levels | Caption | Notice | Replied) -> dict[str, Any]:
    match message:
        case Levels():
            return {
                "type": "levels",
                "dbfs": {key: _level(dbfs) for key, dbfs in message.dbfs.items()},
                "speaking": sorted(message.speaking),
            }
        case Caption():
            return {
                "type": "caption",
                "id": message.id,
                "speaker_id": message.speaker_id,
                "language": message.language,
                "text": message.text,
                "final": message.final,
                "kind": message.kind.value,
                "cut": message.cut,
            }
        case Notice():
            return {
                "type": "notice",
                "id": message.id,
                "level": message.level.value,
                "language": message.language,
                "text": message.text,
            }
        case Replied():
            return {
                "type": "replied",
                "id": message.request_id,
                "accepted": message.accepted,
                "language": message.language,
                "text": message.text,
            }


def _state(state: MeetingState) -> dict[str, Any]:
    own = state.own
    return {
        "type": "state",
        "lamp": state.lamp.value,
        "mode": state.mode,
        "role": state.role,
        "role_checksum": state.role_checksum,
        "stored": [kept.value for kept in state.stored],
        "own": {
            "opted_out": own.opted_out,
            "stopped": own.stopped,
            "original_only": own.original_only,
            "balance": own.balance,
            "captions": own.captions,
            "language": own.language,
        },
        "directions": [
            {
                "speaker_id": direction.speaker_id,
                "language": direction.language,
                "status": direction.status.value,
            }
            for direction in state.directions
        ],
        "opted_out": sorted(state.opted_out),
        "human_asked": state.human_asked,
        "human_present": state.human_present,
        "paused": state.paused,
        "closed": state.closed,
        "choices": [
            {"name": choice.name, "titles": dict(choice.titles), "voice": choice.voice}
            for choice in state.choices
        ],
    }


def _entry(entry: RosterEntry) -> dict[str, Any]:
    return {"id": entry.id, "name": entry.name, "language": entry.language, "muted": entry.muted}


def _ice_server(server: IceServer) -> dict[str, Any]:
    """As RTCIceServer of the W3C's WebRTC specification wants it."""
    fields: dict[str, Any] = {"urls": list(server.urls)}
    if server.username is not None:
        fields["username"] = server.username
    if server.credential is not None:
        fields["credential"] = server.credential
    return fields


def _level(dbfs: float) -> float:
    return round(max(dbfs, SILENCE_DBFS), 1) if math.isfinite(dbfs) else SILENCE_DBFS
