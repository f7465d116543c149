"""The media of a session, over real sockets, with the least that is a bridge."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from aiohttp import web

from tests import netns
from tests.fakes import tone
from tests.webrtc.jitsi import goldens
from tests.webrtc.jitsi.bridge import LEVEL, Bridge, pitch_hz
from webrtc.errors import SdpError
from webrtc.jitsi.bridge_channel import BridgeHello, ChannelEvent
from webrtc.jitsi.bridge_peer import BridgePeer
from webrtc.jitsi.jingle import Candidate
from webrtc.jitsi.jingle_events import HeardChanged, Offered
from webrtc.jitsi.jingle_session import JingleSession
from webrtc.jitsi.sources import Heard, RemoteSource
from webrtc.peer import IceSettings
from webrtc.room import FRAME_SAMPLES, IncomingAudio, Pcm
from webrtc.voice import OutgoingVoice

pytestmark = [pytest.mark.media, pytest.mark.slow]

FRAME_S = 0.08
FOCUS = "room@muc.meet.example/focus"
VOICES = {"anna": 440.0, "ben": 880.0, "carla": 1320.0}


class Seat:
    """What stands between signalling and media, for one session."""

    def __init__(
        self,
        bridge: Bridge,
        *,
        listens: bool = True,
        speaks: bool = True,
        excluded: frozenset[str] = frozenset(),
    ) -> None:
        self.bridge = bridge
        self.session = JingleSession(nick="00ffeedd", jid="me", listens=listens, excluded=excluded)
        self.voice = OutgoingVoice() if speaks else None
        self.tracks: dict[str, IncomingAudio] = {}
        self.ended: list[str] = []
        self.failures: list[str] = []
        self.channel_events: list[ChannelEvent] = []
        self.changed = asyncio.Event()
        self.connected = False
        self.tick = 0
        self.peer = BridgePeer(
            ice=IceSettings(),
            voice=self.voice,
            nick="00ffeedd",
            on_track=self._on_track,
            on_track_ended=lambda source: self.ended.append(source.owner),
            on_connected=self._on_connected,
            on_failed=self._on_failed,
            on_channel=self._on_channel,
            insecure=True,
        )

    async def join(self, *, web_socket: str = "") -> None:
        await self.get(await self.bridge.initiate(web_socket=web_socket))

    async def get(self, jingle: Element) -> None:
        """Takes a stanza of the focus, and does what follows."""
        reply = self.session.receive(jingle, from_jid=FOCUS, from_focus=True, now_s=time.monotonic())
        assert not reply.condition
        for event in self.session.events():
            match event:
                case Offered():
                    self.session.accept(event.sid, await self.peer.answer(event.offer, event.heard))
                    [accept] = self.session.requests()
                    self.accept = accept.jingle
                    await self.bridge.accept(accept.jingle)
                case HeardChanged():
                    await self.peer.hear(event.heard)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def listen(self, frames: int = 25) -> dict[str, Pcm]:
        """What is on every track, and at the bridge (`bridge`), for a while; the seat hums 660 Hz meanwhile."""
        audio: dict[str, IncomingAudio] = dict(self.tracks)
        if self.bridge.heard is not None:
            audio["bridge"] = self.bridge.heard
        heard: dict[str, list[Pcm]] = {name: [] for name in audio}
        start_s = time.monotonic()
        for n in range(frames):
            if self.voice is not None:
                self.voice.play(self.tick, tone(660.0, self.tick), start_s + n * FRAME_S + 0.02)
            self.tick += 1
            await asyncio.sleep(start_s + (n + 1) * FRAME_S - time.monotonic())
            for name, one in audio.items():
                heard[name].append(one.pull(time.monotonic()).pcm)
        return {name: np.concatenate(pcm[frames // 3 :]) for name, pcm in heard.items()}

    def _on_track(self, source: RemoteSource, audio: IncomingAudio) -> None:
        assert source.owner not in self.tracks
        self.tracks[source.owner] = audio
        self.changed.set()

    def _on_connected(self) -> None:
        self.connected = True
        self.changed.set()

    def _on_failed(self, reason: str) -> None:
        self.failures.append(reason)
        self.changed.set()

    def _on_channel(self, event: ChannelEvent) -> None:
        self.channel_events.append(event)
        self.changed.set()


@pytest.fixture
async def bridge() -> AsyncIterator[Bridge]:
    made = Bridge()
    yield made
    await made.close()


@pytest.fixture
async def seat(bridge: Bridge) -> AsyncIterator[Seat]:
    for owner, hz in VOICES.items():
        bridge.add_tone(owner, hz)
    made = Seat(bridge)
    yield made
    await made.peer.close()


def assert_tones(heard: dict[str, Pcm], expected: dict[str, float]) -> None:
    assert {name: round(pitch_hz(pcm) / 20) for name, pcm in heard.items()} == {
        name: round(hz / 20) for name, hz in expected.items()
    }


def decoder_threads() -> int:
    """aiortc's, one for each receiver that was started and not stopped."""
    return sum(thread.name == "audio-decoder" for thread in threading.enumerate())


