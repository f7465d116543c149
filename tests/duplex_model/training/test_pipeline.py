from __future__ import annotations

import argparse
import importlib
import json
import shlex
import tarfile
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import soundfile

from duplex_model.training import pipeline
from duplex_model.training.pipeline import (
    Call,
    Line,
    Plan,
    StageError,
    arguments_of,
    load_plans,
    main,
    pack,
    run_call,
)

LINES = [
    pytest.param(line.run, id=f"{name}-{call}-{number}")
    for name, plan in load_plans().items()
    for call, lines in plan.calls.items()
    for number, line in enumerate(lines.lines)
    if line.run.startswith("python -m duplex_model.training.")
]


class ParsedError(Exception):
    """So that a command gets no further."""


@pytest.mark.parametrize("run", LINES)
def test_every_line_of_every_plan_is_a_command_with_its_options(
    run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = argparse.ArgumentParser.parse_args

    def only_parse(parser: argparse.ArgumentParser, words: list[str]) -> NoReturn:
        parse(parser, words)
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_parse)
    _, _, module, *words = shlex.split(run.format(work="work", cpus=16, call="call"))
    with pytest.raises(ParsedError):
        importlib.import_module(module).main(words)


def test_what_the_calls_of_a_plan_bring_is_made_in_them() -> None:
    for plan in load_plans().values():
        for name, call in plan.calls.items():
            runs = " ".join(line.run for line in call.lines).format(work="work", cpus=1, call=name)
            for brought in call.brings:
                assert f"work/{brought.split('/')[0]}" in runs, (name, brought)


def plan_of(*lines: Line, brings: tuple[str, ...] = ()) -> Plan:
    return Plan(about="A test.", checkpoint="none", calls={"all": Call(lines=lines, brings=brings)})


def test_what_is_done_is_left_out_and_what_was_begun_goes_on(tmp_path: Path) -> None:
    line = Line(
        run="python -m thing --out {work}/{call} --workers {cpus}", made="{call}/done", resume="{call}/state"
    )
    (tmp_path / "one").mkdir()
    first = arguments_of(line, "one", tmp_path)
    assert first is not None
    assert first[1:5] == ["-m", "thing", "--out", f"{tmp_path}/one"]
    assert int(first[6]) >= 1
    (tmp_path / "one" / "state").touch()
    assert arguments_of(line, "one", tmp_path) == [*first, "--resume"]
    (tmp_path / "one" / "done").touch()
    assert arguments_of(line, "one", tmp_path) is None


def test_a_line_beside_runs_while_the_next_does_and_is_waited_for(tmp_path: Path) -> None:
    waits = (
        "python -c 'import pathlib, time\nwhile not pathlib.Path(\"{work}/go\").exists(): time.sleep(0.01)\n'"
    )
    go = "python -c 'import pathlib; pathlib.Path(\"{work}/go\").touch()'"
    run_call(plan_of(Line(run=waits, beside=True), Line(run=go), brings=("go",)), "all", tmp_path)
    assert (tmp_path / "go").exists()


def test_a_line_that_fails_ends_the_call_after_what_there_is_was_packed(tmp_path: Path) -> None:
    lines = (Line(run='python -c \'open("{work}/kept", "w").write("kept")\''), Line(run="false"))
    with pytest.raises(StageError, match="expected exit status 0 of .*false.*, got 1"):
        run_call(plan_of(*lines, brings=("kept", "never")), "all", tmp_path / "work", tmp_path / "keep")
    [part] = (tmp_path / "keep").iterdir()
    with tarfile.open(part) as archive:
        assert archive.getnames() == ["kept"]


def test_a_line_over_its_limit_is_stopped_and_the_call_goes_on(tmp_path: Path) -> None:
    after = Line(run='python -c \'open("{work}/after", "w")\'')
    run_call(plan_of(Line(run="sleep 60", limit=0.001), after), "all", tmp_path)
    assert (tmp_path / "after").exists()


def test_parts_are_small_and_make_the_whole_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "PART_BYTES", 10_000)
    content = np.random.default_rng(0).bytes(35_000)
    (tmp_path / "work" / "folder").mkdir(parents=True)
    (tmp_path / "work" / "folder" / "noise").write_bytes(content)
    pack(tmp_path / "work", ["folder"], tmp_path / "keep")
    parts = pack(tmp_path / "work", ["folder"], tmp_path / "keep")
    assert sorted((tmp_path / "keep").iterdir()) == parts
    assert len(parts) == 4
    (tmp_path / "whole.tar.gz").write_bytes(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(tmp_path / "whole.tar.gz") as archive:
        archive.extractall(tmp_path / "again", filter="data")
    assert (tmp_path / "again" / "folder" / "noise").read_bytes() == content


def test_a_call_that_no_plan_has_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gpu", "--work", str(tmp_path), "--call", "none"])
    assert "expected a call of codec, begin, finish, got none" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_everything_at_toy_size_from_the_grammar_to_a_checkpoint_that_runs(tmp_path: Path) -> None:
    main(["toy", "--work", str(tmp_path / "toy"), "--keep", str(tmp_path / "keep")])
    lines = [json.loads(line) for line in (tmp_path / "toy/lm/losses.jsonl").read_text().splitlines()]
    assert lines[-1]["text"] < 0.5 * lines[0]["text"]
    assert lines[-1]["semantic"] < 0.5 * lines[0]["semantic"]
    said = json.loads((tmp_path / "toy/en.json").read_text())
    assert "".join(piece["text"] for piece in said["pieces"]).strip() == said["text"]
    heard, heard_hz = soundfile.read(tmp_path / "toy/es.wav")
    pcm, rate_hz = soundfile.read(tmp_path / "toy/en.wav")
    assert rate_hz == 24_000
    assert len(pcm) == 1920 * said["frames"]
    # What is said, if anything, is chance after so few steps; that it goes on to the end, and is sound, is not.
    assert len(pcm) / rate_hz >= len(heard) / heard_hz + 1.0
    assert np.isfinite(pcm).all()
    with tarfile.open(tmp_path / "keep/part-00.tar.gz") as archive:
        assert "exported/toy-es-en/checkpoint.json" in archive.getnames()
    main(["toy", "--work", str(tmp_path / "toy")])  # everything is done: only the last line runs again
    assert len((tmp_path / "toy/lm/losses.jsonl").read_text().splitlines()) == len(lines)
