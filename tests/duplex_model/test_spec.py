"""Engines from data."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from duplex_model.contract import TickGrid
from duplex_model.errors import SpecError
from duplex_model.spec import BUILDERS, EngineSpec, build_engine

GRID = TickGrid(origin_s=3.0)


@pytest.mark.parametrize("target", BUILDERS.values())
def test_every_row_names_a_function(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(import_module(module), function))


def test_a_start_reports_its_progress_up_to_the_whole() -> None:
    reported: list[float] = []
    spec = EngineSpec(kind="scripted", options={"script": {"directions": {"*": {}}}})
    engine = build_engine(spec, grid=GRID, report=lambda fraction, text: reported.append(fraction))
    assert engine.grid is GRID
    assert reported == sorted(reported)
    assert reported[-1] == 1.0


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (EngineSpec(kind=""), "expected an engine kind of loopback, neural, scripted.*got ''"),
        (
            EngineSpec(kind="loopback", options={"lane": 3}),
            "expected only the fields delay_ms, lanes, got 'lane'",
        ),
        (
            EngineSpec(kind="loopback", options={"delay_ms": "long"}),
            "expected delay_ms to be a number.*got 'long'",
        ),
        (EngineSpec(kind="scripted"), "expected either script or script_file"),
    ],
)
def test_specs_that_name_no_engine_are_explained(spec: EngineSpec, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        build_engine(spec, grid=GRID, report=lambda fraction, text: None)


def test_engines_without_a_model_load_no_torch() -> None:
    program = (
        "import sys, duplex_model.process, duplex_model.child, duplex_model.scripted, duplex_model.loopback\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
