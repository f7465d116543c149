"""Causal attention over a ring of keys and values, with rotary positions and pinned sinks.

The cache of a lane has S slots. Its first P positions, the prompt, keep their slots for ever (they are
*pinned*, the attention sinks of arXiv:2309.17453); later positions turn in the other S - P slots.

    S = 6, P = 2     position   0 1 2 3 4 5 6 7 8 9
                     slot       0 1 2 3 4 5 2 3 4 5

Keys are cached rotated at their absolute position and never rotated again. A window key's distance to the
query is true. A pinned key's would grow without bound, past every distance seen in training, so queries
meet pinned keys as if they stood at position `context - 1` at most. With P = 0 this is plain sliding-window
attention.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.config import RotaryConfig, RotaryLayout, TransformerConfig
from duplex_model.int8 import output_dtype
from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState


@dataclass(frozen=True)
class Rotation:
    """cos and sin of the rotary angles, float32 [B or 1, 1, T, d / 2], and the pairing they apply to."""

    cos: Tensor
    sin: Tensor
    layout: RotaryLayout

    def __call__(self, x: Tensor) -> Tensor:
        """Rotates `x` [B, H, T, d]: (r, i) -> (r cos - i sin, r sin + i cos), in float32."""
        shape, dim = ((-1, 2), -1) if self.layout is RotaryLayout.INTERLEAVED else ((2, -1), -2)
        real, imaginary = x.float().reshape(*x.shape[:-1], *shape).unbind(dim)
        rotated = (real * self.cos - imaginary * self.sin, real * self.sin + imaginary * self.cos)
        return torch.stack(rotated, dim=dim).flatten(-2).to(x.dtype)


def rotation_at(positions: Tensor, head_width: int, config: RotaryConfig) -> Rotation:
    """The rotation of each of `positions`, int64 [B or 1, T] (arXiv:2104.09864 equation 15).

    Angles are taken in float64: a call lasts for days, and in float32 their error grows with the position.
    """
    j = torch.arange(head_width // 2, device=positions.device, dtype=torch.float64)
    frequencies = torch.exp(j * (-2 * math.log(config.max_period) / head_width))
    angles = positions[:, None, :, None].double() * frequencies
    return Rotation(angles.cos().float(), angles.sin().float(), config.layout)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """[B, H, T, d] each -> [B, H, T, d]: every query attends to all keys up to its own position.

    On a CPU, forward and backward as written here take half the time of PyTorch's fused kernel, and less in bfloat16.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    later = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    with torch.autocast("cpu", enabled=False):  # sums are in float32 whatever the scores are
        weights: Tensor = scores.masked_fill(later, -math.inf).softmax(dim=-1)
    y: Tensor = weights @ v
    return y


class DecodeAttention(Protocol):
    """See `decode_attention.decode_attention`."""

    def __call__(
        self, q: Tensor, sink_q: Tensor, keys: Tensor, values: Tensor, filled: Tensor, pinned: Tensor
    ) -> Tensor:
        """[B, H, 1, d]."""
        ...


@dataclass(frozen=True)
class Decode:
    """How a single new position attends where a kernel reads only the filled part of each ring."""

    attend: DecodeAttention
    filled: Tensor
    """int64 [B]: slots attended to, from the first; 0 in a lane that rests."""

    pinned: Tensor
    """int64 [B]: the slots among them whose keys are pinned."""


@dataclass(frozen=True)
class Span:
    """What all layers of a transformer share in one call on T positions, against S keys."""

    rotation: Rotation
    """Of the new keys, and of queries against keys in the window."""

    visible: Tensor | None
    """bool [B or 1, 1, T, S]: whether a query attends to a key; None for all keys up to its own position."""

    slots: Tensor | None = None
    """int64 [B, T]: where the new keys are cached; None without a cache."""

    sink_rotation: Rotation | None = None
    """Of queries against pinned keys; None where nothing is ever pinned."""

    pinned: Tensor | None = None
    """bool [B, 1, 1, S]: the pinned keys."""

    decode: Decode | None = None
    """None: scores are computed for all slots, and those not visible masked."""


ATTENTIONS = ("eager", "triton")
"""Names for `find_decode_attention`."""


def find_decode_attention(name: str, config: TransformerConfig) -> DecodeAttention | None:
    """The kernels `name` stands for; None for `eager`.

    Raises:
        ValueError: Triton is not installed, or `config` has shapes that its kernels do not take.
    """
    if name == "eager":
        return None
    assert name == "triton"
    try:
        import duplex_model.decode_attention as kernels  # only here: Triton is optional
    except ImportError as error:
        raise ValueError("expected Triton for attention triton, got none: pip install triton") from error
    kernels.check(config)
    return kernels.decode_attention


