"""What people asked of the interpreter, as it stands. Pure.

Everything a command can change is in here; the meeting acts on it, and nothing of it says what anybody said.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from interpreter.directions import Direction
from interpreter.roles.casting import Cast


class Human(enum.Enum):
    """Whether a human interpreter is called for."""

    NOT_ASKED = "not asked"
    ASKED = "asked"
    """Somebody asked; the interpreter goes on until one takes over."""

    TAKEN_OVER = "taken over"
    """The interpreter only writes."""


@dataclass(frozen=True, order=True)
class Held:
    """A direction that an operator holds back or mutes."""

    language_in: str
    language_out: str
    speaker_id: str | None = None
    """None for every speaker."""

    def covers(self, direction: Direction) -> bool:
        """Whether `direction` is held by it."""
        pair = (direction.language_in, direction.language_out)
        return pair == (self.language_in, self.language_out) and self.speaker_id in (
            None,
            direction.speaker_id,
        )


@dataclass(eq=False)
class Orders:
    """The standing orders of one meeting."""

    cast: Cast
    paused: bool = False
    halted: bool = False
    """Nothing is said, nor prepared, until the meeting is resumed."""

    human: Human = Human.NOT_ASKED
    closed: bool = False
    """The interpretation has ended; the meeting goes on without it."""

    held: set[Held] = field(default_factory=set)
    unvoiced: set[Held] = field(default_factory=set)
    """Directions that can only be read."""

    languages: dict[str, str] = field(default_factory=dict)
    """Participant id -> primary language, where it is another than the room says."""

    opted_out: set[str] = field(default_factory=set)
    """Their microphones are not processed: by their own will."""

    muted: set[str] = field(default_factory=set)
    """The interpreter does not listen to them: by a host's will."""

    stopped: set[str] = field(default_factory=set)
    """They are not interpreted, nor is anything for them."""

    balances: dict[str, float] = field(default_factory=dict)
    original_only: set[str] = field(default_factory=set)
    captions_off: set[str] = field(default_factory=set)
    duck_db: float | None = None
    """Gain of originals under renderings, instead of the role's."""

    priority: tuple[str, ...] | None = None
    """Languages in front where several sound together, instead of the role's."""

    def listens_to(self, participant_id: str) -> bool:
        """Whether a participant's microphone may be processed."""
        return participant_id not in self.opted_out and participant_id not in self.muted

    def interprets(self, participant_id: str) -> bool:
        """Whether what they say is to be interpreted."""
        return not self.closed and self.wants_interpreting(participant_id)

    def wants_interpreting(self, participant_id: str) -> bool:
        """Whether neither they nor a host objects to it."""
        return self.listens_to(participant_id) and participant_id not in self.stopped

    def hears_interpreter(self, participant_id: str) -> bool:
        """Whether they want to hear it."""
        return participant_id not in self.stopped and self.balance(participant_id) > 0.0

    def reads_captions(self, participant_id: str) -> bool:
        """Whether they want to read it."""
        return participant_id not in self.stopped and participant_id not in self.captions_off

    def balance(self, participant_id: str) -> float:
        """How much of the interpreter they hear, in [0, 1]."""
        if participant_id in self.original_only or participant_id in self.stopped:
            return 0.0
        return self.balances.get(participant_id, 1.0)

    def needed(self, languages: Mapping[str, str | None], deaf: Collection[str] = ()) -> list[Direction]:
        """The directions that somebody needs, in the order in which people came.

        Args:
            languages: participant id -> primary language, None where unknown, in that order.
            deaf: whom nothing can be played to.
        """
        listeners = {who: language for who, language in languages.items() if who not in deaf}
        wanted = {
            language
            for who, language in listeners.items()
            if language is not None and (self.hears_interpreter(who) or self.reads_captions(who))
        }
        return [
            Direction(speaker, language_in, language_out)
            for speaker, language_in in languages.items()
            if language_in is not None and self.interprets(speaker)
            for language_out in sorted(wanted - {language_in})
            if any(
                who != speaker and language == language_out and who not in self.stopped
                for who, language in listeners.items()
            )
        ]

    def holds(self, direction: Direction) -> bool:
        """Whether nothing may be said in a direction."""
        return any(held.covers(direction) for held in self.held)

    @property
    def silenced(self) -> bool:
        """Whether nothing that is said is to be interpreted now."""
        return self.paused or self.halted

    def voices(self, direction: Direction) -> bool:
        """Whether a direction may be heard, and not only read."""
        return self.human is not Human.TAKEN_OVER and not any(one.covers(direction) for one in self.unvoiced)

    def forget(self, present: Collection[str]) -> None:
        """Forgets everybody who is not `present`: ids are never used again."""
        for people in (self.opted_out, self.muted, self.stopped, self.original_only, self.captions_off):
            people &= set(present)
        for by_person in (self.languages, self.balances):
            for gone in [who for who in by_person if who not in present]:
                del by_person[gone]
        roles = {who: role for who, role in self.cast.roles.items() if who in present}
        voices = {who: voice for who, voice in self.cast.voices.items() if who in present}
        self.cast = replace(self.cast, roles=roles, voices=voices)
        self.held = _of_present(self.held, present)
        self.unvoiced = _of_present(self.unvoiced, present)


def _of_present(directions: set[Held], present: Collection[str]) -> set[Held]:
    return {one for one in directions if one.speaker_id is None or one.speaker_id in present}
