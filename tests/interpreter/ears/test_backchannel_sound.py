"""What sounds like "mm-hm": the network's arithmetic, and when it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.backchannel_model import STEP_SAMPLES, BackchannelModel, HeardSoFar
from interpreter.ears.backchannel_sound import FROM_S, NOTHING, UNTIL_S, BackchannelSound, shipped
from interpreter.ears.voice_activity import Voice
from interpreter.errors import IncompleteInstallation

ALWAYS = frozenset({"en", "es"})
START_S = 50.0


def sound(samples: int, seed: int = 0) -> Pcm:
    """Noise whose level and colour change all the time."""
    rng = np.random.default_rng(seed)
    knots = np.arange(0, samples + 2_400, 2_400)
    slow = np.interp(np.arange(samples), knots, rng.random(len(knots)))
    return (0.2 * slow * rng.standard_normal(samples)).astype(np.float32)


class Told(BackchannelModel):
    """The shipped network, which gives these logits in turn, the last of them for ever; remembers what it heard."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.heard: list[Pcm] = []
        self._logits = list(logits)

    def listen(self, pcm: Pcm, heard: HeardSoFar) -> HeardSoFar:
        self.heard.append(pcm)
        return super().listen(pcm, heard)

    def judge(self, heard: HeardSoFar) -> Mapping[str, float]:
        logit = self._logits.pop(0) if len(self._logits) > 1 else self._logits[0]
        return dict.fromkeys(super().judge(heard), logit)


def believer() -> Told:
    """It takes everything for a backchannel."""
    return Told(9.0)


def voice(onset_s: float | None, *, active: bool = True) -> Voice:
    return Voice(active=active, onset_s=onset_s, speech_s=0.5, pause_s=0.0, level_dbfs=-30.0)


def told(
    model: BackchannelModel, track: Pcm, voices: Sequence[Voice], *, wanted: bool | Sequence[bool] = True
) -> list[frozenset[str]]:
    """The answer at each frame of a track."""
    ear = BackchannelSound(model)
    asked = [wanted] * len(voices) if isinstance(wanted, bool) else wanted
    frames = track.reshape(-1, FRAME_SAMPLES)
    return [
        ear.advance(frame, START_S + n * FRAME_S, one, wanted=want)
        for n, (frame, one, want) in enumerate(zip(frames, voices, asked, strict=True))
    ]


def spoken(frames: int, onset_frame: int) -> list[Voice]:
    """Voices of a track on which one begins at the start of a frame, and goes on."""
    onset_s = START_S + onset_frame * FRAME_S
    return [voice(None if n < onset_frame else onset_s) for n in range(frames)]


@pytest.mark.parametrize("cut", [100, 239, 480, 961, 1_920, 7_000])
def test_it_hears_the_same_however_the_sound_is_cut(cut: int) -> None:
    model, track = shipped(), sound(30_000)
    whole, pieces = model.listen(track, model.begin()), model.begin()
    for start in range(0, len(track), cut):
        pieces = model.listen(track[start : start + cut], pieces)
    assert pieces.steps == whole.steps == (30_000 - 960 + 240) // STEP_SAMPLES
    expected = model.judge(whole)
    assert model.judge(pieces) == {language: pytest.approx(x, abs=1e-3) for language, x in expected.items()}


def test_it_hears_nothing_before_its_first_step() -> None:
    model = shipped()
    assert model.judge(model.begin()) == {}
    assert model.judge(model.listen(sound(900), model.begin())) == {}


def test_tracks_share_the_network_and_nothing_else() -> None:
    model = shipped()
    alone = model.judge(model.listen(sound(20_000), model.begin()))
    one, other = model.begin(), model.begin()
    for start in range(0, 20_000, 1_000):
        one = model.listen(sound(20_000)[start : start + 1_000], one)
        other = model.listen(sound(20_000, seed=7)[start : start + 1_000], other)
    assert model.judge(one) == {language: pytest.approx(x, abs=1e-3) for language, x in alone.items()}


def test_it_is_asked_from_soon_after_the_onset_until_it_is_an_interruption_anyway() -> None:
    answers = told(believer(), sound(40 * FRAME_SAMPLES), spoken(40, 5))
    said_s = [(n + 1 - 5) * FRAME_S for n in range(40)]
    for answer, s in zip(answers, said_s, strict=True):
        if abs(s - UNTIL_S) > 1e-6:
            assert answer == (ALWAYS if FROM_S <= s < UNTIL_S else NOTHING), s


