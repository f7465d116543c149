"""Captions from the pieces of text a session says. Pure: time is counted in ticks."""

from __future__ import annotations

from collections.abc import Callable

from interpreter.directions import Direction
from webrtc.room import Caption, CaptionKind

PAUSE_TICKS = 12
"""About a second without a new piece ends an utterance."""

MAX_CHARACTERS = 200
"""A longer utterance goes on in a new caption at the next word, so that a page can lay it out."""


class CaptionWriter:
    """Joins the pieces of one direction to captions that grow and become final.

    Args:
        direction: whose words, and in which language.
        next_id: gives ids that are unique in the meeting.
        unheard: the words are shown alone, since they could not be said.
        kind: how they came about.
    """

    def __init__(
        self,
        direction: Direction,
        next_id: Callable[[], str],
        *,
        unheard: bool = False,
        kind: CaptionKind = CaptionKind.RENDERING,
    ) -> None:
        self._direction = direction
        self._next_id = next_id
        self._unheard = unheard
        self._kind = kind
        self._id = ""
        self._text = ""
        self._last_tick = 0

    def add(self, piece: str, tick: int) -> list[Caption]:
        """The captions to show after the output of `tick`, whose piece is empty for padding."""
        if not piece:
            return self.finish() if tick - self._last_tick >= PAUSE_TICKS else []
        captions: list[Caption] = []
        if len(self._text) >= MAX_CHARACTERS and piece[0].isspace():
            captions = self.finish()
        if not self._text:
            self._id = self._next_id()
        self._text += piece
        self._last_tick = tick
        return [*captions, self._caption(final=False)]

    def finish(self, *, cut: bool = False) -> list[Caption]:
        """The last caption of what was begun; nothing when nothing was.

        Args:
            cut: its end was not heard.
        """
        if not self._text:
            return []
        last = self._caption(final=True, cut=cut)
        self._text = ""
        return [last]

    def _caption(self, *, final: bool, cut: bool = False) -> Caption:
        return Caption(
            id=self._id,
            speaker_id=self._direction.speaker_id,
            language=self._direction.language_out,
            text=self._text.strip(),
            final=final,
            kind=self._kind,
            cut=cut or self._unheard,
        )
