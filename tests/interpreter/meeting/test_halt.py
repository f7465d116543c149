"""STOP: how soon what the interpreter says is gone from what is sent, in media time, and what goes on without it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from duplex_model.contract import SayCapability
from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.mixing.mixing import LIMIT_DELAY_S
from tests.fakes import FRAME_S, Ear, amplitude
from tests.interpreter.meeting_stage import (
    ANA_HZ,
    BEN_HZ,
    EN_HZ,
    NOTICE_HZ,
    Stage,
    stage,
)
from webrtc.room import (
    PACKET_SAMPLES,
    SAMPLE_RATE_HZ,
    CaptionKind,
    DirectionStatus,
    Lamp,
    Listening,
    MeetingState,
    Pcm,
)
from webrtc.schedule import FADE_SAMPLES, PACKET_S, PacketSchedule

HOST_AT_CONSOLE = Actor(name="Eva", standing=Standing.OPERATOR)
TRAINED = SayCapability.TRAINED
WORDS = " ".join(f"w{n}" for n in range(200))
LIMIT_S = 0.06


@dataclass
class Line(Ear):
    """Somebody's ear behind our sender: what it is played leaves in packets, each at its time."""

    schedule: PacketSchedule = field(default_factory=PacketSchedule)
    packets: list[tuple[float, Pcm]] = field(default_factory=list)

    def play(self, tick: int, pcm: Pcm, at_s: float) -> None:
        self.schedule.play(tick, pcm, at_s)

    def replace(self, tick: int, pcm: Pcm) -> None:
        self.schedule.replace(tick, pcm)

    def send(self, now_s: float) -> None:
        while self.schedule.next_due_s(now_s) <= now_s:
            due_s, packet = self.schedule.next_due_s(now_s), self.schedule.take(now_s)
            silence = np.zeros(PACKET_SAMPLES, dtype=np.float32)
            self.packets.append((due_s, silence if packet.pcm is None else packet.pcm))

    def since(self, at_s: float) -> Pcm:
        return np.concatenate([pcm for due_s, pcm in self.packets if due_s >= at_s])


async def run(h: Stage, line: Line, seconds: float) -> None:
    """Time goes on in steps of 5 ms, and packets leave when they are due."""
    for _ in range(round(seconds / 0.005)):
        await h.clock.advance(0.005)
        line.send(h.clock.now_s())


async def interpreted(h: Stage, *, hears: str = "ben") -> Line:
    """Ana speaks and is interpreted into English; the line of who hears it."""
    h.join("ana", "es", ANA_HZ, speaking=True)
    h.join("ben", "en", BEN_HZ)
    line = h.room.ears[hears] = Line()
    h.say("es", "en", WORDS)
    await run(h, line, 1.0)
    assert amplitude(line.since(h.clock.now_s() - 0.3)[: 12 * PACKET_SAMPLES], EN_HZ) > 0.05
    return line


