"""Mouth to ear between two browsers in the hosted room, part by part, read from the sound itself.

    (a) capture to decoded   a sample is captured .. the newest sample of a frame is pulled, at the tick
    (b) frame and phase      the oldest sample of a frame waits for the newest: 80 ms, and the tick's lateness
    (c) engine and mix       tick .. mix handed over for playing
    (d) result to ear        handed over .. heard: cushion, Opus, network, the browser's own jitter buffer

(a) and (d) include the browsers' audio paths: what is compared is what their pages record.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from duplex_model.contract import FRAME_S
from duplex_model.spec import EngineSpec
from interpreter.metrics import Stage
from tests import netns
from tests.browser import stimuli
from tests.browser.chromium import Recording, participant
from tests.browser.hosted import HostedMeeting, hosted_meeting, join
from tests.journey import Sound, wall_s
from webrtc.room import SAMPLE_RATE_HZ

LISTEN_S = 16.0
SETTLE_S = 6.0
CALLS = 5


@dataclass(frozen=True)
class Timed:
    """Sound at 24 kHz on the wall clock."""

    start_s: float
    pcm: stimuli.Pcm


def of_recording(recording: Recording) -> Timed:
    """What a page recorded."""
    pcm = soxr.resample(recording.pcm, stimuli.MICROPHONE_RATE_HZ, SAMPLE_RATE_HZ)
    return Timed(recording.start_s, np.asarray(pcm, dtype=np.float32))


def of_frames(sound: Sound, last_s: float, offset_s: float) -> Timed:
    """What passed a tap; a frame's first sample counts as there `offset_s` after its time."""
    count = round(last_s / FRAME_S)
    times, frames = sound.at_s[-count:], sound.frames[-count:]
    starts = [at_s - index * FRAME_S for index, at_s in enumerate(times)]
    return Timed(wall_s(float(np.median(starts))) + offset_s, np.concatenate(frames))


def lag_ms(earlier: Timed, later: Timed) -> float:
    """How much later `later` has what `earlier` had, from the part both cover."""
    start = max(earlier.start_s, later.start_s)
    end = min(t.start_s + len(t.pcm) / SAMPLE_RATE_HZ for t in (earlier, later))
    cut = [
        t.pcm[round((start - t.start_s) * SAMPLE_RATE_HZ) : round((end - t.start_s) * SAMPLE_RATE_HZ)]
        for t in (earlier, later)
    ]
    return 1000 * stimuli.lag_s(cut[0], cut[1], SAMPLE_RATE_HZ)


async def measure() -> dict[str, float]:
    """One call; Ana and Ben speak two languages, so both her original and her rendering reach him."""
    with tempfile.TemporaryDirectory() as folder:
        voice = stimuli.microphone_file(Path(folder) / "ana.wav", language="en", tone_hz=440)
        quiet = stimuli.microphone_file(Path(folder) / "ben.wav", language="es", tone_hz=660)
        async with (
            hosted_meeting(EngineSpec(kind="loopback")) as hosted,
            participant(voice) as ana,
            participant(quiet) as ben,
        ):
            await join(ana, hosted.link, "Ana", "en")
            await join(ben, hosted.link, "Ben", "es")
            await ana.page.wait_for_timeout(1000 * SETTLE_S)
            await ana.record("microphone")
            await ben.record("heard")
            await ana.page.wait_for_timeout(1000 * LISTEN_S + 1000)
            spoken = of_recording(await ana.recording("microphone", LISTEN_S))
            heard = of_recording(await ben.recording("heard", LISTEN_S))
            return parts(hosted, spoken, heard)


def parts(hosted: HostedMeeting, spoken: Timed, heard: Timed) -> dict[str, float]:
    """Each part of one call, ms."""
    ana, ben = hosted.taps.peers
    pulled = of_frames(ana.pulled, LISTEN_S, offset_s=-FRAME_S)
    ready = of_frames(ben.ready, LISTEN_S, offset_s=0.0)
    stages = hosted.meeting.metrics.snapshot().stages
    late, readiness, cushion = (
        stages[name] for name in (Stage.TICK_LATENESS, Stage.READINESS, Stage.CUSHION)
    )
    capture_ms, ear_ms = lag_ms(spoken, pulled), lag_ms(ready, heard)
    return {
        "(a) capture to decoded, newest sample": capture_ms,
        "(b) frame and phase wait, p95": 1000 * FRAME_S + late.p95_ms,
        "(c) engine and mix, p50": readiness.p50_ms,
        "(c) engine and mix, p95": readiness.p95_ms,
        "(d) result to ear": ear_ms,
        "of it cushion, p50": cushion.p50_ms,
        "(a) + (d); goal: at most 120": capture_ms + ear_ms,
        "mouth to ear, measured as a whole": lag_ms(spoken, heard),
    }


def main() -> None:
    """Runs the benchmark."""
    calls = [asyncio.run(measure()) for _ in range(CALLS)]
    print(f"| part | ms, median of {CALLS} calls | least .. most |")
    print("|---|---|---|")
    for part in calls[0]:
        values = sorted(call[part] for call in calls)
        print(f"| {part} | {np.median(values):.0f} | {values[0]:.0f} .. {values[-1]:.0f} |")


if __name__ == "__main__":
    netns.enter()
    main()
