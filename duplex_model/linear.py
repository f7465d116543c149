"""Int8 weight-only linear layers: half the memory and traffic of bf16, activations untouched.

    y = (x W_int8^T) * scale        scale [out] = max |row of W| / 127, symmetric

A row of weights has its own scale and activations have none, so nothing measured on one lane reaches another: a loud
or broken neighbour cannot change a lane's result.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_packed_product = getattr(
    torch, "_weight_int8pack_mm", None
)  # private: absent or changed, the plain path serves

_VECTOR = (
    16  # weights the packed product takes at a time; with other widths it was seen to crash (torch 2.13)
)


class Int8Linear(nn.Module):
    """A linear layer without bias, its weight in int8: [..., in] -> [..., out] in the dtype of `scale`."""

    def __init__(self, linear: nn.Linear) -> None:
        """Quantizes `linear`, which must have no bias."""
        super().__init__()
        assert linear.bias is None
        wide = linear.weight.detach().float()
        scale = wide.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127
        self.register_buffer("weight", (wide / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.to(linear.weight.dtype))
        self.weight: Tensor
        self.scale: Tensor

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        return self.packed(x) if self.can_pack(x) else self.plain(x)

    def can_pack(self, x: Tensor) -> bool:
        """Whether `packed` may be called; it reads past the end of rows that are no multiple of its vectors."""
        fits = x.device.type == "cpu" and x.dtype == torch.bfloat16 and x.shape[-1] % _VECTOR == 0
        return fits and _packed_product is not None

    def packed(self, x: Tensor) -> Tensor:
        """By the kernel that reads int8 directly."""
        assert _packed_product is not None
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        y: Tensor = _packed_product(rows, self.weight, self.scale)
        return y.view(*x.shape[:-1], -1)

    def plain(self, x: Tensor) -> Tensor:
        """By widening the weight first; anywhere."""
        return F.linear(x, self.weight.to(x.dtype)) * self.scale


def output_dtype(linear: nn.Module) -> torch.dtype:
    """The dtype of what a linear layer, plain or int8, gives."""
    tensor = linear.scale if isinstance(linear, Int8Linear) else linear.weight
    assert isinstance(tensor, Tensor)
    return tensor.dtype


def quantize_linears(model: nn.Module) -> None:
    """Replaces every `nn.Linear` below `model` by its int8 form, one at a time; those in float32 on purpose stay."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.Linear):
            if child.weight.dtype != torch.float32:
                setattr(model, name, Int8Linear(child))
        else:
            quantize_linears(child)