async def test_everybody_arrives_on_a_track_of_their_own_and_we_at_the_bridge(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: len(seat.tracks) == 3)
    heard = await seat.listen()
    assert_tones(heard, VOICES | {"bridge": 660.0})
    for owner in VOICES:
        usual = np.sqrt(np.median(np.mean(np.square(heard[owner].reshape(-1, 480)), axis=1)))
        assert usual == pytest.approx(LEVEL / np.sqrt(2), rel=0.15)
    assert set(seat.bridge.levels) - {None} == set(seat.bridge.levels), "every packet tells its level"
    levels = [level for level in seat.bridge.levels if level is not None]
    assert np.median([level for _, level in levels]) == pytest.approx(23, abs=1), "0.1 peak is -23 dBov"

    # A fourth comes, while the others go on.
    added = seat.bridge.add_tone("dora", 1760.0)
    await seat.get(goldens.sources("source-add", xml=added))
    await seat.bridge.renegotiate()
    await seat.until(lambda: "dora" in seat.tracks)
    assert_tones(await seat.listen(), VOICES | {"dora": 1760.0, "bridge": 660.0})

    # One goes, and comes back with the same SSRC.
    decoders = decoder_threads()
    await seat.get(goldens.sources("source-remove", xml=seat.bridge.source("ben")))
    assert seat.ended == ["ben"]
    assert decoder_threads() == decoders - 1, "aiortc's thread for it is gone"
    gone = seat.tracks.pop("ben")
    assert_tones(await seat.listen(), {"anna": 440.0, "carla": 1320.0, "dora": 1760.0, "bridge": 660.0})
    now_s = time.monotonic()
    assert not gone.pull(now_s).pcm.any() or not gone.pull(now_s + 1).pcm.any()
    await seat.get(goldens.sources("source-add", xml=seat.bridge.source("ben")))
    await seat.until(lambda: "ben" in seat.tracks)
    assert_tones(await seat.listen(), VOICES | {"dora": 1760.0, "bridge": 660.0})


async def test_the_channel_names_everybody_and_hears_the_bridge(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: seat.channel_events)
    assert seat.channel_events == [BridgeHello(version="test")]
    [channel] = seat.bridge.channels
    assert (channel.label, channel.protocol) == ("JVB data channel", "http://jitsi.org/protocols/colibri")
    said = [json.loads(message) for message in seat.bridge.messages]
    assert [message["colibriClass"] for message in said] == [
        "ClientHello",
        *2 * ["ReceiverAudioSubscription"],
    ]
    assert said[2]["include"] == ["anna-a0", "ben-a0", "carla-a0"]
    assert seat.peer.stats().channel == "sctp"
    assert seat.peer.stats().channel_open
    seat.bridge.said.clear()
    await seat.get(goldens.sources("source-remove", xml=seat.bridge.source("ben")))
    await asyncio.wait_for(seat.bridge.said.wait(), 20)
    assert json.loads(seat.bridge.messages[-1])["include"] == ["anna-a0", "carla-a0"]


