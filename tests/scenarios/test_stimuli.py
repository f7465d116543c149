from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from scenarios.errors import ScenarioError
from scenarios.sounds import Background, Noise, background, noise
from scenarios.speech import Speaker, Speech, Voice
from scenarios.stimuli import PAIR_TOLERANCE_S, Clip, ClipSet, clip_set, noise_clips
from scenarios.timeline import Kind
from scenarios.voicing import Span, active_level_dbfs, voiced_spans
from webrtc.room import SAMPLE_RATE_HZ


@pytest.fixture(scope="module", params=["en", "es"])
def clips(request: pytest.FixtureRequest, speaker: Speaker) -> ClipSet:
    return clip_set(request.param, speaker.say)


@pytest.mark.speech
def test_there_are_enough_of_each_and_they_vary(clips: ClipSet) -> None:
    long = [clip for clip in clips.interruptions if clip.voiced_s >= 0.8]
    assert len(clips.backchannels) >= 40
    assert len(long) >= 40
    assert len(clips.interruptions) - len(long) >= 15
    everything = clips.backchannels + clips.interruptions
    assert len({clip.id for clip in everything}) == len(everything)
    for kind in (clips.backchannels, tuple(long)):
        assert len({(clip.voice.accent, clip.voice.variant) for clip in kind}) >= 10
        rates = [clip.voice.rate_wpm for clip in kind]
        assert max(rates) >= 1.4 * min(rates)
        assert {clip.background for clip in kind} == {None, *Background}
        assert len({clip.level_dbfs for clip in kind}) == 3
    assert {clip.kind for clip in clips.backchannels} == {Kind.BACKCHANNEL}
    assert {clip.kind for clip in clips.interruptions} == {Kind.INTERRUPTION}
    assert min(clip.voiced_s for clip in everything) > 0.15
    assert not {clip.text for clip in clips.backchannels} & {clip.text for clip in clips.interruptions}


@pytest.mark.speech
def test_pairs_are_as_long_and_sound_alike(clips: ClipSet) -> None:
    assert len(clips.pairs) >= 10
    assert sum(one.voiced_s >= 0.7 for _, one in clips.pairs) >= 5
    for backchannel, interruption in clips.pairs:
        assert abs(backchannel.voiced_s - interruption.voiced_s) <= PAIR_TOLERANCE_S
        assert len(backchannel.speech.voiced) == len(interruption.speech.voiced) == 1
        assert backchannel.voice.variant == interruption.voice.variant
        assert backchannel.background == interruption.background
        assert backchannel in clips.backchannels
        assert interruption in clips.interruptions


@pytest.mark.speech
def test_a_clip_sounds_where_it_is_put(clips: ClipSet) -> None:
    clean = next(clip for clip in clips.interruptions if clip.background is None and clip.voiced_s > 1)
    track = clean.track(onset_s=1.5, duration_s=5.0)
    assert track.shape == (5 * SAMPLE_RATE_HZ,)
    assert track.dtype == np.float32
    heard = voiced_spans(track)
    assert heard[0].start_s == pytest.approx(1.5, abs=0.01)
    assert heard[-1].end_s == pytest.approx(1.5 + len(clean.speech.pcm) / SAMPLE_RATE_HZ, abs=0.05)
    assert active_level_dbfs(track) == pytest.approx(clean.level_dbfs, abs=1.0)
    np.testing.assert_array_equal(track, clean.track(onset_s=1.5, duration_s=5.0))


@pytest.mark.speech
def test_the_background_is_as_far_below_the_voice_as_it_says(clips: ClipSet) -> None:
    for kind in Background:
        clip = next(clip for clip in clips.backchannels if clip.background is kind)
        level = active_level_dbfs(clip.track(onset_s=9.0, duration_s=9.0))  # the voice comes after the end
        assert level == pytest.approx(clip.level_dbfs - clip.snr_db, abs=1.5)


@pytest.mark.slow
@pytest.mark.speech
def test_a_seed_gives_its_clips_and_another_gives_others(speaker: Speaker) -> None:
    def drawn(clip: Clip) -> tuple[object, ...]:
        return clip.id, clip.voice, clip.level_dbfs, clip.background, clip.seed

    first, again, other = (clip_set("en", speaker.say, seed=seed) for seed in (0, 0, 1))
    assert [drawn(clip) for clip in first.backchannels] == [drawn(clip) for clip in again.backchannels]
    assert [drawn(clip) for clip in first.interruptions] != [drawn(clip) for clip in other.interruptions]
    assert len(other.pairs) == len(first.pairs)


def test_a_pair_that_no_voice_can_say_is_refused() -> None:
    def say(text: str, voice: Voice) -> Speech:
        """A second for every letter, at any rate."""
        span = Span(start_s=0.0, end_s=float(len(text)))
        return Speech(pcm=np.zeros(1, dtype=np.float32), words=(), voiced=(span,))

    with pytest.raises(
        ScenarioError, match="expected a voice that says 'Wait!' in the time of 'Mm-hm.', got none"
    ):
        clip_set("en", say)


def test_another_language_is_refused(speaker: Speaker) -> None:
    with pytest.raises(ScenarioError, match="expected a language of en, es, got 'fr'"):
        clip_set("fr", speaker.say)


def test_noises_are_of_every_kind_and_each_another() -> None:
    clips = noise_clips()
    assert {clip.noise for clip in clips} == set(Noise)
    assert len(clips) >= 40
    assert sum(clip.noise is Noise.COUGH for clip in clips) >= 8
    for clip in clips:
        assert 0.05 <= len(clip.pcm) / SAMPLE_RATE_HZ <= 1.5
        assert np.isfinite(clip.pcm).all()
        assert 0.005 < np.abs(clip.pcm).max() <= 1.0
    for one, other in combinations(clips, 2):
        assert not np.array_equal(one.pcm, other.pcm)
    for one, again in zip(clips, noise_clips(), strict=True):
        np.testing.assert_array_equal(one.pcm, again.pcm)
    track = clips[0].track(onset_s=1.0, duration_s=3.0)
    np.testing.assert_array_equal(track[SAMPLE_RATE_HZ : SAMPLE_RATE_HZ + len(clips[0].pcm)], clips[0].pcm)
    assert not track[:SAMPLE_RATE_HZ].any()


@pytest.mark.parametrize("kind", Noise)
def test_a_noise_is_as_loud_as_asked_but_never_clips(kind: Noise) -> None:
    soft = noise(kind, -40.0, seed=3)
    assert 10 * np.log10(np.mean(np.square(soft, dtype=np.float64))) == pytest.approx(-40.0, abs=0.1)
    assert np.abs(noise(kind, 0.0, seed=3)).max() <= 1.0


@pytest.mark.parametrize("kind", Background)
def test_a_background_is_steady(kind: Background) -> None:
    pcm = background(kind, 4 * SAMPLE_RATE_HZ, -50.0, seed=2)
    levels = [active_level_dbfs(quarter) for quarter in np.split(pcm, 4)]
    assert levels == pytest.approx([-50.0] * 4, abs=1.5)
