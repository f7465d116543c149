"""Low-rank adapters (LoRA, arXiv:2106.09685): a few weights beside each linear layer learn, the rest stays.

    y = W x + (alpha / rank) B A x        A [rank, in], B [out, rank], B = 0 at first

Once trained, B A is added to W, so that an adapted model is served as any other.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

LAYERS = r"(in_proj|out_proj|linear_in|linear_out)(\.\d+)?$"
"""Names of the layers adapted unless told otherwise: all of attention and feed-forward."""


class AdaptedLinear(nn.Module):
    """A linear layer that stays as it is, and its adapter."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        """Adapts `base`, which must have no bias."""
        super().__init__()
        assert base.bias is None
        self.base: nn.Linear = base.requires_grad_(False)
        device = base.weight.device
        self.down: nn.Parameter = nn.Parameter(torch.empty(rank, base.in_features, device=device))
        self.up: nn.Parameter = nn.Parameter(torch.zeros(base.out_features, rank, device=device))
        self.scale: float = alpha / rank
        nn.init.normal_(self.down, std=base.in_features**-0.5)

    @property
    def weight(self) -> Tensor:
        """Of the layer below, for its dtype."""
        return self.base.weight

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        narrow: Tensor = nn.functional.linear(x.to(self.down.dtype), self.down)
        y: Tensor = self.base(x)
        return y + (nn.functional.linear(narrow, self.up) * self.scale).to(y.dtype)

    @torch.no_grad()
    def merged(self) -> Tensor:
        """[out, in]: a weight that gives the same without an adapter, in the dtype of the layer's."""
        weight = self.base.weight
        return (weight.float() + self.scale * (self.up @ self.down)).to(weight.dtype)


def adapt(model: nn.Module, rank: int, *, alpha: float | None = None, layers: str = LAYERS) -> int:
    """Freezes `model` and adapts its linear layers in place.

    Args:
        model: loses its gradients.
        rank: of the adapters.
        alpha: how much they count; `2 * rank` by default.
        layers: a regular expression found in the names of those to adapt.

    Returns:
        How many were adapted.

    Raises:
        ValueError: there are none.
    """
    model.requires_grad_(False)
    chosen = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and re.search(layers, name)
    ]
    if not chosen:
        raise ValueError(f"expected linear layers named like {layers}, got none")
    for name in chosen:
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        model.set_submodule(name, AdaptedLinear(base, rank, 2.0 * rank if alpha is None else alpha))
    return len(chosen)


def is_adapter(name: str) -> bool:
    """Whether a parameter of an adapted model belongs to an adapter."""
    return name.endswith((".down", ".up"))


def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """Name of each adapted layer -> its weight with the adapter in it; `model` stays as it is."""
    return {
        name: module.merged() for name, module in model.named_modules() if isinstance(module, AdaptedLinear)
    }


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Puts every adapter of `model` into the layer below it, in place; `model`."""
    for name, weight in merged_weights(model).items():
        adapted = model.get_submodule(name)
        assert isinstance(adapted, AdaptedLinear)
        adapted.base.weight.copy_(weight)
        model.set_submodule(name, adapted.base)
    return model
