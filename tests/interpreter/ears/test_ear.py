"""What the interpreter hears of one participant."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from duplex_model.contract import FRAME_S
from interpreter.ears.backchannel_model import BackchannelModel, HeardSoFar
from interpreter.ears.ear import Ear, SpurtWords
from interpreter.ears.voice_activity import Voice
from tests.fakes import tone
from tests.interpreter.meeting_stage import LoudIsVoice
from webrtc.room import IncomingFrame


def frame(n: int, *, sounds: bool = True, silent: bool = False, concealed: int = 0) -> IncomingFrame:
    pcm = tone(300.0, n) if sounds else np.zeros(1_920, dtype=np.float32)
    return IncomingFrame(
        pcm=pcm, captured_at_s=10.0 + n * FRAME_S, silent=silent, concealed_samples=concealed
    )


def voice(onset_s: float | None) -> Voice:
    return Voice(active=True, onset_s=onset_s, speech_s=0.1, pause_s=0.0, level_dbfs=-20.0)


def test_a_voice_is_heard_as_it_is_by_sessions_and_others() -> None:
    ear = Ear(LoudIsVoice(), cancels_echo=False)
    heard = [ear.listen(frame(n)) for n in range(3)]
    assert np.array_equal(heard[-1].original, frame(2).pcm)
    assert np.array_equal(heard[-1].heard.pcm, frame(2).pcm)
    assert heard[-1].voice.active
    assert heard[-1].voice.onset_s == pytest.approx(10.0, abs=0.04)
    assert not heard[-1].gated


class Believing(BackchannelModel):
    """It takes everything for a backchannel."""

    def judge(self, heard: HeardSoFar) -> Mapping[str, float]:
        return dict.fromkeys(self.languages, 9.0)


def test_a_voice_is_asked_for_a_backchannel_while_its_person_is_being_told_something() -> None:
    believing = Believing()
    told = Ear(LoudIsVoice(), cancels_echo=False, backchannels=believing)
    untold = Ear(LoudIsVoice(), cancels_echo=False, backchannels=believing)
    long_ago = Ear(LoudIsVoice(), cancels_echo=False, backchannels=believing)
    long_ago.sent(tone(500.0, 0), 8.0)
    voices = []
    for n in range(10):
        told.sent(tone(500.0, n), 10.0 + n * FRAME_S)
        untold.sent(np.zeros(1_920, dtype=np.float32), 10.0 + n * FRAME_S)
        voices.append([ear.listen(frame(n)).voice for ear in (told, untold, long_ago)])
    assert [voice.backchannel_in for voice in voices[-1]] == [{"en", "es"}, frozenset(), frozenset()]
    assert voices[2][0].backchannel_in == frozenset(), "too early to tell"


def test_a_frame_that_was_never_sent_is_silence_to_all() -> None:
    listened = Ear(LoudIsVoice(), cancels_echo=False).listen(frame(0, silent=True))
    assert not listened.original.any()
    assert not listened.heard.pcm.any()
    assert not listened.voice.active


def test_concealed_loss_is_told_to_the_sessions() -> None:
    ear = Ear(LoudIsVoice(), cancels_echo=False)
    assert ear.listen(frame(0, concealed=7)).heard.concealed
    assert not ear.listen(frame(1)).heard.concealed


def test_only_the_interpreter_s_own_sound_is_no_voice_and_reaches_no_session() -> None:
    random = np.random.default_rng(3)
    ear, deaf = Ear(LoudIsVoice()), Ear(LoudIsVoice(), cancels_echo=False)
    played = (0.2 * random.standard_normal((150, 1_920))).astype(np.float32)
    gain, late = 0.5, []
    for n, pcm in enumerate(played):
        at_s = 10.0 + n * FRAME_S
        for one in (ear, deaf):
            one.sent(pcm, at_s)
        echo = IncomingFrame(pcm=gain * played[n - 1] if n else 0.0 * pcm, captured_at_s=at_s)
        late.append((ear.listen(echo), deaf.listen(echo)))
    cleaned, untouched = zip(*late[-40:], strict=True)
    assert all(one.voice.active for one in untouched)
    assert not any(one.voice.active for one in cleaned)
    loudest = max(float(np.abs(one.heard.pcm).max()) for one in cleaned)
    assert loudest < 0.02 * float(np.abs(gain * played).max())


def test_words_belong_to_the_spurt_that_runs() -> None:
    words = SpurtWords()
    words.add(" old")
    assert words.at(voice(5.0)) == ""
    words.add(" wait")
    words.add(" a")
    assert words.at(voice(5.04)) == " wait a", "an onset wobbles as capture times do"
    assert words.at(voice(None)) == " wait a", "what came last stays until the next begins"
    assert words.at(voice(9.0)) == ""
