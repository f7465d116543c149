"""`interpreter replay`: exit codes, what is chosen, what is said, and what is written."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from interpreter.__main__ import COMMANDS_GROUP, Execute, parser_with
from scenarios.faults import Fault
from scenarios.outcome import to_json
from scenarios.scenario_file import Scenario
from scenarios.schema import PACKAGED
from scenarios.scores.score import Score
from scenarios.summary import summary_json
from scenarios.trial import Trial, Trials
from tests.scenarios.test_outcome import PASSED

pytestmark = [pytest.mark.speech]

SCENARIO = PACKAGED / "negation-es-en.yaml"
NO_END = """
schema: interp-scenario/1
id: no-end
title: Longer than any scenario may be
catches: silent
participants:
  doctor: {role: clinician, language: en, voice: f2}
  patient: {role: patient, language: es, voice: m3}
timeline: [{id: d1, by: doctor, at: 300s, say: {en: "Good morning.", es: "Buenos días."}}]
expect: [{of: d1, begin_within: 2s}]
"""


def replayed(*arguments: str | Path) -> int:
    command = EntryPoint("replay", "scenarios.replay_command:add_replay", COMMANDS_GROUP)
    parsed = parser_with([command]).parse_args(["replay", *map(str, arguments)])
    execute: Execute = parsed.execute
    return execute(parsed)


@pytest.mark.slow
def test_a_run_that_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(SCENARIO, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().out == "1 scenarios: 1 passed\n"
    out = tmp_path / "out"
    suite = ElementTree.parse(out / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "0", "0")
    scored = json.loads((out / "negation-es-en" / "scored.json").read_text())
    assert scored["result"] == "passed"
    about = json.loads((out / "run.json").read_text())
    assert about["fault"] == "none"
    assert about["kept"] == 0
    assert datetime.fromisoformat(about["began"]).tzinfo is UTC
    assert about["host"]
    assert about["host"] not in (out / "negation-es-en" / "scored.json").read_text()
    index = (out / "index.html").read_text()
    assert "negation-es-en/report.html" in index
    assert "Figures of all runs together" in index
    summary = json.loads((out / "summary.json").read_text())
    assert summary["counts"] == {"passed": 1, "failed": 0, "invalid": 0}
    assert [one["name"] for one in summary["scores"]] == [one["name"] for one in scored["scores"]]
    assert about["host"] not in (out / "summary.json").read_text()
    assert "No fever" in (out / "negation-es-en" / "report.html").read_text()


@pytest.mark.slow
def test_another_call_goes_on_where_one_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed_ids: list[str] = []
    run = Trials.run

    def noted(trials: Trials, scenario: Scenario, *arguments: Any, **named: Any) -> Trial:
        replayed_ids.append(scenario.id)
        return run(trials, scenario, *arguments, **named)

    monkeypatch.setattr(Trials, "run", noted)
    out, before = tmp_path / "out", tmp_path / "before"
    call = (SCENARIO, PACKAGED / "allergy-no-es-en.yaml", "--out", out)
    assert replayed(*call) == 0
    whole = (out / "summary.json").read_text()
    (out / "negation-es-en" / "made.json").unlink()  # as when it was stopped there
    (out / "summary.json").rename(before)
    replayed_ids.clear()
    assert replayed(*call, "--resume") == 0
    assert replayed_ids == ["negation-es-en"]
    assert (out / "summary.json").read_text() == whole
    assert json.loads((out / "run.json").read_text())["kept"] == 1
    of_another_fault = replayed(SCENARIO, "--out", out, "--resume", "--fault", "own")
    assert of_another_fault == 1, "what was made without a fault is of no use"
    assert replayed_ids == ["negation-es-en", "negation-es-en"]
    assert replayed(SCENARIO, "--resume") == 2
    assert "expected --out with --resume" in capsys.readouterr().err


@pytest.mark.slow
def test_its_own_fault_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(SCENARIO, "--fault", "own") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 scenarios: 1 failed"
    assert all(line.startswith("negation-es-en: p1: en: expected ") for line in lines[:-1])


@pytest.mark.slow
def test_another_fault_of_words_that_the_file_does_not_spell_changes_nothing() -> None:
    assert replayed(SCENARIO, "--fault", Fault.OMISSION.value) == 0


@pytest.mark.slow
def test_a_run_that_says_nothing_is_told_apart_from_one_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no-end.yaml").write_text(NO_END)
    assert replayed(tmp_path, SCENARIO, "--fault", "own", "--out", tmp_path / "out") == 3
    assert "no-end: expected no-end to end within 240 s, got no end\n" in capsys.readouterr().out
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (suite.get("failures"), suite.get("errors")) == ("1", "1")


def test_wrong_calls(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(SCENARIO, "--tag", "no-such-tag") == 2
    assert "at least one scenario with the tags no-such-tag that is no draft" in capsys.readouterr().err
    assert replayed(tmp_path / "missing.yaml") == 2
    (tmp_path / "negation-es-en").mkdir()
    (tmp_path / "negation-es-en" / "scored.json").write_text("{}")
    assert replayed(SCENARIO, "--before", tmp_path) == 2
    assert "expected the results of a run in" in capsys.readouterr().err
    (tmp_path / "negation-es-en" / "scored.json").unlink()
    (tmp_path / "summary.json").write_text("[]")
    assert replayed(SCENARIO, "--before", tmp_path) == 2
    assert "expected the summary of a replay in" in capsys.readouterr().err
    for arguments in (["--fault", "no_such_fault"], ["--nonsense"]):
        with pytest.raises(SystemExit) as raised:
            replayed(SCENARIO, *arguments)
        assert raised.value.code == 2


def test_help_is_no_list_of_faults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        replayed("--help")
    told = capsys.readouterr().out
    assert "--fault FAULT" in told
    assert Fault.NEGATION_DROPPED.value not in told


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.slow
def test_tags_choose_a_bar_tells_and_an_earlier_run_stands_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    (tmp_path / "negation-es-en").mkdir()
    earlier = to_json(PASSED).replace("lag.p50", "lag.start_offset.p50").replace("2.5", "7.125")
    (tmp_path / "negation-es-en" / "scored.json").write_text(earlier)
    of_all = Score(name="facts.recall", value=0.8125, unit="share", n=16)
    (tmp_path / "summary.json").write_text(summary_json([PASSED], [of_all]))
    tagged = ("--tag", "negation", "--tag", "domain", "--before", tmp_path, "--out", tmp_path / "out")
    assert replayed(SCENARIO, PACKAGED / "overlap-turn-edge.yaml", *tagged) == 0
    shown = terminal.getvalue().split("\r\x1b[K")
    assert f"[{'-' * 24}] 0/1 negation-es-en 0 s" in shown
    assert f"[{'-' * 24}] 0/1 negation-es-en 2 s" in shown
    assert "7.125" in (tmp_path / "out" / "negation-es-en" / "report.html").read_text()
    assert "81.25 %" in (tmp_path / "out" / "index.html").read_text()
