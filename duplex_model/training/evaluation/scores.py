"""Pure arithmetic of the evaluation: what is right, how often, and how sure one can be of it.

Every figure is an `Estimate`: a value with the number of cases behind it and a 95 % interval. Shares have Wilson's
interval (1927), which is sensible at 0 and 1; everything else a bootstrap over cases (Efron 1979), seeded, so that
the same outputs give the same report.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist, fmean, median
from typing import TypeVar

from duplex_model.training.grammar import Fact, FactKind, Pair
from duplex_model.training.grammar.pair import Language
from duplex_model.training.split import normal_form

_Case = TypeVar("_Case")

RESAMPLES = 1000
_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A figure as it stands in a report."""

    value: float | None
    """None where there was no case."""

    low: float | None
    """Of the 95 % interval; None where there were too few cases for one."""

    high: float | None
    n: int
    """Cases."""

    def as_json(self) -> dict[str, float | int | None]:
        """Rounded to four decimals, which is more than any interval allows."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


NOTHING = Estimate(None, None, None, 0)


def share(outcomes: Sequence[bool]) -> Estimate:
    """How often something held, with Wilson's interval."""
    n = len(outcomes)
    if not n:
        return NOTHING
    p = sum(outcomes) / n
    centre, spread = p + _Z**2 / (2 * n), _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return Estimate(p, max((centre - spread) / scale, 0.0), min((centre + spread) / scale, 1.0), n)


def macro_share(outcomes: Mapping[str, Sequence[bool]]) -> Estimate:
    """The mean over groups of how often something held in each, so that no large group decides.

    The interval is a bootstrap over the cases within each group; `n` counts cases.
    """
    groups = [list(group) for group in outcomes.values() if group]
    if not groups:
        return NOTHING
    rng = random.Random(0)
    means = [fmean(fmean(rng.choices(group, k=len(group))) for group in groups) for _ in range(RESAMPLES)]
    return _with_interval(fmean(fmean(group) for group in groups), means, sum(map(len, groups)))


def median_of(values: Sequence[float]) -> Estimate:
    """The median, with a bootstrap interval."""
    return _bootstrap(values, median)


def mean_of(values: Sequence[float]) -> Estimate:
    """The mean, with a bootstrap interval."""
    return _bootstrap(values, fmean)


def quantile_of(values: Sequence[float], q: float) -> Estimate:
    """The value that a share `q` of all does not exceed, with a bootstrap interval."""
    return _bootstrap(values, lambda sample: sorted(sample)[min(int(q * len(sample)), len(sample) - 1)])


@dataclass(frozen=True)
class Errors:
    """Edits between what was said and what should have been, and the length of the latter."""

    edits: int
    length: int


