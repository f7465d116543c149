from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_device_is_named_in_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "duplex_model.device"], capture_output=True, text=True, timeout=110, check=True
    )
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith("PyTorch ")


def test_asking_costs_nothing_until_it_is_asked() -> None:
    code = "import sys, duplex_model.device; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
