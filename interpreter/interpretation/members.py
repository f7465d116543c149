"""Who is in a meeting, as its interpretation knows them: what they are called, speak and are asked for. Pure.

Of somebody's languages one is wanted, as a command, the configuration or the room has it, and one is in effect, which
follows between utterances.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from interpreter.commands.orders import Orders
from interpreter.ears.ear import SpurtWords
from interpreter.ears.voice_activity import Voice
from interpreter.floor.floor import Talk
from interpreter.interpretation.language_assignment import LanguageAssignment
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.role import Role

SETTLE_S = 10.0
"""A language somebody asked for is theirs at the latest after this time, whoever is speaking."""


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Somebody as the room tells of them."""

    name: str
    """As it is displayed."""

    language: str | None
    """Primary language; None where the room does not know."""

    email: str = ""
    leads: bool = False
    """They are shown what they may choose."""

    requests: tuple[str, ...] = ()
    """Primary languages into which somebody wants them interpreted; see `Participant.requests`."""

    speaks: bool = True
    """See `Participant.speaks`."""

    listens: bool = True
    """See `Participant.listens`."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """Somebody as the interpretation knows them."""

    place: int
    """Their number in the meeting."""

    presence: Presence
    language: str | None
    """Primary language in effect."""

    isolated: bool = False
    """Their audio was taken out of the meeting after a fault."""


@dataclass(eq=False)
class _Entry:
    member: Member
    asked_s: float = inf  # since when another language is wanted
    words: SpurtWords = field(default_factory=SpurtWords)


class Members(Mapping[str, Member]):
    """Participant id -> everybody who is there, in the order in which they came.

    Args:
        roles: that people have as they come.
        languages: likewise.
        orders: of the meeting, where what is chosen for people stands.
    """

    def __init__(self, roles: RoleAssignment, languages: LanguageAssignment, orders: Orders) -> None:
        self._roles = roles
        self._languages = languages
        self._orders = orders
        self._entries: dict[str, _Entry] = {}
        self._places = itertools.count()

    def __getitem__(self, who: str) -> Member:
        return self._entries[who].member

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def names(self) -> Mapping[str, str]:
        """Participant id -> name."""
        return {who: member.presence.name for who, member in self.items()}

    @property
    def languages(self) -> Mapping[str, str | None]:
        """Participant id -> primary language in effect."""
        return {who: member.language for who, member in self.items()}

    @property
    def spoken(self) -> list[str]:
        """The languages of all of them, sorted."""
        return sorted({member.language for member in self.values() if member.language is not None})

    @property
    def speakers(self) -> Mapping[str, str]:
        """Participant id -> primary language of people who may be heard."""
        return {
            who: member.language
            for who, member in self.items()
            if member.presence.speaks and member.language is not None
        }

    def language_wanted(self, who: str) -> str | None:
        """Somebody's language as a command or the configuration has it, else the room."""
        return self._orders.languages.get(who, self[who].presence.language)

    @property
    def unsettled(self) -> bool:
        """Whether somebody's language is yet to follow the one that is wanted."""
        return any(self.language_wanted(who) != member.language for who, member in self.items())

    def place(self, who: str, presence: Presence) -> bool:
        """Somebody is there, or is now called, speaks or is asked for otherwise; whether they just came."""
        entry = self._entries.get(who)
        if entry is None:
            language, role = self._assigned(presence)
            self._give_role(who, role)
            self._entries[who] = _Entry(
                Member(place=next(self._places), presence=presence, language=language)
            )
        else:
            before = entry.member.presence
            entry.member = replace(entry.member, presence=presence)
            if presence.language == before.language:
                self._reassign(who, before, presence)
                return False
            language = self._languages.later(presence.language)  # what they chose last counts
            entry.member = replace(entry.member, language=language)
            self._orders.languages.pop(who, None)
        if language is not None and language != presence.language:
            self._orders.languages[who] = language  # another than their page knows of
        return entry is None

    def leave(self, who: str) -> None:
        """Somebody is gone, and what was chosen for them with them."""
        self._entries.pop(who, None)
        self._orders.forget(self._entries.keys())

    def isolate(self, who: str, isolated: bool) -> None:
        """A member's audio was taken out of the meeting after a fault, or is in it again."""
        entry = self._entries[who]
        entry.member = replace(entry.member, isolated=isolated)

    def settle(self, between: Callable[[str], bool], now_s: float) -> bool:
        """Has languages that were asked for by a command taken up between utterances.

        Args:
            between: whether somebody is between utterances.
            now_s: monotonic.

        Returns:
            Whether anybody's language is another now.
        """
        changed = False
        for who, entry in self._entries.items():
            wanted = self.language_wanted(who)
            if wanted == entry.member.language:
                entry.asked_s = inf
                continue
            entry.asked_s = min(entry.asked_s, now_s)
            if between(who) or now_s - entry.asked_s >= SETTLE_S:
                entry.member, entry.asked_s = replace(entry.member, language=wanted), inf
                changed = True
        return changed

    def add_words(self, who: str, piece: str) -> None:
        """A piece of what somebody says was written down."""
        self._entries[who].words.add(piece)

    def talks(self, voices: Mapping[str, Voice], written: Collection[str]) -> Mapping[str, Talk]:
        """What is known of everybody who is listened to.

        Args:
            voices: of the same people; those of whoever is gone do not matter.
            written: ids of people whose words are written down.
        """
        return {
            who: Talk(
                voice=voice,
                language=entry.member.language or "",
                words=entry.words.at(voice) if who in written else None,
            )
            for who, voice in voices.items()
            if (entry := self._entries.get(who)) is not None
        }

    def _assigned(self, presence: Presence) -> tuple[str | None, Role]:
        """Language and role that the configuration has for somebody as they are called."""
        language = self._languages.at_first(presence.name, presence.language, presence.email)
        return language, self._roles.role_of(presence.name, presence.email)

    def _reassign(self, who: str, before: Presence, now: Presence) -> None:
        """Somebody is called otherwise: what the configuration says of them holds, where nobody chose anything else."""
        (language, role), (old_language, old_role) = self._assigned(now), self._assigned(before)
        if language is not None and language != old_language and self.language_wanted(who) == old_language:
            self._orders.languages[who] = language
        if role is not old_role and self._orders.cast.roles.get(who, self._roles.default) is old_role:
            self._give_role(who, role)

    def _give_role(self, who: str, role: Role) -> None:
        """Has what somebody says interpreted in a role of their own, or in everybody's where that is the default."""
        others = {person: one for person, one in self._orders.cast.roles.items() if person != who}
        own = {} if role is self._roles.default else {who: role}
        self._orders.cast = replace(self._orders.cast, roles={**others, **own})
