"""The independent implementation, built from our configs with random weights, and those weights as a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from moshi.conditioners import ConditionAttributes
from moshi.models import loaders
from moshi.models.lm import LMModel
from torch import Tensor, nn

from duplex_model.checkpoint import Rows, Shape, file_lm_config, load_lm
from duplex_model.config import CheckpointConfig, LMConfig, MimiConfig, TransformerConfig
from duplex_model.lm import DESCRIPTIONS, RQTransformer
from tests.duplex_model.small import randomise


class StateDict:
    """A state dict as the source of a checkpoint."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = tensors

    def shapes(self) -> Mapping[str, Shape]:
        return {name: tuple(tensor.shape) for name, tensor in self.tensors.items()}

    def read(self, name: str, rows: Rows | None) -> Tensor:
        tensor = self.tensors[name]
        return (tensor if rows is None else tensor[slice(*rows)]).clone()


def nominal_feedforward(width: int, hidden: int) -> int:
    """A feed-forward size whose gate has `hidden` channels."""
    size = -(-3 * hidden // 2)
    assert size != 4 * width
    assert 2 * size // 3 == hidden
    return size


def mimi_kwargs(config: MimiConfig) -> dict[str, Any]:
    transformer = config.transformer
    seanet = dict(loaders._seanet_kwargs)  # noqa: SLF001
    seanet |= {"dimension": config.width, "n_filters": config.filters}
    return {
        "sample_rate": 24_000,
        "channels": 1,
        "frame_rate": 12.5,
        "seanet": seanet,
        "quantizer": {
            "dimension": config.codebook_width,
            "n_q": config.trained_codebooks,
            "bins": config.card,
            "input_dimension": config.width,
            "output_dimension": config.width,
        },
        "transformer": dict(loaders._transformer_kwargs)  # noqa: SLF001
        | {
            "d_model": config.width,
            "input_dimension": config.width,
            "output_dimensions": [config.width],
            "num_heads": transformer.heads,
            "num_layers": transformer.layers,
            "dim_feedforward": transformer.hidden,
            "context": transformer.context,
        },
    }


def mimi(config: MimiConfig, seed: int) -> Any:
    model = loaders.get_mimi(None, mimi_kwargs(config), num_codebooks=config.codebooks)
    randomise(model, seed)
    for name, buffer in model.named_buffers():
        if name.endswith("embedding_sum"):
            buffer.mul_(0.2)
        if name.endswith("cluster_usage"):
            buffer.abs_().add_(0.5)
        if name.endswith("_initialized"):
            buffer.fill_(1)
    return model


def lm_kwargs(config: LMConfig) -> dict[str, Any]:
    temporal: TransformerConfig = config.temporal
    depth = config.depth
    schedule = None if depth.weight_sets == config.own_codebooks else list(depth.schedule)
    return {
        "dim": temporal.width,
        "num_layers": temporal.layers,
        "num_heads": temporal.heads,
        "kv_repeat": temporal.kv_repeat,
        "hidden_scale": nominal_feedforward(temporal.width, temporal.hidden) / temporal.width,
        "context": temporal.context,
        "max_period": temporal.rotary.max_period,
        "positional_embedding": temporal.rotary.layout.value,
        "norm": temporal.norm.value,
        "gating": "silu",
        "causal": True,
        "layer_scale": None,
        "n_q": config.own_codebooks + config.heard_codebooks,
        "dep_q": config.own_codebooks,
        "card": config.card,
        "text_card": config.text_card,
        "depformer_dim": depth.width,
        "depformer_num_layers": depth.layers,
        "depformer_num_heads": depth.heads,
        "depformer_kv_repeat": 1,
        "depformer_dim_feedforward": nominal_feedforward(depth.width, depth.hidden),
        "depformer_multi_linear": True,
        "depformer_weights_per_step": True,
        "depformer_weights_per_step_schedule": schedule,
        "depformer_low_rank_embeddings": depth.embedding_rank,
        "depformer_norm": "layer_norm" if depth.output_norms else None,
        "depformer_pos_emb": "none",
        "depformer_gating": "silu",
        "depformer_layer_scale": None,
    }


def lm(config: LMConfig, delays: tuple[int, ...], seed: int) -> LMModel:
    kwargs = lm_kwargs(config) | {"delays": list(delays)}
    if config.description:
        lut = {"n_bins": 31, "dim": 16, "tokenizer": "noop", "possible_values": list(DESCRIPTIONS)}
        conditioners = {"description": {"type": "lut", "lut": lut}}
        kwargs["condition_provider"] = loaders.get_conditioner_provider(
            config.temporal.width, "cpu", {"conditioners": conditioners}
        )
        kwargs["fuser"] = loaders.get_condition_fuser({"fuser": {"sum": ["description"]}})
    model = LMModel(device="cpu", dtype=torch.float32, **kwargs).eval()
    randomise(model, seed, gain=1.5)
    return model


def lm_pair(
    checkpoint: CheckpointConfig, seed: int, suffix: str | None = None
) -> tuple[LMModel, RQTransformer]:
    """Theirs, and ours loaded from their weights, as a file of `checkpoint` would hold them.

    Depth steps that are only in the file are in theirs too; their results are not looked at.
    """
    theirs = lm(file_lm_config(checkpoint), checkpoint.lm.delays, seed)
    if checkpoint.end_as_padding:
        theirs.text_emb.weight[2] = theirs.text_emb.weight[3]
    state = theirs.state_dict() if suffix is None else fused(theirs.state_dict(), suffix)
    return theirs, load_lm(checkpoint, StateDict(state), dtype=torch.float32)


def conditions(model: LMModel, descriptions: list[str]) -> Any:
    """Condition tensors of one description per row, or None for a model without."""
    if model.condition_provider is None:
        return None
    attributes = [ConditionAttributes(text={"description": value}, tensor={}) for value in descriptions]
    return model.condition_provider.prepare_and_provide(attributes)


def fused(state: Mapping[str, Tensor], suffix: str) -> dict[str, Tensor]:
    """`state` with the attention projections of all weight sets stacked, named by `suffix`."""
    stacked: dict[str, list[Tensor]] = {}
    rest = {}
    for name, tensor in state.items():
        stem, found, index = name.partition("_projs.")
        if found:
            assert int(index.split(".")[0]) == len(stacked.setdefault(stem, []))
            stacked[stem].append(tensor)
        else:
            rest[name] = tensor
    return rest | {f"{stem}_proj{suffix}": torch.cat(tensors) for stem, tensors in stacked.items()}


def count_parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
