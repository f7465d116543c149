from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.sessions.hold import Said
from interpreter.sessions.renderings import MAX_LAG_FRAMES, Renderings
from tests.fakes import tone
from webrtc.room import FRAME_SAMPLES, Pcm

SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)


def mark(n: int) -> Pcm:
    """A loud frame that says its number in the middle, away from the fades."""
    return np.full(FRAME_SAMPLES, 0.001 * (n + 1), dtype=np.float32) + 0.01


def number(pcm: Pcm) -> int | None:
    middle = float(pcm[FRAME_SAMPLES // 2])
    return None if middle == 0.0 else round((middle - 0.01) / 0.001) - 1


def test_an_answer_in_time_is_played_in_its_tick_bit_by_bit() -> None:
    renderings = Renderings()
    for n in range(5):
        renderings.put(n, Said(pcm=tone(400.0, n)))
        np.testing.assert_array_equal(renderings.take(n).pcm, tone(400.0, n))
    assert renderings.underruns == renderings.lag_frames == 0


def test_an_answer_never_plays_before_its_tick() -> None:
    renderings = Renderings()
    renderings.put(3, Said(pcm=mark(3)))
    assert number(renderings.take(2).pcm) is None
    assert number(renderings.take(3).pcm) == 3


def test_late_speech_is_played_late_and_whole() -> None:
    renderings = Renderings()
    renderings.put(0, Said(pcm=mark(0)))
    played = [number(renderings.take(0).pcm), number(renderings.take(1).pcm), number(renderings.take(2).pcm)]
    for n in range(1, 4):
        renderings.put(n, Said(pcm=mark(n)))
    played += [number(renderings.take(n).pcm) for n in (3, 4, 5)]
    assert played == [0, None, None, 1, 2, 3]
    assert renderings.underruns == 2
    assert renderings.lag_frames == 2


def test_silence_is_left_out_to_catch_up() -> None:
    renderings = Renderings()
    renderings.put(0, Said(pcm=mark(0)))
    renderings.take(0)
    for n, pcm in enumerate([mark(1), SILENCE, SILENCE, mark(4), SILENCE, mark(6)], start=1):
        renderings.put(n, Said(pcm=pcm))
    assert [number(renderings.take(n).pcm) for n in (4, 5, 6)] == [1, 4, 6]
    assert renderings.lag_frames == 0
    assert renderings.skipped_silent == 3


def test_silence_in_time_is_played() -> None:
    renderings = Renderings()
    for n in range(4):
        renderings.put(n, Said(pcm=SILENCE))
        assert not renderings.take(n).pcm.any()
    assert renderings.skipped_silent == renderings.underruns == 0


def test_nothing_counts_as_missing_before_the_first_answer() -> None:
    renderings = Renderings()
    assert not renderings.take(0).pcm.any()
    assert renderings.underruns == 0


def test_the_lag_is_bounded_by_dropping_the_oldest() -> None:
    renderings = Renderings()
    for n in range(100):
        renderings.put(n, Said(pcm=mark(n)))
    assert number(renderings.take(99).pcm) == 99 - MAX_LAG_FRAMES
    assert renderings.dropped == 99 - MAX_LAG_FRAMES


@pytest.mark.parametrize("hz", [200.0, 437.0])
def test_no_joint_clicks(hz: float) -> None:
    renderings = Renderings()
    heard: list[Pcm] = []
    for n in range(30):
        if n % 5 != 2:
            renderings.put(n, Said(pcm=tone(hz, n, peak=0.5)))
        heard.append(renderings.take(n).pcm)
    heard.append(renderings.finish().pcm)
    # The tone's own slope, and that of a 5 ms fade of its peak.
    bound = 0.5 * 2 * np.pi * hz / 24_000 + 2 * 0.5 / 120
    assert np.abs(np.diff(np.concatenate(heard))).max() <= bound
    assert not heard[-1][120:].any()


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=200))
def test_every_answer_is_played_left_out_or_dropped_once_and_in_order(
    arrivals: list[tuple[int, bool]],
) -> None:
    renderings = Renderings()
    heard: list[int] = []
    given_out = loud = 0
    for tick, (count, is_loud) in enumerate(arrivals):
        for _ in range(min(count, tick + 1 - given_out)):
            renderings.put(given_out, Said(pcm=mark(given_out) if is_loud else SILENCE))
            loud += is_loud
            given_out += 1
        pcm = renderings.take(tick).pcm
        assert pcm.shape == (FRAME_SAMPLES,)
        n = number(pcm)
        if n is not None:
            heard.append(n)
            assert tick - n <= MAX_LAG_FRAMES
            assert tick - n == renderings.lag_frames
    assert heard == sorted(set(heard))
    still_waiting = loud - len(heard) - renderings.dropped
    assert still_waiting <= MAX_LAG_FRAMES + 1


def test_no_text_is_left_out_with_silence_or_lateness() -> None:
    renderings = Renderings()
    for n in range(40):
        renderings.put(n, Said(pcm=SILENCE if n % 2 else mark(n), text=f" w{n}"))
    text = "".join(renderings.take(n).text for n in range(39, 90))
    assert text == "".join(f" w{n}" for n in range(40))
