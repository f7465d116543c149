"""One conference as the focus runs it: who is in the room, their sessions, their sources (fact sheet 1.5 to 1.9)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.jitsi import rules, stanzas
from tests.jitsi.bridge import Bridge, BridgeOptions, Leg
from tests.jitsi.jingle import (
    AudioOffer,
    Source,
    Transport,
    read_sources,
    read_transport,
    reason_of,
    sources_jingle,
    terminate,
    write_compact_sources,
    write_description,
    write_transport,
)
from tests.jitsi.room_admin import Link, RoomAdmin
from tests.jitsi.stanzas import CLIENT, child, element, resource

_ANSWER_TIMEOUT_S = 15.0
_RESTART_GAP_S = 5.0
_RESTARTS_PER_MINUTE = 5


@dataclass(kw_only=True)
class FocusOptions:
    """What an operator or a version decides. May be changed while it runs; sessions offered later follow it."""

    not_ready: int = 0
    """How many conference requests are answered with `ready=false` before one is granted; counts down."""

    refuse_requests: str | None = None
    """Stanza error that conference requests get: `not-authorized`, `not-acceptable`, …"""

    min_participants: int = 2
    alone_s: float = 20.0
    """After this long alone, the last participant's session ends with reason `expired`."""

    offer: AudioOffer = AudioOffer()
    channels: frozenset[str] = frozenset({"sctp"})
    """How the bridge channel is offered: `sctp`, `websocket` or both."""

    sources: str = "auto"
    """Form of signalled sources: `xml`, `json`, or `auto` (compact for who advertises it)."""

    signal_delay_s: float = 0.0
    """How long source changes are collected before they are signalled."""

    start_muted: bool = False
    initial_timeout_s: float = 15.0
    """The focus leaves a room that nobody joins."""

    disco_node: bool = True
    """Ask for features of `node#ver`, as the focus does, not of the occupant alone."""


Spawn = Callable[[Coroutine[Any, Any, None]], object]


@dataclass
class Participant:
    """One occupant, as the focus knows it."""

    nick: str
    jid: str
    presence: ET.Element
    features: frozenset[str] | None = None
    """None until it has answered the disco#info query."""

    sid: str | None = None
    initiate: ET.Element | None = None
    leg: Leg | None = None
    accepted: bool = False
    told: dict[int, Source] = field(default_factory=dict)
    """Sources it was told of, by SSRC."""

    jingle: list[ET.Element] = field(default_factory=list)
    """Every `<jingle>` it sent."""

    replies: list[ET.Element] = field(default_factory=list)
    """How it answered what the focus sent."""

    restarts_s: list[float] = field(default_factory=list)

    @property
    def announced(self) -> dict[str, bool]:
        """Source name -> whether muted, by its presence."""
        with contextlib.suppress(ValueError, AttributeError):
            return rules.source_info(self.presence)
        return {}


