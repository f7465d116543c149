import random

import pytest

from duplex_model.training.grammar import CLOSED, Link, Pair, load_grammar
from duplex_model.training.split import (
    held_out,
    held_out_productions,
    held_out_voices,
    is_training,
    normal_form,
    text_held_out,
)


def pair_of(en: str, es: str, production: str = "symptom.now") -> Pair:
    link = Link(tuple(range(len(en.split()))), tuple(range(len(es.split()))))
    return Pair(production, "patient", None, en, es, (link,))


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("My left arm hurts.", "en", "my left arm hurts"),
        ("¿Desde cuándo tiene náuseas?", "es", "desde cuándo tiene náuseas"),
        ("Take 2 pills every 8 hours.", "en", "take two pills every eight hours"),
        ("Toma 100mg.", "es", "toma cien mg"),
        ("Twenty-one -- days", "en", "twenty one days"),
        ("na\u0301useas", "es", "náuseas"),  # a letter and a combining accent
        ("snake_case", "en", "snake case"),
    ],
)
def test_the_normal_form(text: str, language: str, expected: str) -> None:
    assert normal_form(text, language) == expected


# sha256 of the normal form, as `printf '%s' 'i have a fever' | sha256sum` gives it, modulo ten.
@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("I have a fever.", "en", False),  # 6
        ("My left arm hurts.", "en", False),  # 7
        ("I am sick.", "en", True),  # 0
        ("My head hurts.", "en", True),  # 0
        ("Me duele la cabeza.", "es", False),  # 7
        ("Tengo náuseas.", "es", False),  # 6
    ],
)
def test_the_hash_decides(text: str, language: str, expected: bool) -> None:
    assert text_held_out(text, language) is expected


def test_a_pair_is_held_out_if_either_side_is() -> None:
    grammar, rng = load_grammar("core"), random.Random(0)
    pairs = [grammar.sample(rng) for _ in range(2000)]
    for pair in pairs:
        assert held_out(pair) == (text_held_out(pair.en, "en") or text_held_out(pair.es, "es"))
    share = sum(map(held_out, pairs)) / len(pairs)
    assert 0.10 < share < 0.22  # two texts of one in ten each: 0.19


def test_one_side_holds_out_both_directions() -> None:
    assert held_out(pair_of("My head hurts.", "Me duele la cabeza."))
    assert not held_out(pair_of("I have nausea.", "Tengo náuseas."))


def test_case_and_punctuation_do_not_change_the_side() -> None:
    assert text_held_out("I HAVE a fever!", "en") == text_held_out("I have a fever.", "en")


def test_the_closed_list_is_exempt() -> None:
    assert any(text_held_out(pair.en, "en") for pair in CLOSED)
    assert not any(held_out(pair) for pair in CLOSED)
    assert all(is_training(pair) for pair in CLOSED)


def test_a_held_out_production_is_never_trained_on() -> None:
    grammar, rng = load_grammar("core"), random.Random(1)
    names = held_out_productions() & set(grammar.productions)
    assert len(names) >= 5
    assert not any(is_training(grammar.sample_from(name, rng)) for name in names for _ in range(20))


def test_the_names_in_the_list_are_productions() -> None:
    assert held_out_productions() <= set(load_grammar("full").productions)


def test_voices_of_both_engines_are_held_out() -> None:
    assert "awb" in held_out_voices()  # flite
    assert len(held_out_voices() - {"awb"}) == 10  # variants of espeak-ng
