from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from duplex_model.training.progress import ProgressLine, bar, duration, plot, read_records, record


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_line_rewritten() -> None:
    terminal = Terminal()
    line = ProgressLine(terminal)
    line.show(1.0, 0.25, 300, "loss 2")
    line.show(2.0, 0.5, 200, "l 1")
    line.end()
    _, first, second = terminal.getvalue().split("\r")
    assert first.startswith("[######------------------]  25.0 %  5:00 left  loss 2")
    assert len(second.rstrip("\n")) == len(first)
    assert terminal.getvalue().endswith("\n")


def test_a_log_gets_a_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    line = ProgressLine(io.StringIO())
    with caplog.at_level(logging.INFO):
        for second in range(121):
            line.show(float(second), second / 121, 0, "")
    assert len(caplog.records) == 3


def test_bars_and_durations() -> None:
    assert bar(-1) == "-" * 24
    assert bar(2) == "#" * 24
    assert [duration(seconds) for seconds in (5, 65, 3661)] == ["0:05", "1:05", "1h01"]


def test_records_are_read_back_but_for_one_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "losses.jsonl"
    record(path, {"minutes": 1, "text": 2.123456})
    record(path, {"minutes": 2, "text": 1.5})
    with path.open("a") as file:
        file.write('{"minutes": 3, "te')
    assert read_records(path) == [{"minutes": 1, "text": 2.12346}, {"minutes": 2, "text": 1.5}]


@pytest.mark.slow
def test_figures_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    records: list[dict[str, float]] = [{"minutes": 1, "text": 2}, {"minutes": 2, "text": 1, "semantic": 3}]
    assert plot(tmp_path / "losses.png", records, "minutes")
    assert (tmp_path / "losses.png").stat().st_size > 1000
