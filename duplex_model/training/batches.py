"""Dialogues as tokens -> batches of the token table, laid out as the runtime lays out a session.

    columns      0 .. P - 1                    P ..
    what         the prompt (see `prompt`)     the dialogue, live
    targets      none                          text and own audio, but for what is given (see `rows.Rows`)

Rows of a batch have about the same length, so that little is computed for nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_model.config import NO_INPUT, TEXT_TOKENS, LMConfig
from duplex_model.delays import delayed
from duplex_model.prompt import PAUSE_FRAMES
from duplex_model.training.rows import NAMES, NO_WORD, Rows

Ints = NDArray[np.int16]
Floats = NDArray[np.float32]

VOICE_FRAMES = (19, 38)
"""Fewest and most frames of a voice prompt: 1.5 to 3 s."""

SILENT_WEIGHT = 0.2
"""Of own audio in frames where the voice is silent: most frames are, and there is little to learn from them."""

HEARING_DELAY_FRAMES = 2
"""How long after a heard word its name is asked for: with it the first word of a translation may begin."""

_POOL_BATCHES = 40  # sorted by length together; more pad less, fewer mix better


@dataclass(frozen=True)
class PromptCodes:
    """Frames that a prompt is made of, as codes of the checkpoint's codec."""

    silence: tuple[int, ...]
    """[own codebooks], of a silent frame."""

    sine: tuple[int, ...]
    """[heard codebooks], of a frame of 440 Hz at half scale: nobody is listened to yet."""


@dataclass(frozen=True)
class Example:
    """One dialogue."""

    role: Sequence[int]
    """Text tokens of the tagged role text."""

    voice: str
    """Whose own voice this is: a key of `Corpus.voices`."""

    rows: Rows
    situation: str = ""
    """What its role asks for, in whatever words: direction, mode, register."""

    @property
    def frames(self) -> int:
        """F."""
        return len(self.rows.text)


@dataclass(frozen=True)
class Corpus:
    """What is trained on."""

    examples: Sequence[Example]
    voices: Mapping[str, Sequence[Ints]]
    """Name of an own voice -> clips of it, [own codebooks, frames] each, of other sentences."""


@dataclass(frozen=True)
class Laid:
    """An example after its prompt, as T + 1 columns of the token table."""

    columns: Tensor
    """int64 [streams, T + 1]."""

    text_weight: Tensor
    """float32 [T + 1]: of the text in each column as a target, 0 where it is none."""

    own_weight: Tensor
    """float32 [own codebooks, T + 1]: the same of own audio."""

    heard_word: Tensor
    """int64 [T + 1]: what each column should have understood, or `NO_WORD`."""

    pinned: int
    """P, columns of the prompt."""


