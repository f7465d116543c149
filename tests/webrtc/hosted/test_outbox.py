from __future__ import annotations

from webrtc.hosted.outbox import Outbox
from webrtc.hosted.protocol import Closed, RosterLeft, ServerMessage
from webrtc.room import Caption, Lamp, Levels, MeetingState, OwnState


def levels(dbfs: float) -> Levels:
    return Levels(dbfs={"a": dbfs}, speaking=frozenset())


def caption(name: str, text: str) -> Caption:
    return Caption(id=name, speaker_id="a", language="en", text=text, final=False)


def state(lamp: Lamp) -> MeetingState:
    return MeetingState(lamp=lamp, mode="", role="", role_checksum="", stored=(), own=OwnState())


def drained(outbox: Outbox) -> list[ServerMessage]:
    taken = []
    while (message := outbox.take()) is not None:
        taken.append(message)
    return taken


def test_messages_leave_in_order_equal_ones_included() -> None:
    outbox = Outbox()
    sent = [RosterLeft(id="a"), RosterLeft(id="b"), RosterLeft(id="a")]
    assert all(outbox.put(message) for message in sent)
    assert drained(outbox) == sent


def test_what_is_outdated_is_replaced_where_it_waits() -> None:
    outbox = Outbox()
    for message in (
        caption("1", "I"),
        levels(-30),
        state(Lamp.IDLE),
        RosterLeft(id="b"),
        caption("1", "I am"),
        state(Lamp.PAUSED),
        levels(-20),
    ):
        assert outbox.put(message)
    assert drained(outbox) == [caption("1", "I am"), levels(-20), state(Lamp.PAUSED), RosterLeft(id="b")]


def test_a_full_outbox_drops_levels_and_refuses_the_rest() -> None:
    outbox = Outbox(capacity=2)
    assert outbox.put(RosterLeft(id="a"))
    assert outbox.put(caption("1", "I"))
    assert outbox.put(levels(-20))
    assert outbox.put(caption("1", "I am"))
    assert not outbox.put(RosterLeft(id="b"))
    assert drained(outbox) == [RosterLeft(id="a"), caption("1", "I am")]


def test_the_last_message_has_a_place_in_a_full_outbox() -> None:
    outbox = Outbox(capacity=1)
    farewell = Closed(code="too-slow", message="")
    outbox.put(RosterLeft(id="a"))
    outbox.put_last(farewell)
    assert drained(outbox) == [RosterLeft(id="a"), farewell]
