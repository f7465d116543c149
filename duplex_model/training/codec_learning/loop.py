"""What training a codec and refining its decoder share: steps by the clock, with figures and saves now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from duplex_model.training.progress import ProgressLine, record

SAVE_EVERY_S = 60.0
REPORT_EVERY_S = 10.0

AHEAD_BATCHES = 8
"""Cut before a GPU asks for them."""

WARM_UP_STEPS = 100
FINAL_RATE = 0.02
"""Of the peak learning rate."""


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    elapsed_s: float = 0.0


def learning_rate(peak: float, share: float, step: int) -> float:
    """The rate after `share` of the time: linear up over the first steps, then half a cosine."""
    cosine = FINAL_RATE + (1 - FINAL_RATE) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
    return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * cosine


def by_the_clock(
    descend: Callable[[float], Mapping[str, Tensor]],
    save: Callable[[], None],
    progress: Progress,
    *,
    minutes: float,
    figures: Path,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Descends until the minutes are over.

    Args:
        descend: one step, told which share of the time has passed, which it counts in `progress`; its losses, which
            are not waited for.
        save: what there is; called now and then, and in the end.
        progress: of this run, from where it goes on; its time is counted here.
        minutes: of the clock, earlier parts of the run included.
        figures: file of the means of the losses, a line for every few seconds.
        clock: seconds.
    """
    budget_s = 60 * minutes
    started_s = clock() - progress.elapsed_s
    reported_s = saved_s = progress.elapsed_s
    recent: list[Mapping[str, Tensor]] = []
    line = ProgressLine()
    while progress.elapsed_s < budget_s:
        recent.append(descend(progress.elapsed_s / budget_s))
        progress.elapsed_s = clock() - started_s
        if progress.elapsed_s - reported_s >= REPORT_EVERY_S:
            rate = len(recent) / (progress.elapsed_s - reported_s)
            found = {**means(recent), "steps_per_s": rate}
            record(figures, {"step": progress.step, "elapsed_s": progress.elapsed_s, **found})
            text = "  ".join(f"{name} {value:.3f}" for name, value in found.items())
            done_s = progress.elapsed_s
            line.show(done_s, done_s / budget_s, budget_s - done_s, f"step {progress.step}  {text}")
            recent.clear()
            reported_s = progress.elapsed_s
        if progress.elapsed_s - saved_s >= SAVE_EVERY_S:
            save()
            saved_s = progress.elapsed_s
    line.end()
    save()


def means(recent: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    """The means of each of the losses of some steps."""
    return {name: float(torch.stack([losses[name] for losses in recent]).mean()) for name in recent[0]}
