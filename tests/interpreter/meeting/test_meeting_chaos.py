"""Whatever people and the engine do, nobody hears themselves, nothing is too loud, and the meeting recovers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from duplex_model.contract import TickGrid
from interpreter.clock import ManualClock
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.mixing.mixing import LIMIT_CEILING
from tests.fakes import FRAME_S, Ear, FakeRoom, ToneTrack, amplitude
from tests.interpreter.engines import PuppetEngine

PITCH_HZ = {"p0": 300.0, "p1": 500.0, "p2": 700.0, "p3": 900.0}
INAUDIBLE = 0.012
"""Below a ducked voice at 0.018; above what the ends of other people's tones spill into a pitch."""

RECOVERY_TICKS = 180  # the longest backoff, 8 s, and the ramps and fades after it

who = st.sampled_from(sorted(PITCH_HZ))
language = st.sampled_from(["en", "es", "fr"])
deeds = st.one_of(
    st.tuples(st.just("come"), who, language),
    st.tuples(st.just("go"), who, language),
    st.tuples(st.just("change"), who, language),
    st.tuples(st.just("mute"), who, st.booleans()),
    st.tuples(st.just("stop track"), who, st.none()),
    st.tuples(st.just("start track"), who, st.none()),
    st.tuples(st.sampled_from(["hold", "answer", "fail", "die", "revive"]), st.none(), st.none()),
    st.tuples(st.just("hold up"), st.none(), st.floats(0.0, 1.5)),
    st.tuples(st.just("wait"), st.none(), st.integers(1, 12)),
)


class Chaos:
    """One meeting, and who is in it."""

    def __init__(self) -> None:
        self.clock = ManualClock(50.0)
        self.room = FakeRoom()
        # The puppet echoes: a speaker's rendering has the speaker's own pitch, so one's own pitch betrays both.
        self.engine = PuppetEngine(TickGrid(origin_s=50.0), self.clock.now_s)
        self.ears: list[tuple[str, Ear]] = []
        self.languages: dict[str, str] = {}

    async def do(self, deed: str, name: str | None, value: object) -> None:
        if name is not None and (deed == "come") == (name in self.languages):
            return
        match deed, name, value:
            case "come", str(name), str(spoken):
                self.languages[name] = spoken
                self.ears.append((name, self.room.join(name, spoken, ToneTrack(PITCH_HZ[name]))))
            case "go", str(name), _:
                del self.languages[name]
                self.room.leave(name)
            case "change", str(name), str(spoken):
                self.languages[name] = spoken
                self.room.change(name, spoken)
            case "mute", str(name), bool(muted):
                self.room.mute(name, muted)
            case "stop track", str(name), _:
                self.room.stop_track(name)
            case "start track", str(name), _:
                self.room.start_track(name, ToneTrack(PITCH_HZ[name]))
            case "hold up", _, float(seconds):
                self.clock.jump(seconds)
            case "wait", _, int(ticks):
                await self.ticks(ticks)
            case _:
                self.do_to_engine(deed)

    def do_to_engine(self, deed: str) -> None:
        match deed:
            case "hold":
                self.engine.holding = True
            case "answer":
                self.engine.holding = False
                self.engine.answer()
            case "fail":
                for session in self.engine.opened[-2:]:
                    session.fail()
            case "die":
                self.engine.die()
            case "revive":
                self.engine.dead = False

    async def ticks(self, n: int) -> None:
        for _ in range(n):
            await self.clock.advance(FRAME_S)

    async def recover(self) -> None:
        for name in self.languages:
            self.room.mute(name, False)
            self.room.start_track(name, ToneTrack(PITCH_HZ[name]))
        for deed in ("answer", "revive"):
            self.do_to_engine(deed)
        await self.ticks(RECOVERY_TICKS)


async def live_through(story: list[tuple[str, str | None, object]]) -> Chaos:
    chaos = Chaos()
    # Tones are periodic, and periodic sounds have echoes everywhere.
    async with Meeting(chaos.room, chaos.engine, chaos.clock, MeetingSettings(cancel_echo=False)):
        for deed in story:
            await chaos.do(*deed)
        await chaos.recover()
    return chaos


@pytest.mark.slow
@settings(max_examples=60)
@example(story=[("come", "p0", "en"), ("stop track", "p0", None), ("come", "p2", "en")])
@given(st.lists(deeds, max_size=40))
def test_a_meeting_lives_through_anything(story: list[tuple[str, str | None, object]]) -> None:
    chaos = asyncio.run(live_through(story))
    for name, ear in chaos.ears:
        assert ear.ticks == sorted(set(ear.ticks))
        for frame in ear.frames:
            assert amplitude(frame, PITCH_HZ[name]) < INAUDIBLE
            assert np.abs(frame).max() <= LIMIT_CEILING + 1e-6
    for name, spoken in chaos.languages.items():
        ear = chaos.room.ears[name]
        for other, other_spoken in chaos.languages.items():
            if other != name:
                at_least = 0.099 if other_spoken == spoken else 0.1 * 10 ** (-15 / 20) * 0.9
                assert amplitude(ear.frames[-1], PITCH_HZ[other]) >= at_least
        assert chaos.room.notices(name) == {}
    assert chaos.engine.sessions_open == 0
