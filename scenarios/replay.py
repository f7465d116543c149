"""Replays a scenario through the real meeting: in memory on a clock of its own, or in real time and through WebRTC.

timeline ── tracks ──> Players' room ──> Meeting ──> engine
^                          │
└── what waits for the interpreter is said when it is due ── Heard
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from duplex_model.contract import FRAME_S, Engine, Pcm, TickGrid
from interpreter.clock import Clock, ManualClock, MonotonicClock
from interpreter.commands.commands import CHAT_PREFIX, Actor
from interpreter.commands.table import Standing
from interpreter.ears.voice_model import VoiceModel
from interpreter.identity.keys import IdentityKey
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.metrics import Count
from interpreter.record.record import RecordSettings
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.library import RoleLibrary, load_library, load_role
from interpreter.roles.role import Role
from scenarios.cast_script import CastScript, Spoken
from scenarios.errors import Undelivered
from scenarios.faults import Fault
from scenarios.faulty import faulty_role, is_deaf_to, warp_of
from scenarios.heard import Heard
from scenarios.hosted_players import LATEST_S, SENT_AHEAD_S, HostedPlayers
from scenarios.live_track import NETWORK_S, LiveTrack
from scenarios.lockstep import LockstepEngine
from scenarios.memory_room import MemoryRoom
from scenarios.perfect import PerfectEngine, interpreter_voice
from scenarios.plan import Moments, Plan, check_during, due_s, length_s, plan_of, voice_of
from scenarios.players import Players
from scenarios.recordings import scenario_say
from scenarios.run_log import GivenCommand, RunLog
from scenarios.run_time import RunTime
from scenarios.scenario_checks import actor_of
from scenarios.scenario_file import (
    CommandGiven,
    Drop,
    Item,
    Joins,
    Leaves,
    Loss,
    NoiseMade,
    Said,
    Scenario,
)
from scenarios.sounds import noise
from scenarios.timeline import Say, render
from webrtc.room import SAMPLE_RATE_HZ

LONGEST_S = 240.0
"""A scenario that has not come to its end by then never will."""

AFTERWARDS_S = 6.0
"""From the last that happens to the end of the run, and longer while something is still said."""

ENDLESS_S = 30.0
"""An interpreter that has not come to an end so long after everything else is not waited for any longer."""

MOST_SKIPPED = 0.05
"""Share of the ticks that a machine may be too late for; beyond, a run says more of it than of the interpreter."""

JOINED_WITHIN_S = 3.0
"""People come into the hosted room so long before the run begins."""

PREPARED_WITHIN_S = 300.0
"""In real time the interpreter's own sentences are spoken before anybody comes; those that are not by then are late."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a scenario is replayed."""

    real_time: bool = False
    """On the machine's clock, not on one that goes as fast as the machine can."""

    hosted: bool = False
    """In the hosted room, through WebRTC; only in real time."""

    engine: Engine | None = None
    """Interprets; the scripted interpreter without one. On the virtual clock the meeting waits for its answers."""

    notice_sounds: Path | None = None
    """Where the sound of the engine's own sentences is kept between runs."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A finished run, and what only a replay knows of it."""

    log: RunLog
    moments: Moments
    role: Role
    human_asked_s: float | None
    """When a page first showed that somebody asked for a human."""


def role_of(scenario: Scenario) -> Role:
    """The role of the scenario's interpreter, with what its file says otherwise.

    Raises:
        ConfigError: there is no such role.
    """
    setup = scenario.interpreter
    role = _library().find(setup.role) if setup.role_file is None else load_role(setup.role_file)
    mode = setup.mode or role.mode
    policies = role.policies
    if setup.reminder is not None:
        policies = replace(policies, reminder_min=setup.reminder.s / 60.0)
    return replace(role, mode=mode, policies=policies)


@cache
def _library() -> RoleLibrary:
    """That of the package; to read it takes as long as three seconds of a run on the virtual clock."""
    return load_library()


async def replay(
    scenario: Scenario,
    say: Say,
    *,
    voice_model: VoiceModel,
    fault: Fault | None = None,
    way: Way | None = None,
    progress: Callable[[float], None] = lambda at_s: None,
) -> Replayed:
    """One run; on the virtual clock, in memory and with the scripted interpreter unless `way` says otherwise.

    Args:
        scenario: no draft.
        say: speaks texts, such as `Speaker.say`.
        voice_model: shared by all runs.
        fault: what the interpreter does wrong; nothing by default.
        way: of the replay.
        progress: is told the time of the run, now and then.

    Raises:
        Undelivered: something did not happen as it is written.
        SpeechError: something cannot be said.
    """
    run = _Run(scenario, scenario_say(scenario, say), role_of(scenario), fault, way or Way())
    return await run.whole(voice_model, progress)


