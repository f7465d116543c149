"""A model of a few lines for the engine: what a lane says depends on its seed and on all it heard, only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np

from duplex_model.batch_model import BatchStep, Mask, Upkeep
from duplex_model.contract import (
    FRAME_SAMPLES,
    Capabilities,
    Pcm,
    Prompt,
    SayCapability,
    StepFlag,
    TickGrid,
)
from duplex_model.errors import PromptError, Unsupported

GRID = TickGrid(origin_s=100.0)
PROMPT = Prompt(role_text="p" * 3, language_in="es", language_out="en")
"""Three pieces long."""


class HandClock:
    """Monotonic time that only moves when told; what is to happen at a time happens when it passes."""

    def __init__(self, now_s: float = GRID.origin_s) -> None:
        self.now_s = now_s
        self._events: list[tuple[float, Callable[[], object]]] = []

    def __call__(self) -> float:
        return self.now_s

    def at(self, time_s: float, call: Callable[[], object]) -> None:
        """Calls in order of time."""
        self._events.append((time_s, call))
        self._events.sort(key=lambda event: event[0])

    @property
    def next_event_s(self) -> float:
        return self._events[0][0] if self._events else inf

    def move_to(self, time_s: float) -> None:
        while self.next_event_s <= time_s:
            self.now_s, call = self._events.pop(0)
            call()
        self.now_s = max(self.now_s, time_s)


@dataclass
class _Lane:
    memory: float = 0.0
    notices: list[tuple[int | None, int]] = field(default_factory=list)
    """Number and frames left of each text to be said."""


class SumModel:
    """Every lane adds up what it hears; each text takes as many frames as it has words."""

    def __init__(self, lanes: int, clock: HandClock | None = None, *, step_s: float = 0.01) -> None:
        self.capabilities = Capabilities(
            checkpoint="sum",
            licence="ours",
            languages={"es": frozenset({"en"})},
            translates=True,
            lanes=lanes,
            say=SayCapability.TRAINED,
        )
        self.lanes = [_Lane() for _ in range(lanes)]
        self.clock = clock
        self.step_s = step_s
        self.piece_s = 0.02
        self.steps: list[tuple[int, ...]] = []
        self.pieces: list[int] = []
        self.cleared: list[int] = []
        self.break_with: BaseException | None = None
        self.on_step: Callable[[], None] | None = None
        self.upkeep_left: dict[int, tuple[int, bool]] = {}
        """Lane -> pieces of upkeep it needs, and whether they are due."""

        self.kept_up: list[int] = []
        self.inputs_ended: list[int] = []

    def prepare(self, prompt: Prompt, seed: int) -> Callable[[int], Iterator[None]]:
        if prompt.voice:
            raise PromptError(f"expected no voice, got {prompt.voice}")

        def take_in(lane: int) -> Iterator[None]:
            assert self.lanes[lane] == _Lane(), "a session must find its lane clear"
            for _ in range(len(prompt.role_text) - 1):
                self._spend_piece(lane)
                yield
            self._spend_piece(lane)
            if "!" in prompt.role_text:
                raise PromptError("expected a prompt without '!'")
            self.lanes[lane].memory = float(seed)

        return take_in

    def step(self, pcm: Pcm, executing: Mask) -> BatchStep:
        self.steps.append(tuple(np.flatnonzero(executing)))
        self._spend(self.step_s)
        if self.on_step is not None:
            self.on_step()
        if self.break_with is not None:
            raise self.break_with
        flags = [StepFlag.NONE] * len(self.lanes)
        done: list[tuple[int, ...]] = [()] * len(self.lanes)
        out = np.full_like(pcm, 0.5)
        for number in np.flatnonzero(executing):
            lane = self.lanes[number]
            lane.memory = 0.5 * lane.memory + float(pcm[number].sum())
            out[number] = lane.memory
            flags[number], done[number] = self._speak(lane)
        finite = np.isfinite(out[:, 0])
        text = [f" {value:g}" for value in out[:, 0]]
        return BatchStep(pcm=out, finite=finite, text=text, flags=flags, notices_done=done)

    def say(self, lane: int, notice: int, text: str, now: bool) -> tuple[int, ...]:
        if not text:
            raise Unsupported("expected a text, got none")
        cut_off = self.interrupt(lane) if now else ()
        self.lanes[lane].notices.append((notice, len(text.split())))
        return cut_off

    def interrupt(self, lane: int) -> tuple[int, ...]:
        cut_off = tuple(notice for notice, _ in self.lanes[lane].notices if notice is not None)
        self.lanes[lane].notices.clear()
        return cut_off

    def end_input(self, lane: int) -> None:
        self.inputs_ended.append(lane)

    def upkeep(self) -> Sequence[Upkeep]:
        return [Upkeep(lane, due) for lane, (_, due) in self.upkeep_left.items()]

    def keep_up(self, lane: int) -> None:
        self._spend(self.piece_s)
        self.kept_up.append(lane)
        left, due = self.upkeep_left.pop(lane)
        if left > 1:
            self.upkeep_left[lane] = left - 1, due

    def snapshot(self, lane: int) -> Iterator[bytes]:
        state = json.dumps([self.lanes[lane].memory, [left for _, left in self.lanes[lane].notices]])
        for byte in state.encode():
            self._spend(self.piece_s)
            yield bytes([byte])

    def restore(self, lane: int, state: bytes) -> Iterator[None]:
        if not state.startswith(b"["):
            raise Unsupported("expected a state of this model")
        memory, left = json.loads(state)
        self._spend(self.piece_s)
        yield
        self.lanes[lane] = _Lane(memory, [(None, frames) for frames in left])

    def clear(self, lane: int) -> None:
        self.cleared.append(lane)
        self.lanes[lane] = _Lane()

    def _speak(self, lane: _Lane) -> tuple[StepFlag, tuple[int, ...]]:
        if not lane.notices:
            return StepFlag.NONE, ()
        notice, left = lane.notices[0]
        lane.notices[0] = (notice, left - 1)
        if left > 1:
            return StepFlag.AS_SELF, ()
        lane.notices.pop(0)
        return StepFlag.AS_SELF, () if notice is None else (notice,)

    def _spend_piece(self, lane: int) -> None:
        self.pieces.append(lane)
        self._spend(self.piece_s)

    def _spend(self, seconds: float) -> None:
        if self.clock is not None:
            self.clock.move_to(self.clock.now_s + seconds)


def noise(seed: int) -> Pcm:
    """A frame."""
    return np.random.default_rng(seed).standard_normal(FRAME_SAMPLES).astype(np.float32)
