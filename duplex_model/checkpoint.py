"""Checkpoint files -> modules: every tensor named, shaped and accounted for, or an error that lists the differences.

The published files spell one architecture in several ways. `rename` turns any of them into our own names; attention
projections may also be *fused*, the weight sets of all codebooks stacked in one tensor, and are cut by rows.

    ....self_attn.in_proj_weight     [S * 3 D, D]    fused, as published in 2024
    ....self_attn.in_proj.weight     [S * 3 D, D]
    ....self_attn.in_projs.{s}.weight    [3 D, D]    one tensor per weight set

A matrix may also be kept as int8 rows with their scales, as `int8` writes them, and a file in shards.

Language models are built on the meta device and filled tensor by tensor, so a second copy is never in memory. Only
safetensors are read: nothing in a checkpoint is ever unpickled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from duplex_model.config import (
    TEXT_TOKENS,
    CheckpointConfig,
    CodecConfig,
    LMConfig,
    MimiConfig,
    SpectralConfig,
)
from duplex_model.errors import CheckpointError
from duplex_model.int8 import QUANTISED, SCALE, keep_quantised, quantise_linears
from duplex_model.lm import RQTransformer
from duplex_model.mimi import Mimi
from duplex_model.spectral import SpectralCodec

Shape = tuple[int, ...]
Rows = tuple[int, int]

_Model = TypeVar("_Model", bound=nn.Module)

_LISTED = 5  # names shown of each kind of difference, so that it is still a sentence

_SPELLINGS = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"^condition_provider\.conditioners\.description\.", "condition."),
        (r"^depformer_in\.", "depth.inputs."),
        (r"^depformer_(text_emb|emb|norms)\.", r"depth.\1."),
        (r"^depformer\.layers\.", "depth.layers."),
        (r"^linears\.", "depth.linears."),
        (r"\.gating\.", ".feed_forward."),
        (r"\.linear([12])\.weight$", r".feed_forward.linear\1.weight"),
        (r"\.(in|out)_proj_weight$", r".\1_proj.weight"),
        (r"\.(in|out)_projs\.", r".\1_proj."),
        (r"\.(conv|convtr)(?:\.\1)+\.", r".\1."),
        (r"\._codebook\.inited$", "._codebook._initialized"),
        (r"\._codebook\.cluster_size$", "._codebook.cluster_usage"),
        (r"\._codebook\.embed_(avg|sum)$", "._codebook.embedding_sum"),
    )
)


def rename(name: str) -> str:
    """A published tensor name in our spelling."""
    for pattern, ours in _SPELLINGS:
        name = pattern.sub(ours, name)
    return name


class TensorSource(Protocol):
    """Named tensors that are read one by one."""

    def shapes(self) -> Mapping[str, Shape]:
        """Every tensor and its shape."""
        ...

    def read(self, name: str, rows: Rows | None) -> Tensor:
        """A tensor, or only some rows of it."""
        ...


class SafetensorsFile:
    """A safetensors file, memory-mapped: `with SafetensorsFile(path) as file`."""

    def __init__(self, path: Path, device: torch.device | str = "cpu") -> None:
        """Opens `path`; tensors are read to `device`.

        Raises:
            CheckpointError: not a readable safetensors file.
        """
        try:
            self._file: Any = safe_open(str(path), framework="pt", device=str(device))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"expected a safetensors file at {path}, got: {error}") from error

    def shapes(self) -> Mapping[str, Shape]:
        """Every tensor and its shape."""
        return {name: tuple(self._file.get_slice(name).get_shape()) for name in self._file.keys()}  # noqa: SIM118

    def read(self, name: str, rows: Rows | None) -> Tensor:
        """A tensor, or only some rows of it."""
        tensor: Tensor
        tensor = self._file.get_tensor(name) if rows is None else self._file.get_slice(name)[slice(*rows)]
        return tensor

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.__exit__(exc_type, exc, traceback)


class Shards:
    """Several sources as one."""

    def __init__(self, sources: Sequence[TensorSource]) -> None:
        """Takes the parts.

        Raises:
            CheckpointError: a tensor is in two of them.
        """
        self._shapes: dict[str, Shape] = {}
        self._holders: dict[str, TensorSource] = {}
        for source in sources:
            for name, shape in source.shapes().items():
                if name in self._holders:
                    raise CheckpointError(
                        f"expected every tensor in one shard, got {name} in two: use the files of one checkpoint"
                    )
                self._shapes[name], self._holders[name] = shape, source

    def shapes(self) -> Mapping[str, Shape]:
        """Every tensor and its shape."""
        return self._shapes

    def read(self, name: str, rows: Rows | None) -> Tensor:
        """A tensor, or only some rows of it."""
        return self._holders[name].read(name, rows)


class Dequantised:
    """A source in which matrices kept as int8 rows (`x.quantised`, `x.scale`) read as float32 `x.weight`."""

    def __init__(self, source: TensorSource) -> None:
        """Takes the source.

        Raises:
            CheckpointError: int8 rows without their scales.
        """
        self._source = source
        self._shapes = dict(source.shapes())
        self._stems: dict[str, str] = {}
        for name in [name for name in self._shapes if name.endswith(QUANTISED)]:
            stem = name.removesuffix(QUANTISED)
            shape = self._shapes.pop(name)
            scale = self._shapes.pop(stem + SCALE, None)
            if len(shape) != 2 or scale != shape[:1]:
                raise CheckpointError(
                    f"expected {stem + SCALE} with one scale for each row of {name} {list(shape)}, got {scale}"
                )
            self._shapes[f"{stem}.weight"] = shape
            self._stems[f"{stem}.weight"] = stem

    def shapes(self) -> Mapping[str, Shape]:
        """Every tensor and its shape."""
        return self._shapes

    def read(self, name: str, rows: Rows | None) -> Tensor:
        """A tensor, or only some rows of it."""
        kept = self.quantised(name, rows)
        if kept is None:
            return self._source.read(name, rows)
        quantised, scale = kept
        return quantised.float() * scale.float()[:, None]

    def quantised(self, name: str, rows: Rows | None) -> tuple[Tensor, Tensor] | None:
        """Int8 [O, I] and scales [O] of the matrix `name`; None where it is not kept so."""
        stem = self._stems.get(name)
        if stem is None:
            return None
        quantised, scale = self._source.read(stem + QUANTISED, rows), self._source.read(stem + SCALE, rows)
        if quantised.dtype != torch.int8 or not scale.is_floating_point():
            raise CheckpointError(
                f"expected int8 rows with scales for {name}, got {quantised.dtype} and {scale.dtype}"
            )
        return quantised, scale


@dataclass(frozen=True)
class Piece:
    """Where a tensor of ours is found."""

    source: str
    rows: Rows | None = None
    """First row and the one after the last, or None for all of them."""


def map_tensors(expected: Mapping[str, Shape], found: Mapping[str, Shape]) -> dict[str, Piece]:
    """Where each expected tensor is in a file.

    Args:
        expected: our names and shapes.
        found: the file's.

    Raises:
        CheckpointError: with every tensor missing, unexpected, found twice, or of another shape.
    """
    pieces: dict[str, Piece] = {}
    wrong: dict[str, list[str]] = {"missing": [], "unexpected": [], "found twice": [], "of another shape": []}
    for source, shape in found.items():
        targets = _targets(rename(source), shape, expected)
        if not targets:
            wrong["unexpected"].append(f"{source} {list(shape)}")
        for name, (rows, piece_shape) in targets.items():
            if name in pieces:
                wrong["found twice"].append(f"{name}, as {pieces[name].source} and as {source}")
            elif piece_shape != expected[name]:
                wrong["of another shape"].append(
                    f"{source}: expected {list(expected[name])}, got {list(piece_shape)}"
                )
            pieces[name] = Piece(source, rows)
    wrong["missing"] = [f"{name} {list(shape)}" for name, shape in expected.items() if name not in pieces]
    if any(wrong.values()):
        raise CheckpointError(_differences(wrong))
    return pieces


def _targets(name: str, shape: Shape, expected: Mapping[str, Shape]) -> dict[str, tuple[Rows | None, Shape]]:
    """Our tensors that the file's tensor `name` holds, with their rows in it and their shape."""
    single = re.sub(r"_proj\.0\.weight$", "_proj.weight", name)  # a transformer with one weight set
    for ours in (name, single):
        if ours in expected:
            return {ours: (None, shape)}
    stem = name.removesuffix("weight")
    sets = [f"{stem}{index}.weight" for index in range(_count_sets(stem, expected))]
    if not sets or shape[0] % len(sets):
        return {}
    rows = shape[0] // len(sets)
    piece_shape = (rows, *shape[1:])
    return {ours: ((i * rows, (i + 1) * rows), piece_shape) for i, ours in enumerate(sets)}


