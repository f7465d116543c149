"""Small configs of every variant, and random weights that make them sensitive to every input."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from duplex_model.config import (
    CHECKPOINTS,
    CheckpointConfig,
    LMConfig,
    MimiConfig,
    Norm,
    RotaryConfig,
    TransformerConfig,
)

CONTEXT = 24

SMALL_MIMI = MimiConfig(
    codebooks=4,
    trained_codebooks=6,
    card=32,
    codebook_width=8,
    width=16,
    filters=2,
    transformer=TransformerConfig(
        width=16,
        layers=2,
        heads=2,
        hidden=24,
        context=10,
        rotary=RotaryConfig(max_period=10_000),
        norm=Norm.LAYER,
        gated=False,
        layer_scale=True,
    ),
)


def small_lm(name: str) -> LMConfig:
    """The checkpoint `name` with the same structure and narrow layers."""
    full = CHECKPOINTS[name].lm
    heads = 2 * full.temporal.kv_repeat
    temporal = replace(full.temporal, width=8 * heads, layers=2, heads=heads, hidden=40, context=CONTEXT)
    depth = replace(
        full.depth,
        width=16,
        layers=2,
        heads=2,
        hidden=24,
        embedding_rank=4 if full.depth.embedding_rank else None,
    )
    return replace(full, temporal=temporal, depth=depth, text_card=48, card=32)


def small_checkpoint(name: str) -> CheckpointConfig:
    """The checkpoint `name` at reduced size."""
    return replace(CHECKPOINTS[name], lm=small_lm(name))


def randomise(model: nn.Module, seed: int, gain: float = 1.0) -> None:
    """Fills every parameter and buffer with noise, scaled so that signals keep their size through linears."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            noise = torch.randn(tensor.shape, generator=generator)
            if "norm" in name and not name.endswith("bias"):
                tensor.copy_(1 + 0.2 * noise)
            elif tensor.dim() < 2:
                tensor.copy_(0.3 * noise)
            elif "emb" in name or "centroids" in name:
                tensor.copy_(noise)
            else:
                tensor.copy_(gain * noise / tensor[0].numel() ** 0.5)
