"""What several bridge connections say together, and what each is told. No sockets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import FRAME_S, amplitude, tone
from webrtc.errors import LocalError
from webrtc.jitsi import mediajson
from webrtc.jitsi.mediajson import Media
from webrtc.jitsi.translate_room import Link, TranslateRoom
from webrtc.opus import OpusEncoder
from webrtc.room import (
    PACKET_SAMPLES,
    Caption,
    CaptionKind,
    Levels,
    Listening,
    Notice,
    NoticeLevel,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    RoomEvent,
    TrackStarted,
)

SOUND = tone(500.0)
GRACE_S = 0.05


class Wire:
    """A bridge's connection, as far as the room sees it."""

    def __init__(self, room: TranslateRoom) -> None:
        self.sent: list[dict[str, Any]] = []
        self.reason = ""
        self.link: Link = room.attach(self)
        self._room = room

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def hang_up(self, reason: str) -> None:
        self.reason = reason

    def says(self, exports: list[str], *requests: str) -> None:
        event = mediajson.read(json.dumps({"event": "sources", "exports": exports, "requests": requests}))
        assert event is not None
        self._room.receive(self.link, event)

    def told(self, name: str) -> str:
        """What came of one synthetic source: S a start, p a packet, X a stop."""
        letters = {"start": "S", "media": "p", "stop": "X"}
        bodies = [(one["event"], one.get(one["event"])) for one in self.sent]
        return "".join(letters[event] for event, body in bodies if event in letters and body["tag"] == name)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def make_room(**options: Any) -> tuple[TranslateRoom, Clock]:
    clock = Clock()
    return TranslateRoom("m1", clock=clock, wall_s=lambda: 1.5, grace_s=GRACE_S, **options), clock


def events(room: TranslateRoom) -> list[RoomEvent]:
    found = []
    waiting = room._events._waiting
    while not waiting.empty():
        event = waiting.get_nowait()
        if event is not None and not isinstance(event, TrackStarted):
            found.append(event)
    return found


def joined(event: RoomEvent) -> tuple[str, tuple[str, ...]]:
    assert isinstance(event, ParticipantJoined | ParticipantChanged)
    return event.participant.id, event.participant.requests


async def play(room: TranslateRoom, clock: Clock, key: str, tick: int, *, frames: int = 1) -> None:
    """Plays sound, and lets its time pass."""
    for n in range(frames):
        outgoing = room.outgoing(key)
        if outgoing is not None:
            outgoing.play(tick + n, SOUND, clock.now_s)
        clock.now_s += FRAME_S
        await asyncio.sleep(0)
        room._send_due()


async def test_people_are_there_while_a_bridge_says_so() -> None:
    room, _ = make_room()
    assert room.listening is Listening.REQUESTED
    wire = Wire(room)
    wire.says(["a-a0", "b-a0"], "a-a0.en", "a-a0.fr", "z-a0.en")
    first, second = events(room)
    assert joined(first) == ("a-a0", ("en", "fr"))
    assert joined(second) == ("b-a0", ())
    assert isinstance(first, ParticipantJoined)
    assert first.participant.name == "a", "the endpoint's id"
    wire.says(["a-a0", "b-a0"], "a-a0.en", "a-a0.fr", "z-a0.en")
    assert events(room) == [], "the same once more is no news"
    wire.says(["b-a0"], "b-a0.es")
    left, changed = events(room)
    assert left == ParticipantLeft(participant_id="a-a0", reason="left")
    assert joined(changed) == ("b-a0", ("es",))


async def test_what_several_connections_say_adds_up() -> None:
    room, _ = make_room()
    one, two = Wire(room), Wire(room)
    one.says(["a-a0"], "a-a0.en")
    two.says(["a-a0"], "a-a0.fr", "a-a0.EN")
    assert [joined(event) for event in events(room)] == [("a-a0", ("en",)), ("a-a0", ("en", "fr"))]
    one.says([])
    assert events(room) == [], "the other one still wants both"
    room.detach(two.link, over=True)
    assert events(room) == [ParticipantLeft(participant_id="a-a0", reason="left")]
    assert room.connected == 1


