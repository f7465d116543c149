"""Speech for stimuli: text by a voice of espeak-ng -> pcm, and when each word is said. Kept on disk by content.

espeak-ng is a system package, found at run time. Every text is spoken in a process of its own (`espeak_process`), so
that the same text and voice give the same samples on every run, whatever was spoken before.
"""

from __future__ import annotations

import bisect
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from scenarios.errors import SpeechError
from scenarios.voicing import Span, active_level_dbfs, voiced_spans

LEVEL_DBFS = -26.0
"""Level of every utterance while it sounds: the nominal one of ITU-T P.830 test speech."""

_PROCESS = Path(__file__).with_name("espeak_process.py")
_TIMEOUT_S = 60
_FORMAT = 2
"""Of what is cached; another number leaves old entries unused."""

_EDGE_SAMPLES = SAMPLE_RATE_HZ // 200
"""5 ms of fade where an utterance is cut out of the engine's output."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Who speaks, and how."""

    accent: str
    """A language of espeak-ng, such as `en-us` or `es-419`."""

    variant: str
    """One of its variants, such as `f2`."""

    pitch: int = 50
    """0 to 99; 50 is the variant's own."""

    rate_wpm: int = 160
    """Words a minute, 80 to 450."""


_VARIANTS = (
    *(("f2", 50), ("m3", 45), ("f5", 40), ("m7", 55), ("linda", 50), ("max", 40)),
    *(("f4", 60), ("m1", 35), ("steph", 45), ("adam", 50), ("f1", 65), ("m5", 30)),
)
"""Variant of espeak-ng, and pitch."""

_ACCENTS = {"en": ("en-us", "en-gb-x-rp", "en-gb-scotland"), "es": ("es-419", "es")}

VOICES: Mapping[str, tuple[Voice, ...]] = MappingProxyType(
    {
        language: tuple(
            Voice(accent=accents[n % len(accents)], variant=variant, pitch=pitch)
            for n, (variant, pitch) in enumerate(_VARIANTS)
        )
        for language, accents in _ACCENTS.items()
    }
)
"""Language -> voices to choose from, women's and men's in turns."""

_HUMS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {"mm-hm": "m-h'm-", "mhm": "m-h'm-", "mm": "m'm-:", "hm": "h'm-:", "uh-huh": "Vh'V"},
        "es": {"mm-hm": "m@h'@m", "mhm": "m@h'@m", "mm": "m'@m", "hm": "h'@m"},
    }
)
"""Language -> what is hummed -> its phones; the engine spells such words letter by letter."""


@dataclass(frozen=True, kw_only=True)
class Word:
    """A word, and when it sounds."""

    text: str
    """As written, punctuation included."""

    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Speech:
    """An utterance, from the first sound to the last."""

    pcm: Pcm
    """[T], 24 kHz, at `LEVEL_DBFS`; some voices ring on for a tenth of a second after the last word."""

    words: tuple[Word, ...]
    """In order; times from the first sample."""

    voiced: tuple[Span, ...]
    """Where it is spoken, pauses of 200 ms and more left out; times from the first sample."""

    @property
    def duration_s(self) -> float:
        """From the first sound to the end of the last word."""
        return self.voiced[-1].end_s

    @property
    def voiced_s(self) -> float:
        """How long it is spoken, without its pauses."""
        return sum(span.duration_s for span in self.voiced)


@dataclass(frozen=True)
class _Mark:
    """Where a word (`position`) or a phone (`mnemonic`) begins in what the engine said."""

    sample: int
    position: int | None
    mnemonic: str | None


@dataclass(frozen=True)
class _Utterance:
    """What the engine said: what is cached."""

    pcm: NDArray[np.int16]
    rate_hz: int
    marks: tuple[_Mark, ...]


class Speaker:
    """Says texts by espeak-ng.

    Args:
        cache: folder of what was said before, made when it is not there.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._said: dict[tuple[str, Voice], Speech] = {}

    def say(self, text: str, voice: Voice) -> Speech:
        """`text` by `voice`; the same samples every time.

        Args:
            text: words apart by white space. Hums such as "mm-hm" are hummed, not spelled.
            voice: whose.

        Raises:
            SpeechError: espeak-ng is not installed, it has no such voice, or there is nothing to say.
        """
        key = text, voice
        if key not in self._said:
            self._said[key] = self._speech(text, voice)
        return self._said[key]

    def _speech(self, text: str, voice: Voice) -> Speech:
        words = text.split()
        if not words or "[[" in text:
            raise SpeechError(f"expected words to say, got {text!r}")
        spoken = [_respelled(word, voice.accent[:2]) for word in words]
        utterance = self._utterance(" ".join(spoken), voice)
        return _speech(words, _begins(spoken), utterance, text)

    def _utterance(self, text: str, voice: Voice) -> _Utterance:
        """From the cache, or from the engine into it."""
        request = {"text": text, **asdict(voice)}
        name = hashlib.sha256(json.dumps([_FORMAT, request], sort_keys=True).encode()).hexdigest()
        path = self._cache / f"{name}.npz"
        utterance = _load(path)
        if utterance is None:
            utterance = _ask_engine(request)
            _store(path, utterance)
        return utterance


def default_cache() -> Path:
    """Where speech is kept: `$XDG_CACHE_HOME/meeting-interpreter/speech`."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(home) if os.path.isabs(home) else Path.home() / ".cache"
    return base / "meeting-interpreter" / "speech"


