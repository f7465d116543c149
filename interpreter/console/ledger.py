"""What an operator is shown of what goes on in one meeting: words, facts, events, the timeline. Pure.

It follows the meeting (`follower.Follower`) and keeps the last minutes in memory, bounded, and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Generic, TypeVar

from duplex_model.contract import FRAME_S, StepTiming
from interpreter.commands.commands import Actor
from interpreter.commands.table import COMMANDS
from interpreter.console.snapshot import (
    KEPT_EVENTS,
    KEPT_FACTS,
    KEPT_MARKS,
    KEPT_PIECES,
    KEPT_S,
    Event,
    FactCheck,
    FactDifference,
    FactMark,
    Mark,
    Numbered,
    Piece,
)
from interpreter.console.spans import Spans
from interpreter.console.telemetry import Telemetry
from interpreter.directions import Direction
from interpreter.facts_guard.facts import Difference, Fact, FactsChecked
from interpreter.floor.floor import FloorEvent, FloorEventKind, Played
from interpreter.levels import HANGOVER_FRAMES, SILENCE_DBFS, level_dbfs
from interpreter.record.follower import Follower
from interpreter.record.transcript import plain
from interpreter.sessions.hold import SOUND_DBFS
from interpreter.watches.watches import Checked
from webrtc.room import Levels

UTTERANCE_GAP_S = 1.0
"""Pieces further apart belong to two utterances."""

QUIET_TICKS = 6
"""After so many ticks without sound a rendering has ended."""

DISCLOSURES = frozenset(
    {"opening", "opening_emergency", "late_joiner", "reminder", "closing", "announcement"}
)
"""Notices that tell people what the interpreter is."""

OPTED_OUT = COMMANDS["optout"].audit_event

_NOTICE = "notice."
_N = TypeVar("_N", bound=Numbered)


class Kept(Generic[_N]):
    """The last items of something that goes on; `items` is the same tuple until there is a new one."""

    def __init__(self, most: int) -> None:
        self._items: deque[_N] = deque(maxlen=most)
        self._shown: tuple[_N, ...] | None = ()
        self.next_n = 0

    def add(self, item: _N) -> None:
        """Adds the item numbered `next_n`."""
        self._items.append(item)
        self._shown = None
        self.next_n = item.n + 1

    def forget(self, before: Callable[[_N], bool]) -> None:
        """Forgets items from the start on."""
        while self._items and before(self._items[0]):
            self._items.popleft()
            self._shown = None

    @property
    def items(self) -> tuple[_N, ...]:
        """All that are kept."""
        if self._shown is None:
            self._shown = tuple(self._items)
        return self._shown


class Words:
    """The last words of one line."""

    def __init__(self) -> None:
        self._kept: Kept[Piece] = Kept(KEPT_PIECES)
        self._utterance = 0
        self._last_s = -UTTERANCE_GAP_S

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """As an operator sees them."""
        return self._kept.items

    def add(self, text: str, at_s: float, kind: str) -> None:
        """Adds a piece, if there is anything in it."""
        text = plain(text)
        if not text.strip():
            return
        self._utterance += at_s - self._last_s >= UTTERANCE_GAP_S
        self._last_s = at_s
        piece = Piece(n=self._kept.next_n, at_s=at_s, text=text, utterance=self._utterance, kind=kind)
        self._kept.add(piece)

    def forget(self, before_s: float) -> None:
        """Forgets what was said earlier."""
        self._kept.forget(lambda piece: piece.at_s < before_s)


class Rendering:
    """What is said in one direction."""

    def __init__(self) -> None:
        self.words = Words()
        self.spans = Spans()
        self.dbfs = SILENCE_DBFS
        self.interpreted_s = 0.0
        self.sounding = False
        self.quiet_ticks = 0


class Ledger(Follower):
    """One meeting's.

    Args:
        telemetry: of the process, counted into.
        wall_s: wall clock, Unix seconds.
    """

    def __init__(self, telemetry: Telemetry, wall_s: Callable[[], float]) -> None:
        self._telemetry = telemetry
        self._wall_s = wall_s
        self._first_tick = 0
        self._heard: dict[str, Words] = {}
        self._renderings: dict[Direction, Rendering] = {}
        self._speaking: frozenset[str] = frozenset()
        self._timeline: Kept[Mark] = Kept(KEPT_MARKS)
        self._log: Kept[Event] = Kept(KEPT_EVENTS)
        self._facts: Kept[FactCheck] = Kept(KEPT_FACTS)
        self.mismatched_at: dict[Direction, float] = {}
        """When a critical fact was rendered as another one last, Unix seconds."""

        self.disclosures = 0
        self.last_disclosure: tuple[str, float] | None = None
        """Its script, and when it began in media time."""

        self.opened_at = wall_s()
        self._now_s = 0.0

    # What is shown --------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Media time of the last tick."""
        return self._now_s

    @property
    def log(self) -> tuple[Event, ...]:
        """What happened last."""
        return self._log.items

    @property
    def timeline(self) -> tuple[Mark, ...]:
        """Who sounded when, and what the floors did."""
        return self._timeline.items

    @property
    def facts(self) -> tuple[FactCheck, ...]:
        """What was checked last."""
        return self._facts.items

    def heard_of(self, participant_id: str) -> tuple[Piece, ...]:
        """The last words that were written down of somebody."""
        words = self._heard.get(participant_id)
        return () if words is None else words.pieces

    def rendering(self, direction: Direction) -> Rendering:
        """What is said in a direction."""
        found = self._renderings.get(direction)
        if found is None:
            found = self._renderings[direction] = Rendering()
        return found

    def levels_of_directions(self) -> dict[str, float]:
        """Key -> level of what is being said; who is silent is missing."""
        return {
            key_of(direction): round(one.dbfs, 1)
            for direction, one in self._renderings.items()
            if one.dbfs > SILENCE_DBFS
        }

    def forget_old(self) -> None:
        """Forgets what is too long ago; called now and then."""
        before_s = self._now_s - KEPT_S
        for words in self._heard.values():
            words.forget(before_s)
        for rendering in self._renderings.values():
            rendering.words.forget(before_s)
        self._timeline.forget(lambda mark: mark.at_s < before_s)

    def keep(self, people: Mapping[str, object], directions: Mapping[Direction, object]) -> None:
        """Forgets the words of everybody who has left, and of directions that are no more."""
        for gone in self._heard.keys() - people.keys():
            del self._heard[gone]
        for over in self._renderings.keys() - directions.keys():
            if not self._renderings[over].sounding:
                del self._renderings[over]

    # What is told (`follower.Follower`) ------------------------------------------------------------------------------

    def began(self, first_tick: int) -> None:
        """See `Follower`."""
        self._first_tick = first_tick
        self.opened_at = self._wall_s()

    def stepped(self, engine: str, timing: StepTiming) -> None:
        """See `Follower`."""
        self._telemetry.engines[engine].add(timing.started_s, timing.finished_s - timing.started_s)

    def levels(self, tick: int, levels: Levels) -> None:
        """See `Follower`."""
        at_s = self._now_s = self._media_s(tick)
        if levels.speaking == self._speaking:
            return
        for who in sorted(levels.speaking - self._speaking):
            self._mark(at_s, who, "begin")
            for direction, rendering in self._renderings.items():
                if direction.speaker_id == who:
                    rendering.spans.speaker_begins(at_s)
        for who in sorted(self._speaking - levels.speaking):
            self._mark(round(at_s - HANGOVER_FRAMES * FRAME_S, 2), who, "end")
        self._speaking = levels.speaking

    def heard(self, direction: Direction, tick: int, piece: str) -> None:
        """See `Follower`."""
        if piece:
            self._heard.setdefault(direction.speaker_id, Words()).add(piece, self._media_s(tick), "said")

    def played(self, direction: Direction, tick: int, played: Played) -> None:
        """See `Follower`."""
        at_s = self._media_s(tick)
        rendering = self.rendering(direction)
        rendering.dbfs = level_dbfs(played.pcm) if played.pcm.any() else SILENCE_DBFS
        self._follow_sound(direction, rendering, at_s)
        if played.text:
            rendering.words.add(played.text, at_s, "as_self" if played.as_self else "said")
        if played.unspoken:
            rendering.words.add(played.unspoken, at_s, "unspoken")
        for event in played.events:
            self._floor_event(direction, at_s, event)

    def lost(self, direction: Direction, tick: int, text: str) -> None:
        """See `Follower`."""
        self.rendering(direction).words.add(text, self._media_s(tick), "lost")

    def checked(self, checked: Checked, tick: int, *, mismatch: bool) -> None:
        """See `Follower`."""
        if mismatch:
            self._telemetry.fact_mismatches += 1
            self.mismatched_at[checked.direction] = self._wall_s()
        self._facts.add(self._fact_check(checked, tick, mismatch=mismatch))

    def happened(
        self,
        event: str,
        *,
        actor: Actor | None,
        participant_id: str | None,
        arguments: Mapping[str, str | float | bool],
    ) -> None:
        """See `Follower`."""
        if event == OPTED_OUT and participant_id is not None:
            self._forget_words_of(participant_id)
        if event.removeprefix(_NOTICE) in DISCLOSURES and event.startswith(_NOTICE):
            self.disclosures += 1
            self._telemetry.disclosures += 1
            self.last_disclosure = (event.removeprefix(_NOTICE), self._now_s)
        self._log.add(
            Event(
                n=self._log.next_n,
                at=round(self._wall_s(), 1),
                event=event,
                actor="" if actor is None else actor.name,
                standing="" if actor is None else actor.standing.words,
                about=participant_id or "",
                arguments={name: _shown(value) for name, value in arguments.items()},
            )
        )

    # ----------------------------------------------------------------------------------------------------------------

    def _forget_words_of(self, participant_id: str) -> None:
        """Somebody opted out: nothing of theirs is shown any more, nor what was checked, which may be theirs."""
        self._heard.pop(participant_id, None)
        for direction, rendering in self._renderings.items():
            if direction.speaker_id == participant_id:
                rendering.words.forget(inf)
        self._facts.forget(lambda _: True)

    def _media_s(self, tick: int) -> float:
        return round((tick - self._first_tick) * FRAME_S, 2)

    def _mark(self, at_s: float, lane: str, event: str, by: str = "") -> None:
        self._timeline.add(Mark(n=self._timeline.next_n, at_s=at_s, lane=lane, event=event, by=by))

    def _follow_sound(self, direction: Direction, rendering: Rendering, at_s: float) -> None:
        if rendering.dbfs > SILENCE_DBFS:
            rendering.interpreted_s += FRAME_S
        if rendering.dbfs >= SOUND_DBFS:
            rendering.quiet_ticks = 0
            if not rendering.sounding:
                rendering.sounding = True
                self._mark(at_s, key_of(direction), "begin")
                span_s = rendering.spans.rendering_begins(at_s)
                if span_s is not None:
                    self._telemetry.spans[f"{direction.language_in}>{direction.language_out}"].add(span_s)
        elif rendering.sounding:
            rendering.quiet_ticks += 1
            if rendering.quiet_ticks >= QUIET_TICKS:
                rendering.sounding = False
                ended_s = round(at_s - (QUIET_TICKS - 1) * FRAME_S, 2)
                self._mark(ended_s, key_of(direction), "end")
                rendering.spans.rendering_ends(ended_s)

    def _floor_event(self, direction: Direction, at_s: float, event: FloorEvent) -> None:
        self._mark(at_s, key_of(direction), event.kind.value, event.by)
        if event.kind is FloorEventKind.RESTORED:
            self._telemetry.backchannels["ignored"] += 1
        elif event.kind is FloorEventKind.CUT and event.by:
            self._telemetry.backchannels["yielded"] += 1
            if event.onset_s is not None:
                self._telemetry.yields.add(max(0.0, event.at_s - event.onset_s))

    def _fact_check(self, checked: Checked, tick: int, *, mismatch: bool) -> FactCheck:
        at_s, n, key = self._media_s(tick), self._facts.next_n, key_of(checked.direction)
        found = checked.result
        if not isinstance(found, FactsChecked):
            return FactCheck(
                n=n,
                at_s=at_s,
                direction=key,
                verdict="term",
                heard=plain(found.term.heard),
                spoken="",
                differences=(
                    FactDifference(
                        kind="missing", fact="term", heard=plain(found.term.heard), spoken=found.term.spoken
                    ),
                ),
            )
        # A difference in facts that the role does not have checked is none.
        verdict = found.verdict.value if mismatch or found.verdict.value != "mismatch" else "match"
        return FactCheck(
            n=n,
            at_s=at_s,
            direction=key,
            verdict=verdict,
            heard=found.heard_text,
            spoken=found.spoken_text,
            heard_facts=tuple(map(_fact_mark, found.heard_facts)),
            spoken_facts=tuple(map(_fact_mark, found.spoken_facts)),
            differences=tuple(map(_fact_difference, found.differences)),
        )


def key_of(direction: Direction) -> str:
    """What stands for a direction on a page."""
    return f"{direction.speaker_id}:{direction.language_in}>{direction.language_out}"


def _fact_mark(fact: Fact) -> FactMark:
    return FactMark(fact=fact.kind.value, value=fact.value, start=fact.start, end=fact.end)


def _fact_difference(one: Difference) -> FactDifference:
    either = one.heard or one.spoken
    return FactDifference(
        kind=one.kind.value,
        fact="" if either is None else either.kind.value,
        heard="" if one.heard is None else one.heard.value,
        spoken="" if one.spoken is None else one.spoken.value,
    )


def _shown(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
