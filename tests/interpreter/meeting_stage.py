"""A meeting on a manual clock: people who hum when a test lets them, sessions that say what a test gives them."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from duplex_model.contract import (
    Pcm,
    Prompt,
    Session,
    StepFlag,
    StepOutput,
    StepTiming,
    TickGrid,
)
from interpreter.clock import ManualClock
from interpreter.commands.commands import Actor
from interpreter.commands.control import Answer
from interpreter.commands.memory_file import MemoryFile
from interpreter.commands.table import Standing
from interpreter.ears.voice_model import VoiceModel, VoiceState
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import MeetingSettings
from interpreter.record.follower import Follower
from interpreter.record.record import RecordSettings
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.library import load_library
from tests.fakes import FRAME_S, Ear, FakeRoom, ToneTrack, tone
from tests.interpreter.engines import PuppetEngine, PuppetSession
from webrtc.room import Caption, CaptionKind, Listening

ANA_HZ, BEN_HZ, CAT_HZ = 300.0, 500.0, 700.0  # whole periods in a frame: spectra without leakage
EN_HZ, ES_HZ, FR_HZ = 1_000.0, 1_250.0, 1_500.0
NOTICE_HZ = 2_000.0
NOTICE_FRAMES = 5
HZ = {"en": EN_HZ, "es": ES_HZ, "fr": FR_HZ}
WALL_S = 1_760_000_000.0
LIBRARY = load_library()
HOST = Actor(name="Dr. Host", standing=Standing.HOST, token_hash="0123456789abcdef")


class LoudIsVoice(VoiceModel):
    """A model of voice activity for which every sound is a voice."""

    def __init__(self) -> None:
        pass

    def listen(self, pcm: Pcm, state: VoiceState) -> tuple[float, VoiceState]:
        return float(np.abs(pcm).max() > 0.02), state


class Mouth(ToneTrack):
    """Somebody who hums while a test says so."""

    def __init__(self, hz: float, *, speaking: bool = False) -> None:
        super().__init__(hz, sounds=lambda n: self.speaking)
        self.speaking = speaking


class Lines:
    """What sessions say: a frame for each piece given for their languages, silence for an empty one and then."""

    def __init__(self) -> None:
        self.left: dict[tuple[str, str], deque[str]] = defaultdict(deque)

    def __call__(self, prompt: Prompt, frame: Pcm) -> tuple[Pcm, str]:
        heard, said = prompt.language_in, prompt.language_out
        lines = self.left[heard, said]
        if not lines:
            return np.zeros_like(frame), ""
        piece = lines.popleft()
        silent = heard == said or not piece
        return np.zeros_like(frame) if silent else tone(HZ[said]), piece


class NoticeSession(PuppetSession):
    """Says every text it is given by the same hum."""

    saying: Future[None] | None = None
    frames_left = 0

    def say(self, text: str, *, now: bool = False) -> Future[None]:
        self.saying, self.frames_left = Future(), NOTICE_FRAMES
        return self.saying

    def answer(self, frames: int | None = None) -> None:
        if self.saying is None:
            super().answer(frames)
            return
        while self.held:
            future, frame = self.held.pop(0)
            sounds = self.frames_left > 0
            self.frames_left -= 1
            if self.frames_left == 0:
                self.saying.set_result(None)
            now_s = self.engine.now_s()
            future.set_result(
                StepOutput(
                    pcm=tone(NOTICE_HZ) if sounds else np.zeros_like(frame),
                    text="",
                    timing=StepTiming(received_s=now_s, started_s=now_s, finished_s=now_s),
                    flags=StepFlag.AS_SELF if sounds else StepFlag.NONE,
                )
            )


class StageEngine(PuppetEngine):
    """A puppet that can also say notices, and whose capabilities a test chooses."""

    def __init__(self, grid: TickGrid, clock: ManualClock, **changes: Any) -> None:
        self.lines = Lines()
        super().__init__(grid, clock.now_s, say=self.lines)
        self.change(**changes)

    def change(self, **changes: Any) -> None:
        self._capabilities = replace(self._capabilities, **changes)

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        future = super().open(prompt, seed=seed)
        puppet = self.opened.pop()
        session = NoticeSession(self, puppet.prompt, puppet.seed)
        del self.sessions[id(puppet)]
        self.sessions[id(session)] = session
        self.opened.append(session)
        future = Future()
        future.set_result(session)
        return future

    def serving(self, language_in: str, language_out: str) -> list[PuppetSession]:
        """Open sessions of people, not of notices."""
        return [
            session
            for session in self.sessions.values()
            if (session.prompt.language_in, session.prompt.language_out) == (language_in, language_out)
            and getattr(session, "saying", None) is None
        ]


@dataclass
class Stage:
    """A meeting whose time a test moves in ticks."""

    clock: ManualClock
    room: FakeRoom
    engines: Mapping[str, StageEngine]
    meeting: Meeting
    mouths: dict[str, Mouth] = field(default_factory=dict)
    requests: int = 0

    @property
    def engine(self) -> StageEngine:
        return next(iter(self.engines.values()))

    async def ticks(self, n: int) -> None:
        for _ in range(n):
            await self.clock.advance(FRAME_S)

    async def seconds(self, seconds: float) -> None:
        await self.ticks(round(seconds / FRAME_S))

    def join(
        self, who: str, language: str, hz: float, *, speaking: bool = False, name: str = "", **attributes: str
    ) -> Ear:
        self.mouths[who] = Mouth(hz, speaking=speaking)
        return self.room.join(who, language, self.mouths[who], name=name, **attributes)

    def say(self, language_in: str, language_out: str, words: str | Sequence[str]) -> None:
        """Has the sessions of a direction say words, one each frame, from the next frame on."""
        pieces = [f" {word}" for word in words.split()] if isinstance(words, str) else words
        self.engine.lines.left[language_in, language_out].extend(pieces)

    async def ask(self, who: str, name: str, /, **arguments: Any) -> Answer:
        """Gives a command from somebody's page; what they are answered."""
        self.requests += 1
        request_id = f"r{self.requests}"
        self.room.command(who, request_id, name, **arguments)
        await self.clock.advance(0.0)
        reply = self.room.replies(who)[request_id]
        return Answer(accepted=reply.accepted, text=reply.text, language=reply.language)

    def order(self, name: str, /, **arguments: Any) -> Answer:
        """Gives a command as a host at a console."""
        return self.meeting.command(name, arguments, HOST)

    def captions(self, who: str, kind: CaptionKind = CaptionKind.RENDERING) -> list[Caption]:
        """What somebody was shown, each caption as it stood last."""
        shown: dict[str, Caption] = {}
        for message in self.room.told.get(who, []):
            if isinstance(message, Caption) and message.kind is kind:
                shown[message.id] = message
        return list(shown.values())

    def read(self, who: str, kind: CaptionKind = CaptionKind.RENDERING) -> list[str]:
        return [caption.text for caption in self.captions(who, kind)]

    def told_by_interpreter(self, who: str) -> str:
        """Everything the interpreter said of itself to somebody."""
        return " ".join(self.read(who, CaptionKind.AS_SELF))

    def events(self) -> list[dict[str, Any]]:
        """The audit log's, without its own members."""
        records = [json.loads(line)["record"] for line in self.meeting._record.audit.lines]
        return [record for record in records if record["kind"] == "event"]


