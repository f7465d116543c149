"""A meeting as it stands, for whoever runs it. Pure values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from interpreter.commands.arguments import LanguagePair
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorMode
from interpreter.roles.role import Role
from interpreter.sessions.sessions import SessionState
from interpreter.watches.glossary import Term
from webrtc.room import DirectionStatus


@dataclass(frozen=True, kw_only=True)
class PersonView:
    """Somebody in the meeting, with what was chosen for them and what is in effect."""

    name: str
    language: str | None
    """Primary, in effect."""

    language_wanted: str | None
    role: str
    """In effect in their directions; empty where there are none."""

    role_wanted: str
    voice: str
    """In effect in their directions; empty where there are none, or the checkpoint has no choice."""

    voice_wanted: str
    leads: bool
    isolated: bool
    transcribed: bool
    """What they say is being written down."""


@dataclass(frozen=True, kw_only=True)
class DirectionView:
    """A direction that somebody needs."""

    state: SessionState
    status: DirectionStatus
    engine: str
    """Empty where none serves it."""

    role: str
    voice: str
    mode: FloorMode | None
    """In effect on its floor; None without one."""

    checksum: str
    pending: bool
    """Another role, voice or mode waits for a silence."""

    waiting_s: float


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One meeting."""

    revision: int
    role: Role
    orders: Orders
    """As they stand: to be read, and not kept, since they change."""

    people: Mapping[str, PersonView]
    directions: Mapping[Direction, DirectionView]
    checksum: str
    opened: bool
    """The opening notice was given."""

    reading: Collection[str]
    """Who is being read something."""

    misheard: Collection[Direction]
    terms: tuple[tuple[LanguagePair, Term], ...]
    """Added during the meeting."""

    duck_db: float
    standing_by: bool
    """Another interpreter is at work here."""
