"""Who is there as their interpretation knows them: what the room, the configuration and commands say of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from interpreter.commands.orders import Orders
from interpreter.ears.voice_activity import Voice
from interpreter.interpretation.language_assignment import assign_languages
from interpreter.interpretation.members import SETTLE_S, Members, Presence
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library

LIBRARY = load_library()
ROLE, OTHER = LIBRARY.find("meeting-simultaneous"), LIBRARY.find("medical-consecutive")
ANA, BEN = Presence(name="Ana", language="es"), Presence(name="Ben", language="en")
DOCTOR = Presence(name="Dr. Ana", language="es")


def meeting(default: str | None = None) -> tuple[Members, Orders]:
    orders = Orders(cast=Cast(role=ROLE))
    languages = assign_languages(default, {"Dr. Ana": "fr"})
    roles = RoleAssignment(default=ROLE, by_person={"dr. ana": OTHER})
    return Members(roles, languages, orders), orders


def always(_: str) -> bool:
    return True


def never(_: str) -> bool:
    return False


def test_people_are_numbered_as_they_come_and_numbers_are_not_given_twice() -> None:
    members, _ = meeting()
    assert members.place("a", ANA)
    assert members.place("b", BEN)
    assert not members.place("a", replace(ANA, name="Anna"))
    members.leave("b")
    assert members.place("c", BEN)
    assert {who: member.place for who, member in members.items()} == {"a": 0, "c": 2}
    assert members.names == {"a": "Anna", "c": "Ben"}


def test_the_configuration_counts_before_the_room_and_a_later_choice_before_the_configuration() -> None:
    members, orders = meeting()
    members.place("a", DOCTOR)
    assert (members["a"].language, orders.languages) == ("fr", {"a": "fr"})
    assert orders.cast.role_for("a") is OTHER
    members.place("a", replace(DOCTOR, language="en"))
    assert (members["a"].language, orders.languages) == ("en", {})


def test_who_tells_no_language_speaks_the_default_one() -> None:
    members, orders = meeting(default="es")
    members.place("a", replace(BEN, language=None))
    assert (members.languages, orders.languages) == ({"a": "es"}, {"a": "es"})


def test_another_name_brings_what_the_configuration_has_for_it_between_utterances() -> None:
    members, orders = meeting()
    members.place("a", ANA)
    members.place("a", DOCTOR)
    assert orders.cast.role_for("a") is OTHER
    assert (members["a"].language, members.language_wanted("a"), members.unsettled) == ("es", "fr", True)
    assert members.settle(always, 0.0)
    assert (members["a"].language, members.unsettled) == ("fr", False)


def test_another_name_leaves_what_was_chosen_for_somebody() -> None:
    members, orders = meeting()
    members.place("a", ANA)
    orders.languages["a"] = "en"
    orders.cast = replace(orders.cast, roles={"a": LIBRARY.find("plain-language-relay")})
    members.place("a", DOCTOR)
    assert members.language_wanted("a") == "en"
    assert orders.cast.role_for("a").name == "plain-language-relay"


def test_a_language_waits_for_a_silence_and_no_longer_than_it_may() -> None:
    members, orders = meeting()
    members.place("a", ANA)
    orders.languages["a"] = "en"
    assert not members.settle(never, 5.0)
    assert not members.settle(never, 5.0 + SETTLE_S - 0.1)
    assert members.settle(never, 5.0 + SETTLE_S)
    assert members.languages == {"a": "en"}


def test_a_wish_that_is_taken_back_starts_anew() -> None:
    members, orders = meeting()
    members.place("a", ANA)
    orders.languages["a"] = "en"
    assert not members.settle(never, 0.0)
    del orders.languages["a"]
    assert not members.settle(never, SETTLE_S)
    orders.languages["a"] = "en"
    assert not members.settle(never, SETTLE_S + 1.0), "the first wish does not count any more"


@pytest.mark.parametrize("speaks", [True, False])
def test_speakers_are_those_who_may_be_heard_and_whose_language_is_known(speaks: bool) -> None:
    members, _ = meeting()
    members.place("a", replace(ANA, speaks=speaks))
    members.place("b", replace(BEN, language=None))
    assert members.speakers == ({"a": "es"} if speaks else {})
    assert members.spoken == ["es"]


def test_words_are_known_of_those_whose_words_are_written_down() -> None:
    members, _ = meeting()
    members.place("a", ANA)
    members.place("b", BEN)
    members.add_words("a", "me duele")
    members.add_words("b", "it hurts")
    voices = dict.fromkeys(
        ("a", "b", "gone"), Voice(active=False, onset_s=None, speech_s=0.0, pause_s=1.0, level_dbfs=-100.0)
    )
    talks = members.talks(voices, {"a"})
    assert {who: (talk.language, talk.words) for who, talk in talks.items()} == {
        "a": ("es", "me duele"),
        "b": ("en", None),
    }


def test_who_leaves_takes_what_was_chosen_for_them_along() -> None:
    members, orders = meeting()
    members.place("a", DOCTOR)
    members.leave("a")
    assert (dict(members), orders.languages) == ({}, {})