def error_rate(cases: Sequence[Errors]) -> Estimate:
    """Edits over length of all cases together; above 1 where much was added. Bootstrap over cases."""

    def rate(sample: Sequence[Errors]) -> float:
        return sum(case.edits for case in sample) / max(sum(case.length for case in sample), 1)

    return _bootstrap(cases, rate)


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    """Substitutions, omissions and additions at their fewest (Levenshtein 1966)."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != got))
            diagonal, row[j] = row[j], best
    return Errors(row[-1], len(reference))


def words_of(text: str, language: Language) -> list[str]:
    """The words of `text` as they are compared: without case and punctuation, numbers spelt out."""
    return normal_form(text, language).split()


def is_exact(reference: str, hypothesis: str, language: Language) -> bool:
    """Whether two sentences are the same but for case, punctuation and digits."""
    return words_of(reference, language) == words_of(hypothesis, language)


def word_errors(reference: str, hypothesis: str, language: Language) -> Errors:
    """As `count_errors`, of words as they are compared."""
    return count_errors(words_of(reference, language), words_of(hypothesis, language))


def facts_kept(facts: Sequence[Fact], hypothesis: str, language: Language) -> list[tuple[FactKind, bool]]:
    """Whether each fact is in what was said, word for word and as often as it should be.

    What is left out, or said as another number, drug, side or polarity, is wrong alike.
    """
    said = words_of(hypothesis, language)
    wanted = Counter(_fact_words(fact, language) for fact in facts)
    left = {words: min(_occurrences(words, said), count) for words, count in wanted.items()}
    kept = []
    for fact in facts:
        words = _fact_words(fact, language)
        kept.append((fact.kind, left[words] > 0))
        left[words] -= 1
    return kept


def _fact_words(fact: Fact, language: Language) -> tuple[str, ...]:
    return tuple(words_of(fact.en if language == "en" else fact.es, language))


def _occurrences(words: Sequence[str], said: Sequence[str]) -> int:
    """How often `words` stand in a row in `said`."""
    length = len(words)
    return sum(tuple(said[start : start + length]) == tuple(words) for start in range(len(said)))


_NEGATIONS: Mapping[str, frozenset[str]] = {
    "en": frozenset({"no", "not", "never", "none", "nothing", "without", "cannot"}),
    "es": frozenset({"no", "nunca", "nada", "ningún", "ninguna", "ninguno", "sin", "tampoco"}),
}
_CONTRACTED = frozenset({"t", "nt"})  # `don't` is two words once its apostrophe is a space


def same_polarity(reference: str, hypothesis: str, language: Language) -> bool:
    """Whether both negate or neither does; an added negation is as wrong as one left out."""
    return _negates(reference, language) == _negates(hypothesis, language)


def _negates(text: str, language: Language) -> bool:
    words = set(words_of(text, language))
    return bool(words & _NEGATIONS[language]) or (language == "en" and bool(words & _CONTRACTED))


def facts_by_kind(cases: Sequence[tuple[Pair, str]], language: Language) -> dict[str, Estimate]:
    """Share of facts kept, by kind.

    Args:
        cases: pairs, and what was said for each in `language`.
        language: the one translated into.
    """
    kept: dict[FactKind, list[bool]] = {kind: [] for kind in FactKind}
    for pair, said in cases:
        for kind, right in facts_kept(pair.facts, said, language):
            kept[kind].append(right)
    return {kind.value: share(outcomes) for kind, outcomes in kept.items()}


@dataclass(frozen=True)
class CorpusScore:
    """A score of all sentences together, from 0 to 100."""

    value: float
    signature: str
    """How it was computed, as sacrebleu writes it (Post 2018)."""


def chrf(references: Sequence[str], hypotheses: Sequence[str]) -> CorpusScore | None:
    """chrF2 (Popović 2015); None without sacrebleu or sentences."""
    return _sacrebleu("CHRF", references, hypotheses)


def bleu(references: Sequence[str], hypotheses: Sequence[str]) -> CorpusScore | None:
    """BLEU (Papineni 2002); None without sacrebleu or sentences."""
    return _sacrebleu("BLEU", references, hypotheses)


def _sacrebleu(metric: str, references: Sequence[str], hypotheses: Sequence[str]) -> CorpusScore | None:
    if not references:
        return None
    try:
        from sacrebleu import metrics
    except ImportError:
        return None
    scorer = getattr(metrics, metric)()
    score = scorer.corpus_score(list(hypotheses), [list(references)])
    return CorpusScore(float(score.score), str(scorer.get_signature()))


def _bootstrap(cases: Sequence[_Case], statistic: Callable[[Sequence[_Case]], float]) -> Estimate:
    if not cases:
        return NOTHING
    rng = random.Random(0)
    values = [statistic(rng.choices(cases, k=len(cases))) for _ in range(RESAMPLES)]
    return _with_interval(statistic(cases), values, len(cases))


def _with_interval(value: float, resampled: Sequence[float], n: int) -> Estimate:
    if n < 2:
        return Estimate(value, None, None, n)
    ordered = sorted(resampled)
    return Estimate(value, ordered[int(0.025 * len(ordered))], ordered[int(0.975 * len(ordered))], n)
