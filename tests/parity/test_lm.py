from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from duplex_model.config import CHECKPOINTS, CheckpointConfig, LMConfig
from tests.duplex_model.small import CONTEXT, small_checkpoint
from tests.parity import oracle
from tests.parity.tally import compared


def full_width(name: str) -> CheckpointConfig:
    """One temporal and one depth layer of the true shape, with small vocabularies."""
    checkpoint = CHECKPOINTS[name]
    lm = checkpoint.lm
    temporal, depth = replace(lm.temporal, layers=1), replace(lm.depth, layers=1)
    return replace(checkpoint, lm=replace(lm, temporal=temporal, depth=depth, card=64, text_card=64))


VARIANTS = ("personaplex-7b", "moshiko-7b", "hibiki-2b", "hibiki-1b", "hibiki-zero-3b")
ROUNDING = 1e-4
"""Of a logit, relative: sums of many fp32 products differ by a few ulps between processors, and logits reach 10."""

SPELLINGS = {"unfused": None, "fused": "_weight", "fused, dotted": ".weight"}


def random_frames(config: LMConfig, frames: int, lanes: int = 2) -> Tensor:
    """Codes [lanes, streams, frames], undelayed."""
    text = torch.randint(config.text_card, (lanes, 1, frames))
    audio = torch.randint(config.card, (lanes, config.streams - 1, frames))
    return torch.cat([text, audio], dim=1)


def delayed(config: LMConfig, codes: Tensor) -> Tensor:
    """The token table of `codes`: position p of stream k holds frame p - delay_k, counted from 1."""
    lanes, _, frames = codes.shape
    table = torch.tensor(config.initial_tokens).view(1, -1, 1).repeat(lanes, 1, frames + 1)
    for stream, delay in enumerate(config.delays):
        table[:, stream, 1 + delay :] = codes[:, stream, : frames - delay]
    return table


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", VARIANTS)
def test_teacher_forced_logits(name: str, spelling: str) -> None:
    check_logits(small_checkpoint(name), 2 * CONTEXT, spelling)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["moshiko-7b", "hibiki-2b", "hibiki-zero-3b"])
def test_teacher_forced_logits_of_layers_in_full_width(name: str) -> None:
    check_logits(full_width(name), 3, "unfused")


def check_logits(checkpoint: CheckpointConfig, frames_given: int, spelling: str) -> None:
    name = checkpoint.name
    config = checkpoint.lm
    theirs, ours = oracle.lm_pair(checkpoint, seed=3, suffix=SPELLINGS[spelling])
    codes = random_frames(config, frames_given)
    description = "very_good"
    expected = theirs(codes, oracle.conditions(theirs, [description] * 2))
    condition = ours.condition(description) if ours.condition else None
    text, audio = ours(delayed(config, codes), condition)
    own = config.own_codebooks
    size = f"{spelling}, width {config.temporal.width}"
    with compared(name, f"text logits, {size}"):
        torch.testing.assert_close(text, expected.text_logits[:, 0], rtol=ROUNDING, atol=1e-4)
    with compared(name, f"audio logits, {size}"):
        for codebook in range(own):
            delay = config.delays[1 + codebook]
            frames = codes.shape[-1] - delay
            torch.testing.assert_close(
                audio[:, delay:, codebook], expected.logits[:, codebook, :frames], rtol=ROUNDING, atol=1e-4
            )
    assert audio.std() > 0.5  # so that the tolerance means something
