"""What a listener says while they listen, and what takes the floor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.floor.backchannels import has_content_word, is_backchannel, may_be_backchannel

BACKCHANNELS = {
    "en": "mm-hm|Mhm.|mmmm|uh-huh|Uh huh, uh huh|yes|Yeah yeah yeah|okay|OK.|Okay, I see.|right|All right, doctor.|"
    "I see|Oh, I see|I understand|of course|Sure, sure|Got it|That makes sense|yes doctor|Really?|Okay, thank you|"
    "that's right|that\u2019s right|yes, exactly|go on",
    "es": "ajá|Ajá, ajá|mm-hm|mmm|sí|si|Sí, sí, sí.|sí, doctora|claro|Claro que sí|vale|Vale, vale|ya|ya ya ya|Ya veo.|"
    "entiendo|Sí, entiendo|le entiendo|de acuerdo|está bien|esta bien|muy bien|bueno|Por supuesto|así es|eso es|"
    "ándale|ok|Okay, gracias|no me diga|pues sí",
}
INTERRUPTIONS = {
    "en": "wait|No.|no, no|yes but it hurts|Sorry, can you repeat that?|stop|my chest hurts|I have a question|"
    "okay, which pill|right arm|I see double|the left one|not that|"
    "doctor, the pain is back|hold on|what did you say about aspirin",
    "es": "espere|No.|no, no|sí pero me duele|¿Puede repetirlo?|pare|me duele el pecho|tengo una pregunta|"
    "vale, qué pastilla|el brazo derecho|veo doble|la izquierda|nunca|"
    "doctora, ha vuelto el dolor|un momento|perdone, no le oigo",
}


def cases(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(language, text) for language, texts in table.items() for text in texts.split("|")]


@pytest.mark.parametrize(("language", "text"), cases(BACKCHANNELS))
def test_backchannels_are_known_and_have_no_content(language: str, text: str) -> None:
    assert is_backchannel(text, language)
    assert not has_content_word(text, language)


@pytest.mark.parametrize(("language", "text"), cases(BACKCHANNELS))
def test_a_backchannel_has_no_content_while_it_is_still_being_written(language: str, text: str) -> None:
    assert not any(
        has_content_word(text[:end], language)
        for end in range(len(text) + 1)
        if "no" not in text[:end].lower()
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "okay, I"),
        ("en", "yes, that"),
        ("en", "yes, that makes"),
        ("es", "sí, por"),
        ("es", "ajá, está"),
    ],
)
def test_a_backchannel_and_the_beginning_of_another_may_be_one(language: str, text: str) -> None:
    assert not is_backchannel(text, language)
    assert may_be_backchannel(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "I"),
        ("en", "that"),
        ("en", "okay, but"),
        ("en", "doctor"),
        ("es", "eso"),
        ("es", "sí, pero"),
        ("fr", "oui"),
    ],
)
def test_what_begins_like_a_backchannel_and_like_anything_else_may_not(language: str, text: str) -> None:
    assert not may_be_backchannel(text, language)


@pytest.mark.parametrize(("language", "text"), cases(BACKCHANNELS))
def test_what_is_one_may_be_one(language: str, text: str) -> None:
    assert may_be_backchannel(text, language)


@pytest.mark.parametrize(("language", "text"), cases(INTERRUPTIONS))
def test_interruptions_are_no_backchannels_and_have_content(language: str, text: str) -> None:
    assert not is_backchannel(text, language)
    assert has_content_word(text, language)


@pytest.mark.parametrize("text", ["", " ", "...", "¿", "\u0301", "I", "that", "doctor", "the"])
def test_nothing_and_function_words_are_neither(text: str) -> None:
    assert not is_backchannel(text, "en")
    assert not has_content_word(text, "en")


def test_the_beginning_of_a_word_counts_when_no_empty_word_begins_so() -> None:
    assert not has_content_word("ri", "en")
    assert has_content_word("rib", "en")
    assert has_content_word("cla ", "es"), "a word that has ended and is not in the list"


def test_a_language_without_lists_has_no_backchannels_and_every_word_counts() -> None:
    assert not is_backchannel("oui", "fr")
    assert has_content_word("oui", "fr")
    assert not has_content_word("?", "fr")


@given(st.text(max_size=40), st.sampled_from(["en", "es", "fr"]))
def test_any_text_is_judged(text: str, language: str) -> None:
    assert not (is_backchannel(text, language) and has_content_word(text + " ", language))


@given(st.lists(st.sampled_from(BACKCHANNELS["es"].split("|")), min_size=1, max_size=5))
def test_backchannels_in_a_row_are_a_backchannel(texts: list[str]) -> None:
    assert is_backchannel(" ".join(texts), "es")
