"""Log-mel bands, as the recognisers hear speech."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm

MELS = 64
HOP_SAMPLES = SAMPLE_RATE_HZ // 100
WINDOW_SAMPLES = 4 * HOP_SAMPLES  # 40 ms: resolves the harmonics of a low voice

_FLOOR = 1e-4  # of a mel band, -80 dB


def mel_filters(mels: int, window_samples: int) -> Tensor:
    """float32 [mels, window_samples / 2 + 1]: triangles, evenly spaced in mel (O'Shaughnessy 1987)."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, window_samples // 2 + 1)
    low, centre, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def log_mel(pcm: Pcm, mels: int = MELS) -> Tensor:
    """float32 [T, mels] of pcm [n] at 24 kHz, 100 a second, in nats, and 0 where nothing is heard."""
    samples = torch.from_numpy(np.ascontiguousarray(pcm, dtype=np.float32))
    padded = F.pad(samples, (WINDOW_SAMPLES // 2, WINDOW_SAMPLES // 2))
    spectrum = torch.stft(
        padded, WINDOW_SAMPLES, HOP_SAMPLES, window=torch.hann_window(WINDOW_SAMPLES), center=False,
        return_complex=True,
    ).abs()  # fmt: skip
    bands = mel_filters(mels, WINDOW_SAMPLES) @ (spectrum / (WINDOW_SAMPLES / 4))
    return (bands.clamp(min=_FLOOR) / _FLOOR).log().T
