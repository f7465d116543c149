"""A finished run in a folder: `run.json`, and its sounds as WAV files with the samples they had.

    run.json
    sounds/mix%2Fdoctor.wav      mono, 24 kHz, 32-bit float

Names of sounds are quoted as in a URL, so that no name leads out of the folder. Sounds of other origin may have any
rate and format that libsndfile reads; they are brought to 24 kHz, and what sounds at a time goes on sounding at it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.errors import RunLogError
from scenarios.run_log import RunLog, from_json, to_json

RUN_FILE = "run.json"
SOUNDS_FOLDER = "sounds"

_FLOAT = 3  # WAVE_FORMAT_IEEE_FLOAT
_SAMPLE_BYTES = 4
_FORMAT = struct.Struct("<4sIHHIIHH4sI")


def write_run(folder: Path, run: RunLog) -> None:
    """Writes the run in the place of one that may be there; the same run gives the same bytes.

    Raises:
        OSError: it cannot be written.
    """
    sounds = folder / SOUNDS_FOLDER
    sounds.mkdir(parents=True, exist_ok=True)
    files = {f"{quote(name, safe='')}.wav": name for name in run.sounds}
    for file, name in files.items():
        (sounds / file).write_bytes(_wav(run.sounds[name]))
    for path in sounds.glob("*.wav"):
        if path.name not in files:
            path.unlink()
    (folder / RUN_FILE).write_text(to_json(run), encoding="utf-8")


class SoundFiles(Mapping[str, Pcm]):
    """Sounds of a folder by name, each read when it is asked for and kept by nobody: a suite does not fit into memory.

    Args:
        folder: that `write_run` has written to; its sounds may be of other origin.

    Raises:
        RunLogError: when it is asked for, a sound cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._files = {unquote(file.stem): file for file in sorted(folder.glob("*.wav"))}

    def __getitem__(self, name: str) -> Pcm:
        """Pcm [T], 24 kHz; KeyError for one that is not there."""
        return read_sound(self._files[name])

    def __iter__(self) -> Iterator[str]:
        """The names, in order."""
        return iter(self._files)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)


def read_run(folder: Path) -> RunLog:
    """The run of a folder, with the sounds that are there, read when they are needed.

    Raises:
        RunLogError: no run, or one that cannot be read; the message names the file.
    """
    path = folder / RUN_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunLogError(f"expected a run at {path}, got {error}") from error
    try:
        return from_json(text, SoundFiles(folder / SOUNDS_FOLDER))
    except RunLogError as error:
        raise RunLogError(f"{path}: {error}") from None


def read_sound(path: Path) -> Pcm:
    """What sounds in a file of any rate, as pcm [T] at 24 kHz; several channels are averaged.

    Raises:
        RunLogError: no file, or one that libsndfile cannot read.
    """
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise RunLogError(f"expected a sound at {path}, got {error}") from error
    mono = samples.mean(axis=1, dtype=np.float32)
    if rate_hz == SAMPLE_RATE_HZ:
        return np.asarray(mono, dtype=np.float32)
    return np.asarray(soxr.resample(mono, rate_hz, SAMPLE_RATE_HZ), dtype=np.float32)


def _wav(pcm: Pcm) -> bytes:
    # Not libsndfile: into a file of floats it writes the time of writing.
    samples = pcm.astype("<f4").tobytes()
    header = _FORMAT.pack(
        *(b"fmt ", 16, _FLOAT, 1, SAMPLE_RATE_HZ, _SAMPLE_BYTES * SAMPLE_RATE_HZ, _SAMPLE_BYTES),
        *(8 * _SAMPLE_BYTES, b"data", len(samples)),
    )
    return struct.pack("<4sI4s", b"RIFF", 4 + len(header) + len(samples), b"WAVE") + header + samples
