from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from webrtc.errors import SignallingError
from webrtc.hosted.protocol import (
    Answer,
    ClientMessage,
    Closed,
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
from webrtc.room import Caption, Levels, Notice, NoticeLevel

ANA = RosterEntry(id="a1", name="Ana", language="es", muted=False)
ANA_FIELDS = {"id": "a1", "name": "Ana", "language": "es", "muted": False}


def spoken(message: ClientMessage) -> str:
    """The text a page would send for `message`."""
    match message:
        case Join():
            fields: dict[str, Any] = {"type": "join", "name": message.name, "language": message.language}
        case Offer():
            fields = {"type": "offer", "sdp": message.sdp}
        case Mute():
            fields = {"type": "mute", "muted": message.muted}
        case SetLanguage():
            fields = {"type": "language", "language": message.language}
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
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
client_messages = st.one_of(
    st.builds(Join, name=names, language=tags),
    st.builds(Offer, sdp=texts),
    st.builds(Mute, muted=st.booleans()),
    st.builds(SetLanguage, language=tags),
    st.just(Leave()),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
near_misses = st.fixed_dictionaries(
    {"type": st.sampled_from(["join", "offer", "mute", "language", "leave"]) | json_values},
    optional={key: json_values for key in ("name", "language", "sdp", "muted", "extra")},
)


@given(client_messages)
def test_what_a_page_means_is_what_is_read(message: ClientMessage) -> None:
    assert parse(spoken(message)) == message


@given(st.text() | json_values.map(json.dumps) | near_misses.map(json.dumps))
@example("[" * 60_000)
@example('{"type":' * 60_000)
@example("1" * 10_000)
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
        ("{}", 'expected "type" to be one of join, offer, mute, language, leave, got nothing'),
        ('{"type":7}', 'expected "type" to be one of join, offer, mute, language, leave, got a number'),
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
    ],
)
def test_a_refusal_says_what_was_expected_and_what_came(text: str, said: str) -> None:
    with pytest.raises(SignallingError) as refusal:
        parse(text)
    assert said in str(refusal.value)


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
