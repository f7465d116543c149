from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears.echo import Cleaned, EchoCanceller
from interpreter.ears.voice_model import VoiceModel
from tests.interpreter import echo_paths
from tests.interpreter.echo_paths import (
    DELAYS_S,
    GRIDS_APART_S,
    HANG_FRAMES,
    MATRIX,
    START_S,
    THEIRS,
    Outcome,
    Path,
    Room,
    Slips,
    cleaned,
    joined,
    level_dbfs,
    noise,
    ours,
    returned,
    talk,
    theirs,
    voiced,
)

pytestmark = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="needs espeak-ng")

ECHO = Path(delay_s=0.15, level_db=-20)
ASSERTED = tuple(path for path in MATRIX if path.level_db <= -20 and path.delay_s < 0.6)
REPORTED = tuple(path for path in MATRIX if path not in ASSERTED)
REPRESENTATIVE = (
    Path(delay_s=0.06, level_db=-20, room=Room.LOSSY),
    Path(delay_s=0.3, level_db=-20, room=Room.REVERBERANT),
    Path(delay_s=0.15, level_db=-30),
    Path(delay_s=0.15, level_db=-40, room=Room.REVERBERANT),
)
STEERED = Slips(shortest_s=0.003, longest_s=0.0099, most=5)
"""By a receive buffer, through jitter: pitch periods of most voices, one per frame."""

SLIPPING = (
    (ECHO, STEERED),
    (ECHO, Slips(shortest_s=0.003, longest_s=0.015, most=5, seed=2)),
    (ECHO, Slips(shortest_s=0.01, longest_s=0.015)),
    (Path(delay_s=0.06, level_db=-30), Slips(shortest_s=0.003, longest_s=0.015, most=5, seed=1)),
    (Path(delay_s=0.06, level_db=-30), Slips(shortest_s=0.01, longest_s=0.015)),
    (ECHO, Slips(shortest_s=0.01, longest_s=0.015, told=False)),
    (ECHO, Slips(shortest_s=0.01, longest_s=0.015, told=False, seed=1)),
    (Path(delay_s=0.06, level_db=-30), Slips(shortest_s=0.01, longest_s=0.015, told=False)),
    # As browsers do on a busy machine, as far as 60 ms in three frames:
    (ECHO, Slips(shortest_s=0.008, longest_s=0.02, most=3, told=False)),
    (ECHO, Slips(shortest_s=0.008, longest_s=0.02, most=3, told=False, seed=5)),
)
FOUND_AFTER_S = 0.4
"""An echo is known so long after its first sound."""


@pytest.fixture(scope="module")
def model() -> VoiceModel:
    return VoiceModel()


def _figures(frames: Sequence[Cleaned]) -> list[tuple[bool, bool, float | None, float | None]]:
    return [(frame.gated, frame.converged, frame.delay_s, frame.erle_db) for frame in frames]


def check(outcome: Outcome) -> None:
    assert outcome.loop_gain_db < -20, outcome
    assert outcome.passed_frames == 0, outcome
    assert outcome.passed_beside_frames == 0, outcome
    assert outcome.lost_percent <= 3, outcome


@pytest.mark.slow
@pytest.mark.parametrize("path", REPRESENTATIVE, ids=str)
def test_our_voice_does_not_come_back_and_theirs_is_not_lost(path: Path, model: VoiceModel) -> None:
    outcome = echo_paths.measure(path, model)
    assert outcome.raw_frames > 60  # there is something to take out
    check(outcome)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "slips"), [SLIPPING[0], *(pytest.param(*cell, marks=pytest.mark.slow) for cell in SLIPPING[1:])]
)
def test_sound_that_slips_brings_none_of_ours_back(
    path: Path, slips: Slips, model: VoiceModel, measured: Callable[[str], None]
) -> None:
    outcome = echo_paths.measure(path, model, slips)
    assert outcome.raw_frames > 200
    assert outcome.loop_gain_db < (-44 if slips.told else -40), outcome
    assert outcome.passed_frames == 0, outcome
    assert outcome.passed_beside_frames <= 1, outcome
    assert outcome.lost_percent <= 5, outcome
    measured(f"{path}, {slips}: {outcome.lost_percent:.1f} % of theirs lost")


