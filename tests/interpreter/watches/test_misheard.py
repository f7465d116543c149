"""Who is asked to repeat, who is told of it, and for how long."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interpreter.directions import Direction
from interpreter.watches.misheard import ASK_AGAIN_TICKS, SHOWN_TICKS, Misheard

ANA_EN, ANA_FR = Direction("ana", "es", "en"), Direction("ana", "es", "fr")
BEN_ES = Direction("ben", "en", "es")


def test_nothing_is_told_until_something_was_not_understood() -> None:
    misheard = Misheard()
    assert not misheard.advance(7)
    assert misheard.directions == misheard.speakers == frozenset()


def test_it_is_told_for_a_while_and_its_end_is_news() -> None:
    misheard = Misheard()
    misheard.note(ANA_EN, 100)
    assert (misheard.directions, misheard.speakers) == ({ANA_EN}, {"ana"})
    assert not misheard.advance(100 + SHOWN_TICKS - 1)
    assert misheard.advance(100 + SHOWN_TICKS)
    assert misheard.directions == misheard.speakers == frozenset()


def test_in_two_directions_a_speaker_is_asked_once() -> None:
    misheard = Misheard()
    misheard.note(ANA_EN, 100)
    misheard.advance(150)
    misheard.note(ANA_FR, 150)
    assert misheard.directions == {ANA_EN, ANA_FR}
    assert misheard.advance(100 + SHOWN_TICKS)
    assert (misheard.directions, misheard.speakers) == ({ANA_FR}, frozenset())


def test_what_ends_is_told_no_longer_and_does_not_let_its_speaker_be_asked_again() -> None:
    misheard = Misheard()
    misheard.note(ANA_EN, 100)
    misheard.note(BEN_ES, 100)
    misheard.keep([BEN_ES])
    assert misheard.directions == {BEN_ES}
    misheard.advance(100 + SHOWN_TICKS)
    misheard.note(ANA_EN, 100 + SHOWN_TICKS)
    assert (misheard.directions, misheard.speakers) == ({ANA_EN}, frozenset())


@given(st.lists(st.booleans(), max_size=600))
def test_a_speaker_is_asked_at_most_once_in_ten_seconds(unsure: list[bool]) -> None:
    misheard = Misheard()
    begun: list[int] = []
    before = False
    for tick, lost in enumerate(unsure):
        misheard.advance(tick)
        if lost:
            misheard.note(ANA_EN, tick)
        asked = "ana" in misheard.speakers
        if asked and not before:
            begun.append(tick)
            assert lost
        before = asked
    assert all(later - earlier >= ASK_AGAIN_TICKS for earlier, later in zip(begun, begun[1:], strict=False))
    assert bool(begun) == any(unsure)
