from __future__ import annotations

import random
from pathlib import Path

import pytest

from duplex_model.config import TEXT_TOKENS
from duplex_model.prompt import tagged_role
from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.text import TextTokenizer
from duplex_model.training.dialogues.roles import load_roles
from duplex_model.training.dialogues.spelling import UNSURE, Spelling
from duplex_model.training.grammar import CLOSED, load_grammar
from duplex_model.training.split import is_training
from duplex_model.training.vocabulary import main, training_sentences


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vocabulary") / "tokenizer.model"
    main(["--out", str(path), "--samples", "3000", "--size", "1100"])
    return path


def test_the_runtime_reads_it_with_the_ids_of_the_family(model: Path) -> None:
    spelling = Spelling(model.read_bytes())
    tokenizer = TextTokenizer(model, spelling.size)
    assert spelling.pieces("pain") == tokenizer.encode("pain")
    assert b"".join(map(tokenizer.piece, tokenizer.encode("¿Le duele aquí?"))).decode() == " ¿Le duele aquí?"
    for special in (TEXT_TOKENS.end_of_padding, TEXT_TOKENS.beginning, TEXT_TOKENS.end, TEXT_TOKENS.padding):
        assert tokenizer.piece(special) == b""


def test_what_it_has_no_piece_for_is_spelt_in_bytes(model: Path) -> None:
    tokenizer = TextTokenizer(model, Spelling(model.read_bytes()).size)
    tokens = tokenizer.encode("Łódź 7")
    assert TEXT_TOKENS.end_of_padding not in tokens
    assert b"".join(map(tokenizer.piece, tokens)).decode() == " Łódź 7"


def test_the_shipped_vocabulary_spells_whatever_the_interpreter_says_itself() -> None:
    folder = shipped_folder(DEFAULT)
    if folder is None:
        pytest.skip(NONE_SHIPPED)
    path = folder / "tokenizer.model"
    tokenizer = TextTokenizer(path, Spelling(path.read_bytes()).size)
    for pair in CLOSED:
        for text in (pair.en, pair.es):
            tokens = tokenizer.encode(text)
            assert TEXT_TOKENS.end_of_padding not in tokens
            assert b"".join(map(tokenizer.piece, tokens)).decode() == f" {text}"


def test_abstaining_is_one_piece_of_its_own(model: Path) -> None:
    spelling = Spelling(model.read_bytes())
    [unsure] = spelling.pieces(UNSURE)
    assert unsure not in {piece for text in ("unsure", "I am not sure") for piece in spelling.encode(text)}


def test_role_texts_are_short(model: Path) -> None:
    spelling = Spelling(model.read_bytes())
    roles = load_roles()
    lengths = [len(spelling.encode(tagged_role(text))) for text in roles.sentences()]
    assert max(lengths) <= 40


def test_a_heard_word_is_the_same_at_either_end_of_a_sentence(model: Path) -> None:
    spelling = Spelling(model.read_bytes())
    assert spelling.heard("¿Duele") == spelling.heard("duele.") == spelling.pieces("duele")[0]


def test_only_what_may_be_trained_on_is_read() -> None:
    grammar = load_grammar("core")
    drawn = [grammar.sample(rng) for rng in [random.Random(3)] for _ in range(400)]
    held_out = {pair.en for pair in drawn if not is_training(pair)}
    assert held_out
    assert not held_out & set(training_sentences(grammar, random.Random(3), 400))
