from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.scores import score


def test_wilson_is_that_of_the_textbook() -> None:
    # Newcombe 1998, table I, method 3: 81/263 and 15/148.
    assert score.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert score.wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)


@given(st.integers(1, 300), st.data())
def test_a_share_lies_in_its_interval(n: int, data: st.DataObject) -> None:
    held = data.draw(st.integers(0, n))
    low, high = score.wilson(held, n)
    assert 0.0 <= low <= held / n <= high <= 1.0


def test_a_rate_needs_ten_cases() -> None:
    assert score.share("s", [True] * 9).value is None
    assert score.share("s", [True] * 9).note == "9 of 9; fewer than 10 cases make no rate"
    assert score.share("s", [True] * 10).value == 1.0


def test_the_bootstrap_of_a_mean_is_near_its_standard_error() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    found = score.mean("m", list(values), "s")
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * 2.0 / 20, rel=0.1)
    assert found.low < 5.0 < found.high


def test_one_case_has_no_interval_and_none_no_value() -> None:
    assert score.median("m", [3.0], "s") == score.Score(name="m", value=3.0, unit="s", n=1)
    assert score.median("m", [], "s", note="words: x").note == "no case; words: x"


def test_a_ratio_weighs_cases_by_their_size() -> None:
    found = score.ratio("r", [1, 0], [1, 9], "share")
    assert found.value == pytest.approx(0.1)
    assert found.n == 2


def test_a_slope_is_found() -> None:
    x = np.arange(20.0)
    found = score.slope("d", list(x), list(3 * x + 1), "s/min")
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3.0, 3.0))
    assert score.slope("d", [1.0], [1.0], "s/min").value is None
    short = score.slope("d", [1.0, 1.2, 1.4], [1.0, 2.0, 3.0], "s/min", note="words: x")
    assert (short.value, short.n, short.note) == (None, 3, "less than half a minute; words: x")
    assert list(score.slopes(np.ones((1, 3)), np.arange(3.0)[np.newaxis])) == [0.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30), st.floats(0.0, 1.0))
def test_a_quantile_is_numpys(values: list[float], q: float) -> None:
    assert score.quantile("q", values, q, "s").value == pytest.approx(float(np.quantile(values, q)))


def test_json_has_fixed_formats() -> None:
    text = score.to_json(
        [score.Score(name="a", value=1 / 3, unit="s", n=1), score.not_scored("b", "dB", "why")]
    )
    first, second = json.loads(text)["scores"]
    assert first == {
        "high": None,
        "low": None,
        "n": 1,
        "name": "a",
        "note": "",
        "unit": "s",
        "value": 0.333333,
    }
    assert second["note"] == "not scored: why"
    assert text.endswith("}\n")
