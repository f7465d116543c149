"""The codec's quantizer while it is trained: differentiable, with codebooks that follow the latents.

Centroids are moving averages of what falls to them, and those that nothing falls to are moved onto latents of
the batch (arXiv:1711.00937 appendix A; arXiv:2107.03312 section III-C). Gradients pass straight through.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.quantizer import ResidualVectorQuantizer, SplitResidualVectorQuantizer

MIN_USE = 1.0
"""A centroid with a smaller moving sum of uses is moved."""

FRESH_USE = 3.0
"""The moving sum given to a moved centroid: it has about a hundred batches to prove itself."""


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What one chain of codebooks makes of a latent."""

    projected: Tensor
    """[B, T, W]: the latent in the codebooks' space, with its gradient."""

    quantized: Tensor
    """[B, T, W]: the sum of the centroids taken; its gradient goes straight to `projected`."""

    codes: Tensor
    """int64 [B, levels, T]."""

    commitment: Tensor
    """Scalar: the mean square left over, which draws the latents to the centroids."""


class TrainedChain(nn.Module):
    """One chain of codebooks with the moving averages behind its centroids."""

    def __init__(self, chain: ResidualVectorQuantizer, decay: float = 0.99) -> None:
        super().__init__()
        self.chain = chain
        self.decay = decay
        self.register_buffer("uses", torch.zeros(chain.centroids.shape[:2]))
        self.register_buffer("sums", torch.zeros_like(chain.centroids))
        self.uses: Tensor
        """[K, card]: moving sum of the latents that fell to a centroid."""
        self.sums: Tensor
        """[K, card, W]: moving sum of those latents."""

    def forward(self, latent: Tensor, levels: int) -> Quantized:
        """Quantizes `latent` [B, T, C] by the first `levels` codebooks, which move while training."""
        projected = F.linear(latent.float(), self.chain.input_proj.weight[..., 0])
        residual = projected.detach()
        codes = []
        commitment = torch.zeros((), device=latent.device)
        quantized = torch.zeros_like(residual)
        for level in range(levels):
            centroids = self.chain.centroids[level]
            nearest = (F.linear(residual, centroids) - centroids.square().sum(dim=-1) / 2).argmax(dim=-1)
            taken = F.embedding(nearest, centroids)
            if self.training:
                self._follow(level, residual.flatten(0, 1), nearest.flatten())
            quantized = quantized + taken
            residual = residual - taken
            commitment = commitment + F.mse_loss(projected, quantized)
            codes.append(nearest)
        passed = projected + (quantized - projected).detach()
        return Quantized(
            projected=projected, quantized=passed, codes=torch.stack(codes, 1), commitment=commitment / levels
        )

    @torch.no_grad()
    def _follow(self, level: int, residual: Tensor, nearest: Tensor) -> None:
        uses, sums = self.uses[level], self.sums[level]
        uses.mul_(self.decay).index_add_(0, nearest, torch.ones_like(residual[:, 0]))
        sums.mul_(self.decay).index_add_(0, nearest, residual)
        unused = uses < MIN_USE
        picked = residual[torch.randint(len(residual), (len(uses),), device=residual.device)]
        sums.copy_(torch.where(unused[:, None], FRESH_USE * picked, sums))
        uses.masked_fill_(unused, FRESH_USE)
        self.chain.centroids[level] = sums / uses[:, None]


class TrainedQuantizer(nn.Module):
    """Both chains of a codec; the acoustic one sees no more of the semantic one than at run time: nothing."""

    def __init__(self, quantizer: SplitResidualVectorQuantizer) -> None:
        super().__init__()
        self.semantic = TrainedChain(quantizer.rvq_first)
        self.acoustic = TrainedChain(quantizer.rvq_rest)