def _count_sets(stem: str, expected: Mapping[str, Shape]) -> int:
    if not stem.endswith("_proj."):
        return 0
    count = 0
    while f"{stem}{count}.weight" in expected:
        count += 1
    return count


def _differences(wrong: Mapping[str, list[str]]) -> str:
    counted = [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in wrong.items() if names]
    got = ", ".join(counted)
    return (
        f"expected the tensors of its architecture, got {got}: use the files of one and the same checkpoint"
    )


def _shortened(names: list[str]) -> str:
    left = len(names) - _LISTED
    return "; ".join([*names[:_LISTED], *([f"and {left} more"] if left > 0 else [])])


def shapes_of(model: nn.Module) -> dict[str, Shape]:
    """Names and shapes of the parameters of `model`."""
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def file_lm_config(config: CheckpointConfig) -> LMConfig:
    """The language model as its file holds it, with depth steps that we leave there.

    PersonaPlex was trained with depth steps for the speaker's codebooks too. Their predictions are never used, as
    the speaker is always heard, and no step that is used depends on them.
    """
    steps = config.depth_steps_in_file
    if steps is None:
        return config.lm
    heard = config.lm.own_codebooks + config.lm.heard_codebooks - steps
    depth = replace(config.lm.depth, schedule=tuple(range(steps)))
    return replace(config.lm, own_codebooks=steps, heard_codebooks=heard, depth=depth)


