from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from duplex_model.config import TEXT_TOKENS
from duplex_model.contract import FRAME_SAMPLES
from duplex_model.training.dialogues.dialogue import Dialogue, OwnWord
from duplex_model.training.dialogues.kinds import KINDS, compose
from duplex_model.training.dialogues.roles import Mode
from duplex_model.training.dialogues.rows import NO_WORD, heard_word_row, rows_of, speaking, text_rows
from duplex_model.training.dialogues.spelling import UNSURE, Spelling
from duplex_model.training.vocabulary import train_vocabulary
from tests.duplex_model.training.composing import CLOSED, EVERYDAY, MATERIALS, PAIRS

SILENCE = (0, 0)
PAD, EPAD = TEXT_TOKENS.padding, TEXT_TOKENS.end_of_padding


@pytest.fixture(scope="module")
def spelling() -> Spelling:
    sentences = [text for pair in PAIRS + CLOSED for text in (pair.en, pair.es)]
    return Spelling(train_vocabulary([*sentences, *EVERYDAY.values()] * 20, 400))


def encode(pcm: Tensor) -> Tensor:
    """Two codes a frame that tell its level; without memory, so that parts are as the whole."""
    level = pcm.view(len(pcm), -1, FRAME_SAMPLES).abs().mean(dim=-1)
    code = (level * 1000).round().long()
    return torch.stack([code, 2 * code], dim=1)


def dialogue_of(words: tuple[OwnWord, ...], frames: int, given: tuple[int, ...] = ()) -> Dialogue:
    silence = np.zeros(frames * FRAME_SAMPLES, np.float32)
    return Dialogue(
        kind="test", mode=Mode.SIMULTANEOUS, language_in="es", language_out="en", role_text="", own_voice="ana",
        heard=silence, own=silence, words=words, heard_words=(), given_frames=given, turns=(),
    )  # fmt: skip


def test_words_stand_after_the_end_of_padding(spelling: Spelling) -> None:
    pain, here = spelling.pieces("pain"), spelling.pieces("here.")
    words = (OwnWord(2, "pain", 3.0), OwnWord(2 + len(pain) + 1, "here."))
    tokens, weights, given = text_rows(dialogue_of(words, 12), spelling)
    expected = [PAD, EPAD, *pain, EPAD, *here]
    assert tokens.tolist() == expected + [PAD] * (12 - len(expected))
    assert weights[2 : 2 + len(pain)].tolist() == [3.0] * len(pain)
    assert weights[1] == weights[2 + len(pain)] == 1.0
    assert not given.any()


def test_a_word_in_the_first_frame_is_not_announced(spelling: Spelling) -> None:
    tokens, _, _ = text_rows(dialogue_of((OwnWord(0, UNSURE),), 3), spelling)
    assert tokens.tolist() == [*spelling.pieces(UNSURE), PAD, PAD]


def test_given_words_are_given_and_when_the_next_begins_is_not(spelling: Spelling) -> None:
    words = (OwnWord(2, "pain", 0.0, 0.0), OwnWord(9, "pain", 0.0, 1.0))
    _, _, given = text_rows(dialogue_of(words, 16), spelling)
    count = len(spelling.pieces("pain"))
    assert np.flatnonzero(given).tolist() == [1, *range(2, 2 + count), *range(9, 9 + count)]


def test_a_word_that_an_interruption_cuts_loses_its_last_pieces(spelling: Spelling) -> None:
    long = next(word for pair in PAIRS for word in pair.es.split() if len(spelling.pieces(word)) > 1)
    tokens, _, given = text_rows(dialogue_of((OwnWord(2, long),), 9, given=(3, 4)), spelling)
    assert tokens[2] == spelling.pieces(long)[0]
    assert tokens[3:5].tolist() == [PAD, PAD]
    assert np.flatnonzero(given).tolist() == [3, 4]


def test_of_two_words_that_end_in_one_frame_none_is_lost(spelling: Spelling) -> None:
    dialogue = replace(dialogue_of((), 5), heard_words=((1, "I"), (1, "Have"), (4, "pain?")))
    expected = [NO_WORD, spelling.heard("I"), spelling.heard("have"), NO_WORD, spelling.heard("pain")]
    assert heard_word_row(dialogue, spelling).tolist() == expected


@pytest.mark.parametrize("name", KINDS)
def test_own_audio_is_as_if_encoded_whole_where_the_voice_speaks_and_silence_elsewhere(
    name: str, spelling: Spelling
) -> None:
    materials = replace(MATERIALS, pieces=lambda word: len(spelling.pieces(word)))
    dialogues = [compose(random.Random(seed), materials, name) for seed in range(6)]
    rows = rows_of(dialogues, spelling, encode, SILENCE, batch_frames=100)
    for dialogue, row in zip(dialogues, rows, strict=True):
        assert row.own.tolist() == encode(torch.from_numpy(dialogue.own)[None, None])[0].tolist()
        assert row.heard.tolist() == encode(torch.from_numpy(dialogue.heard)[None, None])[0].tolist()
        assert {len(row.text), len(row.heard_word), row.own.shape[1], row.heard.shape[1]} == {dialogue.frames}
        assert (row.text[row.own_given] == PAD).all()
        assert not row.own[:, row.own_given].any()


def test_every_written_word_can_be_read_back(spelling: Spelling) -> None:
    materials = replace(MATERIALS, pieces=lambda word: len(spelling.pieces(word)))
    for seed in range(20):
        dialogue = compose(random.Random(seed), materials, "consecutive")
        tokens, _, _ = text_rows(dialogue, spelling)
        said = [int(token) for token in tokens if token not in (PAD, EPAD)]
        assert said == [piece for word in dialogue.words for piece in spelling.pieces(word.text)]


def test_stretches_of_speech_are_found() -> None:
    own = np.zeros(8 * FRAME_SAMPLES, np.float32)
    own[2 * FRAME_SAMPLES + 5] = own[3 * FRAME_SAMPLES] = own[7 * FRAME_SAMPLES + 9] = 0.1
    assert list(speaking(own)) == [(2, 4), (7, 8)]
    assert list(speaking(np.zeros(FRAME_SAMPLES, np.float32))) == []
