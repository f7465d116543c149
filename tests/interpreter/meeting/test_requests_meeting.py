"""A human interpreter, or an end of the interpreting: asked for in a meeting, and how soon it is granted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.fakes import FRAME_S, amplitude
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ, EN_HZ, Stage, stage

COMMAND_S = 0.5
"""From a button or a chat command to its effect."""

WORD_S = 2.0
"""From the word that completes a spoken request, in heard or rendered text, to its effect."""

STEP_S = 0.01

BOTH = frozenset({"en", "es"})
EVERYBODY = ("ana", "ben")


async def until(h: Stage, holds: Callable[[], bool], limit_s: float) -> float:
    """How long it takes, at most a little more than the limit."""
    begun_s = h.clock.now_s()
    while not holds() and h.clock.now_s() - begun_s <= limit_s:
        await h.clock.advance(STEP_S)
    return h.clock.now_s() - begun_s


async def word_appears(h: Stage, language_in: str, language_out: str) -> None:
    """Goes on to the output with the last word that sessions of a direction were given."""
    while h.engine.lines.left[language_in, language_out]:
        await h.clock.advance(STEP_S)


def human_is_coming(h: Stage, who: str) -> bool:
    return h.room.state(who).human_asked


def is_stopped(h: Stage, who: str) -> bool:
    return h.room.state(who).own.stopped


async def joined(h: Stage) -> None:
    h.join("ana", "es", ANA_HZ, speaking=True)
    h.join("ben", "en", BEN_HZ)
    await h.ticks(10)
    assert not any(human_is_coming(h, who) or is_stopped(h, who) for who in EVERYBODY)


@pytest.mark.parametrize("phase_s", [0.0, 0.03, 0.07])
@pytest.mark.parametrize("who", EVERYBODY)
async def test_a_human_asked_for_by_a_command_is_announced_to_everybody_in_half_a_second(
    who: str, phase_s: float
) -> None:
    async with stage() as h:
        await joined(h)
        await h.clock.advance(phase_s)
        h.room.command(who, "r", "human")
        took_s = await until(h, lambda: all(human_is_coming(h, one) for one in EVERYBODY), COMMAND_S)
        assert took_s <= COMMAND_S
        assert h.room.replies(who)["r"].accepted
        await h.ticks(5)
        assert "human interpreter has been asked for" in h.told_by_interpreter("ben")
        assert "intérprete humano" in h.told_by_interpreter("ana")


@pytest.mark.parametrize("phase_s", [0.0, 0.03, 0.07])
async def test_a_stop_by_a_command_is_silence_in_half_a_second(phase_s: float) -> None:
    async with stage() as h:
        await joined(h)
        ben = h.room.ears["ben"]
        h.say("es", "en", " ".join(["word"] * 100))
        await h.ticks(10)
        assert amplitude(ben.last(4), EN_HZ) > 0.05
        await h.clock.advance(phase_s)
        asked_s = h.clock.now_s()
        h.room.command("ben", "r", "stop")
        assert await until(h, lambda: is_stopped(h, "ben"), COMMAND_S) <= COMMAND_S
        await h.ticks(20)
        sounding = [
            at_s
            for at_s, pcm in zip(ben.at_s, ben.frames, strict=True)
            if any(amplitude(part, EN_HZ) > 1e-3 for part in np.split(pcm, 4))
        ]
        assert sounding[-1] + FRAME_S - asked_s <= COMMAND_S
        assert amplitude(ben.last(3), ANA_HZ) == pytest.approx(0.1, rel=0.02), "the original, as it is"


SPOKEN = [
    ("es", "quiero un intérprete humano por favor"),
    ("es", "quiero hablar con una persona"),
    ("en", "please I want a human interpreter"),
    ("en", "can I talk to a real person"),
]
STOPS = [("es", "por favor deje de interpretar"), ("en", "please stop interpreting")]


@pytest.mark.parametrize(("language", "words"), SPOKEN)
async def test_a_human_asked_for_by_voice_is_announced_in_two_seconds_of_heard_text(
    language: str, words: str
) -> None:
    async with stage(transcribe=True, transcribes=BOTH) as h:
        await joined(h)
        h.say(language, language, words)
        await word_appears(h, language, language)
        took_s = await until(h, lambda: all(human_is_coming(h, one) for one in EVERYBODY), WORD_S)
        assert took_s <= WORD_S


@pytest.mark.parametrize(("language", "words"), SPOKEN)
async def test_a_human_asked_for_by_voice_is_announced_in_two_seconds_of_rendered_text(
    language: str, words: str
) -> None:
    async with stage() as h:
        await joined(h)
        heard = "en" if language == "es" else "es"
        h.say(heard, language, words)
        await word_appears(h, heard, language)
        took_s = await until(h, lambda: all(human_is_coming(h, one) for one in EVERYBODY), WORD_S)
        assert took_s <= WORD_S


@pytest.mark.parametrize("written", [True, False], ids=["heard", "rendered"])
@pytest.mark.parametrize(("language", "words"), STOPS)
async def test_a_stop_by_voice_stops_the_speakers_interpretation_in_two_seconds(
    language: str, words: str, written: bool
) -> None:
    other = "en" if language == "es" else "es"
    async with stage(transcribe=written, transcribes=BOTH if written else frozenset()) as h:
        await joined(h)
        pair = (language, language) if written else (other, language)
        speaker = "ana" if pair[0] == "es" else "ben"
        h.say(*pair, words)
        await word_appears(h, *pair)
        assert await until(h, lambda: is_stopped(h, speaker), WORD_S) <= WORD_S
        await h.ticks(3)
        assert not any(d.speaker_id == speaker for d in h.meeting._interpretation.directions)
        assert not any(is_stopped(h, one) for one in EVERYBODY if one != speaker)


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "my pain did not stop"),
        ("es", "una persona me dijo que pare de fumar"),
        ("en", "he is only human"),
    ],
)
async def test_what_only_sounds_like_a_request_is_none(language: str, words: str) -> None:
    async with stage(transcribe=True, transcribes=BOTH) as h:
        await joined(h)
        h.say(language, language, words)
        await word_appears(h, language, language)
        await h.seconds(2 * WORD_S)
        assert not any(human_is_coming(h, one) or is_stopped(h, one) for one in EVERYBODY)
