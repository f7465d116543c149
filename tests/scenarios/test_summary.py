"""What is written of many scenarios together."""

from __future__ import annotations

import json

import pytest

from scenarios.errors import RunLogError
from scenarios.scores.score import count, not_scored, share
from scenarios.summary import summary_json, summary_scores
from tests.scenarios.test_outcome import FAILED, INVALID, PASSED

SCORES = (
    share("facts.recall", 9 * [True] + [False]),
    count("mix.clipped", 3),
    not_scored("x", "s", "no words"),
)


def test_it_counts_and_names_what_came_of_each() -> None:
    whole = json.loads(summary_json([PASSED, FAILED, INVALID], SCORES))
    assert list(whole) == sorted(whole)
    assert whole["schema"] == "interp-summary/1"
    assert whole["counts"] == {"passed": 1, "failed": 1, "invalid": 1}
    assert [(one["id"], one["result"]) for one in whole["scenarios"]] == [
        ("good", "passed"), ("bad", "failed"), ("ugly", "invalid"),
    ]  # fmt: skip
    assert whole["scenarios"][1]["wrong"] == FAILED.wrong
    assert whole["scenarios"][2]["wrong"] == [INVALID.invalid]


def test_its_scores_can_be_read_again() -> None:
    text = summary_json([PASSED], SCORES)
    assert text == summary_json([PASSED], SCORES)
    back = summary_scores(text)
    assert [one.name for one in back] == [one.name for one in SCORES]
    assert summary_json([PASSED], back) == text
    assert back[0].low == pytest.approx(SCORES[0].low, abs=1e-6)


def test_what_is_no_summary_is_an_error() -> None:
    with pytest.raises(RunLogError, match="expected the schema interp-summary/1, got None"):
        summary_scores("{}")
