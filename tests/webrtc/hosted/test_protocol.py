from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webrtc.errors import LocalError, SignallingError
from webrtc.hosted.protocol import (
    Answer,
    ClientMessage,
    Closed,
    Command,
    Join,
    Leave,
    Mute,
    Offer,
    Refused,
    RosterChanged,
    RosterEntry,
    RosterJoined,
    RosterLeft,
    RosterMuted,
    ServerMessage,
    SetLanguage,
    Welcome,
    clean_name,
    encode,
    parse,
)
from webrtc.peer import IceServer
from webrtc.room import (
    Caption,
    CaptionKind,
    DirectionState,
    DirectionStatus,
    Lamp,
    Levels,
    MeetingState,
    Notice,
    NoticeLevel,
    OwnState,
    Replied,
    RoleChoice,
    Stored,
)

ANA = RosterEntry(id="a1", name="Ana", language="es", muted=False)
ANA_FIELDS = {"id": "a1", "name": "Ana", "language": "es", "muted": False}


def spoken(message: ClientMessage) -> str:
    """The text a page would send for `message`."""
    match message:
        case Join():
            fields: dict[str, Any] = {"type": "join", "name": message.name, "language": message.language}
            if message.host_key is not None:
                fields["host_key"] = message.host_key
        case Offer():
            fields = {"type": "offer", "sdp": message.sdp}
        case Mute():
            fields = {"type": "mute", "muted": message.muted}
        case SetLanguage():
            fields = {"type": "language", "language": message.language}
        case Command():
            fields = {
                "type": "command",
                "id": message.id,
                "name": message.name,
                "arguments": dict(message.arguments),
            }
        case Leave():
            fields = {"type": "leave"}
    return json.dumps(fields)


def clean(name: str) -> str | None:
    try:
        return clean_name(name)
    except SignallingError:
        return None


def outcome(text: str) -> ClientMessage | SignallingError:
    try:
        return parse(text)
    except SignallingError as error:
        return error


names = st.text(max_size=80).map(clean).filter(lambda name: name is not None)
tags = st.text(min_size=1, max_size=35, alphabet="abcdefghijklmnopqrstuvwxyz-0123456789")
texts_of = st.characters(exclude_categories=["Cs"])
texts = st.text(alphabet=texts_of)
words = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
printable = st.characters(exclude_categories=["C", "Zl", "Zp"])
arguments = st.dictionaries(
    words,
    st.text(printable, max_size=200) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    max_size=8,
)
client_messages = st.one_of(
    st.builds(
        Join, name=names, language=tags, host_key=st.none() | st.text(texts_of, min_size=1, max_size=128)
    ),
    st.builds(Offer, sdp=texts),
    st.builds(Mute, muted=st.booleans()),
    st.builds(SetLanguage, language=tags),
    st.builds(Command, id=st.text(printable, min_size=1, max_size=32), name=words, arguments=arguments),
    st.just(Leave()),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["join", "offer", "mute", "language", "command", "leave"]) | json_values},
    optional={
        key: words | json_values
        for key in ("name", "language", "host_key", "sdp", "muted", "id", "arguments", "extra")
    },
)


def joining(**changes: Any) -> str:
    return json.dumps({"type": "join", "name": "Ana", "language": "en"} | changes)


@given(client_messages)
def test_what_a_page_means_is_what_is_read(message: ClientMessage) -> None:
    assert parse(spoken(message)) == message


