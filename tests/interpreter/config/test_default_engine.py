from __future__ import annotations

from pathlib import Path

import pytest

from duplex_model import shipped
from duplex_model.description import DESCRIPTION_FILE
from interpreter.config.config import EngineConfig
from interpreter.config.default_engine import chosen_engine, remarks_on


def test_without_a_shipped_checkpoint_it_is_loopback_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    assert chosen_engine(EngineConfig()).kind == "loopback"
    (remark,) = remarks_on(EngineConfig())
    assert remark.startswith("No checkpoint came with this installation. The loopback engine repeats")
    assert remarks_on(EngineConfig(kind="loopback")) == []


def test_the_shipped_checkpoint_is_what_runs_unless_another_engine_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / DESCRIPTION_FILE).touch()
    chosen = chosen_engine(EngineConfig(options={"lanes": 3}))
    assert (chosen.kind, chosen.options) == ("neural", {"checkpoint": "default", "lanes": 3})
    assert remarks_on(EngineConfig()) == []
    named = EngineConfig(kind="scripted", options={"lanes": 3})
    assert chosen_engine(named) == named
