from __future__ import annotations

import pytest
import torch
from torch import Tensor

from duplex_model.config import GREEDY, SamplingConfig
from duplex_model.sampling import philox, sample, uniform

KNOWN_ANSWERS = [  # of Philox4x32-10, published with the generator (Random123, kat_vectors)
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[Tensor]:
    return [torch.tensor([int(word, 16)]) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    c0, c1, c2, c3 = words(counter)
    k0, k1 = words(key)
    assert philox((c0, c1, c2, c3), (k0, k1)) == tuple(words(answer))


def numbers(seed: int, position: int, stream: int, tokens: Tensor) -> Tensor:
    return uniform(torch.tensor([seed]), torch.tensor([position]), stream, tokens[None])[0]


def test_numbers_are_uniform_and_never_zero_or_one() -> None:
    u = numbers(7, 1000, 3, torch.arange(200_000))
    assert u.min() > 0
    assert u.max() < 1
    counts = torch.histc(u, bins=20, min=0, max=1)
    chi_square = ((counts - 10_000) ** 2 / 10_000).sum()
    assert chi_square < 43.8  # 19 degrees of freedom: exceeded by chance once in a thousand


def test_every_part_of_the_key_matters() -> None:
    tokens = torch.arange(64)
    reference = numbers(1, 2, 3, tokens)
    for seed, position, stream in [(2, 2, 3), (1 + 2**32, 2, 3), (1, 3, 3), (1, 2 + 2**32, 3), (1, 2, 4)]:
        assert (numbers(seed, position, stream, tokens) != reference).all()
    assert torch.equal(numbers(1, 2, 3, tokens[5:6]), reference[5:6])
    assert numbers(-1, 2, 3, tokens).isfinite().all()


def draw(logits: Tensor, config: SamplingConfig, lanes: int) -> Tensor:
    return sample(
        logits.expand(lanes, -1),
        config,
        seed=torch.arange(lanes),
        position=torch.full((lanes,), 5),
        stream=1,
    )


@pytest.mark.slow
def test_draws_follow_the_distribution_of_the_kept_tokens() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5])
    drawn = draw(logits, SamplingConfig(temperature=0.8, top_k=3), lanes=50_000)
    shares = torch.bincount(drawn, minlength=5) / 50_000
    kept = torch.tensor([False, True, True, False, True])
    expected = (logits / 0.8).masked_fill(~kept, -torch.inf).softmax(dim=0)
    torch.testing.assert_close(shares, expected, rtol=0, atol=0.01)
    assert shares[~kept].sum() == 0


def test_zero_temperature_takes_the_most_likely() -> None:
    logits = torch.randn(6, 40)
    drawn = sample(logits, GREEDY, seed=torch.arange(6), position=torch.zeros(6).long(), stream=0)
    assert torch.equal(drawn, logits.argmax(dim=-1))


def test_more_kept_than_there_are_keeps_all() -> None:
    drawn = draw(torch.zeros(4), SamplingConfig(temperature=1.0, top_k=99), lanes=200)
    assert drawn.unique().tolist() == [0, 1, 2, 3]


def test_a_draw_does_not_depend_on_the_lane_or_on_neighbours() -> None:
    logits = torch.randn(8, 100)
    config = SamplingConfig(temperature=1.0, top_k=20)
    seed, position = torch.arange(8) * 31, torch.arange(8) + 100
    drawn = sample(logits, config, seed=seed, position=position, stream=2)
    order = torch.tensor([5, 0, 7])
    again = sample(logits[order], config, seed=seed[order], position=position[order], stream=2)
    assert torch.equal(again, drawn[order])
