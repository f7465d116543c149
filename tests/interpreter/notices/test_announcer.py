from __future__ import annotations

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.notices.announcer import GAP_FRAMES, POLITE_WAIT_S, WAIT_S, Announcer, Shown
from interpreter.roles.scripts import Script

HELLO = Script(language="en", sentences=("Hello.", "I am an interpreter."))
HOLA = Script(language="es", sentences=("Hola.",))


class Reader:
    """An announcer, its sounds, and what listeners were read."""

    def __init__(self, sounds: dict[str, int] | None = None) -> None:
        """`sounds` gives the length in samples of the sentences that have a sound."""
        self.sounds = (
            sounds if sounds is not None else {"Hello.": 4_000, "I am an interpreter.": 1_920, "Hola.": 100}
        )
        self.announcer = Announcer(self._sound)
        self.n = 0
        self.heard: dict[str, list[Pcm]] = {}
        self.shown: list[tuple[int, Shown]] = []
        self.listening: list[frozenset[str]] = []

    def _sound(self, text: str, language: str) -> Pcm | None:
        samples = self.sounds.get(text)
        return None if samples is None else np.full(samples, 0.1, dtype=np.float32)

    def ticks(self, n: int, talking: set[str] | None = None) -> None:
        for _ in range(n):
            read = self.announcer.advance(talking or set(), self.now_s)
            self.n += 1
            for who, pcm in read.pcm.items():
                assert pcm.shape == (FRAME_SAMPLES,)
                self.heard.setdefault(who, []).append(pcm)
            self.shown += [(self.n, shown) for shown in read.shown]
            self.listening.append(read.listening)

    @property
    def now_s(self) -> float:
        return 100.0 + self.n * FRAME_S

    def samples(self, who: str) -> int:
        return sum(int(np.count_nonzero(pcm)) for pcm in self.heard.get(who, []))


def test_sentences_sound_whole_one_after_the_other_and_are_shown_as_they_begin() -> None:
    reader = Reader()
    reader.announcer.say("ben", HELLO, reader.now_s)
    reader.ticks(20)
    assert reader.samples("ben") == 5_920
    assert [(tick, shown.text) for tick, shown in reader.shown] == [
        (1, "Hello."),
        (1 + 3 + GAP_FRAMES, "I am an interpreter."),
    ]
    assert reader.announcer.idle
    assert [bool(who) for who in reader.listening[:8]] == [True] * 7 + [False]


def test_each_listener_is_read_their_own() -> None:
    reader = Reader()
    reader.announcer.say("ben", HELLO, reader.now_s)
    reader.announcer.say("ana", HOLA, reader.now_s)
    reader.ticks(1)
    assert reader.samples("ben") == 1_920
    assert reader.samples("ana") == 100
    assert reader.listening[0] == {"ana", "ben"}


def test_a_sentence_without_a_sound_is_shown_after_a_while_and_never_skipped() -> None:
    reader = Reader(sounds={})
    reader.announcer.say("ben", HELLO, reader.now_s)
    reader.ticks(int(WAIT_S / FRAME_S) - 1)
    assert reader.shown == []
    reader.ticks(6)
    assert [shown.text for _, shown in reader.shown] == list(HELLO.sentences)
    assert reader.samples("ben") == 0
    assert reader.announcer.idle


def test_a_sound_that_comes_in_time_is_waited_for() -> None:
    reader = Reader(sounds={})
    reader.announcer.say("ana", HOLA, reader.now_s)
    reader.ticks(20)
    assert reader.shown == []
    assert reader.listening[-1] == frozenset()
    reader.sounds["Hola."] = 100
    reader.ticks(1)
    assert reader.samples("ana") == 100


def test_a_polite_one_waits_for_its_listener_but_not_for_ever() -> None:
    reader = Reader()
    reader.announcer.say("ana", HOLA, reader.now_s, polite=True)
    reader.ticks(20, talking={"ana"})
    assert reader.shown == []
    reader.ticks(1, talking={"ben"})
    assert reader.samples("ana") == 100
    reader.announcer.say("ana", HOLA, reader.now_s, polite=True)
    reader.ticks(int(POLITE_WAIT_S / FRAME_S) + 2, talking={"ana"})
    assert reader.samples("ana") == 200


def test_a_voice_does_not_stop_what_was_begun() -> None:
    reader = Reader()
    reader.announcer.say("ben", HELLO, reader.now_s, polite=True)
    reader.ticks(1)
    reader.ticks(20, talking={"ben"})
    assert reader.samples("ben") == 5_920


def test_who_has_left_is_forgotten() -> None:
    reader = Reader()
    reader.announcer.say("ben", HELLO, reader.now_s)
    reader.ticks(1)
    reader.announcer.keep({"ana"})
    assert reader.announcer.idle
    reader.ticks(3)
    assert reader.samples("ben") == 1_920


def test_nothing_to_say_is_nothing() -> None:
    reader = Reader()
    reader.announcer.say("ben", Script(language="en", sentences=()), reader.now_s)
    assert reader.announcer.idle


@pytest.mark.parametrize("length", [1, FRAME_SAMPLES - 1, FRAME_SAMPLES, FRAME_SAMPLES + 1])
def test_sounds_of_any_length(length: int) -> None:
    reader = Reader(sounds={"Hola.": length})
    reader.announcer.say("ana", HOLA, reader.now_s)
    reader.ticks(4)
    assert reader.samples("ana") == length


def test_sentences_that_are_only_shown_hold_nothing_back() -> None:
    reader = Reader(sounds={})
    reader.announcer.say("ana", HELLO, reader.now_s)
    reader.ticks(round(WAIT_S / FRAME_S) + 5)
    assert [shown.text for _, shown in reader.shown] == list(HELLO.sentences)
    assert not any(reader.listening)
