"""What the language model is taught: the next text token, the codes of its voice, and the words it hears.

The last is a lesson on the side, by heads that are dropped afterwards (see `lessons`): which word has just ended, and
what the role asks for. A translation says so late and seldom; with them, listening is learnt several times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.config import TEXT_TOKENS, LMConfig
from duplex_model.lm import RQTransformer
from duplex_model.training.lm_learning.batches import Batch
from duplex_model.training.lm_learning.lessons import SITUATIONS

_SILENT_SHARE = 0.35
"""How often a frame of silence is chosen for the depth transformer, where one of speech is chosen once."""


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What counts how much."""

    text: float = 1.0
    semantic: float = 1.0
    acoustic: float = 0.1
    """Of each acoustic codebook."""

    hearing: float = 0.3
    situation: float = 0.3
    depth_share: float = 0.25
    """Share of the live frames whose codes are learnt from; all of them would cost more than they teach."""


@dataclass(frozen=True)
class Losses:
    """Of one batch."""

    total: Tensor
    """[]: to be made smaller."""

    parts: Mapping[str, Tensor]
    """[] each, without gradient: mean cross-entropies in nats, and shares of right answers."""


class SideHeads(nn.Module):
    """What the lessons on the side ask for; dropped after training."""

    def __init__(self, config: LMConfig) -> None:
        super().__init__()
        self._word = nn.Linear(config.temporal.width, config.text_card, bias=False)
        self._situation = nn.Linear(config.temporal.width, len(SITUATIONS), bias=False)

    def word(self, h: Tensor) -> Tensor:
        """Which word has just been heard: [..., D] -> [..., text_card]."""
        y: Tensor = self._word(h)
        return y

    def situation(self, h: Tensor) -> Tensor:
        """Which of `SITUATIONS` the role asks for: [..., D] -> [..., situations]."""
        y: Tensor = self._situation(h)
        return y


def losses(
    model: RQTransformer,
    side: SideHeads | None,
    batch: Batch,
    inputs: Tensor,
    weights: LossWeights,
    generator: torch.Generator,
) -> Losses:
    """The losses of a batch.

    Args:
        model: what learns.
        side: the heads on the side, or None.
        batch: the targets.
        inputs: int64 [B, streams, T + 1], its columns as the model sees them.
        weights: of the losses.
        generator: chooses the frames whose codes are learnt from.
    """
    h = model.temporal(model.embed(inputs[..., :-1]), pinned=batch.pinned).flatten(0, 1)
    targets = batch.columns[:, : 1 + model.config.own_codebooks, 1:].transpose(1, 2).flatten(0, 1)
    text = _text_parts(model, h, targets[:, 0], batch.text_weight[:, 1:].flatten(), batch.written)
    own_weight = batch.own_weight[:, :, 1:].transpose(1, 2).flatten(0, 1)
    count = max(int(weights.depth_share * batch.own_frames), 1)
    own = _own_parts(model, h, targets, own_weight, count, generator)
    parts = {**text, **own}
    total = weights.text * text["text"] + weights.semantic * own["semantic"]
    total = total + weights.acoustic * (model.config.own_codebooks - 1) * own["acoustic"]
    if side is not None:
        words = batch.heard_word[:, :-1].flatten().index_select(0, batch.ended)
        heard = _answers("hearing", side.word(h.index_select(0, batch.ended)), words)
        asked = _answers("situation", side.situation(h.index_select(0, batch.acting)), batch.situations)
        parts |= heard | asked
        total = total + weights.hearing * heard["hearing"] + weights.situation * asked["situation"]
    return Losses(total, {name: value.detach() for name, value in parts.items()})


def is_word(text: Tensor) -> Tensor:
    """Bool, of text tokens int64: those that write, neither padding nor its end."""
    return (text != TEXT_TOKENS.padding) & (text != TEXT_TOKENS.end_of_padding)


def _text_parts(
    model: RQTransformer, h: Tensor, target: Tensor, weight: Tensor, written: Tensor
) -> dict[str, Tensor]:
    target, weight = target[written], weight[written]
    logits = model.text_logits(h.index_select(0, written)).float()
    right = (logits.argmax(dim=-1) == target).float()
    padding = target == TEXT_TOKENS.padding
    start = target == TEXT_TOKENS.end_of_padding
    entropies = F.cross_entropy(logits, target, reduction="none")
    return {
        "text": _mean(entropies, weight),
        "word_accuracy": _mean(right, is_word(target).float()),
        "start_accuracy": _mean(right, start.float()),
        "padding_accuracy": _mean(right, padding.float()),
    }


def _own_parts(
    model: RQTransformer,
    h: Tensor,
    targets: Tensor,
    weight: Tensor,
    count: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Of the codes in some of the frames.

    Args:
        model: what learns.
        h: [N, D].
        targets: int64 [N, 1 + codebooks].
        weight: [N, codebooks].
        count: how many, of the frames with any weight.
        generator: chooses them.
    """
    liking = weight.amax(dim=1)
    liking = torch.where(liking > 0, liking.clamp(min=_SILENT_SHARE), 0.0)
    # As `multinomial` draws without replacement, but without its checks, for which a GPU would have to be waited for.
    race = liking / torch.empty_like(liking).exponential_(generator=generator)
    chosen = race.topk(count).indices
    target, weight = targets[chosen], weight[chosen]
    logits = model.depth.teacher_forced(h.index_select(0, chosen), target).float()
    entropies = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), reduction="none")
    entropies = entropies.unflatten(0, weight.shape)  # type: ignore[no-untyped-call]
    right = (logits[:, 0].argmax(dim=-1) == target[:, 1]).float()
    spoken = (weight[:, 0] >= 1).float()
    return {
        "semantic": _mean(entropies[:, 0], weight[:, 0]),
        "acoustic": _mean(entropies[:, 1:], weight[:, 1:]),
        "semantic_accuracy": _mean(right, spoken),
    }


def _answers(name: str, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Of a lesson on the side: logits [N, answers], target int64 [N]."""
    logits = logits.float()
    right = (logits.argmax(dim=-1) == target).float()
    entropies = F.cross_entropy(logits, target, reduction="none")
    every = torch.ones_like(right)
    return {name: _mean(entropies, every), f"{name}_accuracy": _mean(right, every)}


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """[]: 0 where there is no weight."""
    return (values * weight).sum() / weight.sum().clamp(min=1e-6)