async def test_who_comes_again_is_another_participant() -> None:
    room, _ = make_room()
    wire = Wire(room)
    for exports in (["a-a0"], [], ["a-a0"]):
        wire.says(exports, "a-a0.en")
    assert joined(events(room)[-1]) == ("a-a0~2", ("en",))
    assert room.outgoing("a-a0.en") is None
    assert room.outgoing("a-a0~2.en") is not None


async def test_a_lost_connection_counts_for_a_while_and_one_that_comes_back_takes_its_place() -> None:
    room, _ = make_room()
    one, two = Wire(room), Wire(room)
    one.says(["a-a0"], "a-a0.en")
    two.says(["b-a0"], "b-a0.es")
    events(room)
    room.detach(one.link, over=False)
    back = Wire(room)
    assert events(room) == []
    back.says(["a-a0"], "a-a0.en")
    assert events(room) == []
    assert len(room._links) == 2, "the lost one is not waited for any more"
    back.says(["a-a0"], "a-a0.fr")
    assert joined(events(room)[0]) == ("a-a0", ("fr",)), "nothing of it is left"
    room.detach(two.link, over=False)
    await asyncio.sleep(2 * GRACE_S)
    assert events(room) == [ParticipantLeft(participant_id="b-a0", reason="left")]
    assert not room.waits


async def test_people_beyond_the_limit_are_not_listened_to() -> None:
    room, _ = make_room(max_sources=2)
    wire = Wire(room)
    wire.says(["a-a0", "b-a0", "c-a0"])
    assert [joined(event)[0] for event in events(room)] == ["a-a0", "b-a0"]


async def test_who_was_removed_stays_out_until_they_come_anew() -> None:
    room, _ = make_room()
    wire = Wire(room)
    wire.says(["a-a0"], "a-a0.en")
    await room.remove("a-a0", "test")
    wire.says(["a-a0"], "a-a0.en", "a-a0.fr")
    assert isinstance(events(room)[-1], ParticipantLeft)
    wire.says([])
    wire.says(["a-a0"])
    assert joined(events(room)[-1])[0] == "a-a0~2"


async def test_a_talk_goes_to_whoever_asked_for_it_under_the_name_they_gave() -> None:
    room, clock = make_room()
    one, two, three = Wire(room), Wire(room), Wire(room)
    one.says(["a-a0"], "a-a0.en")
    two.says(["a-a0"], "a-a0.EN")
    three.says(["a-a0"], "a-a0.fr")
    await play(room, clock, "a-a0.en", 0)
    assert one.told("a-a0.en") == "Spppp"
    assert two.told("a-a0.EN") == "Spppp"
    assert three.sent == []
    assert not room.silent
    room.close("over")
    assert one.told("a-a0.en") == "SppppX"
    assert [wire.reason for wire in (one, two, three)] == 3 * ["over"]


async def test_who_comes_in_the_middle_of_a_talk_is_told_that_it_began() -> None:
    room, clock = make_room()
    one, two = Wire(room), Wire(room)
    one.says(["a-a0"], "a-a0.en")
    await play(room, clock, "a-a0.en", 0)
    two.says(["a-a0"], "a-a0.en")
    await play(room, clock, "a-a0.en", 1)
    assert two.told("a-a0.en") == "Spppp"
    start, packet = two.sent[:2]
    assert start["start"]["timestamp"] == packet["media"]["timestamp"] == one.sent[5]["media"]["timestamp"]
    assert [one["sequenceNumber"] for one in two.sent] == list(range(5)), "each connection has its own"


