import ctypes
import multiprocessing
import subprocess
import sys

import numpy as np
import pytest

from duplex_model import espeak_ng
from duplex_model.training.speech import espeak as espeak_module
from duplex_model.training.speech import flite as flite_module
from duplex_model.training.speech.phones import PHONES, from_espeak
from duplex_model.training.speech.speaking_voices import VARIANTS
from duplex_model.training.speech.timing import Phone, word_times
from duplex_model.training.speech.tts import (
    LEVEL_DB,
    OWN_VOICES,
    PEAK_DB,
    SpeakingVoice,
    TtsError,
    Utterance,
    source_voices,
    synthesise,
)
from duplex_model.training.split import held_out_voices

RATE_HZ = 24_000
COUNTING = {
    "en": "Two, five, ten, twenty, sixty, ninety.",
    "es": "Dos, cinco, diez, veinte, sesenta, noventa.",
}
FLITE = SpeakingVoice("flite", "en-us", "slt")


def installed(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(
    not (installed("libespeak-ng.so.1") and installed("libflite.so.1")), reason="needs espeak-ng and flite"
)


def level_db(pcm: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))


def between(utterance: Utterance, start_s: float, end_s: float) -> np.ndarray:
    return utterance.pcm[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]


def voices_of_all_kinds() -> list[SpeakingVoice]:
    own = [voice for languages in OWN_VOICES.values() for voice in languages.values()]
    return [
        *own,
        *source_voices("en")[::37],
        *source_voices("es")[::37],
        *source_voices("en", held_out=True)[::11],
        FLITE,
    ]


@pytest.mark.parametrize("voice", voices_of_all_kinds(), ids=lambda voice: voice.name)
def test_each_word_sounds_where_it_is_said_to_and_the_pauses_between_are_quiet(voice: SpeakingVoice) -> None:
    utterance = synthesise(COUNTING[voice.language], voice)
    assert [word.text for word in utterance.words] == COUNTING[voice.language].split()
    for word in utterance.words:
        assert level_db(between(utterance, word.start_s, word.end_s)) > LEVEL_DB - 10
    for word, following in zip(utterance.words, utterance.words[1:], strict=False):
        pause_s = following.start_s - word.end_s
        assert pause_s > 0.02  # flite's comma can be this short
        quiet = between(utterance, word.end_s + 0.4 * pause_s, following.start_s - 0.2 * pause_s)
        assert level_db(quiet) < LEVEL_DB - 20


@pytest.mark.parametrize("voice", voices_of_all_kinds(), ids=lambda voice: voice.name)
def test_an_utterance_is_level_trimmed_and_labelled_without_a_gap(voice: SpeakingVoice) -> None:
    utterance = synthesise(COUNTING[voice.language], voice)
    assert utterance.pcm.dtype == np.float32
    assert np.abs(utterance.pcm).max() <= 10 ** (PEAK_DB / 20) + 1e-6
    assert LEVEL_DB - 6 < level_db(utterance.pcm) < LEVEL_DB + 1
    assert utterance.words[0].start_s == utterance.phones[0].start_s == 0
    assert utterance.words[-1].end_s == pytest.approx(utterance.phones[-1].end_s)
    assert 0 <= utterance.duration_s - utterance.phones[-1].end_s < 0.021
    assert {phone.text for phone in utterance.phones} <= set(PHONES)
    for phone, following in zip(utterance.phones, utterance.phones[1:], strict=False):
        assert phone.end_s == pytest.approx(following.start_s, abs=1e-6)
        assert phone.end_s > phone.start_s


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("Take twenty-one of the 5 mg pills, Dr. Smith.", OWN_VOICES["ana"]["en"]),
        ("I do not have it, it's for the knee.", OWN_VOICES["bruno"]["en"]),
        ("In 2024 I weighed 102.5 kg.", OWN_VOICES["bruno"]["en"]),
        ("¿Le duele el brazo, o la pierna? ¡No!", OWN_VOICES["ana"]["es"]),
        ("Tome 500 mg a las 8 y media, Sr. Gómez.", OWN_VOICES["ana"]["es"]),
        ("Take twenty-one of the pills, it's for you.", FLITE),
    ],
)
def test_words_are_those_of_the_text_in_order_and_do_not_overlap(text: str, voice: SpeakingVoice) -> None:
    words = synthesise(text, voice).words
    assert [word.text for word in words] == text.split()
    assert all(word.end_s > word.start_s for word in words)
    for word, following in zip(words, words[1:], strict=False):
        assert word.end_s <= following.start_s + 1e-6


