"""Who is interpreted for whom, when it is heard, and what everybody is told of it: the meeting but for its sound.

    commands ──> orders ──> directions, roles ──> sessions (plans)
    sessions' words and sound ──> floors ──> what is played ──> captions, record
    what happened ──> protocol ──> announcer ──> what is read to whom

Each part has a module, which is the one to change its state; here they are brought together, in the order in which a
tick or a change needs them:

    members ──> audience ──> arrangement ──> own_words ──> delivery ──> proceedings ──> telling

Everything here runs on one thread, the meeting's, and time comes in as an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from duplex_model.contract import Engine, Pcm, StepFlag, StepOutput
from interpreter.channels import Channel
from interpreter.commands.arguments import LanguagePair
from interpreter.commands.chat import named_in, parse_chat
from interpreter.commands.commands import Actor, Invocation, invoke
from interpreter.commands.control import Answer
from interpreter.commands.memory import Memory
from interpreter.commands.orders import Orders
from interpreter.commands.table import Standing
from interpreter.directions import Direction
from interpreter.ears.voice_activity import Voice
from interpreter.errors import CommandError
from interpreter.floor.floor import Played, Talk
from interpreter.floor.floors import Floors
from interpreter.interpretation.arrangement import Arrangement
from interpreter.interpretation.audience import Audience
from interpreter.interpretation.command_desk import CommandDesk
from interpreter.interpretation.delivery import Delivery
from interpreter.interpretation.language_assignment import LanguageAssignment
from interpreter.interpretation.members import Members, Presence
from interpreter.interpretation.overview import Overview
from interpreter.interpretation.own_words import OwnWords, Studio
from interpreter.interpretation.proceedings import Proceedings
from interpreter.interpretation.screens import Screens
from interpreter.interpretation.telling import Telling
from interpreter.mixing.routing import Routes, route
from interpreter.notices.protocol import Announcement
from interpreter.record.follower import Follower
from interpreter.record.record import Record
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.casting import Cast
from interpreter.roles.library import RoleLibrary
from interpreter.roles.role import Role
from interpreter.sessions.hold import Said
from interpreter.sessions.sessions import Sessions
from interpreter.watches.glossary import Term
from interpreter.watches.requests import SpokenRequest
from interpreter.watches.watches import Checked
from webrtc.room import Hindrance, Listening, RoomMessage, Stored

REFRESH_TICKS = 6
"""Pages learn after half a second at the latest that something waits for its turn."""


@dataclass(frozen=True, kw_only=True)
class InterpretationSettings:
    """How people are interpreted."""

    roles: RoleAssignment
    library: RoleLibrary
    spoken_notices: bool = True
    """Read notices to people, where an engine can; otherwise they are shown alone."""

    spoken_requests: bool = True
    """Do what people ask of the interpreter in so many words: a human instead of it, or an end of it."""

    transcribe: bool = True
    """Write down what speakers say where an engine can and has lanes to spare."""

    languages: LanguageAssignment = field(default_factory=LanguageAssignment)
    """What people speak, where the room does not say, or says otherwise."""

    duck_db: float | None = None
    """Gain of originals under renderings at first, instead of the role's."""

    channels: tuple[Channel, ...] = ()
    """Where everybody hears everything: the languages spoken there; by default those of all who are present."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """What the interpreter gives to hear in one tick."""

    played: Mapping[Direction, Played]
    """What happened on every floor; sound as before the mix."""

    renderings: Mapping[Direction, Pcm]
    asides: Mapping[Direction, Pcm]
    announcements: Mapping[str, Pcm]


class Interpretation:
    """The interpretation of one meeting; fulfils `control.Stage`.

    Args:
        settings: how.
        engines: by name, in the order in which they are preferred.
        sessions: of these engines.
        studio: that speaks notices.
        record: of the meeting, made once its first tick and role are known.
        stored: what is kept of the meeting.
        tell: shows a message to a participant.
        follower: is told of what is found in what is said.
        listening: how the room's listeners are reached.
        cut_short: takes what the interpreter says out of what was mixed and not sent yet.
        memory: of the meeting, which a former process may have left.
    """

    def __init__(
        self,
        settings: InterpretationSettings,
        *,
        engines: Mapping[str, Engine],
        sessions: Sessions,
        studio: Studio,
        record: Record,
        stored: Collection[Stored],
        tell: Callable[[str, RoomMessage], None],
        follower: Follower,
        listening: Listening = Listening.PER_LISTENER,
        cut_short: Callable[[], None] = lambda: None,
        memory: Memory | None = None,
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._stored = stored
        self._cut_short = cut_short
        chosen = Cast(role=settings.roles.default, channels=settings.channels)
        self._orders = orders = Orders(cast=chosen, duck_db=settings.duck_db)
        self._desk = CommandDesk(
            self, orders, library=settings.library, record=record, memory=memory or Memory(salt=b"")
        )
        floors = Floors()
        self._screens = screens = Screens(tell)
        self._members = members = Members(settings.roles, settings.languages, orders)
        self._audience = audience = Audience(listening, settings.channels, members, orders)
        self._arrangement = arrangement = Arrangement(
            members,
            orders,
            audience,
            engines=engines,
            sessions=sessions,
            floors=floors,
            record=record,
            transcribe=settings.transcribe,
        )
        self._own_words = OwnWords(
            members,
            orders,
            audience,
            studio=studio if settings.spoken_notices else None,
            stored=stored,
            screens=screens,
            record=record,
        )
        self._delivery = Delivery(orders, audience, arrangement, sessions=sessions, floors=floors)
        self._proceedings = Proceedings(
            members,
            orders,
            arrangement,
            self._own_words,
            screens=screens,
            record=record,
            follower=follower,
            requested=self._obey_spoken,
        )
        self._telling = Telling(
            members,
            orders,
            audience,
            arrangement,
            library=settings.library,
            stored=stored,
            screens=screens,
            record=record,
        )
        self._now_s = 0.0
        self._tick = 0  # the last one mixed
        self._talks: Mapping[str, Talk] = {}
        self._stale = True  # people, orders or sessions have changed
        self.routes: Routes = route({}, ())
        """Who hears what."""

    # What commands see (`control.Stage`) ----------------------------------------------------------------------------

    @property
    def people(self) -> Mapping[str, str]:
        """Participant id -> name."""
        return self._members.names

    @property
    def languages(self) -> Mapping[str, str | None]:
        """Participant id -> primary language."""
        return self._members.languages

    @property
    def directions(self) -> Collection[Direction]:
        """Those being interpreted."""
        return self._arrangement.rendered

    @property
    def voices(self) -> Collection[str]:
        """Names of the voices that engines know."""
        return {name for can in self._arrangement.capabilities.values() for name in can.voices}

    @property
    def checksum(self) -> str:
        """Of the interpreter that speaks; of several, the first's."""
        return self._telling.checksum

    @property
    def channels(self) -> bool:
        """Whether everybody hears everything, on one channel for each language."""
        return self._audience.on_channels

    @property
    def checks(self) -> Sequence[Checked]:
        """What the guard and the glossary found last."""
        return self._proceedings.checks

    @property
    def stored(self) -> Collection[Stored]:
        """What is kept of the meeting."""
        return self._stored

    def announce(self, announcement: Announcement, role: Role | None = None) -> None:
        """Has something said, and shown, to each listener in their language; see `OwnWords.announce`.

        Args:
            announcement: what, and to whom.
            role: whose words; by default those of the role that interprets everybody.
        """
        self._own_words.announce(announcement, self._now_s, role)

    def repeat(self, listener_id: str | None) -> bool:
        """Has what a listener, or everybody, heard last said again; False when there was nothing."""
        return self._delivery.repeat(listener_id)

    def watch_for(self, pair: LanguagePair, term: str, translation: str) -> None:
        """Adds a term to the glossary."""
        self._proceedings.add_term(pair, Term(term, translation))

    def silence(self) -> None:
        """Drops everything that is being said or still to be said, at once."""
        for direction in self._delivery.silence():
            self._proceedings.silenced(direction, self._tick)
        self._own_words.silence()
        self._cut_short()

    def close_interpretation(self) -> None:
        """Ends the interpretation, after its closing notice."""
        self._own_words.close(self._now_s)
        self._orders.closed = True
        self._stale = True

    # What the meeting sees ------------------------------------------------------------------------------------------

    def prepare(self, languages: Collection[str]) -> None:
        """Has the role's own sentences spoken beforehand, those first that are needed first.

        Args:
            languages: primary languages that people may speak.
        """
        if self._settings.spoken_notices:
            self._proceedings.load(languages)
            self._own_words.prepare(languages)

    @property
    def all_read(self) -> bool:
        """Whether nobody is to be read anything more."""
        return self._own_words.all_read

    @property
    def paused(self) -> bool:
        """Whether nothing that is said is to be interpreted now, of nobody."""
        return self._orders.silenced

    @property
    def revision(self) -> int:
        """How often what was asked for has changed."""
        return self._desk.revision

    @property
    def duck_db(self) -> float:
        """Gain of originals under renderings."""
        chosen = self._orders.duck_db
        return self._orders.cast.role.policies.duck_db if chosen is None else chosen

    @property
    def standing_by(self) -> bool:
        """Whether it can do nothing here, and hears nobody: another is at work, or there is nothing to be heard."""
        return self._audience.standing_by

    def listens_to(self, who: str) -> bool:
        """Whether somebody's microphone may be processed."""
        return not self.standing_by and self._orders.listens_to(who)

    def talks(self, voices: Mapping[str, Voice]) -> Mapping[str, Talk]:
        """What is known of everybody who is listened to."""
        return self._members.talks(voices, self._arrangement.written)

    def overview(self) -> Overview:
        """The meeting as it stands, for whoever runs it."""
        return Overview(
            revision=self.revision,
            role=self._orders.cast.role,
            orders=self._orders,
            people=self._telling.people(),
            directions=self._telling.directions(),
            checksum=self.checksum,
            opened=self._own_words.opened,
            reading=self._own_words.reading,
            misheard=self._telling.misheard,
            terms=self._proceedings.terms,
            duck_db=self.duck_db,
            standing_by=self.standing_by,
        )

    # People ---------------------------------------------------------------------------------------------------------

    def place(self, who: str, presence: Presence) -> None:
        """Somebody is there, or is now called, speaks or is asked for otherwise."""
        if self._members.place(who, presence):
            self._desk.welcome(who, presence.name)
        self._stale = True

    def leave(self, who: str) -> None:
        """Somebody is gone."""
        self._members.leave(who)
        self._stale = True

    def isolate(self, who: str, isolated: bool) -> None:
        """Somebody's audio was taken out of the meeting after a fault, or is in it again."""
        if who in self._members:
            self._members.isolate(who, isolated)
            self._stale = True

    def hinder(self, hindrance: Hindrance, holds: bool) -> None:
        """Something keeps it from its work, or no longer."""
        self._audience.hinder(hindrance, holds)
        self._stale = True

    # Commands -------------------------------------------------------------------------------------------------------

    def obey(self, name: str, arguments: Mapping[str, object], actor: Actor, now_s: float) -> Answer:
        """Does what somebody asks, or says why not; when it returns, everybody's page shows what holds.

        Args:
            name: of the command, untrusted, as are the arguments.
            arguments: by name, as text or JSON values.
            actor: who asks.
            now_s: monotonic.
        """
        try:
            invocation = invoke(name, arguments, actor, self.people)
        except CommandError as error:
            return self._desk.refuse(actor, error, name)
        return self._obey(invocation, now_s)

    def obey_chat(self, line: str, actor: Actor, now_s: float) -> Answer | None:
        """The same for a line of chat; None for one that is no command.

        Args:
            line: such as `!interp language español`, untrusted.
            actor: who wrote it.
            now_s: monotonic.
        """
        try:
            invocation = parse_chat(line, actor, self.people)
        except CommandError as error:
            return self._desk.refuse(actor, error, *named_in(line))
        return None if invocation is None else self._obey(invocation, now_s)

    def order(
        self,
        asked: Sequence[tuple[str, Mapping[str, object]]],
        actor: Actor,
        expect: int | None,
        now_s: float,
        language: str | None = None,
    ) -> Answer:
        """Does what somebody at a console asks, all of it or nothing.

        Args:
            asked: names of commands, and their arguments; several have to wait for a silence, each of them.
            actor: who asks.
            expect: revision of the meeting that they looked at; needed for guarded commands.
            now_s: monotonic.
            language: in which they are answered.

        Raises:
            CommandError: a command is none, not theirs, or about what was changed since; nothing was done, and whoever
                asks has it written down.
        """
        answer = self._desk.carry_out_together(asked, actor, expect, language)
        self._follow_orders()
        self.arrange(now_s)
        self._show()
        return answer

    def carry_out(self, invocation: Invocation) -> Answer:
        """Does what somebody asks."""
        answer = self._desk.carry_out(invocation)
        self._follow_orders()
        return answer

    def _obey(self, invocation: Invocation, now_s: float) -> Answer:
        answer = self.carry_out(invocation)
        self.arrange(now_s)
        self._show()
        return answer

    def _obey_spoken(self, who: str, requests: Collection[SpokenRequest]) -> None:
        """Does what somebody asked for in so many words, as if they had given the command."""
        for request in requests if self._settings.spoken_requests else ():
            member = self._members.get(who)
            if member is None:
                continue
            actor = Actor(name=member.presence.name, standing=Standing.PARTICIPANT, participant_id=who)
            answer = self.carry_out(invoke(request.value, {}, actor, self.people))
            self._screens.own_words(who, answer.text, answer.language)

    def _follow_orders(self) -> None:
        self._own_words.follow_role()
        self._stale = True

    # One tick -------------------------------------------------------------------------------------------------------

    def mark_stale(self) -> None:
        """A session's state is another."""
        self._stale = True

    def listen(self, talks: Mapping[str, Talk], now_s: float) -> None:
        """Takes what is known of everybody's voice at a tick."""
        self._talks = talks
        self.arrange(now_s)

    def arrange(self, now_s: float) -> None:
        """Opens and closes sessions as people and orders want it; called every tick, and when either changes."""
        self._now_s = now_s
        self._sessions.open_due(now_s)
        if not (self._stale or self._arrangement.unsettled):
            return
        if self._arrangement.arrange(self._talks, now_s):
            self._stale = True
        self._proceedings.follow_arrangement()
        self._telling.follow_arrangement()
        self._own_words.keep(self._audience.ears)

    def said(self, direction: Direction, tick: int, output: StepOutput) -> None:
        """A session's output came; what it says is taken at its tick's mix."""
        self._proceedings.stepped(direction, tick, output)
        if StepFlag.UNSURE in output.flags:
            self._telling.note_misheard(direction, tick)
            self._stale = True
            listeners = self._delivery.listeners.get(direction, frozenset())
            self._own_words.unsure(direction, listeners, self._now_s)

    def advance(
        self, tick: int, said: Mapping[Direction, Said], talks: Mapping[str, Talk], at_s: float
    ) -> Output:
        """What is heard in the mix of a tick.

        Args:
            tick: which.
            said: what the sessions say in it.
            talks: what is known of everybody's voice.
            at_s: when its first sample leaves.
        """
        self._tick = tick
        read = self._own_words.advance(self._arrangement.roles.values(), talks, at_s, self._now_s)
        delivered = self._delivery.advance(said, talks, self._own_words.reading, at_s)
        for direction, played in delivered.played.items():
            listeners = delivered.listeners.get(direction, frozenset())
            self._proceedings.played(direction, tick, played, listeners, self._now_s)
            if self._arrangement.plan_of(direction) is None:
                self._stale = True  # what is shown now is the last of it
        return Output(
            played=delivered.played,
            renderings=delivered.renderings,
            asides=delivered.asides,
            announcements=read,
        )

    def refresh(self, tick: int) -> None:
        """Brings routes, notices and pages up to what has changed; called every tick."""
        if self._telling.advance(tick) or self._stale or tick % REFRESH_TICKS == 0:
            self._show()

    def _show(self) -> None:
        self._stale = False
        for direction, events in self._arrangement.review(self._now_s).items():
            self._proceedings.happened(direction, self._tick, events, (), self._now_s)
        self.routes = self._audience.routes(self._arrangement.rendered)
        self._telling.show()
