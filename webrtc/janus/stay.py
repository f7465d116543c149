"""The driver of a `Visit`: its WebSocket, its timers, and the connections of its seats and feeds."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType

from webrtc.errors import Refused, SdpError
from webrtc.janus.settings import JanusSettings
from webrtc.janus.socket import http_client, open_socket
from webrtc.janus.videoroom import Left, Moderated, Seen, Unpublished, UserId
from webrtc.janus.visit import Visit
from webrtc.janus.visit_events import (
    AnswerCame,
    End,
    Entered,
    FeedEncrypted,
    FeedOffered,
    FeedOver,
    OfferWanted,
    Over,
    Remark,
    VisitEvent,
    VoiceLost,
    VoiceMuted,
)
from webrtc.janus.voice_peer import VoicePeer
from webrtc.peer import Peer
from webrtc.room import IncomingAudio
from webrtc.tracks import Fill
from webrtc.voice import OutgoingVoice

logger = logging.getLogger(__name__)

SEND_S = 10.0
"""How long the server may take no message from us."""

RoomEvent = Entered | Seen | Unpublished | Left | Moderated | VoiceMuted | FeedEncrypted | Remark


class Audience(Protocol):
    """What a stay tells of; the methods return at once."""

    def room_event(self, event: RoomEvent) -> None:
        """Something happened in the room."""
        ...

    def track_started(self, feed: UserId, audio: IncomingAudio) -> None:
        """A feed can be pulled."""
        ...

    def track_ended(self, feed: UserId) -> None:
        """A feed cannot be pulled any more."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class _FeedPeer:
    subscription: int
    peer: Peer


