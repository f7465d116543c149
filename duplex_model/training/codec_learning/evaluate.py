"""What a codec is worth: how near decoded speech is, what the semantic codes tell, and whether silence is silent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ
from duplex_model.spectral import SpectralCodec, mel_filters
from duplex_model.training.codec_learning.losses import FLOOR, PhoneHead
from duplex_model.training.codec_learning.pool import HOPS_PER_FRAME, PASSAGE_S, Integers, Pool, to_pcm

MEL_BANDS = 80
SILENT_FRAMES = 25
"""Frames of silence, 2 s, in which the codes must come to rest."""


@torch.no_grad()
def evaluate(
    codec: SpectralCodec, head: PhoneHead, held_out: Pool, trained: Pool, slots: Sequence[int]
) -> dict[str, Any]:
    """Figures for held-out voices and sentences, beside those for as much of what was trained on.

    `mel_l1` is in nats over 80 bands; `phones` the share of phones right, with and without the silent ones;
    `codebooks` the entries in use and their perplexity.
    """
    codec.eval()
    figures = {
        name: _speech(codec, head, pool, slots, codes)
        for name, pool, codes in (
            ("held_out", held_out, held_out.clean),
            ("held_out_noisy", held_out, held_out.heard),
            ("trained", trained, trained.clean),
        )
    }
    return figures | {"silence": silence(codec)}


def _speech(
    codec: SpectralCodec, head: PhoneHead, pool: Pool, slots: Sequence[int], heard: Integers
) -> dict[str, Any]:
    rows = list(islice(_passages(pool, heard), 4))
    clean, given = (torch.cat([row[side] for row in rows]) for side in (0, 1))
    codes = codec.encode(given[:, None])
    said = codec.decode(codes)[:, 0]
    semantic = F.embedding(codes[:, 0], codec.quantizer.rvq_first.centroids[0])
    guessed = head(semantic).argmax(dim=-1)[:, 1:-1]
    phones = torch.stack([_phones(row[2], slots) for row in rows])
    right = guessed == phones
    delay = codec.config.delay_samples
    return {
        "mel_l1": round(mel_l1(said[:, delay:], clean[:, :-delay]), 3),
        "phones": round(float(right.float().mean()), 3),
        "phones_spoken": round(float(right[phones > 0].float().mean()), 3),
        "codebooks": [_use(level, codec.config.card) for level in codes.unbind(dim=1)],
    }


def _passages(pool: Pool, heard: Integers) -> Any:
    """Pieces of a minute: clean [1, 1920 T], heard [1, 1920 T], phones [8 T]."""
    frames = min(PASSAGE_S * SAMPLE_RATE_HZ, len(pool.clean)) // FRAME_SAMPLES
    for first in range(0, len(pool.clean) - frames * FRAME_SAMPLES + 1, frames * FRAME_SAMPLES):
        span = slice(first, first + frames * FRAME_SAMPLES)
        hop = first * HOPS_PER_FRAME // FRAME_SAMPLES
        yield (
            to_pcm(pool.clean[span])[None],
            to_pcm(heard[span])[None],
            pool.phones[hop : hop + frames * HOPS_PER_FRAME],
        )


def _phones(labels: Any, slots: Sequence[int]) -> Tensor:
    """int64 [T - 2, slots]: of all frames but the first and the last, whose slots may lie outside."""
    frames = len(labels) // HOPS_PER_FRAME
    hops = HOPS_PER_FRAME * np.arange(1, frames - 1)[:, None] + np.asarray(slots)
    return torch.from_numpy(labels[hops].astype(np.int64))


def mel_l1(said: Tensor, wanted: Tensor) -> float:
    """Mean absolute difference of log mel magnitudes of pcm [B, N], in nats."""
    samples = 1024
    window = torch.hann_window(samples)
    window = window / window.square().sum().sqrt()
    filters = mel_filters(MEL_BANDS, samples)
    mels = []
    for pcm in (said, wanted):
        power = torch.fft.rfft(pcm.unfold(-1, samples, samples // 4) * window).abs().square()
        mels.append(torch.log(power @ filters + FLOOR**2) / 2)
    return float(F.l1_loss(mels[0], mels[1]))


def _use(codes: Tensor, card: int) -> dict[str, float]:
    shares = torch.bincount(codes.flatten(), minlength=card) / codes.numel()
    perplexity = float(torch.special.entr(shares).sum().exp())
    return {"used": int((shares > 0).sum()), "perplexity": round(perplexity, 1)}


@torch.no_grad()
def silence(codec: SpectralCodec) -> dict[str, Any]:
    """What becomes of silence: after how many frames following noise its codes rest, and how loud they decode."""
    noise = 0.1 * torch.randn(1, 1, 10 * FRAME_SAMPLES, generator=torch.Generator().manual_seed(0))
    quiet = torch.zeros(1, 1, SILENT_FRAMES * FRAME_SAMPLES)
    codes = codec.encode(torch.cat([noise, quiet], dim=-1))[0, :, 10:]
    rest = codes[:, -1:]
    moving = (codes != rest).any(dim=0).nonzero()
    said = codec.decode(rest[None].expand(-1, -1, SILENT_FRAMES))[..., 5 * FRAME_SAMPLES :]
    level_db = 20 * torch.log10(said.square().mean().sqrt() + 1e-9)
    return {
        "frames_to_rest": int(moving.max()) + 1 if len(moving) else 0,
        "codes": rest[:, 0].tolist(),
        "level_db": round(float(level_db), 1),
    }
