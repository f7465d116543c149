"""Mimi: pcm [B, 1, 1920 T] <-> codes [B, K, T], causal and streaming (arXiv:2410.00037 section 3.3)."""

from __future__ import annotations

from torch import Tensor, nn

from duplex_model.config import MimiConfig, exact_div
from duplex_model.conv import CausalConv1d, CausalConvTranspose1d
from duplex_model.quantizer import SplitResidualVectorQuantizer
from duplex_model.seanet import SEANetDecoder, SEANetEncoder
from duplex_model.streaming import StreamingModule, StreamingState
from duplex_model.transformer import Transformer


class ChannelsFirst(nn.Module):
    """A transformer between convolutions: [B, C, T] -> [B, C, T]."""

    def __init__(self, transformer: Transformer) -> None:
        super().__init__()
        self.transformer = transformer

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        y: Tensor = self.transformer(x.transpose(1, 2), state).transpose(1, 2)
        return y


class Mimi(StreamingModule):
    """The codec, in float32. Encoder and decoder share nothing and may run on different lanes."""

    def __init__(self, config: MimiConfig) -> None:
        super().__init__()
        self.config = config
        stride, width = config.resample_stride, config.width
        self.encoder = SEANetEncoder(config)
        self.encoder_transformer = ChannelsFirst(Transformer(config.transformer, turning_steps=stride))
        self.downsample = CausalConv1d(width, width, 2 * stride, stride=stride, bias=False, replicate=True)
        self.quantizer = SplitResidualVectorQuantizer(config)
        self.upsample = CausalConvTranspose1d(
            width, width, 2 * stride, stride=stride, bias=False, groups=width
        )
        self.decoder_transformer = ChannelsFirst(Transformer(config.transformer, turning_steps=stride))
        self.decoder = SEANetDecoder(config)

    def encode(self, pcm: Tensor, state: StreamingState | None = None) -> Tensor:
        """Codes [B, K, T] of `pcm` [B, 1, 1920 T].

        With a state, pass one frame at a time: the transformers' caches have room for no more once they turn.
        """
        exact_div(pcm.shape[-1], self.config.frame_samples)
        latent = self.encoder_transformer(self.encoder(pcm, state), state)
        return self.quantizer.encode(self.downsample(latent, state))

    def decode(self, codes: Tensor, state: StreamingState | None = None) -> Tensor:
        """Pcm [B, 1, 1920 T] of `codes` [B, K, T], each in [0, 2048)."""
        latent = self.upsample(self.quantizer.decode(codes), state)
        pcm: Tensor = self.decoder(self.decoder_transformer(latent, state), state)
        return pcm

    def heard_is_finite(self, state: StreamingState) -> Tensor:
        """See `Codec`; looks where the encoder keeps its last latents."""
        return state[self.downsample]["previous"].flatten(1).isfinite().all(dim=-1)
