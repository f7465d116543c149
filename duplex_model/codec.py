"""What a codec is to the engine: pcm [B, 1, 1920 T] <-> codes [B, K, T], causal, frame by frame."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from duplex_model.config import PromptCodes
from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ
from duplex_model.streaming import HoldsModules, StreamingState

SETTLED_FRAMES = 12
"""Frames of one sound after which its codes are taken: enough for an encoder to forget how the stream began."""

_SINE_HZ = 440.0
_SINE_PEAK = 0.5


class Codec(HoldsModules, Protocol):
    """A module with its weights; both directions stream, share no state, and may run on different lanes."""

    def encode(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """Codes int64 [B, K, T] of `pcm` [B, 1, 1920 T]; with a state, one frame at a time."""
        ...

    def decode(self, codes: Tensor, state: StreamingState | None = None) -> Tensor:
        """Pcm [B, 1, 1920 T] of `codes` [B, K, T]; with a state, one frame at a time."""
        ...

    def heard_is_finite(self, state: StreamingState) -> Tensor:
        """Bool [B]: whether what the encoder remembers is finite.

        NaN latents become codes like any other, so they must be looked for in what the encoder keeps.
        """
        ...


@torch.no_grad()
def settled_codes(codec: Codec, pcm: Tensor) -> Tensor:
    """int64 [K]: the codes of the last frame of `pcm` [1920 T]."""
    codes = codec.encode(pcm[None, None])
    return codes[0, :, -1]


def prompt_codes_of(codec: Codec) -> PromptCodes:
    """Silence and sine in the codes of `codec`, as a new checkpoint is trained with them."""
    device = next(codec.parameters()).device
    silence = torch.zeros(SETTLED_FRAMES * FRAME_SAMPLES, device=device)
    seconds = torch.arange(len(silence), device=device) / SAMPLE_RATE_HZ
    sine = _SINE_PEAK * torch.sin(2 * torch.pi * _SINE_HZ * seconds)
    return PromptCodes(
        silence=tuple(settled_codes(codec, silence).tolist()),
        sine=tuple(settled_codes(codec, sine).tolist()),
    )
