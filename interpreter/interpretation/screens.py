"""What people are shown: captions, notices, the state of the meeting; each is told once, and when it changes. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from interpreter.directions import Direction
from interpreter.interpretation.captions import CaptionWriter
from interpreter.mixing.routing import hears
from webrtc.room import Caption, CaptionKind, MeetingState, Notice, NoticeLevel, RoomMessage

Tell = Callable[[str, RoomMessage], None]
"""Shows a message to a participant."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Somebody who is shown things."""

    language: str | None
    captions: bool
    """They want to read what the interpreter says."""

    requests: Collection[str] = ()
    """Languages into which what they say themselves is passed on through them, to whoever asked for it."""

    def reads(self, who: str, caption: Caption, direction: Direction) -> bool:
        """Whether a caption of `direction` is for this reader, who is `who`."""
        if caption.kind is CaptionKind.HEARD:
            return self.language == direction.language_in
        passed_on = direction.speaker_id == who and direction.language_out in self.requests
        return passed_on or hears(who, self.language, direction)


@dataclass(eq=False)
class _Screen:
    notices: Mapping[str, Notice] = field(default_factory=dict)
    state: MeetingState | None = None


class Screens:
    """The screens of all participants.

    Args:
        tell: shows a message to a participant.
    """

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._screens: dict[str, _Screen] = {}
        self._writers: dict[tuple[Direction, CaptionKind, bool], CaptionWriter] = {}
        self._ids = itertools.count(1)
        self.readers: Mapping[str, Reader] = {}
        """Participant id -> what they read; set by whoever knows."""

    def keep(self, directions: Collection[Direction]) -> None:
        """Ends the captions of every other direction, and forgets who is no reader."""
        for key in [key for key in self._writers if key[0] not in directions]:
            self._show(key[0], self._writers.pop(key).finish())
        for who in [who for who in self._screens if who not in self.readers]:
            del self._screens[who]

    def caption(
        self, direction: Direction, tick: int, piece: str, kind: CaptionKind, *, unheard: bool = False
    ) -> None:
        """Adds a piece to a direction's captions; called for every tick, also with none.

        Args:
            direction: whose words.
            tick: when.
            piece: of the text.
            kind: how it came about.
            unheard: it could not be said, and is shown alone.
        """
        key = (direction, kind, unheard)
        writer = self._writers.get(key)
        if writer is None and piece:
            writer = self._writers[key] = CaptionWriter(direction, self._next_id, unheard=unheard, kind=kind)
        if writer is not None:
            self._show(direction, writer.add(piece, tick))

    def cut(self, direction: Direction) -> None:
        """The rendering in progress was not heard to its end."""
        writer = self._writers.get((direction, CaptionKind.RENDERING, False))
        if writer is not None:
            self._show(direction, writer.finish(cut=True))

    def own_words(self, listener: str, text: str, language: str) -> None:
        """Shows what the interpreter says of itself, whether or not its listener reads captions otherwise."""
        caption = Caption(
            id=self._next_id(),
            speaker_id="",
            language=language,
            text=text,
            final=True,
            kind=CaptionKind.AS_SELF,
        )
        self._tell(listener, caption)

    def notices(self, who: str, notices: Mapping[str, Notice]) -> None:
        """Shows what is new, and clears what no longer holds."""
        screen = self._screens.setdefault(who, _Screen())
        before, screen.notices = screen.notices, notices
        for key in before.keys() - notices.keys():
            self._tell(who, Notice(id=key, level=NoticeLevel.INFO, text=""))
        for key, notice in notices.items():
            if before.get(key) != notice:
                self._tell(who, notice)

    def state(self, who: str, state: MeetingState) -> None:
        """Shows a state that is another than the last."""
        screen = self._screens.setdefault(who, _Screen())
        if state != screen.state:
            screen.state = state
            self._tell(who, state)

    def _next_id(self) -> str:
        return f"c{next(self._ids)}"

    def _show(self, direction: Direction, captions: Iterable[Caption]) -> None:
        """Shows a rendering to those it is for, and what was heard to those of the speaker's language."""
        for caption in captions:
            for who, reader in self.readers.items():
                if reader.captions and reader.reads(who, caption, direction):
                    self._tell(who, caption)
