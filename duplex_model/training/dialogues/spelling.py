"""Words as pieces of the text vocabulary, as the language model is trained on them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sentencepiece import SentencePieceProcessor

UNSURE = "<unsure>"
"""The piece that stands for speech the model does not render."""


class Spelling:
    """Words -> pieces."""

    def __init__(self, model: bytes) -> None:
        """`model` is a serialised SentencePiece model with the piece `UNSURE`."""
        self._processor = SentencePieceProcessor(model_proto=model)
        self._unsure: int = self._processor.piece_to_id(UNSURE)
        self._known: dict[str, list[int]] = {UNSURE: [self._unsure]}

    @property
    def size(self) -> int:
        """Pieces."""
        return int(self._processor.vocab_size())

    def pieces(self, word: str) -> Sequence[int]:
        """Tokens of one word with its punctuation, at least one; `UNSURE` is one."""
        if word not in self._known:
            self._known[word] = self._processor.encode(word)
        return self._known[word]

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, as the runtime's tokenizer gives them."""
        tokens: list[int] = self._processor.encode(text)
        return tokens

    def heard(self, word: str) -> int:
        """The token that stands for a heard word: its first piece in lower case without punctuation."""
        return self.pieces(plain(word.lower()) or word)[0]

    def one_piece_share(self, words: Iterable[str]) -> float:
        """Share of `words` without their punctuation that are one piece, 0 to 1."""
        lengths = [len(self.pieces(plain(word))) for word in words]
        return sum(length <= 1 for length in lengths) / max(len(lengths), 1)


def plain(word: str) -> str:
    """`word` without its punctuation."""
    return re.sub(r"[^\w'’-]", "", word)
