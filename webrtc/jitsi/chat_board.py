"""What is written into a meeting's chat of what an interpreter tells its participants. Pure.

A room tells each participant apart, a chat shows everybody everything. So a caption is written once, whoever reads it,
by the seat of its language; a notice that several are told at the same time is written for all, and one for a single
person goes to them alone, as does the answer to a command.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from webrtc.room import Caption, CaptionKind, Notice, Replied, RoomMessage

GATHER_S = 0.3
"""Participants are told the same within this time, or separately."""

AGAIN_S = 30.0
"""The same notice is not written more often."""

MAX_WAITING = 200
"""Lines; a chat that is so far behind is of no use, and further ones are dropped."""

_KEPT_CAPTIONS = 500
_MAX_NAME = 60


@dataclass(frozen=True, kw_only=True)
class Line:
    """Something to write."""

    text: str
    to: str | None = None
    """Participant; None for everybody."""

    channel: str = ""
    """Whose seat writes it; empty for the one that listens."""


@dataclass(eq=False)
class _Notice:
    language: str
    told: set[str] = field(default_factory=set)


class ChatBoard:
    """Gathers what is told.

    Args:
        captions: whether renderings are written.
        name_of: gives a participant's name; untrusted text.
    """

    def __init__(self, *, captions: bool, name_of: Callable[[str], str]) -> None:
        self._captions = captions
        self._name_of = name_of
        self._lines: deque[Line] = deque()
        self._written: deque[str] = deque(maxlen=_KEPT_CAPTIONS)  # ids of captions
        self._gathering: dict[str, _Notice] = {}  # text -> whom it was told
        self._since_s = inf
        self._said_s: dict[tuple[str, str], float] = {}  # person or "" and text -> when
        self.dropped = 0

    def tell(self, participant_id: str, message: RoomMessage, now_s: float) -> None:
        """A participant is told something."""
        match message:
            case Replied():
                self._put(Line(text=message.text, to=participant_id))
            case Caption(kind=CaptionKind.AS_SELF, final=True):
                self._say_once("", message.text, message.language, now_s)
            case Caption(kind=CaptionKind.RENDERING, final=True) if self._captions:
                if message.id not in self._written:
                    self._written.append(message.id)
                    self._put(Line(text=self._words(message), channel=message.language))
            case Notice() if message.text:
                self._since_s = min(self._since_s, now_s)
                self._gathering.setdefault(message.text, _Notice(message.language)).told.add(participant_id)

    def take(self, now_s: float) -> list[Line]:
        """What is to be written now, in this order."""
        if now_s >= self._since_s + GATHER_S:
            gathered, self._gathering, self._since_s = self._gathering, {}, inf
            for text, notice in gathered.items():
                whom = "" if len(notice.told) > 1 else next(iter(notice.told))
                self._say_once(whom, text, notice.language, now_s)
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def next_due_s(self) -> float | None:
        """When `take` has something; None where nothing waits."""
        if self._lines:
            return 0.0
        return None if self._since_s == inf else self._since_s + GATHER_S

    def forget(self, participant_id: str) -> None:
        """Somebody has left."""
        self._said_s = {key: at_s for key, at_s in self._said_s.items() if key[0] != participant_id}

    def _say_once(self, whom: str, text: str, language: str, now_s: float) -> None:
        self._said_s = {key: at_s for key, at_s in self._said_s.items() if now_s - at_s < AGAIN_S}
        if (whom, text) in self._said_s or ("", text) in self._said_s:
            return
        self._said_s[whom, text] = now_s
        self._put(Line(text=text, to=whom or None, channel=language))

    def _words(self, caption: Caption) -> str:
        name = "".join(c for c in self._name_of(caption.speaker_id) if c.isprintable())[:_MAX_NAME]
        return f"{name}: {caption.text}{' —' if caption.cut else ''}"

    def _put(self, line: Line) -> None:
        if len(self._lines) >= MAX_WAITING:
            self.dropped += 1
            return
        self._lines.append(line)
