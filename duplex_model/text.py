"""SentencePiece: text <-> tokens of the inner monologue."""

from __future__ import annotations

from pathlib import Path

from sentencepiece import SentencePieceProcessor

from duplex_model.config import TEXT_TOKENS, TextTokens
from duplex_model.errors import CheckpointError

_WORD_START = "\u2581"  # SentencePiece writes the space before a word as this sign


class TextTokenizer:
    """The text vocabulary of a checkpoint."""

    def __init__(self, path: Path, card: int, special: TextTokens = TEXT_TOKENS) -> None:
        """Opens the vocabulary at `path`.

        Args:
            path: SentencePiece model.
            card: tokens the language model knows.
            special: ids that are not text.

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
        self._silent = {special.end_of_padding, special.beginning, special.end, special.padding}

    def encode(self, text: str) -> list[int]:
        """Tokens of `text`."""
        tokens: list[int] = self._processor.encode(text)
        return tokens

    def words(self, text: str) -> list[list[int]]:
        """Tokens of each word of `text`; a word's first piece carries the space before it."""
        return [self.encode(word) for word in text.split()]

    def piece(self, token: int) -> str:
        """What `token` adds to the text; a leading space starts a word, padding adds nothing."""
        if token in self._silent:
            return ""
        piece: str = self._processor.id_to_piece(token)
        return piece.replace(_WORD_START, " ")
