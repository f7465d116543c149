from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from sentencepiece import SentencePieceTrainer

from duplex_model.checkpoint import SafetensorsFile, load_lm
from duplex_model.config import NO_INPUT, SpectralConfig
from duplex_model.description import read_description, write_description
from duplex_model.errors import CheckpointError
from duplex_model.training.corpus import Shard, write_shard
from duplex_model.training.export import int8_rows, write_shards
from duplex_model.training.lm import _warm_up_steps, argument_parser, describe, main
from duplex_model.training.lm_learning.examples import CorpusReader, check_codes, check_fits
from tests.duplex_model.training.toy import CODES, CONFIG, TEXT_CARD, toy_corpus


@pytest.fixture(autouse=True)
def _learning(_inference: None) -> Iterator[None]:
    with torch.enable_grad():
        yield


@cache
def vocabulary() -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(["one two three four five six seven eight quick brown fox"] * 8),
        model_writer=model,
        vocab_size=TEXT_CARD,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        minloglevel=2,
    )
    return model.getvalue()


def write_corpus(folder: Path, shards: int = 1, text_card: int = TEXT_CARD) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(shards):
        corpus = toy_corpus(30, seed=number)
        direction = {
            "mode": "simultaneous",
            "language_in": "es",
            "language_out": "en",
            "role_text": "Interpret.",
            "turns": [],
        }
        about = [
            {"role": example.role, "own_voice": example.voice, **direction} for example in corpus.examples
        ]
        rows = [example.rows for example in corpus.examples]
        write_shard(Shard(rows, about), folder / f"shard-{number:05d}.safetensors")
    save_file(
        {name: np.stack(clips) for name, clips in toy_corpus(1).voices.items()}, folder / "voices.safetensors"
    )
    about_all = {
        **asdict(CODES),
        "text_card": text_card,
        "codec": "codec",
        "tokenizer": str(folder / "tokenizer.model"),
    }
    (folder / "tokenizer.model").write_bytes(vocabulary())
    (folder / "corpus.json").write_text(json.dumps(about_all))
    return folder


def arguments(tmp_path: Path, *more: object) -> list[str]:
    config = tmp_path / "architecture"
    config.mkdir(exist_ok=True)
    write_description(config, describe(CONFIG, 640))
    fixed = [
        "--corpus",
        tmp_path / "corpus",
        "--out",
        tmp_path / "out",
        "--threads",
        1,
        "--batch-frames",
        800,
    ]
    return [str(argument) for argument in [*fixed, "--config", config, *more]]


def records(tmp_path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (tmp_path / "out" / "losses.jsonl").read_text().splitlines()]


