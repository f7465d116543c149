"""What a restarted interpreter takes up again, and what of it never stands in a file."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.commands.memory import MAX_PEOPLE, Memory, OfPerson, memory_from_json
from interpreter.commands.memory_file import MemoryFile, memory_path
from interpreter.commands.orders import Held, Human, Orders
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library

LIBRARY = load_library()
ROLE, OTHER = LIBRARY.find("meeting-simultaneous"), LIBRARY.find("medical-consecutive")
SALT = bytes(range(16))
NAMES = {"a1": "Ana López", "b2": "Ben"}


def orders() -> Orders:
    return Orders(cast=Cast(role=ROLE))


def chosen() -> Orders:
    """Orders with something in everything that is remembered."""
    made = Orders(
        cast=Cast(role=OTHER, roles={"a1": ROLE}, voice="clara", voices={"b2": "david"}, mode="captions"),
        paused=True,
        halted=True,
        human=Human.ASKED,
        duck_db=-20.0,
        opted_out={"a1"},
        muted={"b2"},
        stopped={"b2"},
        languages={"b2": "fr"},
    )
    made.held = {Held("es", "en"), Held("en", "es", "a1")}
    made.unvoiced = {Held("en", "es")}
    return made


def remembered() -> Memory:
    memory = Memory(salt=SALT)
    memory.take(chosen(), NAMES)
    return memory_from_json(memory.to_json())


def test_what_was_chosen_comes_back() -> None:
    memory, new = remembered(), orders()
    memory.restore(new, LIBRARY)
    for who, name in (
        ("x7", "Ben"),
        ("x8", "ana lopez"),
        ("x9", "Eva"),
    ):  # new ids, and a name typed otherwise
        memory.restore_person(new, who, name, LIBRARY)
    assert new.cast == Cast(
        role=OTHER, roles={"x8": ROLE}, voice="clara", voices={"x7": "david"}, mode="captions"
    )
    assert (new.paused, new.halted, new.human, new.duck_db) == (True, True, Human.ASKED, -20.0)
    assert (new.opted_out, new.muted, new.stopped) == ({"x8"}, {"x7"}, {"x7"})
    assert new.languages == {"x7": "fr"}
    assert new.held == {Held("es", "en")}, "what was held of one person alone was held of another id"
    assert new.unvoiced == {Held("en", "es")}


def test_no_name_and_no_id_stands_in_it() -> None:
    text = remembered().to_json()
    for word in ("ana", "lópez", "lopez", "ben"):
        assert word not in text.lower()
    assert not {"a1", "b2"} & set(json.loads(text)["people"])
    assert set(json.loads(text)) == {"version", "salt", "meeting", "people"}


def test_whoever_left_is_remembered_and_whoever_opts_in_is_not_opted_out() -> None:
    memory, now = Memory(salt=SALT), orders()
    now.opted_out = {"a1"}
    memory.take(now, NAMES)
    memory.take(orders(), {"b2": "Ben"})
    assert memory.of("Ana López").opted_out, "she may come back"
    memory.take(orders(), NAMES)
    assert memory.of("Ana López") == OfPerson()


def test_of_two_people_of_one_name_both_are_as_protected_as_one() -> None:
    memory, now = Memory(salt=SALT), orders()
    now.opted_out = {"b2"}
    memory.take(now, {"a1": "Ana", "b2": "ANA ", "c3": "ana"})
    assert memory.of("Ana").opted_out


def test_a_role_or_mode_that_is_no_more_is_left_out() -> None:
    memory = remembered()
    record = json.loads(memory.to_json())
    record["meeting"] |= {"role": "gone", "mode": "telepathy"}
    new = orders()
    memory_from_json(json.dumps(record)).restore(new, LIBRARY)
    assert (new.cast.role, new.cast.mode) == (ROLE, None)


def test_people_are_forgotten_at_last() -> None:
    memory, now = Memory(salt=SALT), orders()
    for number in range(MAX_PEOPLE + 50):
        memory.take(now, {"x": f"Person {number}"})
    assert len(memory.people) <= MAX_PEOPLE + 1
    memory.take(now, NAMES)
    memory_from_json(memory.to_json())


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["version", "salt", "meeting", "people", "meeting.held", "meeting.human", "people.x"]),
    json_values,
)
def test_a_file_that_is_none_is_refused_in_words(where: str, value: object) -> None:
    record = json.loads(remembered().to_json())
    *outer, last = where.split(".")
    target = record
    for key in outer:
        target = target[key]
    target[last] = value
    try:
        memory = memory_from_json(json.dumps(record))
    except ValueError:
        return
    new = orders()
    memory.restore(new, LIBRARY)
    memory.restore_person(new, "a", "Ana", LIBRARY)


def test_a_file_is_kept_for_its_owner_and_read_while_it_is_young(tmp_path: Path) -> None:
    file = MemoryFile(memory_path(tmp_path / "state", "Clinic"), max_age_s=60.0)
    assert "Clinic" not in str(file.path)
    fresh = file.load(0.0)
    assert (fresh.people, len(fresh.salt)) == ({}, 16)
    memory = Memory(salt=SALT)
    memory.take(chosen(), NAMES)
    file.save(memory.to_json())
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    saved_s = file.path.stat().st_mtime
    assert file.load(saved_s + 59.0).of("Ben").muted
    assert file.load(saved_s + 61.0).people == {}, "another meeting in the same room"
    file.save(None)
    assert not file.path.exists()
    file.save(None)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[]", '{"version": 2}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_file_that_cannot_be_used_stops_nothing(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert MemoryFile(path, max_age_s=1e9).load(os.stat(path).st_mtime).people == {}


def test_a_disk_that_fails_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    MemoryFile(tmp_path / "file" / "x.json", max_age_s=1.0).save("{}")
