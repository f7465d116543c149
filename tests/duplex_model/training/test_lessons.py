from __future__ import annotations

from dataclasses import replace

import numpy as np

from duplex_model.config import TEXT_TOKENS
from duplex_model.prompt import PAUSE_FRAMES
from duplex_model.training.dialogues.rows import NO_WORD
from duplex_model.training.lm_learning.batches import HEARING_DELAY_FRAMES, Example, collate
from duplex_model.training.lm_learning.lessons import (
    FIRST_SITUATION,
    NOT_MINE,
    SITUATIONS,
    mine_or_not,
    situation_label,
)
from tests.duplex_model.training.toy import LAYOUT, toy_rows

VOICE = np.zeros((3, 20), np.int16)


def test_every_situation_has_an_answer_of_its_own() -> None:
    labels = {situation_label(situation) for situation in SITUATIONS}
    assert len(labels) == len(SITUATIONS)
    assert min(labels) == FIRST_SITUATION > NOT_MINE
    assert situation_label("whatever") == NO_WORD


def test_only_words_of_the_language_spoken_into_are_not_mine() -> None:
    heard = np.full(60, NO_WORD, np.int16)
    heard[[6, 9, 31, 34]] = [300, 301, 302, 303]
    turns = [
        {"language": "en", "start_s": 0.2, "end_s": 0.75},
        {"language": "es", "start_s": 2.2, "end_s": 2.75},
    ]
    into_english = mine_or_not(heard, turns, "en")
    assert into_english[[6, 9, 31, 34]].tolist() == [NOT_MINE, NOT_MINE, 302, 303]
    assert mine_or_not(heard, turns, "es")[[6, 9, 31, 34]].tolist() == [300, 301, NOT_MINE, NOT_MINE]
    assert (into_english == NO_WORD).sum() == 56


def test_the_situation_is_asked_for_at_the_end_of_the_prompt() -> None:
    rows = replace(toy_rows(np.random.default_rng(0), 12), heard_word=np.arange(300, 312, dtype=np.int16))
    laid = LAYOUT.lay(Example([7, 8], "ana", rows, SITUATIONS[3]), VOICE)
    asked = np.flatnonzero(laid.heard_word == situation_label(SITUATIONS[3])).tolist()
    assert asked == list(range(laid.pinned + 1 - PAUSE_FRAMES, laid.pinned + 1))
    assert laid.heard_word[laid.pinned + 1 + HEARING_DELAY_FRAMES] == 300
    unnamed = LAYOUT.lay(Example([7, 8], "ana", rows), VOICE)
    assert (unnamed.heard_word[: laid.pinned + 1] == NO_WORD).all()


def test_the_situation_is_asked_for_again_where_something_is_heard_or_to_be_said() -> None:
    rows = toy_rows(np.random.default_rng(0), 40)
    laid = [LAYOUT.lay(Example([7, 8], "ana", rows, situation), VOICE) for situation in (SITUATIONS[3], "")]
    batch = collate(laid)
    heard = laid[0].heard_word[:-1] != NO_WORD
    begins = laid[0].columns[0, :-1] == TEXT_TOKENS.end_of_padding
    assert heard.any()
    assert begins.any()
    assert (
        batch.acting.tolist() == (heard | begins).nonzero()[:, 0].tolist()
    )  # none in the row without a name
    assert batch.situations.tolist() == [3] * len(batch.acting)
