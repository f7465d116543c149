"""What is asked of the interpreter by voice, on phrases that were written before the patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.watches.requests import SpokenRequest, spoken_requests
from tests.interpreter.facts_guard.sentences import Sentence, sentences

PHRASES = [(language, one) for language in ("en", "es") for one in sentences(f"requests_{language}")]


def asked(text: str, language: str) -> set[str]:
    return {request.value for request in spoken_requests(text, language)}


def test_there_are_phrases_enough() -> None:
    for language in ("en", "es"):
        mine = [one for tag, one in PHRASES if tag == language]
        assert len(mine) >= 60
        assert sum(not one.facts for one in mine) >= 30


@pytest.mark.parametrize(("language", "phrase"), PHRASES, ids=lambda value: getattr(value, "text", value))
def test_a_request_is_found_and_nothing_else(language: str, phrase: Sentence) -> None:
    assert asked(phrase.text, language) == set(phrase.facts)


@pytest.mark.parametrize(("language", "phrase"), PHRASES, ids=lambda value: getattr(value, "text", value))
def test_growing_text_asks_for_nothing_that_the_whole_does_not(language: str, phrase: Sentence) -> None:
    for end in range(len(phrase.text)):
        assert asked(phrase.text[:end], language) <= set(phrase.facts), phrase.text[:end]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I want a human interpreter"),
        ("en", "so wait a minute please stop interpreting"),
        ("es", "quiero hablar con una persona"),
        ("es", "mire, deje de interpretar"),
    ],
)
def test_it_is_found_with_the_last_word_and_not_before(language: str, text: str) -> None:
    assert len(asked(text, language)) == 1
    assert not asked(text.rsplit(" ", 1)[0], language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Please don't stop interpreting."),
        ("en", "Why did you stop interpreting?"),
        ("es", "No deje de interpretar."),
        ("es", "No quiero un intérprete humano."),
    ],
)
def test_what_is_denied_or_asked_about_is_no_request(language: str, text: str) -> None:
    assert not asked(text, language)


def test_a_no_of_the_sentence_before_denies_nothing() -> None:
    assert spoken_requests("No, quiero un intérprete humano.", "es") == {SpokenRequest.HUMAN}
    assert spoken_requests("No. Deje de interpretar.", "es") == {SpokenRequest.STOP}


def test_a_language_without_phrases_asks_for_nothing() -> None:
    assert not spoken_requests("I want a human interpreter", "fr")


@given(st.text(max_size=60), st.sampled_from(["en", "es", "fr"]))
def test_any_text_is_read(text: str, language: str) -> None:
    assert spoken_requests(text, language) <= set(SpokenRequest)
