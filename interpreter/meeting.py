"""A meeting: people in a room, a session per direction, a mix per listener, all on the engine's ticks.

Two loops share the work, so that a slow answer never holds up hearing:

    tick n     pull everybody's frame, feed the sessions, set the time its mix is played (tick n + cushion)
    mix n      wait for the answers to tick n, at most until its deadline; mix and hand over what is there

Mixes follow one another in order; as the cushion is at most two ticks, at most three ticks are ever in between.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Engine, Pcm, StepFlag, StepOutput
from interpreter.captions import CaptionWriter
from interpreter.clock import Clock, FrameClock, Tick
from interpreter.cushion import Cushion, CushionSettings
from interpreter.directions import Direction, needed_directions, primary_language, served_directions
from interpreter.errors import UnsupportedRoom
from interpreter.levels import Meter
from interpreter.metrics import Count, Metrics, Stage
from interpreter.misheard import Misheard
from interpreter.mixdown import MixState, mix_tick
from interpreter.mixing import LIMIT_DELAY_S, Ducking
from interpreter.notices import Person, notices_for
from interpreter.routing import Routes, hears, route
from interpreter.sessions import SessionEvents, Sessions, SessionState
from webrtc.room import (
    Caption,
    IncomingAudio,
    IncomingFrame,
    Levels,
    Listening,
    Notice,
    NoticeLevel,
    Participant,
    ParticipantChanged,
    ParticipantJoined,
    ParticipantLeft,
    Room,
    RoomEvent,
    RoomMessage,
    TrackMuted,
    TrackStarted,
    TrackStopped,
)

logger = logging.getLogger(__name__)

MAX_CATCH_UP_TICKS = 25
"""2 s: what was said in a longer hold-up is pulled, so that delay does not grow, but no longer interpreted."""

_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, kw_only=True)
class MeetingSettings:
    """How a meeting sounds."""

    seed: int = 0
    """Every session's seed is derived from it."""

    ducking: Ducking = field(default_factory=Ducking)
    cushion: CushionSettings = field(default_factory=CushionSettings)


@dataclass(eq=False)
class _Attendee:
    """A participant as the meeting knows them."""

    participant: Participant
    language: str | None
    audio: IncomingAudio | None = None
    muted: bool = False
    isolated: bool = False
    meter: Meter = field(default_factory=Meter)
    shown: Mapping[str, Notice] = field(default_factory=dict)
    """Notices they see, by id."""


@dataclass(eq=False)
class _PendingMix:
    """A tick that was heard and is not mixed yet."""

    tick: Tick
    frames: Mapping[str, IncomingFrame]
    at_s: float
    """When the first packet of its mix is sent."""

    deadline_s: float
    answered: asyncio.Future[None]


