"""What a page is told of the interpretation."""

from __future__ import annotations

import pytest

from interpreter.commands.orders import Held, Human, Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorMode
from interpreter.interpretation.page_state import direction_status, lamp_of, page_state
from interpreter.roles.casting import Cast
from interpreter.roles.library import load_library
from interpreter.sessions.sessions import SessionState
from webrtc.room import DirectionStatus, Lamp, OwnState, Stored

LIBRARY = load_library()
ANA_EN, BEN_ES = Direction("ana", "es", "en"), Direction("ben", "en", "es")
OPEN = {ANA_EN: SessionState.OPEN, BEN_ES: SessionState.OPEN}


def orders(role: str = "meeting-simultaneous", **changes: object) -> Orders:
    made = Orders(cast=Cast(role=LIBRARY.find(role)))
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("changes", "states", "lamp"),
    [
        ({}, OPEN, Lamp.INTERPRETING),
        ({}, {}, Lamp.IDLE),
        ({"closed": True}, OPEN, Lamp.IDLE),
        ({"paused": True}, OPEN, Lamp.PAUSED),
        ({"paused": True}, {}, Lamp.IDLE),
        ({"role": "captions-only"}, OPEN, Lamp.CAPTIONS),
        ({"human": Human.ASKED}, OPEN, Lamp.INTERPRETING),
        ({"human": Human.TAKEN_OVER}, OPEN, Lamp.HUMAN),
        ({"human": Human.TAKEN_OVER, "paused": True}, {}, Lamp.HUMAN),
        ({}, {ANA_EN: SessionState.DOWN, BEN_ES: SessionState.FAILED}, Lamp.DOWN),
        ({}, {ANA_EN: SessionState.DOWN, BEN_ES: SessionState.OPEN}, Lamp.INTERPRETING),
    ],
)
def test_the_lamp_says_what_the_interpreter_does(
    changes: dict[str, object], states: dict[Direction, SessionState], lamp: Lamp
) -> None:
    assert lamp_of(orders(**changes), states) is lamp  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "changes", "mode", "held", "status"),
    [
        (SessionState.OPEN, {}, FloorMode.SIMULTANEOUS, False, DirectionStatus.LIVE),
        (SessionState.OPEN, {}, FloorMode.CONSECUTIVE, True, DirectionStatus.HELD),
        (
            SessionState.OPEN,
            {"held": {Held("es", "en")}},
            FloorMode.SIMULTANEOUS,
            False,
            DirectionStatus.HELD,
        ),
        (SessionState.OPEN, {}, FloorMode.CAPTIONS, False, DirectionStatus.CAPTIONS),
        (
            SessionState.OPEN,
            {"human": Human.TAKEN_OVER},
            FloorMode.SIMULTANEOUS,
            True,
            DirectionStatus.CAPTIONS,
        ),
        (SessionState.OPEN, {"paused": True}, FloorMode.SIMULTANEOUS, True, DirectionStatus.PAUSED),
        (SessionState.REFUSED, {"paused": True}, FloorMode.SIMULTANEOUS, False, DirectionStatus.UNSERVED),
        (SessionState.FULL, {}, FloorMode.SIMULTANEOUS, False, DirectionStatus.UNSERVED),
        (SessionState.DOWN, {"paused": True}, FloorMode.SIMULTANEOUS, False, DirectionStatus.DOWN),
        (SessionState.FAILED, {}, FloorMode.CAPTIONS, False, DirectionStatus.DOWN),
    ],
)
def test_the_status_says_what_becomes_of_a_direction(
    state: SessionState, changes: dict[str, object], mode: FloorMode, held: bool, status: DirectionStatus
) -> None:
    assert direction_status(ANA_EN, state, orders(**changes), mode, held=held) is status  # type: ignore[arg-type]


def test_everybody_is_told_of_themselves_and_of_the_directions_that_concern_them() -> None:
    standing = orders(
        opted_out={"cat"},
        stopped={"ben"},
        original_only={"ana"},
        captions_off={"ana"},
        balances={"ana": 0.25},
        languages={"ana": "es"},
        human=Human.ASKED,
    )
    states = {ANA_EN: SessionState.OPEN, Direction("cat", "fr", "de"): SessionState.OPEN}
    statuses = dict.fromkeys(states, DirectionStatus.LIVE)
    told = {
        who: page_state(
            who,
            language,
            standing,
            states,
            statuses,
            checksum="abc",
            stored={Stored.AUDIT, Stored.TRANSCRIPT},
        )
        for who, language in (("ana", "es"), ("ben", "en"), ("cat", "fr"))
    }
    assert told["ana"].own == OwnState(original_only=True, balance=0.25, captions=False, language="es")
    assert told["ben"].own == OwnState(stopped=True)
    assert told["cat"].own == OwnState(opted_out=True)
    assert {who: [one.speaker_id for one in state.directions] for who, state in told.items()} == {
        "ana": ["ana"],
        "ben": ["ana"],
        "cat": ["cat"],
    }
    assert told["ana"].directions[0].status is DirectionStatus.LIVE
    assert told["ben"].directions[0].status is DirectionStatus.STOPPED
    for state in told.values():
        assert (state.opted_out, state.human_asked, state.role_checksum) == (frozenset({"cat"}), True, "abc")
        assert state.stored == (Stored.TRANSCRIPT, Stored.AUDIT), "in a fixed order: a set has none"
        assert (state.role, state.mode) == ("meeting-simultaneous", "simultaneous")


def test_the_mode_is_the_hosts_where_they_chose_one() -> None:
    standing = orders()
    standing.cast = Cast(role=LIBRARY.find("captions-only"), mode="consecutive")
    state = page_state("ana", "es", standing, {}, {}, checksum="", stored=())
    assert state.mode == "consecutive"
    assert lamp_of(standing, OPEN) is Lamp.INTERPRETING
