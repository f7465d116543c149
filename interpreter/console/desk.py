"""All rooms of a process, as those at a console see them and act on them.

Everything here runs on the event loop of the meetings. What commands do that are the console's own is in `errands`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol, runtime_checkable

from duplex_model.contract import Engine
from duplex_model.supervision import EnginePhase, EngineState
from interpreter.commands.commands import Actor, describe, permitted
from interpreter.commands.table import COMMANDS, Standing
from interpreter.console.board import About, Board
from interpreter.console.deltas import Json, to_json
from interpreter.console.ledger import Kept, Ledger
from interpreter.console.pages import Page
from interpreter.console.snapshot import (
    KEPT_NOTES,
    Alert,
    AtConsole,
    Cost,
    EngineLoad,
    House,
    Note,
    Notes,
    PageOffered,
    RoleOffered,
    RoomLevels,
    RoomState,
    VoiceOffered,
)
from interpreter.console.telemetry import EngineSteps, Gauges, Telemetry
from interpreter.identity.files import LineFile
from interpreter.meeting.meeting import Meeting
from interpreter.metrics import Count
from interpreter.record.cost import CostSnapshot
from interpreter.roles.library import RoleLibrary
from webrtc.room import Listening

ROOM_ID_CHARACTERS = 8

Join = Callable[[str], Awaitable[None]]
"""Has the interpreter go into the room at an address; raises `InterpreterError` or `WebRTCError` where it cannot."""


@dataclass(eq=False, kw_only=True)
class OpenRoom:
    """A room that is interpreted in."""

    id: str
    name: str
    transport: str
    meeting: Meeting
    ledger: Ledger
    board: Board
    invite: Callable[[], str] | None = None
    """Gives the link by which people come in."""

    leave: Callable[[], None] | None = None
    """Has the interpreter leave the room."""

    notes: Kept[Note] = field(default_factory=lambda: Kept(KEPT_NOTES))
    notes_file: LineFile | None = None


@dataclass(frozen=True, kw_only=True)
class DeskSettings:
    """What the desk is told at the start."""

    version: str
    library: RoleLibrary
    languages: tuple[str, ...]
    """Primary tags that people may speak."""


@runtime_checkable
class HasState(Protocol):
    """An engine that runs apart from this process."""

    @property
    def state(self) -> EngineState:
        """Where it is in its life."""
        ...


class Desk:
    """The rooms of a process.

    Args:
        settings: what does not change.
        engines: by name.
        now_s: monotonic.
        wall_s: wall clock, Unix seconds.
        pages: further pages by name.
        join: has the interpreter go into a room; None where this process goes into no further ones.
        telemetry: that is counted into; by default a new one.
    """

    def __init__(
        self,
        settings: DeskSettings,
        engines: Mapping[str, Engine],
        *,
        now_s: Callable[[], float],
        wall_s: Callable[[], float],
        pages: Mapping[str, Page] | None = None,
        join: Join | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.telemetry = telemetry or Telemetry()
        self.rooms: dict[str, OpenRoom] = {}
        self.operators: dict[str, AtConsole] = {}
        self.pages = dict(pages or {})
        self.join = join
        self.settings = settings
        self._engines = engines
        self._now_s = now_s
        self.wall_s = wall_s
        self._started_at = round(wall_s(), 1)
        self._ended: list[CostSnapshot] = []  # of meetings that are over, added up into one
        self._back = 0  # people who came back to meetings that are over
        self._cost: tuple[float, Cost] | None = None
        self._roles = {
            name: RoleOffered(
                titles=role.title,
                summaries=role.summary,
                mode=role.mode,
                voice=role.voice,
                version=role.version,
            )
            for name, role in settings.library.roles.items()
        }
        self._alerts_since: dict[str, float] = {}

    # Rooms ----------------------------------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """What is to follow a meeting that will be opened."""
        return Ledger(self.telemetry, self.wall_s)

    @contextmanager
    def opened(
        self,
        meeting: Meeting,
        ledger: Ledger,
        *,
        name: str,
        transport: str,
        listening: Listening,
        invite: Callable[[], str] | None = None,
        leave: Callable[[], None] | None = None,
    ) -> Iterator[OpenRoom]:
        """Shows a meeting, which is entered, to those at a console.

        Args:
            meeting: that is held.
            ledger: that follows it.
            name: of the room; a room of that name has the same id after a restart.
            transport: hosted, jitsi-service, jitsi or janus.
            listening: how its listeners are reached.
            invite: gives the link by which people come in.
            leave: has the interpreter leave.
        """
        record = meeting.record
        about = About(name=name, transport=transport, listening=listening, stored=record.stored)
        room = OpenRoom(
            id=self._free_id(f"{transport}/{name}"),
            name=name,
            transport=transport,
            meeting=meeting,
            ledger=ledger,
            board=Board(about, ledger),
            invite=invite,
            leave=leave,
        )
        if record.folder is not None and record.keep != "nothing":
            room.notes_file = LineFile(record.folder / "notes.jsonl")
        self.rooms[room.id] = room
        try:
            yield room
        finally:
            del self.rooms[room.id]
            self._ended.append(meeting.cost())
            self._back += meeting.metrics.counted(Count.PARTICIPANTS_BACK)
            if room.notes_file is not None:
                room.notes_file.__exit__(None, None, None)

    def _free_id(self, name: str) -> str:
        number, digest = 0, ""
        while not digest or digest in self.rooms:
            text = f"{name}/{number}" if number else name
            digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:ROOM_ID_CHARACTERS]
            number += 1
        return digest

    # What is shown --------------------------------------------------------------------------------------------------

    def house(self) -> House:
        """Everything beside the rooms themselves."""
        now_at = self.wall_s()
        return House(
            version=self.settings.version,
            started_at=self._started_at,
            rooms={
                room.id: room.board.summary(room.meeting.overview(), room.meeting.levels().speaking, now_at)
                for room in self.rooms.values()
            },
            operators=dict(self.operators),
            engines=(engines := {name: self._load(name, engine) for name, engine in self._engines.items()}),
            cost=self.cost(),
            roles=self._roles,
            voices=self._voices(),
            languages=self.settings.languages,
            pages={
                name: PageOffered(titles=page.titles, module=f"/pages/{name}/page.js")
                for name, page in self.pages.items()
            },
            can_join=self.join is not None,
            alerts=self._alerts(engines, now_at),
        )

    def room(self, room_id: str) -> RoomState | None:
        """One room in full; None when it is not there."""
        room = self.rooms.get(room_id)
        if room is None:
            return None
        meeting = room.meeting
        return room.board.room(
            meeting.overview(), meeting.levels().speaking, meeting.microphones_off, self.wall_s()
        )

    def notes(self, room_id: str) -> Notes | None:
        """One room's notes; None when it is not there."""
        room = self.rooms.get(room_id)
        return None if room is None else Notes(notes=room.notes.items)

    def levels(self, room_id: str) -> RoomLevels | None:
        """How loud everybody in a room is; None when it is not there."""
        room = self.rooms.get(room_id)
        if room is None:
            return None
        levels = room.meeting.levels()
        return RoomLevels(
            at_s=room.ledger.now_s,
            people={who: round(dbfs, 1) for who, dbfs in levels.dbfs.items() if dbfs > -100.0},
            speaking=tuple(sorted(levels.speaking)),
            directions=room.ledger.levels_of_directions(),
        )

    def cost(self) -> Cost:
        """What all meetings took; added up once a second at most."""
        now_s = self._now_s()
        if self._cost is None or now_s - self._cost[0] >= 1.0:
            self._ended = [_sum(self._ended)]
            self._cost = (
                now_s,
                _shown(_sum([*self._ended, *(room.meeting.cost() for room in self.rooms.values())])),
            )
        return self._cost[1]

    def gauges(self) -> Gauges:
        """What is so at the moment, for metrics."""
        return Gauges(
            sessions={name: engine.sessions_open for name, engine in self._engines.items()},
            lanes={name: engine.capabilities.lanes for name, engine in self._engines.items()},
            jitter_ms=[delay for room in self.rooms.values() for delay in room.meeting.jitter_ms],
            engine_s=self.cost().engine_s,
            people_back=self._back
            + sum(room.meeting.metrics.counted(Count.PARTICIPANTS_BACK) for room in self.rooms.values()),
            rooms=len(self.rooms),
            people=sum(len(room.meeting.overview().people) for room in self.rooms.values()),
        )

    def not_ready(self) -> list[str]:
        """What is missing for meetings to be interpreted, in words; empty where nothing is."""
        return [
            f"engine {name} is {engine.state.phase.value}"
            for name, engine in self._engines.items()
            if isinstance(engine, HasState) and engine.state.phase is not EnginePhase.READY
        ]

    def accounts(self) -> dict[str, Json]:
        """Engines, keys and cost, for the System page."""
        return {
            "engines": to_json({name: self._load(name, one) for name, one in self._engines.items()}),
            "not_ready": to_json(self.not_ready()),
            "cost": to_json(self.cost()),
            "rooms": {
                room.id: {
                    "name": room.name,
                    "cost": to_json(_shown(room.meeting.cost())),
                    "keeps": room.meeting.record.keep,
                    "stored": to_json(tuple(sorted(one.value for one in room.meeting.record.stored))),
                    "key": room.meeting.record.thumbprint,
                }
                for room in self.rooms.values()
            },
        }

    def commands_for(self, actor: Actor) -> Sequence[Mapping[str, object]]:
        """The commands that somebody may give, described."""
        names = {spec.name for spec in permitted(actor)} - _ONE_S_OWN
        described = describe()["commands"]
        assert isinstance(described, list)
        return [one for one in described if one["name"] in names]

    def _load(self, name: str, engine: Engine) -> EngineLoad:
        can, used = engine.capabilities, engine.sessions_open
        recent = self.telemetry.engines.get(name, EngineSteps()).recent(self._now_s())
        return EngineLoad(
            checkpoint=can.checkpoint,
            licence=can.licence,
            domain=can.domain,
            translates=can.translates,
            lanes=can.lanes,
            used=used,
            free=max(0, can.lanes - used),
            tick_p50_ms=recent.p50_ms,
            tick_p95_ms=recent.p95_ms,
            busy=recent.busy,
            demonstration=can.demonstration,
        )

    def _voices(self) -> dict[str, VoiceOffered]:
        engines: dict[str, list[str]] = {}
        for name, engine in self._engines.items():
            for voice in engine.capabilities.voices:
                engines.setdefault(voice, []).append(name)
        meeting = next((room.meeting for room in self.rooms.values()), None)
        return {
            voice: VoiceOffered(engines=tuple(names), preview=meeting is not None and meeting.samples(voice))
            for voice, names in sorted(engines.items())
        }

    def _alerts(self, engines: Mapping[str, EngineLoad], now_at: float) -> dict[str, Alert]:
        found: dict[str, tuple[str, str, str]] = {}
        for name, engine in engines.items():
            if engine.tick_p95_ms > engine.tick_budget_ms:
                found[f"engine-slow/{name}"] = ("warning", "engine-slow", name)
            if engine.demonstration:
                found[f"demonstration/{name}"] = ("info", "demonstration", name)
        self._alerts_since = {key: self._alerts_since.get(key, round(now_at, 1)) for key in found}
        return {
            key: Alert(level=level, code=code, about=about, since_at=self._alerts_since[key])
            for key, (level, code, about) in found.items()
        }