class Meeting:
    """Holds a meeting in `room` while entered: `async with Meeting(room, engine, clock) as meeting:`.

    Entering enters the room, leaving leaves it and closes the sessions; the engine stays its owner's.

    Args:
        room: where people are; its listeners must each have their own mix.
        engine: whose sessions interpret, and whose grid the meeting follows.
        clock: the one `engine.grid` refers to.
        settings: how the meeting sounds.
    """

    def __init__(
        self, room: Room, engine: Engine, clock: Clock, settings: MeetingSettings | None = None
    ) -> None:
        if room.listening is not Listening.PER_LISTENER:
            raise UnsupportedRoom(
                f"expected a room with a mix per listener, got one with {room.listening.value}"
            )
        self.metrics = Metrics()
        self._room = room
        self._engine = engine
        self._clock = clock
        self._settings = settings or MeetingSettings()
        self._attendees: dict[str, _Attendee] = {}
        self._cushion = Cushion(self._settings.cushion)
        self._routes: Routes = route({}, ())
        self._mix_state = MixState()
        self._refused: frozenset[Direction] = frozenset()
        self._writers: dict[Direction, CaptionWriter] = {}
        self._caption_ids = itertools.count(1)
        self._misheard = Misheard()
        self._pending: asyncio.Queue[_PendingMix] = asyncio.Queue()
        self._awaited: dict[int, _PendingMix] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._stale = True  # routes and notices do not follow the latest change yet

    async def __aenter__(self) -> Self:
        """Enters the room and begins with the next tick."""
        await self._room.__aenter__()
        self._sessions = Sessions(
            engine=self._engine,
            seed=self._settings.seed,
            now_s=self._clock.now_s,
            post=asyncio.get_running_loop().call_soon_threadsafe,
            events=SessionEvents(said=self._said, answered=self._answered, changed=self._mark_stale),
            metrics=self.metrics,
        )
        self._tasks = (
            asyncio.create_task(self._follow_room(), name="room events"),
            asyncio.create_task(self._hear_forever(), name="ticks"),
            asyncio.create_task(self._mix_forever(), name="mixes"),
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
        await self._room.__aexit__(exc_type, exc, traceback)

    async def ended(self) -> None:
        """Returns when the room has ended; raises what made the meeting itself fail."""
        await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()

    # People ---------------------------------------------------------------------------------------------------------

    async def _follow_room(self) -> None:
        async for event in self._room.events():
            self._apply(event)

    def _apply(self, event: RoomEvent) -> None:
        match event:
            case ParticipantJoined(participant=participant) | ParticipantChanged(participant=participant):
                self._place(participant)
            case ParticipantLeft(participant_id=participant_id):
                self._attendees.pop(participant_id, None)
                self._rearrange()
            case TrackStarted(participant_id=participant_id, audio=audio):
                self._set_audio(participant_id, audio)
            case TrackStopped(participant_id=participant_id):
                self._set_audio(participant_id, None)
            case TrackMuted(participant_id=participant_id, muted=muted):
                if attendee := self._attendees.get(participant_id):
                    attendee.muted = muted

    def _place(self, participant: Participant) -> None:
        language = primary_language(participant.attributes.get("language", ""))
        attendee = self._attendees.setdefault(participant.id, _Attendee(participant, language))
        attendee.participant, attendee.language = participant, language
        self._rearrange()

    def _set_audio(self, participant_id: str, audio: IncomingAudio | None) -> None:
        attendee = self._attendees.get(participant_id)
        if attendee is None:
            return
        attendee.audio = audio
        attendee.isolated = False  # a new track is a new chance
        self._mark_stale()

    def _rearrange(self) -> None:
        """Opens and closes sessions after people or languages changed."""
        needed = needed_directions(self._languages())
        served = served_directions(needed, self._engine.capabilities)
        self._refused = needed - served
        self._sessions.want(served, self._clock.now_s())
        for direction in [d for d in self._writers if d not in served]:
            self._show_captions(direction, self._writers.pop(direction).finish())
        self._misheard.keep(served)
        self._mark_stale()

    def _languages(self) -> Mapping[str, str | None]:
        return {attendee_id: attendee.language for attendee_id, attendee in self._attendees.items()}

    # Hearing --------------------------------------------------------------------------------------------------------

    async def _hear_forever(self) -> None:
        async for tick in FrameClock(self._engine.grid, self._clock):
            self._hear_tick(tick)

    def _hear_tick(self, tick: Tick) -> None:
        self.metrics.count(Count.TICKS, 1 + tick.skipped)
        self.metrics.count(Count.SKIPPED_TICKS, tick.skipped)
        self.metrics.took(Stage.TICK_LATENESS, tick.late_s)
        self._sessions.open_due(self._clock.now_s())
        for index in range(tick.index - tick.skipped, tick.index):
            frames = self._pull(index)  # too late to be heard by anybody, but not to be interpreted
            if tick.index - index <= MAX_CATCH_UP_TICKS:
                self._sessions.feed(index, frames, self._clock.now_s())
        frames = self._pull(tick.index)
        mix = self._schedule(tick, frames)
        self._sessions.feed(tick.index, frames, self._clock.now_s())
        self._pending.put_nowait(mix)
        if self._misheard.advance(tick.index) or self._stale:
            self._refresh()
        self._show_levels(frames)

    def _pull(self, index: int) -> Mapping[str, IncomingFrame]:
        """Everybody's frame of one tick; who sends nothing, is muted or isolated has none."""
        time_s = self._engine.grid.time_of(index)
        frames: dict[str, IncomingFrame] = {}
        for attendee_id, attendee in self._attendees.items():
            if attendee.audio is None or attendee.isolated:
                continue
            with self._isolating(attendee):
                frame = _checked(attendee.audio.pull(time_s))
                self._measure(frame, time_s)
                if not attendee.muted:  # pulled all the same: their buffer must move on
                    frames[attendee_id] = frame
        return frames

    def _measure(self, frame: IncomingFrame, time_s: float) -> None:
        if not frame.silent:
            self.metrics.took(Stage.CAPTURE_TO_PULL, time_s - frame.captured_at_s - FRAME_S)
        self.metrics.count(Count.CONCEALED_SAMPLES, frame.concealed_samples)
        self.metrics.count(Count.RECOVERED_SAMPLES, frame.recovered_samples)

    def _schedule(self, tick: Tick, frames: Mapping[str, IncomingFrame]) -> _PendingMix:
        self.metrics.took(Stage.CUSHION, self._cushion.value_s)
        mix = _PendingMix(
            tick=tick,
            frames=frames,
            at_s=tick.time_s + self._cushion.value_s,
            deadline_s=tick.time_s + self._cushion.deadline_s,
            answered=asyncio.get_running_loop().create_future(),
        )
        self._awaited[tick.index] = mix
        return mix

    @contextmanager
    def _isolating(self, attendee: _Attendee) -> Iterator[None]:
        """Whatever goes wrong with one participant inside stays with them: they are taken out and told."""
        try:
            yield
        except Exception:
            if attendee.isolated:  # still shown notices, which may fail as well
                return
            logger.exception("participant %s is isolated", attendee.participant.id)
            attendee.isolated = True
            self.metrics.count(Count.PARTICIPANTS_ISOLATED)
            self._mark_stale()

    # Sessions -------------------------------------------------------------------------------------------------------

    def _said(self, direction: Direction, tick: int, output: StepOutput) -> None:
        writer = self._writers.get(direction)
        if writer is None:
            writer = self._writers[direction] = CaptionWriter(
                direction, lambda: f"c{next(self._caption_ids)}"
            )
        self._show_captions(direction, writer.add(output.text, tick))
        if StepFlag.UNSURE in output.flags:
            self._misheard.note(direction, tick)
            self.metrics.count(Count.FRAMES_MISHEARD)
            self._mark_stale()

    def _answered(self, tick: int) -> None:
        now_s = self._clock.now_s()
        readiness_s = now_s - self._engine.grid.time_of(tick)
        self.metrics.took(Stage.READINESS, readiness_s)
        self._cushion.observe(readiness_s, now_s)
        mix = self._awaited.pop(tick, None)
        if mix is not None and not mix.answered.done():
            mix.answered.set_result(None)

    # Mixing ---------------------------------------------------------------------------------------------------------

    async def _mix_forever(self) -> None:
        while True:
            mix = await self._pending.get()
            await self._answered_or_due(mix)
            self._play(mix)

    async def _answered_or_due(self, mix: _PendingMix) -> None:
        if mix.answered.done():
            return
        due = asyncio.create_task(self._clock.sleep_until(mix.deadline_s), name="mix deadline")
        try:
            await asyncio.wait((mix.answered, due), return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
        if not mix.answered.done():
            self.metrics.count(Count.MIXES_WITHOUT_ANSWER)
            self._awaited.pop(mix.tick.index, None)

    def _play(self, mix: _PendingMix) -> None:
        started_s = self._clock.now_s()
        if started_s >= mix.at_s + FRAME_S:
            # Nobody would hear this mix any more; what the sessions said stays queued and is heard later.
            self.metrics.count(Count.MIXES_MISSED)
            return
        originals = {attendee_id: frame.pcm for attendee_id, frame in mix.frames.items()}
        renderings = self._sessions.take(mix.tick.index)
        self._mix_state, mixes = mix_tick(
            self._mix_state, self._routes, originals, renderings, self._settings.ducking
        )
        for listener_id, pcm in mixes.items():
            attendee = self._attendees.get(listener_id)
            if attendee is not None and not attendee.isolated:
                with self._isolating(attendee):
                    self._play_to(listener_id, mix, pcm)
        self._measure_play(mix, started_s)

    def _play_to(self, listener_id: str, mix: _PendingMix, pcm: Pcm) -> None:
        outgoing = self._room.outgoing(listener_id)
        if outgoing is not None:
            outgoing.play(mix.tick.index, pcm, mix.at_s)

    def _measure_play(self, mix: _PendingMix, started_s: float) -> None:
        now_s = self._clock.now_s()
        self.metrics.took(Stage.MIX, now_s - started_s)
        self.metrics.took(Stage.SPARE, mix.at_s - now_s)
        self.metrics.count(Count.LATE_PLAYS, now_s > mix.at_s)
        for frame in mix.frames.values():
            if not frame.silent:
                self.metrics.took(Stage.CAPTURE_TO_PLAY, mix.at_s + LIMIT_DELAY_S - frame.captured_at_s)

    # Telling --------------------------------------------------------------------------------------------------------

    def _mark_stale(self) -> None:
        self._stale = True

    def _refresh(self) -> None:
        """Brings routes and notices up to the latest change; at most once a tick, however much changed."""
        self._stale = False
        states = self._sessions.states
        rendered = [d for d, state in states.items() if state is SessionState.OPEN]
        self._routes = route(self._languages(), rendered)
        told = {**states, **dict.fromkeys(self._refused, SessionState.REFUSED)}
        people = [_person(attendee) for attendee in self._attendees.values()]
        can = self._engine.capabilities
        for attendee in self._attendees.values():
            notices = notices_for(
                _person(attendee),
                people,
                told,
                translates=can.translates,
                demonstration=can.demonstration,
                misheard=self._misheard.directions,
                asked=self._misheard.speakers,
            )
            self._show(attendee, notices)

    def _show(self, attendee: _Attendee, notices: Mapping[str, Notice]) -> None:
        """Shows what is new, and clears what no longer holds."""
        gone = [
            Notice(id=key, level=NoticeLevel.INFO, text="") for key in attendee.shown if key not in notices
        ]
        new = [notice for key, notice in notices.items() if attendee.shown.get(key) != notice]
        attendee.shown = notices
        for notice in [*gone, *new]:
            self._tell(attendee, notice)

    def _show_captions(self, direction: Direction, captions: Iterable[Caption]) -> None:
        """Shows what is said in `direction` to those whom it is said for."""
        for caption in captions:
            for attendee_id, attendee in self._attendees.items():
                if hears(attendee_id, attendee.language, direction):
                    self._tell(attendee, caption)

    def _show_levels(self, frames: Mapping[str, IncomingFrame]) -> None:
        for attendee_id, attendee in self._attendees.items():
            frame = frames.get(attendee_id)
            attendee.meter = attendee.meter.after(_SILENCE if frame is None else frame.pcm)
        levels = Levels(
            dbfs={attendee_id: attendee.meter.dbfs for attendee_id, attendee in self._attendees.items()},
            speaking=frozenset(i for i, attendee in self._attendees.items() if attendee.meter.speaking),
        )
        for attendee in self._attendees.values():
            if not attendee.isolated:
                self._tell(attendee, levels)

    def _tell(self, attendee: _Attendee, message: RoomMessage) -> None:
        with self._isolating(attendee):
            self._room.tell(attendee.participant.id, message)


def _person(attendee: _Attendee) -> Person:
    return Person(
        id=attendee.participant.id,
        name=attendee.participant.name,
        language=attendee.language,
        isolated=attendee.isolated,
    )


def _checked(frame: IncomingFrame) -> IncomingFrame:
    """`frame`, or an error where a room broke its promise: not [1920], or samples that are no numbers."""
    if frame.pcm.shape != (FRAME_SAMPLES,) or not np.isfinite(frame.pcm).all():
        raise ValueError(f"expected {FRAME_SAMPLES} finite samples, got shape {list(frame.pcm.shape)}")
    return frame