@dataclass(frozen=True)
class Batch:
    """Rows of `Laid`, padded behind."""

    columns: Tensor
    """int64 [B, streams, T + 1]."""

    text_weight: Tensor
    """float32 [B, T + 1]."""

    own_weight: Tensor
    """float32 [B, own codebooks, T + 1]."""

    heard_word: Tensor
    """int64 [B, T + 1]."""

    pinned: Tensor
    """int64 [B]."""

    frames: int
    """Frames in all rows, without what they are padded with."""

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(
            self.columns.to(device),
            self.text_weight.to(device),
            self.own_weight.to(device),
            self.heard_word.to(device),
            self.pinned.to(device),
            self.frames,
        )


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How examples become columns."""

    config: LMConfig
    codes: PromptCodes
    padding_weight: float = 0.4
    """Of padding as a target, where a word has 1."""

    max_frames: int = 640
    """Longer examples are cut off behind."""

    def prompt(self, voice: Ints, role: Sequence[int]) -> Tensor:
        """Int64 [streams, P]: the frames that `prompt.hybrid_prompt` makes of a spoken voice and a role."""
        pause = self._prompt_frames(self._silence(PAUSE_FRAMES), None)
        frames = [self._prompt_frames(voice, None), pause]
        if role:
            frames += [self._prompt_frames(self._silence(len(role)), role), pause]
        return torch.cat(frames, dim=1)

    def _silence(self, frames: int) -> Ints:
        return np.repeat(np.array(self.codes.silence, np.int16)[:, None], frames, axis=1)

    def _prompt_frames(self, own: Ints, text: Sequence[int] | None) -> Tensor:
        count = own.shape[1]
        tokens = np.full((self.config.streams, count), TEXT_TOKENS.padding, np.int64)
        if text is not None:
            tokens[0] = text
        tokens[1 : 1 + len(own)] = own
        tokens[1 + len(own) :] = np.array(self.codes.sine)[:, None]
        return torch.from_numpy(tokens)

    def lay(self, example: Example, voice: Ints) -> Laid:
        """The columns of `example` after the prompt of its role and a clip of its voice."""
        prompt = self.prompt(voice, example.role)
        count = min(example.frames, self.max_frames)
        rows = example.rows
        live = np.concatenate([rows.text[None], rows.own, rows.heard])[:, :count]
        frames = torch.cat([prompt, torch.from_numpy(live.astype(np.int64))], dim=1)
        first = prompt.shape[1]
        total = first + count
        text, own = self._weights(rows)
        return Laid(
            delayed(self.config, frames)[:, : total + 1],
            _placed(text, first + 1, total),
            torch.stack([_placed(own, first + 1 + delay, total) for delay in self._own_delays]),
            _placed(rows.heard_word.astype(np.int64), first + 1 + HEARING_DELAY_FRAMES, total, fill=NO_WORD),
            first,
        )

    @property
    def _own_delays(self) -> Sequence[int]:
        return self.config.delays[1 : 1 + self.config.own_codebooks]

    def _weights(self, rows: Rows) -> tuple[Floats, Floats]:
        """Weights [F] of the text and of own audio as targets."""
        padding = rows.text == TEXT_TOKENS.padding
        text = np.where(padding, self.padding_weight, 1.0) * rows.text_weight * ~rows.text_given
        silent = (rows.own == np.array(self.codes.silence)[:, None]).all(axis=0)
        own = np.where(silent, SILENT_WEIGHT, 1.0) * ~rows.own_given
        return text.astype(np.float32), own.astype(np.float32)


def _placed(values: NDArray[np.generic], first: int, last: int, fill: float = 0) -> Tensor:
    """[last + 1]: `values` from position `first` on, as far as there is room, and `fill` elsewhere."""
    out = np.full(last + 1, fill, values.dtype)
    room = last + 1 - first
    out[first:] = values[:room] if room > 0 else values[:0]
    return torch.from_numpy(out)


def collate(rows: Sequence[Laid]) -> Batch:
    """`rows` as one batch. What pads a row is seen by none of its columns."""
    length = max(row.columns.shape[1] for row in rows)
    return Batch(
        torch.stack([_padded(row.columns, length, 0) for row in rows]),
        torch.stack([_padded(row.text_weight, length, 0) for row in rows]),
        torch.stack([_padded(row.own_weight, length, 0) for row in rows]),
        torch.stack([_padded(row.heard_word, length, NO_WORD) for row in rows]),
        torch.tensor([row.pinned for row in rows]),
        sum(row.columns.shape[1] - 1 for row in rows),
    )


def _padded(x: Tensor, length: int, value: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, length - x.shape[-1]), value=value)


@dataclass(frozen=True, kw_only=True)
class Chaining:
    """Dialogues of one voice and situation follow each other after one prompt, as the turns of a meeting do.

    So less of a batch is prompts, and the model learns to go on past the attended window.
    """

    frames: int = 180
    """Longest chain; a dialogue that is longer stands alone."""

    long_frames: int = 480
    long_share: float = 0.04
    """How many chains may be `long_frames` long."""


def chained(examples: Sequence[Example], rng: random.Random, chaining: Chaining) -> list[Example]:
    """All of `examples` as chains, in random order, each after the role of its first."""
    alike: dict[tuple[str, str], list[Example]] = {}
    for example in examples:
        alike.setdefault((example.voice, example.situation), []).append(example)
    chains: list[list[Example]] = []
    for group in alike.values():
        rng.shuffle(group)
        room = 0
        for example in group:
            if example.frames > room:
                chains.append([])
                room = chaining.long_frames if rng.random() < chaining.long_share else chaining.frames
            chains[-1].append(example)
            room -= example.frames
    rng.shuffle(chains)
    return [_joined(chain) for chain in chains]


def _joined(chain: Sequence[Example]) -> Example:
    if len(chain) == 1:
        return chain[0]
    rows = {name: np.concatenate([getattr(one.rows, name) for one in chain], axis=-1) for name in NAMES}
    return replace(chain[0], rows=Rows(**rows))


def batches(
    corpus: Corpus,
    layout: Layout,
    rng: random.Random,
    *,
    batch_frames: int,
    chaining: Chaining | None = None,
) -> Iterator[Batch]:
    """Batches of `corpus` in random order, each example once.

    Args:
        corpus: at least one example.
        layout: of their columns.
        rng: order, and the clip each voice is shown by.
        batch_frames: columns of a batch at most, padding included; a row that is longer is a batch of its own.
        chaining: of dialogues, or None for one a row.
    """
    if chaining is None:
        examples = rng.sample(list(corpus.examples), len(corpus.examples))
    else:
        examples = chained(corpus.examples, rng, chaining)
    rows: list[Laid] = []
    columns = 0
    for example in examples:
        rows.append(layout.lay(example, voice_clip(corpus.voices[example.voice], rng)))
        columns += rows[-1].columns.shape[1]
        if columns >= batch_frames * _POOL_BATCHES:
            yield from _pooled(rows, rng, batch_frames)
            rows, columns = [], 0
    yield from _pooled(rows, rng, batch_frames)


def voice_clip(clips: Sequence[Ints], rng: random.Random) -> Ints:
    """A piece of one of `clips`, of a length within `VOICE_FRAMES` where it has that many."""
    clip = rng.choice(clips)
    length = min(rng.randint(*VOICE_FRAMES), clip.shape[1])
    first = rng.randint(0, clip.shape[1] - length)
    return clip[:, first : first + length]


def _pooled(rows: Sequence[Laid], rng: random.Random, batch_frames: int) -> Iterator[Batch]:
    """`rows` as batches of rows of about the same length, in random order."""
    groups: list[list[Laid]] = []
    for row in sorted(rows, key=lambda row: row.columns.shape[1]):
        length = row.columns.shape[1]
        if not groups or (len(groups[-1]) + 1) * length > batch_frames:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    for group in groups:
        yield collate(group)


def noised(
    columns: Tensor, pinned: Tensor, config: LMConfig, generator: torch.Generator, *, heard: float, own: float
) -> Tensor:
    """`columns` as inputs, some of their live codes lost or wrong, so that the model does not trust each of them.

    Args:
        columns: int64 [B, streams, T].
        pinned: int64 [B], columns of the prompt, which stay as they are.
        config: of the model.
        generator: of the noise, on the device of `columns`.
        heard: share of heard codes.
        own: share of own codes.

    Returns:
        int64 [B, streams, T]: half of the share became `NO_INPUT`, half another code.
    """
    device = columns.device
    share = torch.tensor(
        [0.0, *[own] * config.own_codebooks, *[heard] * config.heard_codebooks], device=device
    )
    draw = torch.rand(columns.shape, generator=generator, device=device)
    live = torch.arange(columns.shape[-1], device=device) > pinned[:, None]
    share = share[None, :, None] * live[:, None]
    other = torch.randint(config.card, columns.shape, generator=generator, device=device)
    wrong = torch.where(draw < share / 2, NO_INPUT, other)
    return torch.where(draw < share, wrong, columns)
