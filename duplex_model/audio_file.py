"""Audio files of any format, rate and number of channels -> pcm, and pcm -> WAV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import DuplexModelError


@dataclass(frozen=True)
class Recording:
    """What a file holds, before anything is done to it."""

    pcm: Pcm
    """[T], the first channel."""

    rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length."""
        return len(self.pcm) / self.rate_hz

    def resampled(self) -> Pcm:
        """[T] at 24 kHz, by a linear-phase filter; may overshoot the original's peaks a little."""
        pcm: Pcm = soxr.resample(self.pcm, self.rate_hz, SAMPLE_RATE_HZ, quality="VHQ")
        return pcm


def read_audio(path: Path, *, max_s: float, error: type[DuplexModelError]) -> Recording:
    """The first channel of an audio file, in any format that libsndfile knows (WAV, FLAC, Ogg, MP3, ...).

    Args:
        path: of the file.
        max_s: nothing longer is read into memory.
        error: what is raised for anything wrong.

    Raises:
        DuplexModelError: `error`, when there is no such file, it is no audio, too long, empty, or not finite.
    """
    if not path.is_file():
        raise error(f"expected an audio file at {path}, got {'a folder' if path.is_dir() else 'nothing'}")
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz: int = file.samplerate
            samples = file.read(int(max_s * rate_hz) + 1, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as cause:
        raise error(f"expected an audio file, such as WAV or FLAC, at {path}: {cause}") from cause
    pcm: Pcm = np.ascontiguousarray(samples[:, 0])
    if len(pcm) > max_s * rate_hz:
        raise error(f"{path}: expected at most {max_s:g} s of audio, got more")
    if not len(pcm):
        raise error(f"{path}: expected audio, got an empty recording")
    if not np.isfinite(pcm).all():
        raise error(f"{path}: expected finite samples, got NaN or infinity")
    return Recording(pcm, rate_hz)


def duration_of(path: Path) -> float | None:
    """Length of an audio file in seconds, without reading it; None where it is none."""
    try:
        return float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, OSError):
        return None


def write_wav(path: Path, pcm: Pcm) -> None:
    """Writes pcm [T] at 24 kHz as 16-bit WAV; what exceeds full scale is clipped.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("wb") as file:
        soundfile.write(file, np.clip(pcm, -1.0, 1.0), SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
