"""The independent implementation is optional on a user's machine and required in CI."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

os.environ["NO_TORCH_COMPILE"] = "1"

_HERE = Path(__file__).parent
_HOW = "pip install --no-deps -r tests/parity/requirements.txt"
_MISSING = importlib.util.find_spec("moshi") is None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if not _MISSING or collection_path.parent != _HERE or not collection_path.name.startswith("test_"):
        return None
    if os.environ.get("CI"):
        raise pytest.UsageError(f"in CI parity must be checked: {_HOW}")
    return True


def pytest_report_header() -> list[str]:
    return [f"parity is not checked here: {_HOW}"] if _MISSING else []


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.slow)
