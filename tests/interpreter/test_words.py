"""Captions, notices and levels: what pages are shown."""

from __future__ import annotations

import itertools
import string

import numpy as np
import pytest

from interpreter.directions import Direction
from interpreter.interpretation import notices
from interpreter.interpretation.captions import MAX_CHARACTERS, PAUSE_TICKS, CaptionWriter
from interpreter.interpretation.notices import Person, notices_for
from interpreter.levels import HANGOVER_FRAMES, SILENCE_DBFS, Meter, level_dbfs
from interpreter.sessions.sessions import SessionState
from tests.fakes import tone
from webrtc.room import Caption, NoticeLevel

ANA = Person(id="ana", name="Ana", language="es")
BEN = Person(id="ben", name="Ben", language="en")
EVA = Person(id="eva", name="Eva", language="es")
ANA_EN, EVA_EN, BEN_ES = (
    Direction("ana", "es", "en"),
    Direction("eva", "es", "en"),
    Direction("ben", "en", "es"),
)


def writer() -> CaptionWriter:
    ids = itertools.count()
    return CaptionWriter(ANA_EN, lambda: f"c{next(ids)}")


def texts(captions: list[Caption]) -> list[tuple[str, str, bool]]:
    return [(caption.id, caption.text, caption.final) for caption in captions]


def test_pieces_grow_a_caption_until_a_pause() -> None:
    w = writer()
    assert texts(w.add(" good", 0)) == [("c0", "good", False)]
    assert w.add("", 1) == []
    assert texts(w.add(" mor", 2)) == [("c0", "good mor", False)]
    assert texts(w.add("ning", 3)) == [("c0", "good morning", False)]
    assert w.add("", 3 + PAUSE_TICKS - 1) == []
    assert texts(w.add("", 3 + PAUSE_TICKS)) == [("c0", "good morning", True)]
    assert w.add("", 3 + 2 * PAUSE_TICKS) == []
    assert texts(w.add(" and", 90)) == [("c1", "and", False)]


def test_a_long_utterance_goes_on_in_a_new_caption_at_a_word() -> None:
    w = writer()
    captions = [c for n in range(120) for piece in (" wo", "rd") for c in w.add(piece, n)]
    final = [caption for caption in captions if caption.final]
    assert len(final) >= 2
    for caption in final:
        assert caption.text.endswith("word")
        assert MAX_CHARACTERS <= len(caption.text) + 1 <= MAX_CHARACTERS + 5


def told(person: Person, states: dict[Direction, SessionState], *, translates: bool = True) -> dict[str, str]:
    shown = notices_for(person, [ANA, BEN, EVA], states, translates=translates)
    assert all(key == notice.id for key, notice in shown.items())
    return {key: notice.text for key, notice in shown.items()}


def test_no_news_is_no_notice() -> None:
    states = dict.fromkeys([ANA_EN, EVA_EN, BEN_ES], SessionState.OPEN)
    assert told(ANA, states) == told(BEN, states) == {}
    assert told(ANA, {**states, ANA_EN: SessionState.OPENING}) == {}


def test_each_hears_of_what_concerns_them_in_their_language() -> None:
    states = {ANA_EN: SessionState.FULL, EVA_EN: SessionState.FULL, BEN_ES: SessionState.OPEN}
    assert told(BEN, states) == {
        "full-hear": "All interpreters are busy. Until one is free you hear Ana and Eva directly."
    }
    assert told(ANA, states) == {
        "full-speak": "Todos los intérpretes están ocupados. Por ahora no se le interpreta a: inglés."
    }


def test_one_dead_engine_is_one_notice() -> None:
    states = dict.fromkeys([ANA_EN, EVA_EN, BEN_ES], SessionState.DOWN)
    for person in (ANA, BEN):
        assert list(told(person, states)) == ["down"]


def test_other_languages_are_told_in_english_and_unnamed_languages_by_tag() -> None:
    flo = Person(id="flo", name="Flo", language="fr")
    direction = Direction("flo", "fr", "xx")
    shown = notices_for(flo, [flo], {direction: SessionState.REFUSED}, translates=True)
    assert shown["refused-speak"].text.startswith("This interpreter cannot interpret you into xx.")


def test_a_demonstration_is_told_to_everybody_in_their_language() -> None:
    texts = {"en": "demonstration checkpoint: synthetic voices", "es": "demostración: voces sintéticas"}
    flo = Person(id="flo", name="Flo", language="fr")
    told = {
        person.id: notices_for(person, [ANA, BEN, flo], {}, translates=True, demonstration=texts)[
            "demonstration"
        ]
        for person in (ANA, BEN, flo)
    }
    assert (told["ana"].text, told["ana"].language) == ("Demostración: voces sintéticas.", "es")
    assert told["ben"].text == "Demonstration checkpoint: synthetic voices."
    assert told["flo"] == told["ben"]
    assert told["ben"].level is NoticeLevel.WARNING


def test_what_was_not_understood_is_told_to_whom_it_concerns() -> None:
    def ids(person: Person) -> list[str]:
        states = dict.fromkeys([ANA_EN, EVA_EN, BEN_ES], SessionState.OPEN)
        shown = notices_for(
            person, [ANA, BEN, EVA], states, translates=True, misheard=[ANA_EN, EVA_EN], asked=["eva"]
        )
        return [f"{key}: {notice.text}" for key, notice in shown.items()]

    assert ids(ANA) == [], "asked a moment ago"
    assert ids(EVA) == ["misheard-speak: El intérprete no le ha entendido. Repítalo, por favor."]
    assert ids(BEN) == ["misheard-hear: The interpreter did not understand Ana and Eva."]


def test_an_isolated_person_is_alerted() -> None:
    person = Person(id="ana", name="Ana", language="es", isolated=True)
    assert notices_for(person, [person], {}, translates=True)["connection"].level is NoticeLevel.ALERT


def test_names_are_shown_as_they_are() -> None:
    mallory = Person(id="eva", name="{people} <b>", language="es")
    shown = notices_for(BEN, [BEN, mallory], {EVA_EN: SessionState.FAILED}, translates=True)
    assert "{people} <b>" in shown["failed-hear"].text


@pytest.mark.parametrize("language", sorted(notices._TEXTS))
def test_every_language_has_every_text_with_the_same_blanks(language: str) -> None:
    def blanks(text: str) -> set[str | None]:
        return {field for _, field, _, _ in string.Formatter().parse(text)} - {None}

    english, other = notices._TEXTS["en"], notices._TEXTS[language]
    assert other.keys() == english.keys()
    assert {key: blanks(text) for key, text in other.items()} == {k: blanks(t) for k, t in english.items()}
    assert notices._LANGUAGE_NAMES[language].keys() == notices._LANGUAGE_NAMES["en"].keys()


def test_levels() -> None:
    assert level_dbfs(tone(400.0, peak=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert level_dbfs(np.zeros(1_920, dtype=np.float32)) == SILENCE_DBFS
    assert level_dbfs(np.full(1_920, 1e-9, dtype=np.float32)) == SILENCE_DBFS


def test_speaking_begins_at_once_outlasts_a_stop_and_ends() -> None:
    loud, quiet = tone(400.0), np.zeros(1_920, dtype=np.float32)
    meter = Meter().after(loud)
    assert meter.speaking
    for _ in range(HANGOVER_FRAMES):
        meter = meter.after(quiet)
        assert meter.speaking
    assert not meter.after(quiet).speaking
    between = tone(400.0, peak=10 ** (-47 / 20) * 2**0.5)
    assert not Meter().after(between).speaking
    assert Meter().after(loud).after(between).speaking
