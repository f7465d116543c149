from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.aec3 import DELAY_SAMPLES, Aec3

SILENCE = np.zeros(FRAME_SAMPLES, dtype=np.float32)


def noise(frames: int, dbfs: float, seed: int = 0) -> Pcm:
    samples = np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), (frames, FRAME_SAMPLES))
    return samples.astype(np.float32)


def level_db(pcm: Pcm) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm)) + 1e-12))


def test_an_echo_is_taken_out_within_a_second() -> None:
    sent = noise(25, -20).reshape(-1)
    echo = 0.1 * np.concatenate((np.zeros(720, dtype=np.float32), sent))[: len(sent)]
    canceller = Aec3()
    cleaned = [
        canceller.clean(near, far)
        for near, far in zip(echo.reshape(-1, FRAME_SAMPLES), sent.reshape(-1, FRAME_SAMPLES), strict=True)
    ]
    assert level_db(np.concatenate(cleaned[13:])) < level_db(echo) - 20


def test_a_voice_alone_comes_out_as_late_as_stated_and_as_loud() -> None:
    near = noise(50, -25)
    canceller = Aec3()
    out = np.array([canceller.clean(frame, SILENCE) for frame in near])
    windows = (pcm[2:].reshape(-1, 2 * FRAME_SAMPLES) * np.hanning(2 * FRAME_SAMPLES) for pcm in (near, out))
    before, after = (np.fft.rfft(window) for window in windows)
    band = slice(round(1_000 / 6.25), round(5_000 / 6.25))
    transfer = (np.sum(after * np.conj(before), axis=0) / np.sum(np.abs(before) ** 2, axis=0))[band]
    radians_per_hz = np.polyfit(np.arange(len(transfer)) * 6.25, np.unwrap(np.angle(transfer)), 1)[0]
    assert -radians_per_hz / (2 * np.pi) * SAMPLE_RATE_HZ == pytest.approx(DELAY_SAMPLES, abs=6)
    assert level_db(out[2:]) == pytest.approx(level_db(near[2:]), abs=1.5)  # nothing above 11 kHz


def test_the_same_goes_in_the_same_comes_out() -> None:
    near, sent = noise(8, -30, 1), noise(8, -20, 2)
    first, second = Aec3(), Aec3()
    for near_frame, sent_frame in zip(near, sent, strict=True):
        np.testing.assert_array_equal(
            first.clean(near_frame, sent_frame), second.clean(near_frame, sent_frame)
        )


def test_what_is_too_loud_is_clipped_not_wrapped() -> None:
    canceller = Aec3()
    loud = np.full(FRAME_SAMPLES, 3.0, dtype=np.float32) * np.sign(noise(1, -20)[0])
    for _ in range(4):
        cleaned = canceller.clean(loud, SILENCE)
    assert np.abs(cleaned).max() <= 1.0
    assert np.isfinite(cleaned).all()


def test_the_library_opens_no_connection_and_writes_nothing() -> None:
    script = (
        "import os, numpy as np\n"
        "from interpreter.ears.aec3 import Aec3\n"
        "zeros = np.zeros(1920, dtype=np.float32)\n"
        "Aec3().clean(zeros, zeros)\n"
        "mine = {os.readlink(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')\n"
        "        if os.path.lexists(f'/proc/self/fd/{fd}')}\n"
        "inodes = {name[8:-1] for name in mine if name.startswith('socket:')}\n"
        "for table in ('tcp', 'tcp6', 'udp', 'udp6', 'raw'):\n"
        "    rows = open(f'/proc/self/net/{table}').read().splitlines()[1:]\n"
        "    assert not inodes & {row.split()[9] for row in rows}, table\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
