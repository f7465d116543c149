"""Our own voice in a microphone: the echo matrix, and what voice activity and echo cost per frame.

    python -m tests.bench.echo

Both voices are espeak-ng's, each cell is 12 s twice: in a silent room, and with the person speaking most of the time.
"In" are frames in which a detector of voices hears us in the microphone of the silent room; of these a session hears
"before" until the echo is known, and "after" then. "Lost" is the share of the person's frames that were silenced, or no
longer heard as speech. A cost is CPU time for one participant's frame of 80 ms.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears.echo import EchoCanceller
from interpreter.ears.voice_activity import VoiceActivity
from interpreter.ears.voice_model import VoiceModel
from tests.bench import machine
from tests.interpreter.echo_paths import (
    GRIDS_APART_S,
    MATRIX,
    START_S,
    Path,
    measure,
    noise,
    ours,
    returned,
    theirs,
)

SETTLED_FRAMES = 25  # an echo is known by then, and the canceller works


def main() -> None:
    model = VoiceModel()
    print("| room | level dB | delay ms | loop gain dB | in | before | after | lost % |")
    print("|---|---|---|---|---|---|---|---|")
    for path in MATRIX:
        cell = measure(path, model)
        print(
            f"| {path.room.value} | {path.level_db:.0f} | {1000 * path.delay_s:.0f} | {cell.loop_gain_db:.0f} "
            f"| {cell.raw_frames} | {cell.leaked_frames} | {cell.passed_frames + cell.passed_beside_frames} "
            f"| {cell.lost_percent:.1f} |",
            flush=True,
        )
    print("\n| per frame | median ms | p99 ms |\n|---|---|---|")
    silence = np.zeros_like(ours())
    room, speech = noise(len(silence)), theirs()
    near = speech + room
    echo = {level_db: returned(ours(), Path(delay_s=0.15, level_db=level_db)) for level_db in (-20, -40)}
    _print_cost("voice activity, silence", _listening(model), silence)
    _print_cost("voice activity, speech", _listening(model), near)
    _print_cost("echo, nothing was sent", _cleaning(silence), near)
    _print_cost("echo, none (headphones)", _cleaning(ours()), near)
    _print_cost("echo of -40 dB, gated", _cleaning(ours()), echo[-40] + room)
    _print_cost("echo of -20 dB, cancelled", _cleaning(ours()), echo[-20] + room)


def _listening(model: VoiceModel) -> Callable[[int, Pcm], object]:
    activity = VoiceActivity(model)
    return lambda number, pcm: activity.advance(pcm, number * FRAME_S)


def _cleaning(sent: Pcm) -> Callable[[int, Pcm], object]:
    canceller = EchoCanceller()
    frames = sent.reshape(-1, FRAME_SAMPLES)

    def clean(number: int, pcm: Pcm) -> object:
        at_s = START_S + number * FRAME_S
        canceller.sent(frames[number], at_s)
        return canceller.clean(pcm, at_s + GRIDS_APART_S)

    return clean


def _print_cost(name: str, work: Callable[[int, Pcm], object], pcm: Pcm) -> None:
    took_ms = []
    for number, frame in enumerate(pcm.reshape(-1, FRAME_SAMPLES)):
        begun_ns = time.process_time_ns()
        work(number, frame)
        took_ms.append((time.process_time_ns() - begun_ns) / 1e6)
    settled_ms = took_ms[SETTLED_FRAMES:]
    print(f"| {name} | {statistics.median(settled_ms):.2f} | {np.quantile(settled_ms, 0.99):.2f} |")


if __name__ == "__main__":
    print(machine.describe())
    main()
