"""Whether the words of a rendering are what an expectation wants. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from interpreter.facts_guard.compare import agrees
from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import Fact
from interpreter.languages import folded
from scenarios.scenario_file import Expectation, FactSaid

_WORD = re.compile(r"\w+")

_WHO_EN = "he|she|they|(the|this) (patient|doctor|nurse|man|woman|lady|gentleman|mother|father|daughter|son)"
_WHO_ES = (
    "el|ella|(el|la|este|esta) (paciente|doctor|doctora|medico|medica|enfermero|enfermera|senor|senora|hombre|mujer|"
    "madre|padre|hija|hijo)"
)
_REPORTS: Mapping[str, re.Pattern[str]] = {
    "en": re.compile(
        rf"\b({_WHO_EN}) (says|said|is saying|asks|asked|is asking|tells|told|reports|wants to know|wants you to)\b"
    ),
    "es": re.compile(
        rf"\b({_WHO_ES}) (dice|dijo|esta diciendo|pregunta|pregunto|cuenta|quiere saber|quiere que)\b"
        r"|^(dice|pregunta|quiere saber|comenta) (que|si|cuando|como|donde|cuanto|cual)\b"
    ),
}
"""Language -> how somebody is spoken of who should be spoken for; without accents and capitals."""


def faults_of_words(expectation: Expectation, text: str, language: str) -> list[str]:
    """What is wrong with a rendering, in words; nothing where it is as expected.

    Args:
        expectation: of an utterance.
        text: the rendering.
        language: its primary tag.
    """
    found = facts_of(text, language)
    words = _words(text)
    return [
        *(f"expected {_named(fact)}, got none" for fact in expectation.facts if not says(fact, found)),
        *(f"expected no {_named(fact)}, got it" for fact in expectation.forbid if _is_said(fact, found)),
        *(f"expected {phrase!r}, got none" for phrase in expectation.says if not _has(words, phrase)),
        *(f"expected no {phrase!r}, got it" for phrase in expectation.never_says if _has(words, phrase)),
        *_reported(expectation, words, language),
    ]


def says(wanted: FactSaid, found: Collection[Fact]) -> bool:
    """Whether one of the facts `found` says `wanted`, or says it in other words the guard takes for the same."""
    fact = Fact(kind=wanted.kind, value=wanted.value, start=0, end=0)
    return any(agrees(fact, one) for one in found)


def _is_said(forbidden: FactSaid, found: Collection[Fact]) -> bool:
    """Whether just that is said; what says less is not forbidden."""
    return any(one.kind is forbidden.kind and one.value == forbidden.value for one in found)


def _reported(expectation: Expectation, words: Sequence[str], language: str) -> Iterator[str]:
    match = _REPORTS[language].search(" ".join(words)) if expectation.person == "first" else None
    if match is not None:
        yield f"expected the first person, got {match[0]!r}"


def _words(text: str) -> list[str]:
    return _WORD.findall(folded(text))


def _has(words: Sequence[str], phrase: str) -> bool:
    """Whether one of the alternatives of `phrase` stands in `words`."""
    joined = f" {' '.join(words)} "
    return any(f" {' '.join(_words(one))} " in joined for one in phrase.split("|"))


def _named(fact: FactSaid) -> str:
    return f"{fact.kind.value} {fact.value!r}"
