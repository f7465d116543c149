from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from duplex_model.config import NO_INPUT
from duplex_model.lm import DescriptionCondition, RQTransformer, TokenEmbedding
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import CONTEXT, randomise, small_lm

VARIANTS = ("moshiko-7b", "hibiki-2b", "hibiki-1b", "hibiki-zero-3b")


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_equal_the_whole_sequence_past_the_context(name: str) -> None:
    config = small_lm(name)
    model = RQTransformer(config)
    randomise(model, seed=2)
    tokens = torch.randint(config.card, (2, config.streams, CONTEXT + 8))
    condition = model.condition("good") if model.condition else None
    text, audio = model(tokens, condition)
    state = StreamingState(model, lanes=2)
    for t in range(tokens.shape[-1] - 1):
        h = model.temporal(model.embed(tokens[..., t : t + 1], condition), state)[:, 0]
        torch.testing.assert_close(model.text_logits(h), text[:, t], rtol=1e-4, atol=1e-4)
        cache = model.depth.start(h)
        for codebook in range(config.own_codebooks):
            logits = model.depth(h, tokens[:, codebook, t + 1], codebook, cache)
            torch.testing.assert_close(logits, audio[:, t, codebook], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("schedule", [None, (0, 1, 1, 1, 1, 1, 1, 1), (0, 1, 0, 0, 2, 2, 1, 1)])
@pytest.mark.parametrize("name", ["moshiko-7b", "hibiki-2b", "hibiki-zero-3b"])
def test_all_codebooks_at_once_equal_one_after_the_other(name: str, schedule: tuple[int, ...] | None) -> None:
    config = small_lm(name)
    own = config.own_codebooks
    if schedule is not None:
        chosen = tuple(schedule[codebook % len(schedule)] for codebook in range(own))
        config = replace(config, depth=replace(config.depth, schedule=chosen))
    model = RQTransformer(config)
    randomise(model, seed=2)
    h = torch.randn(5, config.temporal.width)
    tokens = torch.randint(config.card, (5, 1 + own))
    at_once = model.depth.teacher_forced(h, tokens)
    cache = model.depth.start(h)
    for codebook in range(own):
        logits = model.depth(h, tokens[:, codebook], codebook, cache)
        torch.testing.assert_close(at_once[:, codebook], logits, rtol=0, atol=1e-5)


@torch.enable_grad()
def test_every_weight_of_the_depth_transformer_learns_from_all_codebooks_at_once() -> None:
    config = small_lm("hibiki-zero-3b")
    model = RQTransformer(config)
    randomise(model, seed=2)
    tokens = torch.randint(config.card, (40, 1 + config.own_codebooks))
    logits = model.depth.teacher_forced(torch.randn(40, config.temporal.width), tokens)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    for parameter_name, parameter in model.depth.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("rank", [None, 3])
def test_no_input_adds_exactly_nothing(rank: int | None) -> None:
    embedding = TokenEmbedding(5, 8, rank)
    randomise(embedding, seed=0)
    rows = embedding(torch.tensor([0, NO_INPUT, 4]))
    assert rows.shape == (3, 8)
    assert rows[1].tolist() == [0.0] * 8
    assert rows[0].abs().min() > 0


def test_an_absent_description_has_a_vector_of_its_own() -> None:
    condition = DescriptionCondition(6)
    randomise(condition, seed=0)
    assert torch.equal(condition(None), condition.learnt_padding)
    assert condition("very_good").shape == (1, 1, 6)
    assert not torch.equal(condition("very_good"), condition("very_bad"))


def test_a_codebook_depends_on_those_before_it_and_on_no_other() -> None:
    config = small_lm("hibiki-zero-3b")
    model = RQTransformer(config)
    randomise(model, seed=2)
    tokens = torch.randint(config.card, (1, config.streams, 2))
    altered = tokens.clone()
    altered[:, 1 + 4, 1] = (altered[:, 1 + 4, 1] + 1) % config.card
    _, before = model(tokens)
    _, after = model(altered)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert (before[:, :, 5:] != after[:, :, 5:]).any(dim=-1).all()
