"""Mixes, voices, and where a file has a voice: what rests on the samples of a run. Speech is noise or pulses here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.voice_model import VoiceModel
from interpreter.mixing.mixing import Duck, Ducking, Limit, duck, limit
from scenarios.run_log import RunLog, mix_sound, original_sound, rendering_sound
from scenarios.scores import mix
from scenarios.scores.score import Score
from scenarios.scores.voice import pitch_hz, sections_of, voice_scores
from scenarios.scores.voice_segments import voice_segments
from scenarios.voicing import Span, voiced_spans
from tests.scenarios.scores import fake_systems as fake

DURATION_S = 14
SPURTS = (Span(start_s=3.0, end_s=4.5), Span(start_s=9.0, end_s=10.5))


def noise(seed: int, duration_s: float = DURATION_S, peak: float = 0.1) -> Pcm:
    rng = np.random.default_rng(seed)
    return (peak * rng.standard_normal(round(duration_s * SAMPLE_RATE_HZ))).astype(np.float32)


def only_in(pcm: Pcm, spans: tuple[Span, ...]) -> Pcm:
    kept = np.zeros_like(pcm)
    for span in spans:
        cut = slice(round(span.start_s * SAMPLE_RATE_HZ), round(span.end_s * SAMPLE_RATE_HZ))
        kept[cut] = pcm[cut]
    return kept


def voice(hz: float, duration_s: float, level: float = 0.1) -> Pcm:
    """Pulses at a pitch, through a resonance: as much of a voice as pitch and spectrum need."""
    samples = round(duration_s * SAMPLE_RATE_HZ)
    t = np.arange(samples) / SAMPLE_RATE_HZ
    tones = [np.sin(2 * np.pi * hz * k * t) / (1 + abs(hz * k - 600) / 300) for k in range(1, int(4000 / hz))]
    sound = np.sum(tones, axis=0)
    return (level * sound / np.sqrt(np.mean(np.square(sound)))).astype(np.float32)


def mixed(settings: Ducking, transport_s: float = 0.1) -> tuple[Pcm, Pcm, Pcm]:
    """A mix as the meeting makes it, and the original and rendering in it."""
    original, rendering = noise(1), only_in(noise(2), SPURTS)
    late = np.concatenate((np.zeros(round(transport_s * SAMPLE_RATE_HZ), dtype=np.float32), original))
    state, limiter, heard = Duck(), Limit(), []
    for start in range(0, len(rendering), FRAME_SAMPLES):
        spoken = rendering[start : start + FRAME_SAMPLES]
        state, gains = duck(state, spoken, settings)
        limiter, frame = limit(limiter, late[start : start + FRAME_SAMPLES] * gains + spoken)
        heard.append(frame)
    return np.concatenate(heard), original, rendering


@pytest.mark.parametrize("depth_db", [-15.0, -8.0, -30.0])
def test_ducking_is_found_as_it_was_set(depth_db: float) -> None:
    settings = Ducking(depth_db=depth_db, attack_s=0.1, hold_s=0.5, release_s=0.8)
    found = mix.ducking_of(*mixed(settings), SPURTS)
    assert found is not None
    assert found.depth_db == pytest.approx(depth_db, abs=1.0)
    assert len(found.attacks_s) == 2
    assert max(found.attacks_s) == pytest.approx(0.1, abs=0.06)
    assert max(found.releases_s) == pytest.approx(0.5 + 0.8, abs=0.15)


def test_a_mix_that_comes_late_is_ducked_as_soon() -> None:
    heard, original, rendering = mixed(Ducking())
    late = np.concatenate((np.zeros(round(0.4 * SAMPLE_RATE_HZ), dtype=np.float32), heard))[: len(heard)]
    found = mix.ducking_of(late, original, rendering, SPURTS)
    assert found is not None
    assert found.attacks_s
    assert max(found.attacks_s) == pytest.approx(0.1, abs=0.06)
    assert max(found.releases_s) == pytest.approx(0.5 + 0.8, abs=0.15)


def test_no_ducking_is_a_depth_of_nothing() -> None:
    original, rendering = noise(1), only_in(noise(2), SPURTS)
    found = mix.ducking_of(original + rendering, original, rendering, SPURTS)
    assert found is not None
    assert found.depth_db == pytest.approx(0.0, abs=0.3)


def test_what_is_not_in_a_mix_is_not_found() -> None:
    assert mix.ducking_of(noise(3), noise(1), noise(2), SPURTS) is None
    assert mix.delay_samples(noise(3), noise(1)) is None
    assert mix.delay_samples(noise(3), np.zeros(100, dtype=np.float32)) is None
    assert mix.own_voice_db(noise(3), noise(1)) is None


def test_one_vowel_that_two_voices_share_is_not_ones_own_voice() -> None:
    vowel = 3 * noise(5)[:4800]
    mine, theirs = (only_in(noise(n), (Span(start_s=1.0, end_s=3.0),)) for n in (1, 2))
    mine[100_000:104_800] += vowel
    theirs[108_000:112_800] += vowel  # within a second of mine
    assert mix.delay_samples(theirs, mine) is None
    assert mix.own_voice_db(theirs, mine) is None


@pytest.mark.parametrize("level_db", [0.0, -20.0, -35.0])
def test_ones_own_voice_is_found_with_its_level(level_db: float) -> None:
    own, other = noise(1), noise(2)
    late = np.concatenate((np.zeros(4800, dtype=np.float32), own[:-4800]))
    heard = other + late * np.float32(10 ** (level_db / 20))
    assert mix.delay_samples(heard, own) == 4800
    assert mix.own_voice_db(heard, own) == pytest.approx(level_db, abs=1.5)


def test_clipping_is_counted_in_rows() -> None:
    pcm = np.zeros(1000, dtype=np.float32)
    pcm[100] = 1.0
    assert mix.clipped_samples(pcm) == 0
    pcm[200:203] = (-1.0, 1.0, 1.0)
    assert mix.clipped_samples(pcm) == 3


def test_a_peak_between_samples_is_found() -> None:
    t = np.arange(4800) / SAMPLE_RATE_HZ
    pcm = (0.9 * np.sin(2 * np.pi * 6000 * t + np.pi / 4)).astype(np.float32)  # its samples miss the peaks
    assert np.abs(pcm).max() < 0.64
    assert mix.true_peak_db(pcm[1000:-1000]) == pytest.approx(20 * np.log10(0.9), abs=0.6)
    assert mix.true_peak_db(np.zeros(10, dtype=np.float32)) == -120.0


def test_loudness_of_what_is_silent_or_short_is_none() -> None:
    assert mix.loudness_lufs(np.zeros(48_000, dtype=np.float32)) is None
    assert mix.loudness_lufs(noise(1, 0.2)) is None
    assert mix.loudness_lufs(noise(1)) is not None


def run_with(sounds: dict[str, Pcm]) -> RunLog:
    run = fake.constant_lag(2, 1.0)
    rendering = replace(run.renderings[0], spurts=SPURTS)
    return replace(run, duration_s=float(DURATION_S), renderings=(rendering,), sounds=sounds)


def test_every_score_of_a_mix() -> None:
    heard, original, rendering = mixed(Ducking())
    patient = noise(9)
    run = run_with(
        {
            mix_sound("patient"): heard,
            original_sound("doctor"): original,
            original_sound("patient"): patient,
            rendering_sound("doctor", "es"): rendering,
        }
    )
    scores = {one.name: one for one in mix.mix_scores([run])}
    assert scores["mix.duck_depth"].value == pytest.approx(-15.0, abs=1.0)
    assert scores["mix.own_voice.heard"].value == 0.0
    assert scores["mix.own_voice.heard"].note == "of 1 mixes"
    assert scores["mix.own_rendering.heard"].note == "of 0 mixes"
    assert scores["mix.clipped_samples"].value == 0.0
    assert scores["mix.true_peak"].value is not None
    assert scores["mix.true_peak"].value < 0.0
    assert scores["mix.rendering_over_original"].value == pytest.approx(0.0, abs=1.0)  # edges count half
    leaking = {**run.sounds, mix_sound("patient"): heard + patient * np.float32(0.1)}
    leaked = {one.name: one for one in mix.mix_scores([replace(run, sounds=leaking)])}
    assert leaked["mix.own_voice.heard"].value == 1.0
    assert leaked["mix.own_voice.level"].value == pytest.approx(-20.0, abs=1.0)
    back = {**run.sounds, mix_sound("doctor"): rendering * np.float32(0.5) + noise(7) * np.float32(0.1)}
    returned = {one.name: one for one in mix.mix_scores([replace(run, sounds=back)])}
    assert returned["mix.own_rendering.heard"].value == 1.0
    assert returned["mix.own_rendering.level"].value == pytest.approx(-6.0, abs=1.0)


@pytest.mark.parametrize("hz", [90.0, 130.0, 210.0, 330.0])
def test_pitch_is_found(hz: float) -> None:
    assert np.median(pitch_hz(voice(hz, 1.0))) == pytest.approx(hz, rel=0.02)


def test_noise_and_silence_have_no_pitch() -> None:
    assert len(pitch_hz(noise(1, 1.0))) < 5
    assert len(pitch_hz(np.zeros(100, dtype=np.float32))) == 0


def sentences(hz: list[float], level: list[float]) -> tuple[Pcm, tuple[Span, ...]]:
    """A sentence of a second every 5 s."""
    pcm = np.zeros(5 * SAMPLE_RATE_HZ * len(hz), dtype=np.float32)
    for n, (pitch, loud) in enumerate(zip(hz, level, strict=True)):
        start = 5 * SAMPLE_RATE_HZ * n
        pcm[start : start + SAMPLE_RATE_HZ] = voice(pitch, 1.0, loud)
    return pcm, voiced_spans(pcm)


def voice_scores_of(hz: list[float], level: list[float]) -> dict[str, Score]:
    pcm, spurts = sentences(hz, level)
    run = run_with({rendering_sound("doctor", "es"): pcm})
    run = replace(run, renderings=(replace(run.renderings[0], spurts=spurts),))
    return {one.name: one for one in voice_scores([run])}


def test_a_steady_voice_neither_drifts_nor_jumps() -> None:
    scores = voice_scores_of([120.0] * 12, [0.1] * 12)
    for name in ("voice.pitch_drift", "voice.level_drift", "voice.timbre_drift", "voice.pitch_jump.p95"):
        assert scores[name].value == pytest.approx(0.0, abs=0.05), name


def test_a_voice_that_rises_and_softens_drifts() -> None:
    hz = [120.0 * 2 ** (n / 12 / 12) for n in range(12)]  # a semitone a minute
    scores = voice_scores_of(hz, [0.1 * 10 ** (-6 * n / 12 / 20) for n in range(12)])  # and 6 dB softer
    assert scores["voice.pitch_drift"].value == pytest.approx(1.0, abs=0.15)
    assert scores["voice.level_drift"].value == pytest.approx(-6.0, abs=0.3)


def test_an_excited_sentence_is_a_jump() -> None:
    scores = voice_scores_of([120.0] * 6 + [180.0] + [120.0] * 5, [0.1] * 6 + [0.3] + [0.1] * 5)
    semitones = 12 * np.log2(1.5)
    assert scores["voice.pitch_jump.p95"].value == pytest.approx(semitones, abs=0.3)
    assert scores["voice.level_jump.p95"].value == pytest.approx(20 * np.log10(3), abs=0.3)


def test_another_voice_is_another_timbre() -> None:
    pcm, spurts = sentences([120.0] * 9, [0.1] * 9)
    third = 30 * SAMPLE_RATE_HZ
    pcm[third:] = np.convolve(pcm[third:], [1.0, -0.9], "same")  # the last third is thin
    run = run_with({rendering_sound("doctor", "es"): pcm})
    run = replace(run, renderings=(replace(run.renderings[0], spurts=spurts),))
    scores = {one.name: one for one in voice_scores([run])}
    assert scores["voice.timbre_drift"].value is not None
    assert scores["voice.timbre_drift"].value > 3.0


def test_short_sounds_are_no_sections() -> None:
    pcm, _ = sentences([120.0], [0.1])
    assert sections_of(pcm, (Span(start_s=0.0, end_s=0.5),)) == ()


@pytest.mark.speech
def test_a_files_rate_shifts_voice_segments_in_official_mode_only() -> None:
    from scenarios.speech import VOICES, Speaker, default_cache

    pcm = Speaker(default_cache()).say("The tablets are for your blood pressure.", VOICES["en"][0]).pcm
    track = np.concatenate((np.zeros(2 * SAMPLE_RATE_HZ, dtype=np.float32), pcm, np.zeros_like(pcm)))
    model = VoiceModel()
    firsts = {}
    for rate_hz in (16_000, 24_000, 48_000):
        samples = np.asarray(soxr.resample(track, SAMPLE_RATE_HZ, rate_hz), dtype=np.float32)
        firsts[rate_hz] = voice_segments(samples, rate_hz, model)[0].start_s
        official = voice_segments(samples, rate_hz, model, resample=False)
        if rate_hz == 24_000:
            assert official[0].start_s == pytest.approx(1.5 * firsts[rate_hz], abs=0.15)
    assert max(firsts.values()) - min(firsts.values()) <= 0.032 + 1e-9
    assert firsts[24_000] == pytest.approx(2.0, abs=0.1)
