"""What the engine asks of a model: lanes that are stepped as one batch, each in a state of its own.

The engine knows when; the model knows what. Arrays cross here in the host's memory, so that the engine needs no
tensor library, and a test can bring a model of a few lines.

Two promises make a session independent of its neighbours:
- every step runs at the full width of the batch, whatever few lanes take part, and a lane that does not take part
  stays as it is to the last bit;
- a prefill always runs at the same width, and is cut at places that its prompt alone decides, never by how much
  time there was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import Capabilities, Pcm, Prompt, StepFlag

Mask = NDArray[np.bool_]
"""[B], one entry per lane."""


@dataclass(frozen=True, kw_only=True)
class BatchStep:
    """What the lanes say in one step; the entries of lanes that did not take part mean nothing."""

    pcm: Pcm
    """[B, 1920]."""

    finite: Mask
    """False where NaN or infinity arose; such a lane must be cleared before it is used again."""

    text: Sequence[str]
    """[B], as `StepOutput.text`."""

    flags: Sequence[StepFlag]
    """[B], what the model knows of its own speech: `AS_SELF` and `UNSURE`."""

    notices_done: Sequence[tuple[int, ...]]
    """[B], numbers given to `BatchModel.say` whose last frame this is."""


@dataclass(frozen=True)
class Upkeep:
    """A lane that a piece of work would be good for."""

    lane: int
    due: bool
    """Whether it had better be done before the lane's next step; otherwise, when there is time."""


Prefill = Callable[[int], Iterator[None]]
"""Takes a prompt into the lane given: one piece at every `next`, all the same size, until the iterator ends.

A prompt whose state is cached is in after one. May raise a `DuplexModelError`: this prompt cannot be taken in.
"""


class BatchModel(Protocol):
    """Lanes 0 … `capabilities.lanes` - 1 on one device.

    Only the engine's thread calls it, except for `capabilities` and `prepare`. A `RuntimeError` or `MemoryError`
    out of any call means that the device is lost, and with it every lane. What takes long is an iterator, of which
    the engine takes a piece when there is time; meanwhile it leaves that lane alone and steps others.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What the checkpoint can do; `lanes` is the width of the batch."""
        ...

    def prepare(self, prompt: Prompt, seed: int) -> Prefill:
        """Checks a prompt and makes it ready, without the device; from any thread.

        Raises:
            PromptError: the prompt cannot be served.
        """
        ...

    def step(self, pcm: Pcm, executing: Mask) -> BatchStep:
        """Hears [B, 1920] and says [B, 1920] in the lanes of `executing`; no other lane changes."""
        ...

    def say(self, lane: int, notice: int, text: str, now: bool) -> tuple[int, ...]:
        """Takes `text` to be spoken as the interpreter itself; the notices that `now` cut off.

        `notice` comes back in `BatchStep.notices_done`.

        Raises:
            Unsupported: the text cannot be spoken; nothing changed.
        """
        ...

    def interrupt(self, lane: int) -> tuple[int, ...]:
        """Fades out what is heard and drops what is left to say; the notices dropped with it."""
        ...

    def end_input(self, lane: int) -> None:
        """The speaker of `lane` has finished; the frame heard next says so, where the model can be told."""
        ...

    def upkeep(self) -> Sequence[Upkeep]:
        """Lanes with upkeep to do, the most urgent first; costs no time and does nothing."""
        ...

    def keep_up(self, lane: int) -> None:
        """Does one piece of a lane's upkeep. Whether and when it is done shows in what the lane says."""
        ...

    def snapshot(self, lane: int) -> Iterator[bytes]:
        """Everything that the lane's following outputs depend on, notices left to say included, piece by piece."""
        ...

    def restore(self, lane: int, state: bytes) -> Iterator[None]:
        """Takes the joined pieces of a snapshot as the lane's state. The notices in it have no number any more.

        Raises:
            Unsupported: by the first `next`: no snapshot of an equal model; nothing changed.
        """
        ...

    def clear(self, lane: int) -> None:
        """Makes the lane as in a model just built, to the last bit, whatever it held."""
        ...
