"""Trains the phone recogniser that judges what a speech model says: `python -m duplex_model.training.recogniser`.

On synthesised speech of English and Spanish with the phones that the synthesiser reports, and never on anything that
has passed through a codec: what it cannot read in a codec's speech is the codec's fault, or the language model's. The
synthesiser also says when each phone is spoken; learning that beside the sequence spares the long plateau with which
CTC begins.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.contract import SAMPLE_RATE_HZ
from duplex_model.training.dialogues.stock import LANGUAGES
from duplex_model.training.evaluation.phone_reader import BLANK, Recogniser, phone_errors, phones_of, save
from duplex_model.training.evaluation.scores import Errors, Estimate, error_rate
from duplex_model.training.grammar import Grammar, load_grammar
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.augment import augment
from duplex_model.training.speech.mel import HOP_SAMPLES, log_mel
from duplex_model.training.speech.tts import (
    OWN_VOICES,
    PHONES,
    SpeakingVoice,
    Utterance,
    source_voices,
    synthesise,
)
from duplex_model.training.split import held_out, is_training

logger = logging.getLogger(__name__)

Now = Callable[[], float]
"""Seconds."""

_ALIGNMENT_WEIGHT = 1.0
_BATCH = 16
_POOL = 4096
_FRESH = 3  # new utterances a step; the rest of a batch was heard before
_LEARNING_RATE = 2e-3
_WARM_UP_STEPS = 50
_LEAST_RATE = 0.04


@dataclass(frozen=True)
class Heard:
    """One utterance of the pool."""

    mel: Tensor
    """float16 [T, MELS]."""

    phones: tuple[int, ...]
    frames: Tensor
    """int64 [ceil(T / 2)]: the phone of each 20 ms, silence included."""


def frames_of(utterance: Utterance, count: int) -> Tensor:
    """int64 [count]: the phone of each 20 ms of an utterance; silence after its end."""
    times_s = torch.arange(count) * 2 * HOP_SAMPLES / SAMPLE_RATE_HZ
    starts_s = torch.tensor([phone.start_s for phone in utterance.phones])
    classes = torch.tensor([PHONES.index(phone.text) for phone in utterance.phones])
    spoken = classes[(torch.searchsorted(starts_s, times_s, right=True) - 1).clamp(min=0)]
    return spoken.masked_fill(times_s >= utterance.phones[-1].end_s, BLANK)


def training_utterances(grammar: Grammar, rng: random.Random) -> Iterator[Heard]:
    """Sentences of training pairs, in both languages, all training voices and our own; half of them spoilt."""
    voices = {language: list(source_voices(language)) for language in LANGUAGES}
    own = {language: [voice[language] for voice in OWN_VOICES.values()] for language in LANGUAGES}
    while True:
        pair = grammar.sample(rng)
        if not is_training(pair):
            continue
        language = rng.choice(LANGUAGES)
        voice = rng.choice(own[language] if rng.random() < 0.4 else voices[language])
        utterance = synthesise(pair.text(language), voice)
        pcm = utterance.pcm
        if rng.random() < 0.5:
            pcm = augment(pcm, np.random.default_rng(rng.getrandbits(32)), rng.uniform(0.1, 0.7))
        mel = log_mel(pcm).half()
        yield Heard(mel, tuple(phones_of(utterance)), frames_of(utterance, -(-len(mel) // 2)))


def loss_of(model: Recogniser, batch: Sequence[Heard]) -> Tensor:
    """Mean CTC loss per phone, and that of the phone of every frame."""
    longest = max(len(one.mel) for one in batch)
    mel = torch.stack([F.pad(one.mel.float(), (0, 0, 0, longest - len(one.mel))) for one in batch])
    lengths = torch.tensor([-(-len(one.mel) // 2) for one in batch])
    phones = torch.tensor([phone for one in batch for phone in one.phones])
    counts = torch.tensor([len(one.phones) for one in batch])
    heard = model.hear(mel)
    spelt = model.classify(heard).log_softmax(dim=-1).transpose(0, 1)
    sequence = F.ctc_loss(spelt, phones, lengths, counts, blank=BLANK, zero_infinity=True)
    frames = nn.utils.rnn.pad_sequence([one.frames for one in batch], batch_first=True, padding_value=-1)
    aligned = F.cross_entropy(model.align(heard).flatten(0, 1), frames.flatten(), ignore_index=-1)
    return sequence + _ALIGNMENT_WEIGHT * aligned


def learning_rate(share_done: float, step: int) -> float:
    """Linear warm-up by steps, then a cosine over the time that is given."""
    annealed = _LEAST_RATE + (1 - _LEAST_RATE) * 0.5 * (1 + cos(pi * min(share_done, 1.0)))
    return _LEARNING_RATE * annealed * min((step + 1) / _WARM_UP_STEPS, 1.0)


def train(
    model: Recogniser,
    utterances: Iterator[Heard],
    *,
    seconds: float,
    report: Callable[[int, float, float], None],
    now: Now = time.process_time,
    max_steps: int | None = None,
    seed: int = 0,
) -> None:
    """Trains in place for so many seconds.

    Args:
        model: to train.
        utterances: endless.
        seconds: after which to stop.
        report: called with the step, the share of time gone, and the loss.
        now: clock; that of the processor by default, so that busy neighbours cost no training.
        max_steps: stops earlier, after so many.
        seed: of the order in which utterances come again.
    """
    rng = random.Random(seed)
    pool: list[Heard] = [next(utterances) for _ in range(_BATCH)]
    optimiser = torch.optim.AdamW(model.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    begun_s = now()
    step = 0
    model.train()
    while (share_done := (now() - begun_s) / seconds) < 1 and step != max_steps:
        fresh = [next(utterances) for _ in range(_FRESH)]
        pool = [*pool, *fresh][-_POOL:]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(share_done, step)
        loss = loss_of(model, fresh + rng.sample(pool, _BATCH - _FRESH))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        report(step, share_done, float(loss.detach()))
        step += 1
    model.eval()


def clean_error(
    model: Recogniser, grammar: Grammar, language: Language, voices: Sequence[SpeakingVoice], count: int
) -> Estimate:
    """Phone error rate on clean held-out sentences in `voices`."""
    rng = random.Random(1)
    cases: list[Errors] = []
    while len(cases) < count:
        pair = grammar.sample(rng)
        if held_out(pair):
            utterance = synthesise(pair.text(language), rng.choice(voices))
            cases.append(phone_errors(model, utterance.pcm, phones_of(utterance)))
    return error_rate(cases)


def _measured(model: Recogniser, grammar: Grammar, count: int) -> dict[str, object]:
    figures: dict[str, object] = {}
    for language in LANGUAGES:
        own = [voice[language] for voice in OWN_VOICES.values()]
        figures[f"phone_error_own_voices_{language}"] = clean_error(
            model, grammar, language, own, count
        ).as_json()
        unheard = list(source_voices(language, held_out=True))
        figures[f"phone_error_held_out_voices_{language}"] = clean_error(
            model, grammar, language, unheard, count
        ).as_json()
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.recogniser", description="Trains the phone recogniser."
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder to write")
    parser.add_argument("--minutes", type=float, default=5.0, metavar="M", help="of the processor (5)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the processor (1)")
    parser.add_argument("--tier", default="core", help="of the grammar (core)")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    grammar, model = load_grammar(options.tier), Recogniser()
    smooth = [0.0]

    def report(step: int, share_done: float, loss: float) -> None:
        smooth[0] = loss if step == 0 else 0.98 * smooth[0] + 0.02 * loss
        if step % 20 == 0:
            sys.stderr.write(f"\r\x1b[K{share_done:4.0%} step {step}, loss {smooth[0]:.3f}")
            sys.stderr.flush()

    utterances = training_utterances(grammar, random.Random(options.seed))
    train(model, utterances, seconds=60 * options.minutes, report=report, seed=options.seed)
    sys.stderr.write("\n")
    figures = _measured(model, grammar, count=100)
    save(model, options.out, {"minutes": options.minutes, "tier": options.tier, **figures})
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
