from __future__ import annotations

import pytest
import torch

from duplex_model.codec import Codec, prompt_codes_of
from duplex_model.mimi import Mimi
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import SMALL_MIMI, randomise
from tests.duplex_model.tiny_checkpoint import SPECTRAL, spectral_codec


def small_mimi() -> Mimi:
    mimi = Mimi(SMALL_MIMI).eval()
    randomise(mimi, seed=4)
    return mimi


CODECS = {"mimi": small_mimi, "spectral": spectral_codec}


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    made: Codec = CODECS[request.param]()
    return made


@torch.no_grad()
def test_what_was_heard_is_finite_until_it_is_not(codec: Codec) -> None:
    state = StreamingState(codec, lanes=2)
    pcm = 0.1 * torch.randn(2, 1, 1920)
    codec.encode(pcm, state)
    assert codec.heard_is_finite(state).tolist() == [True, True]
    pcm[1, 0, 700] = torch.nan
    codec.encode(pcm, state)
    assert codec.heard_is_finite(state).tolist() == [True, False]
    state.reset_lane(1)
    assert codec.heard_is_finite(state).tolist() == [True, True]


def test_prompt_codes_are_those_of_settled_sounds() -> None:
    codes = prompt_codes_of(spectral_codec())
    assert len(codes.silence) == len(codes.sine) == SPECTRAL.codebooks
    assert codes.silence != codes.sine
    assert max(*codes.silence, *codes.sine) < SPECTRAL.card
    longer = spectral_codec().encode(torch.zeros(1, 1, 40 * 1920))[0, :, -1]
    assert codes.silence == tuple(longer.tolist())
