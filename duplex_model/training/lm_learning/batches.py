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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_model.config import NO_INPUT, TEXT_TOKENS, LMConfig, PromptCodes
from duplex_model.delays import delayed
from duplex_model.prompt import PAUSE_FRAMES, spoken_frames
from duplex_model.training.device import moved
from duplex_model.training.dialogues.rows import NAMES, NO_WORD, Rows
from duplex_model.training.lm_learning.lessons import situation_label, situation_of

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

    situation: int
    """What the role asks for, see `lessons`, or `NO_WORD`."""


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

    written: Tensor
    """int64 [N]: where text is a target, in columns 1 .. T of all rows, one row after the other."""

    ended: Tensor
    """int64 [N]: where a heard word is asked for, in columns 0 .. T - 1."""

    acting: Tensor
    """int64 [N]: where the situation is asked for, in columns 0 .. T - 1: at heard words, and before own ones."""

    situations: Tensor
    """int64 [N]: the answers there."""

    own_frames: int
    """Columns 1 .. T of all rows in which own audio is a target."""

    frames: int
    """Frames in all rows, without what they are padded with."""

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        tensors: dict[str, Any] = {
            name: moved(value, device) for name, value in vars(self).items() if isinstance(value, Tensor)
        }
        return replace(self, **tensors)


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
        """Int64 [streams, P]: the frames of a spoken voice and a role, as in service."""
        return spoken_frames(self.config, torch.from_numpy(voice.astype(np.int64)), role, self.codes)

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
            self._understood(example, first, total),
            first,
            situation_of(example.situation),
        )

    def _understood(self, example: Example, first: int, total: int) -> Tensor:
        """Int64 [total + 1]: what is to be answered in each column, see `lessons`."""
        words = example.rows.heard_word.astype(np.int64)
        labels = _placed(words, first + 1 + HEARING_DELAY_FRAMES, total, fill=NO_WORD)
        labels[first + 1 - PAUSE_FRAMES : first + 1] = situation_label(example.situation)
        return labels

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
    text_weight = torch.stack([_padded(row.text_weight, length, 0) for row in rows])
    own_weight = torch.stack([_padded(row.own_weight, length, 0) for row in rows])
    heard_word = torch.stack([_padded(row.heard_word, length, NO_WORD) for row in rows])
    columns = torch.stack([_padded(row.columns, length, 0) for row in rows])
    situation = torch.tensor([row.situation for row in rows])[:, None].expand(-1, length - 1).flatten()
    asking = (heard_word[:, :-1] != NO_WORD) | (columns[:, 0, :-1] == TEXT_TOKENS.end_of_padding)
    acting = (asking.flatten() & (situation != NO_WORD)).nonzero()[:, 0]
    return Batch(
        columns,
        text_weight,
        own_weight,
        heard_word,
        torch.tensor([row.pinned for row in rows]),
        # Known here already, so that a GPU is never waited for to count.
        text_weight[:, 1:].flatten().nonzero()[:, 0],
        (heard_word[:, :-1].flatten() != NO_WORD).nonzero()[:, 0],
        acting,
        situation[acting],
        int((own_weight[:, :, 1:] > 0).any(dim=1).sum()),
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
    share = torch.zeros(config.streams, device=device)
    share[1 : 1 + config.own_codebooks] = own
    share[1 + config.own_codebooks :] = heard
    draw = torch.rand(columns.shape, generator=generator, device=device)
    live = torch.arange(columns.shape[-1], device=device) > pinned[:, None]
    share = share[None, :, None] * live[:, None]
    other = torch.randint(config.card, columns.shape, generator=generator, device=device)
    wrong = torch.where(draw < share / 2, NO_INPUT, other)
    return torch.where(draw < share, wrong, columns)
