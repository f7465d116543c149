"""Lessons on the side: what the model should have understood, frame by frame. Pure.

A head that is dropped after training is asked, beside the text and the voice:
- which word has just ended. A translation shows that late and seldom; with it, listening is learnt far faster;
- at the end of the prompt, which situation the role text asks for, in whatever words;
- for every word that is in the language spoken into already: that it is none of the model's business;
- and, by a head of its own, the situation again at every heard word and before every own one.

Without the second and third the role was ignored: Spanish heard is nearly always to be said in English, whatever the
role says, and the few dialogues where only the role tells that nothing is to be said taught nothing in 4000 steps.
Asked at every word, it began to matter within 300 and was understood within 600. The last is for what those do not
ask, mode and register: a role understood at the end of a prompt is of no use before it is at hand where something is
to be said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import FRAME_S
from duplex_model.training.dialogues.rows import NO_WORD

Ints = NDArray[np.int16]

NOT_MINE = 9
"""Stands for a word that is in the language spoken into. Like the situations' it is the number of a byte that begins no
word, so that the head needs no further answers."""

FIRST_SITUATION = 10

SITUATIONS = tuple(
    f"{mode} {direction} {register}"
    for mode in ("simultaneous", "consecutive", "transcription")
    for direction in ("es-en", "en-es", "es-es", "en-en")
    for register in ("formal", "informal")
)
"""What a role text can ask for."""


def situation_of(situation: str) -> int:
    """Which of `SITUATIONS` it is; `NO_WORD` for one that has no name."""
    return SITUATIONS.index(situation) if situation in SITUATIONS else NO_WORD


def situation_label(situation: str) -> int:
    """What is to be answered at the end of a prompt; `NO_WORD` for a situation that has no name."""
    return FIRST_SITUATION + SITUATIONS.index(situation) if situation in SITUATIONS else NO_WORD


def mine_or_not(heard_word: Ints, turns: Sequence[Mapping[str, Any]], language_out: str) -> Ints:
    """`heard_word` [F] with `NOT_MINE` for every word of the `turns` that are in `language_out`."""
    times_s = FRAME_S * np.arange(len(heard_word))
    labels = heard_word.copy()
    for turn in turns:
        if turn["language"] == language_out:
            within = (times_s >= turn["start_s"] - FRAME_S) & (times_s <= turn["end_s"] + 2 * FRAME_S)
            labels[within & (labels != NO_WORD)] = NOT_MINE
    return labels
