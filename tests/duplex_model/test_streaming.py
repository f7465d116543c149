from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState


class RunningSum(StreamingModule):
    """Adds everything a lane has seen."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        return {
            "total": LaneTensor(shape=(3,), dtype=torch.float32),
            "last": LaneTensor(shape=(), dtype=torch.int64, fill=-2),
            "history": LaneTensor(shape=(2, 5), dtype=torch.float32, positions_dim=1),
        }

    def forward(self, x: Tensor, state: StreamingState) -> Tensor:
        own = state[self]
        state.write(own["total"], own["total"] + x)
        state.write(own["last"], own["last"] + 1)
        return own["total"]


@pytest.fixture
def model() -> nn.ModuleDict:
    return nn.ModuleDict({"a": RunningSum(), "plain": nn.Linear(2, 2), "b": RunningSum()})


def test_only_executing_lanes_are_written(model: nn.ModuleDict) -> None:
    state = StreamingState(model, lanes=3)
    state.executing.copy_(torch.tensor([True, False, True]))
    for _ in range(2):
        model["a"](torch.ones(3, 3), state)
    assert state[model["a"]]["total"][:, 0].tolist() == [2.0, 0.0, 2.0]
    assert state[model["a"]]["last"].tolist() == [0, -2, 0]
    assert state[model["b"]]["total"].abs().sum() == 0


def test_reset_restores_the_fill_and_clears_nan(model: nn.ModuleDict) -> None:
    state = StreamingState(model, lanes=2)
    model["a"](torch.full((2, 3), torch.nan), state)
    state.reset_lane(1)
    assert state[model["a"]]["total"][0].isnan().all()
    assert state[model["a"]]["total"][1].tolist() == [0.0, 0.0, 0.0]
    assert state[model["a"]]["last"].tolist() == [-1, -2]


def test_a_snapshot_moves_a_lane_and_does_not_alias_it(model: nn.ModuleDict) -> None:
    state = StreamingState(model, lanes=2)
    model["a"](torch.tensor([[1.0] * 3, [5.0] * 3]), state)
    saved = state.snapshot_lane(1)
    model["a"](torch.ones(2, 3), state)
    other = StreamingState(model, lanes=4)
    other.restore_lane(3, saved)
    assert other[model["a"]]["total"][:, 0].tolist() == [0.0, 0.0, 0.0, 5.0]


def test_a_cropped_snapshot_keeps_the_slots_in_use_and_clears_the_others(model: nn.ModuleDict) -> None:
    state = StreamingState(model, lanes=1)
    history = state[model["a"]]["history"]
    history.copy_(torch.arange(10.0).view(1, 2, 5))
    saved = state.snapshot_lane(0, positions=2)
    assert saved["a.history"].shape == (2, 2)
    history.fill_(torch.nan)
    state.restore_lane(0, saved)
    assert history[0].tolist() == [[0.0, 1.0, 0.0, 0.0, 0.0], [5.0, 6.0, 0.0, 0.0, 0.0]]


def test_a_snapshot_of_another_model_is_refused(model: nn.ModuleDict) -> None:
    state = StreamingState(model, lanes=1)
    before = state.snapshot_lane(0)
    lacking = {path: tensor for path, tensor in before.items() if path != "b.total"}
    with pytest.raises(ValueError, match=r"differs in \['b.total'\]"):
        state.restore_lane(0, lacking)
    with pytest.raises(ValueError, match=r"expected a.total as torch.float32 \[3\], got torch.float64 \[3\]"):
        state.restore_lane(0, before | {"a.total": before["a.total"].double()})
    with pytest.raises(ValueError, match=r"a.history"):
        state.restore_lane(0, before | {"a.history": torch.zeros(2, 6)})


def test_memory_is_counted_per_lane(model: nn.ModuleDict) -> None:
    assert StreamingState(model, lanes=7).bytes_per_lane == 2 * (3 * 4 + 8 + 10 * 4)
