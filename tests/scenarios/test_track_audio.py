from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model.contract import TickGrid
from scenarios.track_audio import TrackAudio
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, IncomingAudio, Pcm

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ


def counted(samples: int) -> Pcm:
    """Samples that tell their own number."""
    return np.arange(1, samples + 1, dtype=np.float32)


@given(
    origin_s=st.floats(0, 1e6),
    start_s=st.floats(0, 3),
    network_s=st.floats(0, 0.5),
    samples=st.integers(1, 3 * SAMPLE_RATE_HZ),
)
def test_every_sample_is_heard_once_and_in_its_time(
    origin_s: float, start_s: float, network_s: float, samples: int
) -> None:
    grid = TickGrid(origin_s=origin_s)
    audio: IncomingAudio = TrackAudio(counted(samples), start_s=origin_s + start_s, network_s=network_s)
    frames = [audio.pull(grid.time_of(tick)) for tick in range(100)]
    heard = np.concatenate([frame.pcm for frame in frames])
    sounding = np.flatnonzero(heard)
    np.testing.assert_array_equal(heard[sounding], counted(samples))
    assert sounding[-1] - sounding[0] == samples - 1
    captured_at_s = frames[0].captured_at_s + sounding[0] / SAMPLE_RATE_HZ
    assert captured_at_s == pytest.approx(origin_s + start_s, abs=1 / SAMPLE_RATE_HZ)
    for tick, frame in enumerate(frames):
        assert frame.pcm.shape == (FRAME_SAMPLES,)
        assert frame.pcm.dtype == np.float32
        assert frame.silent == (not frame.pcm.any())
        assert frame.captured_at_s == pytest.approx(grid.time_of(tick) - FRAME_S - network_s)


def test_the_sound_of_a_tick_left_out_is_lost() -> None:
    audio = TrackAudio(counted(5 * FRAME_SAMPLES), network_s=0.0)
    heard = [audio.pull(tick * FRAME_S).pcm[0] for tick in (1, 2, 4, 5)]
    assert [(first - 1) / FRAME_SAMPLES for first in heard] == [0, 1, 3, 4]
