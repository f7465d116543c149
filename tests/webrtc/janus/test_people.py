"""Who takes part in a room, from who is in it."""

from __future__ import annotations

from webrtc.janus.people import MAX_OCCUPANTS, People
from webrtc.janus.settings import IDS, ids_from
from webrtc.janus.videoroom import Occupant, Stream
from webrtc.room import Participant, ParticipantChanged, ParticipantJoined, ParticipantLeft, TrackMuted

OURS = "Interpreter · English"
FIRST = 500_000
ANA = Occupant(id=71, name="Ana", audio=Stream(mid="1"))
BEN = Occupant(id=72, name="")


def person(who: str, name: str, *, speaks: bool = True) -> Participant:
    return Participant(id=who, name=name, attributes={}, speaks=speaks)


def test_people_come_speak_fall_silent_and_go() -> None:
    people = People([OURS], FIRST)
    assert people.entered([ANA, BEN]) == [
        ParticipantJoined(participant=person("1~71", "Ana")),
        ParticipantJoined(participant=person("2~72", "72", speaks=False)),
    ]
    assert people.tracks == {71: "1"}
    assert people.seen([ANA]) == []
    spoken = Occupant(id=72, name="Ben", audio=Stream(mid="0", muted=True))
    assert people.seen([spoken]) == [
        ParticipantChanged(participant=person("2~72", "Ben")),
        TrackMuted(participant_id="2~72", muted=True),
    ]
    assert people.moderated(72, "0", False) == [TrackMuted(participant_id="2~72", muted=False)]
    assert people.moderated(72, "9", True) == people.moderated(99, "0", True) == []
    assert people.unpublished(71) == [ParticipantChanged(participant=person("1~71", "Ana", speaks=False))]
    assert people.tracks == {72: "0"}
    assert people.left(71, "left") == [ParticipantLeft(participant_id="1~71", reason="left")]
    assert people.left(71, "left") == people.unpublished(71) == []
    assert people.seen([ANA]) == [ParticipantJoined(participant=person("3~71", "Ana"))], "somebody new"
    assert people.forget("3~71") == [ParticipantLeft(participant_id="3~71", reason="removed")]


def test_who_is_there_again_after_a_loss_is_the_same() -> None:
    people = People([OURS], FIRST)
    people.entered([ANA, BEN])
    eva = Occupant(id=73, name="Eva")
    assert people.entered([ANA, eva]) == [
        ParticipantLeft(participant_id="2~72", reason="left meanwhile"),
        ParticipantJoined(participant=person("3~73", "Eva", speaks=False)),
    ]
    assert people.id_of(71) == "1~71"
    assert [type(event) for event in people.lost("no server")] == [ParticipantLeft] * 2
    assert people.id_of(71) is None


def test_interpreters_are_nobody_and_one_of_them_works() -> None:
    people = People([OURS], FIRST)
    later = Occupant(id=510_000, name=OURS, audio=Stream(mid="0"))
    earlier = Occupant(id="490000", name=OURS, audio=Stream(mid="0"))
    assert people.seen([ANA, later]) == [ParticipantJoined(participant=person("1~71", "Ana"))]
    assert people.tracks == {71: "1"}
    assert not people.another_first
    assert people.seen([earlier]) == []
    assert people.another_first
    people.unpublished("490000")
    assert people.another_first, "it is still there"
    people.left("490000", "left")
    assert not people.another_first


def test_our_own_ghosts_are_nothing() -> None:
    people = People([OURS], FIRST)
    ghosts = [Occupant(id=FIRST, name=OURS), Occupant(id=str(FIRST + 101), name="Ana", audio=Stream(mid="0"))]
    assert people.seen(ghosts) == people.left(FIRST, "left") == []
    assert not people.another_first
    assert people.tracks == {}


def test_who_was_started_first_has_the_lower_ids() -> None:
    now_s = 1_795_900_000
    assert ids_from(now_s, 9) + IDS <= ids_from(now_s + 1, 0)
    assert ids_from(now_s, 0) + IDS <= ids_from(now_s, 1)
    assert ids_from(40 * now_s, 9) < 2**53


def test_a_room_without_end_is_not_followed_to_its_end() -> None:
    people = People([OURS], FIRST)
    crowd = [Occupant(id=number, name="x") for number in range(MAX_OCCUPANTS + 50)]
    assert len(people.seen(crowd)) == MAX_OCCUPANTS