_ONE_S_OWN = frozenset(
    spec.name
    for spec in COMMANDS.values()
    if spec.subject is not None and spec.subject.others is None and spec.who <= Standing.PARTICIPANT
)
"""What everybody does for themselves alone, and so nobody at a console."""


def _sum(costs: Sequence[CostSnapshot]) -> CostSnapshot:
    money = [one.money for one in costs if one.money is not None]
    held = [one.money_held for one in costs if one.money_held is not None]
    return CostSnapshot(
        directions={},
        interpreted_s=sum(one.interpreted_s for one in costs),
        engine_s=sum(one.engine_s for one in costs),
        elapsed_s=sum(one.elapsed_s for one in costs),
        currency=next((one.currency for one in costs if one.currency), None),
        money=sum(money, Decimal(0)) if money else None,
        money_held=sum(held, Decimal(0)) if held else None,
    )


def _shown(cost: CostSnapshot) -> Cost:
    return Cost(
        interpreted_s=round(cost.interpreted_s, 1),
        engine_s=round(cost.engine_s, 1),
        elapsed_s=round(cost.elapsed_s),
        currency=cost.currency or "",
        money="" if cost.money is None else f"{cost.money:.4f}",
        money_held="" if cost.money_held is None else f"{cost.money_held:.4f}",
    )
