"""Scenario files as tests: what is collected, marked, passed and failed, and that others are left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.pytest_plugin import thresholds_of
from scenarios.scenario_file import Bounds
from scenarios.schema import PACKAGED

pytest_plugins = ["pytester"]

PLUGIN = ("-p", "scenarios.pytest_plugin", "-p", "no:cacheprovider", "--strict-markers")
SCENARIO = (PACKAGED / "negation-es-en.yaml").read_text()
DRAFT = """
schema: interp-scenario/1
id: begun
title: Not finished
draft: true
tags: [skip, gate]
participants: {doctor: {role: clinician, language: en, voice: f2}}
timeline: [{id: d1, by: doctor, at: 1s, say: {en: Hello.}}]
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    (pytester.path / "negation-es-en.yaml").write_text(SCENARIO)
    (pytester.path / "begun.yaml").write_text(DRAFT)
    (pytester.path / "compose.yaml").write_text("services: {web: {image: 'interp-scenario/1'}}\n")
    (pytester.path / "notes.txt").write_text("schema: interp-scenario/1\n")
    return pytester


def collected(project: pytest.Pytester, *arguments: str) -> list[str]:
    result = project.runpytest_subprocess(*PLUGIN, "--collect-only", "-q", *arguments)
    return [line for line in result.outlines if "::" in line]


@pytest.mark.slow
def test_scenarios_are_collected_and_nothing_else(project: pytest.Pytester) -> None:
    assert collected(project) == ["begun.yaml::begun", "negation-es-en.yaml::negation-es-en"]


@pytest.mark.slow
def test_tags_are_markers(project: pytest.Pytester) -> None:
    assert collected(project, "-m", "es-en and domain") == ["negation-es-en.yaml::negation-es-en"]
    assert collected(project, "-m", "gate and not es-en") == ["begun.yaml::begun"]


@pytest.mark.slow
def test_a_broken_file_is_an_error_with_its_line(project: pytest.Pytester) -> None:
    (project.path / "begun.yaml").write_text(DRAFT.replace("at: 1s", "at: 1"))
    result = project.runpytest_subprocess(*PLUGIN, "begun.yaml")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*begun.yaml, line 8: *expected *"])


@pytest.mark.slow
@pytest.mark.speech
def test_a_scenario_passes_and_a_draft_is_skipped(project: pytest.Pytester) -> None:
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1, skipped=1)


@pytest.mark.speech
@pytest.mark.slow
def test_thresholds_may_be_set_by_the_ini_file_and_then_by_the_command(project: pytest.Pytester) -> None:
    project.makeini("[pytest]\nscenario_thresholds =\n    lag.start_offset.p50 <= 0.5\n")
    result = project.runpytest_subprocess(*PLUGIN, "negation-es-en.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["lag.start_offset.p50: expected at most 0.5, got *"])
    result.stdout.no_fnmatch_line("*Traceback*")
    again = project.runpytest_subprocess(
        *PLUGIN, "negation-es-en.yaml", "--scenario-threshold", "lag.start_offset.p50 <= 9"
    )
    again.assert_outcomes(passed=1)


def test_limits() -> None:
    assert thresholds_of(["facts.recall >= 0.9", "lag.p50<=2", " lag.p50 >= 1 ", "lag.p50 <= 3"]) == {
        "facts.recall": Bounds(min=0.9),
        "lag.p50": Bounds(min=1.0, max=3.0),
    }


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (["lag.p50 < 3"], "expected a limit such as 'facts.recall >= 0.9', got 'lag.p50 < 3'"),
        (["lag.p50 <= three"], "could not convert string to float"),
        (["lag.p50 <= 1", "lag.p50 >= 2"], "expected `max` of at least 2, got 1"),
    ],
)
def test_what_is_no_limit_is_an_error(limits: list[str], expected: str) -> None:
    with pytest.raises(pytest.UsageError, match=expected.replace("(", r"\(")):
        thresholds_of(limits)


def test_a_project_without_scenarios_loads_nothing_of_us(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n"
        "    ours = {name for name in sys.modules if name.startswith(('scenarios', 'interpreter', 'torch', 'numpy'))}\n"
        "    assert ours == {'scenarios', 'scenarios.pytest_plugin'}\n"
    )
    (tmp_path / "other.yaml").write_text("a: 1\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "scenarios.pytest_plugin", str(tmp_path)]
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
