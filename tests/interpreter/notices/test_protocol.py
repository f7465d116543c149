from __future__ import annotations

import pytest

from interpreter.directions import Direction
from interpreter.notices.protocol import (
    ASK_AGAIN_S,
    Announcement,
    Protocol,
    ProtocolSettings,
    protocol_settings,
)
from interpreter.roles.library import load_library

ANA_EN = Direction("ana", "es", "en")
PAIR = ("ana", "ben")
BOTH = frozenset(PAIR)


def test_the_opening_comes_with_the_first_direction_and_once() -> None:
    protocol = Protocol(ProtocolSettings())
    assert protocol.advance(["ana"], interpreting=False, now_s=0.0) == []
    assert protocol.advance(PAIR, interpreting=True, now_s=1.0) == [Announcement("opening", BOTH)]
    assert protocol.advance(PAIR, interpreting=True, now_s=2.0) == []
    assert protocol.advance(PAIR, interpreting=False, now_s=3.0) == []
    assert protocol.advance(PAIR, interpreting=True, now_s=4.0) == []


def test_a_role_that_announces_itself_does_so_to_everybody_also_who_comes_later() -> None:
    protocol = Protocol(ProtocolSettings(opening="opening_emergency", announces=True))
    first = protocol.advance(PAIR, interpreting=True, now_s=0.0)
    assert [one.script for one in first] == ["opening_emergency", "announcement"]
    late = protocol.advance([*PAIR, "eva"], interpreting=True, now_s=5.0)
    assert late == [
        Announcement("late_joiner", frozenset({"eva"})),
        Announcement("announcement", frozenset({"eva"})),
    ]


def test_who_leaves_and_comes_back_is_told_again() -> None:
    protocol = Protocol(ProtocolSettings())
    protocol.advance(PAIR, interpreting=True, now_s=0.0)
    protocol.advance(["ana"], interpreting=False, now_s=1.0)
    assert protocol.advance(PAIR, interpreting=True, now_s=2.0) == [
        Announcement("late_joiner", frozenset({"ben"}))
    ]


def test_reminders_come_at_their_interval_and_may_be_off() -> None:
    protocol = Protocol(ProtocolSettings(reminder_s=60.0))
    silent = Protocol(ProtocolSettings(reminder_s=None))
    reminders = 0
    for second in range(200):
        for one in protocol.advance(PAIR, interpreting=True, now_s=float(second)):
            reminders += one.script == "reminder"
        assert second == 0 or silent.advance(PAIR, interpreting=True, now_s=float(second)) == []
        if second == 0:
            silent.advance(PAIR, interpreting=True, now_s=0.0)
    assert reminders == 3


def test_both_sides_hear_that_something_was_not_understood_and_not_too_often() -> None:
    protocol = Protocol(ProtocolSettings())
    first = protocol.unsure(ANA_EN, ["ben"], 0.0)
    assert first == [
        Announcement("ask_repeat", frozenset({"ana"}), polite=True),
        Announcement("listener_told", frozenset({"ben"}), polite=True),
    ]
    assert protocol.unsure(ANA_EN, ["ben"], ASK_AGAIN_S - 0.1) == []
    assert len(protocol.unsure(ANA_EN, ["ben"], ASK_AGAIN_S)) == 2


@pytest.mark.parametrize(("policy", "scripts"), [("tell", ["listener_told"]), ("ignore", [])])
def test_what_is_done_when_unsure_is_the_roles_choice(policy: str, scripts: list[str]) -> None:
    protocol = Protocol(ProtocolSettings(on_unsure=policy))  # type: ignore[arg-type]
    assert [one.script for one in protocol.unsure(ANA_EN, ["ben"], 0.0)] == scripts


def test_a_speaker_is_asked_to_pause_at_most_every_half_minute() -> None:
    protocol = Protocol(ProtocolSettings())
    asked = [bool(protocol.pause_wanted("ana", ["ben"], float(second))) for second in (0, 10, 29, 30, 31)]
    assert asked == [True, False, False, True, False]
    assert protocol.pause_wanted("ben", ["ana"], 31.0) != [], "each speaker for themselves"


def test_the_closing_ends_it() -> None:
    protocol = Protocol(ProtocolSettings())
    assert Protocol(ProtocolSettings()).close(PAIR) == [], "nothing was interpreted"
    protocol.advance(PAIR, interpreting=True, now_s=0.0)
    assert protocol.close(PAIR) == [Announcement("closing", BOTH)]
    assert protocol.close(PAIR) == []
    assert protocol.advance([*PAIR, "eva"], interpreting=True, now_s=1.0) == []


@pytest.mark.parametrize("name", load_library().roles)
def test_every_role_of_the_library_discloses_itself(name: str) -> None:
    role = load_library().find(name)
    settings = protocol_settings(role)
    protocol = Protocol(settings)
    [opening, *_] = protocol.advance(PAIR, interpreting=True, now_s=0.0)
    assert role.scripts["en"][opening.script]
    assert role.scripts["es"][opening.script]
