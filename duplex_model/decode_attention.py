"""Attention of one new position of every lane, reading only what the lane's ring holds: two Triton kernels.

A ring fills from its first slot and once full is read whole, so what a position attends to is always the ring's
first `filled` slots. They are read in chunks, each by one program, whose results are then joined (as in
pytorch.org/blog/flash-decoding; the running softmax is that of arXiv:1805.02867):

    S = 12, chunks of 4      slots      0 1 2 3 | 4 5 6 7 | 8 9 . .
    filled = 10, pinned = 3  query      s s s w   w w w w   w w       s: turned for sinks, w: for the window

    o_c = sum_j exp(q k_j - m_c) v_j / l_c,   l_c = sum_j exp(q k_j - m_c),   m_c = max_j q k_j
    o = sum_c exp(e_c) o_c / sum_c exp(e_c),  e_c = m_c + log l_c

The grid depends on shapes alone, and lengths are read on the device, so that a step can be captured as a CUDA graph.
Chunks begin at fixed slots: what a lane gets, to the last bit, depends neither on its neighbours nor on how many there
are. A lane that rests reads nothing and gets zeros. Keys and values are of any floating dtype; sums are float32.

No GPU has run these kernels yet. Their numbers were checked in Triton's interpreter on a CPU, and they compile for
NVIDIA's sm_80 and sm_90. So the engine takes them only when asked (`attention: triton`), and the sizes of chunks and
blocks are reasoned, not tuned.
"""

# Triton gives its kernels their types.
# mypy: disable-error-code="no-untyped-def, untyped-decorator, no-untyped-call"

from __future__ import annotations

from typing import Any

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

from duplex_model.config import TransformerConfig

CHUNK = 256
"""Slots of a program. A chunk's result is 1/256 of the bfloat16 it reads; 3000 slots of 32 heads are 384 programs."""

BLOCK = 32
"""Slots in registers at a time: 32 keys of 128 channels are 32 float32 registers of each of 128 threads."""

_LOWEST = tl.constexpr(-3.0e38)
"""Below every score, and finite: its distance to itself is 0."""


def check(config: TransformerConfig) -> None:
    """Whether the kernels take the shapes of `config`.

    Raises:
        ValueError: they do not.
    """
    width = config.head_width
    if width & (width - 1):
        raise ValueError(f"expected heads as wide as a power of two for attention triton, got {width}")