def decode_of(
    attend: DecodeAttention, position: Tensor, slots: int, pinned: Tensor | None, executing: Tensor
) -> Decode:
    """How one new position of each lane attends by `attend`, in a ring with no slot above the context.

    Such a ring fills from its first slot and then stays full, every slot within reach of the query.

    Args:
        attend: the kernel.
        position: int64 [B], of the new keys.
        slots: S.
        pinned: int64 [B], P of each lane, or None where nothing is ever pinned.
        executing: bool [B].
    """
    filled = torch.where(executing, (position + 1).clamp(max=slots), 0)
    return Decode(attend, filled, torch.zeros_like(position) if pinned is None else pinned)


def whole_span(
    length: int, config: TransformerConfig, device: torch.device, pinned: Tensor | None = None
) -> Span:
    """The span of a whole stream of `length` positions: what `ring_span` gives one position after the other.

    Args:
        length: T.
        config: of the transformer.
        device: of the tensors.
        pinned: int64 [B], P of each lane, or None where nothing is pinned.
    """
    positions = torch.arange(length, device=device)[None]
    rotation = rotation_at(positions, config.head_width, config.rotary)
    if length <= config.context:
        return Span(rotation, None)  # nothing is out of reach yet, and pinned keys are at their true distance
    sinks = positions.new_zeros(1, 1) if pinned is None else pinned[:, None]
    is_sink = positions < sinks
    distance = positions[:, :, None] - positions[:, None, :]
    in_reach = is_sink[:, None, :] | (distance < config.context - sinks[:, :, None])
    visible = ((distance >= 0) & in_reach)[:, None]
    if pinned is None:
        return Span(rotation, visible)
    nearest = positions.clamp(max=config.context - 1)
    return Span(
        rotation,
        visible,
        sink_rotation=rotation_at(nearest, config.head_width, config.rotary),
        pinned=is_sink[:, None, None, :],
    )


def ring_span(
    position: Tensor, length: int, slots: int, config: TransformerConfig, pinned: Tensor | None
) -> Span:
    """The span of the next `length` positions of each lane.

    Args:
        position: int64 [B], the first of them.
        length: T. As soon as a lane's ring turns, the keys overwritten must be out of every query's reach:
            T <= S - context + 1.
        slots: S, slots of the cache.
        config: of the transformer.
        pinned: int64 [B], P of each lane, or None where nothing is ever pinned.
    """
    positions = position[:, None] + torch.arange(length, device=position.device)
    sinks = torch.zeros_like(position)[:, None] if pinned is None else pinned[:, None]
    held = _held_positions(positions[:, -1:], sinks, slots)
    distance = positions[:, :, None] - held[:, None, :]
    is_sink = torch.arange(slots, device=position.device) < sinks
    written = is_sink | (held >= sinks)
    in_reach = is_sink[:, None, :] | (distance < config.context - sinks[:, :, None])
    visible = (distance >= 0) & written[:, None, :] & in_reach
    span = Span(
        rotation=rotation_at(positions, config.head_width, config.rotary),
        visible=visible[:, None],
        slots=_slots_of(positions, sinks, slots),
    )
    if pinned is None:
        return span
    nearest = positions.clamp(max=config.context - 1)
    return Span(
        rotation=span.rotation,
        visible=span.visible,
        slots=span.slots,
        sink_rotation=rotation_at(nearest, config.head_width, config.rotary),
        pinned=is_sink[:, None, None, :],
    )


def _slots_of(positions: Tensor, sinks: Tensor, slots: int) -> Tensor:
    """[B, T]: the slot of each position (see the drawing above)."""
    in_ring = sinks + torch.remainder(positions - sinks, slots - sinks)
    return torch.where(positions < sinks, positions, in_ring)


def _held_positions(last: Tensor, sinks: Tensor, slots: int) -> Tensor:
    """[B, S]: what each slot holds once `last` [B, 1] is written; in the ring, below `sinks`: nothing yet."""
    slot = torch.arange(slots, device=last.device)
    behind = torch.remainder(last - slot, slots - sinks)  # how long ago the ring passed this slot
    return torch.where(slot < sinks, slot, last - behind)


