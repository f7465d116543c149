"""The engine contract: what every engine promises, whatever runs inside it.

An engine advances on one **tick grid**. Each 80 ms tick it takes the frames that have arrived, steps them as one
batch, and answers each with a `StepOutput`. A `Session` is one lane of that batch, under one `Prompt`; it hears
exactly one speaker's track.

    with engine.open(prompt, seed=7).result() as session:
        output = session.feed(frame).result()  # frame: float32 [1920]

Futures are `concurrent.futures.Future`: this package knows no asyncio (callers await them with
`asyncio.wrap_future`). They complete on an engine thread, so callbacks must be short and thread-safe.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import floor
from types import TracebackType
from typing import Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from duplex_model.errors import FrameError

Pcm = NDArray[np.float32]
"""Mono pcm at 24 kHz, float32, nominally in [-1, 1]."""

SAMPLE_RATE_HZ = 24_000  # Mimi, arXiv:2410.00037 section 3.3
FRAME_SAMPLES = 1_920  # 12.5 frames a second
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ  # 0.08 exactly


@dataclass(frozen=True, kw_only=True)
class TickGrid:
    """The one clock of the media path: tick n is at `origin_s + n * period_s` on `time.monotonic`.

    All meetings of an engine follow its grid, so that all of them share one batch. The grid outlives the process
    that computes on it: a replacement engine is started on the same origin.
    """

    origin_s: float
    """Monotonic time of tick 0."""

    period_s: float = FRAME_S
    """Distance of two ticks."""

    def time_of(self, tick: int) -> float:
        """Monotonic time of `tick`, computed from the origin so that rounding never accumulates."""
        return self.origin_s + tick * self.period_s

    def next_tick(self, now_s: float) -> int:
        """The first tick that lies strictly after `now_s`."""
        return self.tick_at(now_s) + 1

    def tick_at(self, now_s: float) -> int:
        """The tick that `now_s` belongs to: the last one not after it."""
        tick = floor((now_s - self.origin_s) / self.period_s)
        # The quotient may round down at a tick itself, and a wait for that tick would then never end.
        return tick + 1 if self.time_of(tick + 1) <= now_s else tick


Mode = Literal["simultaneous", "consecutive", "transcription"]
"""While the speaker goes on; whole turns, after a pause; or what was heard as text alone, nothing said."""


class LongCalls(enum.Enum):
    """What becomes of a call that has passed the longest sequence seen in training (see `long_call`)."""

    SINKS = "sinks"  # goes on: the ring turns behind the pinned prompt
    REFRESH = "refresh"  # at a silence, prompt and recent frames are computed anew at small positions
    RESTART = "restart"  # at a pause, begins anew and remembers nothing


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a session is told before it hears anything."""

    role_text: str = ""
    """Interpreter persona, in the style the checkpoint was trained on; may be empty."""

    voice: str = ""
    """Name of a voice the engine knows, or a path to one; empty for the checkpoint's default voice."""

    language_in: str
    """BCP 47 tag of the language heard."""

    language_out: str
    """BCP 47 tag of the language spoken."""

    mode: Mode = "simultaneous"
    """How to interpret, where the checkpoint can be told."""

    long_calls: LongCalls | None = None
    """One of `Capabilities.long_calls`; None for the engine's own way."""


class SayCapability(enum.Enum):
    """Whether an engine can speak a given text as the interpreter itself."""

    TRAINED = "trained"
    UNTESTED = "untested"  # works by forcing text; the caller must opt in
    NO = "no"


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a checkpoint can do; shown to hosts, and the reason a direction is accepted or refused."""

    checkpoint: str
    licence: str
    languages: Mapping[str, frozenset[str]]
    """Language heard -> languages it can be answered in. `"*"` on either side stands for any language."""

    translates: bool
    lanes: int
    """Sessions that may be open at once."""

    say: SayCapability = SayCapability.NO
    role_text: bool = False
    voice_prompt: bool = False
    context_frames: int | None = None
    """Frames the model attends to, or None where the notion does not apply."""

    long_calls: frozenset[LongCalls] = frozenset()
    """What a session may choose to become of a long call; empty where the notion does not apply."""

    domain: str = ""
    """What the checkpoint was made for, in words for a host; empty when general."""

    demonstration: Mapping[str, str] = field(default_factory=dict)
    """Language -> what everybody in a meeting must be told of a checkpoint that only demonstrates; empty for others."""

    transcribes: frozenset[str] = frozenset()
    """Languages in which what is heard can be written down: a session from the language into itself, `Mode`
    transcription."""

    fingerprint: str = ""
    """SHA-256 that names the checkpoint's files (see `fingerprint`); empty where it has none."""

    voices: Mapping[str, str] = field(default_factory=dict)
    """Name of every voice a prompt may name -> SHA-256 of its file."""

    def serves(self, language_in: str, language_out: str) -> bool:
        """Whether speech in `language_in` can be answered in `language_out`."""
        spoken = self.languages.get(language_in, frozenset()) | self.languages.get("*", frozenset())
        return language_out in spoken or "*" in spoken


