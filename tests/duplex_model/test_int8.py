from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from duplex_model import int8
from duplex_model.checkpoint import SafetensorsFile, file_lm_config, load_lm, shapes_of
from duplex_model.config import GenerationConfig
from duplex_model.errors import CheckpointError
from duplex_model.generator import Generator
from duplex_model.lm import RQTransformer
from tests.duplex_model.small import small_checkpoint


def weight(outputs: int, inputs: int, seed: int = 0) -> Tensor:
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(seed))


def tiny() -> nn.Module:
    """Linears with and without bias, in lists, and a norm."""
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Linear(64, 128, bias=False),
        nn.LayerNorm(128),
        nn.ModuleList([nn.Linear(128, 32, bias=False)])[0],
        nn.Linear(32, 8),
    )
    return model.requires_grad_(False).eval()


@given(st.integers(1, 40), st.integers(1, 80), st.integers(0, 2**16), st.floats(1e-6, 1e4))
@settings(deadline=None, max_examples=60)
def test_a_weight_is_off_by_at_most_half_its_rows_scale(
    outputs: int, inputs: int, seed: int, size: float
) -> None:
    exact = weight(outputs, inputs, seed) * size
    quantised, scale = int8.quantise_rows(exact)
    assert quantised.abs().max() <= 127
    error = (exact - quantised * scale[:, None]).abs()
    assert (error <= 0.5001 * scale[:, None]).all()
    assert (scale <= 1.01 * exact.abs().amax(1) / 127).all()
    assert torch.equal(scale.bfloat16().float(), scale)


def test_a_row_of_zeros_stays_zero() -> None:
    exact = weight(2, 8)
    exact[1] = 0
    quantised, scale = int8.quantise_rows(exact)
    assert torch.equal(quantised[1] * scale[1], torch.zeros(8))


