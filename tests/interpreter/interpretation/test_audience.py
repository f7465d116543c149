"""Who needs and hears what, and by what ear, in each of the three ways to listen to a room."""

from __future__ import annotations

import pytest

from interpreter.channels import Channel, unseen_listener
from interpreter.commands.orders import Held, Orders
from interpreter.directions import Direction
from interpreter.interpretation.audience import Audience
from interpreter.interpretation.language_assignment import LanguageAssignment
from interpreter.interpretation.members import Members, Presence
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library
from webrtc.room import Hindrance, Listening

ROLE = load_library().find("meeting-simultaneous")
ANA_EN, BEN_ES, ANA_FR = (
    Direction("ana", "es", "en"),
    Direction("ben", "en", "es"),
    Direction("ana", "es", "fr"),
)
EN, ES, FR = (Channel(language="en"), Channel(language="es"), Channel(language="fr", always=True))


class Room:
    """Ana, who speaks Spanish and is asked for in French, and Ben, who speaks English."""

    def __init__(self, listening: Listening, *channels: Channel) -> None:
        self.orders = Orders(cast=Cast(role=ROLE))
        self.members = Members(RoleAssignment(default=ROLE), LanguageAssignment(), self.orders)
        self.audience = Audience(listening, channels, self.members, self.orders)
        self.place("ana", "es", requests=("fr", "es"))
        self.place("ben", "en")

    def place(self, who: str, language: str | None, **more: object) -> None:
        self.members.place(who, Presence(name=who, language=language, **more))  # type: ignore[arg-type]


def test_everybody_has_an_ear_of_their_own_where_each_has_a_mix() -> None:
    room = Room(Listening.PER_LISTENER)
    audience = room.audience
    assert audience.needed() == [ANA_EN, BEN_ES]
    assert list(audience.carried([ANA_FR])) == [ANA_FR]
    assert audience.ears == {"ana", "ben"}
    assert audience.ears_of(frozenset({"ana", "gone"})) == {"ana": "es"}
    assert audience.listeners([ANA_EN, BEN_ES]) == {ANA_EN: {"ben"}, BEN_ES: {"ana"}}
    assert audience.routes([ANA_EN]).listeners == ("ana", "ben")
    assert audience.offered == ()


def test_people_are_told_in_the_order_in_which_they_came() -> None:
    room = Room(Listening.PER_LISTENER)
    more = [f"p{number}" for number in range(20)]
    for who in more:
        room.place(who, "es")
    assert list(room.audience.ears_of(frozenset(reversed(more)))) == more


def test_a_channel_is_the_ear_of_everybody_of_its_language_and_of_unseen_listeners() -> None:
    room = Room(Listening.FLOOR, EN, FR)
    audience = room.audience
    assert audience.needed() == [ANA_EN, BEN_ES, ANA_FR, Direction("ben", "en", "fr")]
    assert list(audience.carried(audience.needed())) == [ANA_EN, ANA_FR, Direction("ben", "en", "fr")]
    assert audience.ears == {"es", "en", "fr"}
    assert audience.ears_of(frozenset({"ana"})) == {"es": "es"}
    assert audience.ears_of(frozenset({"ana", "ben"})) == {"es": "es", "en": "en", "fr": "fr"}
    assert audience.listeners([ANA_FR]) == {ANA_FR: {unseen_listener("fr")}}
    assert audience.routes([ANA_EN]).listeners == ("en", "fr")
    assert audience.offered == ["en", "fr"]
    assert Room(Listening.FLOOR).audience.offered == ["en", "es"]


def test_a_rendering_that_is_asked_for_is_an_ear_whose_listener_is_not_known() -> None:
    audience = Room(Listening.REQUESTED).audience
    assert audience.needed() == [ANA_FR]
    assert audience.listeners([ANA_FR]) == {ANA_FR: {"ana.fr"}}
    assert audience.routes([ANA_FR]).listeners == ("ana.fr",)
    assert not audience.addressable, "nobody can be told apart"


@pytest.mark.parametrize("listening", [Listening.PER_LISTENER, Listening.FLOOR])
def test_nothing_is_needed_of_who_cannot_speak_nor_for_who_cannot_hear(listening: Listening) -> None:
    room = Room(listening)
    room.place("ben", "en", listens=False)
    assert room.audience.needed() == [BEN_ES]
    assert room.audience.listeners([ANA_EN]) == {ANA_EN: frozenset()}
    room.place("ben", "en", speaks=False)
    assert room.audience.needed() == [ANA_EN]


def test_who_does_not_want_to_hear_it_is_no_listener() -> None:
    room = Room(Listening.PER_LISTENER)
    room.orders.original_only.add("ben")
    assert room.audience.listeners([ANA_EN]) == {ANA_EN: frozenset()}
    assert room.audience.needed() == [ANA_EN, BEN_ES], "he may read it"


@pytest.mark.parametrize("listening", list(Listening))
def test_a_muted_direction_is_heard_by_nobody(listening: Listening) -> None:
    room = Room(listening, FR)
    room.orders.unvoiced.add(Held("es", "fr"))
    assert room.audience.listeners([ANA_FR]) == {ANA_FR: frozenset()}


@pytest.mark.parametrize("listening", list(Listening))
def test_while_another_is_at_work_nothing_is_needed_and_nobody_told(listening: Listening) -> None:
    audience = Room(listening, EN, FR).audience
    audience.hinder(Hindrance.ANOTHER_INTERPRETER, True)
    assert audience.standing_by
    assert (audience.needed(), set(audience.ears), audience.addressable) == ([], set(), False)
    audience.hinder(Hindrance.ANOTHER_INTERPRETER, False)
    assert not audience.standing_by
    assert audience.needed()


def test_a_muted_interpreter_goes_on() -> None:
    audience = Room(Listening.FLOOR, EN, ES).audience
    audience.hinder(Hindrance.MUTED, True)
    assert (audience.standing_by, audience.addressable) == (False, True)
    assert audience.hindrances == {Hindrance.MUTED}
    assert audience.needed() == [ANA_EN, BEN_ES]
