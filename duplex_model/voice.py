"""Voice prompts: a recording, a published voice, or one kept by us -> what a prompt is made of.

A recording is taken as PersonaPlex takes it (arXiv:2602.06053): first channel, 24 kHz, -24 LUFS, encoded by Mimi. A
published voice is the model's own state after one: the summed input embeddings of all but its last position, and the
last columns of the token table. Those come as `.pt`, which is a pickle: they are read by PyTorch's loader for plain
tensors, checked, and kept as safetensors. Nothing else is ever unpickled, and nothing of a file's choice is executed;
even so, read them only where a file's mischief ends, in the engine's process.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from duplex_model.audio_file import Recording, read_audio
from duplex_model.config import TO_SAMPLE, LMConfig
from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import PromptError
from duplex_model.loudness import integrated_loudness, normalised

LOUDNESS_LUFS = -24.0
"""Of a recorded voice before it is encoded (PersonaPlex)."""

MIN_S = 2.0
"""Less does not tell one voice from another."""

MAX_S = 20.0
"""Every 80 ms take a position of the model's window for the whole call; the published voices are about 4 s."""

QUIET_LUFS = -60.0
"""Below, a recording is taken for silence: normalising it would voice its noise."""

MAX_FILE_BYTES = 16 << 20
"""Of a voice's tensors; the published ones have about 0.4 MB."""

PUBLISHED_COLUMNS = 4
"""Columns of the token table kept in a published voice: the longest delay, and three more."""

TENSOR_SUFFIXES = (".pt", ".safetensors")
"""Of files that hold a voice as tensors; all others are recordings."""

_MAX_FRAMES = round(MAX_S / FRAME_S)
_CLIPPED = 0.999
_CLIPPED_RUN = 3
_CLIPPED_SHARE = 1e-3

_UNREADABLE = (
    pickle.UnpicklingError, zipfile.BadZipFile, SafetensorError, OSError, EOFError, RuntimeError, ValueError,
    TypeError, LookupError, AttributeError, ImportError,
)  # fmt: skip
"""What loaders raise for files that are damaged or not theirs."""


@dataclass(frozen=True)
class SpokenVoice:
    """A voice as what was said in it."""

    codes: Tensor
    """int64 [own codebooks, frames]."""


@dataclass(frozen=True)
class EmbeddedVoice:
    """A voice as the model's inputs while it was spoken, without the tokens they were made of."""

    embeddings: Tensor
    """[M, D]: inputs of positions 0 to M - 1."""

    columns: Tensor
    """int64 [streams, 4]: the token table after them; position p is in column p mod 4."""


Voice = SpokenVoice | EmbeddedVoice


def read_recording(path: Path) -> Pcm:
    """The voice in an audio file as whole frames, [1920 n]; see `prepare_recording`.

    Raises:
        PromptError: no audio file, or not of use as a voice.
    """
    return prepare_recording(read_audio(path, max_s=MAX_S, error=PromptError), path.name)


def prepare_recording(recording: Recording, name: str) -> Pcm:
    """A recording as whole frames of pcm at 24 kHz and `LOUDNESS_LUFS`; the last frame ends in zeros.

    Raises:
        PromptError: too short, clipped, or silent; `name` says whose.
    """
    if recording.duration_s < MIN_S:
        raise PromptError(
            f"{name}: expected {MIN_S:g} to {MAX_S:g} s of a voice, got {recording.duration_s:.2f} s"
        )
    loudness_lufs = integrated_loudness(recording.pcm, recording.rate_hz)
    if loudness_lufs < QUIET_LUFS:
        raise PromptError(f"{name}: expected a voice, got silence ({loudness_lufs:.0f} LUFS)")
    clipped = _clipped_share(recording.pcm)
    if clipped > _CLIPPED_SHARE:
        raise PromptError(
            f"{name}: expected a clean recording, got one clipped in {clipped:.1%} of its samples: record it again "
            "at a lower level"
        )
    pcm = normalised(recording.resampled(), SAMPLE_RATE_HZ, LOUDNESS_LUFS)
    return np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))


def _clipped_share(pcm: Pcm) -> float:
    """Share of samples in runs at full scale; a single peak there is none."""
    full = np.abs(pcm) >= _CLIPPED
    inside = full[1:-1] & full[:-2] & full[2:]  # the middle of every run of three
    return float(_CLIPPED_RUN * inside.sum() / len(pcm)) if inside.any() else 0.0


