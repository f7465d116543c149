from __future__ import annotations

import pytest
import torch
from torch import Tensor

from duplex_model.config import MimiConfig
from duplex_model.mimi import Mimi
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import SMALL_MIMI, randomise

FRAMES = 9  # 18 steps of the transformers, whose context is 10


@pytest.fixture
def mimi() -> Mimi:
    mimi = Mimi(SMALL_MIMI).eval()
    randomise(mimi, seed=0)
    return mimi


def frames_of(pcm: Tensor) -> tuple[Tensor, ...]:
    return pcm.split(SMALL_MIMI.frame_samples, dim=-1)


def test_frame_by_frame_equals_the_whole(mimi: Mimi) -> None:
    pcm = torch.randn(2, 1, FRAMES * 1920)
    codes = mimi.encode(pcm)
    assert codes.shape == (2, 4, FRAMES)
    assert codes.unique().numel() > 10
    state = StreamingState(mimi, lanes=2)
    streamed = torch.cat([mimi.encode(frame, state) for frame in frames_of(pcm)], dim=-1)
    assert torch.equal(streamed, codes)
    heard = mimi.decode(codes)
    assert heard.shape == pcm.shape
    spoken = torch.cat([mimi.decode(codes[..., t : t + 1], state) for t in range(FRAMES)], dim=-1)
    torch.testing.assert_close(spoken, heard, rtol=0, atol=1e-5)


def test_lanes_step_and_reset_on_their_own(mimi: Mimi) -> None:
    pcm = torch.randn(2, 1, FRAMES * 1920)
    codes = mimi.encode(pcm)
    state = StreamingState(mimi, lanes=2)
    for step, frame in enumerate(frames_of(pcm[:1])):
        state.executing.copy_(torch.tensor([True, step % 2 == 0]))
        late = frames_of(pcm[1:])[step // 2]
        got = mimi.encode(torch.cat([frame, late]), state)
        assert torch.equal(got[0, :, 0], codes[0, :, step])
        if step % 2 == 0:
            assert torch.equal(got[1, :, 0], codes[1, :, step // 2])
    state.reset_lane(0)
    state.executing.fill_(True)
    again = mimi.encode(pcm[..., :1920].flip(0), state)
    assert torch.equal(again[0], mimi.encode(pcm[1:, :, :1920])[0])


def test_pcm_must_be_whole_frames(mimi: Mimi) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 1920, got 1919"):
        mimi.encode(torch.zeros(1, 1, 1919))


def test_the_published_size() -> None:
    with torch.device("meta"):
        mimi = Mimi(MimiConfig(codebooks=8))
    assert sum(parameter.numel() for parameter in mimi.parameters()) == 79_308_609
    assert mimi.config.frame_samples == 1920
