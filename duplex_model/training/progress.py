"""How far a long command is: a line that is rewritten on a terminal, and a record of figures in a file."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

logger = logging.getLogger(__name__)

_BAR_COLUMNS = 24
_LOGGED_EVERY_S = 60.0


def bar(share: float) -> str:
    """A bar of fixed width for `share`, 0 to 1."""
    filled = round(_BAR_COLUMNS * min(max(share, 0.0), 1.0))
    return "#" * filled + "-" * (_BAR_COLUMNS - filled)


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours and minutes."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"


class ProgressLine:
    """One line about a command in progress; where nobody looks at a terminal, a line in the log every minute."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._width = 0
        self._logged_s = -_LOGGED_EVERY_S

    def show(self, now_s: float, share: float, left_s: float, figures: str) -> None:
        """Says how far it is.

        Args:
            now_s: since the command began.
            share: of the work that is done, 0 to 1.
            left_s: until it ends.
            figures: in words.
        """
        line = f"[{bar(share)}] {100 * share:5.1f} %  {duration(left_s)} left  {figures}"
        if self._live:
            self._stream.write("\r" + line.ljust(self._width))
            self._stream.flush()
            self._width = len(line)
        elif now_s - self._logged_s >= _LOGGED_EVERY_S:
            self._logged_s = now_s
            logger.info("%s", line)

    def end(self) -> None:
        """Leaves the last line standing."""
        if self._live and self._width:
            self._stream.write("\n")
            self._width = 0


def record(path: Path, figures: Mapping[str, float]) -> None:
    """Adds a line of JSON to `path`."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({name: round(value, 5) for name, value in figures.items()}) + "\n")


def read_records(path: Path) -> list[dict[str, float]]:
    """The lines of `record`; a last line that was cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found


def plot(path: Path, records: list[dict[str, float]], x: str) -> bool:
    """Draws every figure of `records` against `x`; False where matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure  # only here: plots are an extra
    except ImportError:
        return False
    names = sorted({name for line in records for name in line} - {x})
    figure = Figure(figsize=(10, 2.2 * len(names)), layout="constrained")
    for index, name in enumerate(names):
        axes = figure.add_subplot(len(names), 1, index + 1)
        points = [(line[x], line[name]) for line in records if name in line and x in line]
        axes.plot(*zip(*points, strict=True), linewidth=0.8)
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
    figure.savefig(path)
    return True
