from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES
from duplex_model.training.evaluate import Examiner, Listener, Outcome, main, report_of
from duplex_model.training.evaluation.cells import Case, Cell, Planner, stock_of
from duplex_model.training.evaluation.figures import row_of
from duplex_model.training.evaluation.rollout import Rollout, run_trials
from duplex_model.training.evaluation.scores import Estimate
from duplex_model.training.grammar import load_grammar
from tests.duplex_model.training.composing import synthesise
from tests.duplex_model.training.scripted_model import SOUND, UNSURE, Script, ScriptedModel

PER_CELL = 6


@pytest.fixture(scope="module")
def planner() -> Planner:
    real = stock_of(load_grammar("core"), seed=0)
    materials = replace(real.materials, synthesise=synthesise, augment=lambda pcm, generator, strength: pcm)
    return Planner(replace(real, materials=materials), PER_CELL)


def perfect(case: Case, lag_s: float = 0.4) -> Script:
    """Every word of every turn, the same time after the source word that it waits for."""
    script: dict[int, str] = {}
    for turn in case.turns:
        assert turn.pair is not None
        waits = turn.pair.earliest(turn.language)
        target = turn.pair.es if turn.language == "en" else turn.pair.en
        free = 0
        for word, wait in zip(target.split(), waits, strict=True):
            free = max(free + 1, round((turn.word_ends_s[wait] + lag_s) / 0.08))
            script[free] = f" {word}"
    return script


def played(cell: Cell, scripts: list[Script]) -> list[Rollout]:
    trials = [replace(case.trial, seed=seed) for seed, case in enumerate(cell.cases)]
    return run_trials(ScriptedModel(scripts, lanes=3), trials, report=lambda done, words: None)


def figures(cell: Cell, rollouts: list[Rollout]) -> dict[str, Estimate]:
    return dict(row_of(cell, rollouts, {}).figures)


def test_a_perfect_interpreter_is_found_perfect(planner: Planner) -> None:
    for name in ("held-out combinations, simultaneous, es-en", "held-out productions, consecutive, en-es"):
        cell = planner.cells()[name]()
        row = row_of(cell, played(cell, [perfect(case) for case in cell.cases]), {})
        assert row.figures["exact"].value == 1.0
        assert row.figures["word_error"].value == 0.0
        assert row.figures["polarity"].value == 1.0
        assert all(row.figures[kind].value in (1.0, None) for kind in ("number", "drug", "negation", "side"))
        assert row.figures["ear_voice_span_first_word_p50"].value == pytest.approx(0.4, abs=0.05)
        assert row.examples[0]["said"] == row.examples[0]["expected"]


def test_an_interpreter_who_leaves_out_the_last_word_is_not(planner: Planner) -> None:
    cell = planner.cells()["held-out combinations, simultaneous, en-es"]()
    scripts = [dict(list(perfect(case).items())[:-1]) for case in cell.cases]
    found = figures(cell, played(cell, scripts))
    assert found["exact"].value == 0.0
    assert 0 < (found["word_error"].value or 0) < 0.5
    assert found["ear_voice_span_first_word_p50"].n == 0


def test_one_who_speaks_into_silence_and_one_who_does_not(planner: Planner) -> None:
    cell = planner.cells()["target language, simultaneous, es-en"]()
    assert figures(cell, played(cell, [{}]))["silent"].value == 1.0
    assert figures(cell, played(cell, [{20: " pain"}]))["silent"].value == 0.0


def test_several_turns_are_one_text(planner: Planner) -> None:
    cell = planner.cells()["several turns, simultaneous, es-en"]()
    found = figures(cell, played(cell, [perfect(case) for case in cell.cases]))
    assert found["exact"].value == 1.0
    assert "side" in found
    assert "end_offset_p50" not in found


def test_who_is_interrupted_falls_silent(planner: Planner) -> None:
    cell = planner.cells()["interruption, consecutive, es-en"]()
    spoken = [
        {frame: SOUND for frame in range(len(case.trial.heard) // FRAME_SAMPLES)} for case in cell.cases
    ]
    found = figures(cell, played(cell, spoken))
    assert found["stopped_in_half_a_second"].value == 1.0
    assert found["stop_p50"].value == 0.0
    assert found["not_resumed"].value == 1.0
    assert found["next_turn_exact"].value == 0.0  # the scripted model is hushed for good


def test_abstaining_is_right_outside_the_domain_and_wrong_within(planner: Planner) -> None:
    outside = planner.cells()["out of domain, simultaneous, es-en"]()
    inside = planner.cells()["held-out combinations, simultaneous, es-en"]()
    refused: list[Script] = [{30: UNSURE}] * 4 + [{30: " pain"}] * 2
    one_refused: list[Script] = [{30: UNSURE}, *(perfect(case) for case in inside.cases[1:])]
    outcomes = []
    for cell, scripts in ((outside, refused), (inside, one_refused)):
        rollouts = played(cell, scripts)
        abstained = tuple(bool(rollout.unsure_frames) for rollout in rollouts)
        outcomes.append(Outcome(row_of(cell, rollouts, {}), cell.kind, abstained))
    assert outcomes[0].row.figures["abstained"].value == pytest.approx(4 / 6)
    overall = report_of(outcomes, {}).overall
    assert (overall["abstention_precision"].value, overall["abstention_precision"].n) == (4 / 5, 5)
    assert overall["abstention_recall"].value == pytest.approx(4 / 6)


def test_every_cell_can_be_examined_and_reported(planner: Planner, tmp_path: Path) -> None:
    examiner = Examiner(ScriptedModel([{}], lanes=8), planner, Listener(planner.stock))
    names = list(planner.cells())
    outcomes = [outcome for name in names if (outcome := examiner.examine(name)) is not None]
    report = report_of(outcomes, {"checkpoint": "silent", "threads": 1})
    report.write(tmp_path / "report.json")
    described = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [row["cell"] for row in described["rows"]] == names
    assert not list(tmp_path.glob("*.partial"))
    by_name = {row["cell"]: row["figures"] for row in described["rows"]}
    assert by_name["silence, simultaneous, es-en"]["silent"]["value"] == 1.0
    assert by_name["held-out combinations, simultaneous, es-en"]["exact_micro"]["value"] == 0.0
    assert by_name["backchannel, consecutive, es-en"]["continued"]["n"] == 0
    markdown = report.markdown()
    assert markdown.count("\n### ") == 9
    for line in markdown.splitlines():
        assert not line.startswith("|") or line.endswith("|")
    assert "| silence, simultaneous, es-en | 1 | 100 % [21, 100] |" in markdown


def test_the_cells_are_listed_without_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ["--checkpoint", "none", "--out", "none.json", "--list", "--cells", "interruption", "silence"]
    assert main(wanted) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 8
    assert all(name.startswith(("interruption", "silence")) for name in listed)


def test_a_checkpoint_that_is_not_there_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["--checkpoint", str(tmp_path / "nothing"), "--out", str(tmp_path / "r.json"), "--quick"]) == 1
    )
    assert "error: expected" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_audio_of_nothing_said_is_no_figure(planner: Planner) -> None:
    cell = planner.cells()["notice, simultaneous, es-en"]()
    rollouts = [Rollout(pcm=np.zeros(FRAME_SAMPLES, np.float32), pieces=()) for _ in cell.cases]
    found = figures(cell, rollouts)
    assert (found["completed"].value, found["answered"].value) == (0.0, 0.0)
