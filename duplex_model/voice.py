"""Voice prompts: a recording, a published voice, or one saved by us -> what a prompt is made of.

Nothing of the reader's choice is executed: recordings are parsed here, published `.pt` voices go through PyTorch's
loader for plain tensors, and whatever comes out must have the expected names, types and shapes.
"""

from __future__ import annotations

import math
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from duplex_model.config import LMConfig
from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import PromptError
from duplex_model.mimi import Mimi

LOUDNESS_LUFS = -24.0  # of the voices PersonaPlex was trained with (arXiv:2602.06053)
MIN_VOICE_S = 1.0
MAX_VOICE_S = 20.0
MAX_FILE_BYTES = 64 * 2**20

Float64 = NDArray[np.float64]

_CACHED_COLUMNS = 4  # columns of the token table kept in a published voice


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


def read_wav(content: bytes) -> tuple[Pcm, int]:
    """The first channel of a RIFF/WAVE file and its sample rate in Hz.

    Args:
        content: integer samples of 16, 24 or 32 bits, or float of 32.

    Raises:
        PromptError: anything else.
    """
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise PromptError("expected a voice recording as a WAV file, got something else")
    chunks = _riff_chunks(content)
    if len(chunks.get(b"fmt ", b"")) < 16 or b"data" not in chunks:
        raise PromptError("expected a WAV file with a format and samples, got one without")
    coding, channels, rate_hz, _, block, bits = struct.unpack("<HHIIHH", chunks[b"fmt "][:16])
    if coding == 0xFFFE and len(chunks[b"fmt "]) >= 26:  # extensible: the coding leads the sub-format
        coding = struct.unpack("<H", chunks[b"fmt "][24:26])[0]
    if not channels or not rate_hz or block != channels * bits // 8:
        raise PromptError(
            f"expected a consistent WAV header, got {channels} channels of {bits} bits in {block}"
        )
    samples = chunks[b"data"][: len(chunks[b"data"]) // block * block]
    return _decoded(samples, coding, bits)[::channels], rate_hz


def _riff_chunks(content: bytes) -> dict[bytes, bytes]:
    chunks: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        chunks.setdefault(name, content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return chunks


def _decoded(samples: bytes, coding: int, bits: int) -> Pcm:
    if (coding, bits) == (3, 32):
        return np.asarray(np.frombuffer(samples, "<f4"), np.float32)
    if (coding, bits) == (1, 24):
        wide = np.zeros((len(samples) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(samples, np.uint8).reshape(-1, 3)
        return np.asarray(wide.view("<i4")[:, 0] / 2**31, np.float32)
    if coding == 1 and bits in (16, 32):
        return np.asarray(np.frombuffer(samples, f"<i{bits // 8}") / 2 ** (bits - 1), np.float32)
    raise PromptError(
        f"expected a WAV file of 16, 24 or 32 bits or float, got coding {coding} of {bits} bits"
    )


def resample(pcm: Pcm, rate_hz: int, to_hz: int = SAMPLE_RATE_HZ) -> Pcm:
    """`pcm` at another rate, by a Kaiser-windowed sinc with its stop band 80 dB down."""
    if rate_hz == to_hz:
        return pcm
    cutoff = 0.95 * min(1.0, to_hz / rate_hz)
    half = math.ceil(48 / cutoff)
    padded = np.pad(pcm.astype(np.float64), half + 1)
    count = len(pcm) * to_hz // rate_hz
    out = np.empty(count, np.float32)
    offsets = np.arange(-half, half + 1)
    for start in range(0, count, 4096):
        at = np.arange(start, min(start + 4096, count)) * (rate_hz / to_hz)
        nearest = np.round(at).astype(np.int64)
        distance = offsets - (at - nearest)[:, None]
        window = np.i0(8.0 * np.sqrt(np.clip(1 - (distance / (half + 1)) ** 2, 0, 1))) / np.i0(8.0)
        taps = cutoff * np.sinc(cutoff * distance) * window
        out[start : start + len(at)] = (padded[nearest[:, None] + offsets + half + 1] * taps).sum(axis=1)
    return out


def loudness_lufs(pcm: Pcm) -> float:
    """Integrated loudness of mono pcm at 24 kHz (ITU-R BS.1770-4); minus infinity for silence."""
    weighted = _k_weighted(pcm.astype(np.float64))
    block, step = SAMPLE_RATE_HZ * 4 // 10, SAMPLE_RATE_HZ // 10
    starts = range(0, max(len(weighted) - block, 0) + 1, step)
    power = np.array([np.mean(weighted[start : start + block] ** 2) for start in starts])
    kept = power[_lufs(power) > -70]
    if not len(kept):
        return -math.inf
    kept = kept[_lufs(kept) > _lufs(kept.mean(keepdims=True)) - 10]
    return float(_lufs(kept.mean(keepdims=True))[0])


def _lufs(power: Float64) -> Float64:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(power))


def _k_weighted(pcm: Float64) -> Float64:
    """The two K-weighting filters as one product in frequency; zeros behind keep it from wrapping around."""
    size = 1 << (len(pcm) + SAMPLE_RATE_HZ).bit_length()
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones_like(z)
    for b, a in (
        _shelf(1681.974450955533, 3.999843853973347, 0.7071752369554196),
        _high_pass(38.13547087602444),
    ):
        response *= np.polyval(b[::-1], z) / np.polyval(a[::-1], z)
    weighted: Float64 = np.fft.irfft(np.fft.rfft(pcm, size) * response, size)[: len(pcm)]
    return weighted


def _shelf(corner_hz: float, gain_db: float, q: float) -> tuple[list[float], list[float]]:
    """Numerator and denominator of BS.1770's first filter, moved from its analogue form to our rate."""
    k = math.tan(math.pi * corner_hz / SAMPLE_RATE_HZ)
    high = 10 ** (gain_db / 20)
    middle = high**0.4996667741545416
    b = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    return b, [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k]


def _high_pass(corner_hz: float, q: float = 0.5003270373238773) -> tuple[list[float], list[float]]:
    k = math.tan(math.pi * corner_hz / SAMPLE_RATE_HZ)
    scale = (
        1 + k / q + k * k
    )  # the standard's numerator is 1 - 2 z + z^2 over a denominator that begins with 1
    return [1.0, -2.0, 1.0], [1.0, 2 * (k * k - 1) / scale, (1 - k / q + k * k) / scale]


def prepare_recording(content: bytes) -> Pcm:
    """A WAV file -> whole frames of pcm at 24 kHz and `LOUDNESS_LUFS`.

    Raises:
        PromptError: not audio, too short, too long, or silent.
    """
    pcm, rate_hz = read_wav(content)
    seconds = len(pcm) / rate_hz
    if not MIN_VOICE_S <= seconds <= MAX_VOICE_S:
        raise PromptError(
            f"expected a voice recording of {MIN_VOICE_S:g} to {MAX_VOICE_S:g} s, got {seconds:.1f} s"
        )
    if not np.isfinite(pcm).all():
        raise PromptError("expected finite samples in the voice recording, got NaN or infinity")
    pcm = resample(pcm, rate_hz)
    loudness = loudness_lufs(pcm)
    if loudness == -math.inf:
        raise PromptError("expected speech in the voice recording, got silence")
    pcm = pcm * np.float32(10 ** ((LOUDNESS_LUFS - loudness) / 20))
    return np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))


@torch.no_grad()
def encode_voice(mimi: Mimi, pcm: Pcm, codebooks: int) -> SpokenVoice:
    """The voice in whole frames of `pcm`."""
    device = next(mimi.parameters()).device
    codes = mimi.encode(torch.from_numpy(pcm).to(device)[None, None])
    return SpokenVoice(codes[0, :codebooks].cpu())


def load_voice(path: Path, mimi: Mimi, config: LMConfig) -> Voice:
    """The voice at `path`: `.wav`, `.safetensors` saved by `save_voice`, or a published `.pt`.

    Raises:
        PromptError: unreadable or not a voice of this model.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PromptError(f"expected a voice file of at most {MAX_FILE_BYTES >> 20} MiB, got {path.name}")
        if path.suffix == ".wav":
            return encode_voice(mimi, prepare_recording(path.read_bytes()), config.own_codebooks)
        tensors = _read_tensors(path)
    except (OSError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        raise PromptError(f"expected a voice at {path}, got: {error}") from error
    return _checked_voice(tensors, config, path.name)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    if path.suffix == ".pt":
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(loaded, dict) and all(isinstance(tensor, Tensor) for tensor in loaded.values()):
            return loaded
    raise PromptError(f"expected a voice as .wav, .safetensors or .pt of tensors, got {path.name}")


def _checked_voice(tensors: dict[str, Tensor], config: LMConfig, name: str) -> Voice:
    if tensors.keys() == {"codes"}:
        codes = tensors["codes"]
        _expect(name, codes, torch.int64, (config.own_codebooks, codes.shape[-1]), (0, config.card))
        return SpokenVoice(codes)
    if tensors.keys() == {"embeddings", "cache"}:
        embeddings, cache = tensors["embeddings"], tensors["cache"]
        width = config.temporal.width
        _expect(name, embeddings, embeddings.dtype, (len(embeddings), 1, 1, width), None)
        _expect(name, cache, torch.int64, (1, config.streams, _CACHED_COLUMNS), (-2, config.text_card + 1))
        if embeddings.is_floating_point() and embeddings.isfinite().all():
            return EmbeddedVoice(embeddings[:, 0, 0], cache[0])
    raise PromptError(f"expected codes, or finite embeddings and a cache, in {name}, got {sorted(tensors)}")


def _expect(
    name: str, tensor: Tensor, dtype: torch.dtype, shape: tuple[int, ...], values: tuple[int, int] | None
) -> None:
    if tensor.dtype != dtype or tuple(tensor.shape) != shape or not tensor.numel():
        raise PromptError(
            f"expected {dtype} {list(shape)} in the voice {name}, got {tensor.dtype} {list(tensor.shape)}"
        )
    if values is not None and not ((tensor >= values[0]) & (tensor < values[1])).all():
        raise PromptError(
            f"expected values from {values[0]} to {values[1] - 1} in the voice {name}, got others"
        )


def save_voice(voice: Voice, path: Path) -> None:
    """Writes `voice` as safetensors, which is how voices are kept."""
    if isinstance(voice, SpokenVoice):
        save_file({"codes": voice.codes.contiguous()}, path)
    else:
        embeddings = voice.embeddings[:, None, None].contiguous()
        save_file({"embeddings": embeddings, "cache": voice.columns[None].contiguous()}, path)