class Conference(RoomAdmin):
    """One room the focus is in.

    Args:
        room: its JID.
        link: the focus's login.
        options: shared with the focus.
        bridge_options: shared with the bridge.
        report: gets broken rules.
        spawn: runs what takes time.
        channel_url: where colibri WebSockets are served.
        past_sids: every session that has ended, of any conference.
    """

    def __init__(
        self,
        room: str,
        link: Link,
        options: FocusOptions,
        bridge_options: BridgeOptions,
        report: Callable[[str], None],
        spawn: Spawn,
        channel_url: str | None,
        past_sids: set[str],
    ) -> None:
        super().__init__(room, link)
        self.options = options
        self._report, self._spawn, self._channel_url = report, spawn, channel_url
        self._past_sids = past_sids
        self.bridge = Bridge(options.offer, bridge_options, report)
        self.sources = rules.ConferenceSources()
        self.sources.add_own(rules.bridge_source(secrets.randbelow(0xFFFF_FFFF) + 1))
        self.participants: dict[str, Participant] = {}
        self.requested_by: set[str] = set()
        """Full JIDs that have asked for the conference; `*` stands for all, as requests by HTTP name none."""

        self.entered = False
        """Whether the focus is in the room; who was there before needs no request."""

        self.left: list[Participant] = []
        self._alone: asyncio.TimerHandle | None = None
        self._changed = asyncio.Condition()
        self._signalling: set[str] = set()

    def _jid_of(self, nick: str) -> str:
        return self.participants[nick].jid

    # What tests do and ask.

    def participant(self, nick: str) -> Participant:
        """Who is in the room under that nick."""
        return self.participants[nick]

    def by_name(self, name: str) -> Participant:
        """Who is in the room under that display name."""
        for one in self.participants.values():
            if _display_name(one.presence) == name:
                return one
        raise KeyError(name)

    async def until(self, condition: Callable[[], object], timeout_s: float = 60.0) -> None:
        """Waits until something about the participants is true."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def session_of(self, name: str) -> Participant:
        """Waits until who has that display name has accepted a session and its connection stands."""

        def stands() -> bool:
            try:
                found = self.by_name(name)
            except KeyError:
                return False
            return found.accepted and found.leg is not None and found.leg.transport.connected

        await self.until(stands)
        return self.by_name(name)

    async def move(self, *nicks: str, crash: bool = False) -> None:
        """Moves sessions (everybody's, if nobody is named) to another bridge; with `crash` the old one just dies."""
        for one in [self.participants[nick] for nick in nicks or self.participants]:
            await self.end_session(one, "success", "moving", crash=crash)
            await self._invite(one)

    async def end_session(
        self, one: Participant, reason: str, text: str = "", *, crash: bool = False
    ) -> None:
        """Terminates one session from the focus's side."""
        if one.sid is None:
            return
        sid = one.sid
        await self._forget_session(one, crash=crash)
        self._tell(one, terminate(sid, reason, text))

    async def repeat_initiate(self, nick: str) -> ET.Element:
        """Sends the session-initiate of the running session again; gives the reply."""
        one = self.participants[nick]
        assert one.initiate is not None
        return await self.send_jingle(nick, one.initiate)

    async def send_jingle(self, nick: str, jingle: ET.Element) -> ET.Element:
        """Sends any `<jingle>`; gives the reply."""
        iq = element("iq", CLIENT, jingle, type="set", to=f"{self.room}/{nick}")
        return await self._link.ask_for_either(iq, _ANSWER_TIMEOUT_S)

    async def mute(self, nick: str, muted: bool = True) -> None:
        """What a moderator's mute does: the bridge drops its audio, and it must stop by itself and say so."""
        one = self.participants[nick]
        body = element(
            "mute", stanzas.MUTE, str(muted).lower(), jid=f"{self.room}/{nick}", actor=self._link.jid
        )
        if one.leg is not None:
            one.leg.force_muted = muted
        answer = await self._link.ask_for_either(
            element("iq", CLIENT, body, type="set", to=f"{self.room}/{nick}")
        )
        if answer.get("type") == "error":
            self._report(f"{nick}: refused to be muted")
        if one.leg is not None:
            one.leg.must_be_silent = muted
        if muted:
            await self.until(lambda: all(one.announced.values()))

    async def break_connection(self, nick: str) -> None:
        """The bridge dies under one participant, and nobody tells it."""
        leg = self.participants[nick].leg
        assert leg is not None
        await leg.vanish()

    async def close(self, *, crash: bool = False) -> None:
        """Ends all sessions at the bridge, and nothing in the room."""
        if self._alone is not None:
            self._alone.cancel()
        for leg in list(self.bridge.legs.values()):
            await self.bridge.release(leg, crash=crash)

    # What the room tells.

    def on_presence(self, presence: ET.Element) -> None:
        """Presence of an occupant that is not the focus."""
        nick = resource(presence.get("from", ""))
        if presence.get("type") == "unavailable":
            self._on_left(nick)
            return
        known = self.participants.get(nick)
        for text in rules.check_presence(presence, nick):
            self._report(f"{nick}: {text}")
        if known is not None:
            known.presence = presence
        else:
            self._on_joined(nick, presence)
        self._notify()

    def _on_joined(self, nick: str, presence: ET.Element) -> None:
        item = presence.find(f"{{{stanzas.MUC_USER}}}x/{{{stanzas.MUC_USER}}}item")
        one = Participant(nick, item.get("jid", "") if item is not None else "", presence)
        self.participants[nick] = one
        if self.entered and not self.requested_by & {one.jid, "*"}:
            self._report(f"{nick}: joined the room without a conference request of its own")
        self._spawn(self._discover(one))
        self._watch_for_loneliness()

    def _on_left(self, nick: str) -> None:
        one = self.participants.pop(nick, None)
        if one is None:
            return
        self.left.append(one)
        if one.leg is not None:
            one.leg.over = True
        for source in self.sources.of(nick):
            for other in self.participants.values():
                other.told.pop(source.ssrc, None)  # no source-remove is sent for who leaves
        self.sources.remove_owner(nick)
        self.bridge.signal(self.sources.all())
        if one.leg is not None:
            self._spawn(self.bridge.release(one.leg))
        self._watch_for_loneliness()
        self._notify()

    async def _discover(self, one: Participant) -> None:
        caps = child(one.presence, "c", stanzas.CAPS)
        node = None
        if caps is not None and self.options.disco_node:
            node = f"{caps.get('node')}#{caps.get('ver')}"
        iq = element(
            "iq", CLIENT, element("query", stanzas.DISCO_INFO, node=node),
            type="get", to=f"{self.room}/{one.nick}",
        )  # fmt: skip
        try:
            query = child(await self._link.ask_for_either(iq, _ANSWER_TIMEOUT_S), "query", stanzas.DISCO_INFO)
        except TimeoutError:
            query = None
        if self.participants.get(one.nick) is not one:
            return
        if query is None:
            self._report(f"{one.nick}: no features in answer to disco#info")
            query = element("query", stanzas.DISCO_INFO)
        one.features = rules.features_of(query)
        for text in (*rules.check_features(one.features), *rules.check_caps(one.presence, query, node)):
            self._report(f"{one.nick}: {text}")
        await self.invite_who_waits()
        self._notify()

    async def invite_who_waits(self) -> None:
        """Offers sessions to everybody who has none, where there may be some."""
        if len(self.participants) < self.options.min_participants or not self.bridge.options.available:
            return
        for one in list(self.participants.values()):
            if one.features is not None and one.sid is None:
                await self._invite(one)

    def _watch_for_loneliness(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        if len(self.participants) == 1 < self.options.min_participants:
            loop = asyncio.get_running_loop()
            self._alone = loop.call_later(self.options.alone_s, lambda: self._spawn(self._expire()))

    async def _expire(self) -> None:
        for one in list(self.participants.values()):
            await self.end_session(one, "expired", "nobody else is here")
        self._notify()

    # Sessions.

    async def _invite(self, one: Participant) -> None:
        """Offers a session; who has one already keeps it."""
        if one.sid is not None:
            return
        one.sid = secrets.token_hex(6)
        sid = one.sid
        websocket = self._channel_url if "websocket" in self.options.channels else None
        leg = await self.bridge.allocate(
            one.nick, sctp="sctp" in self.options.channels, channel_url=websocket
        )
        if one.sid != sid or self.participants.get(one.nick) is not one:
            await self.bridge.release(leg)
            return
        one.leg, one.accepted = leg, False
        leg.force_muted = leg.must_be_silent = self.options.start_muted
        others = [source for source in self.sources.all() if source.owner != one.nick]
        one.told = {source.ssrc: source for source in others}
        one.initiate = self._offer(one, sid, leg, others)
        self._tell(one, one.initiate)

    def _offer(self, one: Participant, sid: str, leg: Leg, sources: list[Source]) -> ET.Element:
        compact = self._compact(one)
        audio = element(
            "content", stanzas.JINGLE,
            write_description(self.options.offer, () if compact else sources),
            write_transport(leg.offered),
            creator="initiator", name="audio", senders="both",
        )  # fmt: skip
        data = element(
            "content", stanzas.JINGLE,
            element("description", stanzas.DTLS_SCTP),
            write_transport(leg.offered, sctp=True),
            creator="initiator", name="data", senders="both",
        ) if "sctp" in self.options.channels else None  # fmt: skip
        names = ["audio", "data"] if data is not None else ["audio"]
        return element(
            "jingle", stanzas.JINGLE, audio, data,
            element(
                "group", stanzas.GROUPING,
                *(element("content", stanzas.GROUPING, name=name) for name in names), semantics="BUNDLE",
            ),
            element("bridge-session", stanzas.FOCUS, id=leg.session_id, region="tests"),
            element("startmuted", stanzas.START_MUTED, audio="true", video="false")
            if self.options.start_muted else None,
            write_compact_sources(sources) if compact else None,
            action="session-initiate", initiator=self._link.jid, sid=sid,
        )  # fmt: skip

    def _compact(self, one: Participant) -> bool:
        if self.options.sources == "auto":
            return rules.JSON_SOURCES in (one.features or ())
        return self.options.sources == "json"

    async def _forget_session(self, one: Participant, *, crash: bool = False) -> None:
        """The session is over; its sources go, for everybody else by source-remove."""
        if one.sid is not None:
            self._past_sids.add(one.sid)
        if one.leg is not None:
            one.leg.over = True
        leg, one.leg, one.sid, one.accepted, one.told = one.leg, None, None, False, {}
        self.sources.remove_owner(one.nick)
        self._signal()
        if leg is not None:
            await self.bridge.release(leg, crash=crash)

    def on_jingle(self, nick: str, iq: ET.Element, jingle: ET.Element) -> None:
        """A Jingle request of a participant."""
        one = self.participants.get(nick)
        if one is None:
            return
        one.jingle.append(jingle)
        action, sid = jingle.get("action", ""), jingle.get("sid")
        if sid != one.sid or sid is None:
            if sid not in self._past_sids:
                self._report(f"{nick}: {action} for a session {sid!r} that never was")
            self._answer(stanzas.error_of(iq, "item-not-found", rules.unknown_session()))
            return
        match action:
            case "session-accept":
                self._on_accept(one, iq, jingle)
            case "source-add" | "source-remove":
                self._on_sources(one, iq, jingle, action)
            case "session-terminate":
                self._on_terminate(one, iq, jingle)
            case "session-info":
                self._answer(stanzas.result_of(iq))
            case "transport-info":
                self._report(f"{nick}: trickles candidates by transport-info")
                self._answer(stanzas.result_of(iq))
            case _:
                self._report(f"{nick}: unknown Jingle action {action!r}")
                self._answer(stanzas.error_of(iq, "bad-request"))

    def _on_accept(self, one: Participant, iq: ET.Element, jingle: ET.Element) -> None:
        if one.accepted:
            self._report(f"{one.nick}: accepted one session twice")
        broken = list(
            rules.check_accept(jingle, one.jid, self.options.offer, data="sctp" in self.options.channels)
        )
        for text in broken:
            self._report(f"{one.nick}: session-accept: {text}")
        transport = next(jingle.iter(f"{{{stanzas.ICE_UDP}}}transport"), None)
        try:
            remote = read_transport(transport) if transport is not None else None
            self._add_sources(one, jingle)
        except (rules.SourceRefused, ValueError) as error:
            self._refuse(one, iq, f"session-accept: {error}")
            return
        if remote is None:
            self._refuse(one, iq, "session-accept: no transport")
            return
        self._answer(stanzas.result_of(iq))
        one.accepted = True
        if one.leg is not None:
            self._spawn(self._connect(one, one.leg, remote))
        self._signal()

    async def _connect(self, one: Participant, leg: Leg, remote: Transport) -> None:
        try:
            await leg.connect(remote)
        except ConnectionError as error:
            if one.leg is leg and self.participants.get(one.nick) is one:
                self._report(f"{one.nick}: the bridge got no connection: {error}")
        self._notify()

    def _on_sources(self, one: Participant, iq: ET.Element, jingle: ET.Element, action: str) -> None:
        try:
            if action == "source-add":
                self._add_sources(one, jingle)
            else:
                self.sources.remove(one.nick, read_sources(jingle, one.nick))
        except (rules.SourceRefused, ValueError) as error:
            self._refuse(one, iq, f"{action}: {error}")
            return
        self._answer(stanzas.result_of(iq))
        self._signal()

    def _add_sources(self, one: Participant, jingle: ET.Element) -> None:
        sources = read_sources(jingle, one.nick)
        self.sources.add(one.nick, sources)
        for text in rules.check_source_names(one.nick, sources, one.announced):
            self._report(f"{one.nick}: {text}")

    def _on_terminate(self, one: Participant, iq: ET.Element, jingle: ET.Element) -> None:
        assert one.leg is not None
        bridge_session = child(jingle, "bridge-session", stanzas.FOCUS)
        restart = bridge_session is not None and bridge_session.get("restart") == "true"
        if not reason_of(jingle)[0]:
            self._report(f"{one.nick}: session-terminate without a reason")
        if restart and bridge_session is not None and bridge_session.get("id") != one.leg.session_id:
            self._report(
                f"{one.nick}: asks to restart bridge session {bridge_session.get('id')!r}, not its own"
            )
        if restart and not self._may_restart(one):
            self._report(f"{one.nick}: asks for restarts too often")
            self._answer(stanzas.error_of(iq, "resource-constraint", kind="wait"))
            return
        self._answer(stanzas.result_of(iq))
        self._spawn(self._restart(one) if restart else self._forget_session(one))

    def _may_restart(self, one: Participant) -> bool:
        now_s = time.monotonic()
        recent = [at_s for at_s in one.restarts_s if at_s > now_s - 60]
        if len(recent) >= _RESTARTS_PER_MINUTE or (recent and recent[-1] > now_s - _RESTART_GAP_S):
            return False
        one.restarts_s = [*recent, now_s]
        return True

    async def _restart(self, one: Participant) -> None:
        await self._forget_session(one, crash=True)
        await self._invite(one)

    # Sources to everybody else.

    def _signal(self) -> None:
        """Brings everybody up to date about sources, at once or after the delay for batches."""
        self.bridge.signal(self.sources.all())
        for one in self.participants.values():
            if one.nick not in self._signalling:
                self._signalling.add(one.nick)
                self._spawn(self._signal_to(one))
        self._notify()

    async def _signal_to(self, one: Participant) -> None:
        if self.options.signal_delay_s:
            await asyncio.sleep(self.options.signal_delay_s)
        self._signalling.discard(one.nick)
        if not one.accepted or one.sid is None:
            return
        now = {source.ssrc: source for source in self.sources.all() if source.owner != one.nick}
        added = [source for ssrc, source in now.items() if ssrc not in one.told]
        removed = [source for ssrc, source in one.told.items() if ssrc not in now]
        one.told = now
        for action, sources in (("source-remove", removed), ("source-add", added)):
            if sources:
                self._tell(one, sources_jingle(action, one.sid, sources, compact=self._compact(one)))

    # Stanzas.

    def _tell(self, one: Participant, jingle: ET.Element) -> None:
        self._spawn(self._tell_and_check(one, jingle))

    async def _tell_and_check(self, one: Participant, jingle: ET.Element) -> None:
        action = jingle.get("action")
        try:
            answer = await self.send_jingle(one.nick, jingle)
        except TimeoutError:
            if self.participants.get(one.nick) is one:
                self._report(f"{one.nick}: no answer to {action}")
            return
        one.replies.append(answer)
        here = self.participants.get(one.nick) is one
        if here and answer.get("type") == "error" and jingle.get("sid") not in self._past_sids:
            self._report(f"{one.nick}: answered {action} with {stanzas.condition_of(answer)}")

    def _answer(self, stanza: ET.Element) -> None:
        self._spawn(self._link.send(stanza))

    def _refuse(self, one: Participant, iq: ET.Element, text: str) -> None:
        self._report(f"{one.nick}: {text}")
        self._answer(stanzas.error_of(iq, "bad-request", kind="modify", text=text))

    def _notify(self) -> None:
        self._spawn(self._notify_all())

    async def _notify_all(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _display_name(presence: ET.Element) -> str:
    node = child(presence, "nick", stanzas.NICK)
    return (node.text or "") if node is not None else ""
