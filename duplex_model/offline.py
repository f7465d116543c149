"""One recording through one session, frame by frame, as fast as the engine answers: for evaluation and for trying out.

Every frame is fed only when the one before was answered, so nothing is late or dropped however slow the engine is,
and the result is the same at any speed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import (
    FRAME_S,
    FRAME_SAMPLES,
    Capabilities,
    EndsInput,
    Engine,
    Pcm,
    Prompt,
    StepOutput,
)
from duplex_model.errors import PromptError
from duplex_model.spec import Report

Now = Callable[[], float]
"""Monotonic seconds."""


@dataclass(frozen=True)
class Piece:
    """A piece of the inner monologue."""

    text: str
    """A leading space starts a word."""

    time_s: float
    """Where in the output the frame begins in which it was said."""


@dataclass(frozen=True, kw_only=True)
class OfflineTiming:
    """What a run took."""

    open_s: float
    """From asking for the session until its prompt was in."""

    step_p50_ms: float
    """Of single frames, from feeding one to having its answer."""

    step_p99_ms: float
    step_max_ms: float
    real_time_factor: float
    """Time for all frames over their length; below 1 is faster than speech."""


@dataclass(frozen=True, kw_only=True)
class OfflineResult:
    """What a session said to a recording."""

    pcm: Pcm
    """[frames * 1920] at 24 kHz."""

    pieces: tuple[Piece, ...]
    frames: int
    timing: OfflineTiming

    @property
    def text(self) -> str:
        """The whole inner monologue."""
        return "".join(piece.text for piece in self.pieces).strip()

    def as_json(self) -> Mapping[str, object]:
        """`{"text", "pieces": [{"text", "time_s"}], "frames", "timing"}`, of values that JSON can spell."""
        return {
            "text": self.text,
            "pieces": [{"text": piece.text, "time_s": piece.time_s} for piece in self.pieces],
            "frames": self.frames,
            "timing": dict(vars(self.timing)),
        }


def choose_languages(capabilities: Capabilities, heard: str | None, said: str | None) -> tuple[str, str]:
    """The first direction of a checkpoint that is what was asked for; None asks for nothing in particular.

    Into another language first: an answer in the language heard is a transcription.

    Raises:
        PromptError: there is none; the message lists those there are.
    """
    for language, answers in capabilities.languages.items():
        hears = (heard or said or "en") if language == "*" else language
        for answer in sorted(answers, key=lambda answer: (answer == language, answer)):
            says = (said or hears) if answer == "*" else answer
            if heard in (None, hears) and said in (None, says):
                return hears, says
    served = ", ".join(f"{h} to {s}" for h, out in capabilities.languages.items() for s in sorted(out))
    raise PromptError(
        f"expected a direction that {capabilities.checkpoint} serves ({served}), got {heard} to {said}"
    )


def run_offline(
    engine: Engine,
    prompt: Prompt,
    pcm: Pcm,
    *,
    seed: int,
    report: Report,
    tail_s: float = 0.0,
    now: Now = time.monotonic,
) -> OfflineResult:
    """Feeds a whole recording to a session of its own.

    Args:
        engine: with a free lane.
        prompt: of the session.
        pcm: [T] at 24 kHz; its last frame is filled up with silence.
        seed: of the session.
        report: the share of frames done, in this thread.
        tail_s: silence fed after the recording, so that an interpreter that lags can finish. Where the session
            can be told that the speaker has finished, it is told so with the first frame of it.
        now: clock of the timing.

    Raises:
        DuplexModelError: what the engine raised.
    """
    spoken_frames = -(-len(pcm) // FRAME_SAMPLES)
    frames = spoken_frames + round(tail_s / FRAME_S)
    heard = np.pad(pcm, (0, frames * FRAME_SAMPLES - len(pcm))).reshape(-1, FRAME_SAMPLES)
    outputs: list[StepOutput] = []
    asked_s = now()
    with engine.open(prompt, seed=seed).result() as session:
        times_s = [now()]
        for frame in heard:
            if len(outputs) == spoken_frames and isinstance(session, EndsInput):
                session.end_input()
            outputs.append(session.feed(frame).result())
            times_s.append(now())
            report(len(outputs) / len(heard), f"{len(outputs) * FRAME_S:.1f} of {len(heard) * FRAME_S:.1f} s")
    return OfflineResult(
        pcm=np.concatenate([output.pcm for output in outputs]),
        pieces=tuple(
            Piece(output.text, round(frame * FRAME_S, 2))
            for frame, output in enumerate(outputs)
            if output.text
        ),
        frames=len(outputs),
        timing=_timing(asked_s, np.array(times_s)),
    )


def _timing(asked_s: float, times_s: np.ndarray[tuple[int], np.dtype[np.float64]]) -> OfflineTiming:
    """From when the session was asked for, and when it was open and each frame answered."""
    steps_ms = 1000 * np.diff(times_s)
    return OfflineTiming(
        open_s=float(times_s[0] - asked_s),
        step_p50_ms=float(np.percentile(steps_ms, 50)),
        step_p99_ms=float(np.percentile(steps_ms, 99)),
        step_max_ms=float(steps_ms.max()),
        real_time_factor=float((times_s[-1] - times_s[0]) / (len(steps_ms) * FRAME_S)),
    )
