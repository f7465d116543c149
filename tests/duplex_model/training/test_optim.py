from __future__ import annotations

import pytest
import torch
from torch import nn

from duplex_model.lm import RQTransformer
from duplex_model.training.lm_learning.optim import (
    Average,
    Matrix,
    Muon,
    learning_rate,
    optimisers,
    orthogonalised,
    set_learning_rate,
)
from duplex_model.training.lm_learning.trainer import initialise
from tests.duplex_model.training.toy import CONFIG


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 12, 40), (2, 40, 12)])
def test_singular_values_become_about_one_and_directions_stay(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape)
    got = orthogonalised(matrices).float()
    values = torch.linalg.svdvals(got)
    assert values.max() < 1.3
    assert values.median() > 0.6
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    agreement = (got * (u @ v)).sum(dim=(-2, -1)) / min(shape[1:])
    assert (agreement > 0.7).all()


def test_stacked_matrices_are_orthogonalised_apart() -> None:
    together = nn.Parameter(torch.zeros(24, 8))
    apart = [nn.Parameter(torch.zeros(8, 8)) for _ in range(3)]
    gradient = torch.randn(24, 8) * torch.tensor([1.0, 100.0, 0.01]).repeat_interleave(8)[:, None]
    together.grad = gradient
    for weight, part in zip(apart, gradient.chunk(3), strict=True):
        weight.grad = part
    Muon([Matrix(together, blocks=3)]).step()
    Muon([Matrix(weight) for weight in apart]).step()
    torch.testing.assert_close(together.detach(), torch.cat([weight.detach() for weight in apart]))
    sizes = [float(weight.norm()) for weight in apart]
    assert max(sizes) < 1.2 * min(sizes)  # however large the gradient


@torch.enable_grad()
def test_muon_finds_a_matrix() -> None:
    wanted = torch.randn(20, 12)
    weight = nn.Parameter(torch.zeros(20, 12))
    muon = Muon([Matrix(weight)], lr=0.1)
    for step in range(150):
        muon.param_groups[0]["lr"] = 0.1 * (1 - step / 150)
        weight.grad = None
        (weight - wanted).square().sum().backward()  # type: ignore[no-untyped-call]
        muon.step()
    assert (weight - wanted).norm() < 0.05 * wanted.norm()


def test_every_weight_has_one_optimiser() -> None:
    model = RQTransformer(CONFIG)
    initialise(model, 0)
    found = optimisers(model, [], muon_lr=0.02, adam_lr=1e-3)
    held = [parameter for one in found for group in one.param_groups for parameter in group["params"]]
    assert {id(parameter) for parameter in held} == {id(parameter) for parameter in model.parameters()}
    assert len(held) == len(list(model.parameters()))
    [muon, _] = found
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    by_muon = {names[id(parameter)] for parameter in muon.param_groups[0]["params"]}
    assert "transformer.layers.0.self_attn.in_proj.weight" in by_muon
    assert "depth.inputs.1.weight" in by_muon
    assert not any("emb" in name or "linears" in name or "norm" in name for name in by_muon)
    set_learning_rate(found, 0.5)
    set_learning_rate(found, 0.5)
    assert [one.param_groups[0]["lr"] for one in found] == [0.01, 5e-4]


def test_the_rate_rises_stays_and_falls_with_the_clock() -> None:
    assert learning_rate(0.0, 0, warm_up_steps=10) == pytest.approx(0.1)
    assert learning_rate(0.3, 100) == 1.0
    assert learning_rate(0.75, 100, decay_from=0.5) == pytest.approx(0.5)
    assert learning_rate(1.0, 100) == pytest.approx(0.03)


def test_the_average_follows_and_can_be_exchanged() -> None:
    weight = nn.Parameter(torch.zeros(3))
    average = Average([weight], decay=0.9)
    with torch.no_grad():
        weight.fill_(1.0)
    for _ in range(400):
        average.update()
    assert average.values[0].tolist() == pytest.approx([1.0] * 3, abs=1e-3)
    with torch.no_grad():
        weight.fill_(5.0)
    average.swap()
    assert weight.tolist() == pytest.approx([1.0] * 3, abs=1e-3)
    average.swap()
    assert weight.tolist() == [5.0] * 3
