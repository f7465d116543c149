"""The bridge's channel: what is said when, and whatever comes back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.jitsi.bridge_channel import (
    MAX_MESSAGE_CHARACTERS,
    BridgeChannel,
    BridgeHello,
    DominantSpeaker,
    EndpointActive,
)
from webrtc.jitsi.bridge_socket import usable_sockets
from webrtc.jitsi.sources import Heard, RemoteSource

ANNA = RemoteSource(ssrc=1, owner="aaaaaaaa", name="aaaaaaaa-a0")
BEN = RemoteSource(ssrc=2, owner="bbbbbbbb", name="bbbbbbbb-a0")
HEARD = Heard(listening=True, sources=(ANNA, BEN), excluded=("5157e200-a0",))

HELLO = '{"colibriClass":"ClientHello"}'
OLD = '{"colibriClass":"ReceiverAudioSubscription","mode":"Include","list":["aaaaaaaa-a0","bbbbbbbb-a0"]}'
NEW = (
    '{"colibriClass":"ReceiverAudioSubscription","all":true,"include":["aaaaaaaa-a0","bbbbbbbb-a0"],'
    '"exclude":["5157e200-a0"]}'
)
NOTHING = [
    '{"colibriClass":"ReceiverAudioSubscription","mode":"None"}',
    '{"colibriClass":"ReceiverAudioSubscription","all":false,"include":[],"exclude":[]}',
]


def test_it_says_hello_and_names_everybody_first_in_the_old_form() -> None:
    channel = BridgeChannel(greets=True)
    channel.hear(HEARD)
    assert channel.messages() == [], "closed"
    channel.opened()
    assert channel.is_open
    assert channel.messages() == [HELLO, OLD, NEW]
    assert channel.messages() == []


def test_over_a_web_socket_the_bridge_says_hello() -> None:
    channel = BridgeChannel(greets=False)
    channel.opened()
    assert channel.messages() == []
    channel.hear(HEARD)
    assert channel.messages() == [OLD, NEW]


def test_it_names_everybody_again_when_they_change_and_only_then() -> None:
    channel = BridgeChannel(greets=False)
    channel.hear(HEARD)
    channel.opened()
    channel.messages()
    channel.hear(HEARD)
    assert channel.messages() == []
    channel.hear(Heard(listening=True, sources=(BEN,)))
    assert [json.loads(message).get("include") for message in channel.messages()] == [None, ["bbbbbbbb-a0"]]


def test_who_does_not_listen_subscribes_to_nothing() -> None:
    channel = BridgeChannel(greets=False)
    channel.hear(Heard(listening=False))
    channel.opened()
    assert channel.messages() == NOTHING


def test_it_says_everything_again_when_it_opens_again() -> None:
    channel = BridgeChannel(greets=True)
    channel.hear(HEARD)
    channel.opened()
    channel.closed()
    assert not channel.is_open
    assert channel.messages() == []
    channel.opened()
    assert channel.messages() == [HELLO, OLD, NEW]


def test_what_the_bridge_says() -> None:
    channel = BridgeChannel(greets=True)
    for message in (
        '{"colibriClass":"ServerHello","version":"2.3-1"}',
        '{"colibriClass":"ServerHello"}',
        '{"colibriClass":"DominantSpeakerEndpointChangeEvent","dominantSpeakerEndpoint":"aaaaaaaa",'
        '"previousSpeakers":["bbbbbbbb"],"silence":false}',
        '{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"bbbbbbbb","active":"false"}',
        '{"colibriClass":"EndpointConnectivityStatusChangeEvent","endpoint":"bbbbbbbb","active":"true"}',
        '{"colibriClass":"ForwardedSources","forwardedSources":[]}',
        '{"colibriClass":"EndpointMessage","from":"aaaaaaaa","to":"","msgPayload":{"type":"x"}}',
        '{"colibriClass":"SomethingNew","what":[1,2]}',
    ):
        channel.receive(message)
    assert channel.events() == [
        BridgeHello(version="2.3-1"),
        BridgeHello(version=""),
        DominantSpeaker(nick="aaaaaaaa"),
        EndpointActive(nick="bbbbbbbb", active=False),
        EndpointActive(nick="bbbbbbbb", active=True),
    ]
    assert channel.events() == []
    assert channel.unread == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"colibriClass":7}',
        "{}",
        "[" * 100_000,
        '{"colibriClass":"' + "x" * MAX_MESSAGE_CHARACTERS,
    ],
)
def test_what_is_no_message_is_counted_and_let_be(text: str) -> None:
    channel = BridgeChannel(greets=True)
    channel.receive(text)
    assert channel.unread == 1
    assert channel.events() == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
_CLASSES = ["ServerHello", "DominantSpeakerEndpointChangeEvent", "EndpointConnectivityStatusChangeEvent", "X"]
_FIELDS = ["version", "dominantSpeakerEndpoint", "endpoint", "active", "from"]


@pytest.mark.slow
@given(st.sampled_from(_CLASSES), st.dictionaries(st.sampled_from(_FIELDS), _JSON))
def test_any_message_does_no_harm(kind: str, fields: dict[str, object]) -> None:
    channel = BridgeChannel(greets=True)
    channel.receive(json.dumps({"colibriClass": kind, **fields}))
    for event in channel.events():
        words = event.version if isinstance(event, BridgeHello) else event.nick
        assert len(words) <= 200
        assert words.isprintable()


def test_a_web_socket_needs_tls_unless_the_meeting_does_without() -> None:
    urls = [
        "ws://a.example/x",
        "wss://b.example/x?pwd=y",
        "http://c.example",
        "wss://",
        "wss://[",
        "wss://d:99999/",
    ]
    assert usable_sockets(urls, insecure=False) == ["wss://b.example/x?pwd=y"]
    assert usable_sockets(urls, insecure=True) == ["ws://a.example/x", "wss://b.example/x?pwd=y"]
