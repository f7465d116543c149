from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.training.evaluation.scores import (
    NOTHING,
    Errors,
    bleu,
    chrf,
    count_errors,
    error_rate,
    facts_by_kind,
    facts_kept,
    is_exact,
    macro_share,
    mean_of,
    median_of,
    quantile_of,
    same_polarity,
    share,
    word_errors,
)
from duplex_model.training.grammar import Fact, FactKind
from tests.duplex_model.training.composing import PAIRS

LEFT = Fact(FactKind.SIDE, "left", "izquierdo")
TWO = Fact(FactKind.NUMBER, "two", "dos")
WORDS = st.lists(st.sampled_from("abcd"), max_size=7)


def test_the_interval_of_a_share_is_wilsons() -> None:
    estimate = share([True] * 9 + [False])
    assert estimate.value == 0.9
    assert estimate.low == pytest.approx(0.5958, abs=1e-4)  # Wilson (1927), 9 of 10
    assert estimate.high == pytest.approx(0.9821, abs=1e-4)


def test_a_perfect_share_is_not_certain() -> None:
    estimate = share([True] * 60)
    assert estimate.high == pytest.approx(1.0)
    assert estimate.low == pytest.approx(0.9398, abs=1e-4)


def test_no_case_is_no_figure() -> None:
    for estimate in (share([]), macro_share({"a": []}), median_of([]), mean_of([]), error_rate([])):
        assert estimate == NOTHING


def test_one_case_has_no_bootstrap_interval() -> None:
    assert (median_of([3.0]).value, median_of([3.0]).low) == (3.0, None)


def test_a_macro_average_gives_every_group_the_same_weight() -> None:
    estimate = macro_share({"common": [True] * 90, "rare": [False] * 10})
    assert (estimate.value, estimate.n) == (0.5, 100)


def test_a_bootstrap_interval_holds_its_value_and_is_the_same_again() -> None:
    values = [math.sin(index) for index in range(40)]
    for figure in (median_of, mean_of, lambda cases: quantile_of(cases, 0.95)):
        first, again = figure(values), figure(values)
        assert first == again
        assert first.low is not None
        assert first.value is not None
        assert first.high is not None
        assert first.low <= first.value <= first.high


def test_the_error_rate_weighs_cases_by_their_length() -> None:
    assert error_rate([Errors(1, 1), Errors(0, 9)]).value == pytest.approx(0.1)


@given(WORDS, WORDS)
def test_edits_are_a_metric(a: list[str], b: list[str]) -> None:
    there, back = count_errors(a, b), count_errors(b, a)
    assert there.edits == back.edits
    assert (there.edits == 0) == (a == b)
    assert abs(len(a) - len(b)) <= there.edits <= max(len(a), len(b))


def test_edits_are_counted_by_kind() -> None:
    assert count_errors(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"]).edits == 2
    assert count_errors(["a", "b", "c"], []).edits == 3


def test_case_punctuation_and_digits_do_not_matter() -> None:
    assert is_exact("¿Toma dos pastillas?", "toma 2 pastillas", "es")
    assert not is_exact("Take two pills.", "Take ten pills.", "en")
    assert word_errors("Take two pills.", "take ten pills", "en") == Errors(1, 3)


def test_a_fact_is_kept_only_word_for_word_and_as_often() -> None:
    assert facts_kept((LEFT,), "My left arm.", "en") == [(FactKind.SIDE, True)]
    assert facts_kept((LEFT,), "My right arm.", "en") == [(FactKind.SIDE, False)]
    assert facts_kept((LEFT,), "I leftover.", "en") == [(FactKind.SIDE, False)]
    twice = facts_kept((TWO, TWO), "Two pills every hour.", "en")
    assert [right for _, right in twice] == [True, False]


def test_a_fact_of_several_words_must_stand_together() -> None:
    fact = Fact(FactKind.NUMBER, "five hundred", "quinientos")
    assert facts_kept((fact,), "Five hundred units", "en") == [(FactKind.NUMBER, True)]
    assert facts_kept((fact,), "Five or one hundred", "en") == [(FactKind.NUMBER, False)]


def test_facts_are_counted_by_kind() -> None:
    figures = facts_by_kind([(PAIRS[0], "My left arm"), (PAIRS[0], "My arm")], "en")
    assert (figures["side"].value, figures["side"].n) == (0.5, 2)
    assert figures["drug"] == NOTHING


def test_an_added_negation_is_as_wrong_as_one_left_out() -> None:
    assert same_polarity("Do not eat.", "Never eat.", "en")
    assert same_polarity("I don't eat.", "I do not eat.", "en")
    assert not same_polarity("Do not eat.", "Do eat.", "en")
    assert not same_polarity("Coma.", "No coma.", "es")


def test_corpus_scores_come_with_their_signature() -> None:
    pytest.importorskip("sacrebleu")
    for score in (
        chrf(["My left arm hurts a lot."], ["My left arm hurts a lot."]),
        bleu(["a b c d"], ["a b c d"]),
    ):
        assert score is not None
        assert score.value == pytest.approx(100)
        assert "version:" in score.signature
    assert chrf([], []) is None
