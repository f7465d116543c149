"""A hosted meeting with taps on its path of sound, and browsers that join it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from duplex_model.process import EngineProcess
from duplex_model.spec import EngineSpec
from interpreter.clock import MonotonicClock
from interpreter.meeting import Meeting
from tests.browser.chromium import Participant
from tests.journey import TappedEngine, Taps
from webrtc.hosted.room import PeerFactory
from webrtc.hosted.server import HostedServer, HostedSettings
from webrtc.peer import IceSettings, Peer
from webrtc.tracks import Fill

real_peer: PeerFactory = partial(Peer, ice=IceSettings(), fill=Fill.COMFORT_NOISE)


@dataclass
class HostedMeeting:
    """What a test can see of a meeting."""

    link: str
    meeting: Meeting
    taps: Taps
    engine: TappedEngine


@asynccontextmanager
async def hosted_meeting(
    spec: EngineSpec, make_peer: PeerFactory = real_peer, *, ready_within_s: float = 30
) -> AsyncIterator[HostedMeeting]:
    """The real thing: server, room, meeting, and the engine in a process of its own."""
    taps = Taps(make_peer)
    process = EngineProcess(spec)
    try:
        process.wait_ready(ready_within_s)
        engine = TappedEngine(process)
        async with HostedServer(HostedSettings(), make_peer=taps) as server:
            room = server.add_room("test")
            async with Meeting(room, engine, MonotonicClock()) as meeting:
                yield HostedMeeting(server.link(room), meeting, taps, engine)
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


async def wait_until(person: Participant, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    """Waits in the browser's event loop until something is true of the server."""
    for _ in range(round(timeout_s / 0.05)):
        if condition():
            return
        await person.page.wait_for_timeout(50)
    raise TimeoutError(f"not so within {timeout_s} s")
