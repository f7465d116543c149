"""Weights in eight bits: half the memory of bfloat16, and on a CPU, for a few lanes, a multiple of its speed.

    W[o, i] = scale[o] * q[o, i],    q in [-127, 127],    scale[o] = max_i |W[o, i]| / 127

Only weights are quantised, symmetrically, one scale per output row. Activations are not, so no statistic is shared
between lanes: what one lane hears, loud or not a number, cannot change another lane's product by a single bit.
Embeddings, norms and everything that is no linear layer stay as they are. On a GPU the weights are expanded at every
step, so that there only memory is saved.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.errors import CheckpointError

logger = logging.getLogger(__name__)

LARGEST = 127
"""Of a quantised weight; -128 is left out, so that the range is symmetric."""

_FUSED_INPUTS = 64
"""The fused product reads whole vector registers: with an input width that is no multiple it reads out of bounds."""

QUANTISED, SCALE = ".quantised", ".scale"
"""What follows a layer's name in the names of its int8 rows and of their scales."""


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest int8 [O, I] to `weight` [O, I], and the scale of each row, float32 [O].

    Scales are rounded up to what bfloat16 can represent, so that the fused product multiplies by exactly the scale
    that was used here. The error of a weight is at most half its row's scale.

    Raises:
        CheckpointError: a weight is not finite.
    """
    exact = weight.detach().float()
    peak = exact.abs().amax(dim=1)
    if not peak.isfinite().all():
        raise CheckpointError("expected finite weights, got NaN or infinity: download the checkpoint again")
    scale = peak / LARGEST
    rounded = scale.bfloat16()
    above = torch.nextafter(rounded, torch.full_like(rounded, torch.inf))
    scale = torch.where(rounded.float() < scale, above, rounded).float()
    scale = torch.where(peak > 0, scale, 1.0)
    return (exact / scale[:, None]).round_().to(torch.int8), scale


class Int8Linear(nn.Module):
    """A linear layer without bias, its weight quantised: [..., I] -> [..., O] in the dtype of its input.

    The scale is kept in the dtype of the weight it replaces, which is also that of the layer's outputs.
    """

    quantised: Tensor
    scale: Tensor

    def __init__(self, quantised: Tensor, scale: Tensor) -> None:
        """Takes int8 [O, I] and the scale [O], see `quantise_rows`."""
        super().__init__()
        self.register_buffer("quantised", quantised)
        self.register_buffer("scale", scale)

    @classmethod
    def of(cls, linear: nn.Linear) -> Self:
        """The quantised form of `linear`, which has no bias."""
        quantised, scale = quantise_rows(linear.weight)
        return cls(quantised, scale.to(linear.weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """The product; fused on a CPU where that was seen to be right, and otherwise with the weight expanded."""
        if x.device.type == "cpu" and self.quantised.shape[1] % _FUSED_INPUTS == 0 and fused_product_works():
            rows = fused_product(x.flatten(0, -2), self.quantised, self.scale)
            return rows.view(*x.shape[:-1], -1)
        return expanded_product(x, self.quantised, self.scale)


def fused_product(x: Tensor, quantised: Tensor, scale: Tensor) -> Tensor:
    """`x` [N, I] times the quantised weight: [N, O]. Reads each weight once, as int8; products of bfloat16."""
    y: Tensor = torch._weight_int8pack_mm(x.bfloat16().contiguous(), quantised, scale.bfloat16())
    return y.to(x.dtype)


def expanded_product(x: Tensor, quantised: Tensor, scale: Tensor) -> Tensor:
    """The same for `x` [..., I] on any device, in the dtype of `x`."""
    return F.linear(x, quantised.to(x.dtype)) * scale.to(x.dtype)


@functools.cache
def fused_product_works() -> bool:
    """Whether this build of PyTorch has the fused product, it is right, and its rows are isolated.

    It is not part of PyTorch's public interface, so it is tried once, on numbers where a wrong one shows.
    """
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(48, 3 * _FUSED_INPUTS, generator=generator)
    x = torch.randn(5, 3 * _FUSED_INPUTS, generator=generator).bfloat16()
    quantised, scale = quantise_rows(weight)
    poisoned = x.clone()
    poisoned[1], poisoned[3] = torch.nan, 1000 * x[3]
    try:
        y = fused_product(x, quantised, scale)
        neighbours = fused_product(poisoned, quantised, scale)
    except (AttributeError, RuntimeError) as error:
        logger.info("int8 weights are expanded at each step: no fused product here (%s)", error)
        return False
    expected = expanded_product(x.float(), quantised, scale)
    right = (y.float() - expected).abs().max() < 0.01 * expected.abs().max()
    isolated = torch.equal(y[[0, 2, 4]], neighbours[[0, 2, 4]])
    if not (right and isolated):
        logger.warning("int8 weights are expanded at each step: the fused product of this PyTorch is wrong")
    return bool(right and isolated)


def output_dtype(linear: nn.Module) -> torch.dtype:
    """The dtype of what a linear layer gives, quantised or not."""
    tensor = linear.scale if isinstance(linear, Int8Linear) else linear.weight
    assert isinstance(tensor, Tensor)
    return tensor.dtype


def everywhere(name: str) -> bool:
    """Quantises every linear layer but Hibiki's condition, which is small and kept in float32."""
    return not name.startswith("condition.")


