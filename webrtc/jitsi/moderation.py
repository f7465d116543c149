"""Whether a moderator lets us speak: forced mutes, and audio moderation as Jitsi's component announces it.

A forced mute is honoured until a moderator lifts it, also over a session that was lost. While the meeting's audio is
moderated, their approval or our becoming a moderator does that; otherwise they may tell us by other ways (`lift`).
"""

from __future__ import annotations

from collections.abc import Mapping

MUTED = "a moderator muted the interpreter: it is silent until a moderator lets it speak again"
MODERATED = "the meeting's sound is moderated: the interpreter is silent until a moderator allows it to speak"
ALLOWED = "the interpreter may speak again"


class Moderation:
    """What holds for us; each change answers with the words for it, or None where it changes nothing."""

    def __init__(self) -> None:
        self._silenced = False
        self._moderated = False
        self._approved = False
        self._moderator = False

    @property
    def muted(self) -> bool:
        """Whether we must be silent."""
        return self._silenced or (self._moderated and not self._approved and not self._moderator)

    def forced(self, *, muted: bool = True) -> str | None:
        """The focus passes on that a moderator muted us, or takes it back."""
        before = self.muted
        self._silenced = muted
        return self._words(before, MUTED)

    def lift(self) -> bool:
        """A moderator tells us, by other ways than Jitsi's, to speak again; whether we may."""
        self._silenced = False
        return not self.muted

    def told(self, message: Mapping[str, object]) -> str | None:
        """A message of the moderation component, of type `av_moderation`."""
        if message.get("mediaType") != "audio" or "whitelists" in message:
            return None  # whitelists are for moderators, whom nothing binds
        before = self.muted
        if isinstance(message.get("enabled"), bool):
            self._moderated = message["enabled"] is True
            self._approved = False
            # Whoever switches it off lets everybody speak whom switching it on had muted.
            self._silenced = self._silenced and self._moderated
        elif message.get("removed") is True:
            self._approved = False
        elif message.get("approved") is True:
            self._approved = True
            self._silenced = False
        return self._words(before, MODERATED)

    def own_role(self, *, moderator: bool) -> str | None:
        """We are a moderator, or not."""
        before = self.muted
        if moderator and not self._moderator:
            self._silenced = False
        self._moderator = moderator
        return self._words(before, MODERATED)

    def rejoined(self) -> str | None:
        """We come to the room anew, and it will tell again whether its sound is moderated."""
        before = self.muted
        self._moderated = self._approved = self._moderator = False
        return self._words(before, MODERATED)

    def _words(self, before: bool, words: str) -> str | None:
        if self.muted == before:
            return None
        return words if self.muted else ALLOWED
