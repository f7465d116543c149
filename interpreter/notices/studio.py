"""Has an engine speak the interpreter's own sentences once, and keeps the sound.

A sentence is spoken by a session of its own on a lane that is free, told to say it (`Session.say`), while it hears
silence. Somebody's speech that waits for a lane comes first: the sentence is given up, and begun again later. What it
says is kept in memory, and on disk under a name that is a hash of checkpoint, voice and text: the
sentences are the roles' own and hold nothing of any meeting.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from duplex_model.contract import (
    FRAME_SAMPLES,
    Capabilities,
    Engine,
    Pcm,
    Prompt,
    SayCapability,
    Session,
    StepFlag,
)
from duplex_model.errors import DuplexModelError, EngineDied, EngineFull
from interpreter.clock import Clock
from interpreter.levels import level_dbfs
from interpreter.pcm16 import to_s16le

logger = logging.getLogger(__name__)

MAX_SENTENCE_FRAMES = 250
"""20 s: a session that speaks longer does not know its end."""

RETRY_S = 1.0
TRIES = 3
"""After so many failures other than a full engine, a sentence stays unspoken."""

_NOW, _BEFOREHAND, _NEVER = range(3)  # when a sentence is wanted

_AHEAD_ALONE = 8  # frames fed before the first answer while nobody else is on the engine
_SILENT_DBFS = -55.0
_TAIL_FRAMES = 4
_NOTHING: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)


@dataclass(frozen=True)
class _Line:
    language: str
    text: str


class _GaveWay(Exception):
    """Somebody's speech needs the lane."""


