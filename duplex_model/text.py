"""SentencePiece: text <-> tokens of the inner monologue.

A character that the vocabulary has no piece for is spelt as the bytes of its UTF-8, one token each (what
SentencePiece calls byte fallback). So tokens give bytes, and each session puts its own together:

    token        ▁Nu   <0xC3>  padding  <0xB1>  ez        ñ is C3 B1
    bytes        " Nu"   C3               B1    "ez"
    characters   " Nu"                   "ñ"    "ez"
"""

from __future__ import annotations

import codecs
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from duplex_model.config import TEXT_TOKENS, TextTokens
from duplex_model.errors import CheckpointError, Unsupported

_LONGEST_HELD = 3  # UTF-8 spells a character in four bytes at most, RFC 3629
_WORD_START = "\u2581"  # SentencePiece writes the space before a word as this sign


class TextTokenizer:
    """The text vocabulary of a checkpoint."""

    def __init__(
        self, path: Path, card: int, special: TextTokens = TEXT_TOKENS, *, unsure: int | None = None
    ) -> None:
        """Opens the vocabulary at `path`.

        Args:
            path: SentencePiece model.
            card: tokens the language model knows.
            special: ids that are not text.
            unsure: the token by which the model abstains, no text either.

        Raises:
            CheckpointError: unreadable, or of another size.
        """
        try:
            self._processor = SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError, TypeError) as error:
            raise CheckpointError(f"expected a SentencePiece model at {path}, got: {error}") from error
        if self._processor.vocab_size() != card:
            got = self._processor.vocab_size()
            raise CheckpointError(f"expected a vocabulary of {card} pieces at {path}, got {got}")
        self._silent = {special.end_of_padding, special.beginning, special.end, special.padding, unsure}

    def encode(self, text: str) -> list[int]:
        """Tokens of `text`."""
        tokens: list[int] = self._processor.encode(text)
        return tokens

    def words(self, text: str) -> list[list[int]]:
        """Tokens of each word of `text`; a word's first piece carries the space before it."""
        return [self.encode(word) for word in text.split()]

    def piece(self, token: int) -> bytes:
        """What `token` adds to the text, in UTF-8; a leading space starts a word, padding adds nothing.

        One token may give a part of a character: see `Characters`.
        """
        if token in self._silent:
            return b""
        piece: str = self._processor.id_to_piece(token)
        if self._processor.is_byte(token):
            return bytes.fromhex(piece.removeprefix("<0x").removesuffix(">"))
        return piece.replace(_WORD_START, " ").encode()


class Characters:
    """The text of one session, from bytes that may end within a character."""

    def __init__(self, held: bytes = b"") -> None:
        """Begins, or goes on with the bytes that were `held`.

        Raises:
            Unsupported: these are not the beginning of one character.
        """
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        if len(held) > _LONGEST_HELD or self._decoder.decode(held):
            raise Unsupported(f"expected the beginning of a character, got {held[:8].hex()}")

    @property
    def held(self) -> bytes:
        """Bytes of a character that is not complete, at most three."""
        return self._decoder.getstate()[0]

    def add(self, piece: bytes) -> str:
        """The characters that `piece` completes; U+FFFD stands for bytes that are none."""
        return self._decoder.decode(piece)
