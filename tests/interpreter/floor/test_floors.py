"""The floors of all directions: each with its own policy, none in another's way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import inf

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES
from interpreter.directions import Direction
from interpreter.floor.floor import AfterInterruption, FloorEventKind, FloorMode, FloorSettings, Talk
from interpreter.floor.floors import FloorPolicy, Floors, FloorTick
from interpreter.floor.own_backchannels import BackchannelSettings
from interpreter.sessions.hold import Said
from tests.interpreter.floor_stage import Spans, voice_at

ANA, BEN = Direction("ana", "es", "en"), Direction("ben", "en", "es")
FLAT = np.full(FRAME_SAMPLES, 0.1, dtype=np.float32)
SIMULTANEOUS = FloorPolicy(mode=FloorMode.SIMULTANEOUS)


class Stage:
    """Floors whose sessions say what a test tells them, on a clock of ticks."""

    def __init__(self, policies: Mapping[Direction, FloorPolicy]) -> None:
        self.floors = Floors()
        self.floors.keep(policies)
        self.n = 0
        self.listeners: dict[Direction, Collection[str]] = {ANA: {"ben"}, BEN: {"ana"}}
        self.voices: dict[str, Spans] = {}
        self.ticks: list[FloorTick] = []

    @property
    def now_s(self) -> float:
        return self.n * FRAME_S

    def tick(
        self,
        said: Mapping[Direction, str] | None = None,
        *,
        closed: Collection[Direction] = (),
        closing: bool = False,
    ) -> FloorTick:
        self.n += 1
        talks = {
            who: Talk(voice=voice_at(spans, self.now_s), language="en") for who, spans in self.voices.items()
        }
        given = {direction: Said(pcm=FLAT, text=text) for direction, text in (said or {}).items()}
        self.ticks.append(
            self.floors.advance(given, talks, self.listeners, closed, self.now_s, closing=closing)
        )
        return self.ticks[-1]

    def text(self, direction: Direction) -> str:
        return "".join(one.played[direction].text for one in self.ticks if direction in one.played)


def test_renderings_of_several_directions_sound_together() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    played = stage.tick({ANA: " hello", BEN: " hola"}).played
    assert played.keys() == {ANA, BEN}
    assert (played[ANA].text, played[BEN].text) == (" hello", " hola")
    assert np.array_equal(played[ANA].pcm, FLAT)


def test_a_closed_direction_holds_and_the_other_goes_on() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    for n in range(5):
        stage.tick({ANA: f" a{n}", BEN: f" b{n}"}, closed={ANA})
    assert stage.text(ANA) == ""
    assert stage.text(BEN) == " b0 b1 b2 b3 b4"
    assert stage.floors.waiting_s(ANA) == pytest.approx(5 * FRAME_S)
    for _ in range(8):
        stage.tick()
    assert stage.text(ANA) == " a0 a1 a2 a3 a4"


def test_a_pause_lets_each_direction_finish_its_unit() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    stage.tick({ANA: " a0"})
    for n in range(1, 5):
        stage.tick({ANA: f" a{n}", BEN: f" b{n}"}, closing=True)
    assert stage.text(ANA) == " a0 a1 a2 a3 a4"
    assert stage.text(BEN) == "", "its unit had not begun"


def test_a_listener_interrupts_their_own_direction_alone() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    stage.voices = {"ben": [(1.0, 4.0)]}
    for n in range(45):
        stage.tick({ANA: f" a{n}", BEN: f" b{n}"})
    events = {
        direction: [event.kind for one in stage.ticks for event in one.played[direction].events]
        for direction in (ANA, BEN)
    }
    assert FloorEventKind.CUT in events[ANA]
    assert events[BEN] == []


def test_a_direction_that_ends_fades_out_in_one_frame_and_is_gone() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    stage.tick({ANA: " a0", BEN: " b0"})
    stage.floors.keep({BEN: SIMULTANEOUS})
    last = stage.tick({ANA: " a1", BEN: " b1"}).played
    assert last[ANA].pcm[0] == pytest.approx(0.1, rel=0.01)
    assert np.abs(np.diff(last[ANA].pcm)).max() < 0.001
    assert last[ANA].pcm[-1] == 0.0
    assert last[BEN].text == " b1"
    assert stage.tick({ANA: " a2"}).played.keys() == {BEN}
    assert stage.floors.idle(ANA)
    assert stage.floors.quiet_s(ANA, stage.now_s) == inf


def test_the_last_listener_who_turns_away_hears_no_click_and_can_read_the_rest() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    stage.tick({ANA: " a0"})
    stage.listeners[ANA] = ()
    last = stage.tick({ANA: " a1"}).played[ANA]
    assert np.abs(np.diff(np.concatenate((FLAT, last.pcm)))).max() < 0.001
    assert last.pcm[-1] == 0.0
    assert (last.text, last.unspoken) == ("", " a1")
    assert not stage.tick({ANA: " a2"}).played[ANA].pcm.any()
    stage.listeners[ANA] = {"ben"}
    back = stage.tick({ANA: " a3"}).played[ANA]
    assert np.abs(np.diff(np.concatenate(([0.0], back.pcm)))).max() < 0.001
    assert back.text == " a3"


def test_what_waited_for_listeners_who_turned_away_is_read() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    for n in range(3):
        stage.tick({ANA: f" a{n}"}, closed={ANA})
    stage.listeners[ANA] = ()
    assert stage.tick({ANA: " a3"}).played[ANA].unspoken == " a0 a1 a2 a3"
    assert stage.floors.idle(ANA)


def test_another_mode_is_followed_once_the_direction_is_idle() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    stage.tick({ANA: " a0"})
    stage.floors.keep({ANA: FloorPolicy(mode=FloorMode.CAPTIONS)})
    stage.tick({ANA: " a1"})
    assert stage.floors.mode(ANA) is FloorMode.SIMULTANEOUS
    for _ in range(3):
        stage.tick()
    assert stage.floors.mode(ANA) is FloorMode.CAPTIONS
    assert stage.tick({ANA: " a2"}).played[ANA].unspoken == " a2"


def test_other_settings_are_followed_at_once() -> None:
    def cut_by(settings: FloorSettings) -> list[str]:
        stage = Stage({ANA: SIMULTANEOUS})
        stage.voices = {"ben": [(1.0, 5.0)]}
        stage.tick({ANA: " a"})
        stage.floors.keep({ANA: FloorPolicy(mode=FloorMode.SIMULTANEOUS, settings=settings)})
        for _ in range(50):
            stage.tick({ANA: " a"})
        return [event.kind.value for one in stage.ticks for event in one.played[ANA].events]

    assert "cut" in cut_by(FloorSettings(after_interruption=AfterInterruption.DROP))
    assert cut_by(FloorSettings(yields=False)) == []


def test_a_session_that_is_gone_leaves_a_floor_as_new() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    stage.tick({ANA: " a0"}, closed={ANA})
    [lost] = stage.floors.forget(ANA, stage.now_s)
    assert (lost.kind, lost.text) == (FloorEventKind.LOST, " a0")
    assert stage.floors.idle(ANA)
    assert stage.floors.forget(BEN, stage.now_s) == ()


def test_how_long_a_session_has_said_nothing_is_known() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    assert stage.floors.quiet_s(ANA, stage.now_s) == inf
    stage.tick({ANA: " a0"}, closed={ANA})
    assert stage.floors.quiet_s(ANA, stage.now_s) == 0.0
    for _ in range(5):
        stage.tick()
    assert stage.floors.quiet_s(ANA, stage.now_s) == pytest.approx(5 * FRAME_S)


@pytest.mark.parametrize(("to_speaker", "sounds"), [(True, True), (False, False)])
def test_the_model_s_own_backchannel_is_for_the_speaker_alone(to_speaker: bool, sounds: bool) -> None:
    own = BackchannelSettings(to_speaker=to_speaker, gain_db=-6.0)
    stage = Stage({ANA: FloorPolicy(mode=FloorMode.SIMULTANEOUS, backchannels=own)})
    stage.voices = {"ana": [(0.0, 9.0)]}
    for _ in range(30):
        stage.tick()
    tick = stage.tick({ANA: " mm-hm"})
    assert not tick.played[ANA].pcm.any()
    assert tick.played[ANA].text == ""
    assert (ANA in tick.asides) is sounds
    if sounds:
        assert tick.asides[ANA][0] == pytest.approx(0.1 * 10 ** (-6 / 20), rel=0.01)


def test_the_last_utterance_is_said_again_where_there_was_one() -> None:
    stage = Stage({ANA: SIMULTANEOUS, BEN: SIMULTANEOUS})
    for text in (" take", " two"):
        stage.tick({ANA: text})
    for _ in range(4):
        stage.tick()
    assert stage.floors.repeat(ANA)
    assert not stage.floors.repeat(BEN)
    for _ in range(6):
        stage.tick()
    assert stage.text(ANA) == " take two take two"


def test_what_waits_in_a_direction_that_ends_can_be_read() -> None:
    stage = Stage({ANA: SIMULTANEOUS})
    for n in range(3):
        stage.tick({ANA: f" a{n}"}, closed={ANA})
    stage.floors.keep({})
    last = stage.tick({ANA: " a3"}).played[ANA]
    assert not last.pcm.any()
    assert (last.text, last.unspoken) == ("", " a0 a1 a2 a3")