def test_the_command_trains_goes_on_and_leaves_what_the_runtime_reads(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus")
    write_corpus(tmp_path / "held-out")
    minutes = ("--minutes", 5)
    main(arguments(tmp_path, *minutes, "--steps", 20, "--validation", tmp_path / "held-out"))
    main(arguments(tmp_path, *minutes, "--steps", 10, "--resume"))
    lines = records(tmp_path)
    assert [line["step"] for line in lines if "text" in line] == [10, 20, 30]
    assert "validation_word_accuracy" in lines[-2]
    assert lines[-1]["text"] < lines[0]["text"]
    described = read_description(tmp_path / "out")
    assert described is not None
    assert described.lm == CONFIG
    assert json.loads((tmp_path / "out" / "prompt_codes.json").read_text())["sine"] == list(CODES.sine)
    with SafetensorsFile(tmp_path / "out" / described.lm_file) as source:
        model = load_lm(described, source, dtype=torch.float32)
    assert (tmp_path / "out" / described.text_file).read_bytes() == vocabulary()
    tokens = torch.full((1, CONFIG.streams, 4), NO_INPUT)
    assert model.temporal(model.embed(tokens)).isfinite().all()


def test_adapters_begin_with_a_checkpoint_and_end_as_one(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus")
    main(arguments(tmp_path, "--minutes", 5, "--steps", 10))
    (tmp_path / "out").rename(tmp_path / "base")
    adapters = ("--minutes", 5, "--steps", 10, "--from", tmp_path / "base", "--lora", 2)
    main(arguments(tmp_path, *adapters))
    shapes = []
    for folder in (tmp_path / "base", tmp_path / "out"):
        with SafetensorsFile(folder / "model.safetensors") as source:
            shapes.append(source.shapes())
    assert shapes[0] == shapes[1]
    small = (tmp_path / "out" / "state.pt").stat().st_size
    assert small < (tmp_path / "base" / "state.pt").stat().st_size


def test_training_goes_on_from_what_is_left_as_int8_rows(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus")
    main(arguments(tmp_path, "--minutes", 5, "--steps", 60))
    trained = load_file(tmp_path / "out" / "model.safetensors")
    kept = tmp_path / "kept"
    kept.mkdir()
    described = read_description(tmp_path / "out")
    assert described is not None
    write_shards(kept, "model.safetensors", int8_rows(trained))
    write_description(kept, described)
    assert not (kept / "model.safetensors").exists()
    scratch = records(tmp_path)
    (tmp_path / "out").rename(tmp_path / "scratch")
    main(arguments(tmp_path, "--minutes", 5, "--steps", 20, "--from", kept))
    lines = records(tmp_path)
    assert lines[0]["text"] < 0.6 * scratch[0]["text"]  # the first ten steps, already
    assert lines[0]["semantic"] < 0.6 * scratch[0]["semantic"]
    (kept / "model-00001-of-00001.safetensors").unlink()
    with pytest.raises(
        CheckpointError, match=r"expected model.safetensors or its shards in .*kept, got none"
    ):
        main(arguments(tmp_path, "--minutes", 5, "--steps", 1, "--from", kept))


def test_a_model_whose_codec_has_other_codes_is_not_begun_with(tmp_path: Path) -> None:
    facts = CorpusReader([write_corpus(tmp_path / "corpus")]).facts
    shipped = replace(describe(CONFIG, 640), name="shipped", codec=SpectralConfig())
    check_codes(replace(shipped, prompt_codes=CODES), facts)
    check_codes(describe(CONFIG, 640), facts)
    with pytest.raises(CheckpointError, match="expected a corpus made with the codec of shipped"):
        check_codes(shipped, facts)


def test_warming_up_takes_longer_where_something_can_be_lost() -> None:
    fixed = ["--corpus", "a", "--out", "b", "--minutes", "1"]
    steps = [
        _warm_up_steps(argument_parser().parse_args([*fixed, *more]))
        for more in ([], ["--from", "c"], ["--from", "c", "--warm-up", "7"])
    ]
    assert steps == [60, 200, 7]


def test_shards_that_are_added_are_read(tmp_path: Path) -> None:
    reader = CorpusReader([write_corpus(tmp_path / "corpus")])
    assert len(reader.read().examples) == 30
    write_corpus(tmp_path / "corpus", shards=2)
    examples = reader.read().examples
    assert len(examples) == 60
    assert reader.facts.codes == CODES
    assert examples[0].situation == "simultaneous es-en formal"
    expected = toy_corpus(30, seed=1).examples[3]
    assert np.array_equal(examples[33].rows.heard, expected.rows.heard)


def test_corpora_of_different_vocabularies_or_none_are_refused(tmp_path: Path) -> None:
    one = write_corpus(tmp_path / "one")
    two = write_corpus(tmp_path / "two", text_card=99)
    with pytest.raises(CheckpointError, match="expected .*two to be of the codec and vocabulary of .*one"):
        CorpusReader([one, two])
    with pytest.raises(CheckpointError, match="expected a corpus in"):
        CorpusReader([tmp_path / "nowhere"])


def test_a_corpus_that_does_not_fit_the_model_is_refused(tmp_path: Path) -> None:
    reader = CorpusReader([write_corpus(tmp_path / "corpus")])
    corpus = reader.read()
    check_fits(CONFIG, corpus, reader.facts)
    with pytest.raises(CheckpointError, match="own codebooks, heard codebooks and text tokens"):
        check_fits(replace(CONFIG, text_card=99), corpus, reader.facts)
    with pytest.raises(CheckpointError, match="expected codes below 5, got 9"):
        check_fits(replace(CONFIG, card=5), corpus, reader.facts)
