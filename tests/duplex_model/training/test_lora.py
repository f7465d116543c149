from __future__ import annotations

import pytest
import torch
from torch import nn

from duplex_model.lm import RQTransformer
from duplex_model.training.lm_learning.lora import AdaptedLinear, adapt, is_adapter, merge, merged_weights
from tests.duplex_model.small import randomise, small_lm


def adapted(name: str) -> RQTransformer:
    model = RQTransformer(small_lm(name))
    randomise(model, seed=1)
    assert adapt(model, 2) > 0
    return model


def randomise_adapters(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, AdaptedLinear):
            nn.init.normal_(module.up, std=0.1)


@pytest.mark.parametrize("name", ["moshiko-7b", "hibiki-2b", "hibiki-zero-3b"])
def test_merged_weights_give_what_the_adapters_gave(name: str) -> None:
    model = adapted(name)
    tokens = torch.randint(32, (2, model.config.streams, 9))
    fresh = RQTransformer(model.config)
    randomise(fresh, seed=1)
    before = model(tokens)
    for got, expected in zip(before, fresh(tokens), strict=True):
        assert torch.equal(got, expected)  # an adapter that has learnt nothing changes nothing
    randomise_adapters(model)
    expected = model(tokens)
    assert not torch.allclose(expected[0], before[0], atol=1e-2)
    merge(model)
    assert [key for key, _ in model.named_parameters()] == [key for key, _ in fresh.named_parameters()]
    for got, wanted in zip(model(tokens), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_only_adapters_learn() -> None:
    model = adapted("moshiko-7b")
    learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learning
    assert all(is_adapter(name) for name in learning)
    assert "transformer.layers.0.self_attn.in_proj.down" in learning
    assert "depth.layers.1.feed_forward.7.linear_out.up" in learning


def test_merged_weights_leave_the_model_as_it_is() -> None:
    model = adapted("moshiko-7b")
    randomise_adapters(model)
    tokens = torch.randint(32, (1, model.config.streams, 5))
    before = model(tokens)[0]
    merged_weights(model)
    assert torch.equal(model(tokens)[0], before)


def test_layers_that_are_not_there_cannot_be_adapted() -> None:
    with pytest.raises(ValueError, match="expected linear layers named like nothing, got none"):
        adapt(RQTransformer(small_lm("moshiko-7b")), 2, layers="nothing")
