"""Spectral codec: pcm [B, 1, 1920 T] <-> codes [B, K, T], causal and streaming, small enough for a CPU.

The encoder reads mel spectra, the decoder writes short-time spectra that overlap and add up to pcm, as Vocos
does (arXiv:2306.00814); between them are ConvNeXt blocks (arXiv:2201.03545) and Mimi's split quantizer. Every
change of rate is a reshape, so only the blocks, the analysis and the synthesis remember anything.

    pcm --analyse--> mel, 100 Hz --2 side by side--> fast blocks, 50 Hz --4 side by side--> slow blocks, 12.5 Hz
    codes ----> slow blocks, 12.5 Hz --4 one after the other--> fast blocks, 50 Hz --2 spectra each--> pcm
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.config import SpectralConfig, exact_div
from duplex_model.contract import SAMPLE_RATE_HZ
from duplex_model.quantizer import SplitResidualVectorQuantizer
from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState, run_layers

HEARING_FLOOR = 1e-7
"""Power of a band, 1 at full scale, below which it is as good as silent: -70 dB."""

MAX_LOG_MAGNITUDE = 5.0  # a full-scale sine under the synthesis window is at 5.5


class Depthwise(StreamingModule):
    """Causal convolution of every channel by itself: [B, T, C] -> [B, T, C]."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.context = kernel - 1
        self.conv = nn.Conv2d(width, width, (1, kernel), groups=width)

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The last inputs."""
        shape = (self.context, self.conv.in_channels)
        return {"previous": LaneTensor(shape=shape, dtype=self.conv.weight.dtype)}

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        if state is None:
            x = F.pad(x, (0, 0, self.context, 0))
        else:
            previous = state[self]["previous"]
            x = torch.cat([previous, x], dim=1)
            state.write(previous, x[:, -self.context :])
        # As an image of height 1 with channels last in memory, no copy is needed.
        y: Tensor = self.conv(x.unsqueeze(1).permute(0, 3, 1, 2))
        return y.permute(0, 2, 3, 1).squeeze(1)


class Block(StreamingModule):
    """ConvNeXt block: [B, T, C] -> [B, T, C], along time by channel, then among channels by step."""

    def __init__(self, width: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.along_time = Depthwise(width, kernel)
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.reduce = nn.Linear(hidden, width)

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, T, C] -> [B, T, C]."""
        y = self.norm(self.along_time(x, state))
        z: Tensor = self.reduce(F.gelu(self.expand(y)))
        return x + z


class Analysis(StreamingModule):
    """Mel spectra of pcm: [B, 1920 T] -> [B, 8 T, bands], each of the 40 ms that end with its hop.

    A band is ln(1 + power / floor) / 4: exactly 0 in silence, hardly more in what nobody hears, about 4 at
    full scale. What precedes the stream is silence.
    """

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.hop = config.hop_samples
        self.length = config.transform_samples
        window = torch.hann_window(self.length)
        self.register_buffer("window", window / window.square().sum().sqrt())
        self.register_buffer("filters", mel_filters(config.mel_bands, self.length))
        self.window: Tensor
        self.filters: Tensor
        """[bins, bands]."""

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The last samples."""
        return {"previous": LaneTensor(shape=(self.length - self.hop,), dtype=self.window.dtype)}

    def forward(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, 1920 T] -> [B, 8 T, bands]."""
        context = self.length - self.hop
        if state is None:
            pcm = F.pad(pcm, (context, 0))
        else:
            previous = state[self]["previous"]
            pcm = torch.cat([previous, pcm], dim=-1)
            state.write(previous, pcm[:, -context:])
        spectra = torch.fft.rfft(pcm.unfold(-1, self.length, self.hop) * self.window)
        power = spectra.real.square() + spectra.imag.square()
        return torch.log1p(power @ self.filters / HEARING_FLOOR) / 4


