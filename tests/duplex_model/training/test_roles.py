from __future__ import annotations

import random

import pytest

from duplex_model.training.dialogues.roles import Mode, load_roles

DIRECTIONS = {
    Mode.SIMULTANEOUS: {"es-en", "en-es"},
    Mode.CONSECUTIVE: {"es-en", "en-es"},
    Mode.TRANSCRIPTION: {"es-es", "en-en"},
}


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_has_its_directions_in_many_words(mode: Mode) -> None:
    roles = load_roles()
    assert set(roles.trained[mode]) == set(roles.held_out[mode]) == DIRECTIONS[mode]
    for texts in roles.trained[mode].values():
        assert len(texts) >= 10


def test_no_sentence_says_two_things() -> None:
    sentences = list(load_roles().sentences())
    held_out = [
        text for table in load_roles().held_out.values() for texts in table.values() for text in texts
    ]
    assert len(set(sentences)) == len(sentences)
    assert not set(sentences) & set(held_out)


def test_the_canonical_text_is_the_first() -> None:
    roles = load_roles()
    assert roles.canonical(Mode.SIMULTANEOUS, "es", "en") == "Interpret Spanish into English."
    informal = roles.canonical(Mode.CONSECUTIVE, "en", "es", "informal")
    assert informal == "Wait for a pause, then interpret English into Spanish. Use informal Spanish."


def test_held_out_texts_are_apart() -> None:
    roles = load_roles()
    texts = {
        roles.sample(random.Random(seed), Mode.SIMULTANEOUS, "es", "en", held_out=True) for seed in range(50)
    }
    assert all(
        any(text.startswith(kept) for kept in roles.held_out[Mode.SIMULTANEOUS]["es-en"]) for text in texts
    )
    assert len(texts) > 3
