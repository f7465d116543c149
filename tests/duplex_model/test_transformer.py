from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from duplex_model.config import Norm, RotaryConfig, RotaryLayout, TransformerConfig
from duplex_model.streaming import StreamingState
from duplex_model.transformer import RMSNorm, Transformer
from tests.duplex_model.small import randomise

PLAIN = TransformerConfig(
    width=16, layers=2, heads=4, hidden=24, context=7, rotary=RotaryConfig(max_period=10_000)
)
VARIANTS = {
    "plain": PLAIN,
    "shared keys, halves": replace(
        PLAIN, kv_repeat=2, rotary=RotaryConfig(max_period=20_000, layout=RotaryLayout.HALVES)
    ),
    "layer norm, gelu, scaled": replace(PLAIN, norm=Norm.LAYER, gated=False, layer_scale=True),
}


def build(config: TransformerConfig, **options: bool | int) -> Transformer:
    transformer = Transformer(config, **options)  # type: ignore[arg-type]
    randomise(transformer, seed=1)
    return transformer


def in_pieces(transformer: Transformer, x: Tensor, lengths: list[int]) -> Tensor:
    state = StreamingState(transformer, lanes=len(x))
    return torch.cat([transformer(piece, state) for piece in x.split(lengths, dim=1)], dim=1)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize(
    "lengths", [[1] * 24, [2] * 12, [3] * 8, [7, *[1] * 17], [4, 3, 2, 1, 3, 1, 2, 3, 2, 3]]
)
def test_in_pieces_equals_the_whole_past_the_context(config: TransformerConfig, lengths: list[int]) -> None:
    transformer = build(config, turning_steps=max(lengths[1:]))
    x = torch.randn(2, 24, 16)
    torch.testing.assert_close(in_pieces(transformer, x, lengths), transformer(x), rtol=0, atol=1e-5)


def test_sinks_with_nothing_pinned_are_a_plain_window() -> None:
    plain, sinking = build(PLAIN), build(PLAIN, sinks=True)
    x = torch.randn(2, 20, 16)
    torch.testing.assert_close(
        in_pieces(sinking, x, [1] * 20), in_pieces(plain, x, [1] * 20), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize("length", [5, 7, 8, 40])
def test_the_whole_sequence_equals_the_ring_with_each_lane_s_own_pins(
    config: TransformerConfig, length: int
) -> None:
    transformer = build(config, sinks=True)
    pinned = torch.tensor([0, 1, 3, 4])
    x = torch.randn(4, length, 16)
    state = StreamingState(transformer, lanes=4)
    state[transformer]["pinned"].copy_(pinned)
    stepwise = torch.cat([transformer(piece, state) for piece in x.split(1, dim=1)], dim=1)
    torch.testing.assert_close(transformer(x, pinned=pinned), stepwise, rtol=0, atol=1e-5)


def test_a_masked_or_reset_lane_leaves_the_others_bit_exact() -> None:
    transformer = build(PLAIN)
    x = torch.randn(20, 2, 1, 16)
    alone = StreamingState(transformer, lanes=2)
    disturbed = StreamingState(transformer, lanes=2)
    for step in range(20):
        expected = transformer(x[step], alone)[0]
        disturbed.executing.copy_(torch.tensor([True, step % 3 == 0]))
        other = torch.full((1, 16), torch.nan) if step == 9 else torch.randn(1, 16)
        got = transformer(torch.stack([x[step, 0], other]), disturbed)[0]
        if step % 5 == 4:
            disturbed.reset_lane(1)
        assert torch.equal(got, expected)


def test_lanes_out_of_step_equal_lanes_in_step() -> None:
    transformer = build(PLAIN)
    x = torch.randn(2, 15, 16)
    expected = in_pieces(transformer, x, [1] * 15)
    state = StreamingState(transformer, lanes=2)
    position = [0, 0]
    generator = torch.Generator().manual_seed(3)
    while min(position) < 15:
        active = [bool(torch.randint(2, (), generator=generator)) and at < 15 for at in position]
        state.executing.copy_(torch.tensor(active))
        piece = torch.stack([x[lane, min(position[lane], 14)] for lane in range(2)])[:, None]
        y = transformer(piece, state)
        for lane in range(2):
            if active[lane]:
                torch.testing.assert_close(y[lane, 0], expected[lane, position[lane]], rtol=0, atol=1e-6)
                position[lane] += 1


def pinned_weights(transformer: Transformer, state: StreamingState, query: Tensor) -> Tensor:
    """Raw scores of `query` against the pinned keys of the first layer, which is not advanced."""
    span = transformer._span(query, state)  # noqa: SLF001
    attention = transformer.layers[0].self_attn
    q, _, _ = attention._project(query)
    scores = attention._scores(q, state[attention]["keys"], span)
    return scores[..., : int(state[transformer]["pinned"][0])]


def test_a_pinned_key_scores_alike_at_the_end_of_the_context_and_after_many_turns() -> None:
    transformer = build(PLAIN, sinks=True)
    state = StreamingState(transformer, lanes=1)
    state[transformer]["pinned"].fill_(3)
    query = torch.randn(1, 1, 16)
    scores = []
    for position in range(6 + 3 * 7 + 1):
        if position in (6, 6 + 7, 6 + 3 * 7):
            scores.append(pinned_weights(transformer, state, query))
        transformer(torch.randn(1, 1, 16), state)
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])
    assert scores[0].isfinite().all()


def test_pinned_positions_are_heard_for_ever_and_others_only_within_the_window() -> None:
    transformer = build(replace(PLAIN, layers=1), sinks=True)
    x = torch.randn(1, 60, 16)

    def last_output(changed: int) -> Tensor:
        altered = x.clone()
        altered[:, changed] += 1
        state = StreamingState(transformer, lanes=1)
        state[transformer]["pinned"].fill_(2)
        for step in range(60):
            y = transformer(altered[:, step : step + 1], state)
        return y

    reference = last_output(10)  # long out of the window
    assert torch.equal(last_output(54), reference)  # just out: the window is context - pinned = 5 positions
    for heard in (0, 1, 55, 58):
        assert not torch.equal(last_output(heard), reference)


def test_state_does_not_grow_with_the_call() -> None:
    transformer = build(PLAIN, sinks=True)
    state = StreamingState(transformer, lanes=2)
    before = state.bytes_per_lane, state[transformer.layers[0].self_attn]["keys"].data_ptr()
    for _ in range(50):
        transformer(torch.randn(2, 1, 16), state)
    assert (state.bytes_per_lane, state[transformer.layers[0].self_attn]["keys"].data_ptr()) == before


def test_rms_norm_divides_by_the_root_mean_square() -> None:
    norm = RMSNorm(2)
    assert norm(torch.tensor([[[3.0, 4.0]]])).flatten().tolist() == pytest.approx([0.848528, 1.131371])
