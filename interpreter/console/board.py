"""Puts together what an operator sees of a room, from the meeting as it stands and what went on in it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from interpreter.commands.orders import Human
from interpreter.console.ledger import Ledger, key_of
from interpreter.console.snapshot import (
    Alert,
    Choice,
    DirectionState,
    Disclosure,
    Lamp,
    Person,
    RoleInEffect,
    RoomState,
    RoomSummary,
    TermState,
)
from interpreter.directions import Direction
from interpreter.interpretation.overview import DirectionView, Overview, PersonView
from interpreter.sessions.sessions import SessionState
from webrtc.room import DirectionStatus, Listening, Stored

MISMATCH_S = 60.0
"""How long a mismatch is an alert."""

BEHIND_S = 8.0
"""Sound that waits, of which an operator should know."""

LEVELS = ("info", "warning", "alert")
"""Of alerts, the least urgent first."""

WORST_FIRST = ("down", "unserved", "held", "paused", "stopped", "captions", "live")
"""Statuses of directions."""

_SESSION_ALERTS: Mapping[SessionState, tuple[str, str]] = {
    SessionState.DOWN: ("direction-down", "alert"),
    SessionState.FAILED: ("direction-down", "alert"),
    SessionState.FULL: ("direction-full", "warning"),
    SessionState.REFUSED: ("direction-unserved", "warning"),
}


@dataclass(frozen=True, kw_only=True)
class About:
    """What does not change about a room."""

    name: str
    transport: str
    listening: Listening
    stored: Collection[Stored]


class Board:
    """What is shown of one room; remembers since when an alert lasts.

    Args:
        about: the room.
        ledger: of its meeting.
    """

    def __init__(self, about: About, ledger: Ledger) -> None:
        self._about = about
        self._ledger = ledger
        self._since_at: dict[str, float] = {}

    def room(
        self, view: Overview, speaking: Collection[str], microphones_off: Collection[str], now_at: float
    ) -> RoomState:
        """The room in full.

        Args:
            view: of the meeting.
            speaking: ids of those whose voice is active.
            microphones_off: ids of those who switched theirs off.
            now_at: Unix seconds.
        """
        ledger, orders = self._ledger, view.orders
        ledger.keep(view.people, view.directions)
        ledger.forget_old()
        lamp, reason = lamp_of(view)
        script, script_at_s = ledger.last_disclosure or ("", None)
        people = {
            who: self._person(who, one, view, who in speaking, who in microphones_off)
            for who, one in view.people.items()
        }
        role = view.role
        return RoomState(
            name=self._about.name,
            transport=self._about.transport,
            listening=self._about.listening.value,
            revision=view.revision,
            lamp=lamp,
            reason=reason,
            opened_at=round(ledger.opened_at, 1),
            role=RoleInEffect(
                name=role.name, titles=role.title, version=role.version, checksum=view.checksum
            ),
            mode=Choice(applied=_one_mode(view.directions.values()), wanted=orders.cast.mode or role.mode),
            disclosure=Disclosure(
                opened=view.opened,
                label=role.disclosure.label,
                reading=tuple(sorted(view.reading)),
                given=ledger.disclosures,
                last=script,
                last_at_s=script_at_s,
                stored=tuple(one.value for one in Stored if one in self._about.stored),
            ),
            paused=orders.paused,
            halted=orders.halted,
            closed=orders.closed,
            human=orders.human.name.lower(),
            duck_db=view.duck_db,
            priority=role.policies.priority if orders.priority is None else orders.priority,
            languages=tuple(sorted({one.language for one in view.people.values() if one.language})),
            people=people,
            directions={key_of(d): self._direction(d, one, view) for d, one in view.directions.items()},
            alerts=self._alerts(view, now_at),
            facts=ledger.facts,
            glossary=tuple(
                TermState(
                    n=n,
                    language_in=pair.language_in,
                    language_out=pair.language_out,
                    term=term.heard,
                    translation=term.spoken,
                )
                for n, (pair, term) in enumerate(view.terms)
            ),
            log=ledger.log,
            timeline=ledger.timeline,
        )

    def summary(self, view: Overview, speaking: Collection[str], now_at: float) -> RoomSummary:
        """The room in short."""
        lamp, reason = lamp_of(view)
        alerts = self._alerts(view, now_at)
        pairs: dict[str, str] = {}
        for direction, one in view.directions.items():
            pair = f"{direction.language_in}>{direction.language_out}"
            statuses = (one.status.value, pairs.get(pair, WORST_FIRST[-1]))
            pairs[pair] = min(statuses, key=WORST_FIRST.index)
        return RoomSummary(
            name=self._about.name,
            transport=self._about.transport,
            lamp=lamp,
            reason=reason,
            opened_at=round(self._ledger.opened_at, 1),
            people=len(view.people),
            speaking=len(set(speaking) & view.people.keys()),
            role=view.role.name,
            mode=view.orders.cast.mode or view.role.mode,
            human=view.orders.human.name.lower(),
            directions=pairs,
            alerts=len(alerts),
            worst=max((one.level for one in alerts.values()), key=LEVELS.index, default=""),
        )

    def _person(
        self, who: str, one: PersonView, view: Overview, speaking: bool, microphone_off: bool
    ) -> Person:
        orders = view.orders
        return Person(
            name=one.name,
            language=one.language or "",
            language_wanted=one.language_wanted or "",
            role=Choice(applied=one.role, wanted=one.role_wanted),
            voice=Choice(applied=one.voice, wanted=one.voice_wanted),
            leads=one.leads,
            speaking=speaking,
            microphone_off=microphone_off,
            opted_out=who in orders.opted_out,
            muted=who in orders.muted,
            stopped=who in orders.stopped,
            isolated=one.isolated,
            original_only=who in orders.original_only,
            captions=who not in orders.captions_off,
            transcribed=one.transcribed,
            heard=self._ledger.heard_of(who),
        )

    def _direction(self, direction: Direction, one: DirectionView, view: Overview) -> DirectionState:
        rendering = self._ledger.rendering(direction)
        orders = view.orders
        return DirectionState(
            speaker=direction.speaker_id,
            language_in=direction.language_in,
            language_out=direction.language_out,
            status=one.status.value,
            session=one.state.value,
            engine=one.engine,
            mode="" if one.mode is None else one.mode.value,
            role=one.role,
            voice=one.voice,
            checksum=one.checksum,
            pending=one.pending,
            held=orders.holds(direction),
            muted=any(unvoiced.covers(direction) for unvoiced in orders.unvoiced),
            waiting_s=round(one.waiting_s, 1),
            span=rendering.spans.span,
            interpreted_s=round(rendering.interpreted_s),
            spoken=rendering.words.pieces,
        )

    def _alerts(self, view: Overview, now_at: float) -> dict[str, Alert]:
        found = {
            f"{code}/{about}" if about else code: (level, code, about)
            for level, code, about in self._found(view, now_at)
        }
        self._since_at = {key: self._since_at.get(key, round(now_at, 1)) for key in found}
        return {
            key: Alert(level=level, code=code, about=about, since_at=self._since_at[key])
            for key, (level, code, about) in found.items()
        }

    def _found(self, view: Overview, now_at: float) -> Iterator[tuple[str, str, str]]:
        """Level, code, and what it is about."""
        if view.orders.human is Human.ASKED:
            yield "alert", "human-asked", ""
        if view.standing_by:
            yield "warning", "another-interpreter", ""
        for who, person in view.people.items():
            if person.isolated:
                yield "alert", "person-isolated", who
            if person.language is None:
                yield "warning", "unknown-language", who
        for direction, one in view.directions.items():
            key = key_of(direction)
            if one.state in _SESSION_ALERTS:
                code, level = _SESSION_ALERTS[one.state]
                yield level, code, key
            if one.waiting_s > BEHIND_S:
                yield "warning", "behind", key
            if direction in view.misheard:
                yield "warning", "misheard", key
            if now_at - self._ledger.mismatched_at.get(direction, float("-inf")) < MISMATCH_S:
                yield "alert", "fact-mismatch", key


def lamp_of(view: Overview) -> tuple[Lamp, str]:
    """The lamp, and why it shows that where it does not say so itself."""
    orders = view.orders
    if orders.human is Human.TAKEN_OVER:
        return Lamp.HUMAN, "taken_over"
    if orders.closed:
        return Lamp.OFF, "closed"
    if orders.halted:
        return Lamp.OFF, "halted"
    if orders.paused:
        return Lamp.HELD, "paused"
    if view.standing_by:
        return Lamp.STANDBY, "another"
    return _lamp_of_directions(view)


def _lamp_of_directions(view: Overview) -> tuple[Lamp, str]:
    directions = list(view.directions.values())
    if not directions:
        everybody_stopped = bool(view.people) and view.orders.stopped >= view.people.keys()
        return Lamp.STANDBY, "stopped" if everybody_stopped else "alone"
    states = {one.state for one in directions}
    if states <= {SessionState.DOWN, SessionState.FAILED}:
        return Lamp.OFF, "down"
    if states <= {SessionState.REFUSED, SessionState.FULL}:
        return Lamp.OFF, "unserved"
    if SessionState.OPEN not in states:
        return Lamp.STANDBY, "opening"
    if all(view.orders.holds(direction) for direction in view.directions):
        return Lamp.HELD, "held"
    written = all(
        one.status is DirectionStatus.CAPTIONS for one in directions if one.state is SessionState.OPEN
    )
    return Lamp.ON_AIR, "captions" if written else ""


def _one_mode(directions: Collection[DirectionView]) -> str:
    modes = {one.mode.value for one in directions if one.mode is not None}
    return modes.pop() if len(modes) == 1 else ""
