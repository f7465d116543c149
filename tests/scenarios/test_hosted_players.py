"""Pages of the hosted room that are told to go, or not let in, while they speak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from duplex_model.contract import FRAME_S
from interpreter.clock import MonotonicClock
from scenarios.errors import Undelivered
from scenarios.hosted_players import SENT_AHEAD_S, HostedPlayers
from scenarios.live_track import LiveTrack
from scenarios.run_time import RunTime
from webrtc.room import ParticipantLeft

pytestmark = pytest.mark.media

WITHIN_S = 30.0


@asynccontextmanager
async def two_people() -> AsyncIterator[HostedPlayers]:
    """In the room, and speaking."""
    time = RunTime(MonotonicClock())
    async with HostedPlayers(time, {"en", "es"}) as players, players.room:
        for who, language in (("doctor", "en"), ("patient", "es")):
            players.join(who, who, language, silent_track(time))
        await asyncio.wait_for(players.all_in(), WITHIN_S)
        yield players


def silent_track(time: RunTime) -> LiveTrack:
    return LiveTrack(np.zeros(0, dtype=np.float32), time=time, duration_s=60.0, delay_s=-SENT_AHEAD_S)


@pytest.mark.slow
async def test_a_meeting_that_ends_sends_nobody_away() -> None:
    async with two_people() as players:
        await players.room.close()
        await asyncio.sleep(5 * FRAME_S)  # the server has hung up, and they were about to say that they leave
    assert players.undelivered() is None


async def test_whoever_is_put_out_of_a_run_makes_it_invalid() -> None:
    async with two_people() as players:
        patient = players.id_of("patient")
        assert patient is not None
        await players.room.remove(patient, "Somebody else has joined as you.")
        while players.undelivered() is None:  # noqa: ASYNC110 (nothing tells)
            await asyncio.sleep(FRAME_S)
    assert players.undelivered() == "expected patient to stay, got: Somebody else has joined as you."


async def test_who_leaves_or_is_lost_was_there() -> None:
    async with two_people() as players:
        players.leave("doctor")
        players.leave("patient", lost=True)
        reasons = set()
        async for event in players.room.events():
            if isinstance(event, ParticipantLeft):
                reasons.add(event.reason)
            if reasons == {"left", "connection lost"}:
                break
    assert players.undelivered() is None


async def test_who_is_not_let_in_is_waited_for_by_nobody() -> None:
    time = RunTime(MonotonicClock())
    async with HostedPlayers(time, {"en"}) as players, players.room:
        players.join("patient", "patient", "es", silent_track(time))
        with pytest.raises(Undelivered, match="expected patient in the room, got: expected a language of en"):
            await asyncio.wait_for(players.all_in(), WITHIN_S)
