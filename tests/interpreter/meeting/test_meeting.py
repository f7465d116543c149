from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from duplex_model.contract import TickGrid
from duplex_model.loopback import LoopbackEngine
from interpreter.clock import ManualClock
from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.metrics import Count, Stage
from interpreter.sessions.renderings import MAX_LAG_FRAMES
from interpreter.watches.misheard import ASK_AGAIN_TICKS, SHOWN_TICKS
from tests.fakes import FRAME_S, Ear, FakeRoom, ToneTrack, amplitude
from tests.interpreter.engines import PuppetEngine, Say, echo, hum
from webrtc.room import Caption, CaptionKind, Listening, Notice

ANA_HZ, BEN_HZ, CAT_HZ = 300.0, 500.0, 700.0  # whole periods in a frame: spectra without leakage
EN_HZ, ES_HZ = 1_000.0, 1_250.0
DUCKED = 10.0 ** (-15.0 / 20.0)


@dataclass
class Hall:
    """A meeting on a manual clock whose time a test moves in ticks."""

    clock: ManualClock
    room: FakeRoom
    engine: PuppetEngine
    meeting: Meeting

    async def ticks(self, n: int) -> None:
        for _ in range(n):
            await self.clock.advance(FRAME_S)

    def counted(self, what: Count) -> int:
        return self.meeting.metrics.snapshot().counts[what]


@asynccontextmanager
async def hall(
    say: Say = echo, lanes: int = 256, languages: dict[str, frozenset[str]] | None = None
) -> AsyncIterator[Hall]:
    clock = ManualClock(100.0)
    grid = TickGrid(origin_s=99.99)
    engine = PuppetEngine(grid, clock.now_s, say=say, lanes=lanes, languages=languages)
    room = FakeRoom()
    # Tones are periodic, and periodic sounds have echoes everywhere.
    async with Meeting(room, engine, clock, MeetingSettings(cancel_echo=False)) as meeting:
        yield Hall(clock, room, engine, meeting)


def silence_for(frames: int) -> object:
    return lambda n: n >= frames


async def test_each_hears_the_others_rendering_and_never_their_own_voice() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(40)
        heard_by_ana, heard_by_ben = ana.last(10), ben.last(10)
        assert amplitude(heard_by_ana, BEN_HZ) == pytest.approx(0.1 * DUCKED, rel=0.01)
        assert amplitude(heard_by_ana, ES_HZ) == pytest.approx(0.1, rel=0.01)
        assert amplitude(heard_by_ben, ANA_HZ) == pytest.approx(0.1 * DUCKED, rel=0.01)
        assert amplitude(heard_by_ben, EN_HZ) == pytest.approx(0.1, rel=0.01)
        for ear, own, own_rendering in ((heard_by_ana, ANA_HZ, EN_HZ), (heard_by_ben, BEN_HZ, ES_HZ)):
            assert amplitude(ear, own) < 1e-6
            assert amplitude(ear, own_rendering) < 1e-6


async def test_those_of_one_language_hear_each_other_untouched() -> None:
    async with hall() as h:
        ana = h.room.join("ana", "es-MX", ToneTrack(ANA_HZ))
        h.room.join("cat", "es", ToneTrack(CAT_HZ))
        await h.ticks(20)
        assert h.engine.opened == []
        assert amplitude(ana.last(8), CAT_HZ) == pytest.approx(0.1, rel=1e-3)


async def test_each_session_hears_one_speaker_alone() -> None:
    async with hall() as h:
        for who, language, hz in (("ana", "es", ANA_HZ), ("ben", "en", BEN_HZ), ("cat", "fr", CAT_HZ)):
            h.room.join(who, language, ToneTrack(hz))
        await h.ticks(10)
        assert len(h.engine.opened) == 6
        hz_of = {"es": ANA_HZ, "en": BEN_HZ, "fr": CAT_HZ}
        for session in h.engine.opened:
            for frame in session.heard[2:]:
                for language, hz in hz_of.items():
                    expected = 0.1 if language == session.prompt.language_in else 0.0
                    assert amplitude(frame, hz) == pytest.approx(expected, abs=1e-5)


