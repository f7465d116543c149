"""What pages, the record and whoever runs a meeting are told of its interpretation as it stands. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import partial

from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorMode
from interpreter.identity.passport import DirectionClaim, RoleClaim
from interpreter.interpretation.arrangement import Arrangement
from interpreter.interpretation.audience import Audience
from interpreter.interpretation.members import Member, Members
from interpreter.interpretation.notices import Person, notices_for
from interpreter.interpretation.overview import DirectionView, PersonView
from interpreter.interpretation.page_state import direction_status, page_state, role_choices
from interpreter.interpretation.screens import Reader, Screens
from interpreter.record.record import Record
from interpreter.roles.casting import checksum_for
from interpreter.roles.library import RoleLibrary
from interpreter.sessions.sessions import SessionState
from interpreter.watches.misheard import Misheard
from webrtc.room import DirectionStatus, Notice, Stored, requested_key


class Telling:
    """Compares what holds with what was told last, and tells what is new.

    Args:
        members: of the meeting.
        orders: of the meeting.
        audience: of the meeting.
        arrangement: of its directions.
        library: roles that those who lead are shown.
        stored: what is kept of the meeting.
        screens: where people are told.
        record: is told which interpreter may be heard in which directions.
    """

    def __init__(
        self,
        members: Members,
        orders: Orders,
        audience: Audience,
        arrangement: Arrangement,
        *,
        library: RoleLibrary,
        stored: Collection[Stored],
        screens: Screens,
        record: Record,
    ) -> None:
        self._members = members
        self._orders = orders
        self._audience = audience
        self._arrangement = arrangement
        self._choices = role_choices(library)
        self._stored = stored
        self._screens = screens
        self._record = record
        self._misheard = Misheard()
        self._served: object = None  # what the record was told of last
        self._checksums: Mapping[Direction, str] = {}

    @property
    def checksum(self) -> str:
        """Of the interpreter that speaks; of several, the first's."""
        return next(iter(self._checksums.values()), "")

    @property
    def misheard(self) -> Collection[Direction]:
        """Directions in which the interpreter did not understand what was said just now."""
        return self._misheard.directions

    def note_misheard(self, direction: Direction, tick: int) -> None:
        """The frame of a tick was not understood in a direction."""
        self._misheard.note(direction, tick)

    def advance(self, tick: int) -> bool:
        """Forgets what is over at a tick; whether anybody is to be told something else for it."""
        return self._misheard.advance(tick)

    def follow_arrangement(self) -> None:
        """Shows captions of the directions that are served now, to those who are there, and ends all others."""
        directions = self._arrangement.roles.keys()
        self._screens.readers = {
            who: Reader(
                language=member.language,
                captions=self._orders.reads_captions(who),
                requests=member.presence.requests,
            )
            for who, member in self._members.items()
        }
        self._screens.keep(directions)
        self._misheard.keep(directions)

    def show(self) -> None:
        """Brings the record, notices and pages up to what has changed."""
        arrangement = self._arrangement
        served = (arrangement.states, dict(arrangement.plans), dict(arrangement.roles))
        if served != self._served:
            self._served = served
            self._serve()
        self._show_notices()
        self._show_states()

    # For whoever runs it --------------------------------------------------------------------------------------------

    def people(self) -> Mapping[str, PersonView]:
        """Everybody, by participant id."""
        own: dict[str, Direction] = {}
        for direction in self._arrangement.states:
            if self._arrangement.plan_of(direction) is not None:
                own.setdefault(direction.speaker_id, direction)
        return {who: self._person_view(who, member, own.get(who)) for who, member in self._members.items()}

    def directions(self) -> Mapping[Direction, DirectionView]:
        """Every direction that somebody needs."""
        statuses = self._statuses()
        return {
            direction: self._direction_view(direction, state, statuses[direction])
            for direction, state in self._arrangement.states.items()
        }

    def _person_view(self, who: str, member: Member, own: Direction | None) -> PersonView:
        """Somebody, whose first direction that is served is `own`."""
        plan = None if own is None else self._arrangement.plan_of(own)
        wanted = None if own is None else self._arrangement.chosen.get(own)
        cast, language = self._orders.cast, member.language or ""
        return PersonView(
            name=member.presence.name,
            language=member.language,
            language_wanted=self._members.language_wanted(who),
            role="" if own is None else self._arrangement.roles[own].name,
            role_wanted=cast.role_for(who).name,
            voice="" if plan is None else plan.prompt.voice,
            voice_wanted=cast.voices.get(who, cast.voice) if wanted is None else wanted.prompt.voice,
            leads=member.presence.leads,
            isolated=member.isolated,
            transcribed=self._arrangement.plan_of(Direction(who, language, language)) is not None,
        )

    def _direction_view(
        self, direction: Direction, state: SessionState, status: DirectionStatus
    ) -> DirectionView:
        arrangement = self._arrangement
        plan = arrangement.plan_of(direction)
        return DirectionView(
            state=state,
            status=status,
            engine="" if plan is None else plan.engine,
            role="" if plan is None else arrangement.roles[direction].name,
            voice="" if plan is None else plan.prompt.voice,
            mode=arrangement.floor_mode(direction),
            checksum=self._checksums.get(direction, ""),
            pending=arrangement.pending(direction),
            waiting_s=arrangement.waiting_s(direction),
        )

    def _statuses(self) -> Mapping[Direction, DirectionStatus]:
        """What becomes of every needed direction."""
        arrangement = self._arrangement
        return {
            direction: direction_status(
                direction,
                state,
                self._orders,
                arrangement.floor_mode(direction) or FloorMode.SIMULTANEOUS,
                held=arrangement.waiting_s(direction) > 0.0,
            )
            for direction, state in arrangement.states.items()
        }

    # For the record -------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """Tells the record which interpreter may be heard in which directions."""
        engines, plans = self._arrangement.capabilities, self._arrangement.plans
        claims: dict[Direction, DirectionClaim] = {}
        checksums: dict[Direction, str] = {}
        for direction in self._arrangement.rendered:
            if direction not in plans:
                continue
            can, role = engines[plans[direction].engine], self._arrangement.roles[direction]
            checksums[direction] = checksum_for(role, plans[direction], can)
            claims[direction] = DirectionClaim(
                language_in=direction.language_in,
                language_out=direction.language_out,
                checkpoint=can.checkpoint,
                licence=can.licence,
                role=RoleClaim(name=role.name, checksum=checksums[direction]),
            )
        self._checksums = checksums
        self._record.serve(claims)

    # For pages ------------------------------------------------------------------------------------------------------

    def _show_notices(self) -> None:
        states, misheard = self._arrangement.states, self._misheard
        people = [_person(who, member) for who, member in self._members.items()]
        capabilities = self._arrangement.capabilities
        serving = {plan.engine for plan in self._arrangement.plans.values()} or set(list(capabilities)[:1])
        can = [capabilities[name] for name in sorted(serving)]
        demonstration = next((one.demonstration for one in can if one.demonstration), {})
        notices_to = partial(
            notices_for, translates=all(one.translates for one in can), demonstration=demonstration
        )
        for who, member in self._members.items():
            if not self._audience.by_request:
                notices = notices_to(
                    _person(who, member),
                    people,
                    states,
                    misheard=misheard.directions,
                    asked=misheard.speakers,
                    choose=self._audience.offered,
                    hindrances=self._audience.hindrances,
                )
                self._screens.notices(who, notices)
                continue
            passed_on: dict[str, Notice] = {}
            for listener, asked_for in self._requested(who, member):
                lost = misheard.directions & asked_for.keys()
                for notice in notices_to(listener, (), asked_for, misheard=lost).values():
                    key = requested_key(notice.id, listener.language or "")
                    passed_on[key] = replace(notice, id=key)
            self._screens.notices(who, passed_on)

    def _requested(
        self, who: str, member: Member
    ) -> Iterator[tuple[Person, Mapping[Direction, SessionState]]]:
        """Whoever asked for one speaker's renderings, by language, and the state of what they asked for."""
        for language in member.presence.requests:
            states = {
                d: state
                for d, state in self._arrangement.states.items()
                if (d.speaker_id, d.language_out) == (who, language)
            }
            yield Person(id=requested_key(who, language), name="", language=language), states

    def _show_states(self) -> None:
        statuses = self._statuses()
        for who, member in self._members.items():
            state = page_state(
                who,
                member.language,
                self._orders,
                self._arrangement.states,
                statuses,
                checksum=self.checksum,
                stored=self._stored,
                choices=self._choices if member.presence.leads else (),
            )
            self._screens.state(who, state)


def _person(who: str, member: Member) -> Person:
    return Person(id=who, name=member.presence.name, language=member.language, isolated=member.isolated)
