"""The events of a room: in order, to one reader, until their first end."""

from __future__ import annotations

import pytest

from webrtc.errors import LocalError, Refused
from webrtc.room import ParticipantLeft
from webrtc.room_events import RoomEvents

ANA, BEN = (ParticipantLeft(participant_id=who, reason="left") for who in ("ana", "ben"))


async def test_what_was_added_is_read_in_order_until_the_end() -> None:
    events = RoomEvents()
    events.add(ANA)
    events.add(BEN)
    assert not events.over
    events.end()
    events.add(ANA)
    assert events.over
    assert [event async for event in events.read()] == [ANA, BEN]


async def test_only_the_first_end_counts() -> None:
    events = RoomEvents()
    events.end(Refused("put out"))
    events.end()
    with pytest.raises(Refused, match="put out"):
        await anext(events.read())


async def test_there_is_one_reader() -> None:
    events = RoomEvents()
    events.add(ANA)
    assert await anext(events.read()) == ANA
    with pytest.raises(LocalError, match="expected one reader"):
        await anext(events.read())