async def test_seeds_follow_from_the_meeting_and_the_direction() -> None:
    async def seeds() -> list[int]:
        async with hall() as h:
            h.room.join("ana", "es")
            h.room.join("ben", "en")
            await h.ticks(2)
            return [session.seed for session in h.engine.opened]

    first = await seeds()
    assert len(set(first)) == 2
    assert await seeds() == first


async def test_frame_n_is_played_once_a_cushion_after_tick_n() -> None:
    async with hall() as h:
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(30)
        assert ana.ticks == list(range(ana.ticks[0], ana.ticks[0] + len(ana.ticks)))
        cushions = [at_s - h.engine.grid.time_of(n) for n, at_s in zip(ana.ticks, ana.at_s, strict=True)]
        assert cushions == pytest.approx([0.010] * len(cushions))


async def test_a_muted_speaker_is_silence_to_all_and_their_buffer_moves_on() -> None:
    async with hall() as h:
        track = ToneTrack(BEN_HZ)
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", track)
        await h.ticks(5)
        h.room.mute("ben", True)
        await h.ticks(5)
        assert len(track.pulls) >= 9
        session = next(s for s in h.engine.opened if s.prompt.language_in == "en")
        assert not session.heard[-1].any()
        assert amplitude(ana.last(2), BEN_HZ) < 1e-6
        assert "ben" not in h.room.levels("ana").speaking
        h.room.mute("ben", False)
        await h.ticks(2)
        assert session.heard[-1].any()
        assert "ben" in h.room.levels("ana").speaking


async def test_changing_language_closes_and_opens_sessions() -> None:
    async with hall() as h:
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(5)
        assert h.engine.sessions_open == 2
        h.room.change("ben", "es")
        await h.ticks(10)
        assert h.engine.sessions_open == 0
        assert all(session.closed for session in h.engine.opened)
        assert amplitude(ana.last(3), BEN_HZ) == pytest.approx(0.1, rel=1e-3)
        h.room.change("ben", "en")
        await h.ticks(3)
        assert h.engine.sessions_open == 2


async def test_nobody_is_left_behind_when_people_come_and_go() -> None:
    async with hall() as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(5)
        h.room.leave("ana")
        await h.ticks(5)
        assert h.engine.sessions_open == 0
        assert not ben.last(3).any()
        h.room.join("dan", "es", ToneTrack(CAT_HZ))
        await h.ticks(10)
        assert h.engine.sessions_open == 2
        assert amplitude(ben.last(3), CAT_HZ) > 0.01


async def test_a_broken_track_is_heard_by_nobody_else() -> None:
    async with hall() as h:
        broken = ToneTrack(ANA_HZ)
        ana = h.room.join("ana", "es", broken)
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        cat = h.room.join("cat", "en", ToneTrack(CAT_HZ))
        await h.ticks(10)
        broken.fails = True
        await h.ticks(10)
        assert ben.ticks == cat.ticks
        assert amplitude(ben.last(3), CAT_HZ) == pytest.approx(0.1, rel=1e-3)
        assert "connection" in h.room.notices("ana")
        assert h.room.notices("ben") == {}
        assert h.counted(Count.PARTICIPANTS_ISOLATED) == 1
        played = len(ana.ticks)
        h.room.start_track("ana", ToneTrack(ANA_HZ))
        await h.ticks(5)
        assert len(ana.ticks) > played
        assert "connection" not in h.room.notices("ana")


async def test_an_ear_that_cannot_be_played_to_is_heard_by_nobody_else() -> None:
    async with hall() as h:
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "es", ToneTrack(BEN_HZ))
        ana.fails = True
        await h.ticks(10)
        assert len(ben.ticks) >= 9
        assert "connection" in h.room.notices("ana")
        assert h.counted(Count.PARTICIPANTS_ISOLATED) == 1


async def test_a_frame_of_no_numbers_isolates_its_sender() -> None:
    class NanTrack(ToneTrack):
        def pull(self, now_s: float):  # type: ignore[no-untyped-def]
            frame = super().pull(now_s)
            frame.pcm[7] = np.nan
            return frame

    async with hall() as h:
        h.room.join("ana", "es", NanTrack(ANA_HZ))
        ben = h.room.join("ben", "es", ToneTrack(BEN_HZ))
        await h.ticks(5)
        assert "connection" in h.room.notices("ana")
        assert np.isfinite(ben.last(3)).all()


