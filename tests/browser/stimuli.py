"""What the browsers' microphones hear, and how to recognise it again.

A microphone file is synthesised speech (espeak-ng) over a quiet steady tone of a frequency that belongs to one person
alone: the tone tells whose voice arrived, the speech tells when.
"""

from __future__ import annotations

import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

MICROPHONE_RATE_HZ = 48_000
TONE_AMPLITUDE = 0.05
MAX_LAG_S = 2.0

Pcm = NDArray[np.float32]

SENTENCES = {
    "es": "Buenos días, doctora. Desde hace tres días me duele la rodilla izquierda cuando subo las escaleras.",
    "en": "Good morning. Please take fifteen milligrams twice a day with food, and come back on Thursday.",
}


def speak(text: str, language: str, rate_hz: int = MICROPHONE_RATE_HZ) -> Pcm:
    """`text` as mono pcm, by espeak-ng."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", language, "--stdout", text], capture_output=True, check=True, timeout=30
    ).stdout
    samples = (
        np.frombuffer(spoken[44:], dtype="<i2").astype(np.float32) / 32768
    )  # 44: length of a RIFF header
    source_hz = int.from_bytes(spoken[24:28], "little")
    return np.asarray(soxr.resample(samples, source_hz, rate_hz), dtype=np.float32)


def tone(frequency_hz: float, duration_s: float, amplitude: float, rate_hz: int = MICROPHONE_RATE_HZ) -> Pcm:
    """A steady sine."""
    times = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def microphone_file(path: Path, *, language: str, tone_hz: float, duration_s: float = 8.0) -> Path:
    """Writes 48 kHz mono s16: the language's sentence once, then quiet, over the person's tone.

    `tone_hz * duration_s` must be whole, since Chromium plays the file in a loop.
    """
    if (tone_hz * duration_s) % 1:
        raise ValueError(f"expected a whole number of periods, got {tone_hz * duration_s}")
    pcm = tone(tone_hz, duration_s, TONE_AMPLITUDE)
    speech = speak(SENTENCES[language], language)[: len(pcm)]
    pcm[: len(speech)] += 0.5 * speech / np.abs(speech).max()
    return write(path, pcm)


def turns_file(path: Path, sentences: Sequence[str], voice: str, *, first_s: float, every_s: float) -> None:
    """Writes what a microphone hears of `sentences`, the first at `first_s`, each next one `every_s` later.

    Chromium plays the file in a loop.
    """
    pcm = np.zeros(round((first_s + len(sentences) * every_s) * MICROPHONE_RATE_HZ), dtype=np.float32)
    for number, sentence in enumerate(sentences):
        speech = speak(sentence, voice)
        start = round((first_s + number * every_s) * MICROPHONE_RATE_HZ)
        pcm[start : start + len(speech)] = 0.4 * speech / np.abs(speech).max()
    write(path, pcm)


def write(path: Path, pcm: Pcm, rate_hz: int = MICROPHONE_RATE_HZ) -> Path:
    """A file of mono s16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def likeness(said: Pcm, heard: Pcm) -> float:
    """How much of `said` is somewhere in `heard`: their largest normalised cross-correlation, 0 to 1, of any sign.

    Args:
        said: [T], at the rate of `heard`.
        heard: at least as long.
    """
    return float(np.max(_likenesses(said, heard)))


def found_at(said: Pcm, heard: Pcm) -> int:
    """The sample of `heard` from which on it is most like `said`; arguments as of `likeness`."""
    return int(np.argmax(_likenesses(said, heard)))


def _likenesses(said: Pcm, heard: Pcm) -> NDArray[np.floating]:
    """[N], for every place in `heard` where `said` may begin."""
    size = 1 << int(np.ceil(np.log2(len(heard) + len(said))))
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    starts = len(heard) - len(said) + 1
    energy = np.concatenate(([0.0], np.cumsum(heard.astype(np.float64) ** 2)))
    around = energy[len(said) :] - energy[:starts]
    # A floor of -60 dBFS: what is practically silent is like nothing.
    norms = np.sqrt(np.maximum(around, 1e-6 * len(said)) * float(np.sum(said.astype(np.float64) ** 2)))
    return np.asarray(np.abs(products[:starts]) / norms)


def tone_level_db(pcm: Pcm, frequency_hz: float, rate_hz: int) -> float:
    """Amplitude of a steady tone in dBFS, beside speech that comes and goes.

    Windows of half a second are judged apart, and one at the lower third of them is taken: speech raises some of
    them, and a browser that runs short of time slips the phase in some others.
    """
    size = rate_hz // 2
    window = np.hanning(size)
    oscillator = window * np.exp(-2j * np.pi * frequency_hz * np.arange(size) / rate_hz) / window.sum()
    windows = pcm[: len(pcm) // size * size].reshape(-1, size)
    amplitudes = 2 * np.abs(windows @ oscillator)
    return float(20 * np.log10(np.quantile(amplitudes, 1 / 3) + 1e-9))


def lag_s(reference: Pcm, heard: Pcm, rate_hz: int) -> float:
    """How much later `heard` says what `reference` said, by cross-correlation of their waveforms.

    Both start at the same moment; positive when `heard` is late. Looked for up to `MAX_LAG_S` either way, since a
    looping microphone says the same again.
    """
    size = 1 << int(np.ceil(np.log2(len(reference) + len(heard))))
    spectrum = np.conj(np.fft.rfft(reference, size)) * np.fft.rfft(heard, size)
    # Phase transform with a floor: the tones would otherwise dominate and correlate at every period.
    spectrum /= np.abs(spectrum) + 1e-3 * np.abs(spectrum).max()
    correlation = np.fft.irfft(spectrum, size)
    most = round(MAX_LAG_S * rate_hz)
    around = np.concatenate((correlation[-most:], correlation[: most + 1]))
    return (int(np.argmax(around)) - most) / rate_hz
