"""A function of tensors, run as it is or captured once as a CUDA graph and replayed.

A step of the model is thousands of small kernels, and launching each costs more than running it. A graph launches
them all at once. What is captured must always use the same shapes, keep its state in place, and never wait for the
device; then its eager twin, which calls the function, gives the same result.

No GPU has run `Captured` yet: the eager twin is the default.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[Sequence[Tensor]], Tensor]

WARM_UPS = 3
"""Calls before capture: libraries allocate their workspaces in the first."""


class Eager:
    """Calls the function."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The function's output."""
        return self._step(inputs)


class Captured:
    """Replays the function on the inputs given; the output is overwritten by the next call."""

    def __init__(self, step: Step, inputs: Sequence[Tensor]) -> None:
        """Warms up and captures.

        Args:
            step: to be captured.
            inputs: on the CUDA device, of the shapes and dtypes of all calls to come. `step` is called with them
                several times, so they must be such that its state does not change: no lane executing.
        """
        self._inputs = [tensor.clone() for tensor in inputs]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UPS):
                step(self._inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._output = step(self._inputs)

    def __call__(self, inputs: Sequence[Tensor]) -> Tensor:
        """The function's output, in a tensor that every call shares."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._output