@torch.no_grad()
def read_tensors(path: Path, lm: LMConfig) -> Voice:
    """A voice kept as tensors: `codes` [K, T], or `embeddings` [M, 1, 1, D] and `cache` [1, streams, 4].

    Raises:
        PromptError: no such file, too large, damaged, or holding anything but a voice of this checkpoint.
    """
    if not path.is_file():
        raise PromptError(f"expected a voice at {path}, got nothing")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise PromptError(f"{path.name}: expected a voice of at most {MAX_FILE_BYTES} bytes, got {size}")
    try:
        loaded = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except _UNREADABLE as error:
        cause = (str(error) or type(error).__name__).splitlines()[0]
        raise PromptError(f"expected a voice at {path}, got no tensors: {cause}") from error
    return _checked(_plain_tensors(loaded, path.name), path.name, lm)


def _unpickled(path: Path) -> object:
    """What is in a `.pt` file, by the loader that makes nothing but tensors and plain containers."""
    with zipfile.ZipFile(path) as file:  # PyTorch's format, in which no member is compressed
        if any(member.compress_type != zipfile.ZIP_STORED for member in file.infolist()):
            raise ValueError("compressed, as PyTorch never writes it")
    loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    return loaded


def _plain_tensors(loaded: object, name: str) -> Mapping[str, Tensor]:
    if not isinstance(loaded, dict) or set(loaded) not in ({"codes"}, {"embeddings", "cache"}):
        keys = sorted(map(str, loaded))[:5] if isinstance(loaded, dict) else type(loaded).__name__
        raise PromptError(f"{name}: expected the tensors codes, or embeddings and cache, got {ascii(keys)}")
    for tensor in loaded.values():
        if not isinstance(tensor, Tensor) or tensor.layout is not torch.strided or tensor.is_quantized:
            raise PromptError(f"{name}: expected plain tensors, got {type(tensor).__name__}")
    return loaded


def _checked(tensors: Mapping[str, Tensor], name: str, lm: LMConfig) -> Voice:
    if "codes" in tensors:
        codes = tensors["codes"]
        _check_shape("codes", codes, (lm.own_codebooks, _MAX_FRAMES), name, open_dim=1)
        _check_tokens(codes, 0, torch.tensor(lm.card - 1), name)
        return SpokenVoice(codes.contiguous())
    embeddings, cache = tensors["embeddings"], tensors["cache"]
    _check_shape("embeddings", embeddings, (_MAX_FRAMES, 1, 1, lm.temporal.width), name, open_dim=0)
    _check_shape("cache", cache, (1, lm.streams, PUBLISHED_COLUMNS), name)
    if not embeddings.is_floating_point() or not embeddings.isfinite().all():
        raise PromptError(f"{name}: expected finite embeddings, got others, of {embeddings.dtype}")
    initial = torch.tensor([lm.text_card, *[lm.card] * (lm.streams - 1)])  # the largest token of each stream
    _check_tokens(cache[0], TO_SAMPLE, initial[:, None], name)
    return EmbeddedVoice(embeddings[:, 0, 0].contiguous(), cache[0].contiguous())


def _check_shape(
    what: str, tensor: Tensor, expected: tuple[int, ...], name: str, open_dim: int | None = None
) -> None:
    """`expected` exactly; in the open dimension, where there is one, from 1 to that many."""
    came = list(tensor.shape)
    fits = len(came) == len(expected) and all(
        0 < size <= limit if dim == open_dim else size == limit
        for dim, (size, limit) in enumerate(zip(came, expected, strict=True))
    )
    if not fits:
        shown = [f"1 to {size}" if dim == open_dim else str(size) for dim, size in enumerate(expected)]
        raise PromptError(f"{name}: expected {what} [{', '.join(shown)}] for this checkpoint, got {came}")


def _check_tokens(tokens: Tensor, least: int, most: Tensor, name: str) -> None:
    if tokens.dtype != torch.int64:
        raise PromptError(f"{name}: expected int64 tokens, got {tokens.dtype}")
    if (tokens < least).any() or (tokens > most).any():
        raise PromptError(f"{name}: expected tokens of the checkpoint, got {tokens.min()} to {tokens.max()}")


def save_voice(voice: Voice, path: Path) -> None:
    """Writes `voice` as safetensors, which is how voices are kept."""
    if isinstance(voice, SpokenVoice):
        tensors = {"codes": voice.codes}
    else:
        tensors = {"embeddings": voice.embeddings[:, None, None], "cache": voice.columns[None]}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
