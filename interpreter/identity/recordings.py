"""Recorded tracks in WAV files, as they are compared with attestations."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import soundfile  # type: ignore[import-untyped]

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ
from interpreter.errors import IdentityError
from interpreter.identity.encoding import shown

MAX_TRACKS = 256


class Recordings:
    """WAV files, 24 kHz and 16 bits, and their channels: `sound.Tracks`. Use it as a context manager.

    Raises:
        IdentityError: a file cannot be read, or holds other samples than those that were hashed.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        with ExitStack() as stack:
            opened = [(path, stack.enter_context(_open(path))) for path in paths]
            self._files = stack.pop_all()
        self._tracks = [(path, sound, channel) for path, sound in opened for channel in range(sound.channels)]
        if len(self._tracks) > MAX_TRACKS:
            self._files.close()
            raise IdentityError(f"expected {MAX_TRACKS} tracks at most, got {len(self._tracks)}")

    @property
    def names(self) -> Sequence[str]:
        """See `sound.Tracks`; a file of several channels numbers them from 1."""
        return [
            shown(path.name).strip("'\"") + (f" channel {channel + 1}" if sound.channels > 1 else "")
            for path, sound, channel in self._tracks
        ]

    def samples(self, track: int, frame: int, frames: int) -> bytes:
        """See `sound.Tracks`."""
        path, sound, channel = self._tracks[track]
        if frame * FRAME_SAMPLES >= sound.frames:
            return b""
        try:
            sound.seek(frame * FRAME_SAMPLES)
            block = sound.read(frames * FRAME_SAMPLES, dtype="int16", always_2d=True)
        except soundfile.SoundFileError as error:
            raise IdentityError(f"expected {path} to be readable to its end, got: {error}") from error
        samples: bytes = block[:, channel].astype("<i2").tobytes()
        return samples

    def frames(self, track: int) -> int:
        """See `sound.Tracks`."""
        sound = self._tracks[track][1]
        return -(-int(sound.frames) // FRAME_SAMPLES)

    def __enter__(self) -> Recordings:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the files."""
        self._files.close()


def _open(path: Path) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, OSError) as error:
        raise IdentityError(f"expected a readable WAV file, got {path}: {error}") from error
    if (sound.samplerate, sound.subtype) != (SAMPLE_RATE_HZ, "PCM_16"):
        sound.close()
        came = f"{sound.samplerate} Hz, {sound.subtype}"
        raise IdentityError(f"expected {SAMPLE_RATE_HZ} Hz and 16 bits in {path}, got {came}")
    return sound
