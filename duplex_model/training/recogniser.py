"""A small phone recogniser that judges what a speech model says aloud: `python -m duplex_model.training.recogniser`.

It is trained apart, on synthesised speech of English and Spanish with the phones that the synthesiser reports, and
never on anything that has passed through a codec: what it cannot read in a codec's speech is the codec's fault, or
the language model's. Its error on clean speech of the same text is the floor to compare with.

    pcm -> log-mel [T, 64] at 100 Hz -> convolutions, at 50 Hz from the first -> phones or blank, CTC (Graves 2006)
                                                                           and, in training, the phone of each 20 ms

It sees half a second to either side, so that it can hardly guess a phone from the sentence. The synthesiser also says
when each phone is spoken; learning that beside the sequence spares the long plateau with which CTC begins.
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
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import CheckpointError
from duplex_model.training.dialogues.stock import LANGUAGES
from duplex_model.training.evaluation.scores import Errors, Estimate, count_errors, error_rate
from duplex_model.training.grammar import Grammar, load_grammar
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.augment import augment
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

MELS = 64
HOP_SAMPLES = SAMPLE_RATE_HZ // 100
WINDOW_SAMPLES = 4 * HOP_SAMPLES  # 40 ms: resolves the harmonics of a low voice
BLANK = 0  # the class of silence, which is nothing to be written down

_FLOOR = 1e-4  # of a mel band, -80 dB
_RANGE = 7.0  # nats below the loudest band that are told apart, 60 dB
_WIDTH = 128
_BLOCKS = 6
_KERNEL = 9
_ALIGNMENT_WEIGHT = 1.0
_BATCH = 16
_POOL = 4096
_FRESH = 3  # new utterances a step; the rest of a batch was heard before
_LEARNING_RATE = 2e-3
_WARM_UP_STEPS = 50
_LEAST_RATE = 0.04


def mel_filters(mels: int, window_samples: int) -> Tensor:
    """float32 [mels, window_samples / 2 + 1]: triangles, evenly spaced in mel (O'Shaughnessy 1987)."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, window_samples // 2 + 1)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def log_mel(pcm: Pcm, mels: int = MELS) -> Tensor:
    """float32 [T, mels] of pcm [n] at 24 kHz, 100 a second, in nats, and 0 where nothing is heard."""
    samples = torch.from_numpy(np.ascontiguousarray(pcm, dtype=np.float32))
    padded = F.pad(samples, (WINDOW_SAMPLES // 2, WINDOW_SAMPLES // 2))
    spectrum = torch.stft(
        padded, WINDOW_SAMPLES, HOP_SAMPLES, window=torch.hann_window(WINDOW_SAMPLES), center=False,
        return_complex=True,
    ).abs()  # fmt: skip
    bands = mel_filters(mels, WINDOW_SAMPLES) @ (spectrum / (WINDOW_SAMPLES / 4))
    return (bands.clamp(min=_FLOOR) / _FLOOR).log().T


class _Block(nn.Module):
    """Depthwise convolution along time, then along channels, around a residual (arXiv:2201.03545)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.along_time = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        near = self.along_time(x.transpose(1, 2)).transpose(1, 2)
        added: Tensor = self.narrow(F.gelu(self.wide(self.norm(near))))
        return x + added


class Recogniser(nn.Module):
    """See the module."""

    def __init__(self, classes: int = len(PHONES), width: int = _WIDTH, blocks: int = _BLOCKS) -> None:
        super().__init__()
        self.enter = nn.Conv1d(MELS, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)
        self.align = nn.Linear(width, classes)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B, T, MELS] -> log-probabilities [B, ceil(T / 2), classes]; `BLANK` is no phone."""
        classes: Tensor = self.classify(self.hear(mel))
        return classes.log_softmax(dim=-1)

    def hear(self, mel: Tensor) -> Tensor:
        """Log-mel [B, T, MELS] -> [B, ceil(T / 2), width]."""
        loudest = mel.amax(dim=(1, 2), keepdim=True).clamp(min=_RANGE)
        below_loudest = (mel - loudest).clamp(min=-_RANGE)
        x = self.enter((1 + 2 * below_loudest / _RANGE).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        heard: Tensor = self.norm(x)
        return heard

    @torch.no_grad()
    def read(self, pcm: Pcm) -> list[int]:
        """The phones heard in pcm [n] at 24 kHz, as indices into `PHONES`: the most likely class of every frame."""
        if len(pcm) < WINDOW_SAMPLES:
            return []
        best = self(log_mel(pcm)[None])[0].argmax(dim=-1).tolist()
        return [
            phone for phone, before in zip(best, [BLANK, *best], strict=False) if phone not in (BLANK, before)
        ]


@dataclass(frozen=True)
class Heard:
    """One utterance of the pool."""

    mel: Tensor
    """float16 [T, MELS]."""

    phones: tuple[int, ...]
    frames: Tensor
    """int64 [ceil(T / 2)]: the phone of each 20 ms, silence included."""


def phones_of(utterance: Utterance) -> list[int]:
    """The phones of an utterance without its silences, as indices into `PHONES`."""
    classes = (PHONES.index(phone.text) for phone in utterance.phones)
    return [phone for phone in classes if phone != BLANK]


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


def phone_errors(model: Recogniser, pcm: Pcm, phones: Sequence[int]) -> Errors:
    """Edits between the phones heard in `pcm` and those it should hold."""
    return count_errors([str(phone) for phone in phones], [str(phone) for phone in model.read(pcm)])


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


def save(model: Recogniser, folder: Path, remarks: dict[str, object]) -> None:
    """Writes `recogniser.safetensors`, and `recogniser.json` with the phones and how well they are read."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(half, folder / "recogniser.safetensors")
    described = {"phones": list(PHONES), **remarks}
    (folder / "recogniser.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def load(folder: Path) -> Recogniser:
    """What `save` wrote.

    Raises:
        CheckpointError: not there, or of other phones.
    """
    try:
        described = json.loads((folder / "recogniser.json").read_bytes())
        tensors = load_file(folder / "recogniser.safetensors")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"expected a recogniser in {folder}, got: {error}") from error
    if described.get("phones") != list(PHONES):
        raise CheckpointError(
            f"expected the {len(PHONES)} phones of tts.PHONES in {folder}, got others: train it anew"
        )
    model = Recogniser()
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.requires_grad_(False).eval()


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
