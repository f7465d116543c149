from __future__ import annotations

from typing import Any

import pytest

from duplex_model.config import CHECKPOINTS
from duplex_model.errors import CheckpointError
from duplex_model.hub_config import lm_config_from_hub

HIBIKI_2B: dict[str, Any] = {
    "model_type": "hibiki",
    "moshi_name": "hibiki-pytorch-220b12c0@200.safetensors",
    "card": 2048,
    "n_q": 32,
    "dep_q": 16,
    "delays": [0, 0, *[2] * 15, 0, *[2] * 15],
    "dim": 2560,
    "text_card": 48000,
    "existing_text_padding_id": 3,
    "num_heads": 20,
    "num_layers": 24,
    "hidden_scale": 4.125,
    "causal": True,
    "layer_scale": None,
    "context": 500,
    "max_period": 100000.0,
    "gating": "silu",
    "norm": "rms_norm_f32",
    "positional_embedding": "rope",
    "depformer_dim": 1024,
    "depformer_dim_feedforward": 3072,
    "depformer_num_heads": 16,
    "depformer_num_layers": 4,
    "depformer_multi_linear": True,
    "depformer_context": 16,
    "depformer_gating": "silu",
    "depformer_pos_emb": "none",
    "depformer_weights_per_step": True,
    "depformer_low_rank_embeddings": 128,
    "depformer_weights_per_step_schedule": [0, 1, 2, 3, 4, 5, 6, 7, *[8] * 8],
    "conditioners": {"description": {"type": "lut", "lut": {"n_bins": 31, "dim": 16}}},
    "fuser": {"sum": ["description"], "cross": [], "prepend": []},
}
ZERO = {key: value for key, value in HIBIKI_2B.items() if key not in ("conditioners", "fuser")} | {
    "dim": 2048,
    "num_layers": 28,
    "num_heads": 16,
    "kv_repeat": 2,
    "hidden_scale": 6,
    "context": 3000,
    "max_period": 20000.0,
    "positional_embedding": "rope_concat",
    "depformer_dim_feedforward": None,
    "depformer_num_layers": 6,
    "depformer_low_rank_embeddings": None,
    "depformer_norm": "layer_norm",
}


@pytest.mark.parametrize(("raw", "name"), [(HIBIKI_2B, "hibiki-2b"), (ZERO, "hibiki-zero-3b")])
def test_a_published_config_gives_the_one_in_the_table(raw: dict[str, Any], name: str) -> None:
    assert lm_config_from_hub(raw) == CHECKPOINTS[name].lm


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"norm": "layer_norm"}, "expected norm 'rms_norm_f32' in config.json, got 'layer_norm'"),
        ({"positional_embedding": "sin"}, "expected positional_embedding 'rope' or 'rope_concat'"),
        ({"cross_attention": True}, "expected cross_attention False"),
        ({"depformer_norm": "rms_norm"}, "expected depformer_norm None or 'layer_norm'"),
        ({"shortcut": 1, "another": 2}, "expected known keys in config.json, got another, shortcut too"),
        ({"delays": [0, 0, *[2] * 15, 1, *[2] * 15]}, "expected the delays"),
    ],
)
def test_another_architecture_is_refused_by_the_key_that_shows_it(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        lm_config_from_hub(HIBIKI_2B | change)


def test_a_config_without_architecture_is_refused() -> None:
    with pytest.raises(CheckpointError, match="expected the key 'dep_q' in config.json"):
        lm_config_from_hub({"model_type": "personaplex"})