def test_phones_are_those_of_the_words_in_both_engines() -> None:
    def phones(text: str, voice: SpeakingVoice) -> str:
        return " ".join(phone.text for phone in synthesise(text, voice).phones)

    assert phones("My left arm.", OWN_VOICES["bruno"]["en"]) == "m ay l eh f t aa r m"
    assert phones("My left arm.", FLITE) == "m ay l eh f t aa r m"
    assert phones("El brazo izquierdo.", OWN_VOICES["bruno"]["es"]) == "e l bh dx a s o iy s k y e dx dh o"


def test_every_sound_of_espeak_has_a_class() -> None:
    assert len(set(PHONES)) == len(PHONES)
    assert PHONES[0] == "sil"
    assert from_espeak("A@", "en", rhotic=True) == ("aa", "r")
    assert from_espeak("A@", "en", rhotic=False) == ("aa",)
    assert from_espeak("_:", "es", rhotic=False) == ("sil",)
    assert from_espeak(":", "es", rhotic=False) == ()
    with pytest.raises(KeyError):
        from_espeak("no such", "en", rhotic=True)


def test_words_said_as_one_share_its_phones_by_their_letters() -> None:
    phones = [Phone(symbol, n / 10, (n + 1) / 10, 0) for n, symbol in enumerate(("ah", "v", "dh", "ax"))]
    of, the = word_times(("of", "the"), phones)
    assert (of.start_s, of.end_s) == (0.0, 0.2)
    assert (the.start_s, the.end_s) == (0.2, 0.4)
    with pytest.raises(TtsError, match="got 1 phones for all"):
        word_times(("of", "the"), phones[:1])


def test_text_that_cannot_be_said_is_refused() -> None:
    with pytest.raises(ValueError, match="expected words with a letter or a digit"):
        synthesise("yes — no", FLITE)
    with pytest.raises(ValueError, match="expected words with a letter or a digit"):
        synthesise("  ", FLITE)
    with pytest.raises(TtsError, match="expected ASCII"):
        synthesise("déjà vu", FLITE)
    with pytest.raises(TtsError, match="expected a voice of espeak-ng, got 'en-us\\+nobody'"):
        synthesise("yes", SpeakingVoice("espeak", "en-us", "nobody"))


def test_a_missing_engine_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(espeak_ng, "LIBRARY", "libnowhere.so.1")
    with pytest.raises(TtsError, match="apt-get install espeak-ng"):
        espeak_module.Espeak()
    with pytest.raises(TtsError, match="apt-get install flite"):
        flite_module.Flite().speak("yes", "nobody", 1.0, 1.0)


FINGERPRINT = """
import hashlib
from duplex_model.training.speech.tts import OWN_VOICES, synthesise
for name in ("ana", "bruno", "ana"):
    print(hashlib.sha256(synthesise("Buenos días, doctora.", OWN_VOICES[name]["es"]).pcm.tobytes()).hexdigest())
"""


def test_the_same_texts_in_the_same_order_give_the_same_samples_in_another_process() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, check=True, text=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(set(first.split())) >= 2


def _duration_s(name: str) -> float:
    return synthesise("Buenos días, doctora.", OWN_VOICES[name]["es"]).duration_s


def test_a_forked_process_speaks_as_its_parent_does() -> None:
    here = [_duration_s(name) for name in sorted(OWN_VOICES)]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        there = pool.map(_duration_s, sorted(OWN_VOICES))
    assert there == pytest.approx(here, rel=0.05)


def test_held_out_voices_are_never_trained_on() -> None:
    for language in ("en", "es"):
        training, unheard = source_voices(language), source_voices(language, held_out=True)
        assert len({voice.variant for voice in training}) >= 50
        assert {voice.variant for voice in training}.isdisjoint(held_out_voices())
        assert {voice.variant for voice in unheard} <= held_out_voices()
        assert len({voice.name for voice in [*training, *unheard]}) == len(training) + len(unheard)
    heard_of = {voice.variant for voice in source_voices("en", held_out=True)}
    assert heard_of == held_out_voices() <= {*VARIANTS, "awb"}


def test_every_variant_speaks_both_languages() -> None:
    for language in ("en", "es"):
        by_variant = {voice.variant: voice for voice in source_voices(language)}
        for voice in by_variant.values():
            assert len(synthesise(COUNTING[language], voice).words) == 6


def test_own_voices_are_the_same_timbre_in_both_languages_and_differ_from_each_other() -> None:
    assert len(OWN_VOICES) == 8
    timbres = set()
    for languages in OWN_VOICES.values():
        english, spanish = languages["en"], languages["es"]
        assert (english.language, spanish.language) == ("en", "es")
        assert (english.variant, english.pitch) == (spanish.variant, spanish.pitch)
        assert english.variant not in held_out_voices()
        timbres.add(english.variant)
    assert len(timbres) == 8