def test_weights_that_are_not_finite_are_refused() -> None:
    exact = weight(2, 8)
    exact[1, 3] = torch.inf
    with pytest.raises(CheckpointError, match="finite weights"):
        int8.quantise_rows(exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("inputs", [64, 72, 1024])
def test_error_against_float32(inputs: int, dtype: torch.dtype) -> None:
    linear = nn.Linear(inputs, 96, bias=False)
    x = weight(7, inputs, 1)
    expected = linear(x)
    y = int8.Int8Linear.of(linear)(x.to(dtype).view(7, 1, inputs))
    assert y.shape == (7, 1, 96)
    assert y.dtype == dtype
    error = (y.float()[:, 0] - expected).norm() / expected.norm()
    assert error < 0.012  # uniform rounding of normal weights at 3.5 sigma / 127, and bfloat16's 2^-9


@pytest.mark.parametrize("product", [int8.fused_product, int8.expanded_product])
@pytest.mark.parametrize("lanes", [2, 3, 4, 5, 8, 17])
def test_lanes_are_isolated_to_the_last_bit(product, lanes: int) -> None:
    if product is int8.fused_product and not int8.fused_product_works():
        pytest.skip("this PyTorch has no fused product")
    quantised, scale = int8.quantise_rows(weight(80, 128))
    x = weight(lanes, 128, 2).bfloat16()
    quiet = product(x, quantised, scale)
    for loud in range(lanes):
        for neighbour in (torch.nan, torch.inf, 1000.0):
            changed = x.clone()
            changed[loud] *= neighbour
            others = torch.arange(lanes) != loud
            assert torch.equal(product(changed, quantised, scale)[others], quiet[others])


def test_products_agree() -> None:
    if not int8.fused_product_works():
        pytest.skip("this PyTorch has no fused product")
    quantised, scale = int8.quantise_rows(weight(80, 128))
    x = weight(6, 128, 2).bfloat16()
    fused = int8.fused_product(x, quantised, scale).float()
    expanded = int8.expanded_product(x.float(), quantised, scale)
    assert (fused - expanded).abs().max() < 0.01 * expanded.abs().max()


def test_only_chosen_linears_without_bias_are_replaced() -> None:
    model = tiny()
    assert int8.quantise_linears(model, chosen=lambda name: name != "2") == 1
    kinds = [type(module).__name__ for module in model]
    assert kinds == ["Int8Linear", "LayerNorm", "Linear", "Linear"]


def test_the_condition_is_left_alone() -> None:
    assert not int8.everywhere("condition.output_proj")
    assert int8.everywhere("transformer.layers.0.self_attn.in_proj")


def test_save_and_load(tmp_path: Path) -> None:
    model = tiny()
    int8.quantise_linears(model)
    x = weight(3, 64, 4)
    int8.save_int8(model, tmp_path / "model.safetensors", {"checkpoint": "tiny"})
    with torch.device("meta"):
        again = tiny()
    int8.load_int8(again, tmp_path / "model.safetensors")
    assert torch.equal(again(x), model(x))
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def quantised_tensors() -> dict[str, Tensor]:
    model = tiny()
    int8.quantise_linears(model)
    return dict(model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("0.scale"), "0.scale is missing"),
        (lambda tensors: tensors.pop("0.quantised"), "0.scale is unexpected|0.weight is missing"),
        (lambda tensors: tensors.update(extra=torch.ones(1)), "extra is unexpected"),
        (lambda tensors: tensors.update({"0.scale": torch.ones(3)}), r"expected 0.scale \[128\]"),
        (lambda tensors: tensors.update({"0.quantised": torch.ones(128, 64)}), "int8, got .* torch.float32"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, change, message: str) -> None:
    tensors = quantised_tensors()
    change(tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        int8.load_int8(tiny(), tmp_path / "model.safetensors")


def test_a_file_that_is_no_safetensors(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(CheckpointError, match="expected a safetensors file"):
        int8.load_int8(tiny(), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="expected a safetensors file"):
        int8.load_int8(tiny(), tmp_path / "missing.safetensors")


def load_small(folder: Path, name: str, *, quantised: bool) -> RQTransformer:
    checkpoint = small_checkpoint(name)
    with torch.device("meta"):
        shapes = shapes_of(RQTransformer(file_lm_config(checkpoint)))
    generator = torch.Generator().manual_seed(1)
    tensors = {
        tensor: torch.randn(shape, generator=generator) / shape[-1] ** 0.5 for tensor, shape in shapes.items()
    }
    save_file(tensors, folder / "model.safetensors")
    with SafetensorsFile(folder / "model.safetensors") as file:
        return load_lm(checkpoint, file, int8=quantised)


@pytest.mark.parametrize("name", ["moshiko-7b", "hibiki-2b", "hibiki-zero-3b"])
def test_a_whole_model_is_near_its_original_and_runs(tmp_path: Path, name: str) -> None:
    plain, quantised = (load_small(tmp_path, name, quantised=choice) for choice in (False, True))
    kept = [path for path, module in quantised.named_modules() if isinstance(module, nn.Linear)]
    assert kept == (["condition.output_proj"] if quantised.condition else [])
    config = quantised.config
    tokens = torch.randint(config.card, (2, config.streams, 6))
    for got, expected in zip(quantised(tokens), plain(tokens), strict=True):
        assert (got - expected).float().norm() < 0.05 * expected.float().norm()
    generator = Generator(quantised, 2, GenerationConfig())
    for heard in torch.randint(config.card, (4, 2, config.heard_codebooks)):
        frame = generator.step(heard, generator.sample_everything, torch.ones(2).bool())
    assert frame.valid.all()


def test_a_whole_model_is_saved_and_loaded(tmp_path: Path) -> None:
    model = load_small(tmp_path, "hibiki-2b", quantised=True)
    int8.save_int8(model, tmp_path / "int8.safetensors", {})
    with torch.device("meta"):
        again = RQTransformer(model.config, sinks=True)
    int8.load_int8(again, tmp_path / "int8.safetensors")
    tokens = torch.randint(model.config.card, (2, model.config.streams, 6))
    assert all(torch.equal(*pair) for pair in zip(model(tokens), again(tokens), strict=True))
