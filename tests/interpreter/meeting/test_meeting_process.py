"""A meeting on the real clock whose engine runs, and dies, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.clock import MonotonicClock
from interpreter.meeting.meeting import Meeting
from interpreter.metrics import Count
from tests.fakes import FakeRoom, ToneTrack, amplitude

pytestmark = pytest.mark.media

ANA_HZ = 300.0
SAID_HZ = 1_000.0
SCRIPT = {
    "directions": {
        "*": {"cues": [{"at_frame": 0, "sound": {"hz": SAID_HZ, "peak_dbfs": -20.0, "duration_s": 60.0}}]}
    }
}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 -- what is waited for is heard, and sound has no event
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_killed_engine_leaves_the_originals_and_a_new_one_takes_over() -> None:
    engine = EngineProcess(EngineSpec(kind="scripted", options={"lanes": 2, "script": SCRIPT}))
    room = FakeRoom()
    try:
        await asyncio.to_thread(engine.wait_ready, 30.0)
        async with Meeting(room, engine, MonotonicClock()) as meeting:
            room.join("ana", "es", ToneTrack(ANA_HZ))
            ben = room.join("ben", "en")

            def hears(hz: float, at_least: float) -> bool:
                return bool(ben.frames) and amplitude(ben.frames[-1], hz) > at_least

            await until(lambda: hears(SAID_HZ, 0.09) and not hears(ANA_HZ, 0.05))
            killed = engine.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await until(lambda: hears(ANA_HZ, 0.09) and not hears(SAID_HZ, 0.01))
            assert "down" in room.notices("ben")
            await until(lambda: hears(SAID_HZ, 0.09) and not hears(ANA_HZ, 0.05))
            assert engine.pid not in (None, killed)
            await until(lambda: room.notices("ben") == {})
            counts = meeting.metrics.snapshot().counts
            assert counts[Count.SESSIONS_OPENED] == 4
            assert counts[Count.PARTICIPANTS_ISOLATED] == 0
        assert engine.sessions_open == 0
    finally:
        await asyncio.to_thread(engine.close)
