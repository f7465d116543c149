from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from duplex_model import shipped
from duplex_model.assembly import NeuralOptions, assemble
from duplex_model.contract import TickGrid
from duplex_model.description import write_description
from duplex_model.errors import CheckpointError
from duplex_model.source import find_files, parse_source
from duplex_model.training import export as exporting
from duplex_model.training.corpus import codes_of, load_codec
from duplex_model.training.export import Parts, export, int8_rows, main, write_shards
from tests.duplex_model.tiny_checkpoint import SPECTRAL, spectral_config, write_spectral_checkpoint

ABOUT = {
    "name": "tiny-medical",
    "domain": "phrases for tests",
    "say": "trained",
    "generation": {"text": {"temperature": 0.0, "top_k": 1}, "unsure_entropy_nats": 2.0},
    "demonstration": {"en": "demonstration checkpoint", "es": "versión de demostración"},
}
TRAINED = spectral_config()


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    """What training leaves behind: a run, a codec, a vocabulary, clips of a corpus."""
    run = tmp_path / "run"
    run.mkdir()
    files = write_spectral_checkpoint(run, TRAINED)
    in_training = replace(
        TRAINED, name="in-training", codec=None, direction_roles={}, demonstration={}, domain=""
    )
    write_description(run, replace(in_training, generation=type(TRAINED.generation)()))
    (run / "prompt_codes.json").write_text(json.dumps(asdict(TRAINED.prompt_codes)))
    codec = load_file(files.codec[0])
    save_file(codec, tmp_path / "codec.safetensors", {"config": json.dumps(asdict(SPECTRAL))})
    clips = {name: torch.full((3, SPECTRAL.codebooks, 38), 7, dtype=torch.int16) for name in ("ana", "bruno")}
    save_file(clips, tmp_path / "voices.safetensors")
    about, card, licence = (tmp_path / name for name in ("about.json", "card.md", "licence.txt"))
    about.write_text(json.dumps(ABOUT))
    card.write_text("# tiny-medical\n")
    licence.write_text("Apache License\n")
    return Parts(
        lm=files.lm[0],
        codec=tmp_path / "codec.safetensors",
        tokenizer=files.text,
        voices=tmp_path / "voices.safetensors",
        about=about,
        card=card,
        licence=licence,
    )


def test_a_run_becomes_a_folder_that_describes_itself(parts: Parts, tmp_path: Path) -> None:
    config = export(parts, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "LICENSE", "README.md", "checkpoint.json", "codec-00001-of-00001.safetensors",
        "model-00001-of-00001.safetensors", "tokenizer.model", "voices",
    ]  # fmt: skip
    assert parse_source(str(tmp_path / "out")).config == config
    assert (config.name, config.domain, config.lm) == ("tiny-medical", "phrases for tests", TRAINED.lm)
    assert (config.codec, config.prompt_codes) == (SPECTRAL, TRAINED.prompt_codes)
    assert config.generation.unsure_token == TRAINED.generation.unsure_token
    assert config.generation.unsure_entropy_nats == 2.0
    assert config.direction_roles["es-en"]["simultaneous"].startswith("Interpret Spanish into English")
    assert set(config.direction_roles["en-es"]) >= {"simultaneous", "consecutive"}


def test_the_folder_is_served_as_any_other(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "checkpoints")
    words = {
        "lm": parts.lm, "codec": parts.codec, "tokenizer": parts.tokenizer, "voices": parts.voices,
        "description": parts.about, "card": parts.card, "licence": parts.licence,
        "out": tmp_path / "checkpoints" / "tiny-medical",
    }  # fmt: skip
    main([word for name, value in words.items() for word in (f"--{name}", str(value))])
    files = find_files(parse_source("default"), report=lambda done, words: None)
    for int8, dtype in ((False, torch.float32), (True, torch.bfloat16)):
        options = NeuralOptions(lanes=1, device=torch.device("cpu"), dtype=dtype, int8=int8)
        engine = assemble(
            files.config, files, options, grid=TickGrid(origin_s=0.0), report=lambda done, words: None
        )
        assert engine.capabilities.demonstration == ABOUT["demonstration"]
        engine.close()


def test_shards_are_small_and_together_hold_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SHARD_BYTES", (1 << 16) + 5000)
    tensors = {f"t{n}.weight": torch.randn(30, 40) for n in range(9)}
    write_shards(tmp_path, "model.safetensors", int8_rows(tensors))
    shards = sorted(tmp_path.iterdir())
    assert [path.name for path in shards] == [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    assert all(path.stat().st_size <= (1 << 16) + 5000 for path in shards)
    together = {name: tensor for path in shards for name, tensor in load_file(path).items()}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        scale = together[f"{stem}.scale"].float()[:, None]
        assert ((together[f"{stem}.quantised"].float() * scale - tensor).abs() <= 0.51 * scale).all()
    with pytest.raises(
        CheckpointError, match="expected tensors of at most 5000 bytes, got large.weight with 6000"
    ):
        write_shards(tmp_path, "model.safetensors", {"large.weight": torch.zeros(1500)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 5}, "expected checkpoint.name to be text, got 5"),
        ({"tier": "core"}, "expected no field checkpoint.tier"),
        ({"generation": {"unsure_token": 99}}, "unsure_token below 34"),
    ],
)
def test_what_does_not_fit_is_said_and_leaves_no_folder(
    parts: Parts, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    parts.about.write_text(json.dumps(ABOUT | change))
    with pytest.raises(CheckpointError, match=message):
        export(parts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_too_large_is_not_made(
    parts: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "FOLDER_BYTES", 10_000)
    with pytest.raises(CheckpointError, match=r"and 0 MiB in all, got 0\.\d MiB"):
        export(parts, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(parts: Parts, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="expected no .*out yet"):
        export(parts, tmp_path / "out")


def test_prompt_codes_must_be_those_of_the_run(parts: Parts, tmp_path: Path) -> None:
    (parts.lm.parent / "prompt_codes.json").write_text(json.dumps({"silence": [1], "sine": [2]}))
    with pytest.raises(CheckpointError, match="prompt_codes.silence to be 4 codes below 32"):
        export(parts, tmp_path / "out")


def test_a_codec_is_taken_from_a_checkpoint_as_it_is_there(parts: Parts, tmp_path: Path) -> None:
    config = export(parts, tmp_path / "first")
    codec = load_codec(tmp_path / "first")
    assert codec.config == SPECTRAL
    assert codes_of(tmp_path / "first", codec) == config.prompt_codes
    again = export(replace(parts, codec=tmp_path / "first"), tmp_path / "second")
    assert again == config
    first, second = (
        load_file(tmp_path / name / "codec-00001-of-00001.safetensors") for name in ("first", "second")
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    with pytest.raises(CheckpointError, match="or a checkpoint with its codec in .*nowhere, got neither"):
        load_codec(tmp_path / "nowhere")
