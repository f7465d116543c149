from __future__ import annotations

from pathlib import Path

import pytest
import torch

from duplex_model.training.codec_learning.loop import (
    REPORT_EVERY_S,
    SAVE_EVERY_S,
    Progress,
    by_the_clock,
    learning_rate,
)
from duplex_model.training.progress import read_records


def test_the_rate_rises_then_falls_to_its_end_by_the_clock() -> None:
    assert learning_rate(1.0, 0.0, 0) == pytest.approx(0.01)
    assert learning_rate(1.0, 0.0, 99) == pytest.approx(1.0)
    assert learning_rate(1.0, 0.5, 1000) == pytest.approx(0.51)
    assert learning_rate(1.0, 1.0, 1000) == learning_rate(1.0, 1.2, 1000) == pytest.approx(0.02)


def test_a_run_ends_by_the_clock_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Steps of four seconds, two minutes in all, of which half a minute is over."""
    progress = Progress(step=10, elapsed_s=30.0)
    now_s, shares, saved_at_s = [1000.0], list[float](), list[float]()

    def descend(share: float) -> dict[str, torch.Tensor]:
        shares.append(share)
        progress.step += 1
        now_s[0] += 4.0
        return {"total": torch.tensor(float(progress.step))}

    def save() -> None:
        saved_at_s.append(progress.elapsed_s)

    file = tmp_path / "figures.jsonl"
    by_the_clock(descend, save, progress, minutes=2, figures=file, clock=lambda: now_s[0])
    assert shares[0] == 0.25
    assert len(shares) == 23  # 92 s
    assert (progress.step, progress.elapsed_s) == (33, 122.0)
    assert saved_at_s == [30.0 + SAVE_EVERY_S, 122.0]
    first = read_records(file)[0]
    assert first["elapsed_s"] - 30.0 >= REPORT_EVERY_S > first["elapsed_s"] - 34.0
    assert (first["step"], first["total"], first["steps_per_s"]) == (13, 12.0, 0.25)
