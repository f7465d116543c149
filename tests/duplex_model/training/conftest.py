from __future__ import annotations

from pathlib import Path

import pytest

HEAVY = {
    "test_backchannel",
    "test_cells",
    "test_codec",
    "test_corpus",
    "test_evaluate",
    "test_export",
    "test_grammar",
    "test_kinds",
}
HEAVY |= {"test_lm", "test_lm_trainer", "test_lora", "test_pipeline", "test_quick"}
HEAVY |= {"test_recogniser", "test_tts"}
"""Files that train, synthesise or sample for seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem in HEAVY:
            item.add_marker(pytest.mark.slow)
