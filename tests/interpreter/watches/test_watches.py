"""What is listened for in the words of a meeting: requests, and terms of the glossary."""

from __future__ import annotations

import pytest

from interpreter.watches.glossary import GlossaryWatch, Term, TermMissed
from interpreter.watches.request_watch import PAUSE_S, RequestWatch
from interpreter.watches.requests import SpokenRequest

INSULIN = Term("insulina", "insulin")
PRESSURE = Term("presión arterial alta", "high blood pressure")


def pieces(text: str) -> list[str]:
    return [f" {word}" for word in text.split()]


@pytest.mark.parametrize(
    ("language", "text", "request_"),
    [
        ("en", "please I want a human interpreter now", SpokenRequest.HUMAN),
        ("es", "por favor quiero un intérprete humano ya", SpokenRequest.HUMAN),
        ("en", "stop interpreting please", SpokenRequest.STOP),
        ("es", "deje de interpretar por favor", SpokenRequest.STOP),
    ],
)
def test_a_request_is_heard_once_as_soon_as_it_is_complete(
    language: str, text: str, request_: SpokenRequest
) -> None:
    watch = RequestWatch(language)
    heard = [watch.add(piece, 0.3 * n) for n, piece in enumerate(pieces(text))]
    assert [request for one in heard for request in one] == [request_]
    assert request_ not in heard[0]


def test_a_request_may_be_made_again_after_a_pause_and_words_apart_make_none() -> None:
    watch = RequestWatch("en")
    for at_s in (0.0, 10.0):
        heard = [watch.add(piece, at_s + 0.3 * n) for n, piece in enumerate(pieces("stop interpreting"))]
        assert heard[-1] == {SpokenRequest.STOP}
    watch = RequestWatch("en")
    assert watch.add(" stop", 0.0) == frozenset()
    assert watch.add("", 1.0) == frozenset()
    assert watch.add(" interpreting", PAUSE_S + 0.1) == frozenset()


def test_what_is_no_request_is_none() -> None:
    watch = RequestWatch("en")
    text = "stop taking the pills and rest like every human being does"
    assert not any(watch.add(piece, 0.3 * n) for n, piece in enumerate(pieces(text)))


def watched(heard: str, spoken: str, spoken_from_s: float = 1.0) -> list[TermMissed]:
    watch = GlossaryWatch(lag_s=10.0)
    watch.set([INSULIN, PRESSURE])
    for n, piece in enumerate(pieces(heard)):
        watch.heard(piece, 0.3 * n)
    for n, piece in enumerate(pieces(spoken)):
        watch.spoken(piece, spoken_from_s + 0.3 * n)
    assert watch.advance(5.0) == []
    return watch.advance(20.0)


def test_a_term_rendered_as_the_glossary_wants_it_is_no_news() -> None:
    assert (
        watched("tengo presión arterial alta y uso insulina", "I have high blood pressure and use insulin")
        == []
    )


def test_a_term_rendered_otherwise_is_missed_with_its_time() -> None:
    [missed] = watched("uso insulina cada noche", "I use it every night")
    assert missed == TermMissed(term=INSULIN, at_s=pytest.approx(0.3))
    [missed] = watched("tengo presión arterial alta", "I have high pressure", 2.0)
    assert missed.term == PRESSURE


def test_a_word_in_pieces_is_one_word() -> None:
    watch = GlossaryWatch(lag_s=10.0)
    watch.set([INSULIN])
    for n, piece in enumerate([" ins", "ul", "ina"]):
        watch.heard(piece, 0.08 * n)
    assert [missed.term for missed in watch.advance(11.0)] == [INSULIN]


def test_without_a_transcription_nothing_is_missed() -> None:
    assert watched("", "I use it every night") == []


def test_a_translation_said_before_the_term_does_not_count() -> None:
    watch = GlossaryWatch(lag_s=10.0)
    watch.set([INSULIN])
    watch.spoken(" insulin", 0.0)
    watch.heard(" insulina", 1.0)
    assert len(watch.advance(12.0)) == 1
