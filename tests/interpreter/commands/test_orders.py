"""What people asked for, as it stands: who is listened to, interpreted, heard and read; which directions follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.commands.orders import Held, Orders
from interpreter.directions import Direction
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library

ROLE = load_library().find("meeting-simultaneous")
PEOPLE = ("ana", "ben", "cat", "dan")
ANA_EN, BEN_ES, CAT_ES = (
    Direction("ana", "es", "en"),
    Direction("ben", "en", "es"),
    Direction("cat", "en", "es"),
)
LANGUAGES = {"ana": "es", "ben": "en", "cat": "en"}


def orders(**changes: object) -> Orders:
    made = Orders(cast=Cast(role=ROLE))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_directions_come_in_the_order_of_people_and_only_where_somebody_needs_them() -> None:
    assert orders().needed(LANGUAGES) == [ANA_EN, BEN_ES, CAT_ES]
    assert orders().needed({"ana": "es", "eva": "es"}) == []
    assert orders().needed({"ana": "es", "ben": None}) == []
    assert orders().needed({"dan": "fr", "ana": "es"}) == [
        Direction("dan", "fr", "es"),
        Direction("ana", "es", "fr"),
    ]


@pytest.mark.parametrize("how", ["opted_out", "muted", "stopped"])
def test_who_is_not_to_be_interpreted_is_no_speaker(how: str) -> None:
    assert ANA_EN not in orders(**{how: {"ana"}}).needed(LANGUAGES)
    assert orders(**{how: {"ben"}}).needed(LANGUAGES)[:1] == [ANA_EN], "cat still listens"


def test_who_opted_out_is_still_interpreted_to_and_who_stopped_is_not() -> None:
    assert orders(opted_out={"ana"}).needed(LANGUAGES) == [BEN_ES, CAT_ES]
    assert orders(stopped={"ana"}).needed(LANGUAGES) == []


def test_who_neither_hears_nor_reads_needs_nothing() -> None:
    deaf = orders(original_only={"ana"}, captions_off={"ana"})
    assert deaf.needed(LANGUAGES) == [ANA_EN]
    assert orders(original_only={"ana"}).needed(LANGUAGES) == [ANA_EN, BEN_ES, CAT_ES], "she reads"
    assert orders(balances={"ana": 0.0}, captions_off={"ana"}).needed(LANGUAGES) == [ANA_EN]


def test_nothing_is_needed_once_the_interpretation_is_closed() -> None:
    assert orders(closed=True).needed(LANGUAGES) == []


def test_only_an_order_that_names_them_holds_a_speaker() -> None:
    everybody, one = Held("en", "es"), Held("en", "es", "ben")
    assert orders(held={everybody}).holds(BEN_ES)
    assert orders(held={everybody}).holds(CAT_ES)
    assert orders(held={one}).holds(BEN_ES)
    assert not orders(held={one}).holds(CAT_ES)
    assert not orders(held={everybody}).holds(ANA_EN)


def test_who_is_gone_is_forgotten() -> None:
    standing = orders(
        opted_out={"ana", "ben"},
        muted={"ana"},
        stopped={"ana"},
        original_only={"ana"},
        captions_off={"ana"},
        languages={"ana": "fr", "ben": "de"},
        balances={"ana": 0.5},
        held={Held("es", "en", "ana"), Held("es", "en"), Held("en", "es", "ben")},
    )
    ana_and_ben = dict.fromkeys(("ana", "ben"), standing.cast.role)
    standing.cast = replace(standing.cast, roles=ana_and_ben, voices={"ana": "diego"})
    standing.forget({"ben"})
    assert (standing.cast.roles.keys(), standing.cast.voices) == ({"ben"}, {})
    assert standing.opted_out == {"ben"}
    assert standing.languages == {"ben": "de"}
    assert standing.held == {Held("es", "en"), Held("en", "es", "ben")}
    assert standing.muted == standing.stopped == standing.original_only == standing.captions_off == set()
    assert standing.balances == {}


people = st.sets(st.sampled_from(PEOPLE))


@given(
    languages=st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(["en", "es", "fr", None])),
    opted_out=people,
    muted=people,
    stopped=people,
    original_only=people,
    captions_off=people,
)
def test_every_direction_has_a_willing_speaker_and_somebody_it_is_for(
    languages: dict[str, str | None],
    opted_out: set[str],
    muted: set[str],
    stopped: set[str],
    original_only: set[str],
    captions_off: set[str],
) -> None:
    standing = orders(
        opted_out=opted_out,
        muted=muted,
        stopped=stopped,
        original_only=original_only,
        captions_off=captions_off,
    )
    needed = standing.needed(languages)
    assert len(needed) == len(set(needed))
    expected = {
        Direction(who, language, other)
        for who, language in languages.items()
        for listener, other in languages.items()
        if language is not None
        and other is not None
        and other != language
        and who not in opted_out | muted | stopped
        and listener not in stopped
        and not (listener in original_only and listener in captions_off)
    }
    assert set(needed) == expected
