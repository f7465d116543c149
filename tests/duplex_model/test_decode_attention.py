"""The kernels against the eager attention: compiled where there is a CUDA device, else in Triton's interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from duplex_model.attention import ATTENTIONS, DecodeAttention
from duplex_model.config import CHECKPOINTS, RotaryConfig, RotaryLayout, TransformerConfig
from duplex_model.cuda_graph import Captured
from duplex_model.streaming import StreamingState
from duplex_model.transformer import Transformer
from tests.duplex_model.batches import noise
from tests.duplex_model.lanes_of_noise import PROMPT, noise_model
from tests.duplex_model.small import randomise

pytestmark = pytest.mark.slow

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is first imported
pytest.importorskip("triton", reason="no Triton: `pip install triton` runs these kernels in its interpreter")

from duplex_model import decode_attention  # noqa: E402

PLAIN = TransformerConfig(
    width=16, layers=1, heads=2, hidden=24, context=7, rotary=RotaryConfig(max_period=10_000)
)
HALVES = RotaryConfig(max_period=20_000, layout=RotaryLayout.HALVES)
VARIANTS = {"plain": PLAIN, "shared keys, halves": replace(PLAIN, kv_repeat=2, rotary=HALVES)}
in_small_pieces = partial(decode_attention.decode_attention, chunk=4, block=2)
"""Seven slots in two chunks of two blocks, the last chunk not full."""


def by_definition(
    q: Tensor, sink_q: Tensor, keys: Tensor, values: Tensor, filled: list[int], pinned: list[int]
) -> Tensor:
    """Each lane by itself, over the slots that it has filled and no others, in float64."""
    repeat = q.shape[1] // keys.shape[1]
    y = torch.zeros(q.shape, dtype=torch.float64, device=q.device)
    for lane, (until, sinks) in enumerate(zip(filled, pinned, strict=True)):
        k = keys[lane, :, :until].double().repeat_interleave(repeat, dim=0)
        v = values[lane, :, :until].double().repeat_interleave(repeat, dim=0)
        in_window = q[lane].double() @ k.transpose(-1, -2)
        to_sinks = sink_q[lane].double() @ k.transpose(-1, -2)
        is_sink = torch.arange(until, device=q.device) < sinks
        if until:
            y[lane] = torch.where(is_sink, to_sinks, in_window).softmax(dim=-1) @ v
    return y


def tensors(lanes: int, heads: int, repeat: int, slots: int, width: int, dtype: torch.dtype) -> list[Tensor]:
    """q, sink_q, keys, values."""
    query, ring = (lanes, heads, 1, width), (lanes, heads // repeat, slots, width)
    return [torch.randn(shape).to(DEVICE, dtype) for shape in (query, query, ring, ring)]


def lengths(values: list[int]) -> Tensor:
    return torch.tensor(values, device=DEVICE)


@settings(max_examples=25)
@given(
    lanes=st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), min_size=1, max_size=3),
    repeat=st.sampled_from([1, 2, 4]),
    chunk=st.integers(1, 16),
    block=st.sampled_from([1, 2, 8]),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
)
def test_exactly_the_filled_slots_are_read(
    lanes: list[tuple[int, int]], repeat: int, chunk: int, block: int, dtype: torch.dtype
) -> None:
    filled, pinned = (list(column) for column in zip(*lanes, strict=True))
    q, sink_q, keys, values = tensors(len(lanes), 4, repeat, 13, 8, dtype)
    for lane, until in enumerate(filled):
        keys[lane, :, until:] = torch.nan
        values[lane, :, until:] = torch.nan
    y = decode_attention.decode_attention(
        q, sink_q, keys, values, lengths(filled), lengths(pinned), chunk=chunk, block=block
    )
    expected = by_definition(q, sink_q, keys, values, filled, pinned)
    assert y.dtype is dtype
    rounding = 1e-5 if dtype is torch.float32 else torch.finfo(dtype).eps
    torch.testing.assert_close(y.double(), expected, rtol=rounding, atol=1e-5)


def test_scores_far_apart_neither_overflow_nor_vanish() -> None:
    q, sink_q, keys, values = tensors(1, 2, 1, 11, 8, torch.float32)
    arguments = 300 * q, 300 * sink_q, keys, values
    y = in_small_pieces(*arguments, lengths([11]), lengths([2]))
    torch.testing.assert_close(y.double(), by_definition(*arguments, [11], [2]), rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning")  # of the interpreter
def test_a_lane_gets_the_same_bits_whoever_is_beside_it() -> None:
    inputs = tensors(3, 4, 2, 11, 8, torch.float32)
    alone = in_small_pieces(*(tensor[1:2] for tensor in inputs), lengths([9]), lengths([3]))
    for tensor in inputs:
        tensor[0] = torch.nan
    among = in_small_pieces(*inputs, lengths([11, 9, 0]), lengths([5, 3, 0]))
    assert torch.equal(among[1], alone[0])
    assert among[0].isnan().all(), "a failed lane must show"
    assert not among[2].any()


@pytest.mark.filterwarnings("ignore:All-NaN slice encountered:RuntimeWarning")  # of the interpreter
def test_one_bad_value_in_one_chunk_shows() -> None:
    q, sink_q, keys, values = tensors(1, 2, 1, 11, 8, torch.float32)
    keys[0, 0, 6, 3] = torch.nan
    y = in_small_pieces(q, sink_q, keys, values, lengths([11]), lengths([2]))
    assert y[0, 0].isnan().all()
    assert y[0, 1].isfinite().all()


def twins(
    config: TransformerConfig, attend: DecodeAttention, *, sinks: bool
) -> tuple[Transformer, Transformer]:
    """The same weights, eager and with the kernels."""
    eager, fast = Transformer(config, sinks=sinks), Transformer(config, sinks=sinks)
    for transformer in (eager, fast):
        randomise(transformer, seed=1)
        transformer.to(DEVICE)
    fast.decode_attention = attend
    return eager, fast


@pytest.mark.parametrize("pinned", [None, [0, 0, 0], [3, 0, 5]], ids=["no sinks", "none pinned", "pinned"])
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_lanes_at_their_own_positions_equal_the_eager_attention_past_many_turns(
    config: TransformerConfig, pinned: list[int] | None
) -> None:
    eager, fast = twins(config, in_small_pieces, sinks=pinned is not None)
    states = {transformer: StreamingState(transformer, lanes=3) for transformer in (eager, fast)}
    if pinned is not None:
        for transformer, state in states.items():
            state[transformer]["pinned"].copy_(torch.tensor(pinned))
    executing = torch.tensor([True, True, True])
    for step in range(4 * config.context):
        executing[1:] = torch.tensor([step % 3 > 0, step > 16 and step % 2 == 0])
        x = torch.randn(3, 1, config.width, device=DEVICE)
        resting = {name: row.clone() for name, row in states[fast].snapshot_lane(1).items()}
        for state in states.values():
            state.executing.copy_(executing)
        expected, got = (transformer(x, states[transformer]) for transformer in (eager, fast))
        torch.testing.assert_close(got[executing], expected[executing], rtol=0, atol=1e-5)
        if not executing[1]:
            after = states[fast].snapshot_lane(1)
            assert all(torch.equal(row, after[name]) for name, row in resting.items())
    assert states[fast][fast]["position"].tolist() == states[eager][eager]["position"].tolist()
    assert int(states[fast][fast]["position"][2]) < config.context < int(states[fast][fast]["position"][1])


def test_several_positions_at_once_are_left_to_the_eager_attention() -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("called for more than one position")

    eager, fast = twins(PLAIN, refuse, sinks=True)
    x = torch.randn(1, 5, PLAIN.width, device=DEVICE)
    expected, got = (transformer(x, StreamingState(transformer, 1)) for transformer in (eager, fast))
    assert torch.equal(got, expected)


def test_a_whole_model_says_the_same_with_the_kernels() -> None:
    said = []
    for attention in ATTENTIONS:
        model = noise_model(2, "hibiki-zero-3b", device=DEVICE, attention=attention)
        for _ in model.prepare(PROMPT, seed=1)(1):
            pass
        steps = [model.step(np.tile(0.3 * noise(n), (2, 1)), np.array([n % 4 > 0, True])) for n in range(30)]
        said.append([step.pcm[1] for step in steps])
    assert np.array_equal(*said)
    assert np.any(said)


@pytest.mark.parametrize("name", list(CHECKPOINTS))
def test_every_known_checkpoint_has_shapes_that_the_kernels_take(name: str) -> None:
    decode_attention.check(CHECKPOINTS[name].lm.temporal)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"power of two.*got 12"):
        decode_attention.check(replace(PLAIN, width=24))


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from duplex_model import decode_attention as kernels

POINTERS = {"filled": "*i64", "pinned": "*i64", "partial": "*fp32", "exponents": "*fp32"}
SIZES = {"HEADS": 16, "WIDTH": 128, "CHUNK": 256, "REPEAT": 2, "BLOCK": kernels.BLOCK, "CHUNKS": 16}
for dtype in ("bf16", "fp16", "fp32"):
    types = POINTERS | {name: "*" + dtype for name in ("q", "sink_q", "keys", "values", "out")}
    types |= {"slots": "i32", "chunks": "i32"}
    for kernel in (kernels._attend_to_chunk, kernels._join_chunks):
        sizes = {name: SIZES[name] for name in kernel.arg_names if name in SIZES}
        signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
        compiled = compile(ASTSource(kernel, signature, sizes), target=GPUTarget("cuda", 90, 32))
        assert compiled.asm["cubin"]
"""


