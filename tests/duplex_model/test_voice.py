from __future__ import annotations

import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from duplex_model.audio_file import Recording
from duplex_model.config import LMConfig
from duplex_model.contract import FRAME_SAMPLES, Pcm
from duplex_model.errors import PromptError
from duplex_model.loudness import integrated_loudness
from duplex_model.mimi import Mimi
from duplex_model.voice import (
    LOUDNESS_LUFS,
    MAX_FILE_BYTES,
    TENSOR_SUFFIXES,
    EmbeddedVoice,
    SpokenVoice,
    Voice,
    prepare_recording,
    read_recording,
    read_tensors,
    save_voice,
)
from tests.duplex_model.small import SMALL_MIMI, randomise, small_lm

LM = small_lm("personaplex-7b")
WIDTH = LM.temporal.width
STREAMS = LM.streams


def load_voice(path: Path, mimi: Mimi, lm: LMConfig) -> Voice:
    """A voice as a prompt takes it; a recording's frames are encoded at once here."""
    if path.suffix in TENSOR_SUFFIXES:
        return read_tensors(path, lm)
    codes = mimi.encode(torch.from_numpy(read_recording(path))[None, None])
    return SpokenVoice(codes[0, : lm.own_codebooks])


def speech(duration_s: float = 3.0, rate_hz: int = 24_000, peak: float = 0.3) -> Pcm:
    """Noise in syllables, five a second: as crested as speech is."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    noise = np.random.default_rng(5).normal(0, 1, len(time_s)) * np.sin(np.pi * 5 * time_s) ** 2
    return (peak * noise / np.abs(noise).max()).astype(np.float32)


def prepared(pcm: np.ndarray, rate_hz: int = 24_000) -> Pcm:
    return prepare_recording(Recording(pcm.astype(np.float32), rate_hz), "ana.wav")


@pytest.fixture
def mimi() -> Mimi:
    mimi = Mimi(SMALL_MIMI).eval()
    randomise(mimi, seed=0)
    return mimi


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100])
@pytest.mark.parametrize("peak", [0.01, 0.9])
def test_a_recording_becomes_whole_frames_at_the_trained_loudness(rate_hz: int, peak: float) -> None:
    pcm = prepared(speech(3.05, rate_hz, peak), rate_hz)
    assert pcm.dtype == np.float32
    assert len(pcm) == 39 * FRAME_SAMPLES
    assert not pcm[-1000:].any()
    assert integrated_loudness(pcm[: round(3.05 * 24_000)], 24_000) == pytest.approx(LOUDNESS_LUFS, abs=0.01)


@pytest.mark.parametrize(
    ("pcm", "message"),
    [
        (speech(1.5), r"ana.wav: expected 2 to 20 s of a voice, got 1.50 s"),
        (np.zeros(72_000), r"expected a voice, got silence \(-inf LUFS\)"),
        (speech(peak=0.001), r"expected a voice, got silence"),
        (np.clip(20 * speech(), -1, 1), r"clipped in \d+.\d% of its samples: record it again"),
    ],
    ids=["short", "zeros", "quiet", "clipped"],
)
def test_recordings_of_no_use(pcm: np.ndarray, message: str) -> None:
    with pytest.raises(PromptError, match=message):
        prepared(pcm)


def test_single_peaks_at_full_scale_are_not_clipping() -> None:
    assert len(prepared(speech(peak=1.0)))


def test_a_recording_is_encoded_into_the_codebooks_spoken(mimi: Mimi, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "voice.flac", speech(2.5), 24_000)
    voice = load_voice(tmp_path / "voice.flac", mimi, LM)
    assert isinstance(voice, SpokenVoice)
    assert voice.codes.shape == (SMALL_MIMI.codebooks, 32)  # the small codec has fewer than the model speaks


def test_files_of_other_content_or_length(mimi: Mimi, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="expected an audio file at .*nobody.wav, got nothing"):
        load_voice(tmp_path / "nobody.wav", mimi, LM)
    (tmp_path / "text.wav").write_text("no voice")
    with pytest.raises(PromptError, match="expected an audio file, such as WAV"):
        load_voice(tmp_path / "text.wav", mimi, LM)
    soundfile.write(tmp_path / "long.wav", speech(20.1), 24_000)
    with pytest.raises(PromptError, match="at most 20 s of audio, got more"):
        load_voice(tmp_path / "long.wav", mimi, LM)


def published(rows: int = 49) -> dict[str, Tensor]:
    """Tensors of the shapes published with PersonaPlex, but narrower."""
    generator = torch.Generator().manual_seed(1)
    return {
        "embeddings": torch.randn(rows, 1, 1, WIDTH, generator=generator).bfloat16(),
        "cache": torch.randint(0, LM.card, (1, STREAMS, 4), generator=generator),
    }


def saved(folder: Path, tensors: object) -> Path:
    torch.save(tensors, folder / "NATF0.pt")
    return folder / "NATF0.pt"


def test_a_published_voice_survives_being_kept_as_safetensors(mimi: Mimi, tmp_path: Path) -> None:
    tensors = published()
    voice = load_voice(saved(tmp_path, tensors), mimi, LM)
    assert isinstance(voice, EmbeddedVoice)
    assert torch.equal(voice.embeddings, tensors["embeddings"][:, 0, 0])
    assert torch.equal(voice.columns, tensors["cache"][0])
    save_voice(voice, tmp_path / "NATF0.safetensors")
    again = load_voice(tmp_path / "NATF0.safetensors", mimi, LM)
    assert isinstance(again, EmbeddedVoice)
    assert torch.equal(again.embeddings, voice.embeddings)
    assert again.embeddings.dtype == torch.bfloat16
    assert torch.equal(again.columns, voice.columns)


def test_a_spoken_voice_survives_being_kept(tmp_path: Path) -> None:
    codes = torch.randint(LM.card, (LM.own_codebooks, 5))
    save_voice(SpokenVoice(codes), tmp_path / "kept.safetensors")
    voice = read_tensors(tmp_path / "kept.safetensors", LM)
    assert isinstance(voice, SpokenVoice)
    assert torch.equal(voice.codes, codes)


def without(key: str) -> dict[str, Tensor]:
    tensors = published()
    del tensors[key]
    return tensors


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # of PyTorch 2.11
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (without("cache"), "expected the tensors codes, or embeddings and cache, got ..embeddings"),
        (published() | {"more": torch.ones(1)}, "got ..cache', 'embeddings', 'more'"),
        ([torch.ones(1)], "got 'list'"),
        (published() | {"cache": 3}, "expected plain tensors, got int"),
        (published() | {"cache": torch.ones(1, STREAMS, 4)}, "int64 tokens, got torch.float32"),
        (published() | {"cache": torch.ones(STREAMS, 4).long()}, r"expected cache \[1, 17, 4\] for this"),
        (published() | {"cache": torch.ones(1, 33, 4).long()}, r"expected cache .*, got \[1, 33, 4\]"),
        (
            published() | {"cache": torch.full((1, STREAMS, 4), LM.card + 1)},
            "expected tokens of the checkpoint",
        ),
        (published() | {"cache": torch.full((1, STREAMS, 4), -3)}, "expected tokens of the checkpoint"),
        (published() | {"embeddings": torch.ones(9, WIDTH)}, rf"embeddings \[1 to 250, 1, 1, {WIDTH}\]"),
        (published() | {"embeddings": torch.ones(9, 1, 1, 8)}, r"got \[9, 1, 1, 8\]"),
        (published() | {"embeddings": torch.ones(0, 1, 1, WIDTH)}, r"got \[0, 1, 1"),
        (published() | {"embeddings": torch.ones(251, 1, 1, WIDTH)}, r"got \[251, 1, 1"),
        (published() | {"embeddings": torch.ones(1).expand(10**9, 1, 1, WIDTH)}, r"got \[1000000000, 1"),
        (published() | {"embeddings": torch.full((9, 1, 1, WIDTH), torch.nan)}, "finite embeddings"),
        (published() | {"embeddings": torch.ones(9, 1, 1, WIDTH).to_sparse()}, "expected plain tensors"),
        (published() | {"embeddings": torch.ones(9, 1, 1, WIDTH).char()}, "finite embeddings, .* torch.int8"),
        ({"codes": torch.zeros(7, 10).long()}, r"expected codes \[8, 1 to 250\]"),
        ({"codes": torch.full((8, 10), LM.card)}, "expected tokens of the checkpoint"),
    ],
)
def test_tensors_that_are_no_voice_of_this_checkpoint(tmp_path: Path, content: object, message: str) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        read_tensors(saved(tmp_path, content), LM)
    assert "\n" not in str(caught.value)


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_nothing_in_a_voice_is_executed(tmp_path: Path) -> None:
    path = saved(tmp_path, published() | {"embeddings": Touch(tmp_path / "executed")})
    with pytest.raises(PromptError, match="expected a voice at .*NATF0.pt, got no tensors"):
        read_tensors(path, LM)
    assert not (tmp_path / "executed").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "executed").exists(), "the file would have done it"


def test_a_bare_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A.pt").write_bytes(pickle.dumps(Touch(tmp_path / "executed")))
    with pytest.raises(PromptError, match="got no tensors: File is not a zip file"):
        read_tensors(tmp_path / "A.pt", LM)
    assert not (tmp_path / "executed").exists()


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(saved(tmp_path, published())) as before,
        zipfile.ZipFile(tmp_path / "B.pt", "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for member in before.namelist():
            after.writestr(member, before.read(member))
    with pytest.raises(PromptError, match="compressed, as PyTorch never writes it"):
        read_tensors(tmp_path / "B.pt", LM)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_files_too_large_or_missing(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"A{suffix}"
    with pytest.raises(PromptError, match="got nothing"):
        read_tensors(path, LM)
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(PromptError, match="expected a voice of at most 16777216 bytes, got 16777217"):
        read_tensors(path, LM)


@pytest.mark.slow
@given(data=st.data(), suffix=st.sampled_from([".pt", ".safetensors"]))
@settings(deadline=None, max_examples=300)
def test_damaged_files_are_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, suffix: str
) -> None:
    path = saved(tmp_path_factory.mktemp("damaged"), published(2))
    if suffix == ".safetensors":
        save_voice(read_tensors(path, LM), path := path.with_suffix(suffix))
    content = bytearray(path.read_bytes())
    places = st.one_of(st.integers(0, min(len(content), 900) - 1), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[place] = value
    path.write_bytes(bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))]))
    with suppress(PromptError):
        voice = read_tensors(path, LM)
        assert isinstance(voice, EmbeddedVoice)
        assert voice.columns.shape == (STREAMS, 4)