async def test_a_failed_session_gives_the_original_back_by_a_ramp_and_is_replaced() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(30)
        assert amplitude(ben.last(1), ANA_HZ) == pytest.approx(0.1 * DUCKED, rel=0.02)
        h.engine.holding = True
        await h.ticks(1)
        session = next(s for s in h.engine.opened if s.prompt.language_in == "es")
        session.fail()
        await h.ticks(5)
        assert amplitude(ben.last(1), ANA_HZ) == pytest.approx(0.1, rel=0.02)
        steps = np.abs(np.diff(ben.last(6)))
        # The hums' own slopes, and a ramp of 250 ms: nothing that clicks.
        assert steps.max() < 2 * np.pi / 24_000 * (0.1 * ANA_HZ + 0.1 * EN_HZ) + 0.1 / 120
        assert "failed-hear" in h.room.notices("ben")
        assert "failed-speak" in h.room.notices("ana")
        h.engine.holding = False
        h.engine.answer()
        await h.ticks(40)
        assert h.room.notices("ben") == {}
        assert amplitude(ben.last(1), EN_HZ) == pytest.approx(0.1, rel=0.01)


async def test_an_output_of_no_numbers_is_a_failed_session() -> None:
    def nan(prompt: object, frame: np.ndarray) -> tuple[np.ndarray, str]:
        return np.full_like(frame, np.nan), ""

    async with hall(nan) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(30)
        assert np.isfinite(ben.last(20)).all()
        assert amplitude(ben.last(3), ANA_HZ) == pytest.approx(0.1, rel=0.01)
        # Backed off after 0.5, 1 and more seconds instead of every tick.
        assert 4 <= h.counted(Count.SESSIONS_FAILED) <= 6


async def test_a_dead_engine_leaves_the_originals_and_comes_back_by_itself() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(20)
        h.engine.die()
        await h.ticks(12)
        assert amplitude(ben.last(3), ANA_HZ) == pytest.approx(0.1, rel=0.01)
        assert amplitude(ben.last(3), EN_HZ) < 1e-6
        assert "down" in h.room.notices("ben")
        assert "reiniciando" in h.room.notices("ana")["down"]
        h.engine.dead = False
        await h.ticks(30)
        assert amplitude(ben.last(3), EN_HZ) == pytest.approx(0.1, rel=0.01)
        assert h.room.notices("ben") == h.room.notices("ana") == {}


async def test_a_full_engine_is_said_and_retried() -> None:
    async with hall(lanes=1) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(12)
        assert h.engine.sessions_open == 1
        assert h.room.notices("ana")["full-hear"].endswith("oye directamente a Ben.")
        assert "Spanish" in h.room.notices("ben")["full-speak"]
        assert amplitude(ben.last(3), ANA_HZ) > 0.0
        h.engine._capabilities = PuppetEngine(h.engine.grid, h.clock.now_s, lanes=2).capabilities
        await h.ticks(20)
        assert h.engine.sessions_open == 2
        assert h.room.notices("ana") == {}


async def test_a_direction_the_engine_does_not_serve_is_refused_in_words_to_both() -> None:
    async with hall(languages={"es": frozenset({"en"})}) as h:
        ana = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(10)
        assert h.engine.sessions_open == 1
        assert "Ben" in h.room.notices("ana")["refused-hear"]
        assert "Spanish" in h.room.notices("ben")["refused-speak"]
        assert amplitude(ana.last(3), BEN_HZ) == pytest.approx(0.1, rel=0.01)


async def test_a_test_engine_says_what_it_is() -> None:
    clock = ManualClock(1.0)
    room = FakeRoom()
    with_loopback = LoopbackEngine(lanes=4, grid=TickGrid(origin_s=1.0), now=clock.now_s)
    async with Meeting(room, with_loopback, clock):
        room.join("ana", "es")
        room.join("ben", "en")
        await clock.advance(1.0)
        assert "prueba" in room.notices("ana")["test-engine"]
        assert "test set-up" in room.notices("ben")["test-engine"]
    with_loopback.close()