async def test_nothing_of_a_talk_follows_once_it_is_not_wanted_any_more() -> None:
    room, clock = make_room()
    one, two = Wire(room), Wire(room)
    for wire in (one, two):
        wire.says(["a-a0"], "a-a0.en")
    await play(room, clock, "a-a0.en", 0)
    two.says(["a-a0"])
    assert two.told("a-a0.en") == "SppppX"
    assert two.sent[-1]["stop"]["timestamp"] == two.sent[-2]["media"]["timestamp"] + 960
    await play(room, clock, "a-a0.en", 1)
    assert two.told("a-a0.en") == "SppppX"
    assert one.told("a-a0.en") == "Spppppppp"
    one.says(["a-a0"])
    assert room.outgoing("a-a0.en") is None


async def test_timestamps_and_numbers_go_on_when_a_rendering_is_wanted_again() -> None:
    room, clock = make_room()
    wire = Wire(room)
    wire.says(["a-a0"], "a-a0.en")
    await play(room, clock, "a-a0.en", 0)
    wire.says([])
    clock.now_s += 100 * FRAME_S
    wire.says(["a-a0"], "a-a0.en")
    await play(room, clock, "a-a0~2.en", 101)
    media = [one["media"] for one in wire.sent if one["event"] == "media"]
    assert [one["chunk"] for one in media] == list(range(8))
    assert media[4]["timestamp"] - media[0]["timestamp"] == 101 * 4 * 960


def packet(encoder: OpusEncoder, n: int, hz: float, source: str = "a-a0", zero: int = 0) -> Media:
    pcm = tone(hz)[n % 4 * PACKET_SAMPLES :][:PACKET_SAMPLES]
    return Media(source=source, sequence_number=n, timestamp=zero + 960 * n, payload=encoder.encode(pcm))


async def test_the_same_person_from_two_connections_is_heard_once() -> None:
    room, clock = make_room()
    one, two = Wire(room), Wire(room)
    for wire in (one, two):
        wire.says(["a-a0"], "a-a0.en")
    encoders = {one: OpusEncoder(), two: OpusEncoder()}
    audio = room._sources["a-a0"].audio
    frames = []
    for n in range(80):
        if n == 40:
            room.detach(one.link, over=False)
        if n < 40:
            room.receive(one.link, packet(encoders[one], n, 500.0))
        room.receive(two.link, packet(encoders[two], n, 1_000.0, zero=777_777))
        clock.now_s += 0.02
        if n % 4 == 3:
            frames.append(audio.pull(clock.now_s).pcm)
    first, second = np.concatenate(frames[3:9]), np.concatenate(frames[14:])
    assert amplitude(first, 500.0) > 0.05
    assert amplitude(first, 1_000.0) < 0.01
    assert amplitude(second, 1_000.0) > 0.05, "the other connection takes over"


async def test_nobody_is_heard_who_was_not_announced_or_when_the_service_is_closing() -> None:
    room, clock = make_room()
    one, two = Wire(room), Wire(room)
    one.says(["a-a0"], "a-a0.en")
    two.says([], "a-a0.en")
    encoder = OpusEncoder()
    room.receive(two.link, packet(encoder, 0, 500.0))
    room.receive(one.link, packet(encoder, 0, 500.0, source="b-a0"))
    room.stop_listening()
    room.receive(one.link, packet(encoder, 0, 500.0))
    assert room._sources["a-a0"].audio._buffer.stats().received == 0


async def test_an_endpoint_may_have_another_name_than_its_source() -> None:
    room, _ = make_room()
    wire = Wire(room)
    wire.says(["a-a0"], "a-a0.en")
    event = mediajson.read(
        '{"event":"start","start":{"tag":"a-a0","mediaFormat":{"encoding":"opus"},"customParameters":{"endpointId":"q"}}}'
    )
    assert event is not None
    room.receive(wire.link, event)
    room.receive(wire.link, event)
    _, changed = events(room)
    assert isinstance(changed, ParticipantChanged)
    assert changed.participant.name == "q"
    assert changed.participant.requests == ("en",)


def caption(
    text: str, *, language: str = "en", final: bool = False, kind: CaptionKind = CaptionKind.RENDERING
) -> Caption:
    return Caption(
        id=f"c-{language}", speaker_id="a-a0", language=language, text=text, final=final, kind=kind
    )


