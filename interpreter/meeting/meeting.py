"""A meeting: people in a room, a session per direction, a mix per listener, all on the engine's ticks.

Two loops share the work, so that a slow answer never holds up hearing:

    tick n     pull everybody's frame, feed the sessions, set the time its mix is played (tick n + cushion)
    mix n      wait for the answers to tick n, at most until its deadline; mix and hand over what is there

Who is interpreted for whom, and what is heard of it when, is for `interpretation` to say. `attendees` know whose sound
it is, `mix_queue` is what lies between the two loops, and `playout` has the mixes heard. This is what drives them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

from duplex_model.contract import FRAME_S, Engine, Pcm, StepFlag, StepOutput
from interpreter.clock import Clock, FrameClock, Tick
from interpreter.commands.commands import Actor
from interpreter.commands.control import Answer
from interpreter.commands.memory_file import MemoryFile
from interpreter.commands.table import Standing
from interpreter.directions import Direction, primary_language
from interpreter.ears.ear import Ear
from interpreter.ears.voice_model import VoiceModel
from interpreter.floor.floor import Played
from interpreter.identity.audit import token_hash
from interpreter.identity.passport import RoleClaim
from interpreter.interpretation.interpretation import Interpretation
from interpreter.interpretation.members import Presence
from interpreter.interpretation.overview import Overview
from interpreter.meeting.attendees import Attendees, Pulled
from interpreter.meeting.memory_keeper import MemoryKeeper
from interpreter.meeting.mix_queue import HeardTick, MixQueue
from interpreter.meeting.playout import Playout
from interpreter.meeting.settings import MeetingSettings
from interpreter.metrics import Count, Metrics, Stage
from interpreter.mixing.mixdown import Sounds
from interpreter.mixing.mixing import LIMIT_DELAY_S
from interpreter.notices.studio import NoticeStudio
from interpreter.record.cost import CostSnapshot
from interpreter.record.follower import Follower
from interpreter.record.record import Record
from interpreter.roles.checksum import role_checksum
from interpreter.sessions.sessions import SessionEvents, Sessions
from webrtc.room import (
    EMAIL,
    STANDING,
    Attestation,
    ChatWritten,
    CommandGiven,
    Hindered,
    Levels,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Replied,
    Room,
    RoomEvent,
    TrackMuted,
    TrackStarted,
    TrackStopped,
)

logger = logging.getLogger(__name__)

MAX_CATCH_UP_TICKS = 25
"""2 s: what was said in a longer hold-up is pulled, so that delay does not grow, but no longer interpreted."""

Observe = Callable[[int, float, Mapping[Direction, Played]], None]
"""Tick, when its first sample leaves, and what happened on every floor."""


class Meeting:
    """Holds a meeting in `room` while entered: `async with Meeting(room, engines, clock) as meeting:`.

    Entering enters the room, leaving leaves it and closes the sessions; the engines stay their owner's.

    Args:
        room: where people are. Where its listeners do not have a mix each, there is a channel for each language, and
            everybody hears all of them beside the originals: their own rendering too, which cannot be helped.
        engines: whose sessions interpret, by name, the preferred first; all on one tick grid, that of the meeting.
        clock: the one the grid refers to.
        settings: how the meeting sounds.
        voice_model: that tells who speaks; loaded when not given.
        wall_s: wall clock, Unix seconds, for what is kept.
        observe: is told of every tick what was said in it; must return at once.
        follower: is told what goes on.
        memory: where what was chosen is kept for another process to take up; None for nowhere.
    """

    def __init__(
        self,
        room: Room,
        engines: Engine | Mapping[str, Engine],
        clock: Clock,
        settings: MeetingSettings | None = None,
        *,
        voice_model: VoiceModel | None = None,
        wall_s: Callable[[], float] = time.time,
        observe: Observe | None = None,
        follower: Follower | None = None,
        memory: MemoryFile | None = None,
    ) -> None:
        self.metrics = Metrics()
        self._room = room
        self._engines = engines if isinstance(engines, Mapping) else {"engine": engines}
        first, *others = self._engines.values()
        if any(other.grid != first.grid for other in others):
            raise ValueError("expected engines on one tick grid, got several")
        self._grid = first.grid
        self._clock = clock
        self._settings = settings or MeetingSettings()
        self._wall_s = wall_s
        self._observe = observe
        self._follower = follower or Follower()
        self._memory = MemoryKeeper(memory)
        self._attendees = Attendees(
            new_ear=partial(Ear, voice_model or VoiceModel(), cancels_echo=self._settings.cancel_echo),
            tell=room.tell,
            isolate=self._isolate,
            metrics=self.metrics,
        )
        self._mixes = MixQueue(clock, self._settings.cushion, self.metrics)
        self._playout = Playout(room, self._attendees)
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        """Enters the room and begins with the next tick."""
        await self._room.__aenter__()
        now_s = self._clock.now_s()
        self._sessions = Sessions(
            engines=self._engines,
            seed=self._settings.seed,
            now_s=self._clock.now_s,
            post=asyncio.get_running_loop().call_soon_threadsafe,
            events=SessionEvents(said=self._said, answered=self._answered, changed=self._mark_stale),
            metrics=self.metrics,
        )
        self._studio = studio = NoticeStudio(
            self._engines,
            self._clock,
            voice=self._settings.interpretation.roles.default.voice,
            folder=self._settings.notice_sounds,
            untested=self._settings.untested_say,
            awaited=self._sessions.await_lane,
        )
        interpretation = self._settings.interpretation
        role = interpretation.roles.default
        self._record = Record(
            self._settings.record,
            room=self._room.name,
            first_tick=self._grid.next_tick(now_s),
            role=RoleClaim(name=role.name, checksum=role_checksum(role, "", "")),
            now_s=now_s,
            wall_s=self._wall_s,
            attest=self._attest,
            follower=self._follower,
        )
        memory = await self._memory.load(self._wall_s())
        self._interpretation = Interpretation(
            interpretation,
            engines=self._engines,
            sessions=self._sessions,
            studio=studio,
            record=self._record,
            stored=self._settings.record.stored,
            tell=self._attendees.tell,
            listening=self._room.listening,
            follower=self._follower,
            cut_short=self._cut_short,
            memory=memory,
        )
        self._tasks = (
            asyncio.create_task(self._follow_room(), name="room events"),
            asyncio.create_task(self._hear_forever(), name="ticks"),
            asyncio.create_task(self._mix_forever(), name="mixes"),
            asyncio.create_task(studio.run(), name="notices"),
            asyncio.create_task(self._memory.run(), name="memory"),
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the sessions, then leaves the room."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception) and outcome is not exc:
                logger.error("the meeting had failed", exc_info=outcome)
        self._sessions.close()
        await self._memory.save()
        self._record.end()
        await asyncio.to_thread(self._record.close, self._attendees.names)
        await self._room.__aexit__(exc_type, exc, traceback)

    async def ended(self) -> None:
        """Returns when the room has ended; raises what made the meeting itself fail."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    def prepare(self, languages: Collection[str]) -> None:
        """Has the interpreter's own sentences spoken before anybody needs them, while lanes are free.

        Args:
            languages: primary languages that people may speak.
        """
        self._interpretation.prepare(languages)

    @property
    def people(self) -> int:
        """How many are in the room."""
        return len(self._attendees)

    @property
    def people_ever(self) -> int:
        """How many have been in it."""
        return len(self._attendees.names)

    @property
    def notices_left(self) -> int:
        """How many of the interpreter's own sentences are still to be spoken, and kept."""
        return self._studio.left

    async def say_goodbye(self, within_s: float) -> None:
        """Ends the interpretation with its closing notice; returns when everybody was read it, or after `within_s`."""
        self._interpretation.close_interpretation()
        now_s = self._clock.now_s()
        until_s = now_s + within_s
        said = not self._interpretation.all_read
        while not self._interpretation.all_read and now_s < until_s:
            await self._clock.sleep_until(now_s + FRAME_S)
            now_s = self._clock.now_s()
        if said:  # what was mixed last has yet to be played
            await self._clock.sleep_until(min(until_s, now_s + self._settings.cushion.max_s + FRAME_S))

    def command(self, name: str, arguments: Mapping[str, object], actor: Actor) -> Answer:
        """Does what somebody asks of the interpreter, wherever they typed or clicked it, or says why not.

        Args:
            name: of the command (see `command_table`), untrusted, as are the arguments.
            arguments: by name, as text or JSON values.
            actor: who asks; their standing is vouched for by the caller.
        """
        answer = self._interpretation.obey(name, arguments, actor, self._clock.now_s())
        self._memory.note()
        return answer

    def chat(self, line: str, actor: Actor) -> Answer | None:
        """The same for a line of chat, such as `!interp pause`; None for one that is no command."""
        answer = self._interpretation.obey_chat(line, actor, self._clock.now_s())
        self._memory.note()
        return answer

    def order(
        self,
        asked: Sequence[tuple[str, Mapping[str, object]]],
        actor: Actor,
        expect: int | None,
        language: str | None = None,
    ) -> Answer:
        """Does what somebody at a console asks, all of it or nothing; see `Interpretation.order`.

        Raises:
            CommandError: a command is none, not theirs, or about what was changed since.
        """
        answer = self._interpretation.order(asked, actor, expect, self._clock.now_s(), language)
        self._memory.note()
        return answer

    @property
    def revision(self) -> int:
        """How often what was asked for has changed."""
        return self._interpretation.revision

    def overview(self) -> Overview:
        """The meeting as it stands, for whoever runs it."""
        return self._interpretation.overview()

    def levels(self) -> Levels:
        """How loud everybody was at the last tick."""
        return self._attendees.levels()

    @property
    def microphones_off(self) -> Collection[str]:
        """Ids of those who switched their microphones off."""
        return self._attendees.microphones_off

    @property
    def jitter_ms(self) -> Collection[float]:
        """How long each track's packets are kept, where a room tells."""
        return self._attendees.jitter_ms

    @property
    def record(self) -> Record:
        """What is kept of the meeting."""
        return self._record

    @property
    def names(self) -> Mapping[str, str]:
        """Participant id -> name of everybody there ever was."""
        return self._attendees.names

    async def sample(self, voice: str, language: str, text: str) -> Pcm | None:
        """A text as a voice says it, pcm [N]; None where no engine can, or no lane is free for it."""
        return await self._studio.sample(voice, language, text)

    def samples(self, voice: str) -> bool:
        """Whether any engine can say a given text with a voice."""
        return self._studio.samples(voice)

    def forget(self) -> None:
        """Leaves nothing of what was chosen for another process to take up: the meeting is over for good."""
        self._memory.forget()

    def cost(self) -> CostSnapshot:
        """What the meeting took so far."""
        return self._record.cost(self._clock.now_s())

    # People ---------------------------------------------------------------------------------------------------------

    async def _follow_room(self) -> None:
        async for event in self._room.events():
            self._apply(event)
            self._interpretation.arrange(self._clock.now_s())

    def _apply(self, event: RoomEvent) -> None:
        match event:
            case ParticipantJoined(participant=participant) | ParticipantChanged(participant=participant):
                self._place(participant)
            case ParticipantLeft(participant_id=who, reason=reason):
                self._attendees.leave(who, reason, self._clock.now_s())
                self._interpretation.leave(who)
            case TrackStarted(participant_id=who, audio=audio):
                self._attendees.set_audio(who, audio)
            case TrackStopped(participant_id=who):
                self._attendees.set_audio(who, None)
            case TrackMuted(participant_id=who, muted=muted):
                self._attendees.set_muted(who, muted)
            case CommandGiven():
                self._obey(event)
            case ChatWritten():
                self._read(event)
            case Hindered(by=hindrance, holds=holds):
                self._interpretation.hinder(hindrance, holds)

    def _place(self, participant: Participant) -> None:
        new = self._attendees.place(participant, self._clock.now_s())
        tags = [primary_language(tag) for tag in participant.requests]
        requests = dict.fromkeys(tag for tag in tags if tag is not None)
        presence = Presence(
            name=participant.name,
            language=primary_language(participant.attributes.get("language", "")),
            email=participant.attributes.get(EMAIL, ""),
            leads=_standing(participant) >= Standing.HOST,
            requests=tuple(requests),
            speaks=participant.speaks,
            listens=participant.listens,
        )
        self._interpretation.place(participant.id, presence)
        if new:
            self._attendees.tell(participant.id, Attestation(line=self._record.first_line))

    def _obey(self, event: CommandGiven) -> None:
        """A participant's command, answered to them."""
        participant = self._attendees.participant(event.participant_id)
        if participant is not None:
            answer = self.command(event.name, event.arguments, _actor(participant))
            self._reply(participant.id, event.request_id, answer)

    def _read(self, event: ChatWritten) -> None:
        """A line of chat; answered to whoever wrote it where it is for this interpreter."""
        participant = self._attendees.participant(event.participant_id)
        if participant is None or self._interpretation.standing_by:
            return  # the other one answers
        answer = self.chat(event.text, _actor(participant))
        if answer is not None:
            self._reply(participant.id, "", answer)

    def _reply(self, participant_id: str, request_id: str, answer: Answer) -> None:
        reply = Replied(
            request_id=request_id,
            accepted=answer.accepted,
            text=answer.text,
            language=answer.language,
        )
        self._attendees.tell(participant_id, reply)

    def _isolate(self, participant_id: str, isolated: bool) -> None:
        self._interpretation.isolate(participant_id, isolated)

    def _attest(self, line: str) -> None:
        """Sends a line of the identity chain to everybody whose page takes it; the first goes to who joins."""
        self._attendees.tell_all(Attestation(line=line))

    # Hearing --------------------------------------------------------------------------------------------------------

    async def _hear_forever(self) -> None:
        async for tick in FrameClock(self._grid, self._clock):
            self._hear(tick)

    def _hear(self, tick: Tick) -> None:
        self.metrics.count(Count.TICKS, 1 + tick.skipped)
        self.metrics.count(Count.SKIPPED_TICKS, tick.skipped)
        self.metrics.took(Stage.TICK_LATENESS, tick.late_s)
        for index in range(tick.index - tick.skipped, tick.index):
            pulled = self._pull(index)  # too late to be heard by anybody, but not to be interpreted
            if tick.index - index <= MAX_CATCH_UP_TICKS:
                self._feed(index, pulled)
        pulled = self._pull(tick.index)
        heard = self._mixes.schedule(tick, pulled)
        self._interpretation.listen(self._interpretation.talks(pulled.voices), self._clock.now_s())
        self._feed(tick.index, pulled)
        self._mixes.put(heard)
        self._interpretation.refresh(tick.index)
        self._follower.levels(tick.index, self._attendees.show_levels(pulled))

    def _pull(self, index: int) -> Pulled:
        return self._attendees.pull(self._grid.time_of(index), self._interpretation.listens_to)

    def _feed(self, index: int, pulled: Pulled) -> None:
        """Gives the sessions what they hear: in a pause of the meeting, nothing."""
        heard = {} if self._interpretation.paused else pulled.heard
        self._sessions.feed(index, heard, self._clock.now_s())

    # Sessions -------------------------------------------------------------------------------------------------------

    def _said(self, direction: Direction, tick: int, output: StepOutput) -> None:
        if StepFlag.UNSURE in output.flags:
            self.metrics.count(Count.FRAMES_MISHEARD)
        self._interpretation.said(direction, tick, output)

    def _answered(self, tick: int) -> None:
        now_s = self._clock.now_s()
        self._mixes.answered(tick, now_s - self._grid.time_of(tick), now_s)

    def _mark_stale(self) -> None:
        self._interpretation.mark_stale()

    # Mixing ---------------------------------------------------------------------------------------------------------

    async def _mix_forever(self) -> None:
        while True:
            self._mix(await self._mixes.get())

    def _mix(self, heard: HeardTick) -> None:
        started_s = self._clock.now_s()
        if started_s >= heard.at_s + FRAME_S:
            # Nobody would hear this mix any more; what the sessions said stays queued and is heard later.
            self.metrics.count(Count.MIXES_MISSED)
            return
        output = self._interpretation.advance(
            heard.index,
            self._sessions.take(heard.index),
            self._interpretation.talks(heard.pulled.voices),
            heard.at_s,
        )
        for played in output.played.values():
            if played.held_s is not None:
                self.metrics.took(Stage.HELD, played.held_s)
        if self._observe is not None:
            self._observe(heard.index, heard.at_s, output.played)
        for who, listened in heard.pulled.listened.items():
            self._record.original(heard.index, who, listened.original)
        sounds = Sounds(
            originals=heard.pulled.originals,
            renderings=output.renderings,
            asides=output.asides,
            announcements=output.announcements,
        )
        ducking = replace(self._settings.ducking, depth_db=self._interpretation.duck_db)
        self._playout.play(heard.index, heard.at_s, self._interpretation.routes, sounds, ducking)
        self._measure(heard, started_s)

    def _measure(self, heard: HeardTick, started_s: float) -> None:
        now_s = self._clock.now_s()
        self.metrics.took(Stage.MIX, now_s - started_s)
        self.metrics.took(Stage.SPARE, heard.at_s - now_s)
        self.metrics.count(Count.LATE_PLAYS, now_s > heard.at_s)
        for frame in heard.pulled.frames.values():
            if not frame.silent:
                self.metrics.took(Stage.CAPTURE_TO_PLAY, heard.at_s + LIMIT_DELAY_S - frame.captured_at_s)

    def _cut_short(self) -> None:
        self._playout.cut_short(self._clock.now_s())


def _actor(participant: Participant) -> Actor:
    return Actor(
        name=participant.name,
        standing=_standing(participant),
        participant_id=participant.id,
        token_hash=token_hash(participant.token) if participant.token else "",
    )


def _standing(participant: Participant) -> Standing:
    """What a participant may do: a room makes hosts, and nothing more."""
    is_host = participant.attributes.get(STANDING) == Standing.HOST.words
    return Standing.HOST if is_host else Standing.PARTICIPANT
