"""A small network that hears whether all that somebody said so far is "mm-hm", "yes, I see" and the like. Pure numpy.

    pcm -> log-mel [T, 40] at 100 Hz -> below the loudest so far -> causal convolutions at 50 Hz
        -> mean and maximum over all that came before -> a logit per language

Trained by `duplex_model.training.backchannel` (ADR 0036); what on, and what it is worth, stands in
`backchannel_model.md` beside its weights. It is fed piece by piece, however cut, from just before a voice begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from interpreter.errors import IncompleteInstallation

HOP_SAMPLES = SAMPLE_RATE_HZ // 100
WINDOW_SAMPLES = 4 * HOP_SAMPLES  # 40 ms
STEP_SAMPLES = 2 * HOP_SAMPLES  # 20 ms, of the logits

_FLOOR = 1e-4  # of a mel band, -80 dB
_RANGE = 7.0  # nats below the loudest band that are told apart, 60 dB
_LOUDEST = 3.5  # nats over the floor, at least: noise before a voice is not made loud
_EPSILON = 1e-5  # of the normalisations
_ENTRANCE = 4  # windows that the first convolution sees, every other one

_FILE = Path(__file__).with_name("backchannel_model.safetensors")

_Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class HeardSoFar:
    """What the network remembers of one voice; its arrays are never written to again."""

    waiting: Pcm
    """Less than a step and what windows overlap."""

    windows: _Floats
    """[2, mels], the last two as the first convolution sees them."""

    before: tuple[_Floats, ...]
    """[kernel - 1, width] of each block's input."""

    loudest: float
    total: _Floats
    """[width], the sum over all steps."""

    most: _Floats
    """[width], the maximum."""

    steps: int


