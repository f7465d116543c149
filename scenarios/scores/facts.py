"""Whether what must not be wrong arrived: numbers, drugs, sides, negations, with the rules of the facts guard. Pure.

    recall     facts of what was said that its rendering has, over all facts of what was said
    precision  facts of renderings that were said, over all facts of renderings
    polarity   rendered utterances whose denials agree, over all rendered utterances that deny something or should not:
               those with a fact or a denial on either side

A fact agrees as in `facts_guard.compare`: equal, or saying less and nothing else. One that is said again or goes
without saying is neither missing nor added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from interpreter.facts_guard.compare import Comparison, compare
from interpreter.facts_guard.extract import facts_of
from interpreter.facts_guard.facts import Difference, DifferenceKind, Fact, FactKind
from interpreter.facts_guard.lexicon import has_lexicon
from scenarios.run_log import RunLog, SaidUtterance
from scenarios.scores.alignment import IMPOSSIBLE, Alignment, to_render
from scenarios.scores.score import Score, not_scored, share

_DENIED = "no "

_facts = lru_cache(maxsize=4096)(facts_of)
"""A scenario is scored over and over, with every interpreter and every fault, and its texts recur."""


@dataclass(frozen=True, kw_only=True)
class CheckedUtterance:
    """An utterance against its rendering in one language."""

    utterance: SaidUtterance
    language: str
    rendered: bool
    """Anything was said for it."""

    said: tuple[Fact, ...]
    """What must arrive."""

    spoken: tuple[Fact, ...]
    """What the rendering says."""

    comparison: Comparison

    @property
    def missing(self) -> int:
        """Facts that did not arrive, or arrived as others."""
        return sum(one.heard is not None for one in self.comparison.differences)

    @property
    def added(self) -> int:
        """Facts that nobody said, or that should be others."""
        return sum(one.spoken is not None for one in self.comparison.differences)

    @property
    def denials_agree(self) -> bool:
        """Whether nothing is denied on one side only."""
        return not any(_is_of_polarity(one) for one in self.comparison.differences)


def check(run: RunLog, alignments: Sequence[Alignment]) -> tuple[CheckedUtterance, ...]:
    """Every utterance that was to be rendered, once for each of its languages with a lexicon."""
    return tuple(
        _check(alignment, utterance)
        for alignment in alignments
        if alignment.how != IMPOSSIBLE
        and has_lexicon(alignment.rendering.language_in)
        and has_lexicon(alignment.rendering.language_out)
        for utterance in to_render(run, alignment.rendering)
    )


def fact_scores(checked: Sequence[CheckedUtterance], note: str) -> list[Score]:
    """Recall, precision and polarity, and how many facts of each kind arrived.

    Args:
        checked: of a whole run.
        note: where the words are from.
    """
    if not checked:
        return [not_scored("facts.recall", "share", "nothing to render, no lexicon, or no alignment")]
    arrived = [outcome for one in checked for outcome in _outcomes(len(one.said), one.missing)]
    right = [outcome for one in checked for outcome in _outcomes(len(one.spoken), one.added)]
    polarity = [one.denials_agree for one in checked if one.rendered and (one.said or one.spoken)]
    return [
        share("facts.recall", arrived, note=note),
        share("facts.precision", right, note=note),
        share("facts.polarity", polarity, note=note),
        *(
            share(f"facts.recall.{kind.value}", outcomes, note=note)
            for kind in FactKind
            if (outcomes := _of_kind(checked, kind))
        ),
    ]


def _check(alignment: Alignment, utterance: SaidUtterance) -> CheckedUtterance:
    words = alignment.by_utterance.get(utterance.id, ())
    spoken = _facts(" ".join(one.word.text for one in words), alignment.rendering.language_out)
    if utterance.facts is None:
        said = _facts(utterance.text, utterance.language)
    else:
        said = tuple(Fact(kind=one.kind, value=one.value, start=0, end=0) for one in utterance.facts)
    return CheckedUtterance(
        utterance=utterance,
        language=alignment.rendering.language_out,
        rendered=bool(words),
        said=said,
        spoken=spoken,
        comparison=compare(said, spoken),
    )


def _outcomes(facts: int, wrong: int) -> list[bool]:
    return [True] * (facts - wrong) + [False] * wrong


def _of_kind(checked: Sequence[CheckedUtterance], kind: FactKind) -> list[bool]:
    """Whether each fact of a kind that was said arrived."""
    outcomes: list[bool] = []
    for one in checked:
        missing = sum(
            difference.heard is not None and difference.heard.kind is kind
            for difference in one.comparison.differences
        )
        outcomes += _outcomes(sum(fact.kind is kind for fact in one.said), missing)
    return outcomes


def _is_of_polarity(difference: Difference) -> bool:
    """Whether a denial is on one side only."""
    sides = [fact for fact in (difference.heard, difference.spoken) if fact is not None]
    if difference.kind is DifferenceKind.CHANGED and all(one.kind is FactKind.NEGATION for one in sides):
        return False  # something else is denied: wrong, and counted as a fact, but no change of polarity
    denying = [one.kind is FactKind.NEGATION or _denies_allergy(one) for one in sides]
    return any(denying) and not (len(denying) > 1 and all(denying))


def _denies_allergy(fact: Fact) -> bool:
    return fact.kind is FactKind.ALLERGY and fact.value.startswith(_DENIED)
