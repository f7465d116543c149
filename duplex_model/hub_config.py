"""A repository's `config.json` -> our config. Every key is understood, ignored by name, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from duplex_model.config import (
    DepthConfig,
    LMConfig,
    Norm,
    RotaryConfig,
    RotaryLayout,
    TransformerConfig,
    gate_width,
)
from duplex_model.errors import CheckpointError

_NOT_ARCHITECTURE = frozenset(
    {
        "moshi_name", "mimi_name", "mimi_config_name", "tokenizer_name", "lora_name", "model_type", "model_id",
        "lm_gen_config", "tts_config", "stt_config", "lora", "lora_rank", "lora_scaling",
        # Set in published files and without effect there: one frame of the depth transformer is never longer.
        "depformer_causal", "depformer_context", "depformer_max_period", "existing_text_end_padding_id",
    }
)  # fmt: skip

_FIXED: Mapping[str, tuple[Any, ...]] = {
    "causal": (True,),
    "gating": ("silu",),
    "depformer_gating": ("silu",),
    "layer_scale": (None,),
    "depformer_layer_scale": (None,),
    "depformer_kv_repeat": (1,),
    "depformer_pos_emb": ("none",),
    "depformer_multi_linear": (True,),
    "depformer_weights_per_step": (True,),
    "depformer_norm": (None, "layer_norm"),
    "norm": (Norm.RMS_F32.value,),
    "positional_embedding": tuple(layout.value for layout in RotaryLayout),
    "norm_emb": (False,),
    "bias_proj": (False,),
    "existing_text_padding_id": (3,),
    "cross_attention": (False,),
    "demux_second_stream": (False,),
    "demux_second_text_stream": (False,),
    "extra_heads_num_heads": (0,),
    "quantize": (False,),
    "fuser": (None, {"sum": ["description"]}, {"sum": ["description"], "cross": [], "prepend": []}),
}
"""Keys with the only values that are understood."""


def lm_config_from_hub(raw: Mapping[str, Any]) -> LMConfig:
    """The language model that `raw`, the content of a `config.json`, describes.

    Raises:
        CheckpointError: a key is missing, unknown, or has a value that another architecture would need.
    """
    keys = {key: value for key, value in raw.items() if key not in _NOT_ARCHITECTURE}
    for key, values in _FIXED.items():
        if key in keys and keys[key] not in values:
            wanted = " or ".join(repr(value) for value in values)
            raise CheckpointError(f"expected {key} {wanted} in config.json, got {keys[key]!r}")
    try:
        config = _lm_config(keys)
    except KeyError as missing:
        raise CheckpointError(f"expected the key {missing} in config.json, got none") from missing
    unknown = sorted(keys.keys() - _FIXED.keys())
    if unknown:
        raise CheckpointError(f"expected known keys in config.json, got {', '.join(unknown)} too")
    return config


def _lm_config(keys: dict[str, Any]) -> LMConfig:
    """Takes what it understands out of `keys`."""
    own = keys.pop("dep_q")
    scale = keys.pop("hidden_scale")
    delays = tuple(keys.pop("delays"))
    temporal = _temporal(keys, scale)
    config = LMConfig(
        temporal=temporal,
        depth=_depth(keys, own, scale),
        own_codebooks=own,
        heard_codebooks=keys.pop("n_q") - own,
        acoustic_delay=max(delays),
        text_card=keys.pop("text_card"),
        card=keys.pop("card"),
        description="description" in keys.pop("conditioners", {}),
    )
    if delays != config.delays:
        raise CheckpointError(f"expected the delays {list(config.delays)} in config.json, got {list(delays)}")
    return config


def _temporal(keys: dict[str, Any], scale: float) -> TransformerConfig:
    width = keys.pop("dim")
    layout = RotaryLayout(keys.pop("positional_embedding"))
    return TransformerConfig(
        width=width,
        layers=keys.pop("num_layers"),
        heads=keys.pop("num_heads"),
        hidden=gate_width(width, int(scale * width)),
        context=keys.pop("context"),
        rotary=RotaryConfig(max_period=keys.pop("max_period"), layout=layout),
        kv_repeat=keys.pop("kv_repeat", 1),
    )


def _depth(keys: dict[str, Any], codebooks: int, scale: float) -> DepthConfig:
    width = keys.pop("depformer_dim")
    feedforward = keys.pop("depformer_dim_feedforward", None) or int(scale * width)
    return DepthConfig(
        width=width,
        layers=keys.pop("depformer_num_layers"),
        heads=keys.pop("depformer_num_heads"),
        hidden=gate_width(width, feedforward),
        schedule=tuple(keys.pop("depformer_weights_per_step_schedule", None) or range(codebooks)),
        embedding_rank=keys.pop("depformer_low_rank_embeddings", None),
        output_norms=keys.get("depformer_norm") is not None,
    )
