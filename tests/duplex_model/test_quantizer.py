from __future__ import annotations

import torch

from duplex_model.config import MimiConfig
from duplex_model.quantizer import ResidualVectorQuantizer, SplitResidualVectorQuantizer

CONFIG = MimiConfig(codebooks=3, card=2, codebook_width=2, width=2)


def identity_quantizer(centroids: list[list[list[float]]]) -> ResidualVectorQuantizer:
    quantizer = ResidualVectorQuantizer(len(centroids), CONFIG)
    with torch.no_grad():
        quantizer.centroids.copy_(torch.tensor(centroids))
        for projection in (quantizer.input_proj, quantizer.output_proj):
            projection.weight.copy_(torch.eye(2)[..., None])
    return quantizer


def test_each_level_quantizes_what_the_former_left() -> None:
    quantizer = identity_quantizer([[[0.0, 0.0], [4.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
    latent = torch.tensor([[[4.9, 0.1], [0.2, 0.8]]])  # columns (4.9, 0.2), (0.1, 0.8)
    codes = quantizer.encode(latent)
    assert codes.tolist() == [[[1, 0], [0, 1]]]
    assert quantizer.decode(codes).tolist() == [[[5.0, 0.0], [0.0, 1.0]]]


def test_semantic_and_acoustic_codebooks_see_the_same_latent() -> None:
    split = SplitResidualVectorQuantizer(CONFIG)
    split.rvq_first = identity_quantizer([[[0.0, 0.0], [4.0, 0.0]]])
    split.rvq_rest = identity_quantizer([[[0.0, 0.0], [4.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])
    latent = torch.tensor([[[4.9], [0.0]]])
    codes = split.encode(latent)
    assert codes.flatten().tolist() == [1, 1, 1]
    assert split.decode(codes).flatten().tolist() == [4.0 + 5.0, 0.0]
