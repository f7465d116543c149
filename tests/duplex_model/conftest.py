from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _inference() -> Iterator[None]:
    """One thread, so that tests in parallel do not fight for cores; no graph, as streaming needs it."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        yield
