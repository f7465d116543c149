from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from duplex_model.conv import CausalConv1d, CausalConvTranspose1d
from duplex_model.streaming import StreamingModule, StreamingState

SHAPES = [(7, 1), (3, 1), (1, 1), (4, 2), (8, 4), (16, 8), (5, 2), (7, 3), (2, 2)]


def in_pieces(module: StreamingModule, x: Tensor, lengths: list[int]) -> Tensor:
    state = StreamingState(module, lanes=len(x))
    return torch.cat([module(piece, state) for piece in x.split(lengths, dim=-1)], dim=-1)


def every_cut(steps: int, stride: int) -> list[list[int]]:
    """All ways to cut `steps` strides into pieces, as lengths in samples."""
    cuts = []
    for joints in itertools.product([False, True], repeat=steps - 1):
        lengths = [stride]
        for joint in joints:
            if joint:
                lengths[-1] += stride
            else:
                lengths.append(stride)
        cuts.append(lengths)
    return cuts


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
@pytest.mark.parametrize("replicate", [False, True])
def test_a_convolution_in_pieces_equals_the_whole(kernel: int, stride: int, replicate: bool) -> None:
    conv = CausalConv1d(3, 4, kernel, stride=stride, replicate=replicate)
    x = torch.randn(2, 3, 5 * stride)
    whole = conv(x)
    assert whole.shape == (2, 4, 5)
    for lengths in every_cut(5, stride):
        torch.testing.assert_close(in_pieces(conv, x, lengths), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("kernel", "stride"), SHAPES)
@pytest.mark.parametrize("bias", [False, True])
def test_a_transposed_convolution_in_pieces_equals_the_whole(kernel: int, stride: int, bias: bool) -> None:
    conv = CausalConvTranspose1d(3, 4, kernel, stride=stride, bias=bias)
    x = torch.randn(2, 3, 5)
    whole = conv(x)
    assert whole.shape == (2, 4, 5 * stride)
    for lengths in every_cut(5, 1):
        torch.testing.assert_close(in_pieces(conv, x, lengths), whole, rtol=0, atol=1e-5)


def test_a_convolution_does_not_look_ahead() -> None:
    conv = CausalConv1d(1, 1, 7)
    x = torch.randn(1, 1, 9)
    changed = x.clone()
    changed[..., 5:] += 1
    assert torch.equal(conv(x)[..., :5], conv(changed)[..., :5])


def test_replicated_padding_repeats_the_first_sample() -> None:
    conv = CausalConv1d(1, 1, 4, stride=2, bias=False, replicate=True)
    padded = torch.tensor([[[3.0, 3.0, 3.0, 1.0, 2.0, 5.0]]])
    assert torch.equal(conv(padded[..., 2:]), conv.conv(padded))


@pytest.mark.parametrize("replicate", [False, True])
def test_a_masked_lane_continues_as_if_the_step_had_not_been(replicate: bool) -> None:
    conv, back = (
        CausalConv1d(1, 2, 4, stride=2, replicate=replicate),
        CausalConvTranspose1d(2, 1, 4, stride=2),
    )
    model = torch.nn.ModuleList([conv, back])
    x = torch.randn(2, 1, 12)
    whole = back(conv(x))
    state = StreamingState(model, lanes=2)
    heard: list[list[Tensor]] = [[], []]
    for first, second in [(True, False), (False, True), (True, True), (True, False), (False, True)]:
        state.executing.copy_(torch.tensor([first, second]))
        at = [2 * len(outputs) for outputs in heard]
        piece = torch.stack([x[lane, :, at[lane] : at[lane] + 2] for lane in range(2)])
        y = back(conv(torch.where(state.executing[:, None, None], piece, torch.nan), state), state)
        for lane in range(2):
            if state.executing[lane]:
                heard[lane].append(y[lane])
    for lane in range(2):
        torch.testing.assert_close(torch.cat(heard[lane], dim=-1), whole[lane, :, :6], rtol=0, atol=1e-6)
