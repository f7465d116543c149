from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from duplex_model.attention import ATTENTIONS
from duplex_model.contract import Pcm
from duplex_model.cuda_graph import Captured, Eager
from duplex_model.neural import NeuralModel
from tests.duplex_model.batches import noise
from tests.duplex_model.lanes_of_noise import PROMPT, noise_model


def test_eager_calls_the_function_with_what_it_is_given() -> None:
    inputs = [torch.ones(2), torch.zeros(2)]
    assert Eager(lambda given: torch.stack(list(given)))(inputs).tolist() == [[1, 1], [0, 0]]


@pytest.mark.gpu
def test_a_captured_function_keeps_its_state_in_place() -> None:
    total = torch.zeros(2, device="cuda")

    def add(inputs: list[Tensor]) -> Tensor:
        total.add_(inputs[0] * inputs[1])
        return total * 1

    at_rest = [torch.ones(2, device="cuda"), torch.zeros(2, device="cuda")]
    captured = Captured(add, at_rest)  # type: ignore[arg-type]
    assert total.tolist() == [0, 0], "capturing at rest changes nothing"
    for _ in range(3):
        output = captured([torch.full((2,), 2.0, device="cuda"), torch.tensor([1.0, 0.0], device="cuda")])
    assert output.tolist() == [6, 0]


@pytest.mark.gpu
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", ["personaplex-7b", "hibiki-2b"])
def test_a_captured_step_says_what_its_eager_twin_says(name: str, attention: str) -> None:
    if attention == "triton":
        pytest.importorskip("triton")
    eager = noise_model(3, name, device="cuda", attention=attention)
    graph = noise_model(3, name, device="cuda", attention=attention, cuda_graph=True)
    for expected, got in zip(conversation(eager), conversation(graph), strict=True):
        assert np.array_equal(expected, got)


def conversation(model: NeuralModel) -> list[Pcm]:
    """Forty steps of two lanes, one of which is spoken over and told to say something."""
    for lane in (0, 2):
        for _ in model.prepare(PROMPT, seed=lane)(lane):
            pass
    said = []
    for n in range(40):
        if n == 5:
            model.interrupt(0)
        if n == 15:
            model.say(2, 1, "good morning", now=True)
        executing = np.array([True, False, n % 3 > 0])
        step = model.step(np.tile(0.3 * noise(n), (3, 1)), executing)
        said.append(step.pcm[executing])
    return said
