from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from duplex_model.checkpoint import (
    Rows,
    SafetensorsFile,
    Shape,
    Shards,
    file_lm_config,
    load_codec,
    load_lm,
    load_mimi,
    map_tensors,
    rename,
    shapes_of,
)
from duplex_model.config import CHECKPOINTS, MimiConfig
from duplex_model.errors import CheckpointError
from duplex_model.int8 import Int8Linear, quantise_rows
from duplex_model.lm import RQTransformer
from duplex_model.spectral import SpectralCodec
from tests.duplex_model.small import small_checkpoint
from tests.duplex_model.tiny_checkpoint import SPECTRAL, spectral_codec

DATA = Path(__file__).parents[1] / "data" / "tensors"
PARAMETERS = {
    "personaplex-7b": 7_687_729_152,  # of 8,371,408,896 in the file
    "moshiko-7b": 7_687_729_152,
    "hibiki-2b": 2_787_362_816,
    "hibiki-1b": 1_799_907_840,
    "hibiki-zero-3b": 3_131_686_912,
}
PUBLISHED = sorted(path.stem for path in DATA.glob("*.txt") if not path.stem.startswith("mimi"))


def expand(name: str) -> list[str]:
    found = re.search(r"\{(\d+)\.\.(\d+)\}", name)
    if found is None:
        return [name]
    indices = range(int(found[1]), int(found[2]) + 1)
    return [each for i in indices for each in expand(name[: found.start()] + str(i) + name[found.end() :])]


def published(stem: str) -> dict[str, Shape]:
    shapes = {}
    for line in (DATA / f"{stem}.txt").read_text().splitlines():
        template, shape = line.split(" ", 1)
        shapes |= {name: tuple(json.loads(shape)) for name in expand(template)}
    return shapes


