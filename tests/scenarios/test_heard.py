"""What a run notes: which utterance is rendered, when a rendering has ended, whose microphone a frame is from."""

from __future__ import annotations

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ
from interpreter.clock import ManualClock
from interpreter.directions import Direction
from interpreter.floor.floor import Played
from scenarios.cast_script import CastScript, Spoken
from scenarios.heard import SETTLED_S, Heard
from scenarios.live_track import LiveTrack
from scenarios.memory_room import MemoryRoom
from scenarios.plan import Moments
from scenarios.players import Ear
from scenarios.run_time import RunTime
from scenarios.scenario_file import SayKind
from scenarios.speech import Speech
from scenarios.voicing import Span
from tests.scenarios.runs import ROLE, small, tone
from webrtc.opus import OpusDecoder, OpusEncoder
from webrtc.room import PACKET_SAMPLES, Pcm

SPANISH = Direction(speaker_id="doctor", language_in="en", language_out="es")


def speech(seconds: float) -> Speech:
    return Speech(pcm=tone(seconds, 0.1), words=(), voiced=(Span(start_s=0.0, end_s=seconds),))


def spoken(name: str, start_s: float, kind: SayKind = SayKind.TURN) -> Spoken:
    return Spoken(
        id=name,
        person="doctor",
        language="en",
        kind=kind,
        texts={"en": "Take it.", "es": "Tómelo."},
        faulty={},
        speech=speech(1.0),
        start_s=start_s,
    )


class Stage:
    """A run of an engine of which nobody knows what it is going to say."""

    def __init__(self) -> None:
        self.clock = ManualClock(start_s=1000.0)
        self.time = RunTime(self.clock)
        self.moments = Moments()
        self.script = CastScript({})
        for one in (spoken("d1", 1.0), spoken("d2", 6.0), spoken("mhm", 7.0, SayKind.BACKCHANNEL)):
            self.script.say(one)
        self.heard = Heard(
            small(),
            ROLE,
            self.time,
            MemoryRoom(self.time),
            self.script,
            self.moments,
            lambda text, voice: speech(1.0),
            None,
        )

    def says(self, text: str, at_s: float) -> None:
        self.clock.jump(self.time.origin_s + at_s - self.clock.now_s())
        played = Played(pcm=tone(FRAME_S, 0.1), text=text)
        self.heard.observe(0, self.time.origin_s + at_s, {SPANISH: played})
        self.heard.follow()

    def passes_to(self, at_s: float) -> None:
        self.clock.jump(self.time.origin_s + at_s - self.clock.now_s())
        self.heard.follow()


def test_a_rendering_of_what_was_said_last_has_ended_once_it_is_silent() -> None:
    stage = Stage()
    stage.says("Tóme", 2.0)
    stage.says("lo", 3.0)
    stage.passes_to(3.0 + SETTLED_S)
    assert stage.moments.rendering_starts == {("d1", "es"): pytest.approx(2.0)}
    assert stage.moments.rendering_ends == {}
    stage.passes_to(3.1 + SETTLED_S)
    assert stage.moments.rendering_ends == {("d1", "es"): pytest.approx(3.0 + FRAME_S)}


def test_more_of_it_takes_its_end_back_and_a_backchannel_is_not_rendered() -> None:
    stage = Stage()
    stage.says("Tómelo", 6.5)
    stage.passes_to(9.0)
    assert ("d2", "es") in stage.moments.rendering_ends
    stage.says("todo", 9.5)
    assert stage.moments.rendering_ends == {}
    assert set(stage.moments.rendering_starts) == {("d2", "es")}


def test_the_log_leaves_such_words_without_an_utterance() -> None:
    stage = Stage()
    stage.script.tracks = {
        name: LiveTrack(np.zeros(0, dtype=np.float32), time=stage.time, duration_s=20.0)
        for name in ("doctor", "patient")
    }
    stage.says("Tómelo", 2.0)
    (rendering,) = stage.heard.log(10.0, (), {}).renderings
    assert [(word.text, word.utterance_id) for word in rendering.words] == [("Tómelo", None)]
    assert rendering.spurts[0].start_s == pytest.approx(2.0, abs=0.01)


def test_a_piece_without_a_space_goes_on_with_the_word_before() -> None:
    stage = Stage()
    stage.script.tracks = {
        name: LiveTrack(np.zeros(0, dtype=np.float32), time=stage.time, duration_s=20.0)
        for name in ("doctor", "patient")
    }
    for n, piece in enumerate((" ¿", "To", "ma", " quin", "ce mili", "gramos", "?", " Sí", ".")):
        stage.says(piece, 2.0 + n * FRAME_S)
    stage.says("No", 4.0)
    (rendering,) = stage.heard.log(10.0, (), {}).renderings
    assert [word.text for word in rendering.words] == ["¿Toma", "quince", "miligramos?", "Sí.", "No"]
    assert [word.start_s for word in rendering.words] == pytest.approx([2.0, 2.24, 2.32, 2.56, 4.0])


def coded(pcm: Pcm) -> Pcm:
    """As it arrives through Opus."""
    encoder, decoder = OpusEncoder(), OpusDecoder()
    packets = pcm.reshape(-1, PACKET_SAMPLES)
    return np.concatenate([decoder.decode(encoder.encode(packet)) for packet in packets])


def test_whose_frame_it_is_after_a_codec_and_half_a_second() -> None:
    rng = np.random.default_rng(0)
    seconds = 3.0
    voices = {
        name: np.asarray(
            0.1 * np.convolve(rng.standard_normal(round(seconds * SAMPLE_RATE_HZ)), np.ones(12) / 4, "same"),
            dtype=np.float32,
        )
        for name in ("doctor", "patient")
    }
    time = RunTime(ManualClock())
    tracks = {name: LiveTrack(pcm, time=time, duration_s=seconds) for name, pcm in voices.items()}
    script = CastScript(tracks, latest_s=0.6)
    for tick in range(20):
        for track in tracks.values():
            track.pull(tick * FRAME_S)
    now = tracks["doctor"].heard
    late = now - FRAME_SAMPLES - SAMPLE_RATE_HZ // 2
    through = {name: coded(pcm[: now // PACKET_SAMPLES * PACKET_SAMPLES]) for name, pcm in voices.items()}
    for name, pcm in through.items():
        assert script.speaker_of(pcm[late : late + FRAME_SAMPLES]) == name
    noise = np.asarray(0.1 * rng.standard_normal(FRAME_SAMPLES), dtype=np.float32)
    assert script.speaker_of(noise) is None
    assert script.speaker_of(np.zeros(FRAME_SAMPLES, dtype=np.float32)) is None


def test_an_ear_keeps_what_began_before_the_run_and_ends_after_it() -> None:
    ones = np.ones(FRAME_SAMPLES, dtype=np.float32)
    ear = Ear([(-0.04, ones), (0.1, 2 * ones), (0.19, 3 * ones)])
    heard = ear.track(0.2)
    at = [0.0, 0.039, 0.041, 0.11, 0.185, 0.195]
    assert heard[[round(one * SAMPLE_RATE_HZ) for one in at]].tolist() == [1.0, 1.0, 0.0, 2.0, 0.0, 3.0]
