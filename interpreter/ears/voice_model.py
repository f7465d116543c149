"""Silero's voice activity model through onnxruntime: 32 ms of sound to the probability of a voice (ADR 0022)."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from interpreter.errors import IncompleteInstallation

MODEL_RATE_HZ = 16_000
HOP_SAMPLES = 512  # 32 ms: the only hop the model was trained on at 16 kHz
CONTEXT_SAMPLES = 64  # what the model sees again of the hop before
HOP_S = HOP_SAMPLES / MODEL_RATE_HZ

_PACKAGE = "silero-vad"
_FILE = "silero_vad/data/silero_vad.onnx"
_STATE_SHAPE = (2, 1, 128)  # of its LSTM
_RATE = np.array(MODEL_RATE_HZ, dtype=np.int64)
_FATAL = 4  # onnxruntime's log levels: it warns about the model's unused initializers on every load


@dataclass(frozen=True, kw_only=True, eq=False)
class VoiceState:
    """What the model remembers of one track; its arrays are never written to again."""

    memory: NDArray[np.float32] = field(default_factory=lambda: np.zeros(_STATE_SHAPE, dtype=np.float32))
    """[2, 1, 128] of its LSTM."""

    context: NDArray[np.float32] = field(default_factory=lambda: np.zeros(CONTEXT_SAMPLES, dtype=np.float32))
    """[64] last samples of the hop before."""


class VoiceModel:
    """The model, loaded once and shared by all tracks; it holds no state of any of them."""

    def __init__(self, path: Path | None = None) -> None:
        """Loads the model in about 20 ms.

        Args:
            path: the ONNX file; that of the installed package `silero-vad` by default.

        Raises:
            IncompleteInstallation: there is no such file.
        """
        path = path or _installed()
        if not path.is_file():
            raise IncompleteInstallation(f"expected Silero's model at {path}, got no such file")
        options = onnxruntime.SessionOptions()
        # A hop is 0.1 ms of work: more threads would cost more than they give, and idle ones would spin.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _FATAL
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def listen(self, hop: NDArray[np.float32], state: VoiceState) -> tuple[float, VoiceState]:
        """How probable it is that somebody speaks in `hop`.

        Args:
            hop: pcm [512] at 16 kHz, finite, in [-1, 1].
            state: after the hop before, or a new one.

        Returns:
            The probability in [0, 1], and the state after `hop`.
        """
        heard = np.concatenate((state.context, hop))[np.newaxis]
        probability, memory = self._session.run(None, {"input": heard, "state": state.memory, "sr": _RATE})
        return float(probability[0, 0]), VoiceState(memory=memory, context=hop[-CONTEXT_SAMPLES:])


def _installed() -> Path:
    """The model's file, found without importing its package, which would import torch."""
    try:
        return Path(str(distribution(_PACKAGE).locate_file(_FILE)))
    except PackageNotFoundError as error:
        raise IncompleteInstallation(f"expected the package {_PACKAGE}, got none: {error}") from error
