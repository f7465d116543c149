"""The rules on sentences that were written before them (tests/data/facts/README.md)."""

from __future__ import annotations

from collections import Counter

import pytest

from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import FactKind
from tests.interpreter.facts_guard.sentences import scores, sentences

LEAST_RECALL = 0.98
LEAST_PRECISION = 0.95


def found(text: str, language: str) -> Counter[str]:
    return Counter(f"{fact.kind.value} {fact.value}" for fact in facts_of(text, language))


@pytest.mark.parametrize("language", ["en", "es"])
def test_every_kind_is_found_and_little_else(language: str) -> None:
    given = sentences(language)
    result, wrong = scores(given, lambda text: found(text, language))
    assert len(given) >= 200
    assert sum(not one.facts for one in given) >= 30
    assert set(result) == {kind.value for kind in FactKind}
    for kind, score in result.items():
        assert score.meant >= 10, kind
        assert score.recall >= LEAST_RECALL, (kind, wrong)
        assert score.precision >= LEAST_PRECISION, (kind, wrong)


@pytest.mark.parametrize("language", ["en", "es"])
def test_fresh_sentences_fare_no_worse_than_is_told(language: str) -> None:
    result, wrong = scores(sentences(f"fresh_{language}"), lambda text: found(text, language))
    right, meant, found_in_all = (
        sum(getattr(score, name) for score in result.values()) for name in ("right", "meant", "found")
    )
    assert right / meant >= LEAST_RECALL, wrong
    assert right / found_in_all >= LEAST_PRECISION, wrong


@pytest.mark.parametrize("language", ["en", "es"])
def test_capitals_and_punctuation_hardly_matter(language: str) -> None:
    """A speech model may write none; what is lost with the commas is what only they told."""
    given = sentences(language)
    bare = str.maketrans("", "", "¿¡?!;")
    result, wrong = scores(given, lambda text: found(text.translate(bare).lower(), language))
    for kind, score in result.items():
        assert score.recall >= 0.95, (kind, wrong)
        assert score.precision >= 0.95, (kind, wrong)
