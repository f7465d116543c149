"""The text vocabulary: a SentencePiece model made from the sentences that training may say, and nothing else.

    python -m duplex_model.training.vocabulary --tier core --out tokenizer.model

Ids are those of the family (`TextTokens`): the unknown piece is 0 and stands for the end of padding, since with bytes
to fall back on nothing is unknown. Every word of the grammar is one or two pieces, which is what lets the text keep up
with the voice at one piece a frame.
"""

from __future__ import annotations

import argparse
import io
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sentencepiece import SentencePieceTrainer

from duplex_model.config import TEXT_TOKENS
from duplex_model.prompt import ROLE_TAG
from duplex_model.training.dialogues.roles import load_roles
from duplex_model.training.dialogues.spelling import UNSURE, Spelling, plain
from duplex_model.training.grammar import CLOSED, Grammar, load_grammar
from duplex_model.training.split import is_training

logger = logging.getLogger(__name__)

SIZES = {"core": 1280, "full": 4096}
"""Pieces by tier of the grammar at most, 256 of them bytes; there are no more than the text has."""

_LONGEST_PIECE = 24  # the names of some medicines
_WORD_REPEATS = 50  # so that rare words become whole pieces too
_SAMPLES = 20_000


def train_vocabulary(sentences: Iterable[str], size: int) -> bytes:
    """A SentencePiece unigram model of `size` pieces, serialised.

    Args:
        sentences: plain text. Each distinct word counts at least `_WORD_REPEATS` times.
        size: pieces at most, special ones and bytes included; fewer where the text has no more.
    """
    lines = list(sentences)
    words = {plain(word) for line in lines for word in line.split()}
    lines.extend(word for word in sorted(words) for _ in range(_WORD_REPEATS))
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="unigram",
        vocab_size=size,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="nfkc",
        max_sentencepiece_length=_LONGEST_PIECE,
        unk_id=TEXT_TOKENS.end_of_padding,
        bos_id=TEXT_TOKENS.beginning,
        eos_id=TEXT_TOKENS.end,
        pad_id=TEXT_TOKENS.padding,
        user_defined_symbols=[ROLE_TAG, UNSURE],
        num_threads=1,  # sums of several threads differ from run to run
        minloglevel=2,
    )
    return model.getvalue()


def training_sentences(grammar: Grammar, rng: random.Random, count: int) -> Iterator[str]:
    """What the vocabulary is made from: `count` pairs in both languages, the closed list, and the role texts."""
    for _ in range(count):
        pair = grammar.sample(rng)
        if is_training(pair):
            yield from (pair.en, pair.es)
    for pair in CLOSED:
        yield from (pair.en, pair.es)
    yield from load_roles().sentences()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tier", choices=sorted(SIZES), default="core", help="of the grammar")
    parser.add_argument("--size", type=int, help="pieces (default: by tier)")
    parser.add_argument("--samples", type=int, default=_SAMPLES, help="pairs read")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the SentencePiece model")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    grammar = load_grammar(options.tier)
    sentences = list(training_sentences(grammar, random.Random(options.seed), options.samples))
    model = train_vocabulary(sentences, options.size or SIZES[options.tier])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(model)
    spelling = Spelling(model)
    words = {word for sentence in sentences for word in sentence.split()}
    share = spelling.one_piece_share(words)
    logger.info("%d pieces; %d of %d words whole", spelling.size, round(share * len(words)), len(words))


if __name__ == "__main__":
    main()