class NoticeStudio:
    """The sounds of one meeting's notices; `run` makes them, beside everything else.

    Args:
        engines: by name; the first that can say given texts in a language speaks it.
        clock: for waits.
        voice: named in the prompt; empty for each checkpoint's default.
        folder: where sounds are kept between runs; None for nowhere.
        untested: whether engines may speak whose checkpoint was not trained to say given texts.
        awaited: tells whether somebody's speech waits for a lane of the engine of a name.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        clock: Clock,
        *,
        voice: str = "",
        folder: Path | None = None,
        untested: bool = False,
        awaited: Callable[[str], bool] = lambda engine: False,
    ) -> None:
        self._engines = engines
        self._lane_is_awaited = awaited
        self._clock = clock
        self._voice = voice
        self._folder = folder
        self._sayers = {SayCapability.TRAINED, *([SayCapability.UNTESTED] if untested else [])}
        self._sounds: dict[_Line, Pcm | None] = {}  # None: it cannot be had
        self._wanted: asyncio.PriorityQueue[tuple[int, int, _Line]] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._asked: dict[_Line, int] = {}

    def sound(self, text: str, language: str) -> Pcm | None:
        """The sound of a sentence, pcm [N]; None while, or because, there is none."""
        return self._sounds.get(_Line(language, text))

    def want(self, language: str, texts: Iterable[str]) -> None:
        """Has sentences spoken, in the order they are asked for."""
        self._ask(language, texts, _NOW)

    def prepare(self, language: str, texts: Iterable[str]) -> None:
        """Has sentences spoken beforehand, after all that are wanted now and while lanes are free."""
        self._ask(language, texts, _BEFOREHAND)

    @property
    def left(self) -> int:
        """How many sentences were asked for and are neither there nor known not to be had."""
        return len(self._asked.keys() - self._sounds.keys())

    def speaks(self, language: str) -> bool:
        """Whether any engine can say given texts in a language."""
        return self._speaker(language) is not None

    def samples(self, voice: str, language: str = "en") -> bool:
        """Whether any engine can say given texts in a language with a voice."""
        return self._speaker(language, voice) is not None

    async def sample(self, voice: str, language: str, text: str) -> Pcm | None:
        """The sound of a sentence in a voice, pcm [N]; None where it cannot be had, or no lane is free for it now."""
        speaker = self._speaker(language, voice)
        if speaker is None:
            return None
        name, engine, prompt = speaker
        path = self._path(engine.capabilities, prompt, _Line(language, text))
        kept = _read(path)
        if kept is not None:
            return kept
        if not self._lanes_are_free(language, voice):
            return None
        try:
            pcm = await _spoken(engine, prompt, text, partial(self._lane_is_awaited, name))
        except (DuplexModelError, _GaveWay) as error:
            logger.info("a sample of a voice could not be spoken: %r", error)
            return None
        _write(path, pcm)
        return pcm

    async def run(self) -> None:
        """Makes what is wanted, one sentence after the other, until it is cancelled."""
        while True:
            when, number, line = await self._wanted.get()
            if line in self._sounds:  # it was asked for beforehand, and then at once
                continue
            if when == _BEFOREHAND and not self._lanes_are_free(line.language):
                self._wanted.put_nowait((when, number, line))
                await self._clock.sleep_until(self._clock.now_s() + RETRY_S)
                continue
            self._sounds[line] = await self._made(line)

    def _ask(self, language: str, texts: Iterable[str], when: int) -> None:
        for text in texts:
            line = _Line(language, text)
            if when < self._asked.get(line, _NEVER):
                self._asked[line] = when
                self._wanted.put_nowait((when, next(self._numbers), line))

    def _lanes_are_free(self, language: str, voice: str | None = None) -> bool:
        """Whether whoever speaks a language could also take somebody who joins meanwhile."""
        speaker = self._speaker(language, voice)
        if speaker is None:
            return True
        _, engine, _ = speaker
        used = engine.sessions_open
        return used == 0 or used + 2 <= engine.capabilities.lanes

    def _speaker(self, language: str, voice: str | None = None) -> tuple[str, Engine, Prompt] | None:
        """Who speaks a language, if need be with this voice: its name, itself, and under which prompt."""
        for name, engine in self._engines.items():
            can = engine.capabilities
            heard = sorted(h for h in can.languages if can.serves(h, language))
            if can.say not in self._sayers or not heard or (voice is not None and voice not in can.voices):
                continue
            # From another language into this one where there is one: what checkpoints are trained to speak.
            heard.sort(key=lambda one: one == language)
            language_in = "en" if heard[0] == "*" else heard[0]
            named = self._voice if voice is None else voice
            spoken_by = named if named in can.voices else ""
            return name, engine, Prompt(voice=spoken_by, language_in=language_in, language_out=language)
        return None

    async def _made(self, line: _Line) -> Pcm | None:
        speaker = self._speaker(line.language)
        if speaker is None:
            return None
        name, engine, prompt = speaker
        path = self._path(engine.capabilities, prompt, line)
        kept = _read(path)
        if kept is not None:
            return kept
        failures = 0
        while failures < TRIES:
            try:
                pcm = await _spoken(engine, prompt, line.text, partial(self._lane_is_awaited, name))
            except (EngineFull, EngineDied, _GaveWay):
                pass  # a lane may become free, another process may take over
            except DuplexModelError as error:
                failures += 1
                logger.warning("a notice could not be spoken: %r", error)
            else:
                _write(path, pcm)
                return pcm
            await self._clock.sleep_until(self._clock.now_s() + RETRY_S)
        return None

    def _path(self, can: Capabilities, prompt: Prompt, line: _Line) -> Path | None:
        if self._folder is None or not can.fingerprint:
            return None
        voice = can.voices.get(prompt.voice, "") if prompt.voice else ""
        name = "\n".join((can.fingerprint, prompt.voice, voice, line.language, line.text))
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.s16"


async def _spoken(engine: Engine, prompt: Prompt, text: str, awaited: Callable[[], bool]) -> Pcm:
    """The sound of `text`, without the silence around it.

    Raises:
        _GaveWay: the lane is `awaited`.
        DuplexModelError: the engine cannot say it.
    """
    if awaited():
        raise _GaveWay
    alone = engine.sessions_open == 0
    with await asyncio.wrap_future(engine.open(prompt, seed=0)) as session:
        return _trimmed(await _said(session, text, awaited, ahead=_AHEAD_ALONE if alone else 1))


async def _said(session: Session, text: str, awaited: Callable[[], bool], *, ahead: int) -> list[Pcm]:
    saying: Future[None] = session.say(text, now=True)
    frames: list[Pcm] = []
    fed = [session.feed(_NOTHING) for _ in range(ahead)]
    tail = 0
    while len(frames) < MAX_SENTENCE_FRAMES and tail < _TAIL_FRAMES:
        output = await asyncio.wrap_future(fed.pop(0))
        if awaited():
            raise _GaveWay
        if StepFlag.AS_SELF in output.flags or (saying.done() and level_dbfs(output.pcm) > _SILENT_DBFS):
            frames.append(output.pcm)
        elif saying.done():
            tail += 1
        fed.append(session.feed(_NOTHING))
    return frames


def _trimmed(frames: list[Pcm]) -> Pcm:
    loud = [n for n, frame in enumerate(frames) if level_dbfs(frame) > _SILENT_DBFS]
    if not loud:
        return np.zeros(0, dtype=np.float32)
    return np.concatenate(frames[max(0, loud[0] - 1) : loud[-1] + 2])


def _read(path: Path | None) -> Pcm | None:
    """A kept sound; None where there is none that can be used."""
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if not data or len(data) % 2 or len(data) > 2 * FRAME_SAMPLES * (MAX_SENTENCE_FRAMES + 2):
        return None
    return (np.frombuffer(data, dtype="<i2") / np.float32(32_768)).astype(np.float32)


def _write(path: Path | None, pcm: Pcm) -> None:
    if path is None or not pcm.size:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(to_s16le(pcm))
        unfinished.replace(path)
    except OSError as error:
        logger.warning("a notice's sound could not be kept: %s", error)
