from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import save_file

from duplex_model.config import PromptCodes, SpectralConfig
from duplex_model.spectral import SpectralCodec
from duplex_model.training.corpus import (
    CLIP_FRAMES,
    CorpusPlan,
    Maker,
    load_codec,
    main,
    read_shard,
    write_shard,
)
from duplex_model.training.dialogues.rows import NAMES
from duplex_model.training.dialogues.spelling import Spelling
from duplex_model.training.vocabulary import train_vocabulary
from tests.duplex_model.training.composing import MATERIALS, PAIRS
from tests.duplex_model.training.test_rows import encode

CODES = PromptCodes(silence=(0, 0), sine=(318, 636))
SMALL = SpectralConfig(
    card=16, codebook_width=8, width=16, hidden=16, encoder_fast_blocks=1, encoder_slow_blocks=1,
    decoder_slow_blocks=1, decoder_fast_blocks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> bytes:
    return train_vocabulary([text for pair in PAIRS for text in (pair.en, pair.es)] * 20, 400)


@pytest.fixture
def maker(tokenizer: bytes) -> Maker:
    spelling = Spelling(tokenizer)
    return Maker(replace(MATERIALS, pieces=lambda word: len(spelling.pieces(word))), spelling, encode, CODES)


@pytest.fixture
def codec_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    tensors = {name: tensor.half() for name, tensor in SpectralCodec(SMALL).state_dict().items()}
    save_file(tensors, tmp_path / "codec.safetensors", {"config": json.dumps(asdict(SMALL))})
    return tmp_path


def test_a_shard_comes_back_as_it_was_written(maker: Maker, tmp_path: Path) -> None:
    shard = maker.shard(seed=1, number=2, count=12)
    write_shard(shard, tmp_path / "shard-00002.safetensors")
    again = read_shard(tmp_path / "shard-00002.safetensors")
    assert list(again.about) == json.loads(json.dumps(shard.about))
    for rows, read in zip(shard.rows, again.rows, strict=True):
        for name in NAMES:
            assert np.array_equal(getattr(rows, name), getattr(read, name))
            assert getattr(rows, name).dtype == getattr(read, name).dtype


def test_a_shard_depends_on_the_seed_and_its_number_alone(maker: Maker) -> None:
    first = maker.shard(seed=1, number=0, count=8)
    maker.shard(seed=1, number=5, count=2)
    again, other = maker.shard(seed=1, number=0, count=8), maker.shard(seed=2, number=0, count=8)
    assert first.about == again.about
    assert all(np.array_equal(one.heard, two.heard) for one, two in zip(first.rows, again.rows, strict=True))
    assert first.about != other.about


def test_what_a_dialogue_is_can_be_read_beside_its_rows(maker: Maker) -> None:
    for rows, about in zip(*vars(maker.shard(0, 0, 10)).values(), strict=True):
        assert about["frames"] == len(rows.text)
        assert about["own_voice"] in MATERIALS.own_voices
        assert about["role"] == maker.spelling.encode(f"<system> {about['role_text']} <system>")
        for turn in about["turns"]:
            assert turn["pair"] is None or turn["text"] in (turn["pair"]["en"], turn["pair"]["es"])


def test_each_voice_has_clips_of_three_seconds(maker: Maker) -> None:
    clips = maker.clips(seed=0, count=3)
    assert set(clips) == set(MATERIALS.own_voices)
    assert all(clip.shape == (3, 2, CLIP_FRAMES) for clip in clips.values())


def test_a_codec_is_read_with_its_configuration(codec_folder: Path) -> None:
    codec = load_codec(codec_folder)
    assert codec.config == SMALL
    assert next(codec.parameters()).dtype == torch.float32


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(codec_folder: Path, tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer.model"
    from duplex_model.training import vocabulary

    vocabulary.main(["--out", str(tokenizer), "--samples", "2000", "--size", "900"])
    arguments = ["--codec", str(codec_folder), "--tokenizer", str(tokenizer), "--clips", "2", "--seed", "3"]
    folder = tmp_path / "corpus"
    main([*arguments, "--out", str(folder), "--dialogues", "4", "--minutes", "0"])
    assert not list(folder.glob("shard-*"))
    main([*arguments, "--out", str(folder), "--dialogues", "4"])
    [path] = folder.glob("shard-*.safetensors")
    whole = path.read_bytes()
    made = path.stat().st_mtime_ns
    main([*arguments, "--out", str(folder), "--dialogues", "4"])
    assert path.stat().st_mtime_ns == made
    path.unlink()
    main([*arguments, "--out", str(folder), "--dialogues", "4"])
    assert path.read_bytes() == whole
    about = json.loads((folder / "corpus.json").read_text())
    assert len(about["silence"]) == len(about["sine"]) == SMALL.codebooks
    assert set(load_file(folder / "voices.safetensors")) >= {"ana", "bruno"}


def test_a_plan_is_hashable_so_that_a_process_loads_it_once() -> None:
    assert hash(CorpusPlan(codec=Path("a"), tokenizer=Path("b"))) == hash(
        CorpusPlan(codec=Path("a"), tokenizer=Path("b"))
    )
