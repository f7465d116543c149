"""What serves every direction that is needed: as it is, and as it was chosen to be. Pure.

Directions come and go at once. Another language, role, voice or mode comes between utterances, so that what is being
said is said to its end by whoever began it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from duplex_model.contract import Capabilities, Engine
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorEvent, FloorMode, Talk
from interpreter.floor.floors import Floors
from interpreter.interpretation.audience import Audience
from interpreter.interpretation.members import Members
from interpreter.record.record import Record
from interpreter.roles.casting import floor_policy, plans_for, transcription_plans
from interpreter.roles.role import Role
from interpreter.sessions.sessions import Plan, Sessions, SessionState

_SILENT_S = 0.7  # a speaker who has been silent for so long is between utterances
_RENDERED_S = 1.0  # a session that has been silent for so long has come to an end of what it says
_LATE_S = 4.0  # after a speaker's end no rendering begins so late
_SPARE_LANES = 1  # of each engine: for notices, and for a session that takes over


class Arrangement:
    """The sessions, roles and floors of a meeting's directions.

    Args:
        members: of the meeting.
        orders: of the meeting.
        audience: that needs directions.
        engines: by name, in the order in which they are preferred.
        sessions: that are opened and closed.
        floors: one for each direction that is rendered.
        record: where it is written down which directions are over.
        transcribe: write down what speakers say where an engine can and has lanes to spare.
    """

    def __init__(
        self,
        members: Members,
        orders: Orders,
        audience: Audience,
        *,
        engines: Mapping[str, Engine],
        sessions: Sessions,
        floors: Floors,
        record: Record,
        transcribe: bool,
    ) -> None:
        self._members = members
        self._orders = orders
        self._audience = audience
        self._engines = engines
        self._sessions = sessions
        self._floors = floors
        self._record = record
        self._transcribe = transcribe
        self._roles: dict[Direction, Role] = {}
        self._chosen: Mapping[Direction, Plan] = {}
        self._refused: frozenset[Direction] = frozenset()
        self._states: Mapping[Direction, SessionState] = {}
        self._staged = False  # another role or voice waits for a silence

    @property
    def capabilities(self) -> Mapping[str, Capabilities]:
        """Of every engine, by name, in the order in which they are preferred."""
        return {name: engine.capabilities for name, engine in self._engines.items()}

    @property
    def roles(self) -> Mapping[Direction, Role]:
        """In effect, of every direction that is served, transcriptions included."""
        return self._roles

    @property
    def plans(self) -> Mapping[Direction, Plan]:
        """In effect, of the same directions."""
        return self._sessions.plans

    @property
    def chosen(self) -> Mapping[Direction, Plan]:
        """What is to serve each direction that can be rendered, in effect or not yet."""
        return self._chosen

    @property
    def wanted(self) -> list[Direction]:
        """Directions that are served but for transcriptions, whether or not their sessions are open."""
        return [d for d, plan in self._sessions.plans.items() if plan.prompt.mode != "transcription"]

    @property
    def states(self) -> Mapping[Direction, SessionState]:
        """Of every needed direction, also where nothing can serve it, as it was when it was reviewed last."""
        return self._states

    @property
    def rendered(self) -> list[Direction]:
        """Directions whose sessions were open then."""
        return [direction for direction, state in self._states.items() if state is SessionState.OPEN]

    @property
    def written(self) -> set[str]:
        """Ids of people whose words are written down."""
        return {
            d.speaker_id for d, plan in self._sessions.plans.items() if plan.prompt.mode == "transcription"
        }

    @property
    def unsettled(self) -> bool:
        """Whether something waits for a silence."""
        return self._staged or self._members.unsettled

    def plan_of(self, direction: Direction) -> Plan | None:
        """What serves a direction; None where nothing does."""
        return self._sessions.plan_of(direction)

    def floor_mode(self, direction: Direction) -> FloorMode | None:
        """The mode in effect on a rendered direction's floor; None where there is none."""
        return self._floors.mode(direction) if self.plan_of(direction) is not None else None

    def mode_wanted(self, direction: Direction) -> FloorMode:
        """The mode that is followed between utterances."""
        if not self._orders.voices(direction):
            return FloorMode.CAPTIONS
        return self._orders.cast.mode_for(direction.speaker_id)

    def waiting_s(self, direction: Direction) -> float:
        """Sound that waits on a rendered direction's floor for its turn."""
        return self._floors.waiting_s(direction) if self.plan_of(direction) is not None else 0.0

    def pending(self, direction: Direction) -> bool:
        """Whether another role, voice or mode waits for a silence."""
        plan = self.plan_of(direction)
        return plan is not None and (
            plan != self._chosen.get(direction)
            or self._roles[direction] is not self._orders.cast.role_for(direction.speaker_id)
            or self.floor_mode(direction) is not self.mode_wanted(direction)
        )

    def arrange(self, talks: Mapping[str, Talk], now_s: float) -> bool:
        """Opens and closes sessions as people and orders want it, and has floors follow.

        Args:
            talks: what is known of everybody's voice.
            now_s: monotonic.

        Returns:
            Whether anybody's language is another now.
        """
        changed = self._members.settle(lambda who: self._between_utterances(who, talks, now_s), now_s)
        engines, needed = self.capabilities, self._audience.needed()
        places = {who: member.place for who, member in self._members.items()}
        self._chosen = plans_for(self._orders.cast, self._audience.carried(needed), engines, places)
        self._refused = frozenset(needed) - self._chosen.keys()
        self._staged = False
        plans = {
            direction: self._stage(direction, plan, talks.get(direction.speaker_id), now_s)
            for direction, plan in self._chosen.items()
        }
        if self._transcribe:
            plans |= transcription_plans(self._members.speakers, needed, plans, engines, spare=_SPARE_LANES)
        if plans != self._sessions.plans:
            self._sessions.want(plans, now_s)
        for over in self._roles.keys() - plans.keys():
            del self._roles[over]
            self._record.finish(over)
        for direction in plans:
            self._roles.setdefault(direction, self._orders.cast.role_for(direction.speaker_id))
        self._floors.keep({d: floor_policy(self._roles[d], self.mode_wanted(d)) for d in self._chosen})
        return changed

    def review(self, now_s: float) -> Mapping[Direction, Sequence[FloorEvent]]:
        """Takes note of how the sessions stand.

        Args:
            now_s: monotonic.

        Returns:
            Directions that were rendered and are wanted, but no longer rendered; what became of what they were saying.
        """
        states = {**self._sessions.states, **dict.fromkeys(self._refused, SessionState.REFUSED)}
        states = {d: state for d, state in states.items() if d.language_in != d.language_out}
        rendered, self._states = self.rendered, states
        lost = [d for d, state in states.items() if d in rendered and state is not SessionState.OPEN]
        return {direction: self._floors.forget(direction, now_s) for direction in lost}

    def _stage(self, direction: Direction, wanted: Plan, speaker: Talk | None, now_s: float) -> Plan:
        """The plan in effect: another role or voice comes between utterances, with all that belongs to it."""
        role = self._orders.cast.role_for(direction.speaker_id)
        current = self._sessions.plan_of(direction)
        other = current is not None and (current, self._roles[direction]) != (wanted, role)
        if current is not None and other and not self._between([direction], speaker, now_s):
            self._staged = True
            return current
        self._roles[direction] = role
        return wanted

    def _between_utterances(self, who: str, talks: Mapping[str, Talk], now_s: float) -> bool:
        own = [direction for direction in self.wanted if direction.speaker_id == who]
        return self._between(own, talks.get(who), now_s)

    def _between(self, own: Iterable[Direction], speaker: Talk | None, now_s: float) -> bool:
        """Whether a speaker is silent, and what they said last was rendered in all these directions of theirs."""
        silent = speaker is None or (not speaker.voice.active and speaker.voice.pause_s >= _SILENT_S)
        return silent and all(self._all_said(direction, speaker, now_s) for direction in own)

    def _all_said(self, direction: Direction, speaker: Talk | None, now_s: float) -> bool:
        """Whether what a speaker, now silent, said last has been rendered, as far as one can know."""
        quiet_s = self._floors.quiet_s(direction, now_s)
        if not self._floors.idle(direction) or quiet_s < _RENDERED_S:
            return False
        pause_s = inf if speaker is None else speaker.voice.pause_s
        return quiet_s < pause_s or pause_s >= _LATE_S