async def test_who_was_not_understood_is_asked_to_repeat_and_their_listeners_are_told() -> None:
    async with hall() as h:
        for who, language in (("ana", "es"), ("ben", "en"), ("cat", "fr"), ("eva", "es")):
            h.room.join(who, language, ToneTrack(ANA_HZ))
        await h.ticks(5)
        directions = [(s.prompt.language_in, s.prompt.language_out) for s in h.engine.opened]
        ana_en = h.engine.opened[directions.index(("es", "en"))]  # sessions open in the order of speakers
        h.engine.unsure = lambda prompt: prompt is ana_en.prompt
        await h.ticks(1)
        h.engine.unsure = lambda prompt: False
        await h.ticks(2)
        assert {who: list(h.room.notices(who)) for who in ("ana", "ben", "cat", "eva")} == {
            "ana": ["misheard-speak"],
            "ben": ["misheard-hear"],
            "cat": [],
            "eva": [],
        }
        assert h.room.notices("ana")["misheard-speak"].startswith("El intérprete no le ha entendido.")
        assert h.room.notices("ben")["misheard-hear"] == "The interpreter did not understand Ana."
        await h.ticks(SHOWN_TICKS)
        assert h.room.notices("ana") == h.room.notices("ben") == {}


@pytest.mark.slow
async def test_a_speaker_is_not_asked_to_repeat_over_and_over() -> None:
    async with hall() as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(5)
        h.engine.unsure = lambda prompt: prompt.language_in == "es"
        await h.ticks(3 * ASK_AGAIN_TICKS)
        asked = [told for told in h.room.told["ana"] if isinstance(told, Notice) and told.text]
        told = [told for told in h.room.told["ben"] if isinstance(told, Notice)]
        assert [notice.id for notice in asked] == ["misheard-speak"] * 3
        assert [notice.id for notice in told] == ["misheard-hear"], "as long as it holds, once"


async def test_a_broken_ear_does_not_keep_others_from_being_asked() -> None:
    async with hall() as h:
        broken = h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        broken.fails = True
        await h.ticks(5)
        h.engine.unsure = lambda prompt: prompt.language_in == "en"
        await h.ticks(2)
        assert "misheard-speak" in h.room.notices("ben")
        assert set(h.room.notices("ana")) == {"connection", "misheard-hear"}


async def test_a_late_answer_grows_the_cushion_at_once_and_later_mixes_wait_for_it() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(10)
        h.engine.holding = True
        for _ in range(20):
            await h.clock.advance(0.05)
            h.engine.answer()
            await h.clock.advance(FRAME_S - 0.05)
        cushion_s = ben.at_s[-1] - h.engine.grid.time_of(ben.ticks[-1])
        assert 0.04 < cushion_s < 0.07
        assert amplitude(ben.last(3), EN_HZ) == pytest.approx(0.1, rel=0.01)
        assert h.counted(Count.MIXES_WITHOUT_ANSWER) <= 2


async def test_mixes_overlap_the_next_tick_when_answers_take_longer_than_one() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(3)
        h.engine.holding = True
        await h.ticks(2)
        for _ in range(60):
            await h.clock.advance(0.02)
            h.engine.answer(1)
            await h.clock.advance(FRAME_S - 0.02)
        lag_s = ben.at_s[-1] - h.engine.grid.time_of(ben.ticks[-1])
        assert FRAME_S < lag_s <= 0.160
        assert amplitude(ben.last(3), EN_HZ) == pytest.approx(0.1, rel=0.01)
        assert ben.ticks == sorted(set(ben.ticks))


async def test_a_hung_session_is_given_up_and_originals_go_on() -> None:
    async with hall() as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(3)
        h.engine.holding = True
        await h.ticks(60)
        assert h.counted(Count.SESSIONS_FAILED) == 2
        assert len(ben.ticks) >= 62
        assert amplitude(ben.last(3), ANA_HZ) == pytest.approx(0.1, rel=0.01)


