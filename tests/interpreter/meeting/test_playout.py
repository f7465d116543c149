"""One mix to whoever hears it, in each of the ways in which rooms are spoken to."""

from __future__ import annotations

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, Pcm
from interpreter.directions import Direction
from interpreter.ears.ear import Ear
from interpreter.meeting.attendees import Attendees
from interpreter.meeting.playout import Playout
from interpreter.metrics import Metrics
from interpreter.mixing.mixdown import Sounds
from interpreter.mixing.mixing import Ducking
from interpreter.mixing.routing import Routes, route, route_channels, route_requested
from tests.fakes import FakeRoom, amplitude, tone
from tests.interpreter.meeting_stage import ANA_HZ, EN_HZ, LoudIsVoice
from webrtc.room import Listening, Participant, requested_key

DIRECTION = Direction("ana", "es", "en")
LANGUAGES = {"ana": "es", "ben": "en"}
FIRST_S = 10.0


class NotingEar(Ear):
    """Notes what is taken for the loudspeaker's sound."""

    def __init__(self) -> None:
        super().__init__(LoudIsVoice(), cancels_echo=False)
        self.noted: list[Pcm] = []

    def sent(self, pcm: Pcm, at_s: float) -> None:
        self.noted.append(pcm)


class Stand:
    """Ana and Ben in a room, who are played what Ana and the interpreter say."""

    def __init__(self, listening: Listening, routes: Routes) -> None:
        self.room = FakeRoom(listening)
        self.ears: list[NotingEar] = []
        self.routes = routes
        self.attendees = Attendees(
            new_ear=self._new_ear,
            tell=lambda who, message: None,
            isolate=lambda who, isolated: None,
            metrics=Metrics(),
        )
        self.playout = Playout(self.room, self.attendees)
        for who in LANGUAGES:
            self.attendees.place(Participant(id=who, name=who, attributes={}), FIRST_S)

    def play(self, ticks: int) -> None:
        for tick in range(ticks):
            sounds = Sounds(originals={"ana": tone(ANA_HZ, tick)}, renderings={DIRECTION: tone(EN_HZ, tick)})
            self.playout.play(tick, FIRST_S + tick * FRAME_S, self.routes, sounds, Ducking())

    def _new_ear(self) -> Ear:
        self.ears.append(NotingEar())
        return self.ears[-1]


def test_each_listener_has_a_mix_that_is_what_may_come_back_from_them() -> None:
    stand = Stand(Listening.PER_LISTENER, route(LANGUAGES, [DIRECTION]))
    ana, ben = stand.room.join("ana", "es"), stand.room.join("ben", "en")
    stand.play(20)
    assert amplitude(ben.last(5), EN_HZ) == pytest.approx(0.1, rel=0.01)
    assert not ana.last(5).any()
    for ear, played in zip(stand.ears, (ana, ben), strict=True):
        np.testing.assert_array_equal(ear.noted, played.frames)


def test_who_is_not_connected_yet_is_sent_nothing() -> None:
    stand = Stand(Listening.PER_LISTENER, route(LANGUAGES, [DIRECTION]))
    stand.room.join("ana", "es")
    stand.play(2)
    assert [len(ear.noted) for ear in stand.ears] == [2, 0]


def test_who_cannot_be_played_to_is_left_out_alone() -> None:
    stand = Stand(Listening.PER_LISTENER, route(LANGUAGES, [DIRECTION]))
    ana, ben = stand.room.join("ana", "es"), stand.room.join("ben", "en")
    ana.fails = True
    stand.play(3)
    assert ben.ticks == [0, 1, 2]
    assert not stand.attendees.takes_part("ana")
    assert [len(ear.noted) for ear in stand.ears] == [0, 3]


def test_what_is_on_the_channels_may_come_back_from_everybody() -> None:
    stand = Stand(Listening.FLOOR, route_channels(LANGUAGES, [DIRECTION], ("en", "es")))
    english = stand.room.open_channel("en")
    stand.play(20)
    assert amplitude(english.last(5), EN_HZ) == pytest.approx(0.1, rel=0.01)
    for ear in stand.ears:
        np.testing.assert_array_equal(ear.noted, english.frames)


def test_who_hears_a_requested_rendering_is_not_known() -> None:
    stand = Stand(Listening.REQUESTED, route_requested([DIRECTION]))
    rendering = stand.room.open_channel(requested_key("ana", "en"))
    stand.play(20)
    assert amplitude(rendering.last(5), EN_HZ) == pytest.approx(0.1, rel=0.01)
    assert all(ear.noted == [] for ear in stand.ears)


def test_cut_short_is_what_was_not_sent_and_what_comes_then() -> None:
    stand = Stand(Listening.PER_LISTENER, route(LANGUAGES, [DIRECTION]))
    ben = stand.room.join("ben", "en")
    stand.play(4)
    stand.playout.cut_short(FIRST_S + 2.5 * FRAME_S)
    assert ben.replaced.keys() == {2, 3}
    assert amplitude(ben.replaced[3], EN_HZ) < 1e-3
    assert amplitude(ben.replaced[3], ANA_HZ) > 0.01
    stand.playout.play(4, FIRST_S + 4 * FRAME_S, stand.routes, Sounds(), Ducking())
    assert amplitude(ben.frames[-1], EN_HZ) < 1e-3, "the limiter had held back nothing of it"


def test_before_the_first_mix_there_is_nothing_to_cut_short() -> None:
    stand = Stand(Listening.PER_LISTENER, route(LANGUAGES, [DIRECTION]))
    ben = stand.room.join("ben", "en")
    stand.playout.cut_short(FIRST_S)
    stand.play(1)
    assert ben.replaced == {}
    assert ben.ticks == [0]
