from __future__ import annotations

import math
import sys

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from duplex_model.attention import find_decode_attention, ring_span, rotation_at
from duplex_model.config import RotaryConfig, RotaryLayout, TransformerConfig

INTERLEAVED = RotaryConfig(max_period=10_000)
HALVES = RotaryConfig(max_period=10_000, layout=RotaryLayout.HALVES)


def config(context: int) -> TransformerConfig:
    return TransformerConfig(
        width=8, layers=1, heads=2, hidden=8, context=context, rotary=RotaryConfig(max_period=100)
    )


def test_rotation_turns_each_pair_by_its_own_frequency() -> None:
    x = torch.tensor([1.0, 0.0, 0.0, 1.0]).view(1, 1, 1, 4)
    rotated = rotation_at(torch.tensor([[3]]), 4, INTERLEAVED)(x).flatten().tolist()
    slow = 3 / 100  # second pair: max_period ** -0.5
    expected = [math.cos(3), math.sin(3), -math.sin(slow), math.cos(slow)]
    assert rotated == pytest.approx(expected, abs=1e-7)


def test_halves_pair_a_channel_with_the_one_half_a_head_later() -> None:
    x = torch.randn(2, 3, 4, 6)
    positions = torch.randint(0, 99, (2, 4))
    reordered = x[..., [0, 2, 4, 1, 3, 5]]
    by_pairs = rotation_at(positions, 6, INTERLEAVED)(x)[..., [0, 2, 4, 1, 3, 5]]
    assert torch.equal(rotation_at(positions, 6, HALVES)(reordered), by_pairs)


def test_scores_depend_on_the_distance_alone_even_after_a_day() -> None:
    q, k = torch.randn(2, 1, 1, 1, 64)

    def score(query_at: int, key_at: int) -> float:
        q_at = rotation_at(torch.tensor([[query_at]]), 64, INTERLEAVED)(q)
        k_at = rotation_at(torch.tensor([[key_at]]), 64, INTERLEAVED)(k)
        return float((q_at * k_at).sum())

    a_day = 24 * 3600 * 25 // 2
    assert score(a_day + 57, a_day) == pytest.approx(score(57, 0), abs=1e-4)


class SimulatedRing:
    """The ring as its definition reads: a dict from slot to position, written one by one."""

    def __init__(self, slots: int, pinned: int) -> None:
        self.slots, self.pinned = slots, pinned
        self.held: dict[int, int] = {}

    def write(self, position: int) -> int:
        slot = position
        if position >= self.pinned:
            slot = self.pinned + (position - self.pinned) % (self.slots - self.pinned)
        self.held[slot] = position
        return slot

    def visible(self, query: int, context: int) -> list[bool]:
        return [
            slot in self.held
            and self.held[slot] <= query
            and (self.held[slot] < self.pinned or query - self.held[slot] < context - self.pinned)
            for slot in range(self.slots)
        ]


@settings(deadline=None, max_examples=60)
@given(
    context=st.integers(2, 9),
    length=st.integers(1, 3),
    extra=st.integers(0, 2),
    pinned=st.integers(0, 8),
    calls=st.integers(1, 12),
)
def test_slots_and_visibility_follow_the_definition(
    context: int, length: int, extra: int, pinned: int, calls: int
) -> None:
    pinned = min(pinned, context - 1)
    slots = context + length - 1 + extra
    ring = SimulatedRing(slots, pinned)
    for call in range(calls):
        position = call * length
        span = ring_span(torch.tensor([position]), length, slots, config(context), torch.tensor([pinned]))
        assert span.slots is not None
        assert span.slots.tolist() == [[ring.write(position + t) for t in range(length)]]
        for t in range(length):
            visible = ring.visible(position + t, context)
            assert span.visible[0, 0, t].tolist() == visible
            assert sum(visible) == min(position + t + 1, context)


def test_lanes_at_their_own_positions_get_their_own_spans() -> None:
    positions, pinned = torch.tensor([0, 5, 40]), torch.tensor([0, 3, 2])
    together = ring_span(positions, 2, 9, config(8), pinned)
    for lane in range(3):
        alone = ring_span(positions[lane : lane + 1], 2, 9, config(8), pinned[lane : lane + 1])
        assert torch.equal(together.visible[lane], alone.visible[0])
        assert torch.equal(together.rotation.sin[lane], alone.rotation.sin[0])


def test_without_triton_only_the_eager_attention_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "duplex_model.decode_attention", raising=False)
    assert find_decode_attention("eager", config(8)) is None
    with pytest.raises(ValueError, match="pip install triton"):
        find_decode_attention("triton", config(8))
