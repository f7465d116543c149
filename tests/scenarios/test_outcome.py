"""What is written down of a run for machines."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from scenarios.errors import RunLogError
from scenarios.judge import Verdict
from scenarios.outcome import Outcome, Result, from_json, junit, outcome_of, to_json, within
from scenarios.scenario_file import Bounds
from scenarios.scores.score import Score, count, not_scored
from tests.scenarios.runs import small

LAG = Score(name="lag.p50", value=2.5, unit="s", n=4)
PASSED = Outcome(id="good", title="Good", tags=("gate",), duration_s=12.345, scores=(LAG,))
FAILED = replace(
    PASSED, id="bad", verdicts=(Verdict(name="d1"), Verdict(name="p1", wrong=("<late> & \x00loud", "more")))
)
INVALID = replace(PASSED, id="ugly", invalid="expected it to end, got no end")


def test_results() -> None:
    assert [one.result for one in (PASSED, FAILED, INVALID)] == [
        Result.PASSED,
        Result.FAILED,
        Result.INVALID,
    ]
    assert replace(FAILED, invalid="no end").result is Result.INVALID
    assert FAILED.wrong == ["p1: <late> & \x00loud", "p1: more"]


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(max=2.5), ()),
        (Bounds(min=2.5), ()),
        (Bounds(max=2.4), ("expected at most 2.4, got 2.5",)),
        (Bounds(min=2.6, max=3.0), ("expected at least 2.6 and at most 3, got 2.5",)),
    ],
)
def test_figures_within_their_bounds(bounds: Bounds, words: tuple[str, ...]) -> None:
    assert within("lag.p50", bounds, [count("other", 9), LAG]).wrong == words


def test_a_figure_that_there_is_not_lies_in_no_bounds() -> None:
    for scores in ([], [not_scored("lag.p50", "s", "no words")]):
        assert within("lag.p50", Bounds(max=1.0), scores).wrong == ("expected at most 1, got no figure",)


def test_thresholds_of_a_scenario_are_verdicts() -> None:
    scenario = small(more="thresholds: {lag.p50: {max: 2.0}}\n")
    outcome = outcome_of(scenario, 10.0, [Verdict(name="d1")], [LAG])
    assert [one.name for one in outcome.verdicts] == ["d1", "lag.p50"]
    assert outcome.result is Result.FAILED
    assert outcome_of(scenario, 10.0, [Verdict(name="d1")], []).result is Result.PASSED


def test_json_is_sorted_whole_and_free_of_the_machine() -> None:
    text = to_json(FAILED)
    assert text == to_json(replace(FAILED))
    assert text.endswith("}\n")
    whole = json.loads(text)
    assert list(whole) == sorted(whole)
    assert set(whole) == {
        "duration_s", "id", "invalid", "result", "schema", "scores", "tags", "title", "verdicts",
    }  # fmt: skip
    assert whole["schema"] == "interp-outcome/1"
    assert whole["result"] == "failed"
    assert whole["verdicts"][1] == {"name": "p1", "wrong": ["<late> & \x00loud", "more"]}
    assert Score(**whole["scores"][0]) == LAG


@pytest.mark.parametrize("outcome", [PASSED, FAILED, INVALID])
def test_json_can_be_read_again(outcome: Outcome) -> None:
    assert from_json(to_json(outcome)) == outcome


def test_what_is_no_outcome_is_an_error() -> None:
    with pytest.raises(RunLogError, match="expected the schema interp-outcome/1"):
        from_json("{}")
    with pytest.raises(RunLogError, match="Outcome.scores\\[0\\].n: expected int, got str"):
        from_json(to_json(PASSED).replace('"n": 4', '"n": "4"'))


def test_junit() -> None:
    text = junit([PASSED, FAILED, INVALID])
    suite = ElementTree.fromstring(text.encode())
    assert {key: suite.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    good, bad, ugly = suite.findall("testcase")
    assert (good.get("name"), good.get("time"), list(good)) == ("good", "12.35", [])
    failure = bad.find("failure")
    assert failure is not None
    assert failure.get("message") == "p1: <late> & loud"
    assert failure.text == "p1: <late> & loud\np1: more"
    error = ugly.find("error")
    assert error is not None
    assert error.get("message") == "expected it to end, got no end"
