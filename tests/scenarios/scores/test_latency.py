from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scores import latency

VECTORS = json.loads((Path(__file__).parents[2] / "data/scores/lag.json").read_text())
CASES: list[dict[str, Any]] = VECTORS["cases"]


def test_the_vectors_are_from_the_tools_we_name() -> None:
    assert VECTORS["made_with"] == {"simuleval": "1.1.4", "omnisteval": "0.1.10"}
    assert len(CASES) == 60


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("AL", lambda c: latency.average_lagging(c["delays"], c["source"], c["reference_units"])),
        ("LAAL", lambda c: latency.laal(c["delays"], c["source"], c["reference_units"])),
        ("AP", lambda c: latency.average_proportion(c["delays"], c["source"], c["reference_units"])),
        ("DAL", lambda c: latency.dal(c["delays"], c["source"])),
        ("ATD_text", lambda c: latency.atd(c["delays"])),
        ("ATD_speech", lambda c: latency.atd(c["delays"], c["durations"])),
        ("StartOffset", lambda c: latency.start_offset(c["delays"])),
        ("EndOffset", lambda c: latency.end_offset(c["delays"], c["durations"], c["source"])),
        ("YAAL", lambda c: latency.yaal(c["delays"], c["source"], c["reference_units"])),
        (
            "YAAL_long",
            lambda c: latency.yaal(c["delays"], c["source"], c["reference_units"], ends=c["recording"]),
        ),
    ],
)
def test_lag_is_that_of_other_peoples_tools(name: str, ours: Any) -> None:
    for case in CASES:
        assert ours(case) == pytest.approx(case[name], abs=1e-9), case


def test_the_vectors_have_every_kind_of_case() -> None:
    assert any(case["delays"][0] > case["source"] for case in CASES)
    assert any(case["YAAL"] is None and case["YAAL_long"] is not None for case in CASES)
    assert any(len(set(case["delays"])) < len(case["delays"]) for case in CASES)
    assert any(len(case["delays"]) > case["reference_units"] for case in CASES)


def test_a_wait_of_k_units_has_the_lag_of_k_units() -> None:
    delays = [min(1000.0 + 200.0 * i, 4000.0) for i in range(20)]  # |X| = 4 s, 20 units of 200 ms, 5 behind
    assert latency.average_lagging(delays, 4000.0, 20) == pytest.approx(1000.0)
    assert latency.dal(delays, 4000.0) == pytest.approx(1000.0)


@given(
    st.lists(st.floats(0.0, 5000.0), min_size=1, max_size=20).map(sorted),
    st.floats(1.0, 3000.0),
    st.integers(1, 30),
)
def test_shifting_the_output_shifts_the_lag(delays: list[float], later: float, units: int) -> None:
    source = 10_000.0
    moved = [delay + later for delay in delays]
    assert latency.yaal(moved, source, units, ends=1e9) == pytest.approx(
        (latency.yaal(delays, source, units, ends=1e9) or 0.0) + later
    )
    assert latency.dal(moved, source) == pytest.approx(latency.dal(delays, source) + later)