class Attention(StreamingModule):
    """Multi-head attention of new positions to themselves and to the cache: [B, T, D] -> [B, T, D].

    With `kv_repeat` r, each key and value head serves r consecutive query heads (arXiv:2305.13245).
    """

    def __init__(self, config: TransformerConfig, slots: int) -> None:
        """Builds the layer with a cache of `slots` positions per lane."""
        super().__init__()
        self.kv_heads = config.kv_heads
        self.kv_repeat = config.kv_repeat
        self.head_width = config.head_width
        self.slots = slots
        kv_width = config.kv_heads * config.head_width
        self.in_proj = nn.Linear(config.width, config.width + 2 * kv_width, bias=False)
        self.out_proj = nn.Linear(config.width, config.width, bias=False)

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The cache: keys, rotated, and values, [H / r, S, d] each."""
        shape = (self.kv_heads, self.slots, self.head_width)
        cache = LaneTensor(shape=shape, dtype=output_dtype(self.out_proj), positions_dim=1)
        return {"keys": cache, "values": cache}

    def forward(self, x: Tensor, span: Span, state: StreamingState | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]; with a state, caches the new keys and values."""
        q, k, v = self._project(x)
        k = span.rotation(k)
        if state is not None:
            assert span.slots is not None
            k = _cached(state[self]["keys"], k, span.slots, state)
            v = _cached(state[self]["values"], v, span.slots, state)
        if span.visible is None:
            y = self._attend_to_all(span.rotation(q), k, v)
        elif span.decode is None:
            y = self._attend(q, k, v, span)
        else:
            y = self._decode(q, k, v, span, span.decode)
        out: Tensor = self.out_proj(y.transpose(1, 2).flatten(2))
        return out

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries [B, H, T, d], keys and values [B, H / r, T, d]."""
        heads = self.in_proj(x).view(*x.shape[:2], -1, self.head_width).transpose(1, 2)
        q, k, v = heads.split([self.kv_heads * self.kv_repeat, self.kv_heads, self.kv_heads], dim=1)
        return q, k, v

    def _attend_to_all(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[B, H, T, d], from rotated queries: every key up to their own position is visible."""
        k, v = (
            heads.repeat_interleave(self.kv_repeat, dim=1) if self.kv_repeat > 1 else heads
            for heads in (k, v)
        )
        return causal_attention(q, k, v)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, span: Span) -> Tensor:
        """[B, H, T, d]."""
        weights = self._scores(q, k, span).softmax(dim=-1, dtype=torch.float32).to(v.dtype)
        return (self._group(weights) @ v).view(*q.shape)

    def _decode(self, q: Tensor, k: Tensor, v: Tensor, span: Span, decode: Decode) -> Tensor:
        """[B, H, 1, d]: as `_attend` in executing lanes."""
        q = q * self.head_width**-0.5
        in_window = span.rotation(q)
        to_sinks = in_window if span.sink_rotation is None else span.sink_rotation(q)
        return decode.attend(in_window, to_sinks, k, v, decode.filled, decode.pinned)

    def _group(self, x: Tensor) -> Tensor:
        """[B, H, T, *] -> [B, H / r, r T, *]: queries that share a key head become rows of one product."""
        return x.reshape(x.shape[0], self.kv_heads, -1, x.shape[-1])

    def _scores(self, q: Tensor, k: Tensor, span: Span) -> Tensor:
        """[B, H, T, S]: q k / sqrt(d), minus infinity where not visible."""
        q = q * self.head_width**-0.5
        if span.sink_rotation is None:
            scores = self._products(span.rotation(q), k)
        else:
            assert span.pinned is not None
            both = torch.cat([span.rotation(q), span.sink_rotation(q)], dim=2)  # so that keys are read once
            in_window, pinned = self._products(both, k).chunk(2, dim=2)
            scores = torch.where(span.pinned, pinned, in_window)
        assert span.visible is not None
        return scores.masked_fill(~span.visible, -math.inf)

    def _products(self, q: Tensor, k: Tensor) -> Tensor:
        return (self._group(q) @ k.transpose(-1, -2)).view(*q.shape[:-1], k.shape[-2])


def _cached(cache: Tensor, new: Tensor, slots: Tensor, state: StreamingState) -> Tensor:
    """Writes `new` [B, H, T, d] to `slots` [B, T] of `cache` [B, H, S, d] in executing lanes; the cache."""
    index = slots[:, None, :, None].expand_as(new)
    kept = torch.where(state.executing_like(new), new, cache.gather(2, index))
    return cache.scatter_(2, index, kept)
