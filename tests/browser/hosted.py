"""A hosted meeting with taps on its path of sound, and browsers that join it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.clock import MonotonicClock
from interpreter.interpretation.interpretation import InterpretationSettings
from interpreter.meeting.meeting import Meeting
from interpreter.meeting.settings import DEFAULT_ROLE, MeetingSettings
from interpreter.metrics import Stage
from interpreter.roles.assignment import RoleAssignment
from interpreter.roles.library import load_library
from tests.browser.chromium import Participant
from tests.journey import TappedEngine, Taps
from webrtc.hosted.room import PeerFactory
from webrtc.hosted.server import HostedServer, HostedSettings
from webrtc.hosted.whip import Door, Invitee
from webrtc.peer import IceSettings, Peer
from webrtc.tracks import Fill


def path_alone() -> MeetingSettings:
    """A meeting in which everything that is said is heard at once: for tests of the path of sound by tones.

    People who hum all the time would interrupt each other for ever, and tones have echoes everywhere.
    """
    library = load_library()
    role = library.find(DEFAULT_ROLE)
    frank = replace(role, policies=replace(role.policies, yields=False))
    return MeetingSettings(
        cancel_echo=False,
        interpretation=InterpretationSettings(
            roles=RoleAssignment(default=frank), library=library, spoken_notices=False
        ),
    )


KEPT_TIME_MS = 10.0  # an idle machine's event loop takes 5

real_peer: PeerFactory = partial(Peer, ice=IceSettings(), fill=Fill.COMFORT_NOISE)


@dataclass
class HostedMeeting:
    """What a test can see of a meeting."""

    link: str
    call_urls: Mapping[Door, str]
    """Where invited people call, without a page."""

    meeting: Meeting
    taps: Taps
    engine: TappedEngine


def kept_time(hosted: HostedMeeting) -> bool:
    """Whether nearly all ticks were served at once: the machine had time for the browsers and for us.

    What a test says of times on the clock holds only then; what it counts in media time always does.
    """
    return hosted.meeting.metrics.snapshot().stages[Stage.TICK_LATENESS].p99_ms < KEPT_TIME_MS


@asynccontextmanager
async def hosted_meeting(
    spec: EngineSpec,
    make_peer: PeerFactory = real_peer,
    *,
    settings: MeetingSettings | None = None,
    ready_within_s: float = 30,
    people: tuple[Invitee, ...] = (),
    origins: tuple[str, ...] = (),
) -> AsyncIterator[HostedMeeting]:
    """The real thing: server, room, meeting, and the engine in a process of its own.

    Args:
        spec: of the engine.
        make_peer: makes the peer of each page.
        settings: of the meeting; `path_alone` by default.
        ready_within_s: how long the engine may take to start.
        people: who may call by WHIP and WHEP.
        origins: of pages that may.
    """
    taps = Taps(make_peer)
    process = EngineProcess(spec)
    try:
        process.wait_ready(ready_within_s)
        engine = TappedEngine(process)
        async with HostedServer(HostedSettings(call_origins=origins), make_peer=taps) as server:
            room = server.add_room("test", people=people)
            async with Meeting(room, engine, MonotonicClock(), settings or path_alone()) as meeting:
                call_urls = {door: server.call_url(room, door) for door in Door}
                yield HostedMeeting(server.link(room), call_urls, meeting, taps, engine)
    finally:
        process.close()


async def join(person: Participant, link: str, name: str, language: str) -> None:
    """Joins as a person would, with the browser's voice processing off so that levels and tones are exact."""
    await person.page.goto(f"{link}?processing=off")
    form = person.page.locator("#join-view")
    await form.get_by_label("Your name").fill(name)
    await form.get_by_label("My language").select_option(language)
    await form.get_by_role("button", name="Join", exact=True).click()
    await person.page.wait_for_function("window.roomState?.connection === 'connected'")


async def wait_until(
    person: Participant,
    condition: Callable[[], bool],
    timeout_s: float = 15.0,
    instead: Callable[[], str] = lambda: "nothing told",
) -> None:
    """Waits in the browser's event loop until something is true of the server.

    Args:
        person: whose page goes on meanwhile.
        condition: looked at 20 times a second.
        timeout_s: of the wall clock; on a busy machine media time runs behind it.
        instead: what was so in place of it, for the error.

    Raises:
        TimeoutError: it did not become true.
    """
    for _ in range(round(timeout_s / 0.05)):
        if condition():
            return
        await person.page.wait_for_timeout(50)
    raise TimeoutError(f"not so within {timeout_s} s; instead: {instead()}")