async def test_a_loop_held_up_still_pulls_and_interprets_what_was_said() -> None:
    async with hall() as h:
        track = ToneTrack(ANA_HZ)
        h.room.join("ana", "es", track)
        ben = h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(10)
        pulled, played = len(track.pulls), len(ben.ticks)
        h.clock.jump(5 * FRAME_S)
        await h.ticks(1)
        assert len(track.pulls) == pulled + 6
        assert np.diff(track.pulls) == pytest.approx(np.full(len(track.pulls) - 1, FRAME_S))
        session = next(s for s in h.engine.opened if s.prompt.language_in == "es")
        assert len(session.heard) == len(track.pulls)
        assert h.counted(Count.SKIPPED_TICKS) == 4
        assert len(ben.ticks) == played + 2
        assert ben.ticks[-2] - ben.ticks[-3] == 5


async def test_what_was_said_while_the_loop_was_held_up_is_heard_later_and_whole() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        track = ToneTrack(ANA_HZ, sounds=lambda n: 8 <= n < 18)
        h.room.join("ana", "es", track)
        ben = h.room.join("ben", "en")
        await h.ticks(12)
        h.engine.holding = True
        await h.clock.advance(0.072)  # 2 ms after a tick: its mix waits for its answer
        h.clock.jump(0.3)
        h.engine.holding = False
        h.engine.answer()
        await h.ticks(20)
        assert h.counted(Count.MIXES_MISSED) == 1
        assert sum(amplitude(pcm, EN_HZ) > 0.05 for pcm in ben.frames) == 10


async def test_captions_go_to_those_who_need_them_and_end_after_a_pause() -> None:
    words = iter([" hello", "", " world"])

    def say(prompt, frame):  # type: ignore[no-untyped-def]
        return frame, next(words, "") if prompt.language_out == "en" else ""

    async with hall(say) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(50)  # the opening is shown first, and nothing is said meanwhile
        captions = {
            who: [
                message
                for message in h.room.told[who]
                if isinstance(message, Caption) and message.kind is CaptionKind.RENDERING
            ]
            for who in ("ana", "ben")
        }
        shown = captions["ben"]
        assert [caption.text for caption in shown] == ["hello", "hello world", "hello world"]
        assert [caption.final for caption in shown] == [False, False, True]
        assert {caption.speaker_id for caption in shown} == {"ana"}
        assert {caption.language for caption in shown} == {"en"}
        assert len({caption.id for caption in shown}) == 1
        assert captions["ana"] == []


async def test_stages_are_measured_in_the_media_s_own_time() -> None:
    async with hall() as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en", ToneTrack(BEN_HZ))
        await h.ticks(20)
        stages = h.meeting.metrics.snapshot().stages
        assert stages[Stage.CAPTURE_TO_PULL].p50_ms == pytest.approx(30.0, rel=0.06)
        assert stages[Stage.CAPTURE_TO_PLAY].p50_ms == pytest.approx(80.0 + 30.0 + 10.0 + 5.0, rel=0.06)
        assert stages[Stage.RENDERING_LAG].max_ms == 0.0


async def test_what_a_floor_holds_back_is_measured() -> None:
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        h.room.join("ana", "es", ToneTrack(ANA_HZ))
        h.room.join("ben", "en")
        await h.ticks(60)

        def longest_ms() -> float:
            return h.meeting.metrics.snapshot().stages[Stage.HELD].max_ms

        opening_ms, host = longest_ms(), Actor(name="Eva", standing=Standing.HOST)
        assert 0.0 < opening_ms < 3000.0, "the interpreter says what it is before it says anything else"
        assert h.meeting.command("hold", {"direction": "es>en"}, host).accepted
        await h.ticks(20)
        assert longest_ms() == opening_ms, "what is held back is not heard"
        assert h.meeting.command("release", {"direction": "es>en"}, host).accepted
        await h.ticks(20)
        assert longest_ms() >= opening_ms + 20 * 80.0


async def test_a_room_that_ends_ends_the_meeting_and_frees_the_lanes() -> None:
    async with hall() as h:
        h.room.join("ana", "es")
        h.room.join("ben", "en")
        await h.ticks(2)
        h.room.end()
        await asyncio.wait_for(h.meeting.ended(), timeout=5)
        assert h.room.entered
    assert not h.room.entered
    assert h.engine.sessions_open == 0


