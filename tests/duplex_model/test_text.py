from __future__ import annotations

import io
from pathlib import Path

import pytest
from sentencepiece import SentencePieceTrainer

from duplex_model.errors import CheckpointError
from duplex_model.text import TextTokenizer

CORPUS = [
    "good morning doctor",
    "where does it hurt",
    "take one tablet in the morning",
    "how long does it hurt",
]
CARD = 34


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary with the special ids of the family."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 8),
        model_writer=model,
        vocab_size=CARD,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        minloglevel=2,
    )
    path = tmp_path_factory.mktemp("text") / "vocabulary.model"
    path.write_bytes(model.getvalue())
    return path


def test_pieces_join_to_the_text_they_came_from(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    tokens = tokenizer.encode("does the morning hurt")
    assert "".join(tokenizer.piece(token) for token in tokens) == " does the morning hurt"


def test_padding_and_marks_are_silent(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    assert [tokenizer.piece(token) for token in range(4)] == [""] * 4
    assert tokenizer.piece(4) != ""


def test_words_are_tokenised_one_by_one(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    words = tokenizer.words("  where does\nit hurt ")
    spoken = ["".join(tokenizer.piece(token) for token in word) for word in words]
    assert spoken == [" where", " does", " it", " hurt"]


def test_a_vocabulary_that_does_not_fit_is_refused(vocabulary: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a vocabulary of 32000 pieces at .*, got 34"):
        TextTokenizer(vocabulary, 32_000)
    with pytest.raises(CheckpointError, match="expected a SentencePiece model at"):
        TextTokenizer(tmp_path / "absent.model", CARD)
    (tmp_path / "broken.model").write_bytes(b"not a vocabulary")
    with pytest.raises(CheckpointError, match="expected a SentencePiece model at"):
        TextTokenizer(tmp_path / "broken.model", CARD)
