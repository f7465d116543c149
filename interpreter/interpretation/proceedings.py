"""What becomes of what is said in a meeting, by people and for them: written down, shown, checked, acted on. Pure.

heard by a transcription ──┐                        ┌──> captions, record, follower
played on a floor ─────────┴──> watches, events ────┼──> requests, as if they were commands
                                                    └──> what the interpreter says of itself
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from duplex_model.contract import FRAME_S, StepOutput
from interpreter.commands.arguments import LanguagePair
from interpreter.commands.orders import Orders
from interpreter.directions import Direction
from interpreter.floor.floor import FloorEvent, FloorEventKind, FloorMode, Played
from interpreter.interpretation.arrangement import Arrangement
from interpreter.interpretation.members import Members
from interpreter.interpretation.own_words import OwnWords
from interpreter.interpretation.screens import Screens
from interpreter.record.follower import Follower
from interpreter.record.record import Record
from interpreter.watches.glossary import Term, TermMissed
from interpreter.watches.requests import SpokenRequest
from interpreter.watches.watches import Checked, Watches
from webrtc.room import CaptionKind

MISMATCH_MARK_S = 3.0
"""Words of a rendering that are marked where its facts are not those that were heard."""


class Proceedings:
    """What is said in one meeting, tick by tick.

    Args:
        members: of the meeting.
        orders: of the meeting.
        arrangement: of its directions.
        own_words: of the interpreter, who asks people to repeat or to pause.
        screens: where captions are shown.
        record: of the meeting.
        follower: is told of what is found in what is said.
        requested: does what somebody, by their id, asked of the interpreter in so many words.
    """

    def __init__(
        self,
        members: Members,
        orders: Orders,
        arrangement: Arrangement,
        own_words: OwnWords,
        *,
        screens: Screens,
        record: Record,
        follower: Follower,
        requested: Callable[[str, Collection[SpokenRequest]], None],
    ) -> None:
        self._members = members
        self._orders = orders
        self._arrangement = arrangement
        self._own_words = own_words
        self._screens = screens
        self._record = record
        self._follower = follower
        self._requested = requested
        self._watches = Watches()

    @property
    def checks(self) -> Sequence[Checked]:
        """What the guard and the glossary found last."""
        return tuple(self._watches.results)

    @property
    def terms(self) -> tuple[tuple[LanguagePair, Term], ...]:
        """The terms of the glossary that were added during the meeting."""
        return self._watches.terms

    def load(self, languages: Iterable[str]) -> None:
        """Reads what is needed to check what is said in these languages, before a tick has to wait for it."""
        self._watches.load(languages)

    def add_term(self, pair: LanguagePair, term: Term) -> None:
        """Adds a term to the glossary."""
        self._watches.add_term(pair, term, self._arrangement.roles)

    def follow_arrangement(self) -> None:
        """Checks what is said in the directions that are served now, and in no others."""
        arrangement = self._arrangement
        modes = {direction: arrangement.mode_wanted(direction) for direction in arrangement.chosen}
        self._watches.keep(arrangement.roles, modes)

    def stepped(self, direction: Direction, tick: int, output: StepOutput) -> None:
        """A session's output came; what it says in a rendering is followed once it is played."""
        self._record.stepped(direction, output)
        plan = self._arrangement.plan_of(direction)
        if plan is not None:
            self._follower.stepped(plan.engine, output.timing)
        if direction.language_in == direction.language_out and direction.speaker_id in self._members:
            self._heard(direction, tick, output.text)

    def played(
        self, direction: Direction, tick: int, played: Played, listeners: Collection[str], now_s: float
    ) -> None:
        """What a direction's listeners get in a tick; called for every tick, and once after the direction is over.

        Args:
            direction: which.
            tick: which.
            played: on its floor.
            listeners: whom it is heard by.
            now_s: monotonic.
        """
        over = self._arrangement.plan_of(direction) is None
        if over and not self._orders.wants_interpreting(direction.speaker_id):
            played = replace(played, unspoken="")  # nothing more of them, not even to read
        self._record.played(direction, tick, played)
        could_not = over or (
            bool(listeners) and self._arrangement.floor_mode(direction) is not FloorMode.CAPTIONS
        )
        meant, lost = ("", played.unspoken) if could_not else (played.unspoken, "")
        self._screens.caption(direction, tick, played.text + meant, CaptionKind.RENDERING)
        self._screens.caption(direction, tick, lost, CaptionKind.RENDERING, unheard=True)
        rendered = "" if played.as_self else played.text + played.unspoken
        requests, results = self._watches.said(direction, tick, rendered)
        self._requested(direction.speaker_id, requests)
        for checked in results:
            self._found(checked, tick, listeners, now_s)
        self.happened(direction, tick, played.events, listeners, now_s)

    def happened(
        self,
        direction: Direction,
        tick: int,
        events: Iterable[FloorEvent],
        listeners: Collection[str],
        now_s: float,
    ) -> None:
        """What happened on a direction's floor, in a tick or since its mix.

        Args:
            direction: which.
            tick: which.
            events: in order.
            listeners: whom the direction is heard by.
            now_s: monotonic.
        """
        for event in events:
            match event.kind:
                case FloorEventKind.CUT:
                    self._screens.cut(direction)
                case FloorEventKind.LOST:  # it can still be read
                    self._screens.cut(direction)
                    self._screens.caption(direction, tick, event.text, CaptionKind.RENDERING, unheard=True)
                    self._record.lost(direction, tick, event.text)
                case FloorEventKind.PAUSE_WANTED:
                    self._own_words.pause_wanted(direction.speaker_id, listeners, now_s)
                case FloorEventKind.FULL:
                    self._record.event("floor.full", participant_id=direction.speaker_id)

    def silenced(self, direction: Direction, tick: int) -> None:
        """What was being said in a direction was dropped at once."""
        self._screens.cut(direction)
        self._record.cut(direction, tick)

    def _heard(self, direction: Direction, tick: int, piece: str) -> None:
        """What somebody says was written down."""
        speaker_id = direction.speaker_id
        self._members.add_words(speaker_id, piece)
        self._record.heard(direction, tick, piece)
        rendered = [one for one in self._arrangement.wanted if one.speaker_id == speaker_id]
        self._requested(speaker_id, self._watches.heard(direction, tick, piece, rendered))
        self._screens.caption(direction, tick, piece, CaptionKind.HEARD)

    def _found(self, checked: Checked, tick: int, listeners: Collection[str], now_s: float) -> None:
        """Acts on what the guard or the glossary found."""
        direction, result = checked.direction, checked.result
        role = self._arrangement.roles.get(direction)
        mismatch = role is not None and checked.is_mismatch(role)
        self._follower.checked(checked, tick, mismatch=mismatch)
        if isinstance(result, TermMissed):
            self._record.event("glossary.missed", participant_id=direction.speaker_id)
            return
        if role is None or not mismatch:
            return
        self._record.event("facts.mismatch", participant_id=direction.speaker_id)
        last = round(result.at_s / FRAME_S)
        self._record.mark_mismatch(direction, last - round(MISMATCH_MARK_S / FRAME_S), last)
        if role.policies.on_fact_mismatch == "ask_repeat":
            self._own_words.mismatch(direction, listeners, now_s)
