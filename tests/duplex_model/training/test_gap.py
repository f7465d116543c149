from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import duplex_model
from duplex_model.config import PromptCodes
from duplex_model.lm import RQTransformer
from duplex_model.training.corpus import Maker
from duplex_model.training.dialogues.spelling import Spelling
from duplex_model.training.dialogues.stock import held_out_materials, training_materials
from duplex_model.training.evaluation.scores import Estimate
from duplex_model.training.gap import conditions, gap, main, table, words_right
from duplex_model.training.grammar import load_grammar
from duplex_model.training.lm import own_config
from duplex_model.training.lm_learning.batches import batches
from duplex_model.training.split import held_out_voices, is_training
from duplex_model.training.vocabulary import train_vocabulary
from tests.duplex_model.training.composing import MATERIALS, PAIRS
from tests.duplex_model.training.test_rows import encode
from tests.duplex_model.training.toy import CONFIG, LAYOUT, toy_corpus

SHIPPED = Path(duplex_model.__file__).parent / "checkpoints" / "visit-es-en"
CODES = PromptCodes(silence=(0, 0), sine=(318, 636))


def test_sentences_and_voices_are_held_out_each_by_itself() -> None:
    grammar = load_grammar("core")
    found = conditions(training_materials(grammar, len), held_out_materials(grammar, len))
    rng = random.Random(0)
    for name, materials in found.items():
        pairs = [materials.sample(rng) for _ in range(50)]
        voices = [voice for some in materials.source_voices.values() for voice in some]
        assert {is_training(pair) for pair in pairs} == {name in ("trained on", "held-out voices")}
        apart = {voice.variant in held_out_voices() for voice in voices}
        assert apart == {name in ("held-out voices", "both")}
        assert {voice.engine for voice in voices} == {"espeak"}
        assert not materials.held_out_roles


def test_a_voice_whose_timbre_the_model_speaks_with_is_not_unheard() -> None:
    grammar = load_grammar("core")
    trained, kept = training_materials(grammar, len), held_out_materials(grammar, len)
    speaks = {"somebody": {"en": kept.source_voices["en"][0], "es": kept.source_voices["es"][0]}}
    found = conditions(replace(trained, own_voices=speaks), kept)["both"].source_voices
    timbres = {voice.variant for voices in found.values() for voice in voices}
    assert timbres == held_out_voices() - {"awb", kept.source_voices["en"][0].variant}


class Scripted(RQTransformer):
    """Writes what it is told to."""

    def __init__(self, says: torch.Tensor) -> None:
        super().__init__(CONFIG, sinks=True)
        self.says = says

    def temporal(self, x: torch.Tensor, state: object = None, pinned: object = None) -> torch.Tensor:
        return torch.nn.functional.one_hot(self.says, CONFIG.text_card).float()

    def text_logits(self, h: torch.Tensor) -> torch.Tensor:
        return h


def test_only_words_count_each_after_the_right_ones_before_it() -> None:
    corpus = toy_corpus(6)
    (batch,) = batches(corpus, LAYOUT, random.Random(0), batch_frames=4096)
    right = batch.columns[:, 0, 1:]
    words = sum(int((example.rows.heard_word >= 0).sum()) for example in corpus.examples)
    assert words_right(Scripted(right), batch) == [True] * words
    assert words_right(Scripted(torch.full_like(right, 3)), batch) == [False] * words


def test_a_gap_counts_the_same_dialogues_for_every_model() -> None:
    tokenizer = train_vocabulary([text for pair in PAIRS for text in (pair.en, pair.es)] * 20, 400)
    spelling = Spelling(tokenizer)
    materials = replace(MATERIALS, pieces=lambda word: len(spelling.pieces(word)))
    maker = Maker(materials, spelling, encode, CODES)
    config = own_config("tiny", card=2048, codebooks=2, text_card=spelling.size, context=160)
    figures = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = RQTransformer(config, sinks=True)
        figures.append(gap(model, maker, {"these": materials}, kind="one_turn", dialogues=8, seed=5)["these"])
    assert figures[0].n == figures[1].n > 20
    assert all(figure.value is not None and figure.value < 0.2 for figure in figures)


def test_a_table_has_a_row_for_each_kind() -> None:
    rows = {"one_turn": {"trained on": Estimate(0.9, 0.85, 0.95, 100), "both": Estimate(None, None, None, 0)}}
    assert table(rows).splitlines() == [
        "| words right | trained on | both |",
        "|---|--:|--:|",
        "| one_turn | 90.0% [85.0%, 95.0%] (n 100) | – |",
    ]


def test_a_folder_that_is_no_checkpoint_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--checkpoint", str(tmp_path)]) == 1
    assert f"expected a checkpoint that describes itself in {tmp_path}, got none" in capsys.readouterr().err


def test_the_shipped_checkpoint_knows_what_it_was_trained_on(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--checkpoint", str(SHIPPED), "--kinds", "one_turn", "--dialogues", "12"]
    assert main(arguments) == 0
    header, _, row = capsys.readouterr().out.splitlines()
    names = [cell.strip() for cell in header.split("|")[2:-1]]
    assert names == ["trained on", "held-out sentences", "held-out voices", "both"]
    shares = [float(cell.split("%")[0]) for cell in row.split("|")[2:-1]]
    assert len(shares) == 4
    assert all(share > 75 for share in shares)
