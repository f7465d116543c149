"""mediajson: what a Jitsi bridge and a translation service say to each other, one JSON object per text frame. Sans-IO.

    bridge -> service    sources, info, start, media, ping, session-end
    service -> bridge    start, media, stop, pong, transcription-result, info

The bridge writes `sequenceNumber`, `chunk` and `timestamp` of media as strings and everything else that is a number
as a number, and reads either; so do we read either, and write numbers. Names of what we do not know are skipped: the
protocol grows by new members and new events. What we know must be right, or the whole message is refused in words
that never hold what it said.

A *source* is one person's audio, such as `1a2b3c4d-a0`. A rendering of it is a *synthetic source*, named after it and
the language, `1a2b3c4d-a0.es`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from webrtc.errors import SignallingError
from webrtc.opus import MAX_PACKET_BYTES
from webrtc.talk import RTP_CLOCK_HZ, TalkEvent, TalkPacket, TalkStarted, TalkStopped

MAX_NAME_CHARACTERS = 128
MAX_LANGUAGE_CHARACTERS = 20  # as Jitsi's own component of the chat server allows
MAX_SOURCES = 1_024
"""Names in each list of a `sources` message."""

MAX_MESSAGE_CHARACTERS = 2 * MAX_SOURCES * (MAX_NAME_CHARACTERS + 8)
"""No message that is within the other limits is longer."""

_MAX_PAYLOAD_CHARACTERS = 4 * -(-MAX_PACKET_BYTES // 3)
_MAX_NUMBER = 2**63
_MAX_DIGITS = 20


@dataclass(frozen=True)
class Request:
    """A rendering that the bridge wants."""

    name: str
    """Of the synthetic source, which is what everything that is sent for it is tagged with."""

    source: str
    """Whose rendering."""

    language: str
    """As in the name; letters alone."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the bridge will send and what it wants: all of it, in place of what it said before."""

    exports: tuple[str, ...]
    requests: tuple[Request, ...]
    unusable: int = 0
    """Requests whose names are not those of a source and a language."""


@dataclass(frozen=True, kw_only=True)
class Info:
    """What the bridge says of itself; for logs."""

    words: str
    """Application, version and region, as far as they were told; printable, of a few characters."""


