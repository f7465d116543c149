"""Both languages against each other: sentence pairs of the training grammar say the same, and the guard agrees."""

from __future__ import annotations

import random

import pytest

from duplex_model.training.grammar import Pair, load_grammar
from interpreter.facts_guard.compare import compare
from interpreter.facts_guard.extract import facts_of

PAIRS = 240
MOST_FALSE_ALARMS = 0.01
LEAST_ALARMS = 0.97
"""Of denials whose objects the lexicon does not know it cannot tell one from another."""


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    rng = random.Random(5)
    return [load_grammar(tier).sample(rng) for tier in ("core", "full") for _ in range(PAIRS // 2)]


def differs(english: Pair, spanish: Pair) -> bool:
    return bool(compare(facts_of(english.en, "en"), facts_of(spanish.es, "es")).differences)


@pytest.mark.slow
def test_a_right_rendering_seldom_raises_an_alarm(pairs: list[Pair]) -> None:
    wrong = [f"{pair.en} / {pair.es}" for pair in pairs if differs(pair, pair)]
    assert len(wrong) <= MOST_FALSE_ALARMS * len(pairs), wrong


@pytest.mark.slow
def test_the_rendering_of_another_sentence_raises_one_nearly_always(pairs: list[Pair]) -> None:
    with_facts = [pair for pair in pairs if facts_of(pair.en, "en")]
    others = [*with_facts[1:], with_facts[0]]
    english_facts = [{(fact.kind, fact.value) for fact in facts_of(pair.en, "en")} for pair in with_facts]
    apart = [
        (one, other)
        for one, other, facts, next_facts in zip(
            with_facts, others, english_facts, [*english_facts[1:], english_facts[0]], strict=True
        )
        if facts != next_facts
    ]
    assert len(with_facts) > PAIRS // 2
    assert sum(differs(one, other) for one, other in apart) >= LEAST_ALARMS * len(apart)
