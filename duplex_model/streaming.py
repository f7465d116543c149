"""Streaming state: what a model remembers between two steps, one row per lane, in one object.

Modules hold no state. Each declares the tensors it needs per lane, `StreamingState` allocates them for all
modules of a model, and `forward` receives the state. So resetting, copying or saving a conversation is an
operation on tensors, and writes are in place at fixed addresses, as a CUDA graph needs them. Streaming is
inference: run it under `torch.no_grad()`.

    state = StreamingState(model, lanes=3)
    state.executing.copy_(torch.tensor([True, False, True]))  # lane 1 stays exactly as it is
    y = model(x, state)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LaneTensor:
    """Declaration of one state tensor, without its leading lane dimension."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    fill: int = 0
    """Value of every element in a fresh lane."""

    positions_dim: int | None = None
    """Dimension of `shape` in which slot p holds position p until the ring turns; None for other tensors."""


class StreamingModule(nn.Module):
    """A module whose output depends on earlier inputs of the same lane."""

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """What this module itself remembers per lane; its children declare their own."""
        return {}


class HoldsModules(Protocol):
    """What a state is allocated for: a module, whatever it computes."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """All of its parameters."""
        ...

    def buffers(self) -> Iterator[Tensor]:
        """All of its buffers."""
        ...

    def named_modules(self) -> Iterator[tuple[str, nn.Module]]:
        """Itself and every module in it, by path."""
        ...


class StreamingState:
    """All state tensors of a model, each of shape [lanes, ...]."""

    def __init__(self, model: HoldsModules, lanes: int) -> None:
        device = next(chain(model.parameters(), model.buffers())).device
        self.lanes = lanes
        self.executing = torch.ones(lanes, dtype=torch.bool, device=device)
        """[lanes]: the lanes that the next call advances; all others stay untouched to the last bit."""

        self._declared: dict[str, LaneTensor] = {}
        self._tensors: dict[str, Tensor] = {}
        self._by_module: dict[nn.Module, dict[str, Tensor]] = {}
        for path, module in model.named_modules():
            if isinstance(module, StreamingModule):
                self._allocate(path, module, device)

    def _allocate(self, path: str, module: StreamingModule, device: torch.device) -> None:
        own = self._by_module[module] = {}
        for name, declared in module.lane_tensors().items():
            shape = (self.lanes, *declared.shape)
            own[name] = torch.full(shape, declared.fill, dtype=declared.dtype, device=device)
            full = f"{path}.{name}" if path else name
            self._declared[full] = declared
            self._tensors[full] = own[name]

    def __getitem__(self, module: StreamingModule) -> Mapping[str, Tensor]:
        """The tensors `module` declared, by name."""
        return self._by_module[module]

    def executing_like(self, tensor: Tensor) -> Tensor:
        """`executing` as [lanes, 1, ...], to be broadcast against `tensor` [lanes, ...]."""
        return self.executing.view(-1, *(1,) * (tensor.dim() - 1))

    def write(self, target: Tensor, value: Tensor) -> None:
        """Sets `target` to `value` in the executing lanes; both [lanes, ...]."""
        torch.where(self.executing_like(target), value, target, out=target)

    def reset_lane(self, lane: int) -> None:
        """Makes `lane` as new.

        Keys and values are cleared too, though positions mask them: a NaN left there by a failed session
        would survive its mask, because 0 * NaN is NaN.
        """
        for path, tensor in self._tensors.items():
            tensor[lane].fill_(self._declared[path].fill)

    def snapshot_lane(self, lane: int, positions: int | None = None) -> dict[str, Tensor]:
        """A copy of everything `lane` remembers.

        Args:
            lane: which lane.
            positions: if the lane has not passed this many positions, keeps only their slots of each ring.
        """
        snapshot = {}
        for path, tensor in self._tensors.items():
            dim = self._declared[path].positions_dim
            row = tensor[lane]
            if dim is not None and positions is not None:
                row = row.narrow(dim, 0, min(positions, row.shape[dim]))
            snapshot[path] = row.clone()
        return snapshot

    def restore_lane(self, lane: int, snapshot: Mapping[str, Tensor]) -> None:
        """Puts `lane` into the state of `snapshot`, taken from any state of an equal model.

        Raises:
            ValueError: the snapshot is not of an equal model.
        """
        if snapshot.keys() != self._tensors.keys():
            differing = sorted(snapshot.keys() ^ self._tensors.keys())
            raise ValueError(f"expected a snapshot of an equal model, got one that differs in {differing}")
        for path, saved in snapshot.items():
            _check_row(path, saved, self._tensors[path][lane], self._declared[path].positions_dim)
        self.reset_lane(lane)
        for path, saved in snapshot.items():
            row = self._tensors[path][lane]
            dim = self._declared[path].positions_dim
            (row if dim is None else row.narrow(dim, 0, saved.shape[dim])).copy_(saved)

    @property
    def bytes_per_lane(self) -> int:
        """Memory of one lane."""
        return sum(tensor[0].numel() * tensor.element_size() for tensor in self._tensors.values())


def _check_row(path: str, saved: Tensor, row: Tensor, positions_dim: int | None) -> None:
    expected, got = list(row.shape), list(saved.shape)
    if positions_dim is not None and len(got) == len(expected):
        expected[positions_dim] = min(expected[positions_dim], got[positions_dim])
    if expected != got or row.dtype != saved.dtype:
        raise ValueError(f"expected {path} as {row.dtype} {expected}, got {saved.dtype} {got}")


def run_layers(layers: nn.ModuleList, x: Tensor, state: StreamingState | None) -> Tensor:
    """Applies `layers` in order, handing the state to those that stream."""
    for layer in layers:
        x = layer(x, state) if isinstance(layer, StreamingModule) else layer(x)
    return x
