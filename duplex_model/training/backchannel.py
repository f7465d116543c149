"""Trains the detector of backchannels: `python -m duplex_model.training.backchannel --lists LISTS.yaml --out FILE`.

    utterances (`backchannels.speech`) -> log-mel, labels each 20 ms -> `BackchannelNet` -> float16 weights, a threshold

Beside the answer itself the network learns which phone is being said: nobody asks it that afterwards, but the answer is
made of it, and without it the same minutes of training lead to twice the errors. The threshold is the one at
which so many of the held-out utterances that are no backchannels are taken for one (`FALSE_RATE`), asked when a floor
must begin to give way.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from duplex_model.contract import SAMPLE_RATE_HZ
from duplex_model.training.backchannels.net import MELS, STRIDE, BackchannelNet, NetSize, log_mel
from duplex_model.training.backchannels.speech import BEFORE_S, LONGEST_S, OPEN_S, Example, Speaking
from duplex_model.training.backchannels.texts import Texts, closed_lists
from duplex_model.training.grammar import load_grammar
from duplex_model.training.speech.mel import HOP_SAMPLES, WINDOW_SAMPLES
from duplex_model.training.speech.phones import PHONES

logger = logging.getLogger(__name__)

Now = Callable[[], float]
"""Seconds."""

ASKED_S = 0.65
"""What a floor knows of a voice when it must begin to give way."""

FALSE_RATE = 0.035
VALIDATION_FROM = 10**8
"""Seeds of the validation begin here."""

WINDOWS = int((BEFORE_S + LONGEST_S) * SAMPLE_RATE_HZ - WINDOW_SAMPLES) // HOP_SAMPLES // STRIDE * STRIDE
_STEPS = WINDOWS // STRIDE
_STEP_SAMPLES = STRIDE * HOP_SAMPLES
_PHONE_DELAY_S = 0.05
"""After which a phone is asked for: it is not known from its first sound."""

_ASKED_FROM_S = 0.3
_AFTER_S = 0.25
"""How long the answer stays the same after the last sound."""

_BATCH = 64
_RATE = 3e-3
_WARM_UP = 0.05
_DECAY = 0.02
_ALIGNMENT = (1.0, 0.1)
"""Weight of the phones, at the beginning and at the end."""

_EARLY_STEPS, _LATE_STEPS = 2, 4
"""By how much a voice's onset may be told too early or too late."""

_WARP = 0.12
"""By which share bands are moved, at most."""

