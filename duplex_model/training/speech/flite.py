"""Speech from flite's libraries, in this process: English voices built from recordings of people.

Flite keeps an utterance as relations of linked items; its token relation is the text split at white space, and a
segment leads to its token through its syllable and its word.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator

import numpy as np

from duplex_model.contract import Pcm
from duplex_model.training.speech.phones import FLITE, SILENCE
from duplex_model.training.speech.timing import Phone, TtsError

_PACKAGE = "flite"
_TOKEN_OF_SEGMENT = b"R:SylStructure.parent.parent.R:Token.parent"


class _Wave(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_char_p),
        ("sample_rate", ctypes.c_int),
        ("num_samples", ctypes.c_int),
        ("num_channels", ctypes.c_int),
        ("samples", ctypes.POINTER(ctypes.c_short)),
    )


class _Voice(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("features", ctypes.c_void_p))  # and more, of no use here


_SIGNATURES = (
    ("flite_synth_text", ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_void_p)),
    ("delete_utterance", None, (ctypes.c_void_p,)),
    ("utt_wave", ctypes.c_void_p, (ctypes.c_void_p,)),
    ("utt_relation", ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p)),
    ("relation_head", ctypes.c_void_p, (ctypes.c_void_p,)),
    ("item_next", ctypes.c_void_p, (ctypes.c_void_p,)),
    ("path_to_item", ctypes.c_void_p, (ctypes.c_void_p, ctypes.c_char_p)),
    ("item_feat_string", ctypes.c_char_p, (ctypes.c_void_p, ctypes.c_char_p)),
    ("item_feat_float", ctypes.c_float, (ctypes.c_void_p, ctypes.c_char_p)),
    ("feat_set_float", None, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_float)),
)


def _load(name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise TtsError(f"expected {name}, got {error}; on Debian: apt-get install {_PACKAGE}") from error


class Flite:
    """The library and its voices, each loaded when first used; calls take turns.

    Raises:
        TtsError: it is not installed.
    """

    def __init__(self) -> None:
        self._library = _load("libflite.so.1")
        for name, result, arguments in _SIGNATURES:
            function = getattr(self._library, name)
            function.restype, function.argtypes = result, arguments
        self._library.flite_init()
        self._voices: dict[str, int] = {}
        self._lock = threading.Lock()

    def speak(
        self, text: str, voice: str, pitch_ratio: float, stretch: float
    ) -> tuple[Pcm, int, list[Phone]]:
        """Says `text`.

        Args:
            text: ASCII, words apart by white space.
            voice: "slt", "rms", "awb" or "kal16".
            pitch_ratio: of the fundamental frequency to the voice's own.
            stretch: of durations to the voice's own.

        Returns:
            pcm float32 [T] as the engine gives it; its rate in Hz; the phones, from the first to the end.

        Raises:
            TtsError: no such voice, not ASCII, or flite sees other words in the text.
        """
        if not text.isascii():
            raise TtsError(f"expected ASCII for flite, got {text!r}")
        with self._lock:
            handle = self._voice(voice)
            features = _Voice.from_address(handle).features
            self._library.feat_set_float(features, b"f0_shift", pitch_ratio)
            self._library.feat_set_float(features, b"duration_stretch", stretch)
            utterance = self._library.flite_synth_text(text.encode(), handle)
            if not utterance:
                raise TtsError(f"expected speech of {text!r}, got none")
            try:
                return *self._wave(utterance), self._phones(utterance, text)
            finally:
                self._library.delete_utterance(utterance)

    def _voice(self, name: str) -> int:
        if name not in self._voices:
            register = getattr(_load(f"libflite_cmu_us_{name}.so.1"), f"register_cmu_us_{name}")
            register.restype = ctypes.c_void_p
            self._voices[name] = register(None)
        return self._voices[name]

    def _wave(self, utterance: int) -> tuple[Pcm, int]:
        wave = _Wave.from_address(self._library.utt_wave(utterance))
        samples = np.ctypeslib.as_array(wave.samples, (wave.num_samples,))
        return samples.astype(np.float32) / np.float32(32768), int(wave.sample_rate)

    def _phones(self, utterance: int, text: str) -> list[Phone]:
        token_numbers = {item: number for number, item in enumerate(self._items(utterance, b"Token"))}
        if len(token_numbers) != len(text.split()):
            raise TtsError(
                f"expected {len(text.split())} words in {text!r}, got {len(token_numbers)} from flite"
            )
        phones, start_s = [], 0.0
        for item in self._items(utterance, b"Segment"):
            symbol = FLITE[self._library.item_feat_string(item, b"name").decode()]
            end_s = self._library.item_feat_float(item, b"end")
            word = (
                None
                if symbol == SILENCE
                else token_numbers[self._library.path_to_item(item, _TOKEN_OF_SEGMENT)]
            )
            phones.append(Phone(symbol, start_s, end_s, word))
            start_s = end_s
        return phones

    def _items(self, utterance: int, relation: bytes) -> Iterator[int]:
        item = self._library.relation_head(self._library.utt_relation(utterance, relation))
        while item:
            yield item
            item = self._library.item_next(item)


@functools.cache
def flite() -> Flite:
    """This process's.

    Raises:
        TtsError: see `Flite`.
    """
    return Flite()
