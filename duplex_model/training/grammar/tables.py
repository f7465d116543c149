"""Reads a tier's tables and samples sentences from them."""

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from importlib import resources
from itertools import accumulate
from typing import Any

import yaml

from duplex_model.training.grammar.derivation import Node, to_pair
from duplex_model.training.grammar.numerals import spelled
from duplex_model.training.grammar.pair import FactKind, Language, Pair, Register, Speaker
from duplex_model.training.grammar.template import (
    DIGITS,
    PUNCTUATION,
    GrammarError,
    Rule,
    Token,
    Word,
    parse_rule,
)
from duplex_model.training.grammar.verbs import verb_rules

TIERS = ("core", "full")
_RICHEST = 12.0  # log2 of how many sentences count for a production's weight, so that none dominates


@dataclass(frozen=True)
class _Production:
    name: str
    speaker: Speaker
    rule: Rule


class Grammar:
    """A tier's productions, each of which makes many sentences."""

    def __init__(
        self,
        productions: Sequence[_Production],
        categories: Mapping[str, tuple[Rule, ...]],
        facts: Mapping[str, FactKind],
    ) -> None:
        self._productions = {production.name: production for production in productions}
        self._categories = categories
        self._facts = facts
        self._sizes: dict[str, int] = {}
        self._check_slots()
        self._choices = {name: self._weighted(rules) for name, rules in categories.items()}
        self._names = tuple(self._productions)
        self._cumulative = tuple(accumulate(self._weight(name) for name in self._names))

    @property
    def productions(self) -> tuple[str, ...]:
        """The names of the structures, in the tables' order."""
        return self._names

    def sample(self, rng: random.Random) -> Pair:
        """One sentence; richer productions more often, as the logarithm of what they can say."""
        (name,) = rng.choices(self._names, cum_weights=self._cumulative)
        return self.sample_from(name, rng)

    def sample_from(self, production: str, rng: random.Random) -> Pair:
        """One sentence of one structure.

        Raises:
            KeyError: there is no production of that name.
        """
        chosen = self._productions[production]
        register = rng.choice((Register.FORMAL, Register.INFORMAL))
        return to_pair(self._fill(chosen.rule, None, rng), chosen.name, chosen.speaker, register)

    def shape(self, production: str) -> str:
        """The English of a structure with its slots unfilled: `my {place} hurts|hurt`."""
        parts = self._productions[production].rule.en
        return " ".join(_shown(token) for part in parts for token in part.tokens).lower()

    def words(self, language: Language) -> frozenset[str]:
        """Every word the tier can say, lower case, without punctuation."""
        rules = [production.rule for production in self._productions.values()]
        rules += [rule for name in sorted(self._reached()) for rule in self._categories[name]]
        return frozenset(word for rule in rules for word in _words_of(rule, language))

    def _fill(self, rule: Rule, kind: FactKind | None, rng: random.Random) -> Node:
        slots: dict[str, Node] = {}
        for slot in rule.slots:
            used = [node for name, node in slots.items() if name.rstrip(DIGITS) == slot.category]
            filler = self._filler(slot.category, rng)
            while filler in used:
                filler = self._filler(slot.category, rng)
            slots[slot.name] = filler
        return Node(rule, slots, kind)

    def _filler(self, category: str, rng: random.Random) -> Node:
        rules, cumulative = self._choices[category]
        (rule,) = rng.choices(rules, cum_weights=cumulative)
        return self._fill(rule, self._facts.get(category), rng)

    def _weighted(self, rules: tuple[Rule, ...]) -> tuple[tuple[Rule, ...], tuple[float, ...]]:
        return rules, tuple(accumulate(1.0 + math.log2(self._fillings(rule)) for rule in rules))

    def _weight(self, production: str) -> float:
        return 1.0 + min(math.log2(self._fillings(self._productions[production].rule)), _RICHEST)

    def _fillings(self, rule: Rule) -> int:
        return math.prod(self._category_size(slot.category) for slot in rule.slots)

    def _category_size(self, category: str) -> int:
        if category not in self._sizes:
            self._sizes[category] = sum(self._fillings(rule) for rule in self._categories[category])
        return self._sizes[category]

    def _reached(self) -> frozenset[str]:
        reached: set[str] = set()
        waiting = [slot.category for item in self._productions.values() for slot in item.rule.slots]
        while waiting:
            category = waiting.pop()
            if category not in reached:
                reached.add(category)
                waiting += [slot.category for rule in self._categories[category] for slot in rule.slots]
        return frozenset(reached)

    def _check_slots(self) -> None:
        rules = [item.rule for item in self._productions.values()]
        rules += [rule for category in self._categories.values() for rule in category]
        unknown = {slot.category for rule in rules for slot in rule.slots} - set(self._categories)
        if unknown:
            raise GrammarError(f"expected every slot to name a category, got {sorted(unknown)}")


