from __future__ import annotations

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
        torch.testing.assert_close(model.text_logits(h), text[:, t], rtol=0, atol=1e-4)
        cache = model.depth.start(h)
        for codebook in range(config.own_codebooks):
            logits = model.depth(h, tokens[:, codebook, t + 1], codebook, cache)
            torch.testing.assert_close(logits, audio[:, t, codebook], rtol=0, atol=1e-4)


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
