from __future__ import annotations

import math
import pickle
import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray

from duplex_model.contract import Pcm
from duplex_model.errors import PromptError
from duplex_model.mimi import Mimi
from duplex_model.voice import (
    LOUDNESS_LUFS,
    EmbeddedVoice,
    SpokenVoice,
    load_voice,
    loudness_lufs,
    prepare_recording,
    read_wav,
    resample,
    save_voice,
)
from tests.duplex_model.small import SMALL_MIMI, randomise, small_lm

CONFIG = small_lm("personaplex-7b")


def tone(hz: float, seconds: float, rate_hz: int = 24_000, level: float = 1.0) -> Pcm:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def wav(samples: NDArray[np.generic], rate_hz: int, channels: int = 1, coding: int = 1) -> bytes:
    width = samples.dtype.itemsize
    header = struct.pack(
        "<HHIIHH", coding, channels, rate_hz, rate_hz * width * channels, width * channels, 8 * width
    )
    body = b"WAVEfmt " + struct.pack("<I", len(header)) + header
    body += b"note" + struct.pack("<I", 3) + b"odd\0" + b"data" + struct.pack("<I", samples.nbytes)
    body += samples.tobytes()
    return b"RIFF" + struct.pack("<I", len(body)) + body


def as_int16(pcm: Pcm) -> NDArray[np.int16]:
    return np.round(pcm * 32767).astype("<i2")


def test_the_first_channel_is_read_in_every_coding() -> None:
    left = np.array([0.0, 0.5, -0.5, 0.25], np.float32)
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    for content in (
        wav((stereo * 2**15).astype("<i2"), 16_000, channels=2),
        wav((stereo * 2**31).astype("<i4"), 16_000, channels=2),
        wav(stereo.astype("<f4"), 16_000, channels=2, coding=3),
    ):
        pcm, rate_hz = read_wav(content)
        assert rate_hz == 16_000
        assert pcm.dtype == np.float32
        assert pcm.tolist() == left.tolist()


def test_24_bits_are_read_with_their_sign() -> None:
    samples = np.frombuffer(b"\x00\x00\x40" + b"\x00\x00\xc0", np.uint8)
    content = bytearray(wav(samples, 8_000))
    content[32:36] = struct.pack("<HH", 3, 24)
    assert read_wav(bytes(content))[0].tolist() == [0.5, -0.5]


@settings(max_examples=200)
@given(st.binary(max_size=80), st.integers(0, 60))
def test_no_damage_is_taken_for_audio_or_raises_anything_else(noise: bytes, at: int) -> None:
    content = wav(as_int16(tone(300, 0.001)), 24_000)
    damaged = content[:at] + noise + content[at + len(noise) :]
    try:
        pcm, rate_hz = read_wav(damaged)
    except PromptError:
        return
    assert pcm.dtype == np.float32
    assert rate_hz > 0


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
def test_resampling_keeps_a_tone_and_adds_no_other(rate_hz: int) -> None:
    pcm = resample(tone(1_000, 0.5, rate_hz), rate_hz)
    assert len(pcm) == 12_000
    inner = slice(1_000, -1_000)
    np.testing.assert_allclose(pcm[inner], tone(1_000, 0.5)[inner], atol=2e-3)


def test_resampling_down_removes_what_cannot_be_kept() -> None:
    assert np.abs(resample(tone(15_000, 0.2, 48_000), 48_000)[500:-500]).max() < 1e-3


def test_loudness_of_the_reference_tone() -> None:
    """BS.1770: a full-scale sine of 997 Hz in one channel reads -3.01 LUFS."""
    assert loudness_lufs(tone(997, 3)) == pytest.approx(-3.01, abs=0.05)
    assert loudness_lufs(tone(997, 3, level=0.1)) == pytest.approx(-23.01, abs=0.05)


def test_loudness_ignores_pauses() -> None:
    speech, pause = tone(997, 2, level=0.1), np.zeros(72_000, np.float32)
    assert loudness_lufs(np.concatenate([speech, pause])) == pytest.approx(loudness_lufs(speech), abs=0.5)
    assert loudness_lufs(pause) == -math.inf