@pytest.mark.slow
def test_the_kernels_compile_for_a_gpu_that_is_not_here(tmp_path: Path) -> None:
    compiled = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    compiled["TRITON_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-W", "ignore", "-c", COMPILE]
    done = subprocess.run(command, env=compiled, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(CHECKPOINTS))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_published_shapes_on_a_gpu_equal_the_definition(name: str, dtype: torch.dtype) -> None:
    config = CHECKPOINTS[name].lm.temporal
    inputs = tensors(4, config.heads, config.kv_repeat, config.context, config.head_width, dtype)
    inputs[0] *= config.head_width**-0.5
    inputs[1] *= config.head_width**-0.5
    filled, pinned = [config.context, 1, 0, 257], [130, 0, 0, 256]
    y = decode_attention.decode_attention(*inputs, lengths(filled), lengths(pinned))
    q, sink_q, keys, values = inputs
    rounding = 1e-4 if dtype is torch.float32 else torch.finfo(dtype).eps
    expected = by_definition(q, sink_q, keys, values, filled, pinned)
    torch.testing.assert_close(y.double(), expected, rtol=rounding, atol=1e-5)


@pytest.mark.gpu
def test_a_captured_graph_follows_the_lengths_of_each_replay() -> None:
    inputs = tensors(2, 4, 1, 600, 64, torch.bfloat16)
    at_rest = [lengths([0, 0]), lengths([0, 0])]
    captured = Captured(lambda given: decode_attention.decode_attention(*inputs, *given), at_rest)
    for filled, pinned in (([1, 600], [0, 20]), ([300, 0], [300, 0]), ([599, 256], [7, 300])):
        replayed = captured([lengths(filled), lengths(pinned)])
        eager = decode_attention.decode_attention(*inputs, lengths(filled), lengths(pinned))
        assert torch.equal(replayed, eager)