_REPORT_STEPS = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Utterances, as the network sees them."""

    mel: Tensor
    """float16 [N, WINDOWS, MELS]."""

    until_s: Tensor
    """float32 [N], `Example.backchannel_until_s`."""

    ends_s: Tensor
    """float32 [N], `Example.ends_s`."""

    phones: Tensor
    """uint8 [N, steps]; silence where nothing is said."""

    language: Tensor
    """int64 [N], as in `languages`."""


def draw_pool(speaking: Speaking, seeds: range, languages: Sequence[str]) -> Pool:
    """The utterances of `seeds`."""
    count = len(seeds)
    pool = Pool(
        mel=torch.zeros(count, WINDOWS, MELS, dtype=torch.float16),
        until_s=torch.zeros(count),
        ends_s=torch.zeros(count),
        phones=torch.zeros(count, _STEPS, dtype=torch.uint8),
        language=torch.zeros(count, dtype=torch.int64),
    )
    for n, seed in enumerate(seeds):
        example = speaking.draw(seed)
        mel = log_mel(example.pcm)[:WINDOWS]
        pool.mel[n, : len(mel)] = mel.half()
        pool.until_s[n] = example.backchannel_until_s
        pool.ends_s[n] = example.ends_s
        pool.phones[n] = _phones_of(example)
        pool.language[n] = languages.index(example.language)
    return pool


def _phones_of(example: Example) -> Tensor:
    """uint8 [steps]."""
    phones = torch.zeros(_STEPS, dtype=torch.uint8)
    for phone in example.phones:
        start, end = (_step_at(s + _PHONE_DELAY_S) for s in (phone.start_s, phone.end_s))
        phones[max(0, start) : max(0, end)] = PHONES.index(phone.symbol)
    return phones


def _step_at(said_s: float) -> int:
    """The first step that is known when so much was said since the first sound; negative before all of them."""
    return math.ceil(((said_s + BEFORE_S) * SAMPLE_RATE_HZ - WINDOW_SAMPLES - HOP_SAMPLES) / _STEP_SAMPLES)


def answers(until_s: Tensor, ends_s: Tensor) -> tuple[Tensor, Tensor]:
    """[N, steps]: whether all that was said is a backchannel, and whether that is asked."""
    known = torch.arange(_STEPS) * _STEP_SAMPLES + WINDOW_SAMPLES + HOP_SAMPLES
    said_s = (known / SAMPLE_RATE_HZ - BEFORE_S)[None]
    yes = said_s <= until_s[:, None]
    clear = yes | (said_s > until_s[:, None] + OPEN_S)
    asked = clear & (said_s > _ASKED_FROM_S) & (said_s <= ends_s[:, None] + _AFTER_S)
    return yes.float(), asked.float()


def train(
    pool: Pool, validation: Pool, size: NetSize, languages: int, steps: int, now: Now
) -> BackchannelNet:
    """The network after `steps` batches."""
    net = BackchannelNet(size, languages)
    optimiser = torch.optim.AdamW(net.parameters(), weight_decay=_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=_WARM_UP)
    started_s = now()
    for step in range(steps):
        mel, yes, asked, phones, language = _batch(pool)
        logits, aligned = net(mel)
        alignment = _ALIGNMENT[0] + (_ALIGNMENT[1] - _ALIGNMENT[0]) * step / steps
        loss = _loss(logits, language, yes, asked) + alignment * F.cross_entropy(
            aligned.transpose(1, 2), phones
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        if (step + 1) % _REPORT_STEPS == 0 or step + 1 == steps:
            known = judged(net, validation).known(FALSE_RATE)
            logger.info(
                "%d steps, %.0f s: loss %.3f, %.3f known", step + 1, now() - started_s, loss.item(), known
            )
    return net


def _batch(pool: Pool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Mel, answers, what is asked, phones and languages of some utterances, their onsets told too early or too late."""
    chosen = torch.randint(len(pool.mel), (_BATCH,))
    mel = _varied(pool.mel[chosen].float())
    yes, asked = answers(pool.until_s[chosen], pool.ends_s[chosen])
    phones = pool.phones[chosen].long()
    late = random.randint(-_EARLY_STEPS, _LATE_STEPS)
    first = torch.arange(_STEPS) + late
    inside = (first >= 0) & (first < _STEPS)
    first = first.clamp(0, _STEPS - 1)
    windows = (torch.arange(WINDOWS) + STRIDE * late).clamp(0, WINDOWS - 1)
    return (
        mel[:, windows],
        yes[:, first],
        asked[:, first] * inside,
        phones[:, first] * inside,
        pool.language[chosen],
    )


def _varied(mel: Tensor) -> Tensor:
    """[B, T, MELS] as other throats and lines would bring it: bands moved, cut off, and softer for a while.

    The moved bands stand in for vocal tracts of other lengths (Jaitly and Hinton 2013), the softer ones are those of
    arXiv:1904.08779.
    """
    rows = len(mel)
    places = torch.arange(MELS)[None] * (1 + _WARP * (2 * torch.rand(rows, 1) - 1))
    low = places.floor().clamp(0, MELS - 2)
    share = (places - low).clamp(0, 1)[:, None]
    low = low.long()[:, None].expand_as(mel)
    mel = mel.gather(2, low) * (1 - share) + mel.gather(2, low + 1) * share
    narrow = (torch.rand(rows, 1) < 0.25) & (torch.arange(MELS)[None] >= torch.randint(24, MELS, (rows, 1)))
    mel = mel * ~narrow[:, None]
    for length, dim, often in ((MELS, 1, 0.5), (WINDOWS, 2, 0.35)):
        start, index = torch.rand(rows, 1) * length, torch.arange(length)[None]
        soft = (
            (index >= start) & (index < start + 1 + 6 * torch.rand(rows, 1)) & (torch.rand(rows, 1) < often)
        )
        mel = mel - (soft * (1 + 4 * torch.rand(rows, 1))).unsqueeze(dim)
    return mel.clamp(min=0)


