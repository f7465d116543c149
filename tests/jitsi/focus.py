"""The focus: answers conference requests as a component, and joins rooms as `/focus` (fact sheet 1.4, 1.5, 1.8)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Coroutine
from typing import Any

from tests.jitsi import rules, stanzas
from tests.jitsi.bridge import BridgeOptions
from tests.jitsi.conference import Conference, FocusOptions
from tests.jitsi.prosody import (
    AUTH_DOMAIN,
    COMPONENT_SECRET,
    FOCUS_DOMAIN,
    LOBBY_DOMAIN,
    MODERATION_DOMAIN,
    MUC_DOMAIN,
    Prosody,
)
from tests.jitsi.stanzas import CLIENT, child, element, named
from tests.jitsi.xmpp import Component, XmppClient

FOCUS_USER = "focus"
NICK = "focus"

_LONGEST_WAIT_S = 120.0
_PATIENCE = 0.9
"""Share of the wait between requests that must have passed; clocks differ a little."""


class Focus:
    """One focus, for every room of a server.

    Args:
        prosody: with an account for the focus.
        password: of that account.
        options: what an operator decides; may be changed at any time.
        bridge_options: of the bridges.
        report: gets broken rules.
        channel_url: where colibri WebSockets are served, with `{room}`, `{session}` and `{password}` in it.
        token: gives the token of a connection by its full JID.
    """

    def __init__(
        self,
        prosody: Prosody,
        password: str,
        options: FocusOptions,
        bridge_options: BridgeOptions,
        report: Callable[[str], None],
        *,
        channel_url: str,
        token: Callable[[str], str | None],
    ) -> None:
        self._prosody, self._password = prosody, password
        self.options, self.bridge_options, self._report = options, bridge_options, report
        self._channel_url, self._token = channel_url, token
        self.conferences: dict[str, Conference] = {}
        """By room JID."""

        self.requests: list[ET.Element] = []
        """Every conference request that came as an IQ."""

        self.lobby_knocks: dict[str, dict[str, ET.Element]] = {}
        """Lobby room JID -> nick -> presence of who waits there."""

        self.errors: list[BaseException] = []
        """What went wrong in here, which is never the participant's fault."""

        self._tasks: set[asyncio.Task[None]] = set()
        self._joined = asyncio.Condition()
        self._in_rooms: set[str] = set()
        self._joining: dict[str, asyncio.Lock] = {}
        self._up = False
        self._past_sids: set[str] = set()
        self._not_ready: dict[str, list[float]] = {}

    async def open(self) -> None:
        """Logs in, and answers from now on."""
        self._component = Component(
            self._prosody.component_port, FOCUS_DOMAIN, COMPONENT_SECRET, self._on_component_stanza
        )
        self._moderation = Component(
            self._prosody.component_port, MODERATION_DOMAIN, COMPONENT_SECRET, lambda stanza: None
        )
        self._login = XmppClient(
            self._prosody.websocket_url, AUTH_DOMAIN, account=(FOCUS_USER, self._password),
            on_stanza=self._on_stanza,
        )  # fmt: skip
        await self._login.open()
        await self._component.open()
        await self._moderation.open()
        self._up = True

    async def close(self, *, crash: bool = False) -> None:
        """Leaves all rooms, and lets the bridges end what they carried."""
        if not self._up:
            return
        self._up = False
        await self._component.close()
        await self._moderation.close()
        await self._login.close()
        for conference in self.conferences.values():
            await conference.close(crash=crash)
        self.conferences.clear()
        self._in_rooms.clear()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def restart(self, *, down_s: float = 0.0) -> None:
        """Goes away from every room with all sessions, and is there again, in no room, after that many seconds."""
        await self.close(crash=True)
        await asyncio.sleep(down_s)
        await self.open()

    def conference(self, room: str) -> Conference:
        """The conference of a room, by its name."""
        return self.conferences[f"{room}@{MUC_DOMAIN}"]

    async def create(self, room: str) -> Conference:
        """Makes a room before anybody asked for it, so that it can be configured."""
        return await self._enter(f"{room}@{MUC_DOMAIN}", watch=False)

    # The lobby.

    async def open_lobby(self, room: str) -> None:
        """Makes a room members-only, with a lobby room beside it."""
        await self._join(f"{room}@{LOBBY_DOMAIN}")
        await self.conference(room).configure(membersonly=True)

    async def knocking(self, room: str, timeout_s: float = 60.0) -> str:
        """Waits for somebody in the lobby; gives their nick there."""
        lobby = f"{room}@{LOBBY_DOMAIN}"
        async with asyncio.timeout(timeout_s), self._joined:
            await self._joined.wait_for(lambda: self.lobby_knocks.get(lobby))
        return next(iter(self.lobby_knocks[lobby]))

    async def admit(self, room: str, nick: str) -> None:
        """Lets somebody in from the lobby: the room invites them, which makes them a member."""
        presence = self.lobby_knocks[f"{room}@{LOBBY_DOMAIN}"][nick]
        item = presence.find(f"{{{stanzas.MUC_USER}}}x/{{{stanzas.MUC_USER}}}item")
        assert item is not None
        invite = element("invite", stanzas.MUC_USER, to=item.get("jid"))
        await self._login.send(
            element("message", CLIENT, element("x", stanzas.MUC_USER, invite), to=f"{room}@{MUC_DOMAIN}")
        )

    async def deny(self, room: str, nick: str) -> None:
        """Throws somebody out of the lobby, status 307."""
        await self._out_of(f"{room}@{LOBBY_DOMAIN}", nick)

    async def close_lobby(self, room: str, *, meeting_ended: bool = False) -> None:
        """Switches the lobby off: who waits is sent to the room, or home where the meeting has ended."""
        main = f"{room}@{MUC_DOMAIN}"
        if not meeting_ended:
            await self.conference(room).configure(membersonly=False)
        node = element("destroy", stanzas.MUC_OWNER, jid=None if meeting_ended else main)
        query = element("query", stanzas.MUC_OWNER, node)
        await self._login.ask(element("iq", CLIENT, query, type="set", to=f"{room}@{LOBBY_DOMAIN}"))

    # Moderation.

    async def moderate(self, room: str, enabled: bool = True) -> None:
        """Turns audio moderation on or off: everybody in the room is told."""
        await self._moderation_says(room, None, {"enabled": enabled, "actor": f"{room}@{MUC_DOMAIN}/{NICK}"})

    async def approve(self, room: str, nick: str, approved: bool = True) -> None:
        """A moderator lets somebody unmute, or takes that back."""
        key = "approved" if approved else "removed"
        await self._moderation_says(room, nick, {key: True})
        leg = self.conference(room).participant(nick).leg
        if leg is not None:
            leg.force_muted = leg.must_be_silent = not approved

    async def _moderation_says(self, room: str, nick: str | None, content: dict[str, object]) -> None:
        text = json.dumps(
            {"type": "av_moderation", "mediaType": "audio", "room": f"{room}@{MUC_DOMAIN}"} | content
        )
        for one in list(self.conference(room).participants.values()):
            if nick in (None, one.nick):
                message = element(
                    "message", CLIENT, element("json-message", stanzas.JITMEET, text), to=one.jid
                )
                await self._moderation.send(message)

    # Conference requests.

    async def on_http_request(self, body: dict[str, Any], token: str | None) -> tuple[int, dict[str, Any]]:
        """The HTTP form: status and body of the reply."""
        room = body.get("room")
        if not isinstance(room, str) or not body.get("machineUid"):
            self._report(f"HTTP conference request without room and machineUid: {sorted(body)}")
            return 400, {}
        if self.options.refuse_requests is not None:
            return (403 if self.options.refuse_requests == "not-authorized" else 400), {}
        conference = await self._grant(room, str(body["machineUid"]))
        if conference is not None:
            conference.requested_by.add("*")
        return 200, {
            "ready": conference is not None, "focusJid": f"{FOCUS_USER}@{AUTH_DOMAIN}",
            "properties": {"authentication": "false"},
        }  # fmt: skip

    def _on_component_stanza(self, stanza: ET.Element) -> None:
        if not named(stanza, "iq", CLIENT):
            return
        conference = child(stanza, "conference", stanzas.FOCUS)
        if conference is None or stanza.get("type") != "set":
            self._spawn(self._component.send(stanzas.error_of(stanza, "service-unavailable")))
            return
        self.requests.append(conference)
        self._spawn(self._on_request(stanza, conference))

    async def _on_request(self, iq: ET.Element, conference: ET.Element) -> None:
        sender = iq.get("from", "")
        for text in rules.check_conference_request(conference, MUC_DOMAIN, self._token(sender)):
            self._report(f"{sender}: {text}")
        if self.options.refuse_requests is not None:
            await self._component.send(stanzas.error_of(iq, self.options.refuse_requests, kind="auth"))
            return
        granted = await self._grant(conference.get("room", ""), sender)
        if granted is not None:
            granted.requested_by.add(sender)
        properties = {"authentication": "false", "externalAuth": "false", "sipGatewayEnabled": "false"}
        answer = element(
            "conference", stanzas.FOCUS,
            *(element("property", stanzas.FOCUS, name=name, value=value) for name, value in properties.items()),
            room=conference.get("room"), ready=str(granted is not None).lower(),
            focusjid=f"{FOCUS_USER}@{AUTH_DOMAIN}",
        )  # fmt: skip
        await self._component.send(stanzas.result_of(iq, answer))

    async def _grant(self, room: str, who: str) -> Conference | None:
        """Joins the room, unless it is not ready yet."""
        now_s = time.monotonic()
        refused_s = self._not_ready.setdefault(who, [])
        if refused_s:
            wait_s = min(2.0 ** (len(refused_s) - 1), _LONGEST_WAIT_S)
            if now_s - refused_s[-1] < _PATIENCE * wait_s:
                self._report(f"{who}: asks again after {now_s - refused_s[-1]:.2f} s, expected {wait_s:g} s")
        if self.options.not_ready > 0:
            self.options.not_ready -= 1
            refused_s.append(now_s)
            return None
        refused_s.clear()
        return await self._enter(room, watch=True)

    async def _enter(self, room: str, *, watch: bool) -> Conference:
        async with self._joining.setdefault(room, asyncio.Lock()):
            if room not in self.conferences:
                self.conferences[room] = Conference(
                    room, self._login, self.options, self.bridge_options, self._report, self._spawn,
                    self._channel_url.replace("{room}", stanzas.bare(room).partition("@")[0]),
                    self._past_sids,
                )  # fmt: skip
                await self._join(room)
                if watch:
                    self._spawn(self._leave_if_nobody_comes(room))
        return self.conferences[room]

    async def _leave_if_nobody_comes(self, room: str) -> None:
        await asyncio.sleep(self.options.initial_timeout_s)
        conference = self.conferences.get(room)
        if conference is not None and not conference.participants and not conference.left:
            await self.leave(room)

    async def leave(self, room: str) -> None:
        """Out of one room, whose sessions end."""
        self._in_rooms.discard(room)
        await self._login.send(element("presence", CLIENT, type="unavailable", to=f"{room}/{NICK}"))
        await self.conferences.pop(room).close()

    async def _join(self, room: str) -> None:
        await self._login.send(self._presence(room, first=True))
        async with asyncio.timeout(60), self._joined:
            await self._joined.wait_for(lambda: room in self._in_rooms)

    def _presence(self, room: str, *, first: bool = False) -> ET.Element:
        available = self.bridge_options.available
        properties = element(
            "conference-properties", stanzas.FOCUS,
            element("property", stanzas.FOCUS, key="support-terminate-restart", value="true"),
            element("property", stanzas.FOCUS, key="bridge-count", value=int(available)),
        )  # fmt: skip
        return element(
            "presence", CLIENT,
            element("x", stanzas.MUC) if first else None,
            properties,
            None if available else element("bridgeNotAvailable", stanzas.FOCUS),
            to=f"{room}/{NICK}",
        )  # fmt: skip

    async def bridges(self, available: bool) -> None:
        """All bridges go away for new sessions, or one is there again for who waits; rooms are told."""
        self.bridge_options.available = available
        for room, conference in list(self.conferences.items()):
            await self._login.send(self._presence(room))
            await conference.invite_who_waits()

    # The login's stanzas.

    def _on_stanza(self, stanza: ET.Element) -> None:
        sender = stanza.get("from", "")
        room, nick = stanzas.bare(sender), stanzas.resource(sender)
        if named(stanza, "presence", CLIENT):
            self._on_presence(stanza, room, nick)
        elif named(stanza, "iq", CLIENT):
            self._on_iq(stanza, room, nick)

    def _on_presence(self, presence: ET.Element, room: str, nick: str) -> None:
        if nick == NICK:
            if presence.get("type") is None:
                self._in_rooms.add(room)
                if room in self.conferences:
                    self.conferences[room].entered = True
        elif room.endswith(f"@{LOBBY_DOMAIN}"):
            waiting = self.lobby_knocks.setdefault(room, {})
            if presence.get("type") == "unavailable":
                waiting.pop(nick, None)
            elif presence.get("type") is None:
                waiting[nick] = presence
        elif room in self.conferences and presence.get("type") in (None, "unavailable"):
            self.conferences[room].on_presence(presence)
        self._spawn(self._notify())

    def _on_iq(self, iq: ET.Element, room: str, nick: str) -> None:
        if iq.get("type") not in ("get", "set"):
            return
        jingle = child(iq, "jingle", stanzas.JINGLE)
        if jingle is not None and room in self.conferences:
            self.conferences[room].on_jingle(nick, iq, jingle)
        else:
            self._spawn(self._login.send(stanzas.error_of(iq, "service-unavailable")))

    async def _notify(self) -> None:
        async with self._joined:
            self._joined.notify_all()

    async def _out_of(self, room: str, nick: str) -> None:
        item = element("item", stanzas.MUC_ADMIN, nick=nick, role="none")
        query = element("query", stanzas.MUC_ADMIN, item)
        await self._login.ask(element("iq", CLIENT, query, type="set", to=room))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(error)


def new_password() -> str:
    """For the focus's account."""
    return secrets.token_hex(8)
