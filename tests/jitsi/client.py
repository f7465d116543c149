"""A simulated person: joins a room over the WebSocket as a web client does, says a tone, and hears what it is sent."""

from __future__ import annotations

import asyncio
import json
import secrets
import ssl
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from tests.jitsi import rules, stanzas
from tests.jitsi.jingle import (
    AudioOffer,
    Source,
    sources_jingle,
    write_description,
    write_transport,
)
from tests.jitsi.media_side import MediaSide
from tests.jitsi.prosody import DOMAIN, FOCUS_DOMAIN, MUC_DOMAIN
from tests.jitsi.stanzas import CLIENT, child, element, named
from tests.jitsi.transport import MediaTransport, ignore_packet
from tests.jitsi.xmpp import XmppClient

_CAPS_NODE = "https://tests.invalid/person"
_PACKET_S = 0.02
_FEATURES = sorted({*rules.REQUIRED_FEATURES, stanzas.CAPS, rules.JSON_SOURCES})


class JoinFailed(Exception):
    """The room refused; `condition` is the stanza error's."""

    def __init__(self, presence: ET.Element) -> None:
        self.presence = presence
        self.condition = stanzas.condition_of(presence)
        super().__init__(self.condition)


@dataclass(frozen=True, kw_only=True)
class P2pOutcome:
    """What came of offering somebody a direct connection."""

    accepted_iq: bool
    """The offer was answered with an IQ result, before anything else."""

    reason: str
    """Of the session-terminate that followed."""

    text: str


