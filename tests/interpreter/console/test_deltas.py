"""Deltas: what a page makes of them is what there is, and what did not change is not sent."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.console.deltas import Append, Remove, Set, difference, op_to_json, to_json
from interpreter.console.snapshot import (
    Choice,
    Disclosure,
    Lamp,
    Mark,
    Note,
    Notes,
    Person,
    Piece,
    RoleInEffect,
    RoomState,
)
from tests.interpreter.console.console_stage import apply_ops

PERSON = Person(
    name="Ana",
    language="es",
    language_wanted="es",
    role=Choice(applied="x", wanted="x"),
    voice=Choice(applied="", wanted=""),
)
ROOM = RoomState(
    name="Clinic",
    transport="hosted",
    listening="per-listener",
    revision=0,
    lamp=Lamp.STANDBY,
    reason="alone",
    opened_at=1.0,
    role=RoleInEffect(name="x", titles={"en": "X"}, version=1, checksum=""),
    mode=Choice(applied="", wanted="simultaneous"),
    disclosure=Disclosure(opened=False),
    people={"a1": PERSON},
)


def piece(n: int) -> Piece:
    return Piece(n=n, at_s=n / 2, text=f" w{n}", utterance=0)


def sent(old: Any, new: Any) -> list[dict[str, Any]]:
    """The operations as a page gets them."""
    ops: list[dict[str, Any]] = json.loads(json.dumps([op_to_json(op) for op in difference(old, new)]))
    return ops


def test_what_is_the_same_is_not_sent() -> None:
    assert list(difference(ROOM, ROOM)) == []
    assert list(difference(ROOM, replace(ROOM, people={"a1": replace(PERSON)}))) == []


def test_only_the_member_that_changed_is_sent() -> None:
    new = replace(
        ROOM, lamp=Lamp.ON_AIR, people={"a1": replace(PERSON, role=Choice(applied="x", wanted="y"))}
    )
    assert list(difference(ROOM, new)) == [
        Set(("lamp",), Lamp.ON_AIR),
        Set(("people", "a1", "role", "wanted"), "y"),
    ]
    assert sent(ROOM, new)[0] == {"op": "set", "path": ["lamp"], "value": "on_air"}


def test_who_comes_is_set_and_who_goes_is_removed() -> None:
    new = replace(ROOM, people={"b2": PERSON})
    assert list(difference(ROOM, new)) == [Remove(("people", "a1")), Set(("people", "b2"), PERSON)]


@pytest.mark.parametrize(
    ("old", "new", "ops"),
    [
        ((), (0, 1), [Append(("heard",), (piece(0), piece(1)))]),
        ((0, 1), (0, 1, 2), [Append(("heard",), (piece(2),))]),
        ((0, 1, 2), (2, 3), [Append(("heard",), (piece(3),), drop=2)]),
        ((0, 1), (1,), [Append(("heard",), (), drop=1)]),
        ((0, 1), (), [Append(("heard",), (), drop=2)]),
        ((0, 1), (5, 6), [Append(("heard",), (piece(5), piece(6)), drop=2)]),
        ((5, 6), (0, 1), [Set(("heard",), (piece(0), piece(1)))]),
        ((), (), []),
    ],
)
def test_lists_grow_at_their_end_and_are_forgotten_from_their_start(
    old: tuple[int, ...], new: tuple[int, ...], ops: list[Any]
) -> None:
    before = replace(PERSON, heard=tuple(map(piece, old)))
    after = replace(PERSON, heard=tuple(map(piece, new)))
    found = list(difference(before, after))
    assert [replace(op, values=tuple(op.values)) if isinstance(op, Append) else op for op in found] == ops


def test_other_tuples_are_one_value() -> None:
    new = replace(ROOM, languages=("en", "es"))
    assert list(difference(ROOM, new)) == [Set(("languages",), ("en", "es"))]


def test_another_kind_of_value_replaces_the_whole() -> None:
    assert list(difference(Notes(), ROOM)) == [Set((), ROOM)]
    assert apply_ops({"notes": []}, sent(Notes(), ROOM)) == to_json(ROOM)


words = st.text(alphabet="ab<>&\u202e\ud800é", max_size=3)
windows = st.tuples(st.integers(0, 6), st.integers(0, 6)).map(lambda ends: tuple(range(min(ends), max(ends))))
people = st.builds(
    replace,
    st.just(PERSON),
    name=words,
    speaking=st.booleans(),
    role=st.builds(Choice, applied=words, wanted=words),
    heard=windows.map(lambda numbers: tuple(map(piece, numbers))),
)
rooms = st.builds(
    replace,
    st.just(ROOM),
    lamp=st.sampled_from(Lamp),
    revision=st.integers(0, 3),
    languages=st.lists(words, max_size=2).map(tuple),
    people=st.dictionaries(st.sampled_from(["a1", "b2", "c3"]), people, max_size=3),
    timeline=windows.map(lambda ns: tuple(Mark(n=n, at_s=float(n), lane="a1", event="begin") for n in ns)),
)


@given(rooms, rooms)
def test_a_page_that_follows_sees_what_there_is(old: RoomState, new: RoomState) -> None:
    state = json.loads(json.dumps(to_json(old)))
    assert apply_ops(state, sent(old, new)) == json.loads(json.dumps(to_json(new)))


def test_notes_are_lists_too() -> None:
    note = Note(n=0, at=1.0, by="Eva", text="x")
    assert sent(Notes(), Notes(notes=(note,))) == [
        {
            "op": "append",
            "path": ["notes"],
            "drop": 0,
            "values": [{"n": 0, "at": 1.0, "by": "Eva", "text": "x"}],
        }
    ]