def _ask_engine(request: Mapping[str, Any]) -> _Utterance:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", _PROCESS],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SpeechError(f"expected espeak-ng to answer within {_TIMEOUT_S} s, got nothing") from error
    if done.returncode:
        raise SpeechError(done.stderr.decode(errors="replace") or f"espeak-ng ended with {done.returncode}")
    head, _, samples = done.stdout.partition(b"\n")
    answer = json.loads(head)
    marks = tuple(_Mark(*mark) for mark in answer["marks"])
    return _Utterance(np.frombuffer(samples, np.int16), answer["rate_hz"], marks)


def _store(path: Path, utterance: _Utterance) -> None:
    """Writes the whole file or none."""
    marks = json.dumps([[mark.sample, mark.position, mark.mnemonic] for mark in utterance.marks])
    content = io.BytesIO()
    np.savez_compressed(content, pcm=utterance.pcm, rate_hz=utterance.rate_hz, marks=np.array(marks))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content.getvalue())
    os.replace(file.name, path)


def _load(path: Path) -> _Utterance | None:
    """What the file holds; None where there is none, or it is damaged and will be made anew."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            marks = tuple(_Mark(*mark) for mark in json.loads(str(file["marks"])))
            return _Utterance(file["pcm"], int(file["rate_hz"]), marks)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _respelled(word: str, language: str) -> str:
    """`word` as the engine shall read it."""
    core = word.strip(".,;:!?¡¿…")
    phones = _HUMS.get(language, {}).get(core.casefold())
    return word if phones is None else f"[[{phones}]]{word.partition(core)[2]}"


def _begins(words: Sequence[str]) -> list[int]:
    """Where each word begins in `" ".join(words)`, in characters."""
    begins = [0]
    for word in words[:-1]:
        begins.append(begins[-1] + len(word) + 1)
    return begins


def _speech(words: Sequence[str], begins: Sequence[int], utterance: _Utterance, text: str) -> Speech:
    """Resampled, levelled, and cut to what sounds."""
    pcm: Pcm = soxr.resample(
        utterance.pcm.astype(np.float32) / np.float32(32768),
        utterance.rate_hz,
        SAMPLE_RATE_HZ,
        quality="VHQ",
    )
    level = active_level_dbfs(pcm)
    if level is None:
        raise SpeechError(f"expected speech of {text!r}, got silence")
    pcm = pcm * np.float32(10 ** ((LEVEL_DBFS - level) / 20))
    voiced = voiced_spans(pcm)
    first, last = voiced[0].start_s, voiced[-1].end_s
    pcm = pcm[round(first * SAMPLE_RATE_HZ) : round(last * SAMPLE_RATE_HZ)].copy()
    fade = np.linspace(0, 1, _EDGE_SAMPLES, endpoint=False, dtype=np.float32)
    pcm[:_EDGE_SAMPLES] *= fade
    pcm[-_EDGE_SAMPLES:] *= fade[::-1]
    spans = [span.shifted(-first).within(0.0, last - first) for span in _word_spans(begins, utterance)]
    spoken = [span.shifted(-first).within(0.0, spans[-1].end_s) for span in voiced]
    return Speech(
        pcm=pcm,
        words=tuple(
            Word(text=word, start_s=span.start_s, end_s=span.end_s)
            for word, span in zip(words, spans, strict=True)
        ),
        voiced=tuple(span for span in spoken if span.duration_s > 0.0),
    )


def _word_spans(begins: Sequence[int], utterance: _Utterance) -> list[Span]:
    """When each word sounds. A word ends where the next begins, or the pause before it.

    Words the engine says as one ("of the") come with one mark, and share its time. What comes before the first mark,
    such as a dash, takes none.
    """
    starts: dict[int, int] = {}  # word -> sample
    ends: dict[int, int] = {}
    current = 0
    for mark in utterance.marks:
        if mark.position is not None:
            current = max(current, bisect.bisect_right(begins, mark.position) - 1)
            starts.setdefault(current, mark.sample)
        elif mark.mnemonic is not None and not mark.mnemonic.startswith("_"):
            ends.pop(current, None)
        elif current in starts:
            ends.setdefault(current, mark.sample)
    starts.setdefault(0, min(starts.values(), default=0))
    marked = sorted(starts)
    spans: list[Span] = []
    for first, after in zip(marked, [*marked[1:], len(begins)], strict=True):
        next_start = starts.get(after, len(utterance.pcm))
        end = min(ends.get(first, next_start), next_start)
        cuts = np.linspace(starts[first], end, after - first + 1) / utterance.rate_hz
        spans += [Span(start_s=float(a), end_s=float(b)) for a, b in zip(cuts, cuts[1:], strict=False)]
    return spans
