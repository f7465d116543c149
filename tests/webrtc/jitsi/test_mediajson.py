"""What bridges say, byte by byte; what they must not say is refused in words, and never costs more than itself."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import SignallingError
from webrtc.jitsi.mediajson import (
    MAX_MESSAGE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_SOURCES,
    Info,
    Media,
    Ping,
    Request,
    Result,
    SessionEnd,
    Sources,
    SourceStarted,
    TalkPacket,
    TalkStarted,
    TalkStopped,
    Writer,
    info,
    parse_request,
    pong,
    read,
    result,
)

GOLDEN = [
    (
        '{"event":"sources","exports":["1a2b3c4d-a0"],"requests":["1a2b3c4d-a0.es","1a2b3c4d-a0.fr"]}',
        Sources(
            exports=("1a2b3c4d-a0",),
            requests=(
                Request("1a2b3c4d-a0.es", "1a2b3c4d-a0", "es"),
                Request("1a2b3c4d-a0.fr", "1a2b3c4d-a0", "fr"),
            ),
        ),
    ),
    ('{"event":"sources","exports":[],"requests":[]}', Sources(exports=(), requests=())),
    (
        '{"event":"info","application":"JVB","version":"2.3.1","region":"eu","meetingId":7}',
        Info(words="JVB 2.3.1 eu"),
    ),
    (
        '{"event":"start","sequenceNumber":"0","start":{"tag":"1a2b3c4d-a0","mediaFormat":{"encoding":"opus",'
        '"sampleRate":48000,"channels":2,"parameters":{"useinbandfec":"1"}},'
        '"customParameters":{"endpointId":"1a2b3c4d"},"diarize":false}}',
        SourceStarted(source="1a2b3c4d-a0", encoding="opus", endpoint_id="1a2b3c4d"),
    ),
    (
        '{"event":"start","start":{"tag":"x-a0","mediaFormat":{"encoding":"OPUS"}}}',
        SourceStarted(source="x-a0", encoding="opus", endpoint_id=""),
    ),
    (
        '{"event":"media","sequenceNumber":"12","media":{"tag":"1a2b3c4d-a0","chunk":"70000","timestamp":"67200960",'
        '"payload":"+P/+","audioLevel":36,"vad":true}}',
        Media(
            source="1a2b3c4d-a0",
            sequence_number=70_000,
            timestamp=67_200_960,
            payload=b"\xf8\xff\xfe",
        ),
    ),
    (
        '{"event":"media","sequenceNumber":12,"media":{"tag":"a","chunk":3,"timestamp":960,"payload":"+A"}}',
        Media(source="a", sequence_number=3, timestamp=960, payload=b"\xf8"),
    ),
    ('{"event":"ping","id":17}', Ping(id=17)),
    ('{"event":"session-end"}', SessionEnd()),
    ('{"event":"something-of-next-year","media":3}', None),
    ('{"event":"transcription-result","is_interim":[]}', None),
]


@pytest.mark.parametrize(("text", "event"), GOLDEN)
def test_what_a_bridge_says(text: str, event: object) -> None:
    assert read(text) == event


@pytest.mark.parametrize(
    ("name", "source", "language"),
    [
        ("1a-a0.es", "1a-a0", "es"),
        ("a.b.c-a1.ZH", "a.b.c-a1", "ZH"),
        ("x.abcdefghijklmnopqrst", "x", "abcdefghijklmnopqrst"),
    ],
)
def test_the_last_dot_parts_source_and_language(name: str, source: str, language: str) -> None:
    assert parse_request(name) == Request(name, source, language)


@pytest.mark.parametrize("name", ["", ".", "a", "a.", ".es", "a.e5", "a.pt-BR", "a.ñu", "a." + 21 * "x"])
def test_what_names_no_source_and_language_is_left_out_and_counted(name: str) -> None:
    assert parse_request(name) is None
    if name:
        said = read(json.dumps({"event": "sources", "exports": [], "requests": ["b-a0.en", name]}))
        assert said == Sources(exports=(), requests=(Request("b-a0.en", "b-a0", "en"),), unusable=1)


def test_names_that_come_twice_count_once() -> None:
    said = read('{"event":"sources","exports":["a","b","a"],"requests":["a.en","a.en"]}')
    assert said == Sources(exports=("a", "b"), requests=(Request("a.en", "a", "en"),))


def test_a_list_that_is_missing_is_empty() -> None:
    assert read('{"event":"sources","requests":null}') == Sources(exports=(), requests=())


WRONG = [
    "",
    "[]",
    "3",
    '"ping"',
    "{}",
    '{"event":7}',
    '{"event":"ping"',
    '{"event":"ping"}',
    '{"event":"ping","id":true}',
    '{"event":"ping","id":1.5}',
    '{"event":"ping","id":-1}',
    '{"event":"ping","id":NaN}',
    '{"event":"ping","id":' + 5_000 * "9" + "}",
    '{"event":"ping","id":"' + 21 * "9" + '"}',
    '{"event":"ping","id":"٣"}',
    '{"event":"start"}',
    '{"event":"start","start":{"tag":"a"}}',
    '{"event":"start","start":{"tag":"a","mediaFormat":{"encoding":"opus"},"customParameters":"x"}}',
    '{"event":"start","start":{"tag":"a","mediaFormat":{"encoding":"opus"},"customParameters":{"endpointId":5}}}',
    '{"event":"media","media":[]}',
    '{"event":"media","media":{"tag":"a","chunk":"1","timestamp":"1"}}',
    '{"event":"media","media":{"tag":"a","chunk":"1","timestamp":"1","payload":"%%%%"}}',
    '{"event":"media","media":{"tag":"a","chunk":"1","timestamp":"1","payload":"ñ"}}',
    '{"event":"media","media":{"tag":"a","chunk":"1","timestamp":"1","payload":"' + 6_000 * "A" + '"}}',
    '{"event":"media","media":{"tag":"a","chunk":"","timestamp":"1","payload":""}}',
    '{"event":"media","media":{"tag":"","chunk":"1","timestamp":"1","payload":""}}',
    '{"event":"media","media":{"tag":"a\\nb","chunk":"1","timestamp":"1","payload":""}}',
    '{"event":"media","media":{"tag":"' + (MAX_NAME_CHARACTERS + 1) * "a" + '","chunk":"1","timestamp":"1"}}',
    '{"event":"sources","exports":"a","requests":[]}',
    '{"event":"sources","exports":[3],"requests":[]}',
    json.dumps({"event": "sources", "exports": [f"s{n}" for n in range(MAX_SOURCES + 1)]}),
    100_000 * "[",
    100_000 * '{"a":',
    '{"event":"media","media":' + 50_000 * "[" + 50_000 * "]" + "}",
]


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:40])
def test_what_a_bridge_must_not_say(text: str) -> None:
    with pytest.raises(SignallingError, match="^expected"):
        read(text)


def test_an_error_never_holds_what_was_said() -> None:
    secret = "mi-secreto"
    payload = base64.b64encode(secret.encode()).decode()
    for text in (
        f'{{"event":"{secret}',
        f'{{"event":"ping","id":"{secret}"}}',
        f'{{"event":"media","media":{{"tag":"a","chunk":"{secret}","timestamp":1,"payload":"{payload}!"}}}}',
        f'{{"event":"media","media":{{"tag":"a","chunk":1,"timestamp":1,"payload":"{payload}!"}}}}',
        f'{{"event":"sources","exports":"{secret}"}}',
    ):
        with pytest.raises(SignallingError) as caught:
            read(text)
        assert secret not in str(caught.value)
        assert payload not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_message_of_a_megabyte_is_not_even_parsed() -> None:
    with pytest.raises(SignallingError, match=f"at most {MAX_MESSAGE_CHARACTERS} characters"):
        read('{"event":"ping","id":1,"x":"' + 1_000_000 * "x" + '"}')


def test_the_largest_message_within_the_limits_is_read() -> None:
    names = [f"{n:0{MAX_NAME_CHARACTERS - 3}}" for n in range(MAX_SOURCES)]
    said = read(
        json.dumps({"event": "sources", "exports": names, "requests": [f"{name}.en" for name in names]})
    )
    assert isinstance(said, Sources)
    assert len(said.requests) == MAX_SOURCES


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["event", "exports", "requests", "start", "media", "tag", "chunk", "timestamp", "payload", "id"]
    + ["mediaFormat", "encoding", "customParameters", "endpointId", "sequenceNumber"]
)
events = st.sampled_from(["sources", "info", "start", "media", "ping", "session-end", "pong", "stop"])


@pytest.mark.slow
@given(
    st.dictionaries(keys, json_values | st.dictionaries(keys, json_values, max_size=6), max_size=8), events
)
def test_anything_in_json_is_read_or_refused(message: dict[str, Any], event: str) -> None:
    _read_or_refuse(json.dumps({**message, "event": event}))


@given(st.sampled_from([text for text, _ in GOLDEN]), st.data())
def test_cut_and_damaged_messages_are_read_or_refused(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    until = data.draw(st.integers(at, len(text)))
    _read_or_refuse(text[:at])
    _read_or_refuse(text[:at] + data.draw(st.text(max_size=5)) + text[until:])


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    _read_or_refuse(text)


def _read_or_refuse(text: str) -> None:
    try:
        read(text)
    except SignallingError as error:
        words = str(error)
    else:
        return
    assert words.startswith("expected")
    assert len(words) < 200


def test_what_we_say_of_a_talk() -> None:
    writer = Writer()
    packet = TalkPacket(sequence_number=65_535, timestamp=96_000, payload=b"\xf8\xff\xfe", level_dbov=-30)
    said = [
        writer.talk("1a2b3c4d-a0.es", TalkStarted(timestamp=96_000)),
        writer.talk("1a2b3c4d-a0.es", packet),
        writer.talk("1a2b3c4d-a0.es", TalkStopped(timestamp=96_960, bytes_sent=3, duration_ms=20)),
    ]
    assert said == [
        '{"event":"start","sequenceNumber":0,"start":{"tag":"1a2b3c4d-a0.es","mediaFormat":{"encoding":"opus",'
        '"sampleRate":48000,"channels":1},"timestamp":96000}}',
        '{"event":"media","sequenceNumber":1,"media":{"tag":"1a2b3c4d-a0.es","chunk":65535,"timestamp":96000,'
        '"payload":"+P/+"}}',
        '{"event":"stop","sequenceNumber":2,"stop":{"tag":"1a2b3c4d-a0.es","mediaInfo":{"bytesSent":3,"duration":20},'
        '"timestamp":96960}}',
    ]


def test_what_else_we_say() -> None:
    assert json.loads(pong(Ping(id=17))) == {"event": "pong", "id": 17}
    assert json.loads(info("meeting-interpreter", "0.1")) == {
        "event": "info",
        "application": "meeting-interpreter",
        "version": "0.1",
    }
    told = Result(
        source="a-a0", language="es", text="¿Qué tal?", final=False, id="c7", at_ms=1_760_000_000_123
    )
    assert json.loads(result(told)) == {
        "event": "transcription-result",
        "type": "realtime-translation-result",
        "transcript": [{"text": "¿Qué tal?"}],
        "is_interim": True,
        "language": "es",
        "message_id": "c7",
        "participant": {"id": "a-a0"},
        "timestamp": 1_760_000_000_123,
    }
