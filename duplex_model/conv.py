"""Causal convolutions that give the same output whether a stream is seen whole or in pieces.

Without a state, the input is the whole stream from its first sample. With one, it is the next piece, whose
length must be a multiple of the stride.

    kernel 4, stride 2      left context = 4 - 2 = 2 samples
    whole        0 0|a b|c d|e f      0: padding
    outputs      ^-----^ ^-----^      windows 0 0 a b, a b c d, c d e f
    in pieces    [0 0]a b  ->  keep [a b]c d  ->  keep [c d]e f
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.streaming import LaneTensor, StreamingModule, StreamingState


class CausalConv1d(StreamingModule):
    """Convolution whose output at t sees inputs up to t: [B, C_in, T] -> [B, C_out, T / stride]."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: int = 1,
        bias: bool = True,
        replicate: bool = False,
    ) -> None:
        """Builds the layer.

        Args:
            channels_in: C_in.
            channels_out: C_out.
            kernel: taps.
            stride: inputs per output.
            bias: whether a bias is added.
            replicate: before the stream, its first sample is repeated; otherwise it is zero.
        """
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, bias=bias)
        self.context = kernel - stride
        self.replicate = replicate
        self.padding = "replicate" if replicate else "constant"

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The last inputs, and for replicated padding whether there were any."""
        if not self.context:
            return {}
        dtype = self.conv.weight.dtype
        tensors = {"previous": LaneTensor(shape=(self.conv.in_channels, self.context), dtype=dtype)}
        if self.replicate:
            tensors["started"] = LaneTensor(shape=(), dtype=torch.bool)
        return tensors

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, C_in, T] -> [B, C_out, T / stride]."""
        if not self.context:
            return self._convolve(x)
        if state is None:
            return self._convolve(F.pad(x, (self.context, 0), mode=self.padding))
        own = state[self]
        previous = own["previous"]
        if self.replicate:
            previous = torch.where(own["started"][:, None, None], previous, x[..., :1])
            state.write(own["started"], torch.ones_like(own["started"]))
        x = torch.cat([previous, x], dim=-1)
        state.write(own["previous"], x[..., -self.context :])
        return self._convolve(x)

    def _convolve(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class CausalConvTranspose1d(StreamingModule):
    """Transposed convolution without look-ahead: [B, C_in, T] -> [B, C_out, T * stride].

    Each input reaches `kernel` outputs; the last `kernel - stride` of them still wait for later inputs.
    They are the tail, kept without the bias, which the call that emits them adds once.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int,
        *,
        stride: int,
        bias: bool = True,
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.convtr = nn.ConvTranspose1d(channels_in, channels_out, kernel, stride, groups=groups, bias=bias)
        self.overlap = kernel - stride

    def lane_tensors(self) -> Mapping[str, LaneTensor]:
        """The outputs that wait for later inputs, without the bias."""
        if not self.overlap:
            return {}
        shape = (self.convtr.out_channels, self.overlap)
        return {"tail": LaneTensor(shape=shape, dtype=self.convtr.weight.dtype)}

    def forward(self, x: Tensor, state: StreamingState | None = None) -> Tensor:
        """[B, C_in, T] -> [B, C_out, T * stride]."""
        y: Tensor = self.convtr(x)
        if not self.overlap:
            return y
        if state is None:
            return y[..., : -self.overlap]
        tail = state[self]["tail"]
        y = torch.cat([y[..., : self.overlap] + tail, y[..., self.overlap :]], dim=-1)
        pending = y[..., -self.overlap :]
        if self.convtr.bias is not None:
            pending = pending - self.convtr.bias[:, None]
        state.write(tail, pending)
        return y[..., : -self.overlap]
