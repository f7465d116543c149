"""What came of many scenarios together, as JSON for machines: counts, and the scores of all their cases. Pure.

Like the outcome of one scenario it knows neither the machine nor the time of day: the same runs give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scenarios.outcome import Outcome, Result
from scenarios.plain_data import decoded, encoded
from scenarios.scores.score import Score

SCHEMA = "interp-summary/1"


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One scenario."""

    id: str
    result: Result
    wrong: tuple[str, ...]
    """What was not as expected, or why the run says nothing."""


@dataclass(frozen=True, kw_only=True)
class _Summary:
    counts: Mapping[str, int]
    scenarios: tuple[_Line, ...]
    scores: tuple[Score, ...]


def summary_json(outcomes: Sequence[Outcome], scores: Sequence[Score]) -> str:
    """As text, a final newline included.

    Args:
        outcomes: of every scenario.
        scores: of all runs that say something, their cases together.
    """
    lines = [
        _Line(id=one.id, result=one.result, wrong=(one.invalid,) if one.invalid else tuple(one.wrong))
        for one in outcomes
    ]
    summary = _Summary(
        counts={result.value: sum(one.result is result for one in outcomes) for result in Result},
        scenarios=tuple(lines),
        scores=tuple(scores),
    )
    fields = encoded(summary)
    assert isinstance(fields, dict)
    whole = {**fields, "schema": SCHEMA}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def summary_scores(text: str) -> tuple[Score, ...]:
    """The scores of a summary.

    Raises:
        RunLogError: it is none; the message says where.
    """
    return decoded(_Summary, text, schema=SCHEMA).scores