def decode_attention(
    q: Tensor,
    sink_q: Tensor,
    keys: Tensor,
    values: Tensor,
    filled: Tensor,
    pinned: Tensor,
    *,
    chunk: int = CHUNK,
    block: int = BLOCK,
) -> Tensor:
    """softmax(q k) v over the first `filled` slots of each lane.

    Args:
        q: [B, H, 1, d], scaled and rotated for keys in the window.
        sink_q: [B, H, 1, d], scaled and rotated for pinned keys.
        keys: [B, H / r, S, d], contiguous; each serves r consecutive query heads.
        values: as `keys`.
        filled: int64 [B], in [0, S].
        pinned: int64 [B]: the first slots, met by `sink_q`.
        chunk: slots of a program.
        block: a power of two: slots in registers at a time.

    Returns:
        [B, H, 1, d] in the dtype of `values`; zeros where `filled` is 0.
    """
    lanes, kv_heads, slots, width = keys.shape
    heads = q.shape[1]
    assert keys.is_contiguous()
    assert values.is_contiguous()
    rows, chunks = lanes * heads, triton.cdiv(slots, chunk)
    partial = torch.empty(rows, chunks, width, dtype=torch.float32, device=q.device)
    exponents = torch.empty(rows, chunks, dtype=torch.float32, device=q.device)
    y = torch.empty(q.shape, dtype=values.dtype, device=q.device)
    sizes: dict[str, Any] = {"HEADS": heads, "WIDTH": width, "CHUNK": chunk}
    blocks: dict[str, Any] = {"REPEAT": heads // kv_heads, "BLOCK": block}
    # A product and its sum round once. Said here, as Triton's default is about to change.
    fused: dict[str, Any] = {"enable_fp_fusion": True}
    padded: dict[str, Any] = {"CHUNKS": triton.next_power_of_2(chunks)}
    q, sink_q = q.contiguous(), sink_q.contiguous()
    with torch.cuda.device_of(q):  # Triton launches on the current device; on a CPU this is nothing
        _attend_to_chunk[(rows, chunks)](
            q, sink_q, keys, values, filled, pinned, partial, exponents, slots, **sizes, **blocks, **fused
        )
        _join_chunks[(rows,)](partial, exponents, filled, y, chunks, **sizes, **padded, **fused)
    return y


@triton.jit
def _attend_to_chunk(
    q,
    sink_q,
    keys,
    values,
    filled,
    pinned,
    partial,
    exponents,
    slots,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    REPEAT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """o_c and e_c of one chunk for one head of one lane; those of a chunk that holds nothing stay unwritten.

    Each of BLOCK slots side by side keeps sums of its own, so that threads exchange nothing but scores until the end.
    """
    row = tl.program_id(0).to(tl.int64)  # lanes times heads times slots times width pass 2^31
    chunk = tl.program_id(1)
    start = chunk * CHUNK
    stop = tl.minimum(start + CHUNK, tl.load(filled + row // HEADS).to(tl.int32))
    if start < stop:
        window = tl.load(pinned + row // HEADS).to(tl.int32)
        channel = tl.arange(0, WIDTH)
        ring = row // REPEAT * slots * WIDTH
        highest = tl.full([BLOCK], _LOWEST, tl.float32)
        total = tl.zeros([BLOCK], tl.float32)
        y = tl.zeros([BLOCK, WIDTH], tl.float32)

        query = tl.load(sink_q + row * WIDTH + channel).to(tl.float32)
        until = tl.minimum(stop, window)
        highest, total, y = _take_in(
            query, keys + ring, values + ring, start, until, highest, total, y, WIDTH, BLOCK
        )
        query = tl.load(q + row * WIDTH + channel).to(tl.float32)
        since = tl.maximum(start, window)
        highest, total, y = _take_in(
            query, keys + ring, values + ring, since, stop, highest, total, y, WIDTH, BLOCK
        )

        top = tl.max(highest, axis=0)
        share = tl.exp(highest - top)
        whole = tl.sum(total * share, axis=0)
        result = row * tl.num_programs(1) + chunk
        tl.store(exponents + result, top + tl.log(whole))
        tl.store(partial + result * WIDTH + channel, tl.sum(y * share[:, None], axis=0) / whole)


@triton.jit
def _take_in(query, keys, values, start, stop, highest, total, y, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """m, l and the o not yet divided by it, [BLOCK] and [BLOCK, WIDTH], after the slots from `start` to `stop`."""
    while start < stop:  # `range` is not interpreted by every Triton and numpy
        slot = start + tl.arange(0, BLOCK)
        held = slot < stop
        at = slot[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
        key = tl.load(keys + at, mask=held[:, None], other=0.0).to(tl.float32)
        value = tl.load(values + at, mask=held[:, None], other=0.0).to(tl.float32)
        score = tl.where(held, tl.sum(query[None, :] * key, axis=1), _LOWEST)
        higher = tl.maximum(highest, score)
        weight = tl.where(held, tl.exp(score - higher), 0.0)
        fading = tl.exp(highest - higher)
        total = total * fading + weight
        y = y * fading[:, None] + weight[:, None] * value
        highest = higher
        start += BLOCK
    return highest, total, y


@triton.jit
def _join_chunks(
    partial,
    exponents,
    filled,
    out,
    chunks,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    CHUNKS: tl.constexpr,
):
    """The o of one head of one lane from the o_c and e_c of the chunks that hold anything."""
    row = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, WIDTH)
    held = tl.arange(0, CHUNKS) * CHUNK < tl.load(filled + row // HEADS)
    result = row * chunks + tl.arange(0, CHUNKS)
    exponent = tl.load(exponents + result, mask=held, other=_LOWEST)
    weight = tl.where(held, tl.exp(exponent - tl.max(exponent, axis=0)), 0.0)
    parts = tl.load(partial + result[:, None] * WIDTH + channel[None, :], mask=held[:, None], other=0.0)
    total = tl.sum(weight, axis=0)
    y = tl.sum(weight[:, None] * parts, axis=0) / tl.where(total == 0, 1.0, total)  # 0: the lane rests
    tl.store(out + row * WIDTH + channel, y.to(out.dtype.element_ty))