@asynccontextmanager
async def stage(
    *,
    role: str = "meeting-simultaneous",
    engines: Mapping[str, Mapping[str, Any]] | None = None,
    record: RecordSettings | None = None,
    transcribe: bool = False,
    spoken_notices: bool = False,
    listening: Listening = Listening.PER_LISTENER,
    cancel_echo: bool = False,
    interpretation: Mapping[str, Any] = MappingProxyType({}),
    follower: Follower | None = None,
    memory: MemoryFile | None = None,
    **capabilities: Any,
) -> AsyncIterator[Stage]:
    """A meeting with engines of the given capabilities; without notices unless they are asked for."""
    clock = ManualClock(100.0)
    grid = TickGrid(origin_s=99.99)
    named = engines or {"engine": capabilities}
    puppets = {name: StageEngine(grid, clock, **changes) for name, changes in named.items()}
    room = FakeRoom(listening)
    settings = MeetingSettings(
        cancel_echo=cancel_echo,  # tones are periodic, and periodic sounds have echoes everywhere
        record=record or RecordSettings(),
        interpretation=InterpretationSettings(
            roles=RoleAssignment(default=LIBRARY.find(role)),
            library=LIBRARY,
            transcribe=transcribe,
            spoken_notices=spoken_notices,
        ),
    )
    settings = replace(settings, interpretation=replace(settings.interpretation, **interpretation))
    async with Meeting(
        room,
        puppets,
        clock,
        settings,
        voice_model=LoudIsVoice(),
        wall_s=lambda: WALL_S + clock.now_s(),
        follower=follower,
        memory=memory,
    ) as meeting:
        yield Stage(clock, room, puppets, meeting)
