"""Speech from espeak-ng's library, in this process: samples, and the time of each phone out of the same call.

The library has one voice, one set of parameters and one callback per process, so there is one `Espeak` per process
(`espeak`), and its calls take turns. It carries the phase of its slow variation of pitch ("flutter") from one text to
the next: from the start of a process the same calls in the same order give the same samples, but a text repeated later
comes out a little different, as from a person.
"""

from __future__ import annotations

import bisect
import ctypes
import functools
import itertools
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import Pcm
from duplex_model.training.phones import SILENCE, from_espeak
from duplex_model.training.timing import Phone, TtsError

_LIBRARY = "libespeak-ng.so.1"
_PACKAGE = "espeak-ng"

# Values of espeak-ng/speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_RATE, _PITCH = 1, 3
_POSITION_IN_CHARACTERS = 1
_UTF8 = 1
_LIST_TERMINATED, _WORD, _PHONEME = 0, 1, 7
_BUFFER_MS = 200

_RHOTIC_ACCENTS = frozenset(("en-us", "en-gb-scotland"))


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # in characters, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class _Mark:
    """What an event says."""

    sample: int

    mnemonic: str | None
    """Of a phone; None where a word begins."""

    position: int
    """Character at which the word begins, from 0."""


class Espeak:
    """The library, loaded.

    Raises:
        TtsError: it is not installed.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise TtsError(
                f"expected {_LIBRARY}, got {error}; on Debian: apt-get install {_PACKAGE}"
            ) from error
        self.rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, None, _PHONEME_EVENTS)
        if self.rate_hz <= 0:
            raise TtsError(f"expected espeak-ng's data, got none; on Debian: apt-get install {_PACKAGE}")
        self._variants = self._read_variants()
        self._pieces: list[NDArray[np.int16]] = []
        self._marks: list[_Mark] = []
        self._callback = _Callback(self._take)  # kept here, because the library keeps only its address
        self._library.espeak_SetSynthCallback(self._callback)
        self._lock = threading.Lock()

    def _read_variants(self) -> frozenset[str]:
        """Names of all variants; the library itself takes an unknown one for none."""
        data = ctypes.c_char_p()
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_Info(ctypes.byref(data))
        return frozenset(path.name for path in Path(os.fsdecode(data.value or b""), "voices", "!v").iterdir())

    def speak(
        self, text: str, accent: str, variant: str, pitch: int, rate_wpm: int
    ) -> tuple[Pcm, list[Phone]]:
        """Says `text`.

        Args:
            text: words apart by white space.
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
            self._pieces, self._marks = [], []
            voice = f"{accent}+{variant}"
            if variant not in self._variants or self._library.espeak_SetVoiceByName(voice.encode()):
                raise TtsError(f"expected a voice of espeak-ng, got {voice!r}")
            self._library.espeak_SetParameter(_RATE, rate_wpm, 0)
            self._library.espeak_SetParameter(_PITCH, pitch, 0)
            data = text.encode()
            self._library.espeak_Synth(
                data, ctypes.c_size_t(len(data) + 1), 0, _POSITION_IN_CHARACTERS, 0, _UTF8, None, None
            )
            pieces, marks = self._pieces, self._marks
        if not pieces:
            raise TtsError(f"expected speech of {text!r}, got none")
        pcm = np.concatenate(pieces).astype(np.float32) / np.float32(32768)
        return pcm, self._phones(text, accent, marks, len(pcm))

    def _take(
        self, wave: ctypes._Pointer[ctypes.c_short], samples: int, events: ctypes._Pointer[_Event]
    ) -> int:
        """Keeps what the library hands over, which is its own again on return."""
        if wave and samples:
            self._pieces.append(np.ctypeslib.as_array(wave, (samples,)).copy())
        for number in itertools.count():
            event = events[number]
            if event.type == _LIST_TERMINATED:
                return 0
            if event.type == _PHONEME:
                mnemonic = bytes(event.id.string).decode()
                self._marks.append(_Mark(event.sample, mnemonic, event.text_position - 1))
            elif event.type == _WORD and event.length > 0:
                self._marks.append(_Mark(event.sample, None, event.text_position - 1))
        return 0

    def _phones(self, text: str, accent: str, marks: Sequence[_Mark], samples: int) -> list[Phone]:
        """The phones of the events. A stop that begins a word begins with its closure, where the word does."""
        language, rhotic = accent[:2], accent in _RHOTIC_ACCENTS
        begins = _word_begins(text)
        starts: list[tuple[int, tuple[str, ...], int | None]] = []
        word, word_sample = -1, None
        for mark in marks:
            if mark.mnemonic is None:
                word, word_sample = max(word, bisect.bisect_right(begins, mark.position) - 1), mark.sample
                continue
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
