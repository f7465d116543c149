"""Hears whoever asks, in so many words, for a human interpreter or for an end of the interpretation. Pure."""

from __future__ import annotations

from interpreter.watches.requests import SpokenRequest, spoken_requests

PAUSE_S = 3.0
"""Words further apart are not one request."""

_KEPT_CHARACTERS = 160
"""Of what was said last: longer than any request."""


class RequestWatch:
    """Follows one text as it grows: of a speaker, or of their rendering.

    Args:
        language: of the text, primary tag.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._text = ""
        self._last_s = 0.0
        self._asked: frozenset[SpokenRequest] = frozenset()

    def add(self, piece: str, at_s: float) -> frozenset[SpokenRequest]:
        """What is asked for with this piece, and was not before in the same words.

        Args:
            piece: the next one, with its spaces; empty where nothing was written.
            at_s: media time, which never decreases.
        """
        if not piece:
            return frozenset()
        if at_s - self._last_s > PAUSE_S:
            self._text, self._asked = "", frozenset()
        self._last_s = at_s
        self._text = (self._text + piece)[-_KEPT_CHARACTERS:]
        asked = spoken_requests(self._text, self._language)
        new = asked - self._asked
        self._asked = asked
        return new