@given(st.text() | json_values.map(json.dumps) | near_misses.map(json.dumps))
@example("[" * 60_000)
@example('{"type":' * 60_000)
@example("1" * 10_000)
@example('{"type":"command","id":"1","name":"balance","arguments":{"level":1e999}}')
@example('{"type":"command","id":"1","name":"balance","arguments":{"level":1' + "0" * 400 + "}}")
@example('{"type":"command","id":"1","name":"balance","arguments":{"level":' + "[" * 60_000)
def test_any_text_is_a_message_or_a_signalling_error(text: str) -> None:
    read = outcome(text)
    if isinstance(read, SignallingError):
        assert str(read).startswith("expected ")
        assert len(str(read)) < 500
        assert str(read).isprintable()
    else:
        assert isinstance(read, ClientMessage)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a JSON object, got text that is not JSON"),
        ("[]", "expected a JSON object, got a list"),
        ("[" * 60_000, "expected a JSON object, got text that is nested too deeply"),
        ("{}", 'expected "type" to be one of join, offer, mute, language, command, leave, got nothing'),
        (
            '{"type":7}',
            'expected "type" to be one of join, offer, mute, language, command, leave, got a number',
        ),
        ('{"type":"dance\\n"}', "got 'dance\\n'"),
        ('{"type":"leave","type":"mute"}', "expected every key once, got one twice"),
        ('{"type":"mute"}', "expected in mute the keys muted, got none"),
        ('{"type":"mute","muted":true,"a":1}', "expected in mute the keys muted, got 'a', 'muted'"),
        ('{"type":"mute","muted":1}', 'expected "muted" to be true or false, got a number'),
        ('{"type":"mute","muted":NaN}', "expected JSON, got the number NaN, which JSON has not"),
        ('{"type":"offer","sdp":null}', 'expected "sdp" to be a string, got nothing'),
        ('{"type":"offer","sdp":"\\ud800"}', 'expected "sdp" to be Unicode text, got half a surrogate pair'),
        ('{"type":"language","language":""}', 'expected "language" to be of 1 to 35 characters, got 0'),
        ('{"type":"join","name":" \\u200d ","language":"en"}', "at least one visible character, got none"),
        (json.dumps({"type": "join", "name": "a" * 65, "language": "en"}), "at most 64 characters, got 65"),
        (joining(host_key=""), 'expected "host_key" to be of 1 to 128 characters, got 0'),
        (joining(host_key="x" * 129), 'expected "host_key" to be of 1 to 128 characters, got 129'),
        (joining(host_key=None), 'expected "host_key" to be a string, got nothing'),
        (joining(host_key=True), 'expected "host_key" to be a string, got true or false'),
        (joining(host_key=["x"]), 'expected "host_key" to be a string, got a list'),
        (joining(host_key="\ud800"), 'expected "host_key" to be Unicode text, got half a surrogate pair'),
        (
            joining(hostkey="x"),
            "expected in join the keys language, name, maybe host_key, got 'hostkey', 'language', 'name'",
        ),
        (joining(standing="host"), "expected in join the keys language, name, maybe host_key, got"),
        (
            joining(host_key="x").replace("}", ', "host_key": "y"}'),
            "expected every key once, got one twice",
        ),
        ('{"type":"mute","muted":true,"host_key":"x"}', "expected in mute the keys muted, got 'host_key'"),
        ('{"type":"join","name":"Ana","host_key":"x"}', "expected in join the keys language, name, maybe"),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(text: str, said: str) -> None:
    with pytest.raises(SignallingError) as refusal:
        parse(text)
    assert said in str(refusal.value)


def command(**changes: Any) -> str:
    fields = {"type": "command", "id": "1", "name": "balance", "arguments": {"level": 0.5}}
    return json.dumps(fields | changes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (command(id=""), 'expected "id" to be of 1 to 32 characters, got 0'),
        (command(id="x" * 33), 'expected "id" to be of 1 to 32 characters, got 33'),
        (command(id="a\nb"), 'expected "id" to be free of control characters'),
        (command(id=7), 'expected "id" to be a string, got a number'),
        (command(name="a" * 33), "expected a command's name of 1 to 32 letters"),
        (command(name="rm -rf"), "got 'rm -rf'"),
        (command(name="stop\n"), "expected a command's name"),
        (command(arguments=[]), 'expected "arguments" to be an object, got a list'),
        (command(arguments={f"a{n}": 1 for n in range(9)}), "expected at most 8 arguments, got 9"),
        (command(arguments={"A": 1}), "expected an argument's name of 1 to 32 letters"),
        (command(arguments={"a": None}), 'expected "arguments.a" to be text, a number, true or false, got'),
        (command(arguments={"a": {"b": 1}}), "true or false, got an object"),
        (command(arguments={"a": "x" * 201}), 'expected "arguments.a" to be of 0 to 200 characters, got 201'),
        (command(arguments={"a": "\u202eevil"}), 'expected "arguments.a" to be free of control characters'),
        (command(arguments={"a": "\ud800"}), 'expected "arguments.a" to be Unicode text'),
        (command(arguments={"a": 10**400}), 'expected "arguments.a" to be a finite number'),
        (command().replace("0.5", "1e999"), 'expected "arguments.level" to be a finite number'),
        (command().replace("0.5", "Infinity"), "expected JSON, got the number Infinity"),
        (command().replace('"level"', '"level":1,"level"'), "expected every key once, got one twice"),
    ],
)
def test_a_command_that_is_none_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(SignallingError) as refusal:
        parse(text)
    assert said in str(refusal.value)


def test_a_commands_numbers_are_floats_and_its_truths_are_none() -> None:
    read = parse(command(arguments={"level": 1, "on": True}))
    assert isinstance(read, Command)
    assert type(read.arguments["level"]) is float
    assert read.arguments["on"] is True


def test_a_balance_that_is_none_is_our_callers_error() -> None:
    with pytest.raises(LocalError, match="expected a balance from 0 to 1, got nan"):
        OwnState(balance=math.nan)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=200))
def test_a_host_key_is_never_said(key: str) -> None:
    read = outcome(joining(host_key=key))
    assert key not in repr(read)
    assert key not in str(read)


def test_a_refusal_never_repeats_an_sdp() -> None:
    with pytest.raises(SignallingError) as refusal:
        parse(json.dumps({"type": "offer", "sdp": ["a=ice-pwd:secret"]}))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("  Ana \t María\n", "Ana María"),
        ("Ana \u200e María", "Ana María"),
        ("Jose\u0301", "José"),
        ("Jose\u200e\u0301", "José"),
        ("\u202egnp.exe", "gnp.exe"),
        ("a\x00b\x1b[31m", "ab[31m"),
        ("👩\u200d⚕️", "👩\u200d⚕️"),
    ],
)
def test_names_are_shown_without_controls(typed: str, shown: str) -> None:
    assert clean_name(typed) == shown


