from __future__ import annotations

import pytest

from duplex_model.config import CHECKPOINTS, exact_div, gate_width


def test_delays_and_initial_tokens_are_those_of_the_published_models() -> None:
    moshi = CHECKPOINTS["moshiko-7b"].lm
    assert moshi.delays == (0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1)
    assert moshi.initial_tokens == (32_000, *[2048] * 16)
    hibiki = CHECKPOINTS["hibiki-2b"].lm
    assert hibiki.delays == (0, 0, *[2] * 15, 0, *[2] * 15)


@pytest.mark.parametrize(
    ("width", "feedforward", "hidden"),
    [(4096, 16896, 11264), (1024, 4224, 2816), (2560, 10560, 7040), (2048, 12288, 8192), (1024, 4096, 2688)],
)
def test_gate_widths(width: int, feedforward: int, hidden: int) -> None:
    assert gate_width(width, feedforward) == hidden


def test_the_window_stays_within_context_and_training() -> None:
    windows = {name: config.window_frames for name, config in CHECKPOINTS.items()}
    assert windows["personaplex-7b"] == 2048
    assert windows["hibiki-2b"] == 500
    assert windows["hibiki-zero-3b"] == 1500
    assert all(name == config.name for name, config in CHECKPOINTS.items())


def test_exact_division_refuses_a_remainder() -> None:
    assert exact_div(1920, 2) == 960
    with pytest.raises(ValueError, match="expected a multiple of 7, got 1920"):
        exact_div(1920, 7)
