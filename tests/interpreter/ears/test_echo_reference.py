from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.echo_reference import KEPT_S, CaptureTimeline, Reference, Timeline

START = 1_000_000
START_S = START / SAMPLE_RATE_HZ


def frame(number: int) -> Pcm:
    """[1920] whose samples name their place."""
    return np.arange(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES, dtype=np.float32) + 1


def filled(frames: int) -> Reference:
    reference = Reference()
    for number in range(frames):
        reference.put(frame(number), START_S + number * FRAME_S)
    return reference


@given(st.integers(1, 70), st.integers(-90_000, 140_000), st.integers(0, 10_000))
def test_what_was_put_is_read_at_its_position(frames: int, offset: int, samples: int) -> None:
    pcm = filled(frames).read(START + offset, samples)
    places = offset + np.arange(samples)
    end = frames * FRAME_SAMPLES
    kept = (places >= max(0, end - round(KEPT_S * SAMPLE_RATE_HZ))) & (places < end)
    np.testing.assert_array_equal(pcm, np.where(kept, places + 1, 0))


@given(st.lists(st.floats(-0.019, 0.019), min_size=1, max_size=40))
def test_a_wobble_of_the_sending_leaves_no_seam(wobbles_s: list[float]) -> None:
    reference = Reference()
    for number, wobble_s in enumerate([0.0, *wobbles_s]):
        reference.put(frame(number), START_S + number * FRAME_S + wobble_s)
    pcm = reference.read(START, (1 + len(wobbles_s)) * FRAME_SAMPLES)
    np.testing.assert_array_equal(pcm, 1 + np.arange(len(pcm)))


def test_what_was_left_out_is_silence() -> None:
    reference = Reference()
    for number in (0, 1, 4, 5, 300):
        reference.put(frame(number), START_S + number * FRAME_S)
    early = reference.read(START + 299 * FRAME_SAMPLES, 2 * FRAME_SAMPLES)
    np.testing.assert_array_equal(early, np.concatenate((np.zeros(FRAME_SAMPLES), frame(300))))
    assert not reference.read(START, 6 * FRAME_SAMPLES).any()  # forgotten
    reference = Reference()
    for number in (0, 1, 4):
        reference.put(frame(number), START_S + number * FRAME_S)
    gap = np.zeros(2 * FRAME_SAMPLES)
    np.testing.assert_array_equal(
        reference.read(START, 5 * FRAME_SAMPLES), np.concatenate((frame(0), frame(1), gap, frame(4)))
    )


def test_a_timeline_tells_a_jump_from_a_wobble() -> None:
    timeline = Timeline(0.01)
    assert timeline.place(1.0) == (24_000, False)
    assert timeline.place(1.0 + FRAME_S + 0.009) == (24_000 + FRAME_SAMPLES, True)
    assert timeline.place(1.0 + 2 * FRAME_S + 0.015) == (
        24_000 + 2 * FRAME_SAMPLES,
        True,
    )  # 6 ms since the last
    assert timeline.place(1.0 + 3 * FRAME_S + 0.06) == (round(1.3 * 24_000), False)


def steady_timeline() -> CaptureTimeline:
    """Of eight frames without a move."""
    timeline = CaptureTimeline()
    for number in range(9):
        timeline.place(START_S + number * FRAME_S)
    return timeline


@given(st.lists(st.integers(60, 900) | st.integers(-900, -60) | st.just(0), max_size=8), st.booleans())
def test_pieces_taken_out_or_put_in_are_followed_to_the_sample(slips: list[int], same_way: bool) -> None:
    timeline, position = steady_timeline(), START + 8 * FRAME_SAMPLES
    for slip in [abs(slip) for slip in slips] if same_way else slips[:4]:
        position += FRAME_SAMPLES + slip
        assert timeline.place(position / SAMPLE_RATE_HZ) == (position, slip == 0)


def test_a_clock_that_wobbles_moves_nothing_and_one_that_jumps_does() -> None:
    timeline, chance = CaptureTimeline(), np.random.default_rng(0)
    for number, wobble_s in enumerate([0.0, *chance.uniform(-0.004, 0.004, 200)]):
        at_s = START_S + number * FRAME_S + wobble_s
        assert timeline.place(at_s) == (START + number * FRAME_SAMPLES, number > 0)
    position = START + 300 * FRAME_SAMPLES
    assert timeline.place(position / SAMPLE_RATE_HZ) == (position, False)


def test_a_drift_moves_nothing() -> None:
    timeline = CaptureTimeline()
    for number in range(1_000):
        at_s = START_S + number * FRAME_S * (1 + 250e-6)
        assert timeline.place(at_s)[0] == START + number * FRAME_SAMPLES
