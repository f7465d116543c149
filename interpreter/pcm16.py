"""The one way from pcm to 16-bit samples: what a recording holds is exactly what an attestation hashes. Pure."""

from __future__ import annotations

import numpy as np

from duplex_model.contract import Pcm

FULL_SCALE = 32_768
"""A sample of 16 bits is n / 32768, as every reader of WAV files here has it; so it survives the way there and back."""


def to_s16le(pcm: Pcm) -> bytes:
    """The little-endian signed 16-bit samples nearest to `pcm`, ties to the even one; louder ones are clipped.

    Args:
        pcm: finite, any shape, nominally in [-1, 1]; written in C order, so [samples, channels] comes interleaved.
    """
    assert np.isfinite(pcm).all(), "expected finite samples"
    scaled = np.rint(pcm.astype(np.float64) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()
