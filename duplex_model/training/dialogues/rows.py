"""A dialogue as rows of tokens, frame by frame; pure but for the codec that is handed in.

words      (10, "duele"), (13, "aquí.")
text       · · · · · · · · · EP ▁duele · EP ▁aquí . ·         EP: end of padding
weight     1 . . . . . . . . 1  3      1 1  1     1 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from duplex_model.config import TEXT_TOKENS
from duplex_model.contract import FRAME_SAMPLES, Pcm
from duplex_model.training.dialogues.dialogue import Dialogue
from duplex_model.training.dialogues.spelling import Spelling

Encode = Callable[[Tensor], Tensor]
"""Pcm [B, 1, 1920 T] -> codes [B, codebooks, T]."""

NO_WORD = -1
"""Where no heard word ended."""

_CONTEXT_FRAMES = 8  # of silence before a stretch of speech is encoded apart from the rest
_TAIL_FRAMES = 1  # after speech; a decoder sounds a little later than what was encoded
_JOINED_FRAMES = 4  # stretches of speech that are closer are encoded as one

_Ints = NDArray[np.int16]
_Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """The tokens of a dialogue of F frames."""

    text: _Ints
    """[F]."""

    own: _Ints
    """[codebooks, F]."""

    heard: _Ints
    """[codebooks, F]."""

    heard_word: _Ints
    """[F]: the token of the heard word that ended here, or `NO_WORD`."""

    text_given: _Flags
    """[F]: frames whose text is given in service, so that there is nothing to learn."""

    own_given: _Flags
    """[F]: the same of own audio."""

    text_weight: NDArray[np.float16]
    """[F]: by how much words count more than others."""


NAMES = tuple(field.name for field in fields(Rows))


def text_rows(dialogue: Dialogue, spelling: Spelling) -> tuple[_Ints, NDArray[np.float16], _Flags]:
    """Text tokens [F], their weights [F], and which are given [F]."""
    tokens = np.full(dialogue.frames, TEXT_TOKENS.padding, np.int16)
    weights = np.ones(dialogue.frames, np.float16)
    for word in dialogue.words:
        pieces = spelling.pieces(word.text)[: dialogue.frames - word.frame]
        tokens[word.frame : word.frame + len(pieces)] = pieces
        weights[word.frame : word.frame + len(pieces)] = word.weight
        before = word.frame - 1
        if before >= 0 and tokens[before] == TEXT_TOKENS.padding:
            tokens[before] = TEXT_TOKENS.end_of_padding
            weights[before] = word.cue_weight
    forced = dialogue.forced
    tokens[forced] = TEXT_TOKENS.padding
    return tokens, weights, forced | (weights == 0)


def heard_word_row(dialogue: Dialogue, spelling: Spelling) -> _Ints:
    """[F]: see `Rows.heard_word`. Of words that end in one frame, the later moves to the next."""
    row = np.full(dialogue.frames, NO_WORD, np.int16)
    for frame, word in dialogue.heard_words:
        free = frame if frame < len(row) and row[frame] == NO_WORD else frame + 1
        if free < len(row):
            row[free] = spelling.heard(word)
    return row


def rows_of(
    dialogues: Sequence[Dialogue],
    spelling: Spelling,
    encode: Encode,
    silence: Sequence[int],
    *,
    batch_frames: int,
) -> list[Rows]:
    """The rows of every dialogue.

    Own audio is encoded only where the voice speaks; elsewhere it is exactly `silence`, as in service.

    Args:
        dialogues: any number.
        spelling: of the text.
        encode: the codec.
        silence: [codebooks], codes of a silent frame.
        batch_frames: encoded at once, at most.
    """
    heard = _encoded([dialogue.heard for dialogue in dialogues], encode, batch_frames)
    owns = _own_codes([dialogue.own for dialogue in dialogues], encode, silence, batch_frames)
    rows = []
    for dialogue, heard_codes, own in zip(dialogues, heard, owns, strict=True):
        forced = dialogue.forced
        own[:, forced] = np.asarray(silence, np.int16)[:, None]
        text, weight, text_given = text_rows(dialogue, spelling)
        word = heard_word_row(dialogue, spelling)
        rows.append(Rows(text, own, heard_codes, word, text_given, forced, weight))
    return rows


def speaking(own: Pcm) -> Iterator[tuple[int, int]]:
    """First and end frame of every stretch in which `own` [1920 F] is not exactly silent."""
    active = np.flatnonzero(own.reshape(-1, FRAME_SAMPLES).any(axis=1))
    if not len(active):
        return
    breaks = np.flatnonzero(np.diff(active) > 1)
    for first, last in zip(np.r_[0, breaks + 1], np.r_[breaks, len(active) - 1], strict=True):
        yield int(active[first]), int(active[last]) + 1


def _own_codes(owns: Sequence[Pcm], encode: Encode, silence: Sequence[int], batch_frames: int) -> list[_Ints]:
    stretches = [(index, first, end) for index, own in enumerate(owns) for first, end in _joined(own)]
    parts = [_part(owns[index], first - _CONTEXT_FRAMES, end) for index, first, end in stretches]
    silent = np.asarray(silence, np.int16)[:, None]
    codes = [np.repeat(silent, len(own) // FRAME_SAMPLES, axis=1) for own in owns]
    for (index, first, end), encoded in zip(stretches, _encoded(parts, encode, batch_frames), strict=True):
        spoken = encoded[:, _CONTEXT_FRAMES:]
        for start, stop in speaking(owns[index][first * FRAME_SAMPLES : end * FRAME_SAMPLES]):
            stop = min(stop + _TAIL_FRAMES, spoken.shape[1])
            codes[index][:, first + start : first + stop] = spoken[:, start:stop]
    return codes


def _joined(own: Pcm) -> Iterator[tuple[int, int]]:
    """Stretches of speech with their tails, those that are close to each other as one."""
    frames = len(own) // FRAME_SAMPLES
    joined: list[tuple[int, int]] = []
    for first, end in speaking(own):
        if joined and first - joined[-1][1] <= _JOINED_FRAMES:
            first = joined.pop()[0]
        joined.append((first, min(end + _TAIL_FRAMES, frames)))
    yield from joined


def _part(pcm: Pcm, first: int, end: int) -> Pcm:
    """Frames `first` to `end - 1`; silence before the beginning."""
    missing = max(-first, 0) * FRAME_SAMPLES
    return np.pad(pcm[max(first, 0) * FRAME_SAMPLES : end * FRAME_SAMPLES], (missing, 0))


def _encoded(pcms: Sequence[Pcm], encode: Encode, batch_frames: int) -> list[_Ints]:
    """Codes of each, encoded in batches of about the same length."""
    order = sorted(range(len(pcms)), key=lambda index: len(pcms[index]))
    codes: dict[int, _Ints] = {}
    batch: list[int] = []
    for index in order:
        if batch and len(pcms[index]) * (len(batch) + 1) > batch_frames * FRAME_SAMPLES:
            codes.update(zip(batch, _encode_batch([pcms[member] for member in batch], encode), strict=True))
            batch = []
        batch.append(index)
    if batch:
        codes.update(zip(batch, _encode_batch([pcms[member] for member in batch], encode), strict=True))
    return [codes[index] for index in range(len(pcms))]


def _encode_batch(pcms: Sequence[Pcm], encode: Encode) -> Iterator[_Ints]:
    longest = max(len(pcm) for pcm in pcms)
    batch = np.stack([np.pad(pcm, (0, longest - len(pcm))) for pcm in pcms])
    with torch.inference_mode():
        codes = encode(torch.from_numpy(batch)[:, None]).to(torch.int16).numpy()
    for row, pcm in zip(codes, pcms, strict=True):
        yield row[:, : len(pcm) // FRAME_SAMPLES].copy()
