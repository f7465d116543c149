"""Free-running trials: recordings played to a served model, many at once, each in a lane of its own.

Nothing the model should say is ever given to it, and what it hears does not wait for it. Two things depend on what
the model does, because they would not make sense at a fixed moment: a listener interrupts *while it speaks*, and a
speaker says "mm-hmm" or goes on *while it speaks*. A `Cue` says when and what.

    trial        |  silence  |  speech  |      silence      |  speech  |  tail  |
    own speech                      |  says  ...
    cue                                  ^ after so many audible frames
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from duplex_model.batch_model import BatchModel
from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm, Prompt, StepFlag
from duplex_model.errors import Unsupported
from duplex_model.sound import level_dbfs
from duplex_model.spec import Report

AUDIBLE_DBFS = -45.0
"""A frame above this counts as speech: own voices are at about -24, what a codec makes of silence is below -60."""

NOTICE = 1


@dataclass(frozen=True, kw_only=True)
class Cue:
    """Something that happens once the model is speaking."""

    after_audible_frames: int
    """How many frames of own speech there must have been ..."""

    not_before_frame: int = 0
    """... from this one on."""

    not_after_frame: int | None = None
    """A later moment is of no use: the cue is then left out."""

    interrupts: bool = False
    """A listener interrupts."""

    heard: Pcm | None = None
    """[n] that the speaker says, added to what is heard."""

    tail_frames: int = 0
    """Frames that must follow it; the trial grows if it would end before."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one session is told, and what it hears."""

    prompt: Prompt
    heard: Pcm
    """[1920 F], its tail of silence included."""

    seed: int = 0
    notice: str = ""
    """To be said as the interpreter itself, from the first frame on; empty for nothing."""

    cue: Cue | None = None


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """What the model said in a trial."""

    pcm: Pcm
    """[1920 F]."""

    pieces: tuple[tuple[int, str], ...]
    """Frame, and the piece of text that came with it; a leading space starts a word."""

    unsure_frames: tuple[int, ...] = ()
    """Frames in which the model abstained."""

    as_self_frames: tuple[int, ...] = ()
    notice_done_frame: int | None = None
    cue_frame: int | None = None
    """The first frame that the cue could change; None where it never came."""

    @property
    def frames(self) -> int:
        """F."""
        return len(self.pcm) // FRAME_SAMPLES

    @property
    def text(self) -> str:
        """Everything said."""
        return self.text_between(0, self.frames)

    def text_between(self, first: int, end: int) -> str:
        """What was said in words that began in frames `first` to `end - 1`."""
        return " ".join(word for frame, word in self.words if first <= frame < end)

    @property
    def words(self) -> tuple[tuple[int, str], ...]:
        """Frame in which each word began, and the word."""
        words: list[tuple[int, str]] = []
        for frame, piece in self.pieces:
            for index, part in enumerate(piece.split(" ")):
                if index or not words:
                    words.append((frame, part))
                else:
                    words[-1] = (words[-1][0], words[-1][1] + part)
        return tuple((frame, word) for frame, word in words if word)

    @property
    def audible(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Bool [F]: frames in which something is heard of it."""
        frames = self.pcm.reshape(-1, FRAME_SAMPLES)
        return np.array([level_dbfs(frame) > AUDIBLE_DBFS for frame in frames], dtype=bool)


@dataclass
class _Lane:
    """A trial in progress."""

    number: int
    trial: Trial
    heard: Pcm
    said: list[Pcm] = field(default_factory=list)
    pieces: list[tuple[int, str]] = field(default_factory=list)
    unsure: list[int] = field(default_factory=list)
    as_self: list[int] = field(default_factory=list)
    notice_done: int | None = None
    cue_frame: int | None = None
    audible: int = 0

    @property
    def frame(self) -> int:
        return len(self.said)

    @property
    def over(self) -> bool:
        return self.frame * FRAME_SAMPLES >= len(self.heard)

    def next_heard(self) -> Pcm:
        return self.heard[self.frame * FRAME_SAMPLES : (self.frame + 1) * FRAME_SAMPLES]

    def due(self) -> Cue | None:
        """The cue, if this is its moment."""
        cue = self.trial.cue
        if cue is None or self.cue_frame is not None or self.audible < cue.after_audible_frames:
            return None
        late = cue.not_after_frame is not None and self.frame > cue.not_after_frame
        return None if late else cue

    def take(self, cue: Cue) -> None:
        """Adds to what is heard from now on."""
        self.cue_frame = self.frame
        added = np.zeros(0, np.float32) if cue.heard is None else cue.heard
        begin = self.frame * FRAME_SAMPLES
        end = begin + len(added)
        needed = end + cue.tail_frames * FRAME_SAMPLES
        samples = -(-max(needed, len(self.heard)) // FRAME_SAMPLES) * FRAME_SAMPLES
        self.heard = np.pad(self.heard, (0, samples - len(self.heard)))
        self.heard[begin:end] += added

    def stepped(self, pcm: Pcm, text: str, flags: StepFlag, notice_done: bool) -> None:
        frame = self.frame
        self.said.append(pcm.copy())
        if text:
            self.pieces.append((frame, text))
        if StepFlag.UNSURE in flags:
            self.unsure.append(frame)
        if StepFlag.AS_SELF in flags:
            self.as_self.append(frame)
        if notice_done:
            self.notice_done = frame
        cue = self.trial.cue
        if cue is not None and frame >= cue.not_before_frame:
            self.audible += level_dbfs(pcm) > AUDIBLE_DBFS

    def result(self) -> Rollout:
        return Rollout(
            pcm=np.concatenate(self.said),
            pieces=tuple(self.pieces),
            unsure_frames=tuple(self.unsure),
            as_self_frames=tuple(self.as_self),
            notice_done_frame=self.notice_done,
            cue_frame=self.cue_frame,
        )


def run_trials(model: BatchModel, trials: Sequence[Trial], *, report: Report) -> list[Rollout]:
    """Plays every trial to its end, in the order in which lanes become free; results are in the order given.

    The longest come first, so that the last steps are not made for one lane alone.

    Args:
        model: as served; its lanes are cleared.
        trials: to play.
        report: the share of frames done.

    Raises:
        PromptError: a prompt cannot be served.
        Unsupported: a notice cannot be said, or a lane's numbers became infinite.
    """
    order = sorted(range(len(trials)), key=lambda number: -len(trials[number].heard))
    waiting = deque(order)
    lanes: list[_Lane | None] = [None] * model.capabilities.lanes
    results: dict[int, Rollout] = {}
    total = max(sum(len(trial.heard) for trial in trials) // FRAME_SAMPLES, 1)
    done = 0
    while waiting or any(lanes):
        for index, lane in enumerate(lanes):
            if lane is None and waiting:
                lanes[index] = _begin(model, index, waiting.popleft(), trials)
        done += _step(model, lanes)
        for index, lane in enumerate(lanes):
            if lane is not None and lane.over:
                results[lane.number] = lane.result()
                lanes[index] = None
                model.clear(index)
        report(min(done / total, 1.0), f"{done * FRAME_S:.0f} of {total * FRAME_S:.0f} s")
    return [results[number] for number in range(len(trials))]


def _begin(model: BatchModel, index: int, number: int, trials: Sequence[Trial]) -> _Lane:
    trial = trials[number]
    model.clear(index)
    for _ in model.prepare(trial.prompt, trial.seed)(index):
        pass
    if trial.notice:
        model.say(index, NOTICE, trial.notice, now=True)
    frames = max(-(-len(trial.heard) // FRAME_SAMPLES), 1)
    heard = np.pad(trial.heard, (0, frames * FRAME_SAMPLES - len(trial.heard))).astype(np.float32)
    return _Lane(number, trial, heard)


def _step(model: BatchModel, lanes: Sequence[_Lane | None]) -> int:
    """One frame of every trial in progress; how many there are."""
    heard = np.zeros((len(lanes), FRAME_SAMPLES), np.float32)
    executing = np.array([lane is not None for lane in lanes])
    for index, lane in enumerate(lanes):
        if lane is None:
            continue
        cue = lane.due()
        if cue is not None:
            lane.take(cue)
            if cue.interrupts:
                model.interrupt(index)
        heard[index] = lane.next_heard()
    step = model.step(heard, executing)
    for index, lane in enumerate(lanes):
        if lane is None:
            continue
        if not step.finite[index]:
            raise Unsupported(f"expected finite numbers, got others in trial {lane.number}")
        lane.stepped(step.pcm[index], step.text[index], step.flags[index], NOTICE in step.notices_done[index])
    return int(executing.sum())
