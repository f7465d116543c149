import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from duplex_model.training.speech.augment import augment, by_telephone, in_room, tilted, with_noise

RATE_HZ = 24_000


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(frequency_hz: float, samples: int = RATE_HZ, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency_hz * np.arange(samples) / RATE_HZ)).astype(np.float32)


def power(pcm: np.ndarray) -> float:
    return float(np.mean(np.square(pcm, dtype=np.float64)))


def gain_db(after: np.ndarray, before: np.ndarray) -> float:
    return 10 * np.log10(power(after) / power(before))


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), samples=st.integers(0, 5_000), strength=st.floats(0, 1))
def test_augmented_sound_keeps_its_length_and_range_and_is_decided_by_the_generator(
    seed: int, samples: int, strength: float
) -> None:
    pcm = generator(seed + 1).uniform(-1, 1, samples).astype(np.float32)
    before = pcm.copy()
    augmented = augment(pcm, generator(seed), strength)
    assert augmented.dtype == np.float32
    assert augmented.shape == pcm.shape
    assert np.isfinite(augmented).all()
    assert np.abs(augmented).max(initial=0) <= 1
    assert np.array_equal(pcm, before)
    assert np.array_equal(augmented, augment(pcm, generator(seed), strength))


def test_strength_decides_how_much_is_changed() -> None:
    pcm = tone(440)
    assert np.array_equal(augment(pcm, generator(), 0), pcm)

    def change(strength: float) -> float:
        return np.mean([power(augment(pcm, generator(seed), strength) - pcm) for seed in range(40)])

    assert change(0.1) < change(0.5) < change(1.0)


def test_silence_stays_silent() -> None:
    silence = np.zeros(RATE_HZ, np.float32)
    for seed in range(20):
        assert np.abs(augment(silence, generator(seed), 1.0)).max() < 1e-6


@pytest.mark.parametrize(("strength", "shape"), [(-0.1, (10,)), (1.1, (10,)), (0.5, (1, 10))])
def test_what_is_no_sound_or_no_strength_is_refused(strength: float, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        augment(np.zeros(shape, np.float32), generator(), strength)


def test_a_room_answers_after_the_direct_sound_and_decays() -> None:
    click = np.zeros(RATE_HZ, np.float32)
    click[1_000] = 1
    heard = in_room(click, generator(), decay_s=0.3, direct_db=6)
    assert np.abs(heard[:1_000]).max() < 1e-6
    assert heard[1_000] == pytest.approx(1, abs=1e-5)
    echoes = heard[1_048:]
    assert power(echoes) * len(echoes) == pytest.approx(10**-0.6, rel=1e-3)
    early, late = echoes[: RATE_HZ // 20], echoes[RATE_HZ // 5 : RATE_HZ // 4]
    assert gain_db(late, early) == pytest.approx(-60 * 0.2 / 0.3, abs=3)


@pytest.mark.parametrize("snr_db", [0, 10, 30])
def test_noise_has_the_level_asked_for_relative_to_the_sound_not_to_its_pauses(snr_db: float) -> None:
    sound = tone(440)
    sound[RATE_HZ // 2 :] = 0
    noise = with_noise(sound, generator(), snr_db, tilt_db=-3) - sound
    assert gain_db(noise, sound[: RATE_HZ // 2]) == pytest.approx(-snr_db, abs=0.2)


def test_tilt_is_per_octave_and_keeps_the_energy() -> None:
    both = tone(500) + tone(1_000)
    changed = np.abs(np.fft.rfft(tilted(both, 3)))
    assert 20 * np.log10(changed[1_000] / changed[500]) == pytest.approx(3, abs=0.1)
    assert power(tilted(both, 3)) == pytest.approx(power(both), rel=1e-4)


def test_the_telephone_passes_its_band_alone_with_the_error_of_eight_bits() -> None:
    inside = tone(1_000)
    assert gain_db(by_telephone(tone(6_000)), inside) < -25
    assert gain_db(by_telephone(tone(50)), inside) < -25
    assert -45 < gain_db(by_telephone(inside) - inside, inside) < -25