class Stay:
    """One stay in a room; `run` until it ends. Everything runs on one event loop.

    Args:
        settings: where, and as whom.
        voices: channel -> what its seat says.
        audience: is told what happens.
        returning: we have been in this room before.
    """

    def __init__(
        self,
        settings: JanusSettings,
        voices: Mapping[str, OutgoingVoice],
        audience: Audience,
        *,
        returning: bool,
    ) -> None:
        self._settings = settings
        self._voices = voices
        self._audience = audience
        self._returning = returning
        self._loop = asyncio.get_running_loop()
        self._visit = Visit(
            settings.address,
            settings.seats,
            first_id=settings.first_id,
            token=settings.token,
            new_transaction=partial(secrets.token_hex, 8),
            returning=returning,
        )
        self._changed = asyncio.Event()
        self._over: Over | None = None
        self._entered = False
        self._voice_peers: dict[str, VoicePeer] = {}
        self._speaking: set[str] = set()
        self._feed_peers: dict[UserId, _FeedPeer] = {}
        self._pulled: set[UserId] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def entered(self) -> bool:
        """Whether all seats have been in the room."""
        return self._entered

    def speaks(self, channel: str) -> bool:
        """Whether what is said on a channel reaches the room."""
        return channel in self._speaking

    def hear(self, wanted: Mapping[UserId, str]) -> None:
        """Hears these tracks, by feed, and no others."""
        self._visit.hear(wanted, self._loop.time())
        self._changed.set()

    def leave(self) -> None:
        """Ends `run`, in order."""
        self._visit.leave(self._loop.time())
        self._finish(Over(end=End.CLOSED, words="the interpreter left"))

    async def run(self) -> Over:
        """Joins, and stays until it is put out, is told to leave, or loses the server; then nothing of it is left."""
        try:
            async with http_client() as http:
                over = await self._connect(http)
        finally:
            self._speaking.clear()
            for feed in self._pulled:
                self._audience.track_ended(feed)
            self._pulled.clear()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(
                *(peer.close() for peer in self._voice_peers.values()),
                *(one.peer.close() for one in self._feed_peers.values()),
            )
        return over

    # The WebSocket ----------------------------------------------------------------------------------------------------

    async def _connect(self, http: ClientSession) -> Over:
        try:
            socket = await open_socket(http, self._settings.address, self._settings.tls)
        except Refused as error:
            # A server that was never there is a wrong address, one that was comes back.
            end = End.LOST if self._returning else End.REFUSED
            return Over(end=end, words=str(error))
        async with socket:
            return await self._attend(socket)

    async def _attend(self, socket: ClientWebSocketResponse) -> Over:
        reader = asyncio.create_task(self._read(socket), name="janus reader")
        try:
            self._visit.start(self._loop.time())
            while True:
                self._changed.clear()
                for event in self._visit.events():
                    self._act(event)
                for text in self._visit.outgoing():
                    async with asyncio.timeout(SEND_S):
                        await socket.send_str(text)
                if self._over is not None:
                    return self._over
                await self._until_due()
        except (TimeoutError, ClientError, ConnectionError):
            return Over(end=End.LOST, words="the connection to the Janus server is lost")
        finally:
            reader.cancel()
            await asyncio.wait({reader})

    async def _read(self, socket: ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._visit.receive(message.data, self._loop.time())
                self._changed.set()
        self._finish(Over(end=End.LOST, words="the connection to the Janus server is lost"))

    async def _until_due(self) -> None:
        due_s = self._visit.next_timeout()
        try:
            async with asyncio.timeout_at(due_s):
                await self._changed.wait()
        except TimeoutError:
            self._visit.handle_timeout(self._loop.time())

    def _finish(self, over: Over) -> None:
        self._over = self._over or over
        self._changed.set()

    # What the visit tells ---------------------------------------------------------------------------------------------

    def _act(self, event: VisitEvent) -> None:
        match event:
            case OfferWanted(channel=channel):
                self._go(self._speak(channel))
            case AnswerCame(channel=channel, sdp=sdp):
                self._go(self._answered(channel, sdp))
            case VoiceLost(channel=channel):
                self._hush(channel)
            case FeedOffered():
                self._go(self._hear(event))
            case FeedOver(feed=feed):
                self._unhear(feed)
            case Over():
                self._finish(event)
            case _:
                self._entered = self._entered or isinstance(event, Entered)
                self._audience.room_event(event)

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._work_over)

    def _work_over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a connection of a Janus room failed", exc_info=error)

    async def _speak(self, channel: str) -> None:
        self._hush(channel)
        peer = self._voice_peers[channel] = VoicePeer(
            ice=self._settings.ice,
            voice=self._voices[channel],
            on_connected=partial(self._voice_connected, channel),
            on_failed=partial(self._voice_failed, channel),
        )
        try:
            offer = await peer.offer()
        except SdpError as error:
            self._voice_failed(channel, str(error))
            return
        if self._voice_peers.get(channel) is peer:
            self._visit.publish(channel, offer, self._loop.time())
            self._changed.set()

    async def _answered(self, channel: str, sdp: str) -> None:
        peer = self._voice_peers.get(channel)
        if peer is None:
            return
        try:
            await peer.accept(sdp)
        except SdpError:
            self._voice_failed(channel, "no usable answer")

    def _voice_connected(self, channel: str) -> None:
        self._speaking.add(channel)
        self._visit.voice_heard(channel)

    def _voice_failed(self, channel: str, reason: str) -> None:
        if channel not in self._voice_peers:
            return  # hushed meanwhile
        logger.warning("channel %s is not heard: %s", channel, reason)
        self._visit.voice_failed(channel, self._loop.time())
        self._changed.set()

    def _hush(self, channel: str) -> None:
        self._speaking.discard(channel)
        peer = self._voice_peers.pop(channel, None)
        if peer is not None:
            self._go(peer.close())

    async def _hear(self, offered: FeedOffered) -> None:
        self._unhear(offered.feed)
        feed, subscription = offered.feed, offered.subscription
        peer = Peer(
            ice=self._settings.ice,
            fill=Fill.SILENCE,
            on_audio=partial(self._heard, feed, subscription),
            on_closed=partial(self._feed_failed, feed, subscription),
        )
        self._feed_peers[feed] = _FeedPeer(subscription=subscription, peer=peer)
        try:
            answer = await peer.answer(offered.sdp)
        except SdpError:
            self._feed_failed(feed, subscription, "no usable offer")
            return
        self._visit.subscribed(feed, subscription, answer, self._loop.time())
        self._changed.set()

    def _heard(self, feed: UserId, subscription: int, audio: IncomingAudio) -> None:
        one = self._feed_peers.get(feed)
        if one is not None and one.subscription == subscription:
            self._visit.feed_heard(feed, subscription)
            self._pulled.add(feed)
            self._audience.track_started(feed, audio)

    def _feed_failed(self, feed: UserId, subscription: int, reason: str) -> None:
        logger.warning("a feed is not heard: %s", reason)
        self._visit.feed_failed(feed, subscription, self._loop.time())
        self._changed.set()

    def _unhear(self, feed: UserId) -> None:
        one = self._feed_peers.pop(feed, None)
        if one is not None:
            self._go(one.peer.close())
        if feed in self._pulled:
            self._pulled.discard(feed)
            self._audience.track_ended(feed)
