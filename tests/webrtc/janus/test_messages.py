"""The messages of the Janus API and of its VideoRoom plugin; recorded ones are of Janus 1.1.2."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import SignallingError
from webrtc.janus import videoroom
from webrtc.janus.messages import (
    Acknowledged,
    Failed,
    HandleOver,
    Jsep,
    PluginEvent,
    SessionOver,
    Succeeded,
    encode,
    parse,
)
from webrtc.janus.videoroom import (
    Destroyed,
    Joined,
    Left,
    Moderated,
    Occupant,
    Other,
    OwnLeft,
    OwnUnpublished,
    Refused,
    Seen,
    Stream,
    Unpublished,
)

JOINED = {
    "videoroom": "joined",
    "room": 1234,
    "description": "Demo Room",
    "id": 6892245112009582,
    "private_id": 2347654,
    "publishers": [
        {
            "id": 5980532693898444,
            "display": "Ana",
            "streams": [
                {"type": "video", "mindex": 0, "mid": "0", "codec": "vp8"},
                {"type": "audio", "mindex": 1, "mid": "1", "codec": "opus", "fec": True},
            ],
            "talking": False,
        },
        {"id": 7, "streams": [{"type": "audio", "mid": "0", "codec": "pcmu"}]},
        {"id": 8, "display": "Eva", "streams": [{"type": "audio", "mid": "0", "disabled": True}]},
        {"id": 9, "display": "Leo", "streams": [{"type": "audio", "mid": "0", "moderated": True}]},
    ],
    "attendees": [{"id": 10, "display": "Max"}],
}


def event(data: object, **more: object) -> str:
    plugin = {"plugin": "janus.plugin.videoroom", "data": data}
    return json.dumps({"janus": "event", "sender": 5, "plugindata": plugin, **more})


def test_what_janus_says() -> None:
    assert parse('{"janus":"ack","transaction":"a"}') == Acknowledged(transaction="a")
    made = '{"janus":"success","transaction":"a","data":{"id":4}}'
    assert parse(made) == Succeeded(transaction="a", id=4, data={})
    at_once = '{"janus":"success","transaction":"a","plugindata":{"data":{"videoroom":"success"}}}'
    assert parse(at_once) == Succeeded(transaction="a", id=None, data={"videoroom": "success"})
    failed = '{"janus":"error","transaction":"a","error":{"code":458,"reason":"No such session"}}'
    assert parse(failed) == Failed(transaction="a", code=458, reason="No such session")
    assert parse(
        event({"x": 1}, transaction="b", jsep={"type": "offer", "sdp": "v=0", "e2ee": True})
    ) == PluginEvent(
        handle=5, transaction="b", data={"x": 1}, jsep=Jsep(kind="offer", sdp="v=0", encrypted=True)
    )
    hangup = '{"janus":"hangup","sender":5,"reason":"ICE failed"}'
    assert parse(hangup) == HandleOver(handle=5, detached=False, reason="ICE failed")
    assert parse('{"janus":"detached","sender":5}') == HandleOver(handle=5, detached=True, reason="")
    assert parse('{"janus":"timeout","session_id":1}') == SessionOver()
    for kind in ("webrtcup", "media", "slowlink", "trickle", "anything"):
        assert parse(json.dumps({"janus": kind, "sender": 5})) is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "1e999", "{}", '{"janus":1}', '{"janus":"event"}', '{"janus":"hangup","sender":true}']
    + [
        "[" * 100_000,
        '{"janus":"event","sender":5,"jsep":{"type":"rollback","sdp":"x"}}',
        '{"janus":"event","sender":-1}',
    ],
)
def test_what_means_nothing_is_an_error(text: str) -> None:
    with pytest.raises(SignallingError, match="expected"):
        parse(text)


def test_what_the_room_says() -> None:
    assert videoroom.read(JOINED) == Joined(
        id=6892245112009582,
        private_id=2347654,
        occupants=(
            Occupant(id=5980532693898444, name="Ana", audio=Stream(mid="1")),
            Occupant(id=7, name=""),
            Occupant(id=8, name="Eva"),
            Occupant(id=9, name="Leo", audio=Stream(mid="0", muted=True)),
            Occupant(id=10, name="Max"),
        ),
    )

    def read(**data: Any) -> object:
        return videoroom.read({"videoroom": "event", "room": 1234, **data})

    assert read(publishers=[{"id": "text", "streams": []}]) == Seen(occupants=(Occupant(id="text", name=""),))
    assert read(joining={"id": 10, "display": "Max"}) == Seen(occupants=(Occupant(id=10, name="Max"),))
    assert read(unpublished=10) == Unpublished(id=10)
    assert read(unpublished="ok") == OwnUnpublished()
    assert read(leaving=10) == read(kicked=10) == Left(id=10)
    assert read(leaving="ok", reason="kicked") == OwnLeft(kicked=True)
    assert read(leaving="ok") == OwnLeft(kicked=False)
    assert read(id=10, mid="0", moderation="muted") == Moderated(id=10, mid="0", muted=True)
    assert read(error_code=426, error="No such room (5)") == Refused(code=426, error="No such room (5)")
    assert videoroom.read({"videoroom": "destroyed", "room": 5}) == Destroyed()
    for other in (
        {},
        {"videoroom": "talking", "id": 3},
        {"videoroom": "joined"},
        {"videoroom": "event", "leaving": []},
    ):
        assert videoroom.read(other) == Other(), other


def test_a_pin_is_sent_where_there_is_one() -> None:
    assert "pin" not in videoroom.join_to_speak(1, "", "Interpreter", 7)
    assert videoroom.join_to_speak(1, "x", "Interpreter", 7)["pin"] == "x"
    hear = videoroom.join_to_hear("r", "x", 7, "1", 99)
    assert (hear["pin"], hear["private_id"], hear["streams"]) == ("x", 99, [{"feed": 7, "mid": "1"}])
    assert "private_id" not in videoroom.join_to_hear(1, "", 7, "1", None)


leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["ok", "audio"])
)
KEYS = (
    "videoroom publishers attendees joining leaving unpublished kicked id display streams type mid codec moderation "
    "error_code error private_id janus sender transaction plugindata data jsep sdp reason"
)
keys = st.sampled_from(KEYS.split())
trees = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(keys | st.text(max_size=4), inner, max_size=6)
    ),
)
kinds = st.sampled_from(["joined", "event", "destroyed", "attached", 5])


@pytest.mark.slow
@given(st.dictionaries(keys, trees, max_size=8), kinds)
def test_any_data_of_the_room_is_read(data: dict[str, Any], kind: object) -> None:
    videoroom.read({**data, "videoroom": kind})


@pytest.mark.slow
@given(
    st.text(max_size=100) | trees.map(json.dumps) | st.dictionaries(keys, trees, max_size=8).map(json.dumps)
)
def test_any_text_is_a_message_or_an_error(text: str) -> None:
    with contextlib.suppress(SignallingError):
        parse(text)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_requests_are_one_line_of_ascii(body: dict[str, str]) -> None:
    text = encode(body)
    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text) == body
