"""Checkpoints that come with this package, each in a folder that describes itself (see `description`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from duplex_model.description import DESCRIPTION_FILE

FOLDER = Path(__file__).parent / "checkpoints"

DEFAULT = "default"
"""Names the first of them."""

NONE_SHIPPED = "No checkpoint came with this installation."


def shipped_checkpoints() -> Mapping[str, Path]:
    """Their names and folders, sorted."""
    found = sorted(FOLDER.glob(f"*/{DESCRIPTION_FILE}"))
    return {path.parent.name: path.parent for path in found}


def shipped_folder(name: str) -> Path | None:
    """The folder of the shipped checkpoint `name`, or of the first one for `default`; None where it is not here."""
    shipped = shipped_checkpoints()
    return next(iter(shipped.values()), None) if name == DEFAULT else shipped.get(name)