async def test_growing_captions_of_two_languages_do_not_hold_one_another_up() -> None:
    room, _ = make_room()
    wire = Wire(room)
    wire.says(["a-a0"], "a-a0.en", "a-a0.fr")
    room.tell("a-a0", caption("good"))
    room.tell("a-a0", caption("bon", language="fr"))
    room.tell("a-a0", caption("good day"))
    assert [(one["language"], one["transcript"][0]["text"]) for one in wire.sent] == [
        ("en", "good"),
        ("fr", "bon"),
    ]


async def test_captions_and_what_must_be_said_go_out_by_one_connection() -> None:
    room, clock = make_room()
    one, two = Wire(room), Wire(room)
    for wire in (one, two):
        wire.says(["a-a0"], "a-a0.en")
    room.tell("a-a0", caption("good"))
    room.tell("a-a0", caption("good morning"))
    clock.now_s += 0.6
    room.tell("a-a0", caption("good morning to"))
    room.tell("a-a0", caption("good morning to you", final=True))
    room.tell("a-a0", caption("buenos días", kind=CaptionKind.HEARD))
    room.tell("a-a0", Levels(dbfs={}, speaking=frozenset()))
    room.tell("a-a0", Notice(id="refused.en", level=NoticeLevel.WARNING, text="Nobody can.", language="en"))
    room.tell("a-a0", Notice(id="refused.en", level=NoticeLevel.WARNING, text=""))
    room.tell("nobody", caption("lost", final=True))
    said = [(one["transcript"][0]["text"], one["is_interim"]) for one in one.sent]
    assert said == [
        ("good", True),
        ("good morning to", True),
        ("good morning to you", False),
        ("Nobody can.", False),
    ]
    assert one.sent[0]["participant"] == {"id": "a-a0"}
    assert len({message["message_id"] for message in one.sent}) == 2
    assert two.sent == []


async def test_a_room_has_one_reader_and_ends_once() -> None:
    room, _ = make_room()
    wire = Wire(room)
    wire.says(["a-a0"])
    async with room:
        pass
    room.close("again")
    assert wire.reason == "the meeting has ended"
    seen = [event async for event in room.events()]
    assert len(seen) == 2
    with pytest.raises(LocalError, match="one reader"):
        await anext(room.events())
    with pytest.raises(LocalError, match="expected an open room"):
        room.attach(wire)


names = st.lists(st.sampled_from(["a-a0", "b-a0", "c-a1"]), unique=True)
languages = st.lists(st.sampled_from(["a-a0.en", "a-a0.fr", "b-a0.en", "c-a1.es", "d-a0.en"]), unique=True)
steps = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["says", "ends", "comes"]), names, languages), max_size=25
)


@given(steps)
def test_whatever_connections_say_in_whatever_order_adds_up(
    steps: list[tuple[int, str, list[str], list[str]]],
) -> None:
    room, _ = make_room()
    wires: dict[int, Wire] = {}
    said: dict[int, tuple[list[str], list[str]]] = {}
    present: dict[str, tuple[str, ...]] = {}
    for number, what, exports, requests in steps:
        if what == "comes" and number not in wires:
            wires[number] = Wire(room)
        elif what == "says" and number in wires:
            wires[number].says(exports, *requests)
            said[number] = exports, requests
        elif what == "ends" and number in wires:
            room.detach(wires.pop(number).link, over=True)
            said.pop(number, None)
        for event in events(room):
            if isinstance(event, ParticipantLeft):
                del present[event.participant_id]
            else:
                who, wanted = joined(event)
                assert (who in present) is isinstance(event, ParticipantChanged)
                present[who] = wanted
        expected = {
            name: sorted(
                {
                    one.rpartition(".")[2]
                    for _, wanted in said.values()
                    for one in wanted
                    if one.startswith(f"{name}.")
                }
            )
            for exported, _ in said.values()
            for name in exported
        }
        assert {who.partition("~")[0]: list(wanted) for who, wanted in present.items()} == expected
    assert room.connected == len(wires)