class BackchannelModel:
    """The network, loaded once and shared by all tracks; it holds no state of any of them."""

    def __init__(self, path: Path = _FILE) -> None:
        """Loads the weights.

        Args:
            path: a file of `duplex_model.training.backchannel`; the one that is shipped by default.

        Raises:
            IncompleteInstallation: there is no such file, or it is another kind of file.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                self._weights = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
                about: Mapping[str, str] = file.metadata() or {}
            self.languages: tuple[str, ...] = tuple(about["languages"].split())
            self.threshold = float(about["threshold"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise IncompleteInstallation(
                f"expected a detector of backchannels at {path}, got {error!r}"
            ) from error
        self._blocks = sum(name.endswith(".wide.weight") for name in self._weights)
        self._mels = self._weights["enter.weight"].shape[1]
        self._filters = _mel_filters(self._mels)
        self._window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)).astype(
            np.float32
        )

    def begin(self) -> HeardSoFar:
        """Before anything was heard."""
        width, _, kernel = self._weights["blocks.0.along_time.weight"].shape
        return HeardSoFar(
            waiting=np.zeros(0, dtype=np.float32),
            windows=np.zeros((_ENTRANCE - 2, self._mels), dtype=np.float32),
            before=(np.zeros((kernel - 1, width), dtype=np.float32),) * self._blocks,
            loudest=_LOUDEST,
            total=np.zeros(width, dtype=np.float32),
            most=np.full(width, -np.inf, dtype=np.float32),
            steps=0,
        )

    def listen(self, pcm: Pcm, heard: HeardSoFar) -> HeardSoFar:
        """What is remembered after the next samples.

        Args:
            pcm: [N], 24 kHz, finite, in [-1, 1].
            heard: what is remembered of those before.
        """
        waiting = np.concatenate((heard.waiting, pcm))
        steps = max(0, (len(waiting) - WINDOW_SAMPLES + HOP_SAMPLES) // STEP_SAMPLES)
        if not steps:
            return replace(heard, waiting=waiting)
        mel = self._log_mel(waiting, 2 * steps)
        loudest = np.maximum.accumulate(np.maximum(mel.max(axis=1, keepdims=True), heard.loudest))
        below = np.asarray(1 + 2 * np.maximum(mel - loudest, -_RANGE) / _RANGE, dtype=np.float32)
        windows = np.concatenate((heard.windows, below))
        x = _along_time(windows, self._weights["enter.weight"], self._weights["enter.bias"])
        before = []
        for number, old in enumerate(heard.before):
            inputs = np.concatenate((old, x))
            before.append(inputs[-len(old) :])
            x = x + self._block(inputs, f"blocks.{number}.")
        x = self._normalised(x, "norm.")
        return HeardSoFar(
            waiting=waiting[steps * STEP_SAMPLES :],
            windows=windows[-len(heard.windows) :],
            before=tuple(before),
            loudest=float(loudest[-1, 0]),
            total=heard.total + x.sum(axis=0),
            most=np.maximum(heard.most, x.max(axis=0)),
            steps=heard.steps + steps,
        )

    def judge(self, heard: HeardSoFar) -> Mapping[str, float]:
        """Language -> logit that all that was heard is a backchannel in it; nothing before the first step."""
        if not heard.steps:
            return {}
        pooled = np.concatenate((heard.total / np.float32(heard.steps), heard.most))
        logits = np.einsum("w,lw->l", pooled, self._weights["judge.weight"]) + self._weights["judge.bias"]
        return dict(zip(self.languages, logits.tolist(), strict=True))

    def _log_mel(self, pcm: Pcm, windows: int) -> _Floats:
        """[windows, mels], in nats over the floor."""
        framed = sliding_window_view(pcm, WINDOW_SAMPLES)[: windows * HOP_SAMPLES : HOP_SAMPLES]
        spectrum = np.abs(np.fft.rfft(framed * self._window)).astype(np.float32) / (WINDOW_SAMPLES / 4)
        # Not `@`, here and below, as in `mixing`: BLAS would hand it to threads.
        bands = np.einsum("tf,fm->tm", spectrum, self._filters)
        return np.asarray(np.log(np.maximum(bands, _FLOOR) / _FLOOR), dtype=np.float32)

    def _block(self, inputs: _Floats, name: str) -> _Floats:
        """[kernel - 1 + T, width] -> [T, width]: along time, then along channels."""
        kernel = self._weights[name + "along_time.weight"][:, 0]
        near = np.einsum("twk,wk->tw", sliding_window_view(inputs, kernel.shape[1], axis=0), kernel)
        x = self._normalised(near + self._weights[name + "along_time.bias"], name + "norm.")
        return self._along_channels(np.maximum(self._along_channels(x, name + "wide."), 0), name + "narrow.")

    def _along_channels(self, x: _Floats, name: str) -> _Floats:
        """[T, N] -> [T, M]."""
        y = np.einsum("tn,mn->tm", x, self._weights[name + "weight"]) + self._weights[name + "bias"]
        return np.asarray(y, dtype=np.float32)

    def _normalised(self, x: _Floats, name: str) -> _Floats:
        """Each row of [T, width] with mean 0 and variance 1, then scaled and shifted as was learnt."""
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        return np.asarray(
            scaled * self._weights[name + "weight"] + self._weights[name + "bias"], dtype=np.float32
        )


def _along_time(windows: _Floats, weight: _Floats, bias: _Floats) -> _Floats:
    """[2 + 2 T, mels] -> [T, width]: the first convolution."""
    seen = sliding_window_view(windows, _ENTRANCE, axis=0)[::2]
    return np.asarray(np.einsum("tmk,wmk->tw", seen, weight) + bias, dtype=np.float32)


def _mel_filters(mels: int) -> _Floats:
    """[WINDOW_SAMPLES / 2 + 1, mels]: triangles, evenly spaced in mel (O'Shaughnessy 1987)."""
    highest = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    edges_hz = 700 * (10 ** (np.linspace(0, highest, mels + 2) / 2595) - 1)
    bins_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, WINDOW_SAMPLES // 2 + 1)[:, None]
    low, centre, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
    rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