class StepFlag(enum.Flag):
    """Remarks on one step."""

    NONE = 0
    AS_SELF = enum.auto()  # the interpreter speaks as itself (a notice), it does not render the speaker
    UNSURE = enum.auto()  # the model abstained; the speaker should be asked to repeat
    LATE = enum.auto()  # stepped after the tick its frame belonged to
    CONCEALED = enum.auto()  # the frame heard was, in part, concealed loss


@dataclass(frozen=True, kw_only=True)
class StepTiming:
    """Monotonic times of one step, for latency by row of the frame's journey."""

    received_s: float
    """The engine took the frame."""

    started_s: float
    """The step's batch began."""

    finished_s: float
    """The output was ready."""


@dataclass(frozen=True, kw_only=True)
class StepOutput:
    """What a session says in the 80 ms after hearing one frame."""

    pcm: Pcm
    """[1920], 24 kHz."""

    text: str
    """Piece of the inner monologue begun in this frame; empty for padding. A leading space starts a word.

    Whole characters only: one that takes several frames to spell comes with the last of them.
    """

    timing: StepTiming
    flags: StepFlag = StepFlag.NONE
    heard_text: str | None = None
    """Piece of what was heard, where a transcription lane runs; None where none does."""


@dataclass(frozen=True)
class Snapshot:
    """A session's whole state, to continue it in another lane, engine or process."""

    checkpoint: str
    """The checkpoint it may be restored into; no other accepts it."""

    state: bytes = field(repr=False)
    """Opaque to everybody but that engine."""


class Session(Protocol):
    """One lane of an engine under one prompt, from `Engine.open` to `close`. Thread-safe."""

    def feed(self, frame: Pcm, *, concealed: bool = False) -> Future[StepOutput]:
        """Hears the next 80 ms.

        Args:
            frame: pcm [1920]. Frames are stepped in the order fed, one step each.
            concealed: part of the frame is concealed loss; echoed as `StepFlag.CONCEALED`.

        Returns:
            The answer to exactly this frame. Fails with `SessionFailed` or `SessionClosed`.

        Raises:
            FrameError: wrong shape or dtype; the session goes on.
            SessionClosed: the session was closed before.
        """
        ...

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        """Speaks `text` as the interpreter itself, in frames flagged `AS_SELF`; done when the last was stepped.

        Args:
            text: what to say, in the session's output language.
            now: begin with the next frame instead of after the rendering in progress.

        Raises:
            Unsupported: `Capabilities.say` is `NO`.
        """
        ...

    def interrupt(self) -> None:
        """Stops speaking: fades out, and the model's state forgets what was not heard."""
        ...

    def snapshot(self) -> Future[Snapshot]:
        """The state after the last fed frame."""
        ...

    def restore(self, snapshot: Snapshot) -> Future[None]:
        """Continues from `snapshot`.

        Raises:
            Unsupported: the snapshot is another checkpoint's.
        """
        ...

    def close(self) -> None:
        """Frees the lane; open futures fail with `SessionClosed`. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@runtime_checkable
class EndsInput(Protocol):
    """A session that can be told that its speaker has finished, for good: the end of a recording, not a pause."""

    def end_input(self) -> None:
        """Tells it, with the next frame fed; the silence fed from then on gives it time to say the rest.

        A checkpoint that was not trained to be told so hears that frame as any other.
        """
        ...


class Engine(Protocol):
    """Sessions on one tick grid. Thread-safe."""

    @property
    def capabilities(self) -> Capabilities:
        """What the loaded checkpoint can do."""
        ...

    @property
    def grid(self) -> TickGrid:
        """The grid every meeting of this engine follows."""
        ...

    @property
    def sessions_open(self) -> int:
        """Lanes in use, opening ones included."""
        ...

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """Takes a lane at once and prepares it in the ticks' spare time.

        Args:
            prompt: persona, voice and languages.
            seed: a session's output is a function of (checkpoint, prompt, seed, frames heard) and of nothing else. The
                one exception is a call refreshed at a silence while others are due too (ADR 14).

        Raises:
            EngineFull: no lane is free. The future fails with it when there is no spare time to prepare the lane.
            PromptError: the prompt cannot be served. The future fails with it when only the engine itself can tell.
            EngineDied: the engine is gone and not back yet.
        """
        ...

    def close(self) -> None:
        """Closes every session, then the device or process. Closing twice is harmless."""
        ...


EngineKind = Literal["loopback", "scripted", "neural"]
"""Kinds of engines; only `neural` needs a checkpoint."""


def check_frame(frame: Pcm) -> Pcm:
    """`frame`, or `FrameError` saying what was expected and what came."""
    if not isinstance(frame, np.ndarray) or frame.shape != (FRAME_SAMPLES,) or frame.dtype != np.float32:
        came = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise FrameError(f"expected a frame of float32 [{FRAME_SAMPLES}], got {came}")
    return frame
