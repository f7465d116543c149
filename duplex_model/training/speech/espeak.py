"""Speech from espeak-ng's library, in this process: samples, and the time of each phone out of the same call.

The library has one voice, one set of parameters and one callback per process, so there is one `Espeak` per process
(`espeak`), and its calls take turns. It carries the phase of its slow variation of pitch ("flutter") from one text to
the next: from the start of a process the same calls in the same order give the same samples, but a text repeated later
comes out a little different, as from a person.
"""

from __future__ import annotations

import bisect
import functools
import threading
from collections.abc import Sequence

import numpy as np

from duplex_model.contract import Pcm
from duplex_model.errors import EspeakError
from duplex_model.espeak_ng import EspeakNg, Mark
from duplex_model.training.speech.phones import SILENCE, from_espeak
from duplex_model.training.speech.timing import Phone, TtsError

_RHOTIC_ACCENTS = frozenset(("en-us", "en-gb-scotland"))


class Espeak:
    """The library, loaded.

    Raises:
        TtsError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            self._engine = EspeakNg()
        except EspeakError as error:
            raise TtsError(str(error)) from error
        self.rate_hz = self._engine.rate_hz
        self._lock = threading.Lock()

    def speak(
        self, text: str, accent: str, variant: str, pitch: int, rate_wpm: int
    ) -> tuple[Pcm, list[Phone]]:
        """Says `text`.

        Args:
            text: words apart by white space; `[[...]]` holds mnemonics of phones instead.
            accent: a voice of espeak-ng, such as "en-us" or "es-419".
            variant: one of its variants, such as "f2".
            pitch: 0 to 99, 50 being the variant's own.
            rate_wpm: words a minute.

        Returns:
            pcm float32 [T] at `rate_hz`, as the engine gives it; the phones, from the first to the end.

        Raises:
            TtsError: no such voice, or nothing was said.
        """
        with self._lock:
            try:
                samples, marks = self._engine.speak(
                    text, accent=accent, variant=variant, pitch=pitch, rate_wpm=rate_wpm
                )
            except EspeakError as error:
                raise TtsError(str(error)) from error
        if not samples:
            raise TtsError(f"expected speech of {text!r}, got none")
        pcm = np.frombuffer(samples, np.int16).astype(np.float32) / np.float32(32768)
        return pcm, self._phones(text, accent, marks, len(pcm))

    def _phones(self, text: str, accent: str, marks: Sequence[Mark], samples: int) -> list[Phone]:
        """The phones of the events. A stop that begins a word begins with its closure, where the word does."""
        language, rhotic = accent[:2], accent in _RHOTIC_ACCENTS
        begins = _word_begins(text)
        starts: list[tuple[int, tuple[str, ...], int | None]] = []
        word, word_sample = -1, None
        for mark in marks:
            if mark.position is not None:
                word, word_sample = max(word, bisect.bisect_right(begins, mark.position) - 1), mark.sample
                continue
            assert mark.mnemonic is not None, "a mark is of a word or of a phone"
            try:
                symbols = from_espeak(mark.mnemonic, language, rhotic=rhotic)
            except KeyError as error:
                raise TtsError(f"expected a phone of {accent}, got {mark.mnemonic!r} in {text!r}") from error
            if symbols:
                silent = symbols[0] == SILENCE
                sample = mark.sample if word_sample is None or silent else word_sample
                starts.append((sample, symbols, None if silent else word))
                word_sample = word_sample if silent else None
        return self._spans(starts, samples)

    def _spans(self, starts: Sequence[tuple[int, tuple[str, ...], int | None]], samples: int) -> list[Phone]:
        """Each start lasts until the next; symbols that share one share its time."""
        phones = []
        ends = [start for start, _, _ in starts[1:]] + [samples]
        for (start, symbols, word), end in zip(starts, ends, strict=True):
            cuts = np.linspace(start, max(start, end), len(symbols) + 1) / self.rate_hz
            phones += [
                Phone(s, float(a), float(b), word) for s, a, b in zip(symbols, cuts, cuts[1:], strict=False)
            ]
        return phones


def _word_begins(text: str) -> list[int]:
    """Where each word of `text.split()` begins, in characters."""
    begins, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        begins.append(at)
        at += len(word)
    return begins


@functools.cache
def espeak() -> Espeak:
    """This process's. A process made by forking has a copy of its parent's, in the state in which it was.

    Raises:
        TtsError: see `Espeak`.
    """
    return Espeak()