class _Run:
    """One replay, from its beginning to its end."""

    def __init__(self, scenario: Scenario, say: Say, role: Role, fault: Fault | None, way: Way) -> None:
        self._scenario = scenario
        self._say = say
        self._role = role
        self._fault = fault
        self._way = way
        self._clock: Clock = MonotonicClock() if way.real_time else ManualClock(_start_s(way.engine))
        self._time = RunTime(self._clock)
        self._plan: Plan = plan_of(scenario)
        fixed = render(self._plan.timeline, say)
        delay_s = -SENT_AHEAD_S if way.hosted else NETWORK_S
        self._tracks = {
            person: LiveTrack(track.pcm, time=self._time, duration_s=LONGEST_S, delay_s=delay_s)
            for person, track in fixed.items()
        }
        self._script = CastScript(self._tracks)
        if way.hosted:
            self._script.latest_s = LATEST_S
        self._moments = Moments()
        self._players: Players = (
            HostedPlayers(self._time, {person.language for person in scenario.participants.values()})
            if way.hosted
            else MemoryRoom(self._time, warp_of(fault, self._own_rendering))
        )
        self._who: dict[str, str] = {}  # participant -> their name in the run, another after a drop
        self._back: list[tuple[float, str]] = []  # when somebody who was lost comes back
        self._commands: list[GivenCommand] = []
        self._ended_s = 0.0
        spans = {one.utterance.id: one.span for track in fixed.values() for one in track.placed}
        check_during(scenario, spans)
        for name, span in spans.items():
            self._note_said(scenario.item(name), span.start_s)
        self._waiting = list(self._plan.waiting)
        self._due = sorted(
            (self._fixed_s(name), name) for name in self._plan.fixed if not self._is_in_track(name)
        )

    async def whole(self, voice_model: VoiceModel, progress: Callable[[float], None]) -> Replayed:
        """Everything, then the log."""
        self._check_way()
        scripted = None
        if self._way.engine is None:
            scripted = PerfectEngine(
                self._script,
                self._scenario.languages,
                self._say,
                grid=TickGrid(origin_s=self._clock.now_s()),
                now_s=self._clock.now_s,
                fault=self._fault,
            )
        self._heard = Heard(
            self._scenario,
            self._role,
            self._time,
            self._players,
            self._script,
            self._moments,
            self._say,
            None if scripted is None else scripted.words,
        )
        engine: Engine | None = scripted or self._way.engine
        assert engine is not None
        if scripted is None and not self._way.real_time:
            engine = LockstepEngine(engine)
        with TemporaryDirectory(prefix="replay-") as kept:
            counts = await self._meet(engine, self._settings(Path(kept)), voice_model, progress)
        if scripted is not None:
            scripted.close()
        if undelivered := self._players.undelivered():
            raise Undelivered(undelivered)
        return Replayed(
            log=self._heard.log(self._ended_s, self._commands, counts),
            moments=self._moments,
            role=self._role,
            human_asked_s=self._players.witness.human_asked_s,
        )

    def _check_way(self) -> None:
        """Refuses what pages of the hosted room cannot do: lose packets at will, play other than what they get."""
        if not self._way.hosted:
            return
        lossy = [item.id for item in self._scenario.items if isinstance(item.action, Loss)]
        if lossy:
            raise Undelivered(
                f"expected no loss of packets in the hosted room, got {', '.join(lossy)}; replay it with --room memory"
            )
        if self._fault in (Fault.CLIPS, Fault.ECHO_BACK):
            raise Undelivered(
                f"expected a fault of the interpreter in the hosted room, got {self._fault.value}, which is one of "
                "what people are played; replay it with --room memory"
            )

    def _settings(self, kept: Path) -> MeetingSettings:
        return MeetingSettings(
            seed=self._scenario.seed,
            interpretation=InterpretationSettings(
                roles=RoleAssignment(default=faulty_role(self._role, self._fault)),
                library=_library(),
                spoken_requests=self._fault not in (Fault.IGNORES_HUMAN, Fault.IGNORES_STOP),
            ),
            record=_record_of(self._scenario, kept),
            notice_sounds=self._way.notice_sounds,
        )

    async def _meet(
        self,
        engine: Engine,
        settings: MeetingSettings,
        voice_model: VoiceModel,
        progress: Callable[[float], None],
    ) -> Mapping[str, int]:
        """The meeting; what it counted."""
        async with AsyncExitStack() as stack:
            if isinstance(self._players, HostedPlayers):
                await stack.enter_async_context(self._players)
            meeting = await stack.enter_async_context(
                Meeting(
                    self._players.room,
                    {"scripted" if self._way.engine is None else "engine": engine},
                    self._clock,
                    settings,
                    voice_model=voice_model,
                    wall_s=self._clock.now_s,
                    observe=self._heard.observe,
                )
            )
            self._meeting = meeting
            if self._way.real_time or self._way.engine is not None:
                await self._prepare(meeting)
            later = {item.by for item in self._scenario.items if isinstance(item.action, Joins)}
            self._time.origin_s = self._clock.now_s() + (JOINED_WITHIN_S if self._way.hosted else 0.0)
            for name in self._scenario.participants:
                if name not in later:
                    self._enter(name)
            await self._players.all_in()
            if self._time.now_s() > FRAME_S:
                raise Undelivered(f"expected everybody in within {JOINED_WITHIN_S:g} s, got them later")
            ended = asyncio.create_task(meeting.ended(), name="end of the meeting")
            stack.callback(ended.cancel)
            await self._until_over(progress, ended)
            return self._counts(meeting)

    async def _prepare(self, meeting: Meeting) -> None:
        """Has what is spoken in the run spoken before it: nobody waits for a voice in real time."""
        for item in self._scenario.items:
            action = item.action
            if isinstance(action, Said):
                spoken = self._scenario.participants[item.by or ""].primary_language
                self._say(action.texts[spoken], voice_of(self._scenario, item))
                for language, text in [*action.texts.items(), *action.faulty.items()]:
                    self._say(text, interpreter_voice(language))
        meeting.prepare(self._scenario.languages)
        until_s = self._clock.now_s() + PREPARED_WITHIN_S
        while meeting.notices_left and self._clock.now_s() < until_s:
            await self._pass_to(self._clock.now_s() + FRAME_S)

    # Time -----------------------------------------------------------------------------------------------------------

    async def _until_over(self, progress: Callable[[float], None], ended: asyncio.Task[None]) -> None:
        over_since_s = quiet_since_s = 0.0
        tick = 0
        while (now_s := self._time.now_s()) < LONGEST_S:
            if ended.done():
                raise Undelivered(f"expected the meeting to go on, got its end: {ended.exception()}")
            self._do_due(now_s)
            if self._is_going_on(now_s):
                over_since_s = quiet_since_s = now_s
            elif self._heard.is_saying(now_s) and now_s - over_since_s < ENDLESS_S:
                quiet_since_s = now_s
            enough_s = max(
                quiet_since_s + max(AFTERWARDS_S, self._scenario.tail.s),
                self._scenario.lasts.s if self._scenario.lasts else 0.0,
            )
            if now_s >= enough_s:
                self._ended_s = now_s
                return
            tick += 1
            await self._pass_to(self._time.origin_s + tick * FRAME_S)
            self._heard.follow()
            if tick % 25 == 0:
                progress(now_s)
                await asyncio.sleep(0)
        raise Undelivered(f"expected {self._scenario.id} to end within {LONGEST_S:g} s, got no end")

    async def _pass_to(self, clock_s: float) -> None:
        """Lets time come to `clock_s` of the meeting's clock."""
        if isinstance(self._clock, ManualClock):
            await self._clock.advance_to(clock_s)
        else:
            await self._clock.sleep_until(clock_s)

    def _is_going_on(self, now_s: float) -> bool:
        """Whether the scenario is not over: something is still to come, or somebody is speaking."""
        return bool(self._due or self._waiting or self._back) or now_s < self._last_sound_s()

    def _counts(self, meeting: Meeting) -> Mapping[str, int]:
        counts = meeting.metrics.snapshot().counts
        ticks, skipped = counts[Count.TICKS], counts[Count.SKIPPED_TICKS]
        if skipped > MOST_SKIPPED * (ticks + skipped):
            raise Undelivered(
                f"expected a machine that keeps time, got {skipped} of {ticks + skipped} ticks skipped"
            )
        return {what.value: n for what, n in counts.items() if n}

    def _do_due(self, now_s: float) -> None:
        """Does what is due before the next tick."""
        soon_s = now_s + FRAME_S
        while self._due and self._due[0][0] < soon_s:
            at_s, name = self._due.pop(0)
            self._do(self._scenario.item(name), max(at_s, now_s))
        for at_s, name in [one for one in self._back if one[0] < soon_s]:
            self._back.remove((at_s, name))
            self._script.came_back.add(name)
            self._enter(name)
        for item in list(self._waiting):
            due = due_s(self._scenario, item, self._moments)
            if due is not None and due < soon_s:
                self._waiting.remove(item)
                self._do(item, max(due, now_s))

    def _do(self, item: Item, at_s: float) -> None:
        action = item.action
        self._moments.starts.setdefault(item.id, at_s)
        self._moments.ends.setdefault(
            item.id, at_s + (0.0 if isinstance(action, Said) else length_s(item, self._scenario.seed))
        )
        who = item.by or ""
        match action:
            case Said():
                self._speak(item, at_s)
            case NoiseMade():
                sound = noise(action.sound, action.level.dbfs, self._scenario.seed)
                self._tracks[who].add(sound, max(at_s, self._tracks[who].heard / SAMPLE_RATE_HZ))
            case CommandGiven():
                self._command(item, action.line, at_s)
            case Loss():
                self._tracks[who].lose(action.share.of_one, at_s, at_s + action.lasts.s, self._scenario.seed)
            case Drop():
                self._players.leave(self._who.pop(who), lost=True)
                self._back.append((at_s + action.lasts.s, who))
            case Joins():
                self._enter(who)
            case Leaves():
                self._players.leave(self._who.pop(who))

    def _speak(self, item: Item, at_s: float) -> None:
        """Says what had to wait."""
        at_s = max(at_s, self._tracks[item.by or ""].heard / SAMPLE_RATE_HZ)
        speech = self._note_said(item, at_s).speech
        action = item.action
        gain_db = action.gain_db if isinstance(action, Said) else 0.0
        pcm = np.asarray(speech.pcm * np.float32(10.0 ** (gain_db / 20.0)), dtype=np.float32)
        self._tracks[item.by or ""].add(pcm, at_s)

    def _note_said(self, item: Item, start_s: float) -> Spoken:
        action = item.action
        assert isinstance(action, Said)
        person = self._scenario.participants[item.by or ""]
        language = person.primary_language
        spoken = Spoken(
            id=item.id,
            person=item.by or "",
            language=language,
            kind=action.kind,
            texts=action.texts,
            # Of another fault of words nobody knows what it says here.
            faulty=action.faulty if self._fault is self._scenario.catches else {},
            speech=self._say(action.texts[language], voice_of(self._scenario, item)),
            start_s=start_s,
        )
        self._script.say(spoken)
        self._moments.starts[item.id] = start_s
        self._moments.ends[item.id] = spoken.end_s
        return spoken

    def _enter(self, name: str) -> None:
        person = self._scenario.participants[name]
        number = sum(one == name for one in self._heard.people.values())
        who = name if number == 0 else f"{name}-{number + 1}"
        self._who[name] = who
        self._heard.people[who] = name
        self._players.join(who, person.name or name, person.language, self._tracks[name], host=person.host)

    def _command(self, item: Item, line: str, at_s: float) -> None:
        """Gives a command by chat, as it would be typed."""
        name = line.split()[0]
        given = actor_of(self._scenario, item)
        who = self._who.get(given.participant_id or "")
        actor = replace(given, participant_id=None if who is None else self._players.id_of(who))
        if self._fault is Fault.OBEYS_ANYBODY:
            actor = Actor(name=actor.name, standing=Standing.HOST, participant_id=actor.participant_id)
        if is_deaf_to(self._fault, name):
            refusal = ""
        else:
            answer = self._meeting.chat(f"{CHAT_PREFIX} {line}", actor)
            refusal = answer.text if answer is not None and not answer.accepted else ""
        self._commands.append(GivenCommand(name=name, by=item.by or "operator", at_s=at_s, refused=refusal))

    def _own_rendering(self, who: str) -> Pcm | None:
        return self._heard.own_rendering(who)

    def _last_sound_s(self) -> float:
        return max(self._moments.ends.values(), default=0.0)

    def _fixed_s(self, name: str) -> float:
        """When a fixed item that is not said happens."""
        anchor = self._plan.fixed[name]
        if anchor.of is None:
            return anchor.delay_s
        edges = self._moments.starts if anchor.edge.value == "start" else self._moments.ends
        return edges[anchor.of] + anchor.delay_s

    def _is_in_track(self, name: str) -> bool:
        return isinstance(self._scenario.item(name).action, Said | NoiseMade)


def _start_s(engine: Engine | None) -> float:
    """Where a virtual clock starts: on a tick of the engine's grid, which began with the engine."""
    return 0.0 if engine is None else engine.grid.time_of(engine.grid.next_tick(time.monotonic()))


def _record_of(scenario: Scenario, folder: Path) -> RecordSettings:
    """What people are told is kept; `folder` goes with the run."""
    keep = scenario.interpreter.keep
    if not keep:
        return RecordSettings(key=_TEST_KEY)
    return RecordSettings(key=_TEST_KEY, keep="audio" if "audio" in keep else "text", folder=folder)


_TEST_KEY = IdentityKey.generate()
"""Nothing that it signs leaves a run."""
