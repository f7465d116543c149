"""A language with one rule, as a corpus: each heard tone is a word, written and said a few frames later."""

from __future__ import annotations

import numpy as np

from duplex_model.config import (
    TEXT_TOKENS,
    DepthConfig,
    LMConfig,
    PromptCodes,
    RotaryConfig,
    TransformerConfig,
)
from duplex_model.training.dialogues.rows import NO_WORD, Rows
from duplex_model.training.lm_learning.batches import Corpus, Example, Layout

CODEBOOKS = 3
CARD = 16
TEXT_CARD = 24
WORDS = 6
LAG_FRAMES = 4
CODES = PromptCodes(silence=(0, 1, 2), sine=(3, 3, 3))

CONFIG = LMConfig(
    temporal=TransformerConfig(
        width=32, layers=2, heads=2, hidden=48, context=64, rotary=RotaryConfig(max_period=10_000)
    ),
    depth=DepthConfig(width=16, layers=1, heads=2, hidden=24, schedule=(0, 1, 1)),
    own_codebooks=CODEBOOKS,
    heard_codebooks=CODEBOOKS,
    acoustic_delay=1,
    text_card=TEXT_CARD,
    card=CARD,
)
LAYOUT = Layout(config=CONFIG, codes=CODES)


def toy_rows(rng: np.random.Generator, frames: int) -> Rows:
    text = np.full(frames, TEXT_TOKENS.padding, np.int16)
    own = np.repeat(np.array(CODES.silence, np.int16)[:, None], frames, axis=1)
    heard = own.copy()
    heard_word = np.full(frames, NO_WORD, np.int16)
    for frame in range(int(rng.integers(2, 6)), frames - LAG_FRAMES - 1, 6):
        word = int(rng.integers(WORDS))
        heard[:, frame] = 4 + word
        heard_word[frame] = 10 + word
        text[frame + LAG_FRAMES - 1] = TEXT_TOKENS.end_of_padding
        text[frame + LAG_FRAMES] = 10 + word
        own[:, frame + LAG_FRAMES + 1] = 4 + word
    nothing = np.zeros(frames, np.bool_)
    return Rows(text, own, heard, heard_word, nothing, nothing, np.ones(frames, np.float16))


def toy_corpus(count: int, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    clips = [rng.integers(4, 4 + WORDS, (CODEBOOKS, 38)).astype(np.int16) for _ in range(3)]
    examples = [Example([7, 8], "ana", toy_rows(rng, int(rng.integers(20, 44)))) for _ in range(count)]
    return Corpus(examples, {"ana": clips})
