"""A growing WAV file, mono, 16 bits, 24 kHz: written at positions, whole after a crash, and of any length.

    0   RIFF size WAVE
    12  JUNK 28 zeros          beyond 4 GiB: RF64 and ds64, which hold 64-bit sizes (EBU Tech 3306)
    48  fmt  16 PCM 1 24000 48000 2 16
    72  data size
    80  samples

What was never written between two positions is silence, and takes no place on file systems that know sparse files.
"""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ

HEADER_BYTES = 80
FRAME_BYTES = 2 * FRAME_SAMPLES

_SAMPLE_BYTES = 2
_MAX_32 = 0xFFFF_FFFF
_FORMAT = struct.pack(
    "<4sIHHIIHH",
    b"fmt ",
    16,
    1,  # PCM
    1,  # channel
    SAMPLE_RATE_HZ,
    SAMPLE_RATE_HZ * _SAMPLE_BYTES,
    _SAMPLE_BYTES,
    8 * _SAMPLE_BYTES,
)


def wav_header(data_bytes: int) -> bytes:
    """The header of a file with so many bytes of samples: [80] bytes."""
    riff_bytes = HEADER_BYTES - 8 + data_bytes
    if riff_bytes <= _MAX_32:
        start = struct.pack("<4sI4s4sI28x", b"RIFF", riff_bytes, b"WAVE", b"JUNK", 28)
        return start + _FORMAT + struct.pack("<4sI", b"data", data_bytes)
    samples = data_bytes // _SAMPLE_BYTES
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, data_bytes, samples, 0)
    start = struct.pack("<4sI4s", b"RF64", _MAX_32, b"WAVE") + sizes
    return start + _FORMAT + struct.pack("<4sI", b"data", _MAX_32)


class WavFile:
    """A new file, readable by its owner alone.

    Raises:
        OSError: from all methods: the file exists, the disk is full, somebody has removed the file.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._frames = 0
        self._told_frames = 0  # what the header says
        try:
            os.pwrite(self._descriptor, wav_header(0), 0)
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def frames(self) -> int:
        """How long the file is, in frames of 80 ms."""
        return self._frames

    def write(self, frame: int, samples: bytes) -> None:
        """Writes one frame, s16le [1920], at its place."""
        assert len(samples) == FRAME_BYTES, "expected one frame of s16le"
        position = HEADER_BYTES + frame * FRAME_BYTES
        while samples:  # a disk may take a part
            written = os.pwrite(self._descriptor, samples, position)
            samples, position = samples[written:], position + written
        self._frames = max(self._frames, frame + 1)

    def tell_length(self) -> None:
        """Brings the header up to date: a reader then finds everything written so far."""
        if os.fstat(self._descriptor).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, "a file was removed")
        if self._told_frames != self._frames:
            os.pwrite(self._descriptor, wav_header(self._frames * FRAME_BYTES), 0)
            self._told_frames = self._frames

    def close(self, frames: int) -> None:
        """Extends the file with silence to `frames`, and sees it on the disk. Nothing is written after it."""
        try:
            if frames > self._frames:
                os.ftruncate(self._descriptor, HEADER_BYTES + frames * FRAME_BYTES)
                self._frames = frames
            self.tell_length()
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)
