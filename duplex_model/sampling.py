"""Logits -> token, with noise that is a function of where the token stands and of nothing else.

A draw is keyed by (session seed, position, stream, token id) through the counter-based generator Philox4x32-10
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). So a session says the same whichever lane it
has, whoever shares the batch and however often a step is repeated.
"""

from __future__ import annotations

import torch
from torch import Tensor

from duplex_model.config import SamplingConfig

_ROUNDS = 10
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF

Words = tuple[Tensor, Tensor, Tensor, Tensor]


def philox(counter: Words, key: tuple[Tensor, Tensor]) -> Words:
    """Philox4x32-10: four random words of 32 bits for each counter and key.

    Args:
        counter: four int64 tensors with values in [0, 2**32), broadcast against each other.
        key: two of the same kind.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _KEY_STEPS[0]) & _WORD, (k1 + _KEY_STEPS[1]) & _WORD
    return c0, c1, c2, c3


def _multiply(word: Tensor, multiplier: int) -> tuple[Tensor, Tensor]:
    """High and low words of a 64-bit product. It may wrap to a negative int64; its bits are right all the same."""
    product = word * multiplier
    return (product >> 32) & _WORD, product & _WORD


def uniform(seed: Tensor, position: Tensor, stream: int, tokens: Tensor) -> Tensor:
    """One number in (0, 1) for each token that could be drawn.

    Args:
        seed: int64 [B].
        position: int64 [B], non-negative.
        stream: row of the token table.
        tokens: int64 [B, k].

    Returns:
        float32 [B, k]: 23 random bits and one half, over 2**23, so neither 0 nor 1 can come.
    """
    at = position[:, None]
    streams = torch.full_like(tokens, stream)
    key = (seed[:, None] & _WORD, (seed[:, None] >> 32) & _WORD)
    bits = philox((tokens, streams, at & _WORD, (at >> 32) & _WORD), key)[0] >> 9
    return (bits.float() + 0.5) / 2**23


def sample(logits: Tensor, config: SamplingConfig, *, seed: Tensor, position: Tensor, stream: int) -> Tensor:
    """Draws one token per lane from the `top_k` most likely.

    The largest of log p + Gumbel noise is a draw from p (the Gumbel-max trick); the noise of each token is its own,
    so no sum over tokens, no order of them and no transfer to the host is needed.

    Args:
        logits: [B, card].
        config: temperature and top-k.
        seed: int64 [B], of the sessions.
        position: int64 [B], where the tokens will stand.
        stream: row of the token table they belong to.

    Returns:
        int64 [B].
    """
    if config.temperature <= 0:
        return logits.argmax(dim=-1)
    scores, tokens = (logits.float() / config.temperature).topk(min(config.top_k, logits.shape[-1]), dim=-1)
    gumbel = -torch.log(-torch.log(uniform(seed, position, stream, tokens)))
    best = (scores + gumbel).argmax(dim=-1, keepdim=True)
    return tokens.gather(-1, best)[:, 0]
