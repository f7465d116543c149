"""What a participant's page is told of the interpretation. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from interpreter.commands.orders import Human, Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorMode
from interpreter.mixing.routing import hears
from interpreter.roles.library import RoleLibrary
from interpreter.sessions.sessions import SessionState
from webrtc.room import DirectionState, DirectionStatus, Lamp, MeetingState, OwnState, RoleChoice, Stored

_DOWN = frozenset({SessionState.DOWN, SessionState.FAILED})
_UNSERVED = frozenset({SessionState.REFUSED, SessionState.FULL})


def lamp_of(orders: Orders, states: Mapping[Direction, SessionState]) -> Lamp:
    """What the interpreter is doing, in one word."""
    if orders.human is Human.TAKEN_OVER:
        return Lamp.HUMAN
    if orders.closed or not states:
        return Lamp.IDLE
    if orders.silenced:
        return Lamp.PAUSED
    if all(state in _DOWN for state in states.values()):
        return Lamp.DOWN
    if (orders.cast.mode or orders.cast.role.mode) == "captions":
        return Lamp.CAPTIONS
    return Lamp.INTERPRETING


def direction_status(
    direction: Direction, state: SessionState, orders: Orders, mode: FloorMode, *, held: bool
) -> DirectionStatus:
    """What becomes of one direction.

    Args:
        direction: which.
        state: of its session.
        orders: as they stand.
        mode: in effect on its floor.
        held: something waits there for its turn.
    """
    if state in _UNSERVED:
        return DirectionStatus.UNSERVED
    if state in _DOWN:
        return DirectionStatus.DOWN
    if orders.silenced:
        return DirectionStatus.PAUSED
    if mode is FloorMode.CAPTIONS or not orders.voices(direction):
        return DirectionStatus.CAPTIONS
    if held or orders.holds(direction):
        return DirectionStatus.HELD
    return DirectionStatus.LIVE


def role_choices(library: RoleLibrary) -> tuple[RoleChoice, ...]:
    """The roles that hosts may choose, in the library's order."""
    return tuple(
        RoleChoice(name=role.name, titles=role.title, voice=role.voice) for role in library.roles.values()
    )


def page_state(
    participant_id: str,
    language: str | None,
    orders: Orders,
    states: Mapping[Direction, SessionState],
    statuses: Mapping[Direction, DirectionStatus],
    *,
    checksum: str,
    stored: Collection[Stored],
    choices: tuple[RoleChoice, ...] = (),
) -> MeetingState:
    """The state of the meeting as one participant is shown it.

    Args:
        participant_id: who.
        language: their primary language, None where unknown.
        orders: as they stand.
        states: of the session of every needed direction.
        statuses: of the same directions.
        checksum: of the interpreter that speaks.
        stored: what is kept of the meeting.
        choices: what they may have the interpreter be.
    """
    concerned = [
        direction
        for direction in states
        if direction.speaker_id == participant_id or hears(participant_id, language, direction)
    ]
    return MeetingState(
        lamp=lamp_of(orders, states),
        mode=orders.cast.mode or orders.cast.role.mode,
        role=orders.cast.role.name,
        role_checksum=checksum,
        stored=tuple(one for one in Stored if one in stored),
        own=OwnState(
            opted_out=participant_id in orders.opted_out,
            stopped=participant_id in orders.stopped,
            original_only=participant_id in orders.original_only,
            balance=orders.balances.get(participant_id, 1.0),
            captions=participant_id not in orders.captions_off,
            language=orders.languages.get(participant_id, ""),
        ),
        directions=tuple(
            DirectionState(
                speaker_id=direction.speaker_id,
                language=direction.language_out,
                status=DirectionStatus.STOPPED if participant_id in orders.stopped else statuses[direction],
            )
            for direction in concerned
        ),
        opted_out=frozenset(orders.opted_out),
        human_asked=orders.human is not Human.NOT_ASKED,
        human_present=orders.human is Human.TAKEN_OVER,
        paused=orders.silenced,
        closed=orders.closed,
        choices=choices,
    )
