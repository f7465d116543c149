from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from duplex_model.checkpoint import load_mimi
from duplex_model.config import MimiConfig
from duplex_model.mimi import Mimi
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import SMALL_MIMI
from tests.parity import oracle
from tests.parity.tally import compared

FULL = MimiConfig(codebooks=8)
CASES = {
    "small": (SMALL_MIMI, 20),
    "small, no turn": (replace(SMALL_MIMI, codebooks=6), 4),
    "full": (FULL, 2),
}


def pair(config: MimiConfig) -> tuple[oracle.Any, Mimi]:
    theirs = oracle.mimi(config, seed=5)
    return theirs, load_mimi(config, oracle.StateDict(theirs.state_dict()))


@pytest.mark.parametrize("case", CASES)
def test_whole_streams(case: str) -> None:
    config, frames = CASES[case]
    theirs, ours = pair(config)
    pcm = torch.randn(2, 1, frames * config.frame_samples)
    codes = theirs.encode(pcm)
    assert all(level.unique().numel() > 1 for level in codes.unbind(dim=1))
    with compared(f"mimi {case}", "codes, whole"):
        assert torch.equal(ours.encode(pcm), codes)
    with compared(f"mimi {case}", "pcm, whole"):
        torch.testing.assert_close(ours.decode(codes), theirs.decode(codes), rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["small, no turn", "full"])
def test_frame_by_frame(case: str) -> None:
    """Within the transformers' context: beyond it, the reference sees one key less than a whole stream does."""
    config, frames = CASES[case]
    theirs, ours = pair(config)
    pcm = torch.randn(2, 1, frames * config.frame_samples)
    state = StreamingState(ours, lanes=2)
    with theirs.streaming(2):
        for frame in pcm.split(config.frame_samples, dim=-1):
            codes = theirs.encode(frame)
            with compared(f"mimi {case}", "codes, streamed"):
                assert torch.equal(ours.encode(frame, state), codes)
            with compared(f"mimi {case}", "pcm, streamed"):
                torch.testing.assert_close(ours.decode(codes, state), theirs.decode(codes), rtol=0, atol=1e-5)
