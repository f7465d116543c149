"""What came of a scenario: passed, failed or invalid, with every figure; as JSON for machines and as JUnit XML. Pure.

Nothing of the machine or the time of day is in it: the same run gives the same bytes.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from scenarios.judge import Verdict
from scenarios.plain_data import decoded, encoded
from scenarios.scenario_file import Bounds, Scenario
from scenarios.scores.score import Score

SCHEMA = "interp-outcome/1"

# XML 1.0 section 2.2: what no document may hold, not even escaped.
_NOT_XML = {n: None for n in (*range(9), 11, 12, *range(14, 32))}


class Result(enum.Enum):
    """What a replay came to."""

    PASSED = "passed"
    FAILED = "failed"
    """Something was not as the scenario expects: a gate."""

    INVALID = "invalid"
    """Something was not delivered as it is written: that says nothing of the interpreter."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one scenario."""

    id: str
    title: str
    tags: tuple[str, ...]
    duration_s: float
    verdicts: tuple[Verdict, ...] = ()
    scores: tuple[Score, ...] = ()
    invalid: str = ""
    """Why the run says nothing; empty where it does."""

    @property
    def result(self) -> Result:
        """What it came to."""
        if self.invalid:
            return Result.INVALID
        return Result.PASSED if all(one.passed for one in self.verdicts) else Result.FAILED

    @property
    def wrong(self) -> list[str]:
        """Everything that was not as expected, in words."""
        return [f"{verdict.name}: {words}" for verdict in self.verdicts for words in verdict.wrong]


def outcome_of(
    scenario: Scenario,
    duration_s: float,
    verdicts: Sequence[Verdict],
    scores: Sequence[Score],
    *,
    invalid: str = "",
) -> Outcome:
    """The outcome of a run; figures with bounds in the scenario are verdicts too, where there are figures.

    Args:
        scenario: what was replayed.
        duration_s: of the run.
        verdicts: on its expectations and invariants.
        scores: empty where none were asked for.
        invalid: why the run says nothing; empty where it does.
    """
    limits = sorted(scenario.thresholds.items()) if scores else ()
    return Outcome(
        id=scenario.id,
        title=scenario.title,
        tags=scenario.tags,
        duration_s=duration_s,
        verdicts=(
            *verdicts,
            *(within(name, bounds, scores) for name, bounds in limits),
        ),
        scores=tuple(scores),
        invalid=invalid,
    )


def within(name: str, bounds: Bounds, scores: Sequence[Score]) -> Verdict:
    """Whether a figure lies within its bounds; one that there is not, does not."""
    value = next((one.value for one in scores if one.name == name), None)
    limits = " and ".join(
        f"at {word} {limit:g}"
        for word, limit in (("least", bounds.min), ("most", bounds.max))
        if limit is not None
    )
    low = bounds.min is not None and value is not None and value < bounds.min
    high = bounds.max is not None and value is not None and value > bounds.max
    if value is None:
        return Verdict(name=name, wrong=(f"expected {limits}, got no figure",))
    return Verdict(name=name, wrong=(f"expected {limits}, got {value:g}",) if low or high else ())


def to_json(outcome: Outcome) -> str:
    """As text, a final newline included."""
    fields = encoded(outcome)
    assert isinstance(fields, dict)
    whole = {**fields, "schema": SCHEMA, "result": outcome.result.value}
    return json.dumps(whole, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> Outcome:
    """The outcome of a text.

    Raises:
        RunLogError: it is none; the message says where.
    """
    return decoded(Outcome, text, schema=SCHEMA, beside=("result",))


def junit(outcomes: Sequence[Outcome]) -> str:
    """A JUnit XML document: failures are gates, errors are runs that say nothing."""
    failed = sum(one.result is Result.FAILED for one in outcomes)
    invalid = sum(one.result is Result.INVALID for one in outcomes)
    suite = ElementTree.Element(
        "testsuite", name="scenarios", tests=str(len(outcomes)), failures=str(failed), errors=str(invalid)
    )
    for one in outcomes:
        case = ElementTree.SubElement(
            suite, "testcase", classname="scenarios", name=one.id, time=f"{one.duration_s:.2f}"
        )
        if one.result is Result.FAILED:
            text = "\n".join(one.wrong)
            ElementTree.SubElement(case, "failure", message=_plain(one.wrong[0])).text = _plain(text)
        elif one.result is Result.INVALID:
            ElementTree.SubElement(case, "error", message=_plain(one.invalid))
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n'


def _plain(text: str) -> str:
    return text.translate(_NOT_XML)