async def test_a_speaking_seat_hears_nobody_and_says_so(bridge: Bridge) -> None:
    bridge.add_tone("anna", 440.0)
    seat = Seat(bridge, listens=False)
    await seat.join()
    await seat.until(lambda: seat.channel_events)
    assert json.loads(bridge.messages[-1]) == {
        "colibriClass": "ReceiverAudioSubscription",
        "all": False,
        "include": [],
        "exclude": [],
    }
    assert_tones(await seat.listen(), {"bridge": 660.0})
    assert seat.tracks == {}
    await seat.peer.close()


async def test_a_seat_that_only_listens_signals_no_source(bridge: Bridge) -> None:
    bridge.add_tone("anna", 440.0)
    seat = Seat(bridge, speaks=False)
    await seat.join()
    assert seat.accept.find(".//{urn:xmpp:jingle:apps:rtp:ssma:0}source") is None
    await seat.until(lambda: seat.tracks)
    assert_tones({"anna": (await seat.listen())["anna"]}, {"anna": 440.0})
    assert bridge.levels == []
    await seat.peer.close()


async def test_sisters_are_not_heard_and_not_sent(bridge: Bridge) -> None:
    for owner, hz in VOICES.items():
        bridge.add_tone(owner, hz)
    seat = Seat(bridge, excluded=frozenset({"ben"}))
    await seat.join()
    await seat.until(lambda: len(seat.tracks) == 2 and seat.channel_events)
    assert set(seat.tracks) == {"anna", "carla"}
    subscription = json.loads(bridge.messages[-1])
    assert (subscription["include"], subscription["exclude"]) == (["anna-a0", "carla-a0"], ["ben-a0"])
    await seat.peer.close()


async def test_what_is_not_signalled_is_on_nobodys_track(bridge: Bridge) -> None:
    """aiortc gives packets of an unknown SSRC to the only receiver there is."""
    bridge.add_tone("anna", 440.0)
    seat = Seat(bridge)
    await seat.join()
    await seat.until(lambda: seat.tracks)
    bridge.add_tone("intruder", 1000.0)
    await bridge.renegotiate()
    heard = (await seat.listen(50))["anna"]
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    at = np.fft.rfftfreq(len(heard), 1 / 24_000)
    own, other = (spectrum[np.abs(at - hz) < 10].max() for hz in (440.0, 1000.0))
    assert own > 100 * other
    await seat.peer.close()


async def test_silence_and_a_muted_voice_send_nothing(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: seat.connected)
    assert seat.voice is not None
    for n in range(10):
        seat.voice.play(n, np.zeros(FRAME_SAMPLES, dtype=np.float32), time.monotonic())
        await asyncio.sleep(FRAME_S)
    assert seat.bridge.levels == []
    seat.tick = 10
    await seat.listen(6)
    assert seat.bridge.levels
    seat.voice.set_muted(True)
    await asyncio.sleep(0.3)
    before = len(seat.bridge.levels)
    await seat.listen(6)
    assert len(seat.bridge.levels) == before
    seat.voice.set_muted(False)
    await seat.listen(6)
    assert len(seat.bridge.levels) > before


async def test_a_bridge_that_goes_is_told_once(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: seat.connected)
    await seat.bridge.close()
    await seat.until(lambda: seat.failures)
    assert seat.failures == ["The bridge closed the connection."]
    await seat.peer.hear(Heard(listening=True))
    await seat.peer.close()
    assert seat.peer.stats().state == "closed"
    assert len(seat.failures) == 1


async def test_a_bridge_that_never_comes_is_given_up(bridge: Bridge) -> None:
    failed = asyncio.Event()
    reasons: list[str] = []
    peer = BridgePeer(
        ice=IceSettings(),
        voice=None,
        nick="00ffeedd",
        on_track=lambda source, audio: None,
        on_track_ended=lambda source: None,
        on_connected=lambda: None,
        on_failed=lambda reason: (reasons.append(reason), failed.set())[1],
        connect_timeout_s=0.5,
    )
    session = JingleSession(nick="00ffeedd", jid="me", listens=True)
    session.receive(await bridge.initiate(), from_jid=FOCUS, from_focus=True, now_s=0.0)
    [offered] = session.events()
    assert isinstance(offered, Offered)
    await peer.answer(offered.offer, offered.heard)
    await peer.add_candidates([Candidate(foundation="1", priority=1, ip="10.99.0.77", port=9, type="host")])
    await asyncio.wait_for(failed.wait(), 20)
    assert reasons == ["No connection with the bridge came about within 0.5 s."]
    await peer.close()


