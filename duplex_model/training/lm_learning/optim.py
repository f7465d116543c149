"""Optimisers and the learning rate.

Hidden matrices are trained by Muon (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024):
momentum whose singular values are all made about 1, so that no direction is neglected. Everything else, embeddings,
output layers and norms, is trained by AdamW (arXiv:1711.05101).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic that drives singular values of 0 to 1 into about 0.7 to 1.2 in five steps."""


def orthogonalised(matrices: Tensor, steps: int = 5) -> Tensor:
    """About U Vᵀ of each matrix U S Vᵀ, by Newton-Schulz iteration in bfloat16.

    Args:
        matrices: [N, rows, columns], not all zero.
        steps: of the iteration.

    Returns:
        bfloat16 of the same shape.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT.contiguous() if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


@dataclass(frozen=True)
class Matrix:
    """A weight that Muon trains."""

    weight: nn.Parameter
    """[rows, columns]."""

    blocks: int = 1
    """How many matrices are stacked in its rows, each orthogonalised by itself."""


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised; blocks of equal shape go through the iteration together."""

    def __init__(
        self, matrices: Iterable[Matrix], *, lr: float = 0.02, momentum: float = 0.95, decay: float = 0.0
    ) -> None:
        """`lr` is about how far each singular direction moves in a step; `decay` is taken times `lr`."""
        self._matrices = list(matrices)
        super().__init__([matrix.weight for matrix in self._matrices], {"lr": lr})
        self._momentum = momentum
        self._decay = decay

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Moves the weights that have a gradient."""
        assert closure is None
        lr = self.param_groups[0]["lr"]
        blocks: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        for matrix in self._matrices:
            if matrix.weight.grad is None:
                continue
            update = self._update(matrix.weight)
            matrix.weight.mul_(1 - lr * self._decay)
            for pair in zip(matrix.weight.chunk(matrix.blocks), update.chunk(matrix.blocks), strict=True):
                shape = tuple(sorted(pair[0].shape))
                blocks.setdefault(shape, []).append(pair)
        for pairs in blocks.values():
            _move(pairs, lr)

    def _update(self, weight: nn.Parameter) -> Tensor:
        """Nesterov momentum."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        state["momentum"].lerp_(weight.grad, 1 - self._momentum)
        return weight.grad.lerp(state["momentum"], self._momentum)


def _move(pairs: Sequence[tuple[Tensor, Tensor]], lr: float) -> None:
    """Moves weights by their orthogonalised updates; all have one shape, or that shape transposed."""
    wide = [update if update.shape[0] <= update.shape[1] else update.mT for _, update in pairs]
    for (weight, update), direction in zip(pairs, orthogonalised(torch.stack(wide)), strict=True):
        rows, columns = weight.shape
        moved = direction if update.shape[0] <= update.shape[1] else direction.mT
        weight.add_(moved.to(weight.dtype), alpha=-lr * max(1.0, rows / columns) ** 0.5)


def learning_rate(share: float, step: int, *, warm_up_steps: int = 60, decay_from: float = 0.5) -> float:
    """The learning rate over its highest value: a rise, a plateau, and a straight fall to 3 %.

    Args:
        share: of the training that is over, 0 to 1.
        step: from 0.
        warm_up_steps: of the rise.
        decay_from: share at which the fall begins.
    """
    rise = min(1.0, (step + 1) / warm_up_steps)
    fall = min(1.0, (1 - share) / (1 - decay_from))
    return rise * max(fall, 0.03)


def is_hidden(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter of an `RQTransformer` is a matrix between hidden layers."""
    outer = ("emb", "text_linear", "depth.linears", "norm", "condition")
    return parameter.dim() == 2 and not any(part in name for part in outer)


def blocks_of(name: str) -> int:
    """How many matrices a hidden weight stacks: queries, keys and values, or the two halves of a gate."""
    return 3 if ".in_proj" in name else 2 if ".linear_in" in name else 1


def optimisers(
    model: nn.Module, others: Iterable[nn.Parameter], *, muon_lr: float, adam_lr: float, muon: bool = True
) -> list[torch.optim.Optimizer]:
    """Optimisers of everything in `model` that learns, and of `others`.

    Args:
        model: an `RQTransformer`.
        others: more parameters, for AdamW.
        muon_lr: of hidden matrices.
        adam_lr: of all else.
        muon: False trains everything by AdamW, as adapters need it.
    """
    matrices, rest = [], list(others)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if muon and is_hidden(name, parameter) and parameter.shape[0] % blocks_of(name) == 0:
            matrices.append(Matrix(parameter, blocks_of(name)))
        else:
            rest.append(parameter)
    found: list[torch.optim.Optimizer] = []
    if matrices:
        found.append(Muon(matrices, lr=muon_lr))
    if rest:
        found.append(torch.optim.AdamW(rest, lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True))
    for optimiser in found:
        for group in optimiser.param_groups:
            group["highest_lr"] = group["lr"]
    return found


def set_learning_rate(optimisers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Sets each to `factor` times its highest rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group["highest_lr"] * factor


class Average:
    """The running average of what learns, which is steadier than its last value."""

    def __init__(self, parameters: Iterable[nn.Parameter], decay: float) -> None:
        """Begins at the values of `parameters`; `decay` 0 follows them at once."""
        self._parameters: list[Tensor] = [parameter.detach() for parameter in parameters]
        self._decay = decay
        self._steps = 0
        self.values = [parameter.clone() for parameter in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        """After each step. Early steps count for less, so that the average does not drag its beginning along."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        torch._foreach_lerp_(self.values, self._parameters, 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchanges the parameters and their average; twice is nothing."""
        for parameter, value in zip(self._parameters, self.values, strict=True):
            kept = parameter.clone()
            parameter.copy_(value)
            value.copy_(kept)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes."""
        return {"values": self.values, "steps": self._steps}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there."""
        self._steps = state["steps"]
        for value, saved in zip(self.values, state["values"], strict=True):
            value.copy_(saved)
