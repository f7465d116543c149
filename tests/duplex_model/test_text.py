from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from duplex_model.errors import CheckpointError, Unsupported
from duplex_model.text import Characters, TextTokenizer

CORPUS = [
    "good morning doctor",
    "where does it hurt",
    "take one tablet in the morning",
    "how long does it hurt",
]
CARD = 34
CARD_WITH_BYTES = CARD + 256
PADDING = 3


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary with the special ids of the family."""
    return train(tmp_path_factory.mktemp("text") / "vocabulary.model", CARD, byte_fallback=False)


@pytest.fixture(scope="module")
def with_bytes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that spells what it has no piece for in bytes."""
    return train(tmp_path_factory.mktemp("text") / "bytes.model", CARD_WITH_BYTES, byte_fallback=True)


def train(path: Path, card: int, *, byte_fallback: bool) -> Path:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 8),
        model_writer=model,
        vocab_size=card,
        byte_fallback=byte_fallback,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    return path


def shown(tokenizer: TextTokenizer, tokens: list[int]) -> list[str]:
    characters = Characters()
    return [characters.add(tokenizer.piece(token)) for token in tokens]


def test_pieces_join_to_the_text_they_came_from(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    tokens = tokenizer.encode("does the morning hurt")
    assert "".join(shown(tokenizer, tokens)) == " does the morning hurt"


def test_padding_and_marks_are_silent(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    assert [tokenizer.piece(token) for token in range(4)] == [b""] * 4
    assert tokenizer.piece(4) != b""


def test_words_are_tokenised_one_by_one(vocabulary: Path) -> None:
    tokenizer = TextTokenizer(vocabulary, CARD)
    words = tokenizer.words("  where does\nit hurt ")
    spoken = ["".join(shown(tokenizer, word)) for word in words]
    assert spoken == [" where", " does", " it", " hurt"]


def test_a_vocabulary_that_does_not_fit_is_refused(vocabulary: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a vocabulary of 32000 pieces at .*, got 34"):
        TextTokenizer(vocabulary, 32_000)
    with pytest.raises(CheckpointError, match="expected a SentencePiece model at"):
        TextTokenizer(tmp_path / "absent.model", CARD)
    (tmp_path / "broken.model").write_bytes(b"not a vocabulary")
    with pytest.raises(CheckpointError, match="expected a SentencePiece model at"):
        TextTokenizer(tmp_path / "broken.model", CARD)


def test_a_character_spelt_in_bytes_comes_whole_with_its_last_byte(with_bytes: Path) -> None:
    tokenizer = TextTokenizer(with_bytes, CARD_WITH_BYTES)
    tokens = tokenizer.encode("n\u00f1o")
    assert [tokenizer.piece(token) for token in tokens][-3:] == [b"\xc3", b"\xb1", b"o"]
    with_padding = [between for token in tokens for between in (token, PADDING)]
    assert shown(tokenizer, with_padding)[-6:] == ["", "", "\u00f1", "", "o", ""]


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\u2581"), max_size=8))
def test_any_text_is_shown_as_the_vocabulary_reads_it(with_bytes: Path, text: str) -> None:
    tokenizer = TextTokenizer(with_bytes, CARD_WITH_BYTES)
    reference = SentencePieceProcessor(model_file=str(with_bytes))
    tokens = tokenizer.encode(text)
    assert "".join(shown(tokenizer, tokens)).removeprefix(" ") == reference.decode(tokens)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"\xb1"], ["\ufffd"]),
        ([b"\xc3", b" doctor"], ["", "\ufffd doctor"]),
        ([b"\xc3", b"\xc3", b"\xb1"], ["", "\ufffd", "\u00f1"]),
        ([b"\xf0", b"\x9f", b"\x98", b"\x80"], ["", "", "", "\U0001f600"]),
        ([b"\xed", b"\xa0", b"\x80"], ["", "", "\ufffd\ufffd\ufffd"]),  # a surrogate is no character
    ],
)
def test_bytes_that_are_no_character_are_marked(pieces: list[bytes], expected: list[str]) -> None:
    characters = Characters()
    assert [characters.add(piece) for piece in pieces] == expected
    assert characters.held == b""


@given(pieces=st.lists(st.binary(max_size=5)), cut=st.integers(0, 10))
def test_characters_go_on_from_the_bytes_held(pieces: list[bytes], cut: int) -> None:
    whole, first = Characters(), Characters()
    expected = [whole.add(piece) for piece in pieces]
    said = [first.add(piece) for piece in pieces[:cut]]
    heir = Characters(first.held)
    assert said + [heir.add(piece) for piece in pieces[cut:]] == expected
    assert heir.held == whole.held


@pytest.mark.parametrize("held", [b"a", b"\xb1", b"\xc3\xb1", b"\xf0\x9f\x98\x80", b"\xc3" * 4])
def test_what_is_no_beginning_of_a_character_cannot_be_gone_on_from(held: bytes) -> None:
    with pytest.raises(Unsupported, match="expected the beginning of a character"):
        Characters(held)


def test_the_piece_for_abstaining_is_shown_as_nothing(vocabulary: Path) -> None:
    plain = TextTokenizer(vocabulary, CARD)
    (token,) = plain.encode("good")[:1]
    assert plain.piece(token)
    assert TextTokenizer(vocabulary, CARD, unsure=token).piece(token) == b""