class MetaTensors:
    """A checkpoint of the right shapes and no content; remembers what was read."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self.elements_read = 0

    def shapes(self) -> Mapping[str, Shape]:
        return self._shapes

    def read(self, name: str, rows: Rows | None) -> Tensor:
        tensor = torch.empty(self._shapes[name], dtype=torch.bfloat16, device="meta")
        tensor = tensor if rows is None else tensor[slice(*rows)]
        self.elements_read += tensor.numel()
        return tensor


@pytest.mark.slow
@pytest.mark.parametrize("stem", PUBLISHED)
def test_every_published_tensor_of_a_language_model_finds_its_place(stem: str) -> None:
    name = stem.split(".")[0]
    source = MetaTensors(published(stem))
    model = load_lm(CHECKPOINTS[name], source)
    parameters = dict(model.named_parameters())
    assert sum(parameter.numel() for parameter in parameters.values()) == PARAMETERS[name]
    assert source.elements_read == PARAMETERS[name]
    dtypes = {name: parameter.dtype for name, parameter in parameters.items()}
    assert {dtypes[name] for name in dtypes if not name.startswith("condition.")} == {torch.bfloat16}
    assert all(dtypes[name] == torch.float32 for name in dtypes if name.startswith("condition."))


@pytest.mark.slow
@pytest.mark.parametrize("codebooks", [8, 16])
def test_every_published_tensor_of_mimi_finds_its_place(codebooks: int) -> None:
    mimi = load_mimi(MimiConfig(codebooks=codebooks), MetaTensors(published("mimi.unfused")))
    assert mimi.quantizer.rvq_rest.centroids.shape == (codebooks - 1, 2048, 256)
    assert all(tensor.dtype == torch.float32 for tensor in mimi.state_dict().values())


def test_the_published_lists_are_of_the_published_sizes() -> None:
    assert len(published("personaplex-7b.fused")) == 475
    assert len(published("personaplex-7b.unfused")) == 655
    assert len(published("mimi.unfused")) == 318


def test_known_spellings() -> None:
    layer = "depformer.layers.3.self_attn"
    assert (
        rename(f"{layer}.in_proj_weight")
        == rename(f"{layer}.in_proj.weight")
        == "depth.layers.3.self_attn.in_proj.weight"
    )
    assert rename(f"{layer}.out_projs.5.weight") == "depth.layers.3.self_attn.out_proj.5.weight"
    assert rename("downsample.conv.conv.conv.weight") == "downsample.conv.weight"
    assert rename("quantizer.rvq_first.vq.layers.0._codebook.embed_avg").endswith("._codebook.embedding_sum")


def test_fused_projections_are_cut_by_rows() -> None:
    expected = {f"depth.layers.0.self_attn.in_proj.{s}.weight": (6, 2) for s in range(3)}
    pieces = map_tensors(expected, {"depformer.layers.0.self_attn.in_proj_weight": (18, 2)})
    assert [pieces[name].rows for name in expected] == [(0, 6), (6, 12), (12, 18)]


def altered(change: dict[str, Shape | None]) -> MetaTensors:
    shapes = published("moshiko-7b.fused")
    for name, shape in change.items():
        if shape is None:
            del shapes[name]
        else:
            shapes[name] = shape
    return MetaTensors(shapes)


def test_differences_are_listed_by_name() -> None:
    source = altered({"out_norm.alpha": None, "emb.3.weight": (2049, 4095), "extra.bias": (7,)})
    with pytest.raises(CheckpointError) as caught:
        load_lm(CHECKPOINTS["moshiko-7b"], source)
    assert str(caught.value) == (
        "expected the tensors of its architecture, got 1 missing (out_norm.alpha [1, 1, 4096]), "
        "1 unexpected (extra.bias [7]), "
        "1 of another shape (emb.3.weight: expected [2049, 4096], got [2049, 4095]): "
        "use the files of one and the same checkpoint"
    )


def test_one_tensor_in_two_spellings_is_refused() -> None:
    source = altered({"transformer.layers.0.self_attn.in_projs.0.weight": (12288, 4096)})
    with pytest.raises(
        CheckpointError, match=r"1 found twice \(.*as .*in_proj_weight and as .*in_projs.0.weight"
    ):
        load_lm(CHECKPOINTS["moshiko-7b"], source)


def test_a_checkpoint_of_another_model_is_refused_in_a_readable_message() -> None:
    with pytest.raises(CheckpointError) as caught:
        load_lm(CHECKPOINTS["hibiki-2b"], MetaTensors(published("moshiko-7b.fused")))
    assert "; and 238 more)" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_an_early_end_of_text_reads_as_padding_where_the_checkpoint_asks_for_it(tmp_path: Path) -> None:
    model = random_small_file(tmp_path, "hibiki-1b")
    with SafetensorsFile(tmp_path / "model.safetensors") as file:
        loaded = load_lm(small_checkpoint("hibiki-1b"), file, dtype=torch.float32)
    assert torch.equal(loaded.text_emb.weight[2], loaded.text_emb.weight[3])
    assert not torch.equal(model["text_emb.weight"][2], model["text_emb.weight"][3])
    assert torch.equal(loaded.text_emb.weight[4:], model["text_emb.weight"][4:])


def random_small_file(folder: Path, name: str) -> dict[str, Tensor]:
    with torch.device("meta"):
        shapes = shapes_of(RQTransformer(file_lm_config(small_checkpoint(name))))
    tensors = {tensor: torch.randn(shape) for tensor, shape in shapes.items()}
    save_file(tensors, folder / "model.safetensors")
    return tensors


def test_a_file_is_read_in_the_asked_precision(tmp_path: Path) -> None:
    tensors = random_small_file(tmp_path, "personaplex-7b")
    with SafetensorsFile(tmp_path / "model.safetensors") as file:
        loaded = load_lm(small_checkpoint("personaplex-7b"), file, dtype=torch.float16)
    name = "depth.layers.1.self_attn.in_proj.7.weight"
    assert torch.equal(loaded.get_parameter(name), tensors[name].half())
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def as_int8(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every matrix as int8 rows with scales, as `int8` and the export write them."""
    written: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        stem = name.removesuffix(".weight")
        if stem == name or tensor.dim() != 2:
            written[name] = tensor
        else:
            written[f"{stem}.quantised"], written[f"{stem}.scale"] = quantise_rows(tensor)
    return written


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_int8_rows_are_read_as_the_matrices_they_stand_for(tmp_path: Path, dtype: torch.dtype) -> None:
    kept = as_int8(random_small_file(tmp_path, "personaplex-7b"))
    save_file(kept, tmp_path / "q8.safetensors")
    with SafetensorsFile(tmp_path / "q8.safetensors") as file:
        model = load_lm(small_checkpoint("personaplex-7b"), file, dtype=dtype)
    for stem in ("text_emb", "text_linear", "depth.layers.1.self_attn.in_proj.7"):
        exact = kept[f"{stem}.quantised"].float() * kept[f"{stem}.scale"][:, None]
        assert torch.equal(model.get_parameter(f"{stem}.weight"), exact.to(dtype))
    assert torch.equal(model.get_parameter("out_norm.alpha"), kept["out_norm.alpha"].to(dtype))


