"""Split residual vector quantizer: latents <-> codes (arXiv:2410.00037 section 3.3.2).

One semantic codebook and a residual chain of acoustic ones look at the same latent; what the semantic
codebook leaves over is not seen by the acoustic ones. Decoding adds both.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class QuantizerConfig(Protocol):
    """What a codec's configuration says of its codebooks."""

    @property
    def codebooks(self) -> int:
        """Codebooks in use."""

    @property
    def card(self) -> int:
        """Entries of a codebook."""

    @property
    def codebook_width(self) -> int:
        """Channels of an entry."""

    @property
    def width(self) -> int:
        """Channels of the latent."""


class ResidualVectorQuantizer(nn.Module):
    """A chain of codebooks, each quantizing what those before it left over."""

    def __init__(self, codebooks: int, config: QuantizerConfig) -> None:
        super().__init__()
        self.input_proj = nn.Conv1d(config.width, config.codebook_width, 1, bias=False)
        self.output_proj = nn.Conv1d(config.codebook_width, config.width, 1, bias=False)
        self.register_buffer("centroids", torch.zeros(codebooks, config.card, config.codebook_width))
        self.centroids: Tensor
        """[K, card, codebook width]; Mimi's are [K, 2048, 256]."""

    def encode(self, latent: Tensor) -> Tensor:
        """[B, 512, T] -> codes [B, K, T], at each level the nearest centroid."""
        residual = self.input_proj(latent).transpose(1, 2)
        codes = []
        for centroids in self.centroids:
            # The nearest centroid maximises z c - |c|^2 / 2: one product, where distances would need |z|^2 too.
            half_norms = centroids.square().sum(dim=-1) / 2
            nearest = (F.linear(residual, centroids) - half_norms).argmax(dim=-1)
            residual = residual - F.embedding(nearest, centroids)
            codes.append(nearest)
        return torch.stack(codes, dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T] in [0, 2048) -> [B, 512, T]."""
        quantized = torch.zeros((), device=codes.device)
        for centroids, level in zip(self.centroids, codes.unbind(dim=1), strict=True):
            quantized = quantized + F.embedding(level, centroids)
        y: Tensor = self.output_proj(quantized.transpose(1, 2))
        return y


class SplitResidualVectorQuantizer(nn.Module):
    """Codebook 0 semantic, codebooks 1 to K - 1 acoustic."""

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.rvq_first = ResidualVectorQuantizer(1, config)
        self.rvq_rest = ResidualVectorQuantizer(config.codebooks - 1, config)

    def encode(self, latent: Tensor) -> Tensor:
        """[B, 512, T] -> codes [B, K, T]."""
        return torch.cat([self.rvq_first.encode(latent), self.rvq_rest.encode(latent)], dim=1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T] -> [B, 512, T]."""
        latent: Tensor = self.rvq_first.decode(codes[:, :1]) + self.rvq_rest.decode(codes[:, 1:])
        return latent