@pytest.mark.slow
@pytest.mark.parametrize("room", Room)
def test_the_whole_matrix(room: Room, model: VoiceModel, measured: Callable[[str], None]) -> None:
    for path in ASSERTED:
        if path.room is room:
            check(echo_paths.measure(path, model))
    for path in REPORTED:
        if path.room is room:
            outcome = echo_paths.measure(path, model)
            measured(
                f"{path.delay_s * 1e3:.0f} ms, {path.level_db:.0f} dB: loop gain {outcome.loop_gain_db:.0f} dB, "
                f"{outcome.passed_frames} frames of ours passed, {outcome.lost_percent:.1f} % of theirs lost"
            )


def test_every_cell_of_the_matrix_is_there() -> None:
    assert len(MATRIX) == len(set(MATRIX)) == len(DELAYS_S) * 4 * 3


def test_without_an_echo_the_very_same_samples_pass() -> None:
    near = (theirs() + noise(len(theirs()))).reshape(-1, FRAME_SAMPLES)
    canceller = EchoCanceller()
    for number, sent in enumerate(ours().reshape(-1, FRAME_SAMPLES)):
        at_s = START_S + number * FRAME_S
        canceller.sent(sent, at_s)
        frame = canceller.clean(near[number], at_s + GRIDS_APART_S)
        assert np.shares_memory(frame.pcm, near)
        assert frame.pcm.shape == (FRAME_SAMPLES,)
        assert _figures([frame]) == [(False, False, None, None)]


@pytest.mark.slow
def test_an_echo_that_is_none_costs_nobody_a_word(model: VoiceModel) -> None:
    """Two voices of one synthesiser have phases in common, and are now and then taken for an echo."""
    sent, speech = talk(THEIRS, "es", 60.0, 3), theirs(60.0)
    near = speech + noise(len(speech))
    frames = cleaned(sent, near)
    assert any(frame.delay_s is not None for frame in frames)
    alone, heard = voiced(near, model), voiced(joined(frames), model)
    assert (alone & ~heard).sum() <= 0.02 * alone.sum()
    assert sum(frame.gated for frame in frames) <= 0.01 * len(frames)


@pytest.mark.parametrize("delay_s", [0.06, 0.3, 0.95])
def test_the_delay_is_counted_from_sending_to_capture(delay_s: float) -> None:
    sent = ours()
    frames = cleaned(sent, returned(sent, Path(delay_s=delay_s, level_db=-20)) + noise(len(sent)))
    first = next(number for number, frame in enumerate(frames) if frame.delay_s is not None)
    begins_s = float(np.argmax(np.abs(sent) > 0.02)) / 24_000 + delay_s
    assert (first + 1) * FRAME_S - begins_s < FOUND_AFTER_S
    assert {round(frame.delay_s, 2) for frame in frames[first:] if frame.delay_s} == {round(delay_s, 2)}
    assert frames[-1].converged
    assert frames[-1].erle_db is not None
    assert frames[-1].erle_db > 15


