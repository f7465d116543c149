from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    """One thread, so that tests in parallel do not fight for cores; no graph, as streaming needs it.

    Tests of engines without a model never load PyTorch, and are left alone.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield
