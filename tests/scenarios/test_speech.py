from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from duplex_model import errors, espeak_ng
from scenarios import speech as speech_module
from scenarios.errors import SpeechError
from scenarios.speech import LEVEL_DBFS, VOICES, Speaker, Speech, Voice, default_cache
from scenarios.voicing import active_level_dbfs, voiced_spans
from webrtc.room import SAMPLE_RATE_HZ

pytestmark = pytest.mark.speech

DOCTOR = Voice(accent="en-us", variant="f2")
SENTENCE = "Take two point five milligrams, of the other one, at 8:30."


def same(one: Speech, other: Speech) -> bool:
    return np.array_equal(one.pcm, other.pcm) and one.words == other.words and one.voiced == other.voiced


def test_words_are_those_of_the_text_and_when_they_sound(speaker: Speaker) -> None:
    said = speaker.say(SENTENCE, DOCTOR)
    assert [word.text for word in said.words] == SENTENCE.split()
    assert said.words[0].start_s == 0.0
    assert said.words[-1].end_s == pytest.approx(said.duration_s, abs=0.01)
    for earlier, later in itertools.pairwise(said.words):
        assert 0.0 < earlier.end_s - earlier.start_s < 1.0
        assert earlier.end_s <= later.start_s + 1e-9
    for comma, follower in ((4, 5), (8, 9)):
        pause = slice(
            *(round(s * SAMPLE_RATE_HZ) for s in (said.words[comma].end_s, said.words[follower].start_s))
        )
        assert pause.stop - pause.start > 0.1 * SAMPLE_RATE_HZ, "a comma is a pause, which is no word's"
        assert np.abs(said.pcm[pause]).mean() < 0.1 * np.abs(said.pcm).mean()


@pytest.mark.parametrize(
    "text", ["— Hello there", "... ¿? Hello —", "Hello \ud800 there", "a & b < c", "1 2 3"]
)
def test_every_word_has_its_time_whatever_it_is(speaker: Speaker, text: str) -> None:
    said = speaker.say(text, DOCTOR)
    assert [word.text for word in said.words] == text.split()
    times = [time for word in said.words for time in (word.start_s, word.end_s)]
    assert times == sorted(times)


def test_a_process_that_does_not_answer_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("import sys, threading\nthreading.Event().wait(60)\n")
    monkeypatch.setattr(speech_module, "_PROCESS", silent)
    monkeypatch.setattr(speech_module, "_TIMEOUT_S", 0.2)
    with pytest.raises(SpeechError, match=r"expected espeak-ng to answer within 0\.2 s, got nothing"):
        Speaker(tmp_path).say("Hello.", DOCTOR)


def test_a_pause_within_a_word_does_not_end_it(speaker: Speaker) -> None:
    first, second = speaker.say("Well...I see.", DOCTOR).words
    assert (first.text, second.text) == ("Well...I", "see.")
    assert first.end_s == pytest.approx(second.start_s)


def test_a_word_sounds_where_it_is_said_to(speaker: Speaker) -> None:
    """Cut out, it is as loud as speech, and about as long as when it is said alone."""
    said = speaker.say("My left shoulder hurts.", DOCTOR)
    alone = speaker.say("shoulder", DOCTOR)
    shoulder = said.words[2]
    assert shoulder.end_s - shoulder.start_s == pytest.approx(alone.duration_s, rel=0.4)
    cut = said.pcm[round(shoulder.start_s * SAMPLE_RATE_HZ) : round(shoulder.end_s * SAMPLE_RATE_HZ)]
    loud = np.sqrt(np.mean(np.square(cut)))
    assert 20 * np.log10(loud) > LEVEL_DBFS - 6


def test_speech_is_at_its_level_and_begins_with_its_first_sound(speaker: Speaker) -> None:
    for language, voices in VOICES.items():
        for voice in voices[:4]:
            said = speaker.say("Good." if language == "en" else "Bueno.", voice)
            assert said.pcm.dtype == np.float32
            assert active_level_dbfs(said.pcm) == pytest.approx(LEVEL_DBFS, abs=0.7)
            (heard,) = voiced_spans(said.pcm)
            assert heard.start_s < 0.01
            assert said.duration_s <= len(said.pcm) / SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("language", "text"), [("en", "Mm-hm."), ("es", "Mm-hm."), ("en", "Uh-huh,"), ("es", "¡Mm!")]
)
def test_hums_are_hummed_not_spelled(speaker: Speaker, language: str, text: str) -> None:
    said = speaker.say(text, VOICES[language][0])
    assert [word.text for word in said.words] == [text]
    assert said.voiced_s < 0.6, "letter by letter it takes more than a second"


def test_the_same_text_is_the_same_samples_whatever_was_said_before(tmp_path: Path) -> None:
    first = Speaker(tmp_path / "a").say(SENTENCE, DOCTOR)
    other = Speaker(tmp_path / "b")
    other.say("Something else altogether.", DOCTOR)
    assert same(first, other.say(SENTENCE, DOCTOR))
    assert not same(first, other.say(SENTENCE, replace(DOCTOR, pitch=80)))
    assert other.say(SENTENCE, replace(DOCTOR, rate_wpm=220)).duration_s < 0.9 * first.duration_s


def test_what_was_said_is_found_again_and_what_is_damaged_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Speaker(tmp_path).say("Good morning.", DOCTOR)
    (entry,) = tmp_path.iterdir()
    whole = entry.read_bytes()
    for damaged in (b"", b"nothing of the kind", whole[: len(whole) // 2]):
        entry.write_bytes(damaged)
        assert same(first, Speaker(tmp_path).say("Good morning.", DOCTOR))
        assert entry.read_bytes() == whole
    monkeypatch.setattr(speech_module, "_PROCESS", tmp_path / "gone.py")
    assert same(first, Speaker(tmp_path).say("Good morning.", DOCTOR))
    with pytest.raises(SpeechError):
        Speaker(tmp_path).say("Good evening.", DOCTOR)


@pytest.mark.parametrize("text", ["", "  \n", "say [[h@loU]]"])
def test_there_must_be_words(speaker: Speaker, text: str) -> None:
    with pytest.raises(SpeechError, match="expected words to say, got"):
        speaker.say(text, DOCTOR)


def test_signs_alone_are_silence(speaker: Speaker) -> None:
    with pytest.raises(SpeechError, match="expected speech of '…', got silence"):
        speaker.say("…", DOCTOR)


@pytest.mark.parametrize("voice", [Voice(accent="en-us", variant="nobody"), Voice(accent="xx", variant="f2")])
def test_an_unknown_voice_is_refused(speaker: Speaker, voice: Voice) -> None:
    with pytest.raises(
        SpeechError, match=rf"expected a voice of espeak-ng, got '{voice.accent}\+{voice.variant}'"
    ):
        speaker.say("Hello.", voice)


def test_a_user_the_sound_server_has_not_met_hears_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for n in range(3):
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / f"config{n}"))
        said.append(Speaker(tmp_path / f"cache{n}").say(SENTENCE, DOCTOR))
    assert same(said[0], said[1])
    assert same(said[0], said[2])


def test_without_espeak_ng_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the two files that a process reads, with another library's name in one."""
    for file in (speech_module._PROCESS, Path(espeak_ng.__file__), Path(errors.__file__)):
        copy = tmp_path / file.parent.name / file.name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(file.read_text().replace("libespeak-ng.so.1", "libnowhere.so.1"))
    monkeypatch.setattr(speech_module, "_PROCESS", tmp_path / "scenarios" / "espeak_process.py")
    with pytest.raises(SpeechError, match=r"expected libnowhere\.so\.1, got .*apt-get install espeak-ng"):
        Speaker(tmp_path / "cache").say("Hello.", DOCTOR)


def test_the_cache_follows_the_desktop_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "meeting-interpreter" / "speech"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_cache() == Path.home() / ".cache" / "meeting-interpreter" / "speech"
