from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from duplex_model.checkpoint import SafetensorsFile, file_lm_config, load_lm, shapes_of
from duplex_model.config import GenerationConfig
from duplex_model.generator import Generator
from duplex_model.linear import Int8Linear
from duplex_model.lm import RQTransformer
from tests.duplex_model.small import small_checkpoint


def quantized(dtype: torch.dtype) -> tuple[nn.Linear, Int8Linear]:
    linear = nn.Linear(96, 64, bias=False).to(dtype)
    linear.weight[3] *= 100  # a scale of its own
    linear.weight[5] = 0
    return linear, Int8Linear(linear)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_weight_is_within_half_a_step(dtype: torch.dtype) -> None:
    linear, int8 = quantized(torch.float32)
    error = (int8.weight.float() * int8.scale[:, None].float() - linear.weight).abs()
    assert (error <= 0.5001 * int8.scale[:, None].float()).all()
    linear, int8 = quantized(dtype)
    x = torch.randn(7, 96, dtype=dtype)
    expected = x.float() @ linear.weight.float().T
    assert int8(x).dtype == dtype
    assert (int8(x).float() - expected).norm() < 0.02 * expected.norm()


def test_widths_the_packed_kernel_cannot_read_are_kept_from_it() -> None:
    for width, fits in [(16, True), (96, True), (24, False), (40, False)]:
        int8 = Int8Linear(nn.Linear(width, 8, bias=False).bfloat16())
        x = torch.randn(3, width).bfloat16()
        assert int8.can_pack(x) == fits
        assert not int8.can_pack(x.float())
        assert int8(x).isfinite().all()


def test_the_packed_kernel_equals_the_plain_product() -> None:
    _, int8 = quantized(torch.bfloat16)
    x = torch.randn(2, 5, 96).bfloat16()
    torch.testing.assert_close(int8.packed(x), int8.plain(x), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("neighbour", [1e4, float("nan")], ids=["loud", "broken"])
def test_a_neighbour_changes_nothing(dtype: torch.dtype, neighbour: float) -> None:
    _, int8 = quantized(dtype)
    x = torch.randn(4, 1, 96, dtype=dtype)
    disturbed = x.clone()
    disturbed[2] *= neighbour
    kept = [0, 1, 3]
    assert torch.equal(int8(disturbed)[kept], int8(x)[kept])


def load_small(folder: Path, name: str, *, int8: bool) -> RQTransformer:
    checkpoint = small_checkpoint(name)
    with torch.device("meta"):
        shapes = shapes_of(RQTransformer(file_lm_config(checkpoint)))
    generator = torch.Generator().manual_seed(1)
    tensors: dict[str, Tensor] = {
        tensor: torch.randn(shape, generator=generator) / shape[-1] ** 0.5 for tensor, shape in shapes.items()
    }
    save_file(tensors, folder / "model.safetensors")
    with SafetensorsFile(folder / "model.safetensors") as file:
        return load_lm(checkpoint, file, int8=int8)


@pytest.mark.parametrize("name", ["moshiko-7b", "hibiki-2b", "hibiki-zero-3b"])
def test_a_model_in_int8_is_near_the_model_in_bf16_and_runs(tmp_path: Path, name: str) -> None:
    plain, int8 = load_small(tmp_path, name, int8=False), load_small(tmp_path, name, int8=True)
    kept = [module for module in int8.modules() if isinstance(module, nn.Linear)]
    assert all(module.weight.dtype == torch.float32 for module in kept)
    assert len(kept) == (1 if int8.condition else 0)
    config = int8.config
    tokens = torch.randint(config.card, (2, config.streams, 6))
    for got, expected in zip(int8(tokens), plain(tokens), strict=True):
        assert (got - expected).float().norm() < 0.05 * expected.float().norm()
    generator = Generator(int8, 2, GenerationConfig())
    for heard in torch.randint(config.card, (4, 2, config.heard_codebooks)):
        frame = generator.step(heard, generator.sample_everything, torch.ones(2).bool())
    assert frame.valid.all()