@pytest.mark.parametrize("offset_ms", [0, 5, 20, 30, 45, 60, 75])
async def test_the_interpreter_is_gone_within_three_packets_and_people_are_heard(offset_ms: int) -> None:
    async with stage() as h:
        line = await interpreted(h)
        await run(h, line, offset_ms / 1000)
        stopped_s = h.clock.now_s()
        assert h.order("halt").accepted
        await run(h, line, 2.0)
        after = line.since(stopped_s)
        until_next_s = min(due_s for due_s, _ in line.packets if due_s >= stopped_s) - stopped_s
        silent_from_s = until_next_s + (FADE_SAMPLES / SAMPLE_RATE_HZ) + LIMIT_DELAY_S
        assert silent_from_s < LIMIT_S
        start = round((silent_from_s - until_next_s) * SAMPLE_RATE_HZ)
        whole = after[start:]
        windows = whole[: whole.size // 240 * 240].reshape(-1, 240)  # 10 ms: ten periods of the rendering
        assert max(amplitude(window, EN_HZ) for window in windows[:4]) < 0.03, (
            "its neighbourhood is Ana's own voice"
        )
        assert amplitude(whole[: whole.size // 1920 * 1920], EN_HZ) < 1e-3
        assert amplitude(whole[-4 * PACKET_SAMPLES :], ANA_HZ) == pytest.approx(0.1, rel=0.2), (
            "they hear her directly"
        )
        assert np.abs(np.diff(after)).max() < 0.08, "no click"


async def test_what_was_dropped_is_not_said_after_the_meeting_goes_on() -> None:
    async with stage(role="medical-consecutive") as h:
        h.join("ana", "es", ANA_HZ, speaking=True)
        h.join("ben", "en", BEN_HZ)
        line = h.room.ears["ben"] = Line()
        h.say("es", "en", "one two three")
        await run(h, line, 1.0)  # she goes on, and it waits
        h.order("halt")
        h.mouths["ana"].speaking = False
        await run(h, line, 3.0)
        assert h.meeting.order([("resume", {})], HOST_AT_CONSOLE, h.meeting.overview().revision).accepted
        await run(h, line, 3.0)
        assert amplitude(line.since(h.clock.now_s() - 5.5), EN_HZ) < 1e-3


async def test_the_sessions_hear_nothing_while_it_is_stopped_and_everything_after() -> None:
    async with stage() as h:
        line = await interpreted(h)
        [session] = h.engine.serving("es", "en")
        h.order("halt")
        await run(h, line, 0.4)
        heard = len(session.heard)
        await run(h, line, 0.8)
        assert not np.concatenate(session.heard[heard:]).any()
        h.order("resume")
        await run(h, line, 0.8)
        assert amplitude(session.heard[-1], ANA_HZ) > 0.05
        assert h.engine.serving("es", "en") == [session], "the session is the same"


async def test_a_notice_being_read_stops_too_and_none_is_read_until_it_goes_on() -> None:
    async with stage(spoken_notices=True, say=TRAINED) as h:
        h.join("ana", "es", ANA_HZ)
        h.join("ben", "en", BEN_HZ)
        line = h.room.ears["ben"] = Line()
        for _ in range(400):
            await run(h, line, 0.02)
            if line.packets and amplitude(line.packets[-1][1], NOTICE_HZ) > 0.05:
                break
        else:
            pytest.fail("no notice was read")
        stopped_s = h.clock.now_s()
        h.order("halt")
        h.join("eva", "en", 900.0)
        await run(h, line, 4.0)
        after = line.since(stopped_s)[FADE_SAMPLES + 480 :]
        assert amplitude(after[: after.size // 1920 * 1920], NOTICE_HZ) < 1e-3
        assert h.told_by_interpreter("eva") == ""
        h.order("resume")
        await run(h, line, 8.0)
        assert amplitude(line.since(stopped_s + 4.1), NOTICE_HZ) > 1e-3
        assert "AI" in h.told_by_interpreter("eva"), "who came meanwhile is told then"


async def test_everybody_s_page_shows_it_and_the_caption_is_marked_as_cut() -> None:
    async with stage() as h:
        line = await interpreted(h)
        h.order("halt")
        await run(h, line, 2.0)
        state = [one for one in h.room.told["ben"] if isinstance(one, MeetingState)][-1]
        assert (state.lamp, state.paused) == (Lamp.PAUSED, True)
        assert [one.status for one in state.directions] == [DirectionStatus.PAUSED] * 2
        last = h.captions("ben", CaptionKind.RENDERING)[-1]
        assert (last.final, last.cut) == (True, True)
        shown = len(h.captions("ben"))
        await run(h, line, 2.0)
        assert len(h.captions("ben")) == shown


async def test_a_floor_is_silent_as_a_whole() -> None:
    async with stage(listening=Listening.FLOOR) as h:
        h.join("ana", "es", ANA_HZ, speaking=True)
        h.join("ben", "en", BEN_HZ)
        h.room.open_channel("en")
        line = h.room.ears["en"] = Line()
        h.say("es", "en", WORDS)
        await run(h, line, 1.0)
        stopped_s = h.clock.now_s()
        h.order("halt")
        await run(h, line, 1.0)
        after = line.since(stopped_s)
        assert not after[FADE_SAMPLES + round(LIMIT_DELAY_S * SAMPLE_RATE_HZ) :].any()
        assert FRAME_S > PACKET_S


async def test_muting_one_direction_leaves_the_other() -> None:
    async with stage() as h:
        line = await interpreted(h)
        h.order("mute-direction", direction="es>en")
        await run(h, line, 0.4)
        now_s = h.clock.now_s()
        h.say("en", "es", WORDS)
        await run(h, line, 1.0)
        assert amplitude(line.since(now_s), EN_HZ) < 1e-3
        assert "w20" in " ".join(h.read("ben")), "it is read on"
        view = {str(d): one for d, one in h.meeting.overview().directions.items()}
        statuses = [one.status for one in view.values()]
        assert statuses == [DirectionStatus.CAPTIONS, DirectionStatus.LIVE]
        h.order("unmute-direction", direction="es>en")
        h.say("es", "en", WORDS)
        h.mouths["ana"].speaking = False
        h.engine.lines.left["es", "en"].clear()
        await run(h, line, 2.0)
        h.say("es", "en", WORDS)
        await run(h, line, 1.0)
        assert amplitude(line.since(h.clock.now_s() - 0.4), EN_HZ) > 0.03
