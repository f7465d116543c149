"""The transformer along time: pre-norm layers, streaming over lanes at independent positions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.attention import Attention, DecodeAttention, Span, decode_of, ring_span, whole_span
from duplex_model.config import Norm, TransformerConfig
from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState


class RMSNorm(nn.Module):
    """x alpha / rms(x) over the last dimension, in float32 (arXiv:1910.07467)."""

    EPS = 1e-8

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        wide = x.float()
        mean_square = wide.square().mean(dim=-1, keepdim=True)
        return (wide * (self.alpha.float() * torch.rsqrt(mean_square + self.EPS))).to(x.dtype)


def make_norm(norm: Norm, width: int) -> nn.Module:
    """The normalisation `norm` over `width` channels."""
    return RMSNorm(width) if norm is Norm.RMS_F32 else nn.LayerNorm(width, eps=1e-5)


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), 0.01))

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.scale * x


class GatedFeedForward(nn.Module):
    """W_out (silu(a) * b), with a and b the two halves of W_in x."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear_in = nn.Linear(width, 2 * hidden, bias=False)
        self.linear_out = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        gate, value = self.linear_in(x).chunk(2, dim=-1)
        y: Tensor = self.linear_out(F.silu(gate) * value)
        return y


class FeedForward(nn.Module):
    """W_2 gelu(W_1 x), with the exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden, bias=False)
        self.linear2 = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., D] -> [..., D]."""
        y: Tensor = self.linear2(F.gelu(self.linear1(x)))
        return y


class TransformerLayer(StreamingModule):
    """x + scale(attention(norm(x))), then the same with the feed-forward."""

    def __init__(self, config: TransformerConfig, slots: int) -> None:
        super().__init__()
        self.norm1 = make_norm(config.norm, config.width)
        self.self_attn = Attention(config, slots)
        self.layer_scale_1 = LayerScale(config.width) if config.layer_scale else nn.Identity()
        self.norm2 = make_norm(config.norm, config.width)
        feed_forward = GatedFeedForward if config.gated else FeedForward
        self.feed_forward = feed_forward(config.width, config.hidden)
        self.layer_scale_2 = LayerScale(config.width) if config.layer_scale else nn.Identity()

    def forward(self, x: Tensor, span: Span, state: StreamingState | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x = x + self.layer_scale_1(self.self_attn(self.norm1(x), span, state))
        y: Tensor = x + self.layer_scale_2(self.feed_forward(self.norm2(x)))
        return y


class Transformer(StreamingModule):
    """A stack of layers with one position per lane."""

    def __init__(self, config: TransformerConfig, *, turning_steps: int = 1, sinks: bool = False) -> None:
        """Builds the stack.

        Args:
            config: sizes.
            turning_steps: most positions per call once a lane has passed the context. The cache has as many
                slots above the context, less one, so that no call overwrites a key its first query still
                needs.
            sinks: whether lanes can pin positions (`pinned` of the state).
        """
        super().__init__()
        self.config = config
        self.sinks = sinks
        self.slots = config.context + turning_steps - 1
        self.decode_attention: DecodeAttention | None = None
        """Takes over where every lane has one new position; None to compute those like any others."""

        self.layers = nn.ModuleList(TransformerLayer(config, self.slots) for _ in range(config.layers))

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """Positions seen, and how many of them are pinned."""
        scalar = LaneTensor(shape=(), dtype=torch.int64)
        return {"position": scalar, "pinned": scalar} if self.sinks else {"position": scalar}

    def forward(self, x: Tensor, state: StreamingState | None = None, pinned: Tensor | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D], from the start of the stream or, with a state, from where each lane is.

        `pinned`, int64 [B], says without a state what the state says otherwise: the first positions of each lane
        that stay attended for ever.
        """
        span = self._span(x, state, pinned)
        for layer in self.layers:
            x = layer(x, span, state)
        if state is not None:
            position = state[self]["position"]
            state.write(position, position + x.shape[1])
        return x

    def _span(self, x: Tensor, state: StreamingState | None, pinned: Tensor | None = None) -> Span:
        length = x.shape[1]
        if state is None:
            return whole_span(length, self.config, x.device, pinned)
        assert pinned is None
        position, pinned = state[self]["position"], state[self].get("pinned")
        span = ring_span(position, length, self.slots, self.config, pinned)
        if self.decode_attention is None or length > 1:
            return span
        assert self.slots == self.config.context
        decode = decode_of(self.decode_attention, position, self.slots, pinned, state.executing)
        return replace(span, decode=decode)
