from __future__ import annotations

from dataclasses import replace

import pytest

from duplex_model.config import CHECKPOINTS
from duplex_model.contract import Mode, Prompt
from duplex_model.errors import PromptError
from duplex_model.role import role_of, tagged_role

PUBLISHED = CHECKPOINTS["personaplex-7b"]
DIRECTED = replace(
    PUBLISHED,
    direction_roles={
        "es-en": {
            "simultaneous": "Interpret into English.",
            "consecutive": "Wait, then interpret into English.",
        },
        "en-es": {"simultaneous": "Interpreta al español."},
    },
)


def asked(heard: str, said: str, role_text: str = "", mode: Mode = "simultaneous") -> Prompt:
    return Prompt(role_text=role_text, language_in=heard, language_out=said, mode=mode)


@pytest.mark.parametrize(
    ("text", "tagged"),
    [
        (" You are kind. ", "<system> You are kind. <system>"),
        ("<system> You are kind. <system>", "<system> You are kind. <system>"),
        ("  ", ""),
    ],
)
def test_a_role_text_is_tagged_once(text: str, tagged: str) -> None:
    assert tagged_role(text) == tagged


def test_the_direction_comes_before_the_persona() -> None:
    assert role_of(DIRECTED, asked("es", "en")) == "<system> Interpret into English. <system>"
    assert role_of(DIRECTED, asked("en", "es", " Be formal. ")) == (
        "<system> Interpreta al español. Be formal. <system>"
    )
    waiting = asked("es", "en", mode="consecutive")
    assert role_of(DIRECTED, waiting) == "<system> Wait, then interpret into English. <system>"


def test_a_tagged_role_text_is_the_whole_role() -> None:
    text = "<system> Say it in English. <system>"
    assert role_of(DIRECTED, asked("fr", "en", text)) == text


@pytest.mark.parametrize(
    ("prompt", "got"),
    [(asked("fr", "en"), "fr-en simultaneous"), (asked("en", "es", mode="consecutive"), "en-es consecutive")],
)
def test_a_direction_or_mode_without_its_words_is_refused(prompt: Prompt, got: str) -> None:
    with pytest.raises(PromptError) as caught:
        role_of(DIRECTED, prompt)
    assert str(caught.value) == (
        "expected a direction that personaplex-7b serves (es-en simultaneous, es-en consecutive, "
        f"en-es simultaneous), got {got}"
    )


def test_a_checkpoint_that_needs_not_be_told_is_told_the_persona_alone() -> None:
    assert role_of(PUBLISHED, asked("en", "en")) == ""
    assert role_of(PUBLISHED, asked("en", "en", "You are kind.")) == "<system> You are kind. <system>"