async def test_closing_in_the_middle_of_a_change_is_quiet(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: seat.connected)
    changing = asyncio.create_task(
        seat.peer.hear(Heard(listening=True, sources=(RemoteSource(ssrc=9, owner="x", name="x-a0"),)))
    )
    await asyncio.sleep(0)
    await seat.peer.close()
    await changing
    assert seat.failures == []


async def test_a_voice_goes_on_over_the_next_bridge(seat: Seat) -> None:
    await seat.join()
    await seat.until(lambda: seat.connected)
    await seat.listen(6)
    other = Bridge()
    moved = Seat(other)
    moved.voice, moved.tick = seat.voice, seat.tick
    moved.peer = BridgePeer(
        ice=IceSettings(),
        voice=seat.voice,
        nick="00ffeedd",
        on_track=moved._on_track,
        on_track_ended=lambda source: None,
        on_connected=moved._on_connected,
        on_failed=moved._on_failed,
    )
    await seat.peer.close()
    await moved.join()
    await moved.until(lambda: moved.connected)
    assert_tones(await moved.listen(), {"bridge": 660.0})
    assert not other.ssrcs & seat.bridge.ssrcs
    await moved.peer.close()
    await other.close()


@pytest.mark.parametrize("close_first", [True, False])
async def test_a_peer_that_is_closed_answers_nothing(bridge: Bridge, close_first: bool) -> None:
    seat = Seat(bridge)
    session = JingleSession(nick="00ffeedd", jid="me", listens=True)
    session.receive(await bridge.initiate(), from_jid=FOCUS, from_focus=True, now_s=0.0)
    [offered] = session.events()
    assert isinstance(offered, Offered)
    if close_first:
        await seat.peer.close()
    answering = asyncio.create_task(seat.peer.answer(offered.offer, offered.heard))
    await asyncio.sleep(0)
    await seat.peer.close()
    with pytest.raises(SdpError, match="got closed"):
        await answering


# A channel over a WebSocket ---------------------------------------------------------------------------------------


class Colibri:
    """A bridge's WebSocket."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.said = asyncio.Event()

    async def serve(self) -> str:
        """Its address."""
        app = web.Application()
        app.router.add_get("/colibri-ws/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, netns.MEDIA_ADDRESS, 0)
        await site.start()
        port = self._runner.addresses[0][1]
        return f"ws://{netns.MEDIA_ADDRESS}:{port}/colibri-ws/x/00ffeedd?pwd=hidden"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.WebSocketResponse:
        assert request.query["pwd"] == "hidden"
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        await socket.send_str('{"colibriClass":"ServerHello"}')
        async for message in socket:
            self.messages.append(str(message.data))
            self.said.set()
        return socket


async def test_a_web_socket_does_where_there_is_no_sctp(caplog: pytest.LogCaptureFixture) -> None:
    colibri, bridge = Colibri(), Bridge(data=False)
    for logger in ("webrtc", "aiohttp.client", "aiortc", "asyncio"):
        caplog.set_level("DEBUG", logger)
    bridge.add_tone("anna", 440.0)
    seat = Seat(bridge)
    await seat.join(web_socket=await colibri.serve())
    async with asyncio.timeout(30):
        while len(colibri.messages) < 2:
            colibri.said.clear()
            await colibri.said.wait()
    assert [json.loads(message)["colibriClass"] for message in colibri.messages] == 2 * [
        "ReceiverAudioSubscription"
    ]
    await seat.until(lambda: seat.channel_events)
    assert seat.peer.stats().channel == "websocket"

    # A bridge closes the socket of whoever is alone, and has it back later.
    await colibri.sockets[0].close(code=1001)
    async with asyncio.timeout(30):
        while len(colibri.messages) < 4:
            colibri.said.clear()
            await colibri.said.wait()
    assert json.loads(colibri.messages[-1])["include"] == ["anna-a0"]
    await seat.peer.close()
    await colibri.stop()
    await bridge.close()
    assert "pwd=hidden" not in caplog.text
