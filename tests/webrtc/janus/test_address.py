"""Addresses of rooms on Janus servers."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import LocalError
from webrtc.janus import parse_janus_url


def test_an_address_names_server_room_and_pin() -> None:
    address = parse_janus_url("janus+wss://janus.example.org/janus?room=1234&pin=s%26cret")
    assert (address.url, address.room, address.pin) == ("wss://janus.example.org/janus", 1234, "s&cret")
    assert address.title == "room 1234 of janus.example.org"
    assert "s&cret" not in repr(address)
    named = parse_janus_url("janus+wss://[2001:db8::1]:8989?room=ward-3")
    assert (named.url, named.room, named.pin) == ("wss://[2001:db8::1]:8989/", "ward-3", "")


def test_connections_in_clear_stay_on_this_machine_unless_asked_for() -> None:
    for host in ("127.0.0.1:8188", "localhost", "[::1]:8188"):
        assert parse_janus_url(f"janus+ws://{host}/?room=1").url == f"ws://{host}/"
    with pytest.raises(
        LocalError, match=r"expected janus\+wss beyond this machine, got janus\+ws on '192.0.2.1'"
    ):
        parse_janus_url("janus+ws://192.0.2.1/?room=1")
    assert parse_janus_url("janus+ws://192.0.2.1/?room=1", insecure=True).url == "ws://192.0.2.1/"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("https://janus.example.org/?room=1", "expected an address like"),
        ("janus+wss://?room=1", "expected an address like"),
        ("janus+wss://me:hush@janus.example.org/?room=1", "expected an address like"),
        ("janus+wss://janus.example.org/?room=1#x", "expected an address like"),
        ("janus+wss://janus.example.org:0/?room=1", "expected an address like"),
        ("janus+wss://janus.example.org:many/?room=1", "one that cannot be read"),
        ("janus+wss://janus.example.org/", "expected the room in the address"),
        ("janus+wss://janus.example.org/?room=%20", "expected the room in the address"),
        (
            "janus+wss://janus.example.org/?room=1&pni=hush",
            "expected room and pin after the ?, each once, got 'pni'",
        ),
        ("janus+wss://janus.example.org/?room=1&room=2", "each once, got 'room'"),
    ],
)
def test_what_is_no_address_is_refused_without_its_secrets(text: str, words: str) -> None:
    with pytest.raises(LocalError) as caught:
        parse_janus_url(text)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value).replace("me:hush@", "")


@given(st.text(max_size=60) | st.text(max_size=60).map(lambda text: f"janus+wss://a.example/{text}"))
def test_any_text_is_an_address_or_an_error_in_words(text: str) -> None:
    with contextlib.suppress(LocalError):
        assert parse_janus_url(text).room != ""
