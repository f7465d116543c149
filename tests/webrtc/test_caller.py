"""The calling end of a connection, against a `Peer`."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from tests.fakes import FRAME_S, amplitude, tone
from webrtc.caller import Caller
from webrtc.peer import IceSettings, Peer
from webrtc.room import IncomingAudio, OutgoingAudio
from webrtc.tracks import Fill

pytestmark = pytest.mark.media

FRAMES = 20


async def talk(outgoing: OutgoingAudio, incoming: IncomingAudio, hz: float) -> float:
    """Hums for 1.6 s while listening; gives the level of what is heard, when the two pitches add up to 1000 Hz."""
    heard = []
    start_s = time.monotonic()
    for n in range(FRAMES):
        outgoing.play(n, tone(hz, n), start_s + n * FRAME_S)
        await asyncio.sleep(max(0.0, start_s + (n + 1) * FRAME_S - time.monotonic()))
        heard.append(incoming.pull(start_s + (n + 1) * FRAME_S).pcm)
    return amplitude(np.concatenate(heard[-8:]), 1_000.0 - hz)


@pytest.mark.slow
async def test_both_ends_hear_each_other() -> None:
    audio: asyncio.Future[IncomingAudio] = asyncio.get_running_loop().create_future()
    peer = Peer(
        ice=IceSettings(), fill=Fill.SILENCE, on_audio=audio.set_result, on_closed=lambda reason: None
    )
    async with Caller() as caller, asyncio.timeout(20):
        incoming = await caller.accept(await peer.answer(await caller.offer()))
        levels = await asyncio.gather(
            talk(caller.outgoing, incoming, 400.0), talk(peer.outgoing, await audio, 600.0)
        )
        assert levels == pytest.approx([0.1, 0.1], rel=0.3)
    await peer.close()