def test_a_recording_becomes_whole_frames_at_the_trained_loudness() -> None:
    pcm = prepare_recording(wav(as_int16(tone(500, 1.5, 44_100, level=0.02)), 44_100))
    assert len(pcm) == 19 * 1920
    assert loudness_lufs(pcm[:36_000]) == pytest.approx(LOUDNESS_LUFS, abs=0.05)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a voice recording as a WAV file"),
        (b"ID3\x04 an mp3, say", "expected a voice recording as a WAV file"),
        (wav(as_int16(tone(300, 0.4)), 24_000), "of 1 to 20 s, got 0.4 s"),
        (wav(as_int16(tone(300, 21, 8_000)), 8_000), "of 1 to 20 s, got 21.0 s"),
        (wav(np.zeros(48_000, "<i2"), 24_000), "expected speech .*, got silence"),
        (wav(np.full(48_000, np.nan, "<f4"), 24_000, coding=3), "got NaN"),
        (wav(np.zeros(48_000, np.uint8), 24_000), "got coding 1 of 8 bits"),
    ],
    ids=["empty", "mp3", "short", "long", "silent", "nan", "8 bits"],
)
def test_what_is_no_voice_is_refused_in_words(content: bytes, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        prepare_recording(content)


@pytest.fixture
def mimi() -> Mimi:
    mimi = Mimi(SMALL_MIMI).eval()
    randomise(mimi, seed=0)
    return mimi


def test_a_recording_is_encoded_into_the_codebooks_spoken(mimi: Mimi, tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    path.write_bytes(wav(as_int16(tone(500, 1.5, level=0.1)), 24_000))
    voice = load_voice(path, mimi, CONFIG)
    assert isinstance(voice, SpokenVoice)
    assert voice.codes.shape == (SMALL_MIMI.codebooks, 19)  # the small codec has fewer than the model speaks


def published_voice(rows: int = 7) -> dict[str, torch.Tensor]:
    return {
        "embeddings": torch.randn(rows, 1, 1, CONFIG.temporal.width),
        "cache": torch.randint(CONFIG.card, (1, CONFIG.streams, 4)),
    }


def test_a_published_voice_survives_being_kept_as_safetensors(mimi: Mimi, tmp_path: Path) -> None:
    torch.save(published_voice(), tmp_path / "voice.pt")
    voice = load_voice(tmp_path / "voice.pt", mimi, CONFIG)
    assert isinstance(voice, EmbeddedVoice)
    assert voice.embeddings.shape == (7, CONFIG.temporal.width)
    save_voice(voice, tmp_path / "kept.safetensors")
    again = load_voice(tmp_path / "kept.safetensors", mimi, CONFIG)
    assert isinstance(again, EmbeddedVoice)
    assert torch.equal(again.embeddings, voice.embeddings)
    assert torch.equal(again.columns, voice.columns)


def test_a_spoken_voice_survives_being_kept(mimi: Mimi, tmp_path: Path) -> None:
    codes = torch.randint(CONFIG.card, (CONFIG.own_codebooks, 5))
    save_voice(SpokenVoice(codes), tmp_path / "kept.safetensors")
    voice = load_voice(tmp_path / "kept.safetensors", mimi, CONFIG)
    assert isinstance(voice, SpokenVoice)
    assert torch.equal(voice.codes, codes)


class Trap:
    """Pickles into a call that would leave a mark."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("trap-was-sprung", "w")


def test_a_pickle_that_would_run_something_is_refused_and_does_not_run(
    mimi: Mimi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voice.pt").write_bytes(pickle.dumps({"embeddings": Trap()}, protocol=2))
    torch.save({"embeddings": Trap()}, tmp_path / "zipped.pt")
    for name in ("voice.pt", "zipped.pt"):
        with pytest.raises(PromptError, match=f"expected a voice at .*{name}"):
            load_voice(tmp_path / name, mimi, CONFIG)
    assert not (tmp_path / "trap-was-sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": torch.zeros(1)}, "got \\['cache', 'embeddings', 'extra'\\]"),
        ({"cache": torch.zeros(1, 17, 3, dtype=torch.int64)}, r"expected torch.int64 \[1, 17, 4\]"),
        ({"cache": torch.full((1, 17, 4), 10**6)}, "expected values from -2 to 48"),
        ({"embeddings": torch.full((7, 1, 1, 16), torch.nan)}, "finite embeddings"),
        ({"embeddings": torch.zeros(7, 1, 1, 8)}, r"expected torch.float32 \[7, 1, 1, 16\]"),
    ],
    ids=["extra", "shape", "values", "nan", "width"],
)
def test_tensors_that_are_no_voice_of_this_model_are_refused(
    mimi: Mimi, tmp_path: Path, change: dict[str, torch.Tensor], message: str
) -> None:
    torch.save(published_voice() | change, tmp_path / "voice.pt")
    with pytest.raises(PromptError, match=message):
        load_voice(tmp_path / "voice.pt", mimi, CONFIG)


def test_an_absent_file_is_named(mimi: Mimi, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="expected a voice at .*nobody.wav"):
        load_voice(tmp_path / "nobody.wav", mimi, CONFIG)
