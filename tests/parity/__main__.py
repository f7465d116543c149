"""`python -m tests.parity`: compares with the independent implementation; the last line is the tally."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.parity import tally

status = pytest.main([str(Path(__file__).parent), "-q", *sys.argv[1:]])
sys.stdout.write(tally.summary() + "\n")
sys.exit(status or not tally.COMPARED)