def _loss(logits: Tensor, language: Tensor, yes: Tensor, asked: Tensor) -> Tensor:
    mine = logits[torch.arange(len(logits)), :, language]
    return (F.binary_cross_entropy_with_logits(mine, yes, reduction="none") * asked).sum() / asked.sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Logits at `ASKED_S`."""

    yes: Tensor
    """Of what is a backchannel so far."""

    no: Tensor
    """Of everything else."""

    def threshold(self, false_rate: float) -> float:
        """At which this share of everything else is taken for a backchannel."""
        return float(self.no.quantile(1 - false_rate))

    def known(self, false_rate: float) -> float:
        """The share of backchannels that are known there."""
        return float((self.yes > self.threshold(false_rate)).float().mean())


@torch.no_grad()
def judged(net: BackchannelNet, pool: Pool) -> Judged:
    """What the network says of the utterances that last for `ASKED_S`, in their own language."""
    step = _step_at(ASKED_S)
    yes, asked = answers(pool.until_s, pool.ends_s)
    starts = range(0, len(pool.mel), _BATCH)
    parts = [net(pool.mel[start : start + _BATCH].float())[0][:, step] for start in starts]
    logits = torch.cat(parts)[torch.arange(len(pool.mel)), pool.language]
    counted = (asked[:, step] > 0) & (pool.ends_s >= ASKED_S)
    return Judged(yes=logits[counted & (yes[:, step] > 0)], no=logits[counted & (yes[:, step] == 0)])


def save(net: BackchannelNet, languages: Sequence[str], threshold: float, path: Path) -> None:
    """Writes what is needed to ask it: without the phones, in float16."""
    tensors = {
        name: tensor.half().contiguous()
        for name, tensor in net.state_dict().items()
        if not name.startswith("align")
    }
    save_file(tensors, path, metadata={"languages": " ".join(languages), "threshold": f"{threshold:.2f}"})


def main(arguments: Sequence[str] | None = None, now: Now = time.monotonic) -> None:
    """Trains, and writes the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lists", type=Path, required=True, help="YAML file of the closed lists")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--utterances", type=int, default=40_000)
    parser.add_argument("--held-out", type=int, default=4_000, help="utterances to validate with")
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--width", type=int, default=NetSize.width)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    random.seed(0)
    closed, grammar = closed_lists(options.lists), load_grammar("full")
    languages = sorted(closed)
    pools: dict[bool, Pool] = {}
    for validation, seeds in (
        (False, range(options.utterances)),
        (True, range(VALIDATION_FROM, VALIDATION_FROM + options.held_out)),
    ):
        texts = {one: Texts(closed[one], grammar, one, for_validation=validation) for one in closed}
        pools[validation] = draw_pool(Speaking(texts, for_validation=validation), seeds, languages)
        logger.info("%d utterances drawn", len(seeds))
    size = NetSize(width=options.width)
    net = train(pools[False], pools[True], size, len(languages), options.steps, now)
    scores = judged(net, pools[True])
    threshold = scores.threshold(FALSE_RATE)
    save(net, languages, threshold, options.out)
    about = {
        "threshold": round(threshold, 2),
        "parameters": sum(one.numel() for one in net.parameters()),
        "known where 1, 2 and 5 % of others are taken for one": [
            round(scores.known(rate), 3) for rate in (0.01, 0.02, 0.05)
        ],
    }
    logger.info(json.dumps(about))


if __name__ == "__main__":
    main()
