"""Who changed what, and whether somebody has seen it."""

from __future__ import annotations

from typing import Any

import pytest

from interpreter.commands.commands import Actor, Invocation, invoke
from interpreter.commands.revisions import Revisions, slots_of
from interpreter.commands.table import COMMANDS, Standing

PEOPLE = {"a1": "Ana", "b2": "Ben"}


def by(name: str, command: str, /, **arguments: Any) -> Invocation:
    return invoke(command, arguments, Actor(name=name, standing=Standing.ADMIN, participant_id="a1"), PEOPLE)


@pytest.mark.parametrize(
    ("command", "arguments", "slots"),
    [
        ("mode", {"mode": "captions"}, ("mode",)),
        ("role", {"name": "x"}, ("role", "mode")),
        ("role", {"name": "x", "participant": "Ben"}, ("role/b2",)),
        ("hold", {"direction": "es-MX>en"}, ("held/es>en",)),
        ("release", {"direction": "es>en", "participant": "b2"}, ("held/es>en/b2",)),
        ("swap", {}, ("language",)),
        ("halt", {}, ("status",)),
        ("ask-repeat", {"participant": "b2"}, ()),
        ("note", {"text": "x"}, ()),
    ],
)
def test_what_a_command_changes(command: str, arguments: dict[str, Any], slots: tuple[str, ...]) -> None:
    assert slots_of(by("Eva", command, **arguments)) == slots


def test_only_what_changed_since_is_news_and_only_of_the_same_thing() -> None:
    revisions = Revisions()
    seen = revisions.number
    revisions.note(by("Eva", "mode", mode="captions"))
    revisions.note(by("Max", "duck", gain=-12))
    revisions.note(by("Max", "ask-repeat", participant="b2"))
    assert revisions.number == 2
    newest = revisions.newest(by("Ann", "mode", mode="consecutive"), seen)
    assert newest is not None
    assert (newest.by, newest.revision) == ("Eva", 1)
    assert revisions.newest(by("Ann", "mode", mode="consecutive"), 1) is None
    assert revisions.newest(by("Ann", "voice", name="clara"), seen) is None


def test_a_choice_for_everybody_and_one_for_a_person_concern_each_other() -> None:
    revisions = Revisions()
    revisions.note(by("Eva", "role", name="x", participant="b2"))
    for_all, for_ana = by("Max", "role", name="y"), by("Max", "role", name="y", participant="a1")
    assert revisions.newest(for_all, 0) is not None
    assert revisions.newest(for_ana, 0) is None
    revisions.note(for_all)
    newest = revisions.newest(for_ana, 1)
    assert newest is not None
    assert newest.by == "Max"
    assert revisions.newest(by("Ann", "mode", mode="captions"), 1) is not None, "the role brought its mode"


def test_ids_that_begin_alike_are_two_people() -> None:
    revisions = Revisions()
    people = {"a1": "Ana", "a12": "Eva"}
    actor = Actor(name="Max", standing=Standing.OPERATOR)
    revisions.note(invoke("role", {"name": "x", "participant": "a1"}, actor, people))
    assert revisions.newest(invoke("role", {"name": "y", "participant": "a12"}, actor, people), 0) is None


def test_whatever_silences_is_never_guarded_and_what_undoes_it_is() -> None:
    assert not any(
        COMMANDS[name].guarded for name in ("halt", "pause", "stop", "hold", "mute", "mute-direction")
    )
    assert all(
        COMMANDS[name].guarded for name in ("resume", "start", "release", "unmute", "unmute-direction")
    )
    assert all(spec.changes for spec in COMMANDS.values() if spec.guarded)
