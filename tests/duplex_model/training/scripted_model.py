"""A model for tests that says what it was told to, frame by frame, and hears nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from duplex_model.batch_model import BatchStep, Mask, Upkeep
from duplex_model.contract import FRAME_SAMPLES, Capabilities, Pcm, Prompt, StepFlag

Script = Mapping[int, str]
"""Frame -> the text written in it; `SOUND` is said without any, `UNSURE` abstains."""

SOUND = "~"
UNSURE = "?"


@dataclass
class _Lane:
    script: Script
    frame: int = 0
    notice: int | None = None
    hushed: bool = False
    heard: list[Pcm] = field(default_factory=list)


class ScriptedModel:
    """A `BatchModel`: the seed of a trial names its script. An interruption ends the script, a notice replaces it."""

    def __init__(self, scripts: Sequence[Script], lanes: int = 2) -> None:
        self.scripts = scripts
        self.heard: dict[int, Pcm] = {}
        self._lanes: list[_Lane | None] = [None] * lanes
        self._seeds = [-1] * lanes

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            checkpoint="scripted",
            licence="",
            languages={"*": frozenset({"*"})},
            translates=True,
            lanes=len(self._lanes),
        )

    def prepare(self, prompt: Prompt, seed: int) -> Callable[[int], Iterator[None]]:
        def take_in(lane: int) -> Iterator[None]:
            self._lanes[lane] = _Lane(self.scripts[seed % len(self.scripts)])
            self._seeds[lane] = seed
            yield

        return take_in

    def step(self, pcm: Pcm, executing: Mask) -> BatchStep:
        count = len(self._lanes)
        said = np.zeros((count, FRAME_SAMPLES), np.float32)
        text, flags, done = [""] * count, [StepFlag.NONE] * count, [()] * count
        for index in np.flatnonzero(executing).tolist():
            lane = self._lanes[index]
            assert lane is not None
            lane.heard.append(pcm[index].copy())
            word = "" if lane.hushed else lane.script.get(lane.frame, "")
            if word:
                said[index] = 0.1
                text[index] = "" if word in (SOUND, UNSURE) else word
            if word == UNSURE:
                flags[index], said[index] = StepFlag.UNSURE, 0
            if lane.notice is not None:
                flags[index] |= StepFlag.AS_SELF
                if lane.frame == max(lane.script):
                    done[index], lane.notice = (lane.notice,), None
            lane.frame += 1
        return BatchStep(pcm=said, finite=np.ones(count, bool), text=text, flags=flags, notices_done=done)

    def say(self, lane: int, notice: int, text: str, now: bool) -> tuple[int, ...]:
        speaking = self._lanes[lane]
        assert speaking is not None
        speaking.notice = notice
        speaking.script = {2 * index: f" {word}" for index, word in enumerate(text.split(), 1)}
        return ()

    def interrupt(self, lane: int) -> tuple[int, ...]:
        speaking = self._lanes[lane]
        assert speaking is not None
        speaking.hushed = True
        return ()

    def end_input(self, lane: int) -> None:
        raise AssertionError("trials never end their input")

    def upkeep(self) -> Sequence[Upkeep]:
        return ()

    def keep_up(self, lane: int) -> None:
        raise AssertionError("there is no upkeep")

    def snapshot(self, lane: int) -> Iterator[bytes]:
        raise AssertionError("trials are not copied")

    def restore(self, lane: int, state: bytes) -> Iterator[None]:
        raise AssertionError("trials are not copied")

    def clear(self, lane: int) -> None:
        speaking = self._lanes[lane]
        if speaking is not None and speaking.heard:
            self.heard[self._seeds[lane]] = np.concatenate(speaking.heard)
        self._lanes[lane] = None