def quantise_linears(model: nn.Module, chosen: Callable[[str], bool] = everywhere) -> int:
    """Replaces the linear layers of `model` in place, one by one; how many.

    Args:
        model: loaded, in inference mode. Layers with a bias are left alone.
        chosen: by the layer's name; see `everywhere`.
    """
    replaced = 0
    for name, linear in _linears(model):
        if chosen(name):
            _replace(model, name, Int8Linear.of(linear))
            replaced += 1
    return replaced


def keep_quantised(model: nn.Module, name: str, quantised: Tensor, scale: Tensor) -> None:
    """Puts int8 rows that were kept in a file in the place of the layer `name`, where that is a linear one."""
    linear = model.get_submodule(name)
    if isinstance(linear, nn.Linear):
        _replace(model, name, Int8Linear(quantised, scale.to(linear.weight.dtype)))


def save_int8(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes all tensors of a quantised model as safetensors, whole or not at all.

    Args:
        model: after `quantise_linears`.
        path: of the file; replaced if there.
        metadata: kept in the file's header, such as the checkpoint's name and licence.
    """
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in model.state_dict().items()}
    written = path.with_name(f"{path.name}.partial")
    save_file(tensors, written, metadata=dict(metadata))
    os.replace(written, path)


def load_int8(model: nn.Module, path: Path, device: torch.device | str = "cpu") -> None:
    """Fills `model` from a file of `save_int8`, replacing the linear layers that are quantised there.

    Args:
        model: of the same architecture, not quantised; may be on the meta device.
        path: of the file.
        device: where the tensors go.

    Raises:
        CheckpointError: not such a file, or not of this architecture; `model` is then of no use.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"expected a safetensors file at {path}: {error}") from error
    for name, linear in _linears(model):
        if name + QUANTISED in tensors:
            scale = torch.empty(len(linear.weight), device="meta")
            _replace(
                model,
                name,
                Int8Linear(torch.empty_like(linear.weight, dtype=torch.int8, device="meta"), scale),
            )
    _check_tensors(model.state_dict(), tensors, path)
    model.load_state_dict(tensors, assign=True)
    model.requires_grad_(False).eval()


def _linears(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    """Linear layers without bias, by name, as they are before any is replaced."""
    return [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.bias is None
    ]


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _check_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], path: Path) -> None:
    for name in sorted(expected.keys() ^ found.keys()):
        what = "is missing" if name in expected else "is unexpected"
        raise CheckpointError(f"{path}: tensor {name} {what}: quantise the checkpoint again")
    for name, tensor in found.items():
        integers = name.endswith(QUANTISED)
        if tensor.shape != expected[name].shape or integers != (tensor.dtype == torch.int8):
            raise CheckpointError(
                f"{path}: expected {name} {list(expected[name].shape)}, {'int8' if integers else 'floating point'}, "
                f"got {list(tensor.shape)}, {tensor.dtype}: quantise the checkpoint again"
            )