@given(st.text(max_size=70))
def test_cleaning_a_clean_name_changes_nothing(name: str) -> None:
    cleaned = clean(name)
    if cleaned is not None:
        assert clean_name(cleaned) == cleaned
        assert 0 < len(cleaned) <= 64


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (
            Welcome(
                id="b2",
                room="clinic",
                standing="host",
                ice_servers=(
                    IceServer(urls=("stun:s.example",), username=None, credential=None),
                    IceServer(urls=("turn:t.example",), username="u", credential="p"),
                ),
                participants=(ANA,),
            ),
            {
                "type": "welcome",
                "id": "b2",
                "room": "clinic",
                "standing": "host",
                "ice_servers": [
                    {"urls": ["stun:s.example"]},
                    {"urls": ["turn:t.example"], "username": "u", "credential": "p"},
                ],
                "participants": [ANA_FIELDS],
            },
        ),
        (Answer(sdp="v=0"), {"type": "answer", "sdp": "v=0"}),
        (RosterJoined(participant=ANA), {"type": "joined", "participant": ANA_FIELDS}),
        (RosterChanged(participant=ANA), {"type": "changed", "participant": ANA_FIELDS}),
        (RosterLeft(id="a1"), {"type": "left", "id": "a1"}),
        (RosterMuted(id="a1", muted=True), {"type": "muted", "id": "a1", "muted": True}),
        (
            Refused(code="bad-sdp", message="expected x"),
            {"type": "error", "code": "bad-sdp", "message": "expected x"},
        ),
        (
            Closed(code="room-full", message="full"),
            {"type": "closed", "code": "room-full", "message": "full"},
        ),
        (
            Levels(dbfs={"a1": -23.456, "b2": -math.inf, "c3": math.nan}, speaking=frozenset({"b2", "a1"})),
            {
                "type": "levels",
                "dbfs": {"a1": -23.5, "b2": -120.0, "c3": -120.0},
                "speaking": ["a1", "b2"],
            },
        ),
        (
            Caption(id="c", speaker_id="a1", language="es", text="Hola", final=True),
            {
                "type": "caption",
                "id": "c",
                "speaker_id": "a1",
                "language": "es",
                "text": "Hola",
                "final": True,
                "kind": "rendering",
                "cut": False,
            },
        ),
        (
            Caption(
                id="c",
                speaker_id="a1",
                language="en",
                text="Hello, I",
                final=True,
                kind=CaptionKind.AS_SELF,
                cut=True,
            ),
            {
                "type": "caption",
                "id": "c",
                "speaker_id": "a1",
                "language": "en",
                "text": "Hello, I",
                "final": True,
                "kind": "as-self",
                "cut": True,
            },
        ),
        (
            Replied(request_id="7", accepted=False, text="No se puede.", language="es"),
            {"type": "replied", "id": "7", "accepted": False, "language": "es", "text": "No se puede."},
        ),
        (
            MeetingState(
                lamp=Lamp.HUMAN,
                mode="consecutive",
                role="medical-consecutive",
                role_checksum="0a1b2c",
                stored=(Stored.TRANSCRIPT, Stored.IDENTITY),
                own=OwnState(original_only=True, balance=0.25),
                directions=(
                    DirectionState(speaker_id="a1", language="en", status=DirectionStatus.HELD),
                    DirectionState(speaker_id="b2", language="es", status=DirectionStatus.LIVE),
                ),
                opted_out=frozenset({"d4", "c3"}),
                human_asked=True,
                human_present=True,
                paused=True,
                closed=True,
                choices=(RoleChoice(name="relay", titles={"en": "Relay", "es": "Relé"}, voice="eva"),),
            ),
            {
                "type": "state",
                "lamp": "human",
                "mode": "consecutive",
                "role": "medical-consecutive",
                "role_checksum": "0a1b2c",
                "stored": ["transcript", "identity"],
                "own": {
                    "opted_out": False,
                    "stopped": False,
                    "original_only": True,
                    "balance": 0.25,
                    "captions": True,
                    "language": "",
                },
                "directions": [
                    {"speaker_id": "a1", "language": "en", "status": "held"},
                    {"speaker_id": "b2", "language": "es", "status": "live"},
                ],
                "opted_out": ["c3", "d4"],
                "human_asked": True,
                "human_present": True,
                "paused": True,
                "closed": True,
                "choices": [{"name": "relay", "titles": {"en": "Relay", "es": "Relé"}, "voice": "eva"}],
            },
        ),
        (
            Notice(id="n", level=NoticeLevel.ALERT, text="<b>\n", language="es"),
            {"type": "notice", "id": "n", "level": "alert", "language": "es", "text": "<b>\n"},
        ),
    ],
)
def test_what_a_page_reads(message: ServerMessage, fields: dict[str, Any]) -> None:
    assert json.loads(encode(message)) == fields
