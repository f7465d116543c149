"""The sentences of tests/data/facts, and how well rules do on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "data" / "facts"


@dataclass(frozen=True)
class Sentence:
    text: str
    facts: Counter[str]
    """`kind value` -> how often."""


def sentences(name: str) -> list[Sentence]:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [_sentence(line) for line in lines]


def _sentence(line: str) -> Sentence:
    text, _, facts = line.partition("|")
    return Sentence(text.strip(), Counter(fact.strip() for fact in facts.split(";") if fact.strip()))


@dataclass(frozen=True)
class Score:
    right: int
    meant: int
    found: int

    @property
    def recall(self) -> float:
        return self.right / self.meant if self.meant else 1.0

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0


def scores(
    given: Iterable[Sentence], find: Callable[[str], Counter[str]]
) -> tuple[dict[str, Score], list[str]]:
    """Per kind of fact, and the sentences in which something is not as meant."""
    right: Counter[str] = Counter()
    meant: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrong = []
    for sentence in given:
        facts = find(sentence.text)
        for total, some in ((right, facts & sentence.facts), (meant, sentence.facts), (found, facts)):
            for fact, count in some.items():
                total[fact.split(" ")[0]] += count
        if facts != sentence.facts:
            lost = sorted((sentence.facts - facts).elements())
            extra = sorted((facts - sentence.facts).elements())
            wrong.append(f"{sentence.text}  lost {lost}  extra {extra}")
    kinds = sorted(meant | found)
    return {kind: Score(right[kind], meant[kind], found[kind]) for kind in kinds}, wrong
