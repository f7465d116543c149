"""SEANet: Mimi's convolutional encoder and decoder (arXiv:2009.02095, arXiv:2410.00037 section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from duplex_model.config import MimiConfig, exact_div
from duplex_model.conv import CausalConv1d, CausalConvTranspose1d
from duplex_model.streaming import StreamingModule, StreamingState, run_layers


class ResidualBlock(StreamingModule):
    """x + conv(elu(conv(elu(x)))), narrower inside: [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, config: MimiConfig) -> None:
        super().__init__()
        inside = exact_div(channels, config.compress)
        self.block = nn.ModuleList(
            [
                nn.ELU(),
                CausalConv1d(channels, inside, config.residual_kernel),
                nn.ELU(),
                CausalConv1d(inside, channels, 1),
            ]
        )

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + run_layers(self.block, x, state)


class SEANetEncoder(StreamingModule):
    """Pcm to latent: [B, 1, T] -> [B, 512, T / 960]."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        channels = config.filters
        layers: list[nn.Module] = [CausalConv1d(1, channels, config.kernel)]
        for stride in config.strides:
            layers += [
                ResidualBlock(channels, config),
                nn.ELU(),
                CausalConv1d(channels, 2 * channels, 2 * stride, stride=stride),
            ]
            channels *= 2
        layers += [nn.ELU(), CausalConv1d(channels, config.width, config.last_kernel)]
        self.model = nn.ModuleList(layers)

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, 1, T] -> [B, 512, T / 960]."""
        return run_layers(self.model, x, state)


class SEANetDecoder(StreamingModule):
    """Latent to pcm: [B, 512, T] -> [B, 1, 960 T]."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        channels = config.filters * 2 ** len(config.strides)
        layers: list[nn.Module] = [CausalConv1d(config.width, channels, config.kernel)]
        for stride in reversed(config.strides):
            half = exact_div(channels, 2)
            layers += [
                nn.ELU(),
                CausalConvTranspose1d(channels, half, 2 * stride, stride=stride),
                ResidualBlock(half, config),
            ]
            channels = half
        layers += [nn.ELU(), CausalConv1d(channels, 1, config.last_kernel)]
        self.model = nn.ModuleList(layers)

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, 512, T] -> [B, 1, 960 T]."""
        return run_layers(self.model, x, state)