def load_lm(
    config: CheckpointConfig,
    source: TensorSource,
    *,
    dtype: torch.dtype = torch.bfloat16,
    int8: bool = False,
    window_frames: int | None = None,
    sinks: bool = True,
) -> RQTransformer:
    """The language model, in inference mode, on the device `source` reads to.

    Args:
        config: of the checkpoint.
        source: its tensors; matrices may be int8 rows.
        dtype: of all weights but the condition's, which stay float32.
        int8: whether linear weights are then kept in int8, those that come so as they are; activations need a
            `dtype` of 16 bits.
        window_frames: positions attended to, at most the model's context; by default what it was trained on.
        sinks: whether lanes can pin their prompt.

    Raises:
        CheckpointError: the tensors are not those of `config`.
        ValueError: int8 with float32 activations.
    """
    if int8 and dtype == torch.float32:
        raise ValueError("expected bfloat16 or float16 with int8 weights, got float32")
    window = min(window_frames or config.window_frames, config.lm.temporal.context)
    windowed = replace(config.lm, temporal=replace(config.lm.temporal, context=window))
    with torch.device("meta"):
        model = RQTransformer(windowed, sinks=sinks)
        in_file = shapes_of(RQTransformer(file_lm_config(config)))
    rows = Dequantised(source)
    pieces = map_tensors(in_file, rows.shapes())
    tensors = {}
    for name in shapes_of(model):
        kept = torch.float32 if name.startswith("condition.") else dtype
        tensors[name] = _read(rows, pieces[name]).to(kept)
    if config.end_as_padding:
        text = tensors["text_emb.weight"] = tensors["text_emb.weight"].clone()
        text[TEXT_TOKENS.end] = text[TEXT_TOKENS.padding]
    _filled(model, tensors)
    if int8:
        tensors.clear()  # so that each weight is freed as soon as its int8 form stands
        for name in shapes_of(model):
            came = rows.quantised(pieces[name].source, pieces[name].rows)
            if came is not None:
                keep_quantised(model, name.removesuffix(".weight"), *came)
        quantise_linears(model)
    return model