def test_it_hears_the_track_from_just_before_the_onset_each_sample_once() -> None:
    model, track = believer(), sound(12 * FRAME_SAMPLES)
    told(model, track, spoken(12, 5))
    heard = np.concatenate(model.heard)
    assert np.array_equal(heard, track[5 * FRAME_SAMPLES - SAMPLE_RATE_HZ // 10 :])


def test_it_hears_what_it_missed_while_the_voice_paused_within_its_spurt() -> None:
    model, track = believer(), sound(12 * FRAME_SAMPLES)
    voices = spoken(12, 5)
    voices[8] = voice(voices[8].onset_s, active=False)
    answers = told(model, track, voices)
    assert answers[8] == answers[7], "nothing is asked in a pause"
    assert np.array_equal(np.concatenate(model.heard), track[5 * FRAME_SAMPLES - SAMPLE_RATE_HZ // 10 :])


def test_nobody_is_listened_to_who_is_told_nothing() -> None:
    model = believer()
    assert told(model, sound(20 * FRAME_SAMPLES), spoken(20, 5), wanted=False) == [NOTHING] * 20
    assert model.heard == []
    late = told(model, sound(20 * FRAME_SAMPLES), spoken(20, 5), wanted=[n >= 10 for n in range(20)])
    assert late[9] == NOTHING
    assert late[10] == ALWAYS
    heard = np.concatenate(model.heard)
    assert len(heard) == 15 * FRAME_SAMPLES + SAMPLE_RATE_HZ // 10, (
        "from the onset, though it was asked later"
    )


def test_the_next_spurt_is_judged_by_itself_without_a_frame_between() -> None:
    model, track = believer(), sound(20 * FRAME_SAMPLES)
    voices = [*spoken(12, 5), *(voice(START_S + 12.3 * FRAME_S) for _ in range(8))]
    answers = told(model, track, voices)
    assert answers[11] == ALWAYS
    assert answers[12] == NOTHING
    assert answers[-1] == ALWAYS
    begun = round((12.3 * FRAME_S - 0.1) * SAMPLE_RATE_HZ)
    assert np.array_equal(np.concatenate(model.heard[-8:]), track[begun:])


def test_an_onset_that_wobbles_is_the_same_spurt() -> None:
    model = believer()
    voices = [voice(START_S + 0.4 + 0.01 * ((n + 1) % 2)) if n > 4 else voice(None) for n in range(15)]
    assert told(model, sound(15 * FRAME_SAMPLES), voices)[-1] == ALWAYS
    assert sum(len(one) for one in model.heard) == 10 * FRAME_SAMPLES + SAMPLE_RATE_HZ // 10


def test_each_frame_is_judged_anew_until_it_is_more_likely_something_else() -> None:
    sure, track, voices = shipped().threshold, sound(14 * FRAME_SAMPLES), spoken(14, 0)
    early = told(Told(-1.0, -1.0, sure + 0.1), track, voices)  # at 0.32, 0.4 and 0.48 s
    assert early[4:6] == [NOTHING, ALWAYS]
    assert early[-1] == ALWAYS
    wavering = told(Told(*[sure + 0.1] * 5, sure - 0.1, sure + 0.1), track, voices)
    assert wavering[7:10] == [ALWAYS, NOTHING, ALWAYS]
    settled = told(Told(*[sure + 0.1] * 5, -0.1, sure + 0.1), track, voices)
    assert settled[7] == ALWAYS
    assert settled[8:] == [NOTHING] * 6


def test_what_is_not_its_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(IncompleteInstallation, match="expected a detector of backchannels at .*none"):
        BackchannelModel(tmp_path / "none.safetensors")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"not a model")
    with pytest.raises(IncompleteInstallation, match="damaged"):
        BackchannelModel(damaged)
    unlabelled = tmp_path / "unlabelled.safetensors"
    save_file({"judge.bias": np.zeros(2, dtype=np.float16)}, unlabelled)
    with pytest.raises(IncompleteInstallation, match="languages"):
        BackchannelModel(unlabelled)
