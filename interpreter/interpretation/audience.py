"""Who is to hear whom, and by what ear, in each of the three ways to listen to a room (ADR 31). Pure.

per listener    everybody has an ear of their own: a mix
floor           everybody has the ear of their language: its channel, which may be spoken to unseen listeners too
requested       each rendering has an ear of its own, whose listener is not known
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from interpreter.channels import Channel, always_needed, carried, unseen_listener
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.interpretation.members import Members
from interpreter.mixing.routing import Routes, hears, route, route_channels, route_requested
from webrtc.room import Hindrance, Listening, requested_key


class Audience:
    """Everybody who may listen, and what keeps the interpreter from being heard by them.

    Args:
        listening: how the room's listeners are reached.
        channels: where everybody hears everything: the languages spoken there; by default those of all who are present.
        members: of the meeting.
        orders: of the meeting.
    """

    def __init__(
        self, listening: Listening, channels: Sequence[Channel], members: Members, orders: Orders
    ) -> None:
        self._listening = listening
        self._channels = channels
        self._members = members
        self._orders = orders
        self._hindrances: frozenset[Hindrance] = frozenset()

    @property
    def on_channels(self) -> bool:
        """Whether everybody hears everything, on one channel for each language."""
        return self._listening is Listening.FLOOR

    @property
    def by_request(self) -> bool:
        """Whether renderings are asked for one by one."""
        return self._listening is Listening.REQUESTED

    @property
    def hindrances(self) -> frozenset[Hindrance]:
        """What keeps the interpreter from its work."""
        return self._hindrances

    @property
    def standing_by(self) -> bool:
        """Whether it can do nothing here, and hears nobody: another is at work, or there is nothing to be heard."""
        return bool(self._hindrances - {Hindrance.MUTED})

    def hinder(self, hindrance: Hindrance, holds: bool) -> None:
        """Something keeps it from its work, or no longer."""
        self._hindrances = self._hindrances - {hindrance} | ({hindrance} if holds else frozenset())

    # What is needed -------------------------------------------------------------------------------------------------

    def needed(self) -> list[Direction]:
        """The directions that somebody needs, in the order in which people came."""
        if self.standing_by:
            return []
        if self.by_request:
            return self._requested()
        members, orders = self._members, self._orders
        deaf = [who for who, member in members.items() if not member.presence.listens]
        speakers = members.speakers
        heard = {who: language for who, language in speakers.items() if orders.interprets(who)}
        needed = orders.needed(members.languages, deaf)
        needed += [one for one in always_needed(self._always_spoken, heard) if one not in needed]
        return [one for one in needed if one.speaker_id in speakers]

    def carried(self, needed: Iterable[Direction]) -> Iterable[Direction]:
        """Those of the needed directions for which there is a way to whoever needs them."""
        return carried(needed, self._channels) if self.on_channels else needed

    def routes(self, rendered: Collection[Direction]) -> Routes:
        """Who hears what, while the sessions of these directions are open."""
        if self.by_request:
            return route_requested(rendered)
        languages = self._members.languages
        if self.on_channels:
            return route_channels(languages, rendered, tuple(one.language for one in self._channels))
        return route(languages, rendered, {who: self._orders.balance(who) for who in self._members})

    @property
    def offered(self) -> Sequence[str]:
        """Languages that somebody may say they speak of whom it is not known; none where they cannot say so."""
        if not self.on_channels:
            return ()
        return [channel.language for channel in self._channels] or self._members.spoken

    # Who hears it ---------------------------------------------------------------------------------------------------

    def listeners(self, directions: Iterable[Direction]) -> Mapping[Direction, frozenset[str]]:
        """Whom each direction is heard by; by nobody while a human interprets, or where it is muted.

        Nobody's voice gives way to a listener who is not known: floors then never yield.
        """
        return {
            direction: self._listeners_of(direction) if self._orders.voices(direction) else frozenset()
            for direction in directions
        }

    def hears(self, who: str, direction: Direction) -> bool:
        """Whether the rendering of a direction is meant for somebody."""
        member = self._members.get(who)
        return member is not None and hears(who, member.language, direction)

    def ear(self, who: str) -> str:
        """By what somebody hears: a mix of their own, or the channel of their language."""
        return (self._members[who].language or "") if self.on_channels else who

    @property
    def ears(self) -> Collection[str]:
        """By what anybody hears the interpreter; nothing while it can do nothing."""
        return () if self.standing_by else {*map(self.ear, self._members), *self._always_spoken}

    @property
    def addressable(self) -> bool:
        """Whether anybody can be told anything in so many words.

        Not where renderings are requested one by one, since whoever hears them cannot be told apart, nor while the
        interpreter can do nothing.
        """
        return not (self.by_request or self.standing_by)

    def ears_of(self, listeners: frozenset[str]) -> Mapping[str, str]:
        """Ear -> language of everybody who is to be told something.

        On channels everybody of a language is told what one of them must be told.
        """
        members = self._members
        # In the order of the members, not of a set: the same meeting is told the same in the same order.
        told = [(who, member) for who, member in members.items() if who in listeners]
        ears = {self.ear(who): member.language or "" for who, member in told}
        if members and listeners >= members.keys():
            ears |= {language: language for language in self._always_spoken}
        return ears

    def _requested(self) -> list[Direction]:
        return [
            Direction(who, member.language, language)
            for who, member in self._members.items()
            if member.language is not None and self._orders.interprets(who)
            for language in member.presence.requests
            if language != member.language
        ]

    def _listeners_of(self, direction: Direction) -> frozenset[str]:
        if self.by_request:  # somebody listens, whose voice is not known
            return frozenset({requested_key(direction.speaker_id, direction.language_out)})
        listeners = {
            who
            for who, member in self._members.items()
            if member.presence.listens and self.hears(who, direction) and self._orders.hears_interpreter(who)
        }
        if direction.language_out in self._always_spoken:
            listeners.add(unseen_listener(direction.language_out))
        return frozenset(listeners)

    @property
    def _always_spoken(self) -> Sequence[str]:
        """Languages in which somebody may listen of whom the room does not tell."""
        return [one.language for one in self._channels if one.always] if self.on_channels else ()