def test_int8_rows_stay_as_they_are_where_int8_is_wanted(tmp_path: Path) -> None:
    kept = as_int8(random_small_file(tmp_path, "personaplex-7b"))
    save_file(kept, tmp_path / "q8.safetensors")
    with SafetensorsFile(tmp_path / "q8.safetensors") as file:
        model = load_lm(small_checkpoint("personaplex-7b"), file, dtype=torch.bfloat16, int8=True)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Int8Linear)}
    assert {"text_linear", "depth.layers.1.self_attn.in_proj.7"} <= layers.keys()
    for name, layer in layers.items():
        assert torch.equal(layer.quantised, kept[f"{name}.quantised"])
        assert torch.equal(layer.scale.float(), kept[f"{name}.scale"])
    assert model.text_emb.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("scale", [None, torch.ones(47), torch.ones(48, 1)])
def test_int8_rows_without_their_scales_are_refused(tmp_path: Path, scale: Tensor | None) -> None:
    kept = as_int8(random_small_file(tmp_path, "personaplex-7b"))
    kept.pop("text_linear.scale")
    save_file(kept if scale is None else kept | {"text_linear.scale": scale}, tmp_path / "q8.safetensors")
    with (
        SafetensorsFile(tmp_path / "q8.safetensors") as file,
        pytest.raises(CheckpointError, match=r"expected text_linear.scale with one scale for each row"),
    ):
        load_lm(small_checkpoint("personaplex-7b"), file)


def test_shards_are_one_file_and_hold_each_tensor_once(tmp_path: Path) -> None:
    tensors = random_small_file(tmp_path, "personaplex-7b")
    names = sorted(tensors)
    for number, part in enumerate((names[:20], names[20:], names[19:])):
        save_file({name: tensors[name] for name in part}, tmp_path / f"{number}.safetensors")
    config = small_checkpoint("personaplex-7b")
    with ExitStack() as stack:
        files = [stack.enter_context(SafetensorsFile(tmp_path / f"{n}.safetensors")) for n in range(3)]
        model = load_lm(config, Shards(files[:2]), dtype=torch.float32)
        with pytest.raises(CheckpointError, match=f"in one shard, got {names[19]} in two"):
            Shards([files[0], files[2]])
    assert torch.equal(model.text_linear.weight, tensors["text_linear.weight"])


def test_a_spectral_codec_is_read_by_name_and_shape(tmp_path: Path) -> None:
    codec = spectral_codec()
    halves = {name: tensor.half() for name, tensor in codec.state_dict().items()}
    save_file(halves, tmp_path / "codec.safetensors")
    with SafetensorsFile(tmp_path / "codec.safetensors") as file:
        loaded = load_codec(SPECTRAL, file)
    assert isinstance(loaded, SpectralCodec)
    assert {tensor.dtype for tensor in loaded.state_dict().values()} == {torch.float32}
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, halves[name].float())
    kept = {name: tensor for name, tensor in halves.items() if not name.endswith((".window", ".filters"))}
    save_file(kept, tmp_path / "kept.safetensors")
    with SafetensorsFile(tmp_path / "kept.safetensors") as file:
        computed = load_codec(SPECTRAL, file).state_dict()["encoder.analysis.window"]
    assert torch.equal(computed, codec.encoder.analysis.window)
    del kept["encoder.norm.weight"]
    save_file(kept, tmp_path / "less.safetensors")
    with (
        SafetensorsFile(tmp_path / "less.safetensors") as file,
        pytest.raises(CheckpointError, match=r"1 missing \(encoder.norm.weight \[16\]\)"),
    ):
        load_codec(SPECTRAL, file)


def test_integers_are_refused(tmp_path: Path) -> None:
    tensors = random_small_file(tmp_path, "moshiko-7b")
    save_file(
        tensors | {"text_linear.weight": torch.zeros(48, 16, dtype=torch.int8)}, tmp_path / "q8.safetensors"
    )
    with (
        SafetensorsFile(tmp_path / "q8.safetensors") as file,
        pytest.raises(
            CheckpointError, match=r"expected text_linear.weight in floating point, got torch.int8"
        ),
    ):
        load_lm(small_checkpoint("moshiko-7b"), file)


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint at all", b"\xff" * 64], ids=["empty", "text", "huge header"]
)
def test_a_file_that_is_no_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="expected a safetensors file at .*model.safetensors"):
        SafetensorsFile(path)


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "given"), [(None, 2048), (500, 500), (9999, 3000)])
def test_the_attended_window_is_what_was_trained_unless_asked(asked: int | None, given: int) -> None:
    source = MetaTensors(published("personaplex-7b.fused"))
    model = load_lm(CHECKPOINTS["personaplex-7b"], source, window_frames=asked)
    assert model.transformer.slots == given