class Synthesis(StreamingModule):
    """Pcm of log magnitudes and phases: [B, 8 T, 2 bins] -> [B, 1920 T].

    Each spectrum, back in time and windowed, reaches `overlap` hops; what reaches beyond the last hop is the
    tail, which waits for the next spectra.

        spectrum 0   [ a0 | a1 | a2 | a3 ]
        spectrum 1        [ b0 | b1 | b2 | b3 ]
        emitted      [ a0 | a1 + b0 ]           tail [ a2 + b1 | a3 + b2 | b3 ]
    """

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.hop = config.hop_samples
        self.overlap = config.overlap
        window = torch.hann_window(config.transform_samples)
        # Windowed once when analysed and once here, `overlap` spectra sum to the squares of the window.
        self.register_buffer("window", window / (window.square().sum() / self.hop))
        self.window: Tensor

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """What waits for the next spectra, in hops."""
        return {"tail": LaneTensor(shape=(self.overlap - 1, self.hop), dtype=self.window.dtype)}

    def forward(self, polar: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, 8 T, 2 bins] -> [B, 1920 T]."""
        log_magnitude, phase = polar.chunk(2, dim=-1)
        spectra = torch.polar(log_magnitude.clamp(max=MAX_LOG_MAGNITUDE).exp(), phase)
        pieces = (torch.fft.irfft(spectra) * self.window).unflatten(-1, (self.overlap, self.hop))
        late = self.overlap - 1
        hops = sum(
            (F.pad(pieces[:, :, i], (0, 0, i, late - i)) for i in range(1, self.overlap)),
            start=F.pad(pieces[:, :, 0], (0, 0, 0, late)),
        )
        if state is not None:
            tail = state[self]["tail"]
            hops = hops + F.pad(tail, (0, 0, 0, hops.shape[1] - late))
            state.write(tail, hops[:, -late:])
        return hops[:, :-late].flatten(1)


class Encoder(nn.Module):
    """[B, 1920 T] -> latent [B, T, C]."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        width = config.width
        self.hops, self.steps = config.hops_per_step, config.steps_per_frame
        self.analysis = Analysis(config)
        self.to_fast = nn.Linear(self.hops * config.mel_bands, width)
        self.fast = _blocks(config, config.encoder_fast_blocks, config.fast_kernel)
        self.to_slow = nn.Linear(self.steps * width, width)
        self.slow = _blocks(config, config.encoder_slow_blocks, config.slow_kernel)
        self.norm = nn.LayerNorm(width)

    def forward(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, 1920 T] -> [B, T, C]."""
        mel = self.analysis(pcm, state)
        x = run_layers(self.fast, self.to_fast(_side_by_side(mel, self.hops)), state)
        x = run_layers(self.slow, self.to_slow(_side_by_side(x, self.steps)), state)
        y: Tensor = self.norm(x)
        return y


class Decoder(nn.Module):
    """Latent [B, T, C] -> [B, 1920 T]."""

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        width = config.width
        self.hops, self.steps = config.hops_per_step, config.steps_per_frame
        self.slow = _blocks(config, config.decoder_slow_blocks, config.slow_kernel)
        self.to_fast = nn.Linear(width, self.steps * width)
        self.fast = _blocks(config, config.decoder_fast_blocks, config.fast_kernel)
        self.norm = nn.LayerNorm(width)
        self.to_spectra = nn.Linear(width, self.hops * 2 * config.bins)
        self.synthesis = Synthesis(config)

    def forward(self, latent: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, T, C] -> [B, 1920 T]."""
        x = run_layers(self.slow, latent, state)
        x = run_layers(self.fast, _one_after_another(self.to_fast(x), self.steps), state)
        polar = _one_after_another(self.to_spectra(self.norm(x)), self.hops)
        y: Tensor = self.synthesis(polar.float(), state)
        return y


class SpectralCodec(StreamingModule):
    """The codec, in float32, under the same contract as `Mimi`.

    What is decoded sounds `SpectralConfig.delay_samples`, 30 ms, after what was encoded. The encoder's memory
    ends after about a second, so silence comes down to one fixed column of codes.
    """

    def __init__(self, config: SpectralConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = SplitResidualVectorQuantizer(config)
        self.decoder = Decoder(config)

    def encode(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """Codes int64 [B, K, T] of `pcm` [B, 1, 1920 T]."""
        return self.quantizer.encode(self.to_latent(pcm, state))

    def decode(self, codes: Tensor, state: StreamingState | None = None) -> Tensor:
        """Pcm [B, 1, 1920 T] of `codes` [B, K, T], each in [0, card)."""
        return self.from_latent(self.quantizer.decode(codes), state)

    def to_latent(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """What is quantized: [B, 1, 1920 T] -> [B, C, T]."""
        exact_div(pcm.shape[-1], self.config.frame_samples)
        y: Tensor = self.encoder(pcm.squeeze(1), state)
        return y.transpose(1, 2)

    def from_latent(self, latent: Tensor, state: StreamingState | None = None) -> Tensor:
        """Its inverse but for the delay: [B, C, T] -> pcm [B, 1, 1920 T]."""
        y: Tensor = self.decoder(latent.transpose(1, 2), state)
        return y.unsqueeze(1)

    def heard_is_finite(self, state: StreamingState) -> Tensor:
        """Bool [B]: whether what the encoder remembers is finite; NaN latents become codes like any other."""
        last = self.encoder.slow[-1].along_time
        assert isinstance(last, Depthwise)
        return state[last]["previous"].flatten(1).isfinite().all(dim=-1)


def mel_filters(bands: int, transform_samples: int) -> Tensor:
    """Triangles evenly spaced in mel (O'Shaughnessy 1987) from 0 to 12 kHz, each of sum 1: [bins, bands]."""
    bins = transform_samples // 2 + 1
    frequencies = torch.linspace(0, SAMPLE_RATE_HZ / 2, bins)
    top = 2595 * torch.log10(torch.tensor(1 + SAMPLE_RATE_HZ / 2 / 700))
    edges = 700 * (10 ** (torch.linspace(0, 1, bands + 2) * top / 2595) - 1)
    # Where bands are narrower than the distance of two bins, a triangle could miss every bin.
    step = SAMPLE_RATE_HZ / transform_samples
    centre = edges[1:-1]
    low = torch.minimum(edges[:-2], centre - step)
    high = torch.maximum(edges[2:], centre + step)
    rising = (frequencies[:, None] - low) / (centre - low)
    falling = (high - frequencies[:, None]) / (high - centre)
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return triangles / triangles.sum(dim=0)


def _blocks(config: SpectralConfig, count: int, kernel: int) -> nn.ModuleList:
    return nn.ModuleList(Block(config.width, config.hidden, kernel) for _ in range(count))


def _side_by_side(x: Tensor, count: int) -> Tensor:
    """[B, count T, C] -> [B, T, count C]."""
    return x.reshape(x.shape[0], -1, count * x.shape[2])


def _one_after_another(x: Tensor, count: int) -> Tensor:
    """[B, T, count C] -> [B, count T, C]."""
    return x.reshape(x.shape[0], -1, x.shape[2] // count)
