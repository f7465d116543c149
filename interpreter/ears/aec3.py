"""WebRTC's echo canceller "AEC3", out of the package `livekit` (ADR 0023).

Only its audio processing module is used: no room, no network. It works on 10 ms of 16-bit samples.
"""

from __future__ import annotations

import numpy as np
from livekit.rtc.apm import AudioProcessingModule
from livekit.rtc.audio_frame import AudioFrame

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

DELAY_SAMPLES = 224
"""What comes out is 9.3 ms late in the middle of its band: the module's own resampling and its filter bank."""

_BLOCK_SAMPLES = SAMPLE_RATE_HZ // 100


class Aec3:
    """One canceller: an adaptive filter of some 50 ms, and a suppressor of what the filter leaves."""

    def __init__(self) -> None:
        # Nothing but the canceller: a session hears the voice as it is.
        self._module = AudioProcessingModule(echo_cancellation=True)

    def clean(self, near: Pcm, sent: Pcm) -> Pcm:
        """`near` less the echo of `sent`, 9.3 ms later.

        Args:
            near: [1920] of the microphone, 24 kHz; beyond [-1, 1] it is clipped.
            sent: [1920] whose echo is expected in `near` 5 to 100 ms after its place in `sent`; never before it.
        """
        near_blocks, sent_blocks = (_to_blocks(pcm) for pcm in (near, sent))
        cleaned = []
        for near_block, sent_block in zip(near_blocks, sent_blocks, strict=True):
            self._module.process_reverse_stream(_frame(sent_block))
            frame = _frame(near_block)
            self._module.process_stream(frame)  # in place
            cleaned.append(np.frombuffer(frame.data, dtype=np.int16))
        return np.concatenate(cleaned).astype(np.float32) / np.float32(32768)


def _to_blocks(pcm: Pcm) -> list[bytes]:
    samples = np.rint(np.clip(pcm, -1.0, 32767 / 32768) * 32768).astype(np.int16)
    return [samples[at : at + _BLOCK_SAMPLES].tobytes() for at in range(0, FRAME_SAMPLES, _BLOCK_SAMPLES)]


def _frame(block: bytes) -> AudioFrame:
    return AudioFrame(block, SAMPLE_RATE_HZ, 1, _BLOCK_SAMPLES)
