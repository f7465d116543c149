"""A sentence in two languages with what joins its words: links, facts, and what each word waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from typing import Literal

Language = Literal["en", "es"]
Speaker = Literal["doctor", "patient"]


class Register(Enum):
    """How Spanish addresses the listener; English does not show it."""

    FORMAL = "formal"  # usted
    INFORMAL = "informal"  # tú


class FactKind(Enum):
    """What must not be lost on the way from one language to the other."""

    NUMBER = "number"
    DRUG = "drug"
    DOSE_UNIT = "dose_unit"
    NEGATION = "negation"
    SIDE = "side"


@dataclass(frozen=True)
class Fact:
    """One fact as both sides word it, lower case and without punctuation."""

    kind: FactKind
    en: str
    es: str


@dataclass(frozen=True)
class Link:
    """Words that say the same: indices into `str.split()` of each side, ascending, not always adjacent."""

    en: tuple[int, ...]
    es: tuple[int, ...]

    def words(self, language: Language) -> tuple[int, ...]:
        """The indices on one side."""
        return self.en if language == "en" else self.es


@dataclass(frozen=True)
class Agreement:
    """A word whose form is decided by another link: `la` by the noun, `duelen` by what hurts."""

    language: Language
    word: int
    link: int  # index into Pair.links


@dataclass(frozen=True)
class Pair:
    """One sentence in English and Spanish: cased, punctuated, numbers in words.

    Every word of both sides is in exactly one link. `register` is None where the Spanish addresses nobody,
    so that it is the same for usted and tú.
    """

    production: str
    speaker: Speaker
    register: Register | None
    en: str
    es: str
    links: tuple[Link, ...]
    facts: tuple[Fact, ...] = ()
    agreements: tuple[Agreement, ...] = ()

    def text(self, language: Language) -> str:
        """The sentence in one language."""
        return self.en if language == "en" else self.es

    def earliest(self, source_language: Language) -> tuple[int, ...]:
        """For each word of the translation, the last source word to have heard before it may be said.

        A word waits for its link, for the link that decides its form, and for every word before it; the
        result therefore never falls.
        """
        target: Language = "es" if source_language == "en" else "en"
        waits = [0] * len(self.text(target).split())
        for link in self.links:
            _wait(waits, link.words(target), link.words(source_language))
        for agreement in self.agreements:
            if agreement.language == target:
                _wait(waits, (agreement.word,), self.links[agreement.link].words(source_language))
        return tuple(accumulate(waits, max))


def _wait(waits: list[int], targets: Sequence[int], sources: Sequence[int]) -> None:
    for word in targets:
        waits[word] = max((waits[word], *sources))
