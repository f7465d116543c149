"""Files that a reader, or a run that was stopped, finds old or new, and never half."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` make the file under another name, then puts it in the place of `path`."""
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    os.replace(partial, path)
