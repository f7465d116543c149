"""The languages' files: they fit together, and what a rule says it can say."""

from __future__ import annotations

import re
from importlib import resources
from itertools import combinations

import pytest
import yaml

from interpreter.facts_guard.lexicon import has_lexicon, lexicon_of
from interpreter.facts_guard.patterns import parse_rule
from interpreter.facts_guard.readers import readers_of

LANGUAGES = ["en", "es"]
PASSES = {"measures", "routes", "applied", "sides"}
SHARED = ["units", "spans"]
SHARED_TABLES = ["weekday", "month", "meal", "relation", "anchor", "at", "side", "body", "next"]


def table_of(name: str) -> dict[str, dict[str, str]]:
    folder = resources.files("interpreter.facts_guard").joinpath("languages")
    loaded: dict[str, dict[str, str]] = yaml.safe_load(folder.joinpath(name).read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_slot_of_every_rule_has_a_reader_and_a_value(language: str) -> None:
    lexicon = lexicon_of(language)
    readers = readers_of(lexicon)
    assert set(lexicon.rules) == PASSES
    for rule in (rule for rules in lexicon.rules.values() for rule in rules):
        slots = {element.slot for element in rule.pattern.elements if element.slot and not element.optional}
        assert {slot.rstrip("0123456789") for slot in slots} <= set(readers)
        computed = {"clock", "clock-before"} if "hour" in slots else set()
        for _, template in rule.facts:
            assert set(re.findall(r"<([a-z-]+\d?)>", template)) <= slots | computed, template


def test_both_languages_name_the_same_things() -> None:
    for one, other in combinations(LANGUAGES, 2):
        grammar, other_grammar = table_of(f"{one}.yaml"), table_of(f"{other}.yaml")
        for name in SHARED:
            missing = set(grammar[name]) ^ set(other_grammar[name])
            assert not missing, f"{name}: {missing}"
        for name in SHARED_TABLES:
            missing = set(grammar["tables"][name]) ^ set(other_grammar["tables"][name])
            assert not missing, f"{name}: {missing}"
        terms, other_terms = table_of(f"{one}-terms.yaml"), table_of(f"{other}-terms.yaml")
        for name in ("drugs", "allergens", "concepts"):
            missing = set(terms[name]) ^ set(other_terms[name])
            assert not missing, f"{name}: {missing}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("table", ["drugs", "allergens", "concepts"])
def test_no_name_stands_for_two_things(language: str, table: str) -> None:
    seen: dict[str, str] = {}
    for meaning, names in table_of(f"{language}-terms.yaml")[table].items():
        for name in (name.strip() for name in names.split(",")):
            assert seen.setdefault(name, meaning) == meaning, name


def test_a_language_without_files_is_known_to_have_none() -> None:
    assert has_lexicon("en")
    assert not has_lexicon("fr")


@pytest.mark.parametrize("text", ["every day", "every day = ", "every day = dose 1/day"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected|not a valid"):
        parse_rule(text)