def _shown(token: Token) -> str:
    return "|".join(token.forms) if isinstance(token, Word) else f"{{{token.category}}}"


def _words_of(rule: Rule, language: Language) -> Iterator[str]:
    for part in rule.side(language):
        for token in part.tokens:
            if isinstance(token, Word):
                forms = " ".join(token.forms).replace("^", " ").replace("_", " ")
                yield from (word.strip(PUNCTUATION).lower() for word in forms.split())


@cache
def load_grammar(tier: str) -> Grammar:
    """The grammar of one tier, `core` or `full`.

    Raises:
        GrammarError: there is no such tier, or its tables break the notation.
    """
    if tier not in TIERS:
        raise GrammarError(f"expected one of the tiers {TIERS}, got {tier!r}")
    tables = [_read(name) for name in TIERS[: TIERS.index(tier) + 1]]
    categories: dict[str, list[Rule]] = defaultdict(list)
    modifiers: dict[str, Rule] = {}
    families: dict[str, list[str]] = defaultdict(list)
    facts: dict[str, FactKind] = {}
    for table in tables:
        for name, rule in _fillers(table):
            categories[name].append(rule)
        modifiers |= {name: parse_rule(line) for name, line in table["modifiers"].items()}
        for name, names in table["families"].items():
            families[name].extend(names)
        facts |= {name: FactKind(kind) for name, kind in table["facts"].items()}
    productions = [item for table in tables for item in _productions(table, families, modifiers)]
    return Grammar(productions, {name: tuple(rules) for name, rules in categories.items()}, facts)


def _fillers(table: Mapping[str, Any]) -> Iterator[tuple[str, Rule]]:
    """Every category's rules; a line may hold several, divided by semicolons."""
    for name, lines in [*table["words"].items(), *table["phrases"].items()]:
        yield from ((name, parse_rule(rule)) for line in lines for rule in line.split(";"))
    for line in table.get("verbs", ()):
        for verb in line.split(";"):
            yield from verb_rules(verb)
    for name, numbers in table.get("numerals", {}).items():
        for number in range(*numbers):
            spanish = spelled(number, "es")
            if not spanish.endswith("uno"):  # would be un or una by the noun
                yield name, parse_rule(f"{spelled(number, 'en')} = {spanish}")


def _read(name: str) -> dict[str, Any]:
    text = resources.files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


def _productions(
    table: Mapping[str, Any], families: Mapping[str, Sequence[str]], modifiers: Mapping[str, Rule]
) -> Iterator[_Production]:
    for speaker, by_family in table["productions"].items():
        for family, lines in by_family.items():
            for name, line in lines.items():
                base = parse_rule(line)
                yield _Production(name, speaker, base)
                for names in families.get(family, ()):
                    chain = [modifiers[part] for part in names.split("+")]
                    yield _Production(f"{name}+{names}", speaker, reduce(Rule.followed_by, chain, base))
