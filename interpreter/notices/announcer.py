"""Reads announcements to listeners, each in their language and their own time. Pure.

Every listener has a queue. A sentence is shown when it begins, and sounds where its sound is there; one whose sound
does not come within `WAIT_S` is shown alone, so nothing is ever skipped in silence. Nothing interrupts an announcement:
what is said to its listener meanwhile is held, by the floor, and said after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.roles.scripts import Script

WAIT_S = 8.0
"""Longest wait for the sound of a sentence."""

POLITE_WAIT_S = 6.0
"""Longest wait for the listener to stop speaking."""

GAP_FRAMES = 3
"""240 ms between two sentences."""

Sound = Callable[[str, str], Pcm | None]
"""Gives the sound of a sentence in a language: pcm [N], or None while there is none."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A sentence that begins for a listener, to be shown to them."""

    listener: str
    text: str
    language: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Read:
    """What listeners are read in one tick."""

    pcm: Mapping[str, Pcm]
    """Listener -> pcm [1920]."""

    shown: tuple[Shown, ...]
    listening: frozenset[str]
    """Everybody who is being read something, gaps between sentences included."""


NOTHING_READ = Read(pcm={}, shown=(), listening=frozenset())


@dataclass(eq=False)
class _Item:
    sentences: deque[str]
    language: str
    polite: bool
    queued_s: float
    since_s: float = 0.0  # when the sentence at the front became due
    sound: Pcm | None = None
    at: int = 0  # samples of `sound` read
    gap_frames: int = 0
    begun: bool = False
    voiced: bool = False  # what began last has a sound; what is only shown holds nothing back


class Announcer:
    """The queues of all listeners.

    Args:
        sound: where the sound of sentences comes from.
        wait_s: longest wait for it.
    """

    def __init__(self, sound: Sound, *, wait_s: float = WAIT_S) -> None:
        self._sound = sound
        self._wait_s = wait_s
        self._queues: dict[str, deque[_Item]] = {}

    @property
    def idle(self) -> bool:
        """Whether everything was read."""
        return not self._queues

    def say(self, listener: str, script: Script, now_s: float, *, polite: bool = False) -> None:
        """Queues a script; one with no sentences is nothing."""
        if script.sentences:
            item = _Item(deque(script.sentences), script.language, polite, now_s)
            self._queues.setdefault(listener, deque()).append(item)

    def keep(self, listeners: Collection[str]) -> None:
        """Forgets everybody else."""
        for listener in [one for one in self._queues if one not in listeners]:
            del self._queues[listener]

    def advance(self, talking: Collection[str], now_s: float) -> Read:
        """One tick.

        Args:
            talking: listeners who speak now.
            now_s: monotonic time.
        """
        pcm: dict[str, Pcm] = {}
        shown: list[Shown] = []
        listening: set[str] = set()
        for listener, queue in list(self._queues.items()):
            item = queue[0]
            if (
                not item.begun
                and item.polite
                and listener in talking
                and now_s - item.queued_s < POLITE_WAIT_S
            ):
                continue
            frame, text = self._next(item, now_s)
            if text:
                shown.append(Shown(listener=listener, text=text, language=item.language))
            if item.voiced:
                listening.add(listener)
            if frame is not None:
                pcm[listener] = frame
            if not item.sentences and item.sound is None and item.gap_frames == 0:
                queue.popleft()
                if not queue:
                    del self._queues[listener]
        return Read(pcm=pcm, shown=tuple(shown), listening=frozenset(listening))

    def _next(self, item: _Item, now_s: float) -> tuple[Pcm | None, str]:
        """The item's next frame, if it sounds, and the sentence that begins with it."""
        text = ""
        if item.gap_frames > 0:
            item.gap_frames -= 1
            return None, text
        if item.sound is None:
            if not item.begun:
                item.since_s = item.since_s or now_s
            sound = self._sound(item.sentences[0], item.language)
            if sound is None and now_s - item.since_s < self._wait_s:
                return None, text
            text = item.sentences.popleft()
            item.begun = True
            item.voiced = sound is not None
            item.since_s = now_s
            if sound is None:
                # Read in silence; the next one need not wait for a voice that is not there either.
                item.since_s = now_s - self._wait_s
                return None, text
            item.sound, item.at = sound, 0
        piece = item.sound[item.at : item.at + FRAME_SAMPLES]
        item.at += FRAME_SAMPLES
        if item.at >= item.sound.size:
            item.sound = None
            item.gap_frames = GAP_FRAMES if item.sentences else 0
        frame = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        frame[: piece.size] = piece
        return frame, text
