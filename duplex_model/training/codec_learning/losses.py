"""How far decoded speech is from what it should be: spectra at several resolutions, and phones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.spectral import mel_filters

TRANSFORMS = {2048: 80, 1024: 64, 512: 48, 256: 24}
"""Samples of a transform -> mel bands; each hops by a quarter."""

FLOOR = 1e-4
"""Magnitude, 1 at full scale, below which everything is equally silent: -80 dB."""


class SpectralLoss(nn.Module):
    """Mean absolute difference of log mel spectra and of log spectra, in nats, over all transforms."""

    def __init__(self) -> None:
        super().__init__()
        for samples, bands in TRANSFORMS.items():
            window = torch.hann_window(samples)
            self.register_buffer(f"window_{samples}", window / window.square().sum().sqrt(), persistent=False)
            self.register_buffer(f"mel_{samples}", mel_filters(bands, samples), persistent=False)

    def forward(self, said: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Of pcm [B, N] and [B, N]: the mel difference and the spectral one, both scalars."""
        mel = torch.zeros((), device=said.device)
        spectral = torch.zeros((), device=said.device)
        for samples in TRANSFORMS:
            ours = self._power(said, samples)
            with torch.no_grad():
                theirs = self._power(wanted, samples)
            filters = self.get_buffer(f"mel_{samples}")
            mel = mel + F.l1_loss(_log(ours @ filters), _log(theirs @ filters))
            spectral = spectral + F.l1_loss(_log(ours), _log(theirs))
        return mel / len(TRANSFORMS), spectral / len(TRANSFORMS)

    def _power(self, pcm: Tensor, samples: int) -> Tensor:
        frames = pcm.unfold(-1, samples, samples // 4) * self.get_buffer(f"window_{samples}")
        power: Tensor = PowerSpectrum.apply(frames)  # type: ignore[no-untyped-call]
        return power


class PowerSpectrum(torch.autograd.Function):
    """|rfft(x)|^2 with a gradient by one inverse transform, half the time of the automatic one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """[..., N] -> [..., N / 2 + 1]."""
        spectra: Tensor = torch.fft.rfft(x)
        ctx.save_for_backward(spectra)
        return spectra.real.square() + spectra.imag.square()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient of bin k is 2 Re(X_k conj(e_k)) N; an inverse transform counts all bins twice but two."""
        (spectra,) = ctx.saved_tensors
        weighted = spectra * gradient
        weighted[..., 0] *= 2
        weighted[..., -1] *= 2
        back: Tensor = torch.fft.irfft(weighted, norm="forward")
        return back


def _log(power: Tensor) -> Tensor:
    return torch.log(power + FLOOR**2) / 2


class PhoneHead(nn.Module):
    """Reads the phones of a frame from its semantic code: [B, T, W] -> logits [B, T, slots, phones]."""

    def __init__(self, width: int, slots: int, phones: int) -> None:
        super().__init__()
        self.slots = slots
        self.linear = nn.Linear(width, slots * phones)

    def forward(self, semantic: Tensor) -> Tensor:
        """[B, T, W] -> [B, T, slots, phones]."""
        y: Tensor = self.linear(semantic)
        return y.view(*y.shape[:-1], self.slots, -1)


SILENCE_WEIGHT = 0.3  # of the silent phone, a third of all slots


def phone_loss(logits: Tensor, phones: Tensor) -> Tensor:
    """Cross-entropy of logits [..., P] against phones int64 [...]; class 0 is silence."""
    weight = torch.ones(logits.shape[-1], device=logits.device)
    weight[0] = SILENCE_WEIGHT
    return F.cross_entropy(logits.flatten(0, -2).float(), phones.flatten(), weight)
