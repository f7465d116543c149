"""The detector of backchannels as a network: from sound since a voice's onset to whether all of it is a backchannel.

    pcm -> log-mel [T, 40] at 100 Hz -> below the loudest so far -> causal convolutions at 50 Hz
        -> mean and maximum over all that came before -> a logit at every 20 ms

Everything is causal, so that one pass over an utterance gives what is known at each of its moments, in training, and
any beginning of it gives the same, in use. Whoever runs it has it in numpy, from the tensors that are saved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.contract import Pcm
from duplex_model.training.speech.mel import HOP_SAMPLES, WINDOW_SAMPLES, mel_filters
from duplex_model.training.speech.phones import PHONES

MELS = 40
STRIDE = 2
HOP_S = 0.02
"""Of the logits."""

_FLOOR = 1e-4  # of a mel band, -80 dB
_RANGE = 7.0  # nats below the loudest band that are told apart, 60 dB
_LOUDEST = 3.5  # nats over the floor, at least: noise before a voice is not made loud


@dataclass(frozen=True, kw_only=True)
class NetSize:
    """How large it is."""

    width: int = 64
    blocks: int = 3
    kernel: int = 9
    spread: int = 2
    """Channels between the two of a block, in widths."""


def log_mel(pcm: Pcm) -> Tensor:
    """float32 [T, MELS] of pcm [n]: whole windows of 40 ms each 10 ms, in nats over the floor."""
    windows = torch.from_numpy(pcm).unfold(0, WINDOW_SAMPLES, HOP_SAMPLES)
    spectrum = torch.fft.rfft(windows * torch.hann_window(WINDOW_SAMPLES)).abs() / (WINDOW_SAMPLES / 4)
    bands = spectrum @ mel_filters(MELS, WINDOW_SAMPLES).T
    mel: Tensor = (bands.clamp(min=_FLOOR) / _FLOOR).log()
    return mel


class _Block(nn.Module):
    """Depthwise convolution along time, then along channels, around a residual (arXiv:2201.03545); causal."""

    def __init__(self, size: NetSize) -> None:
        super().__init__()
        self.along_time = nn.Conv1d(size.width, size.width, size.kernel, groups=size.width)
        self.norm = nn.LayerNorm(size.width)
        self.wide = nn.Linear(size.width, size.spread * size.width)
        self.narrow = nn.Linear(size.spread * size.width, size.width)
        self._before = size.kernel - 1

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        near = self.along_time(F.pad(x.transpose(1, 2), (self._before, 0))).transpose(1, 2)
        added: Tensor = self.narrow(F.relu(self.wide(self.norm(near))))
        return x + added


class BackchannelNet(nn.Module):
    """See the module."""

    def __init__(self, size: NetSize, languages: int) -> None:
        super().__init__()
        self.enter = nn.Conv1d(MELS, size.width, 4, stride=STRIDE)
        self.blocks = nn.ModuleList(_Block(size) for _ in range(size.blocks))
        self.norm = nn.LayerNorm(size.width)
        self.judge = nn.Linear(2 * size.width, languages)
        self.align = nn.Linear(size.width, len(PHONES))

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel [B, T, MELS], T even -> logits [B, T / 2, languages], the last after T frames; logits of phones."""
        loudest = mel.amax(dim=2, keepdim=True).cummax(dim=1).values.clamp(min=_LOUDEST)
        x = 1 + 2 * (mel - loudest).clamp(min=-_RANGE) / _RANGE
        x = self.enter(F.pad(x.transpose(1, 2), (2, 0))).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        count = torch.arange(1, x.shape[1] + 1)[:, None]
        pooled = torch.cat((x.cumsum(dim=1) / count, x.cummax(dim=1).values), dim=2)
        return self.judge(pooled), self.align(x)
