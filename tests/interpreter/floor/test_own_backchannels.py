from __future__ import annotations

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, Pcm
from interpreter.ears.voice_activity import Voice
from interpreter.floor.floor import Talk
from interpreter.floor.own_backchannels import BackchannelSettings, OwnBackchannels
from interpreter.sessions.hold import NOTHING, Said
from tests.interpreter.floor_stage import QUIET, speech

MID_TURN = Talk(
    voice=Voice(active=True, onset_s=0.0, speech_s=3.0, pause_s=0.0, level_dbfs=-30.0), language="es"
)
BEGINNING = Talk(
    voice=Voice(active=True, onset_s=0.0, speech_s=0.4, pause_s=0.0, level_dbfs=-30.0), language="es"
)
SILENT = Talk(voice=QUIET, language="es")


def parts(
    own: OwnBackchannels, pieces: list[str], speaker: Talk | None, at_s: float = 0.0
) -> tuple[str, int, list[Pcm]]:
    """The listeners' text, their sounding frames, and the speaker's frames, of a unit and the pause after it."""
    text, frames, asides = "", 0, []
    for n, piece in enumerate([*pieces, None, None, None]):
        said = NOTHING if piece is None else Said(pcm=speech(n), text=piece)
        parted = own.part(said, speaker, at_s + n * FRAME_S)
        text += parted.said.text
        frames += bool(parted.said.pcm.any())
        if parted.aside is not None:
            asides.append(parted.aside)
    return text, frames, asides


@pytest.mark.parametrize("pieces", [[" Mm", "-hm", ""], [" Uh", "-huh", "."], [" Ajá", ""]])
def test_a_sound_in_the_middle_of_a_turn_is_for_the_speaker_alone(pieces: list[str]) -> None:
    text, frames, asides = parts(OwnBackchannels(BackchannelSettings()), pieces, MID_TURN)
    assert (text, frames) == ("", 0)
    assert len(asides) == len(pieces)
    assert np.max(np.abs(asides[0])) == pytest.approx(np.max(np.abs(speech(0))) * 10 ** (-9 / 20))


@pytest.mark.parametrize("pieces", [[" Yes", ""], [" Okay", ","], [" It", " hurts"], [" Sí", " claro"]])
@pytest.mark.parametrize("speaker", [MID_TURN, BEGINNING, SILENT, None])
def test_a_word_always_reaches_the_listeners(pieces: list[str], speaker: Talk | None) -> None:
    text, frames, asides = parts(OwnBackchannels(BackchannelSettings()), pieces, speaker)
    assert (text, frames, asides) == ("".join(pieces), len(pieces), [])


@pytest.mark.parametrize("speaker", [BEGINNING, SILENT, None])
def test_a_sound_that_answers_nobody_who_goes_on_is_rendered(speaker: Talk | None) -> None:
    text, frames, asides = parts(OwnBackchannels(BackchannelSettings()), [" Mm", "-hm"], speaker)
    assert (text, frames, asides) == (" Mm-hm", 2, [])


def test_words_after_a_sound_make_it_a_rendering_and_no_text_is_lost() -> None:
    text, _, _ = parts(OwnBackchannels(BackchannelSettings()), [" Mm", "-hm", ",", " my", " arm"], MID_TURN)
    assert text == " Mm-hm, my arm"


def test_they_are_capped_per_minute() -> None:
    own = OwnBackchannels(BackchannelSettings(per_minute=2))
    heard = [bool(parts(own, [" Mm", "-hm"], MID_TURN, at_s)[2]) for at_s in (0.0, 10.0, 20.0, 61.0, 65.0)]
    assert heard == [True, True, False, True, False]


def test_nobody_hears_them_where_the_role_wants_none() -> None:
    own = OwnBackchannels(BackchannelSettings(to_speaker=False))
    assert parts(own, [" Mm", "-hm"], MID_TURN) == ("", 0, [])