async def test_where_everybody_hears_everything_each_language_is_a_channel() -> None:
    clock = ManualClock(100.0)
    engine = PuppetEngine(TickGrid(origin_s=99.99), clock.now_s, say=hum({"en": EN_HZ, "es": ES_HZ}))
    room = FakeRoom(Listening.FLOOR)
    async with Meeting(room, engine, clock, MeetingSettings(cancel_echo=False)) as meeting:
        english, spanish = room.open_channel("en"), room.open_channel("es")
        people = [room.join("ana", "es", ToneTrack(ANA_HZ)), room.join("ben", "en", ToneTrack(BEN_HZ))]
        for _ in range(40):
            await clock.advance(FRAME_S)
        assert all(ear.frames == [] for ear in people), "the room itself carries the originals"
        for channel, own_hz, other_hz in ((english, EN_HZ, ES_HZ), (spanish, ES_HZ, EN_HZ)):
            assert amplitude(channel.last(5), own_hz) == pytest.approx(0.1, rel=0.01)
            for hz in (other_hz, ANA_HZ, BEN_HZ):
                assert amplitude(channel.last(5), hz) < 1e-6
        host = Actor(name="Eva", standing=Standing.HOST)
        assert meeting.command("priority", {"tag": "es"}, host).accepted
        for _ in range(10):
            await clock.advance(FRAME_S)
        assert amplitude(spanish.last(3), ES_HZ) == pytest.approx(0.1, rel=0.01)
        assert amplitude(english.last(3), EN_HZ) == pytest.approx(0.1 * 10 ** (-12 / 20), rel=0.02)
        assert meeting.command("priority", {}, host).accepted
        for _ in range(10):
            await clock.advance(FRAME_S)
        assert amplitude(english.last(3), EN_HZ) == pytest.approx(0.1, rel=0.01), "lowered, never delayed"
        for _ in range(60):  # nobody speaks the notices here, so that after a while they are shown alone
            await clock.advance(FRAME_S)
        texts = {
            who: [one.text for one in room.told[who] if isinstance(one, Caption)] for who in ("ana", "ben")
        }
        assert any("AI interpreter" in text for text in texts["ben"])
        assert any("inteligencia artificial" in text for text in texts["ana"])


def played_lag_frames(ear: Ear, hz: float, speech: list[int]) -> int:
    """By how many ticks the last rendered burst came later than it was said."""
    loud = [n for n, pcm in zip(ear.ticks, ear.frames, strict=True) if amplitude(pcm, hz) > 0.05]
    return loud[-1] - speech[-1]


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_delay_does_not_grow_in_an_hour_of_random_stalls() -> None:
    random = np.random.default_rng(7)
    async with hall(hum({"en": EN_HZ, "es": ES_HZ})) as h:
        bursts = np.repeat(random.random(60 * 750 // 25 + 50) < 0.5, 25)  # 2 s of speech or silence
        track = ToneTrack(ANA_HZ, sounds=lambda n: bool(bursts[n]))
        h.room.join("ana", "es", track)
        ben = h.room.join("ben", "en")
        lags: list[int] = []
        for minute in range(60):
            for _ in range(5):
                await h.ticks(int(random.integers(60, 120)))
                if random.random() < 0.5:
                    h.engine.holding = True
                    await h.ticks(int(random.integers(1, 20)))
                    h.engine.holding = False
                    h.engine.answer()
                else:
                    h.clock.jump(float(random.uniform(0.05, 1.0)))
            await h.ticks(100)
            rendered = [
                n for n, pcm in zip(ben.ticks, ben.frames, strict=True) if amplitude(pcm, EN_HZ) > 0.05
            ]
            first = round((track.pulls[0] - h.engine.grid.origin_s) / FRAME_S)
            said = [first + n for n in range(len(track.pulls)) if bursts[n]]
            lags.append(rendered[-1] - said[-1])
            ben.ticks.clear(), ben.frames.clear(), ben.at_s.clear()
            assert minute < 1 or lags[-1] <= MAX_LAG_FRAMES
        lag_ms = h.meeting.metrics.snapshot().stages[Stage.RENDERING_LAG]
        assert lag_ms.max_ms <= MAX_LAG_FRAMES * 80.0
        assert lag_ms.p50_ms == 0.0
        assert np.mean(lags[-10:]) <= np.mean(lags[:10]) + 1.0