@dataclass(frozen=True, kw_only=True)
class SourceStarted:
    """A source's audio follows; may be said again when its format changes."""

    source: str
    encoding: str
    """Lower case; only `opus` can be used."""

    endpoint_id: str
    """Whose it is; empty where that was not told."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """One packet of a source."""

    source: str
    sequence_number: int
    """Unwrapped: it counts on beyond 2**16."""

    timestamp: int
    """48 kHz; from a zero that all sources of one connection have in common."""

    payload: bytes
    """An Opus packet, whatever is in it."""


@dataclass(frozen=True, kw_only=True)
class Ping:
    """The bridge wants a `pong` with the same id within three seconds."""

    id: int


@dataclass(frozen=True)
class SessionEnd:
    """The bridge is about to disconnect for good."""


BridgeEvent = Sources | Info | SourceStarted | Media | Ping | SessionEnd


def read(text: str) -> BridgeEvent | None:
    """What one message of the bridge says; None for an event that we do not know.

    Raises:
        SignallingError: it is no mediajson; says what was expected.
    """
    if len(text) > MAX_MESSAGE_CHARACTERS:
        raise SignallingError(
            f"expected a message of at most {MAX_MESSAGE_CHARACTERS} characters, got {len(text)}"
        )
    try:
        message = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SignallingError(f"expected JSON, got a {type(error).__name__}") from None
    fields = _object(message, "message")
    match _text(fields, "event"):
        case "sources":
            return _sources(fields)
        case "info":
            return _info(fields)
        case "start":
            return _source_started(fields)
        case "media":
            return _media(fields)
        case "ping":
            return Ping(id=_number(fields, "id"))
        case "session-end":
            return SessionEnd()
        case _:
            return None


def parse_request(name: str) -> Request | None:
    """The source and language of a synthetic source, parted at the last dot; None where they are not there."""
    source, dot, language = name.rpartition(".")
    fits = language.isascii() and language.isalpha() and len(language) <= MAX_LANGUAGE_CHARACTERS
    return Request(name, source, language) if dot and source and fits else None


def _sources(fields: Mapping[str, object]) -> Sources:
    names = _names(fields, "requests")
    requests = [request for name in names if (request := parse_request(name)) is not None]
    return Sources(
        exports=_names(fields, "exports"), requests=tuple(requests), unusable=len(names) - len(requests)
    )


def _info(fields: Mapping[str, object]) -> Info:
    told = [fields.get(key) for key in ("application", "version", "region")]
    words = " ".join(value for value in told if isinstance(value, str))[:MAX_NAME_CHARACTERS]
    return Info(words="".join(c for c in words if c.isprintable()))


def _source_started(fields: Mapping[str, object]) -> SourceStarted:
    start = _object(fields.get("start"), "start")
    media_format = _object(start.get("mediaFormat"), "mediaFormat")
    custom = _object(start.get("customParameters") or {}, "customParameters")
    endpoint_id = custom.get("endpointId")
    return SourceStarted(
        source=_name(start, "tag"),
        encoding=_text(media_format, "encoding").lower(),
        endpoint_id=_name(custom, "endpointId") if endpoint_id is not None else "",
    )


def _media(fields: Mapping[str, object]) -> Media:
    media = _object(fields.get("media"), "media")
    return Media(
        source=_name(media, "tag"),
        sequence_number=_number(media, "chunk"),
        timestamp=_number(media, "timestamp"),
        payload=_payload(media),
    )


def _payload(media: Mapping[str, object]) -> bytes:
    text = _text(media, "payload")
    if len(text) > _MAX_PAYLOAD_CHARACTERS:
        raise SignallingError(f"expected a payload of at most {MAX_PACKET_BYTES} bytes, got more")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SignallingError("expected a payload in base64, got something else") from None


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise SignallingError(f"expected {what} to be an object, got {type(value).__name__}")
    return value


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str):
        raise SignallingError(f"expected {key} to be text, got {type(value).__name__}")
    return value


def _checked_name(name: object, key: str) -> str:
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise SignallingError(
            f"expected {key} to be a name of 1 to {MAX_NAME_CHARACTERS} printable characters, got none"
        )
    return name


def _name(fields: Mapping[str, object], key: str) -> str:
    return _checked_name(fields.get(key), key)


def _names(fields: Mapping[str, object], key: str) -> tuple[str, ...]:
    """A list of names, each once, in their order; an absent one is empty."""
    names = fields.get(key) or []
    if not isinstance(names, list) or len(names) > MAX_SOURCES:
        raise SignallingError(f"expected {key} to be a list of at most {MAX_SOURCES} names, got none")
    return tuple(dict.fromkeys(_checked_name(name, key) for name in names))


def _number(fields: Mapping[str, object], key: str) -> int:
    """A whole number, not negative, or its digits as text."""
    value = fields.get(key)
    if isinstance(value, str) and len(value) <= _MAX_DIGITS and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _MAX_NUMBER:
        raise SignallingError(f"expected {key} to be a whole number from 0 on, got {type(value).__name__}")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


# What we say ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Result:
    """Text that belongs to a rendering; the bridge passes it on to everybody's client."""

    source: str
    language: str
    text: str
    final: bool
    """No further text with this id follows."""

    id: str
    """Results with the same id replace one another."""

    at_ms: int
    """Wall clock, Unix milliseconds."""


class Writer:
    """Writes the messages of one connection, which are numbered."""

    def __init__(self) -> None:
        self._sequence_number = -1

    def talk(self, name: str, event: TalkEvent) -> str:
        """A talk's message.

        Args:
            name: of the synthetic source, exactly as it was asked for.
            event: what happens.
        """
        self._sequence_number += 1
        match event:
            case TalkStarted():
                key = "start"
                body: dict[str, object] = {
                    "mediaFormat": {"encoding": "opus", "sampleRate": RTP_CLOCK_HZ, "channels": 1},
                    "timestamp": event.timestamp,
                }
            case TalkPacket():
                key = "media"
                body = {
                    "chunk": event.sequence_number,
                    "timestamp": event.timestamp,
                    "payload": base64.b64encode(event.payload).decode("ascii"),
                }
            case TalkStopped():
                key = "stop"
                statistics = {"bytesSent": event.bytes_sent, "duration": event.duration_ms}
                body = {"mediaInfo": statistics, "timestamp": event.timestamp}
        message = {"event": key, "sequenceNumber": self._sequence_number, key: {"tag": name, **body}}
        return json.dumps(message, separators=(",", ":"))


def pong(ping: Ping) -> str:
    """The answer to a ping."""
    return json.dumps({"event": "pong", "id": ping.id})


def info(application: str, version: str) -> str:
    """What we say of ourselves, which a bridge only logs."""
    return json.dumps({"event": "info", "application": application, "version": version})


def result(told: Result) -> str:
    """A text, in the form by which clients know that it belongs to a translation and not to a transcript."""
    return json.dumps(
        {
            "event": "transcription-result",
            "type": "realtime-translation-result",
            "transcript": [{"text": told.text}],
            "is_interim": not told.final,
            "language": told.language,
            "message_id": told.id,
            "participant": {"id": told.source},
            "timestamp": told.at_ms,
        },
        ensure_ascii=False,
    )