class Person(MediaSide):
    """One person; `join` and then, in the end, `leave`.

    Args:
        websocket_url: of the server, without its query.
        room: its name.
        name: shown to the others.
        tone_hz: what it says, from the moment its connection stands; None sends nothing.
        listening: whether it wants any audio.
        token: for servers that ask for one.
        password: of the room.
        tls: for `wss:`.
    """

    def __init__(
        self,
        websocket_url: str,
        room: str,
        name: str,
        *,
        tone_hz: int | None = 440,
        listening: bool = True,
        token: str | None = None,
        password: str = "",
        tls: ssl.SSLContext | bool = True,
    ) -> None:
        super().__init__(name, listening=listening)
        self._websocket_url, self._room_name = websocket_url, room
        self.room = f"{room}@{MUC_DOMAIN}"
        self._tone_hz, self._token, self._password = tone_hz, token, password
        self._tls = tls
        self.chat: list[tuple[str, str, bool]] = []
        """Nick, text, whether private; its own lines come back too."""

        self.occupants: dict[str, ET.Element] = {}
        """Nick -> presence of everybody else."""

        self.gone: list[str] = []
        """Nicks of who left, in order."""

        self.ended: str | None = None
        """Why it is not in the room any more: `left`, `kicked`, `banned` or `destroyed`."""

    # Joining and leaving.

    async def join(self) -> None:
        """Until it is in the room; raises `JoinFailed`."""
        self._reset()
        query = f"?room={self._room_name}" + (f"&token={self._token}" if self._token else "")
        self._xmpp = XmppClient(self._websocket_url + query, DOMAIN, on_stanza=self._on_stanza, tls=self._tls)
        await self._xmpp.open()
        node = self._xmpp.jid.partition("@")[0][:8]
        self.nick = node if rules.NICK.fullmatch(node) else secrets.token_hex(4)
        self.jid = self._xmpp.jid
        if self._tone_hz is not None:
            self.voices.append(self._new_voice(self._tone_hz))
        try:
            await self._request_conference()
            await self._enter()
        except BaseException:
            await self._xmpp.close()
            raise

    def _reset(self) -> None:
        self.nick = ""
        self.ended = None
        self._e2ee = False
        self._joined: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reset_media()

    async def leave(self) -> None:
        """Leaves in order."""
        if not self.nick:
            return
        if self.ended is None:
            await self._xmpp.send(
                element("presence", CLIENT, type="unavailable", to=f"{self.room}/{self.nick}")
            )
        await self._end_session()
        await self._xmpp.close()
        await self._stop_tasks()
        self.nick = ""

    async def vanish(self) -> None:
        """Goes without a word: the browser crashed."""
        if self._transport is not None:
            await self._transport.vanish()
        await self._xmpp.vanish()
        await self._stop_tasks()
        self.nick = ""

    async def rejoin(self) -> None:
        """Leaves and comes again, under a new nick and with new SSRCs."""
        await self.leave()
        await self.join()

    async def _stop_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _request_conference(self) -> None:
        conference = element(
            "conference", stanzas.FOCUS, element("property", stanzas.FOCUS, name="rtcstatsEnabled", value="false"),
            room=self.room, machine_uid=secrets.token_hex(16), token=self._token,
        )  # fmt: skip
        wait_s = 1.0
        while True:
            iq = element("iq", CLIENT, conference, type="set", to=FOCUS_DOMAIN)
            answer = child(await self._xmpp.ask_for_either(iq), "conference", stanzas.FOCUS)
            if answer is not None and answer.get("ready") == "true":
                return
            await asyncio.sleep(wait_s)
            wait_s *= 2

    async def _enter(self) -> None:
        await self._xmpp.send(self._presence(first=True))
        async with asyncio.timeout(60):
            await self._joined

    def _presence(self, *, first: bool = False) -> ET.Element:
        query = self._disco_info(None)
        info = {voice.source.name: {"muted": voice.muted} for voice in self.voices}
        password = element("password", stanzas.MUC, self._password) if self._password else None
        return element(
            "presence", CLIENT,
            element("x", stanzas.MUC, password) if first else None,
            element("nick", stanzas.NICK, self.name),
            element("stats-id", CLIENT, f"{self.name}-tests"),
            element("c", stanzas.CAPS, hash="sha-1", node=_CAPS_NODE, ver=rules.verification(query)),
            element("SourceInfo", CLIENT, json.dumps(info)),
            element("jitsi_participant_e2ee.enabled", CLIENT, "true") if self._e2ee else None,
            to=f"{self.room}/{self.nick}",
        )  # fmt: skip

    def _disco_info(self, node: str | None) -> ET.Element:
        return element(
            "query", stanzas.DISCO_INFO,
            element("identity", stanzas.DISCO_INFO, category="client", type="web", name="a person of the tests"),
            *(element("feature", stanzas.DISCO_INFO, var=feature) for feature in _FEATURES),
            node=node,
        )  # fmt: skip

    # What it does in the room.

    async def say(self, text: str, to: str | None = None) -> None:
        """Into the room's chat, or to one nick."""
        address, kind = (self.room, "groupchat") if to is None else (f"{self.room}/{to}", "chat")
        await self._xmpp.send(
            element("message", CLIENT, element("body", CLIENT, text), to=address, type=kind)
        )

    async def mute(self, muted: bool = True) -> None:
        """Mutes all it sends, as a browser does: it says so, and sends silence marked as such."""
        for voice in self.voices:
            voice.muted = muted
        await self._xmpp.send(self._presence())

    async def unmute(self) -> None:
        """Speaks again."""
        await self.mute(False)

    async def set_e2ee(self, on: bool) -> None:
        """Says that it encrypts end to end; its audio stays as it is."""
        self._e2ee = on
        await self._xmpp.send(self._presence())

    async def rename(self, name: str) -> None:
        """Another display name."""
        self.name = name
        await self._xmpp.send(self._presence())

    async def add_source(self, tone_hz: int) -> Source:
        """Sends a second thing, signalled first."""
        assert self._sid is not None
        voice = self._new_voice(tone_hz)
        self.voices.append(voice)
        await self._xmpp.send(self._presence())
        await self.send_jingle(sources_jingle("source-add", self._sid, [voice.source], compact=False))
        self._spawn(self._speak(voice))
        return voice.source

    async def remove_source(self, source: Source) -> None:
        """Stops sending one thing, and says so."""
        assert self._sid is not None
        self.voices = [voice for voice in self.voices if voice.source != source]
        await self._xmpp.send(self._presence())
        await self.send_jingle(sources_jingle("source-remove", self._sid, [source], compact=False))

    async def send_jingle(self, jingle: ET.Element, to: str = "focus") -> ET.Element:
        """Any `<jingle>`; gives the result, raises `IqError`."""
        return await self._xmpp.ask(element("iq", CLIENT, jingle, type="set", to=f"{self.room}/{to}"))

    async def _send(self, stanza: ET.Element) -> None:
        await self._xmpp.send(stanza)

    async def offer_p2p(self, nick: str, timeout_s: float = 60.0) -> P2pOutcome:
        """Offers a direct connection as the web client does when two are alone; waits for the refusal."""
        sid = secrets.token_hex(6)
        self._p2p[sid] = asyncio.get_running_loop().create_future()
        transport = MediaTransport(controlling=True, on_rtp=ignore_packet, on_rtcp=ignore_packet)
        own = await transport.gather()
        sources = [voice.source for voice in self.voices]
        content = element(
            "content", stanzas.JINGLE, write_description(AudioOffer(), sources), write_transport(own),
            creator="initiator", name="audio", senders="both",
        )  # fmt: skip
        jingle = element(
            "jingle", stanzas.JINGLE, content, action="session-initiate", initiator=self.jid, sid=sid
        )
        iq = element("iq", CLIENT, jingle, type="set", to=f"{self.room}/{nick}")
        try:
            asked = asyncio.create_task(self._xmpp.ask_for_either(iq, timeout_s))
            await asyncio.wait((asked, self._p2p[sid]), return_when=asyncio.FIRST_COMPLETED)
            answered_first = asked.done() and asked.result().get("type") == "result"
            async with asyncio.timeout(timeout_s):
                await asked
                reason, text = await self._p2p[sid]
        finally:
            await transport.close()
        return P2pOutcome(accepted_iq=answered_first, reason=reason, text=text)

    def name_of(self, nick: str) -> str | None:
        """Display name of an occupant."""
        node = child(self.occupants.get(nick), "nick", stanzas.NICK)
        return None if node is None else node.text

    def nick_of(self, name: str) -> str:
        """Nick of the occupant with that display name; raises KeyError."""
        for nick in self.occupants:
            if self.name_of(nick) == name:
                return nick
        raise KeyError(name)

    # Stanzas.

    def _on_stanza(self, stanza: ET.Element) -> None:
        sender = stanza.get("from", "")
        if stanzas.bare(sender) != self.room:
            return
        nick = stanzas.resource(sender)
        if named(stanza, "presence", CLIENT):
            self._on_presence(stanza, nick)
        elif named(stanza, "message", CLIENT):
            body = child(stanza, "body", CLIENT)
            if body is not None and stanza.get("type") in ("groupchat", "chat"):
                self.chat.append((nick, body.text or "", stanza.get("type") == "chat"))
        elif named(stanza, "iq", CLIENT) and stanza.get("type") in ("get", "set"):
            self._on_iq(stanza, nick)

    def _on_presence(self, presence: ET.Element, nick: str) -> None:
        codes = {one.get("code") for one in presence.iter(f"{{{stanzas.MUC_USER}}}status")}
        kind = presence.get("type")
        if kind == "error":
            if not self._joined.done():
                self._joined.set_exception(JoinFailed(presence))
        elif nick == self.nick:
            if kind is None and not self._joined.done():
                self._joined.set_result(None)
            elif kind == "unavailable" and self.ended is None:
                self.ended = "kicked" if "307" in codes else "banned" if "301" in codes else "destroyed"
        elif kind == "unavailable":
            self.occupants.pop(nick, None)
            self.gone.append(nick)
            for ssrc in [ssrc for ssrc, source in self.sources.items() if source.owner == nick]:
                del self.sources[ssrc]
            if nick == "focus":
                self._spawn(self._request_conference())
        elif kind is None:
            self.occupants[nick] = presence

    def _on_iq(self, iq: ET.Element, nick: str) -> None:
        query = child(iq, "query", stanzas.DISCO_INFO)
        jingle = child(iq, "jingle", stanzas.JINGLE)
        mute = child(iq, "mute", stanzas.MUTE)
        if query is not None:
            self._answer(stanzas.result_of(iq, self._disco_info(query.get("node"))))
        elif jingle is not None:
            self._on_jingle(iq, jingle, nick)
        elif mute is not None:
            self._answer(stanzas.result_of(iq))
            self._spawn(self.mute((mute.text or "") == "true"))
        else:
            self._answer(stanzas.error_of(iq, "service-unavailable"))
