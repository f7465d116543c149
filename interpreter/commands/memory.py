"""What a restarted interpreter takes up again of a meeting: choices, and who opted out. Pure; nothing that was said.

    {"version": 1, "salt": "...", "meeting": {"mode": "consecutive", ...}, "people": {"6f1e...": {"opted_out": true}}}

People get new ids when their pages come back, so they are known by their names, of which only a salted hash is kept.
Who calls themselves like somebody who opted out is opted out before anything of theirs is heard, and may opt in again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_args

from interpreter.commands.orders import Held, Human, Orders
from interpreter.people import person_key
from interpreter.roles.casting import Cast
from interpreter.roles.library import RoleLibrary
from interpreter.roles.role import RoleMode

VERSION = 1
MAX_PEOPLE = 1_000
SALT_BYTES = 16
_MARK_CHARACTERS = 32
_LONGEST = 64


@dataclass(frozen=True, kw_only=True)
class OfPerson:
    """What is remembered of somebody."""

    opted_out: bool = False
    muted: bool = False
    stopped: bool = False
    role: str = ""
    """Empty where none was chosen for them alone, as are the following."""

    voice: str = ""
    language: str = ""


@dataclass(frozen=True, kw_only=True)
class OfMeeting:
    """What is remembered of all of them."""

    role: str = ""
    voice: str = ""
    mode: str = ""
    paused: bool = False
    halted: bool = False
    human: str = Human.NOT_ASKED.value
    duck_db: float | None = None
    held: tuple[str, ...] = ()
    """Directions such as `es>en` that are held whoever speaks."""

    unvoiced: tuple[str, ...] = ()


@dataclass(eq=False)
class Memory:
    """What one meeting remembers.

    Args:
        salt: of the hashes of people's names.
        meeting: left by a former process.
        people: mark -> likewise.
    """

    salt: bytes = field(repr=False)
    meeting: OfMeeting = field(default_factory=OfMeeting)
    people: dict[str, OfPerson] = field(default_factory=dict)
    over: bool = False
    """The meeting was ended for good: there is nothing to take up again."""

    def of(self, name: str) -> OfPerson:
        """What is remembered of whoever calls themselves so."""
        return self.people.get(self._mark(name), OfPerson())

    def take(self, orders: Orders, names: Mapping[str, str]) -> None:
        """Remembers the orders as they stand.

        Args:
            orders: of the meeting.
            names: participant id -> name; of two of one name, what protects one of them holds for both.
        """
        self.meeting = _meeting_of(orders)
        now: dict[str, OfPerson] = {}
        for who, name in names.items():
            mark, one = self._mark(name), _person_of(orders, who)
            twin = now.get(mark)
            now[mark] = one if twin is None else _careful(one, twin)
        self.people |= now
        for gone in [mark for mark in self.people if mark not in now][
            : max(0, len(self.people) - MAX_PEOPLE)
        ]:
            del self.people[gone]

    def restore(self, orders: Orders, library: RoleLibrary) -> None:
        """Puts what was chosen for the meeting into the orders of a new one."""
        past = self.meeting
        role = library.roles.get(past.role, orders.cast.role)
        mode: Any = past.mode if past.mode in get_args(RoleMode) else None
        orders.cast = replace(orders.cast, role=role, voice=past.voice or orders.cast.voice, mode=mode)
        orders.paused, orders.halted = past.paused, past.halted
        orders.human = Human(past.human)
        if past.duck_db is not None:
            orders.duck_db = past.duck_db
        orders.held |= set(map(_direction, past.held))
        orders.unvoiced |= set(map(_direction, past.unvoiced))

    def restore_person(self, orders: Orders, who: str, name: str, library: RoleLibrary) -> None:
        """Puts what is remembered of somebody into the orders, before anything of them is heard."""
        past = self.of(name)
        for people, holds in (
            (orders.opted_out, past.opted_out),
            (orders.muted, past.muted),
            (orders.stopped, past.stopped),
        ):
            if holds:
                people.add(who)
        cast: Cast = orders.cast
        if past.role in library.roles:
            cast = replace(cast, roles={**cast.roles, who: library.roles[past.role]})
        if past.voice:
            cast = replace(cast, voices={**cast.voices, who: past.voice})
        orders.cast = cast
        if past.language:
            orders.languages[who] = past.language

    def to_json(self) -> str:
        """As a file's text."""
        record = {
            "version": VERSION,
            "salt": self.salt.hex(),
            "meeting": _chosen(self.meeting),
            "people": {mark: chosen for mark, one in self.people.items() if (chosen := _chosen(one))},
        }
        return json.dumps(record, indent=1, sort_keys=True)

    def _mark(self, name: str) -> str:
        text = self.salt + person_key(name).encode(errors="replace")
        return hashlib.sha256(text).hexdigest()[:_MARK_CHARACTERS]


