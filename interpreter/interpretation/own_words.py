"""What the interpreter says of itself, from its occasion to the listener: worded by roles, read out and shown. Pure.

what happened, the time ──> protocol ──> scripts of the role ──> studio (sounds) ──> announcer ──> what is read
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol as Interface

import numpy as np

from duplex_model.contract import Pcm
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import Talk
from interpreter.interpretation.audience import Audience
from interpreter.interpretation.members import Members
from interpreter.interpretation.screens import Screens
from interpreter.notices.announcer import NOTHING_READ, Announcer
from interpreter.notices.protocol import Announcement, Protocol, protocol_settings, spoken_scripts
from interpreter.record.record import Record
from interpreter.roles.role import Role
from interpreter.roles.scripts import script
from webrtc.room import Stored

_UNVOICED: Pcm = np.zeros(0, dtype=np.float32)


class Studio(Interface):
    """What speaks notices, such as `notice_studio.NoticeStudio`."""

    def sound(self, text: str, language: str) -> Pcm | None:
        """The sound of a sentence; None while, or because, there is none."""
        ...

    def speaks(self, language: str) -> bool:
        """Whether there is any voice for sentences in a language."""
        ...

    def want(self, language: str, texts: Iterable[str]) -> None:
        """Has sentences spoken."""
        ...

    def prepare(self, language: str, texts: Iterable[str]) -> None:
        """Has sentences spoken beforehand, after all that are wanted now and while lanes are free."""
        ...


class OwnWords:
    """The interpreter's own sentences in one meeting.

    Args:
        members: of the meeting.
        orders: of the meeting, whose role has the words and the protocol.
        audience: that is told.
        studio: that speaks sentences; None where they are shown alone.
        stored: what is kept of the meeting, which people are told.
        screens: where sentences are shown as they begin.
        record: where it is written down what was said.
    """

    def __init__(
        self,
        members: Members,
        orders: Orders,
        audience: Audience,
        *,
        studio: Studio | None,
        stored: Collection[Stored],
        screens: Screens,
        record: Record,
    ) -> None:
        self._members = members
        self._orders = orders
        self._audience = audience
        self._studio = studio
        self._stored = stored
        self._screens = screens
        self._record = record
        self._protocol = Protocol(protocol_settings(orders.cast.role))
        self._announcer = (
            Announcer(lambda text, language: None, wait_s=0.0)
            if studio is None
            else Announcer(lambda text, language: _sound(studio, text, language))
        )
        self._announced: set[str] = set()  # roles
        self._reading: frozenset[str] = frozenset()

    @property
    def opened(self) -> bool:
        """Whether the opening notice was given."""
        return self._protocol.opened

    @property
    def reading(self) -> frozenset[str]:
        """Who is being read something."""
        return self._reading

    @property
    def all_read(self) -> bool:
        """Whether nobody is to be read anything more."""
        return self._announcer.idle

    def prepare(self, languages: Collection[str]) -> None:
        """Has the role's own sentences spoken beforehand, those first that are needed first.

        Args:
            languages: primary languages that people may speak.
        """
        if self._studio is None:
            return
        role = self._orders.cast.role
        named = sorted(set(languages))
        for script_id in spoken_scripts(role):
            for language in named:
                words = script(role, script_id, language, languages=named, stored=self._stored)
                self._studio.prepare(words.language, words.sentences)

    # Occasions ------------------------------------------------------------------------------------------------------

    def announce(self, announcement: Announcement, now_s: float, role: Role | None = None) -> None:
        """Has something said, and shown, to each listener in their language, where anybody can be told anything.

        Args:
            announcement: what, and to whom.
            now_s: monotonic.
            role: whose words; by default those of the role that interprets everybody.
        """
        if not self._audience.addressable:
            return
        role = role or self._orders.cast.role
        if announcement.script == "announcement":
            self._announced.add(role.name)
        spoken = self._members.spoken
        for ear, language in self._audience.ears_of(announcement.listeners).items():
            words = script(role, announcement.script, language, languages=spoken, stored=self._stored)
            if self._studio is not None:
                self._studio.want(words.language, words.sentences)
            self._announcer.say(ear, words, now_s, polite=announcement.polite)
        self._record.event(f"notice.{announcement.script}")

    def unsure(self, direction: Direction, listeners: Collection[str], now_s: float) -> None:
        """The interpreter did not understand the speaker of a direction."""
        self._announce_all(self._protocol.unsure(direction, listeners, now_s), now_s)

    def mismatch(self, direction: Direction, listeners: Collection[str], now_s: float) -> None:
        """A critical fact of a rendering is not the one that was heard."""
        self._announce_all(self._protocol.mismatch(direction, listeners, now_s), now_s)

    def pause_wanted(self, speaker_id: str, listeners: Collection[str], now_s: float) -> None:
        """So much of what somebody said waits that they should pause."""
        self._announce_all(self._protocol.pause_wanted(speaker_id, listeners, now_s), now_s)

    def close(self, now_s: float) -> None:
        """The interpretation ends."""
        self._announce_all(self._protocol.close(self._members), now_s)

    def follow_role(self) -> None:
        """Another role may have been chosen for everybody."""
        self._protocol.follow(protocol_settings(self._orders.cast.role))

    # Reading --------------------------------------------------------------------------------------------------------

    def advance(
        self, roles: Collection[Role], talks: Mapping[str, Talk], at_s: float, now_s: float
    ) -> Mapping[str, Pcm]:
        """What is read in a tick: ear -> pcm [1920].

        Args:
            roles: in effect, of everything that is served.
            talks: what is known of everybody's voice.
            at_s: when the tick's first sample leaves.
            now_s: monotonic.
        """
        if self._orders.halted:  # not even a notice: what is due is told once the meeting is resumed
            read = NOTHING_READ
        else:
            self._announce_due(roles, at_s, now_s)
            talking = {self._audience.ear(who) for who, talk in talks.items() if talk.voice.active}
            read = self._announcer.advance(talking, at_s)
        ears = {who: self._audience.ear(who) for who in self._members}
        self._reading = frozenset(who for who, ear in ears.items() if ear in read.listening)
        for shown in read.shown:
            for who in [who for who, ear in ears.items() if ear == shown.listener]:
                self._screens.own_words(who, shown.text, shown.language)
        return read.pcm

    def keep(self, ears: Collection[str]) -> None:
        """Forgets what was to be read to any other."""
        self._announcer.keep(ears)

    def silence(self) -> None:
        """Drops what is being read, and is still to be."""
        self._announcer.keep(())
        self._reading = frozenset()

    def _announce_due(self, roles: Collection[Role], at_s: float, now_s: float) -> None:
        """Has notices begin whose time has come."""
        if self._audience.standing_by:
            return
        interpreting = bool(roles) and not self._orders.closed
        due = self._protocol.advance(list(self._members), interpreting=interpreting, now_s=at_s)
        self._announce_all(due, now_s)
        self._announce_roles(roles, now_s)

    def _announce_roles(self, in_effect: Collection[Role], now_s: float) -> None:
        """Says of roles that render otherwise than people expect that they do, once they are taken up."""
        roles = {role.name: role for role in in_effect if role.policies.announce}
        self._announced &= roles.keys()
        if self._protocol.opened:
            for role in [role for name, role in roles.items() if name not in self._announced]:
                self.announce(Announcement("announcement", frozenset(self._members)), now_s, role)

    def _announce_all(self, announcements: Iterable[Announcement], now_s: float) -> None:
        for announcement in announcements:
            self.announce(announcement, now_s)


def _sound(studio: Studio, text: str, language: str) -> Pcm | None:
    """The sound of a sentence; one that no voice speaks is as short as can be, and shown without a wait."""
    return studio.sound(text, language) if studio.speaks(language) else _UNVOICED