def test_frames_that_are_late_or_early_by_milliseconds_make_no_difference(model: VoiceModel) -> None:
    sent = ours()
    near = returned(sent, ECHO) + noise(len(sent))
    chance = np.random.default_rng(0)
    canceller, frames = EchoCanceller(), []
    for number in range(len(sent) // FRAME_SAMPLES):
        part = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        at_s = START_S + number * FRAME_S
        # The cushion of the sender grows, and shrinks again; a clock is estimated a little differently each time.
        canceller.sent(sent[part], at_s + 0.1 * np.sin(number / 20) ** 2)
        frames.append(canceller.clean(near[part], at_s + GRIDS_APART_S + chance.uniform(-0.004, 0.004)))
    up = next(number for number, frame in enumerate(frames) if frame.delay_s is not None)
    assert up < 10
    assert not voiced(joined(frames), model)[up + HANG_FRAMES :].any()


@pytest.mark.parametrize("moved_s", [0.12, 0.165, 0.4])
def test_an_echo_that_moves_is_followed(moved_s: float, model: VoiceModel) -> None:
    sent, moves = ours(), 90
    near = np.concatenate(
        (
            returned(sent, ECHO)[: moves * FRAME_SAMPLES],
            returned(sent, Path(delay_s=moved_s, level_db=-20))[moves * FRAME_SAMPLES :],
        )
    )
    frames = cleaned(sent, near + noise(len(sent)))
    heard = voiced(joined(frames), model)
    assert frames[-1].delay_s == pytest.approx(moved_s, abs=0.001)
    assert frames[-1].converged
    assert heard[moves:].sum() <= 4  # until the new delay is known


@pytest.mark.slow
def test_a_clock_that_drifts_is_followed(model: VoiceModel) -> None:
    sent = ours(24.0)
    places = np.arange(len(sent))
    near = np.interp(places * (1 - 250e-6), places, returned(sent, ECHO)).astype(np.float32)
    frames = cleaned(sent, near + noise(len(sent)))
    assert not voiced(joined(frames), model)[12:].any()
    assert frames[-1].delay_s == pytest.approx(ECHO.delay_s + 250e-6 * 24.0, abs=0.001)


@pytest.mark.slow
def test_headphones_end_it() -> None:
    sent = ours(36.0)
    near = theirs(36.0) + noise(len(sent))
    near[: 60 * FRAME_SAMPLES] = (returned(sent, ECHO) + noise(len(sent)))[: 60 * FRAME_SAMPLES]
    frames = cleaned(sent, near)
    assert frames[60].converged
    end = next(number for number, frame in enumerate(frames) if number > 60 and frame.delay_s is None)
    assert 250 <= end - 60 <= 360  # 20 s in which something sounds
    assert all(frame.delay_s is None for frame in frames[end:])
    np.testing.assert_array_equal(joined(frames[end + 1 :]), near[(end + 1) * FRAME_SAMPLES :])
    # Nothing they said meanwhile was taken for an echo.
    assert sum(frame.gated for frame in frames[64:]) <= 0.02 * len(frames)


def test_a_microphone_that_is_muted_for_a_while_is_found_again(model: VoiceModel) -> None:
    sent = ours()
    near = returned(sent, ECHO) + noise(len(sent))
    near[60 * FRAME_SAMPLES : 90 * FRAME_SAMPLES] = 0.0
    frames = cleaned(sent, near)
    assert not voiced(joined(frames), model)[12:].any()
    assert not joined(frames[62:90]).any()


def test_no_change_of_what_passes_makes_a_click() -> None:
    sent = ours(30.0)
    echo = returned(sent, Path(delay_s=0.15, level_db=-40))
    echo[50 * FRAME_SAMPLES :] = 0.0
    sine = (0.1 * np.sin(2 * np.pi * 200 * np.arange(len(sent)) / 24_000)).astype(np.float32)
    sine[: 20 * FRAME_SAMPLES] = 0.0
    sine[40 * FRAME_SAMPLES : 45 * FRAME_SAMPLES] = 0.0  # a whole number of periods
    frames = cleaned(sent, echo + sine)
    known = [frame.delay_s is not None for frame in frames]
    assert known[0] is known[-1] is False
    assert True in known
    assert True in [frame.gated for frame in frames]
    assert np.abs(np.diff(joined(frames))).max() < 0.01


def test_the_same_call_is_cleaned_the_same() -> None:
    sent = ours()
    near = returned(sent, ECHO) + noise(len(sent)) + theirs()
    first, second = cleaned(sent, near), cleaned(sent, near)
    np.testing.assert_array_equal(joined(first), joined(second))
    assert _figures(first) == _figures(second)


def test_a_voice_loud_above_the_echo_passes_untouched_but_late() -> None:
    sent, speech = ours(), theirs()
    near = returned(sent, Path(delay_s=0.15, level_db=-30)) + noise(len(sent))
    near[75 * FRAME_SAMPLES :] += speech[75 * FRAME_SAMPLES :]
    frames = cleaned(sent, near)
    late = joined(frames)[80 * FRAME_SAMPLES :]
    assert level_dbfs(late) == pytest.approx(level_dbfs(near[80 * FRAME_SAMPLES :]), abs=0.5)
    loud = [
        number
        for number in range(80, 149)
        if level_dbfs(near[number * FRAME_SAMPLES :][:FRAME_SAMPLES]) > -30
    ]
    same = [
        np.array_equal(
            frames[number].pcm[240:], near[number * FRAME_SAMPLES + 240 - 224 :][: FRAME_SAMPLES - 240]
        )
        for number in loud
    ]
    assert np.mean(same) > 0.9


@pytest.mark.parametrize("pcm", [np.zeros(960, np.float32), np.full(FRAME_SAMPLES, np.inf, np.float32)])
def test_a_frame_that_would_spoil_the_averages_is_refused(pcm: Pcm) -> None:
    with pytest.raises(ValueError, match="expected 1920 finite samples"):
        EchoCanceller().clean(pcm, START_S)
    with pytest.raises(ValueError, match="expected 1920 finite samples"):
        EchoCanceller().sent(pcm, START_S)
