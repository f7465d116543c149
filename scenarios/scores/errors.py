"""The five errors of medical interpreting (Flores et al. 2003), as far as they can be told by rule.

    omission           a unit of an utterance of which nothing was said; where the scenario names no units, an utterance
    addition           facts that nobody said, and words that render nothing
    substitution       a fact said as another one, or a unit for which a phrase was said that is wrong for it
    editorialization   the interpreter's own opinion        } only a person can tell: from an annotation file,
    false fluency      a word that is wrong or no word       } or not scored

An annotation file is JSON, one object per error that its author found:

    {"schema": "interp-annotations/1", "scenario": "dose-01", "annotator": "A. B.",
     "errors": [{"utterance": "p1", "language": "en", "category": "false_fluency", "consequential": true}]}

Without errors it says that there are none.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass

from interpreter.facts_guard.facts import DifferenceKind
from interpreter.floor.spoken_words import words_of
from scenarios.errors import RunLogError
from scenarios.run_log import RunLog, SaidUtterance, Unit
from scenarios.scores.alignment import IMPOSSIBLE, Alignment, to_render
from scenarios.scores.facts import CheckedUtterance
from scenarios.scores.score import Score, count, not_scored, share

ANNOTATIONS = "interp-annotations/1"


class Category(enum.Enum):
    """What is wrong."""

    OMISSION = "omission"
    ADDITION = "addition"
    SUBSTITUTION = "substitution"
    EDITORIALIZATION = "editorialization"
    FALSE_FLUENCY = "false_fluency"


@dataclass(frozen=True, kw_only=True)
class AnnotatedError:
    """An error that a person found."""

    utterance_id: str
    language: str
    """Of the rendering."""

    category: Category
    consequential: bool
    """It might have harmed the patient."""


@dataclass(frozen=True, kw_only=True)
class UnitOutcome:
    """What became of one unit in one language."""

    utterance: SaidUtterance
    unit_id: str
    language: str
    rendered: bool
    replaced: bool
    """Something was said in its place that is wrong."""


def units_of(run: RunLog, alignments: Sequence[Alignment]) -> tuple[UnitOutcome, ...]:
    """Every unit that was to be rendered, once for each language; an utterance is one where it names none."""
    return tuple(
        outcome
        for alignment in alignments
        if alignment.how != IMPOSSIBLE
        for utterance in to_render(run, alignment.rendering)
        for outcome in _outcomes(alignment, utterance)
    )


def error_scores(
    units: Sequence[UnitOutcome],
    checked: Sequence[CheckedUtterance],
    alignments: Sequence[Alignment],
    annotations: Sequence[AnnotatedError] | None = None,
) -> list[Score]:
    """Rates of omission and substitution, and counts of the others.

    Args:
        units: of `units_of`.
        checked: of `facts.check`.
        alignments: of the same run.
        annotations: None where nobody annotated it.
    """
    facts = [difference.kind for one in checked for difference in one.comparison.differences]
    stray = sum(len(one.without_source) for one in alignments if one.how != IMPOSSIBLE)
    rendered = [one for one in units if one.rendered or one.replaced]
    said = [one for one in checked for _ in one.said]
    return [
        share("errors.omission", [not one.rendered for one in units], note="of units"),
        share("errors.substitution.units", [one.replaced for one in rendered], note="of units rendered"),
        share(
            "errors.substitution.facts",
            [True] * facts.count(DifferenceKind.CHANGED)
            + [False] * (len(said) - facts.count(DifferenceKind.CHANGED)),
            note="of facts said",
        ),
        count("errors.addition.facts", facts.count(DifferenceKind.ADDED)),
        count("errors.addition.words", stray, note="words of renderings that render nothing"),
        *_annotated(annotations),
    ]


def annotations_from_json(text: str) -> tuple[AnnotatedError, ...]:
    """The errors of an annotation file.

    Raises:
        RunLogError: another schema, or an error that is not described as above.
    """
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise RunLogError(f"expected JSON, got {error}") from None
    if not isinstance(whole, dict) or whole.get("schema") != ANNOTATIONS:
        raise RunLogError(f"expected the schema {ANNOTATIONS}, got {str(whole)[:60]}")
    errors = whole.get("errors")
    if not isinstance(errors, list):
        raise RunLogError(f"expected a list of errors, got {errors!r}")
    return tuple(_annotation(n, one) for n, one in enumerate(errors))


def _annotation(number: int, one: object) -> AnnotatedError:
    where = f"errors[{number}]"
    if not isinstance(one, dict):
        raise RunLogError(f"{where}: expected an object, got {one!r}")
    known = [category.value for category in Category]
    if one.get("category") not in known:
        raise RunLogError(
            f"{where}.category: expected one of {', '.join(known)}, got {one.get('category')!r}"
        )
    for name, kind in (("utterance", str), ("language", str), ("consequential", bool)):
        if not isinstance(one.get(name), kind):
            raise RunLogError(f"{where}.{name}: expected {kind.__name__}, got {one.get(name)!r}")
    return AnnotatedError(
        utterance_id=one["utterance"],
        language=one["language"],
        category=Category(one["category"]),
        consequential=one["consequential"],
    )


def _annotated(annotations: Sequence[AnnotatedError] | None) -> list[Score]:
    """Counts of every category of an annotation file; of those that only a person can tell where there is none."""
    if annotations is None:
        by_hand = (Category.EDITORIALIZATION, Category.FALSE_FLUENCY)
        return [
            not_scored(f"errors.annotated.{one.value}", "count", "needs an annotation file")
            for one in by_hand
        ]
    consequential = sum(one.consequential for one in annotations)
    return [
        *(
            count(f"errors.annotated.{one.value}", sum(error.category is one for error in annotations))
            for one in Category
        ),
        count("errors.annotated.consequential", consequential),
    ]


def _outcomes(alignment: Alignment, utterance: SaidUtterance) -> list[UnitOutcome]:
    language = alignment.rendering.language_out
    said = alignment.by_utterance.get(utterance.id, ())
    words = words_of(" ".join(one.word.text for one in said))
    units = [one for one in utterance.units if language in one.phrases]
    if not units:
        return [
            UnitOutcome(
                utterance=utterance, unit_id="", language=language, rendered=bool(words), replaced=False
            )
        ]
    return [_unit_outcome(utterance, one, language, words) for one in units]


def _unit_outcome(utterance: SaidUtterance, unit: Unit, language: str, words: Sequence[str]) -> UnitOutcome:
    return UnitOutcome(
        utterance=utterance,
        unit_id=unit.id,
        language=language,
        rendered=any(_holds(words, phrase) for phrase in unit.phrases[language]),
        replaced=any(_holds(words, phrase) for phrase in unit.wrong.get(language, ())),
    )


def _holds(words: Sequence[str], phrase: str) -> bool:
    wanted = words_of(phrase)
    return any(tuple(words[n : n + len(wanted)]) == wanted for n in range(len(words) - len(wanted) + 1))
