"""Who takes part in a meeting, from who is in its room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from webrtc.jitsi.people import People
from webrtc.jitsi.presence import Occupant
from webrtc.room import (
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    TrackMuted,
)

OURS = "00000002aa"


def people(*, hosts: bool = True) -> People:
    return People(marker=OURS, moderators_are_hosts=hosts)


def occupant(nick: str = "aaaa0001", **changes: object) -> Occupant:
    return Occupant(**{"nick": nick, "name": "Ana", "role": "participant", **changes})  # type: ignore[arg-type]


def test_somebody_comes_changes_and_goes() -> None:
    here = people()
    ana = Participant(id="aaaa0001", name="Ana", attributes={})
    assert here.there(occupant()) == [ParticipantJoined(participant=ana)]
    assert here.there(occupant()) == [], "nothing new"
    [changed] = here.there(occupant(name="Ana López", email="ana@x.org", role="moderator"))
    assert changed == ParticipantChanged(
        participant=Participant(
            id="aaaa0001", name="Ana López", attributes={"email": "ana@x.org", "standing": "host"}
        )
    )
    assert here.name_of("aaaa0001") == "Ana López"
    assert (here.id_of("aaaa0001"), here.nick_of("aaaa0001")) == ("aaaa0001", "aaaa0001")
    assert here.gone("aaaa0001", "left") == [ParticipantLeft(participant_id="aaaa0001", reason="left")]
    assert here.gone("aaaa0001", "left") == []
    assert (here.id_of("aaaa0001"), here.participant("aaaa0001"), here.name_of("aaaa0001")) == (
        None,
        None,
        "",
    )


def test_who_comes_back_under_a_nick_is_somebody_new() -> None:
    here = people()
    here.there(occupant())
    here.gone("aaaa0001", "left")
    [joined] = here.there(occupant())
    assert isinstance(joined, ParticipantJoined)
    assert joined.participant.id == "aaaa0001~2"
    assert here.nick_of("aaaa0001~2") == "aaaa0001"
    assert here.nick_of("aaaa0001") is None


def test_a_microphone_is_off_when_all_of_somebody_s_are() -> None:
    here = people()
    off, on = {"aaaa0001-a0": True}, {"aaaa0001-a0": False}
    assert here.there(occupant(sources=off))[1:] == [TrackMuted(participant_id="aaaa0001", muted=True)]
    assert here.there(occupant(sources=on)) == [TrackMuted(participant_id="aaaa0001", muted=False)]
    assert here.there(occupant(sources={**on, "aaaa0001-a1": True, "aaaa0001-v0": True})) == []
    assert here.there(occupant(sources={})) == [], "who sends nothing has not switched anything off"


def test_moderators_are_hosts_only_where_they_may_be() -> None:
    [joined] = people(hosts=False).there(occupant(role="moderator"))
    assert isinstance(joined, ParticipantJoined)
    assert joined.participant.attributes == {}


def test_a_nick_stands_for_somebody_without_a_name() -> None:
    [joined] = people().there(occupant(name=""))
    assert isinstance(joined, ParticipantJoined)
    assert joined.participant.name == "aaaa0001"


def test_the_focus_and_interpreters_are_no_participants() -> None:
    here = people()
    assert here.there(occupant("focus", is_focus=True)) == []
    assert here.there(occupant("bbbb0001", marker=OURS)) == []
    assert here.there(occupant("bbbb0002", marker="00000009bb")) == []
    assert here.interpreters == {"bbbb0001", "bbbb0002"}
    assert not here.another_first, "ours came before it"
    here.there(occupant("bbbb0003", marker="00000001cc"))
    assert here.another_first
    here.gone("bbbb0003", "left")
    assert not here.another_first


def test_who_turns_out_to_be_an_interpreter_is_no_participant_any_more() -> None:
    here = people()
    here.there(occupant())
    assert here.there(occupant(marker="00000009bb")) == [
        ParticipantLeft(participant_id="aaaa0001", reason="is an interpreter")
    ]
    assert here.interpreters == {"aaaa0001"}


def test_after_an_interruption_whoever_is_not_there_has_left() -> None:
    here = people()
    here.there(occupant())
    here.there(occupant("bbbb0001", name="Ben"))
    here.there(occupant("cccc0001", marker="00000001cc"))
    assert here.keep({"bbbb0001", "focus"}, "left meanwhile") == [
        ParticipantLeft(participant_id="aaaa0001", reason="left meanwhile")
    ]
    assert here.interpreters == frozenset()


def test_who_was_removed_takes_no_part_until_they_come_again() -> None:
    here = people()
    here.there(occupant())
    assert here.ignore("aaaa0001", "removed: noise") == [
        ParticipantLeft(participant_id="aaaa0001", reason="removed: noise")
    ]
    assert here.there(occupant(name="Ana again")) == []
    assert here.gone("aaaa0001", "left") == []
    [joined] = here.there(occupant())
    assert isinstance(joined, ParticipantJoined)
    here.ignore("aaaa0001", "removed")
    assert here.keep([], "left meanwhile") == []
    assert len(here.there(occupant())) == 1


occupants = st.builds(
    occupant,
    st.sampled_from(["n1", "n2", "n3"]),
    name=st.text(max_size=3),
    role=st.sampled_from(["moderator", "participant"]),
    marker=st.sampled_from(["", "", "", OURS, "00000001cc"]),
    is_focus=st.sampled_from([False, False, False, True]),
    sources=st.sampled_from([{}, {"n1-a0": True}, {"n1-a0": False}]),
)


@given(st.lists(occupants | st.sampled_from(["n1", "n2", "n3"]), max_size=40))
def test_events_add_up_to_who_is_there_and_no_id_is_used_twice(steps: list[Occupant | str]) -> None:
    here, present, ever = people(), dict[str, Participant](), set[str]()
    for step in steps:
        events = here.gone(step, "left") if isinstance(step, str) else here.there(step)
        for event in events:
            match event:
                case ParticipantJoined(participant=participant):
                    assert participant.id not in ever
                    ever.add(participant.id)
                    present[participant.id] = participant
                case ParticipantChanged(participant=participant):
                    assert present[participant.id] != participant
                    present[participant.id] = participant
                case ParticipantLeft(participant_id=who):
                    del present[who]
                case TrackMuted(participant_id=who):
                    assert who in present
        for who, participant in present.items():
            nick = here.nick_of(who)
            assert nick is not None
            assert here.participant(nick) == participant
            assert nick not in here.interpreters
