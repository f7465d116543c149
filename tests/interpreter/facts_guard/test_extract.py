"""What the sentences of tests/data do not say: places, odd signs, and any text at all."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.training.grammar.numerals import LARGEST, spelled
from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import FactKind
from interpreter.facts_guard.tokens import normal_form
from tests.interpreter.facts_guard.sentences import sentences

WORDS = {
    language: sorted({word for one in sentences(language) for word in one.text.split()})
    for language in ("en", "es")
}
SIGNS = [*"0123456789.,:;/-%°¿?¡!'’ \u0301\u00bd\u0660\u2167", "...", "…", "µg", "1.000,5", "9" * 40, "1e5"]
LANGUAGES = st.sampled_from(["en", "es"])


def values(text: str, language: str, kind: FactKind) -> list[str]:
    return [fact.value for fact in facts_of(text, language) if fact.kind is kind]


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("en", "two hundred thousand units", "200000 unit"),
        ("en", "1,250 units", "1250 unit"),
        ("en", "one million two hundred thousand units", "1200000 unit"),
        ("en", "three point one four milligrams", "3.14 mg"),
        ("en", "50mg", "50 mg"),
        ("en", "0.05 mg", "50 mcg"),
        ("en", "2½ mg", "2.5 mg"),
        ("es", "½ pastilla", "0.5 tablet"),
        ("es", "un millón doscientas mil unidades", "1200000 unit"),
        ("es", "1.250 unidades", "1250 unit"),
        ("es", "1.25 miligramos", "1.25 mg"),
        ("es", "cero coma cero cinco miligramos", "50 mcg"),
        ("es", "tres coma catorce miligramos", "3.14 mg"),
        ("es", "treinta y un mil unidades", "31000 unit"),
        ("es", "quince miligramos", "15 mg"),
        ("es", "catorce sobre nueve", "140/90 mmHg"),
    ],
)
def test_quantities(language: str, text: str, value: str) -> None:
    assert values(text, language, FactKind.QUANTITY) == [value]


@pytest.mark.parametrize(("fifteen", "fifty"), [("fifteen", "fifty"), ("15", "50")])
def test_fifteen_is_not_fifty(fifteen: str, fifty: str) -> None:
    assert values(f"{fifteen} mg", "en", FactKind.QUANTITY) != values(f"{fifty} mg", "en", FactKind.QUANTITY)


def test_of_two_repairs_the_last_counts() -> None:
    text = "quince, no, cincuenta, perdón, sesenta miligramos"
    assert [(fact.kind, fact.value) for fact in facts_of(text, "es")] == [(FactKind.QUANTITY, "60 mg")]


def test_a_repaired_number_takes_over_the_unit() -> None:
    assert values("fifteen milligrams, no, fifty", "en", FactKind.QUANTITY) == ["50 mg"]


def test_places_count_the_signs_of_the_normal_form() -> None:
    text = "Sí, el niño tomó 5 ml ayer."
    decomposed = "Si\u0301, el nin\u0303o tomo\u0301 5 ml ayer."
    for given_text in (text, decomposed):
        facts = facts_of(given_text, "es")
        assert [normal_form(given_text)[fact.start : fact.end] for fact in facts] == ["5 ml", "ayer"]


def test_a_language_without_lexicon_has_no_facts() -> None:
    assert facts_of("cinquante milligrammes", "fr") == ()


@given(st.integers(0, LARGEST), st.sampled_from(["en", "es"]))
def test_every_number_in_words_is_read(number: int, language: Literal["en", "es"]) -> None:
    facts = facts_of(f"{spelled(number, language)} mmhg", language)
    assert [fact.value for fact in facts] == ([f"{number} mmhg"] if number else ["0"])


@given(st.text(max_size=200), LANGUAGES)
def test_any_text_is_read(text: str, language: str) -> None:
    length = len(normal_form(text))
    for fact in facts_of(text, language):
        assert 0 <= fact.start < fact.end <= length
        assert fact.value


@given(
    LANGUAGES.flatmap(
        lambda tag: st.tuples(st.just(tag), st.lists(st.sampled_from(WORDS[tag] + SIGNS), max_size=40))
    )
)
def test_any_words_in_any_order_are_read(drawn: tuple[str, list[str]]) -> None:
    language, words = drawn
    for fact in facts_of(" ".join(words), language):
        assert "<" not in fact.value
