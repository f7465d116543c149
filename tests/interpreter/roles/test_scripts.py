from __future__ import annotations

import pytest

from interpreter.roles.library import load_library, standard_scripts
from interpreter.roles.role import SCRIPT_IDS, ScriptId
from interpreter.roles.scripts import Script, script
from tests.interpreter.roles.texts import role
from webrtc.room import Stored

FOR_READING = {"captions_only", "interpreter_speaks"}
LANGUAGES = ["en", "es"]


def said(
    script_id: ScriptId, language: str, *stored: Stored, languages: tuple[str, ...] = ("en", "es")
) -> Script:
    return script(role(), script_id, language, languages=languages, stored=stored)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_opening_says_what_people_must_know(language: str) -> None:
    spoken = said("opening", language)
    assert spoken == Script(
        language=language,
        sentences={
            "en": (
                "I am an AI interpreter, not a human.",
                "I interpret between English and Spanish.",
                "Everything you say is interpreted.",
                "Nothing is recorded.",
                "Please speak in short sentences.",
                "You may ask for a human interpreter at any time.",
            ),
            "es": (
                "Soy un intérprete de inteligencia artificial, no una persona.",
                "Interpreto entre inglés y español.",
                "Todo lo que digan se interpreta.",
                "No se graba nada.",
                "Hablen en frases cortas, por favor.",
                "Pueden pedir un intérprete humano en cualquier momento.",
            ),
        }[language],
    )
    assert said("opening", "es-MX").language == "es"
    assert len(said("opening_emergency", language).sentences) < len(spoken.sentences)


@pytest.mark.parametrize("script_id", ["opening", "opening_emergency", "late_joiner"])
def test_whoever_comes_is_told_what_is_kept(script_id: ScriptId) -> None:
    nothing, text, sound = (
        "Nothing is recorded.",
        "The text of this meeting is kept.",
        "The sound of this meeting is recorded.",
    )

    def told(*stored: Stored) -> set[str]:
        return set(said(script_id, "en", *stored).sentences) & {nothing, text, sound}

    assert told() == told(Stored.IDENTITY, Stored.AUDIT) == {nothing}
    assert told(Stored.TRANSCRIPT, Stored.AUDIT) == {text}
    assert told(Stored.AUDIO) == {sound}
    assert told(Stored.TRANSCRIPT, Stored.AUDIO) == {text, sound}


@pytest.mark.parametrize(
    ("language", "languages", "words"),
    [
        ("en", ("en", "fr", "es"), "I interpret between English, French and Spanish."),
        ("es", ("en", "fr", "es"), "Interpreto entre inglés, francés y español."),
        ("es", ("es", "en"), "Interpreto entre español e inglés."),
        ("es", ("es", "hi"), "Interpreto entre español e hindi."),
        ("en", ("en", "tlh"), "I interpret between English and tlh."),
    ],
)
def test_languages_are_named_in_the_listeners_language(
    language: str, languages: tuple[str, ...], words: str
) -> None:
    assert words in said("opening", language, languages=languages).sentences


def test_a_language_without_scripts_gets_the_english_ones_and_says_so() -> None:
    assert (
        said("paused", "fr")
        == said("paused", "en")
        == Script(language="en", sentences=("The interpreter is paused.",))
    )
    assert said("paused", "not a tag").language == "en"


def test_a_role_s_own_sentence_stands_in_place_of_the_librarys() -> None:
    own = role("scripts: {en: {paused: [Hush now., Thank you.]}}\n")
    assert script(own, "paused", "en").text == "Hush now. Thank you."
    assert script(own, "paused", "es").text == "El intérprete está en pausa."
    assert script(own, "announcement", "en").sentences == ()


def test_the_relay_announces_itself_in_both_languages() -> None:
    relay = load_library().find("plain-language-relay")
    assert "plainer words" in script(relay, "announcement", "en").text
    assert "palabras más sencillas" in script(relay, "announcement", "es").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_checkpoint_was_trained_to_speak_what_is_spoken(language: str) -> None:
    from duplex_model.training.grammar import CLOSED

    def plain(text: str) -> str:  # the lesson of one notice has no comma where Spanish writes one
        return text.replace(",", "")

    trained = {plain(pair.text(language)) for pair in CLOSED}
    for script_id in SCRIPT_IDS:
        if script_id in FOR_READING or script_id not in standard_scripts()[language]:
            continue
        for stored in ((), (Stored.TRANSCRIPT, Stored.AUDIO)):
            for sentence in said(script_id, language, *stored).sentences:
                assert plain(sentence) in trained