def build_codec(config: CodecConfig) -> Mimi | SpectralCodec:
    """The codec of `config`, not trained."""
    return SpectralCodec(config) if isinstance(config, SpectralConfig) else Mimi(config)


def load_codec(config: CodecConfig, source: TensorSource) -> Mimi | SpectralCodec:
    """The codec, in float32 and inference mode, on the device `source` reads to.

    Raises:
        CheckpointError: the tensors are not those of `config`.
    """
    return load_spectral(config, source) if isinstance(config, SpectralConfig) else load_mimi(config, source)


def load_spectral(config: SpectralConfig, source: TensorSource) -> SpectralCodec:
    """The spectral codec, in float32 and inference mode. Windows and filters are computed where they are not kept.

    Raises:
        CheckpointError: the tensors are not those of `config`.
    """
    model = SpectralCodec(config)
    found = source.shapes()
    expected = {
        name: tuple(tensor.shape)
        for name, tensor in model.state_dict().items()
        if name in found or not _computed(name)
    }
    pieces = map_tensors(expected, found)
    tensors = {name: _read(source, pieces[name]).float() for name in expected}
    model.load_state_dict(tensors, strict=False, assign=True)
    return model.to(next(iter(tensors.values())).device).requires_grad_(False).eval()


def _computed(name: str) -> bool:
    return name.rpartition(".")[2] in ("window", "filters")


def load_mimi(config: MimiConfig, source: TensorSource) -> Mimi:
    """The codec, in float32 and inference mode, with the codebooks in use.

    Raises:
        CheckpointError: the tensors are not those of Mimi.
    """
    with torch.device("meta"):
        model = Mimi(config)
    codebooks = list(_codebook_names(config))
    expected = shapes_of(model)
    for name in codebooks:
        expected[f"{name}.embedding_sum"] = (config.card, config.codebook_width)
        expected[f"{name}.cluster_usage"] = (config.card,)
    found = {
        name: shape for name, shape in source.shapes().items() if not rename(name).endswith("._initialized")
    }
    pieces = map_tensors(expected, found)
    tensors = {name: _read(source, pieces[name]).float() for name in shapes_of(model)}
    used = [_centroids(source, pieces, name) for name in codebooks[: config.codebooks]]
    tensors["quantizer.rvq_first.centroids"] = torch.stack(used[:1])
    tensors["quantizer.rvq_rest.centroids"] = torch.stack(used[1:])
    return _filled(model, tensors)


def _codebook_names(config: MimiConfig) -> Iterable[str]:
    yield "quantizer.rvq_first.vq.layers.0._codebook"
    for level in range(config.trained_codebooks - 1):
        yield f"quantizer.rvq_rest.vq.layers.{level}._codebook"


def _centroids(source: TensorSource, pieces: Mapping[str, Piece], name: str) -> Tensor:
    """Mean of what each centroid stood for in training: the running sum over the running count."""
    total = _read(source, pieces[f"{name}.embedding_sum"]).float()
    usage = _read(source, pieces[f"{name}.cluster_usage"]).float()
    return total / usage.clamp(min=1e-5)[:, None]


def _read(source: TensorSource, piece: Piece) -> Tensor:
    tensor = source.read(piece.source, piece.rows)
    if not tensor.is_floating_point():
        raise CheckpointError(
            f"expected {piece.source} in floating point, got {tensor.dtype}: load the unquantized checkpoint"
        )
    return tensor


def _filled(model: _Model, tensors: Mapping[str, Tensor]) -> _Model:
    model.load_state_dict(dict(tensors), assign=True)
    return model.requires_grad_(False).eval()
