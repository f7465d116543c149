"""espeak-ng's library by ctypes: samples of a text, and when each word and phone begins. Needs no other package.

The library has one voice, one set of parameters and one callback per process, so there is at most one `EspeakNg` in a
process, and its calls may not overlap. It carries the phase of its slow variation of pitch ("flutter") from one text to
the next: the same text comes out a little different after another one.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

from duplex_model.errors import EspeakError

LIBRARY = "libespeak-ng.so.1"

_HOW_TO_GET_IT = "on Debian: apt-get install espeak-ng"

# Values of espeak-ng/speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS = 1
_RATE, _PITCH = 1, 3
_POSITION_IN_CHARACTERS = 1
_UTF8, _PHONEMES = 0x1, 0x100
_LIST_TERMINATED, _WORD, _PHONEME = 0, 1, 7
_BUFFER_MS = 200


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
class Mark:
    """Where a word or a phone begins in what was said."""

    sample: int

    position: int | None
    """Character at which the word begins, from 0; None of a phone."""

    mnemonic: str | None
    """Of the phone; None of a word."""


class EspeakNg:
    """The library, loaded.

    Raises:
        EspeakError: it is not installed, or its data are not.
    """

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise EspeakError(f"expected {LIBRARY}, got {error}; {_HOW_TO_GET_IT}") from error
        self.rate_hz: int = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, None, _PHONEME_EVENTS)
        """Of what it says."""

        if self.rate_hz <= 0:
            raise EspeakError(f"expected espeak-ng's data, got none; {_HOW_TO_GET_IT}")
        self._variants = self._read_variants()
        self._samples: list[bytes] = []
        self._marks: list[Mark] = []
        self._callback = _Callback(self._take)  # kept here, because the library keeps only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(
        self, text: str, *, accent: str, variant: str, pitch: int, rate_wpm: int
    ) -> tuple[bytes, list[Mark]]:
        """Says `text`.

        Args:
            text: words apart by white space; `[[...]]` holds mnemonics of phones instead.
            accent: a voice of espeak-ng, such as "en-us" or "es-419".
            variant: one of its variants, such as "f2".
            pitch: 0 to 99, 50 being the variant's own.
            rate_wpm: words a minute.

        Returns:
            s16 samples at `rate_hz`, in the machine's byte order, and the marks in the order in which they were told.

        Raises:
            EspeakError: there is no such voice.
        """
        self._samples, self._marks = [], []
        voice = f"{accent}+{variant}"
        # The library itself takes an unknown variant for none.
        if variant not in self._variants or self._library.espeak_SetVoiceByName(voice.encode()):
            raise EspeakError(f"expected a voice of espeak-ng, got {voice!r}")
        self._library.espeak_SetParameter(_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        data = text.encode(errors="replace")
        size, flags = ctypes.c_size_t(len(data) + 1), _UTF8 | _PHONEMES
        self._library.espeak_Synth(data, size, 0, _POSITION_IN_CHARACTERS, 0, flags, None, None)
        return b"".join(self._samples), self._marks

    def _read_variants(self) -> frozenset[str]:
        data = ctypes.c_char_p()
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_Info(ctypes.byref(data))
        return frozenset(path.name for path in Path(os.fsdecode(data.value or b""), "voices", "!v").iterdir())

    def _take(
        self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]
    ) -> int:
        """Keeps what the library hands over, which is its own again on return."""
        if wave and count:
            self._samples.append(ctypes.string_at(wave, 2 * count))
        for number in itertools.count():
            event = events[number]
            if event.type == _LIST_TERMINATED:
                break
            if event.type == _PHONEME:
                self._marks.append(Mark(event.sample, None, bytes(event.id.string).decode()))
            elif event.type == _WORD and event.length > 0:
                self._marks.append(Mark(event.sample, event.text_position - 1, None))
        return 0
