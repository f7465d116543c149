"""The speech a codec is trained on: a pool of synthesised passages, kept as integers, cropped at random.

A pool holds the same stretch of time three times: speech as it was said, the same speech as a room, noise and a
telephone leave it, and the phone that sounds every 10 ms. Sentences are of the training side of the split.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ
from duplex_model.training.device import moved
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
from duplex_model.training.split import is_training

HOP_SAMPLES = 240
"""Samples per phone label: 10 ms."""

HOPS_PER_FRAME = FRAME_SAMPLES // HOP_SAMPLES
PASSAGE_S = 60
OWN_SHARE = 0.3
"""Of sentences in the interpreter's own voices, the only ones that are ever decoded for somebody to hear."""

RECORDED_SHARE = 0.25
"""Of other English sentences in flite's few voices, which were built from recordings of people."""

WORDS_SHARE = 0.2
"""Of sentences whose words stand in random order, so that phones meet in more ways than the grammar has."""

LANGUAGES: tuple[Language, ...] = ("en", "es")
FULL_SCALE = 32767

Integers = npt.NDArray[np.int16]
Labels = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Speech [N], the same as heard [N], and its phones [N / 240]."""

    clean: Integers
    heard: Integers
    phones: Labels

    def save(self, folder: Path) -> None:
        """Writes three arrays into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("clean", "heard", "phones"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def open(cls, folder: Path) -> Pool:
        """Maps what `save` wrote into memory."""
        return cls(**{name: np.load(folder / f"{name}.npy", "r") for name in ("clean", "heard", "phones")})


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Crops of a pool."""

    clean: Tensor
    """float32 [B, 1920 T]: what is to be decoded."""

    heard: Tensor
    """float32 [B, 1920 T]: what is encoded."""

    phones: Tensor
    """int64 [B, T, slots]."""

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(
            clean=moved(self.clean, device),
            heard=moved(self.heard, device),
            phones=moved(self.phones, device),
        )


def crops(pool: Pool, rng: np.random.Generator, *, count: int, frames: int, slots: Sequence[int]) -> Batch:
    """Random crops of a pool, half of them heard as they were said; as loud as may be, but meant at one level.

    Args:
        pool: where from.
        rng: draws the crops.
        count: B.
        frames: T.
        slots: the hops, relative to the first of a frame and not before the previous one, whose phones are given.
    """
    length = frames * HOPS_PER_FRAME
    # A frame is left free on either side for slots beyond the crop.
    starts = rng.integers(HOPS_PER_FRAME, len(pool.phones) - length - HOPS_PER_FRAME, count)
    hops = HOPS_PER_FRAME * np.arange(frames)[:, None] + np.asarray(slots)
    clean = np.stack([_samples(pool.clean, start, length) for start in starts])
    noisy = np.stack([_samples(pool.heard, start, length) for start in starts])
    heard = np.where(rng.random((count, 1)) < 0.5, clean, noisy)
    gain = 10 ** (rng.uniform(-8, 6, (count, 1)) / 20)
    return Batch(
        clean=to_pcm(clean),
        heard=to_pcm(heard * gain),
        phones=torch.from_numpy(np.stack([pool.phones[start + hops] for start in starts]).astype(np.int64)),
    )


def build_pool(
    *,
    seconds: float,
    seed: int,
    workers: int,
    held_out: bool = False,
    own_share: float = OWN_SHARE,
    tier: str = "core",
) -> Pool:
    """Synthesises a pool of about `seconds`.

    Args:
        seconds: how much.
        seed: of everything random in it.
        workers: processes.
        held_out: with voices and sentences that are never trained on.
        own_share: of sentences in the interpreter's own voices; with `held_out` those are never trained on.
        tier: of the grammar.
    """
    voices = partial(random_voice, held_out=held_out, own_share=own_share)
    work = partial(_passage, voices, held_out, tier)
    seeds = [seed * 1_000_003 + number for number in range(max(1, round(seconds / PASSAGE_S)))]
    if workers <= 1:
        return _joined(map(work, seeds))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as processes:
        return _joined(processes.map(work, seeds))


def random_voice(
    rng: random.Random, language: Language, *, held_out: bool, own_share: float = OWN_SHARE
) -> SpeakingVoice:
    """One of the interpreter's own voices, or another to train with or that is held out."""
    if rng.random() < own_share:
        return OWN_VOICES[rng.choice(sorted(OWN_VOICES))][language]
    voices = source_voices(language, held_out=held_out)
    engines = sorted({voice.engine for voice in voices})
    engine = engines[-1] if rng.random() < RECORDED_SHARE else engines[0]
    return rng.choice([voice for voice in voices if voice.engine == engine])


def passage(
    rng: random.Random,
    sentence: Callable[[random.Random, Language], str],
    voice: Callable[[random.Random, Language], SpeakingVoice],
) -> Pool:
    """A minute or so of sentences with pauses between them."""
    scenes = []
    missing = PASSAGE_S * SAMPLE_RATE_HZ
    while missing > 0:
        language = rng.choice(LANGUAGES)
        scene = _scene(rng, synthesise(sentence(rng, language), voice(rng, language)))
        scenes.append(scene)
        missing -= len(scene.clean)
    return _joined(iter(scenes))


def _passage(
    voice: Callable[[random.Random, Language], SpeakingVoice], held_out: bool, tier: str, seed: int
) -> Pool:
    return passage(random.Random(seed), partial(_sentence, held_out, tier), voice)


def _sentence(held_out: bool, tier: str, rng: random.Random, language: Language) -> str:
    if held_out or rng.random() > WORDS_SHARE:
        return _pair_text(held_out, tier, rng, language)
    words = [word for _ in range(3) for word in _pair_text(held_out, tier, rng, language).split()]
    return " ".join(rng.sample(words, min(len(words), rng.randint(3, 9))))


def _pair_text(held_out: bool, tier: str, rng: random.Random, language: Language) -> str:
    while True:
        pair = _grammar(tier).sample(rng)
        if is_training(pair) != held_out:
            return pair.text(language)


@lru_cache(maxsize=1)
def _grammar(tier: str) -> Grammar:
    return load_grammar(tier)


def _scene(rng: random.Random, utterance: Utterance) -> Pool:
    """The utterance after a pause, all of it in one room."""
    pause = round(rng.uniform(1.0, 2.5) * 100) if rng.random() < 0.1 else round(rng.uniform(0.05, 0.7) * 100)
    hops = pause + -(-len(utterance.pcm) // HOP_SAMPLES)
    clean = np.zeros(hops * HOP_SAMPLES, np.float32)
    clean[pause * HOP_SAMPLES :][: len(utterance.pcm)] = utterance.pcm
    heard = augment(clean, np.random.default_rng(rng.getrandbits(32)), rng.uniform(0.2, 1.0))
    return Pool(clean=_integers(clean), heard=_integers(heard), phones=_labels(utterance, pause, hops))


def _labels(utterance: Utterance, pause_hops: int, hops: int) -> Labels:
    labels = np.zeros(hops, np.uint8)
    for phone in utterance.phones:
        start, end = (pause_hops + int(np.ceil(time * 100 - 1e-6)) for time in (phone.start_s, phone.end_s))
        labels[start:end] = _PHONE_CLASS[phone.text]
    return labels


_PHONE_CLASS = {phone: number for number, phone in enumerate(PHONES)}


def _joined(pools: Iterator[Pool]) -> Pool:
    parts = list(pools)
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in ("clean", "heard", "phones")
    }
    return Pool(**arrays)


def _integers(pcm: Float32) -> Integers:
    return (np.clip(pcm, -1, 1) * FULL_SCALE).round().astype(np.int16)


def _samples(pcm: Integers, start_hop: int, hops: int) -> Float32:
    return pcm[start_hop * HOP_SAMPLES :][: hops * HOP_SAMPLES].astype(np.float32)


def to_pcm(samples: npt.NDArray[Any]) -> Tensor:
    """Pcm of what a pool holds, float32 of the same shape."""
    return torch.from_numpy((samples / FULL_SCALE).astype(np.float32))
