"""The matrix of scenarios and faults: what is tried, what stands in it, and when it is an error."""

from __future__ import annotations

import pytest

from scenarios.faults import Fault
from scenarios.mutation import SAME, Row, exit_code, main, matrix
from scenarios.outcome import Result
from scenarios.schema import PACKAGED, load_scenarios

BY_ID = {one.id: one for one in load_scenarios([PACKAGED])}
NEGATION, OPT_OUT = BY_ID["negation-es-en"], BY_ID["opt-out-es"]
FAULTS = [None, Fault.OMISSION, Fault.NEGATION_DROPPED, Fault.SILENT, Fault.IGNORES_OPTOUT]
RIGHT: dict[str, Row] = {
    "negation-es-en": {
        None: Result.PASSED,
        Fault.NEGATION_DROPPED: Result.FAILED,
        Fault.SILENT: Result.FAILED,
        Fault.IGNORES_OPTOUT: SAME,
    },
    "opt-out-es": {
        None: Result.PASSED,
        Fault.SILENT: Result.PASSED,
        Fault.IGNORES_OPTOUT: Result.FAILED,
    },
}


def test_the_matrix() -> None:
    lines = matrix([NEGATION, OPT_OUT], FAULTS, RIGHT).splitlines()
    assert lines[:3] == [
        "                 0  1  2  3  4",
        "negation-es-en   .     X  x  -",
        "opt-out-es       .        .  X",
    ]
    assert lines[5:] == [
        " 0  no fault: caught by 0",
        " 1  omission: caught by 0",
        " 2  negation_dropped: caught by 1",
        " 3  silent: caught by 1",
        " 4  ignores_optout: caught by 1",
    ]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, 0),
        ({Fault.IGNORES_OPTOUT: Result.PASSED}, 1),
        ({Fault.IGNORES_OPTOUT: SAME}, 1),
        ({None: Result.FAILED}, 1),
        ({Fault.SILENT: Result.FAILED}, 0),
        ({None: Result.FAILED, Fault.SILENT: Result.INVALID}, 3),
    ],
)
def test_exit_codes(change: Row, code: int) -> None:
    results = {**RIGHT, "opt-out-es": {**RIGHT["opt-out-es"], **change}}
    assert exit_code([NEGATION, OPT_OUT], FAULTS, results) == code


@pytest.mark.speech
@pytest.mark.slow
def test_a_part_of_it_in_two_processes(capsys: pytest.CaptureFixture[str]) -> None:
    faults = ["negation_dropped", "omission", "late", "ignores_optout"]
    assert main(["--only", "negation-es-en", "--fault", *faults, "--jobs", "2"]) == 0
    told = capsys.readouterr()
    assert "negation-es-en   .  X     x  -" in told.out
    assert "1/1 negation-es-en" in told.err


@pytest.mark.slow
def test_an_unknown_scenario_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--only", "no-such"])
    assert raised.value.code == 2
    assert "expected ids of scenarios, got no-such" in capsys.readouterr().err