def memory_from_json(text: str) -> Memory:
    """The memory in a file's text.

    Raises:
        ValueError: it is none.
    """
    record = json.loads(text)
    if not isinstance(record, dict) or record.get("version") != VERSION:
        raise ValueError(f"expected a memory of version {VERSION}")
    salt = bytes.fromhex(_text(record.get("salt"), 2 * SALT_BYTES))
    people = record.get("people")
    if not isinstance(people, dict) or len(people) > MAX_PEOPLE or len(salt) != SALT_BYTES:
        raise ValueError(f"expected a salt and at most {MAX_PEOPLE} people")
    meeting = _read(OfMeeting, record.get("meeting"))
    Human(meeting.human)
    for pair in (*meeting.held, *meeting.unvoiced):
        _direction(pair)
    return Memory(
        salt=salt, meeting=meeting, people={_text(mark): _read(OfPerson, one) for mark, one in people.items()}
    )


def _meeting_of(orders: Orders) -> OfMeeting:
    cast = orders.cast
    return OfMeeting(
        role=cast.role.name,
        voice=cast.voice,
        mode=cast.mode or "",
        paused=orders.paused,
        halted=orders.halted,
        human=orders.human.value,
        duck_db=orders.duck_db,
        held=_for_everybody(orders.held),
        unvoiced=_for_everybody(orders.unvoiced),
    )


def _person_of(orders: Orders, who: str) -> OfPerson:
    role = orders.cast.roles.get(who)
    return OfPerson(
        opted_out=who in orders.opted_out,
        muted=who in orders.muted,
        stopped=who in orders.stopped,
        role="" if role is None else role.name,
        voice=orders.cast.voices.get(who, ""),
        language=orders.languages.get(who, ""),
    )


def _careful(one: OfPerson, twin: OfPerson) -> OfPerson:
    return replace(
        one,
        opted_out=one.opted_out or twin.opted_out,
        muted=one.muted or twin.muted,
        stopped=one.stopped or twin.stopped,
    )


def _for_everybody(directions: set[Held]) -> tuple[str, ...]:
    return tuple(
        sorted(f"{one.language_in}>{one.language_out}" for one in directions if one.speaker_id is None)
    )


def _direction(text: str) -> Held:
    heard, arrow, said = text.partition(">")
    if not (heard and arrow and said):
        raise ValueError("expected a direction such as es>en")
    return Held(heard, said)


def _chosen(one: OfMeeting | OfPerson) -> dict[str, Any]:
    """What is another than the default."""
    default = type(one)()
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name in (member.name for member in fields(one))
        if (value := getattr(one, name)) != getattr(default, name)
    }


def _read(kind: Any, record: object) -> Any:
    """An `OfMeeting` or `OfPerson` from JSON: known members of the right types, short texts."""
    if not isinstance(record, dict):
        raise ValueError("expected an object")
    default = kind()
    known = {member.name for member in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in record.items():
        if name not in known:
            raise ValueError("expected known members only")
        values[name] = _like(getattr(default, name), value)
    return kind(**values)


def _like(default: object, value: object) -> object:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value
    if isinstance(default, str):
        return _text(value)
    if isinstance(default, tuple):
        if not isinstance(value, list) or len(value) > MAX_PEOPLE:
            raise ValueError("expected a list")
        return tuple(map(_text, value))
    if isinstance(value, bool) or not isinstance(value, int | float) or not -60.0 <= value <= 0.0:
        raise ValueError("expected a gain from -60 to 0 dB")
    return float(value)


def _text(value: object, longest: int = _LONGEST) -> str:
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(f"expected a text of at most {longest} characters")
    return value
