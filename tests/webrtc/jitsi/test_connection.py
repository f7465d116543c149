"""A guest in rooms of a real Prosody, with the test side's focus: the way in, what happens there, and the way out."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from tests.jitsi.gateway import JoinRefusal
from tests.jitsi.prosody import AUTH_DOMAIN, LOBBY_DOMAIN, MUC_DOMAIN
from tests.jitsi.server import JitsiServer, jitsi_server
from webrtc.errors import Refused as RefusedError
from webrtc.jitsi.conference_events import (
    Admitted,
    ChatReceived,
    ConferenceEvent,
    E2eeChanged,
    Ended,
    FocusLeft,
    ForcedMute,
    Interrupted,
    JingleReceived,
    Joined,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    OwnChanged,
    Refused,
    Resumed,
    RoomKnown,
    SeatSettings,
    Wait,
    Waiting,
)
from webrtc.jitsi.connection import JitsiConnection, discover, socket_url
from webrtc.jitsi.discovery import Overrides, Server, parse_meeting_url
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.sasl import Account

pytestmark = [pytest.mark.media, pytest.mark.slow]

Event = TypeVar("Event", bound=ConferenceEvent)
TIMEOUT_S = 60.0


class Seat:
    """A connection and all it has told."""

    def __init__(self, connection: JitsiConnection) -> None:
        self.connection = connection
        self.seen: list[ConferenceEvent] = []
        self._came = asyncio.Event()

    async def follow(self) -> None:
        async for event in self.connection.events():
            self.seen.append(event)
            self._came.set()

    async def until(self, kind: type[Event], holds: Callable[[Event], bool] = lambda event: True) -> Event:
        """The first such event that was not waited for yet; those before it are let go."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                while self.seen:
                    event = self.seen.pop(0)
                    if isinstance(event, kind) and holds(event):
                        return event
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def seat_in(server: JitsiServer, room: str, **fields: Any) -> AsyncIterator[Seat]:
    """Finds the server as anybody would, and takes a seat in a room."""
    context = server.tls_context()
    tls = context if isinstance(context, ssl.SSLContext) else None
    url = parse_meeting_url(server.meeting_url(room))
    found = await discover(url, tls=tls)
    settings = SeatSettings(server=found, room=url.room, **({"display_name": "Interpreter"} | fields))
    async with JitsiConnection(settings, tls=tls) as connection:
        seat = Seat(connection)
        following = asyncio.create_task(seat.follow())
        try:
            yield seat
        finally:
            connection.leave()
            await following


async def knocked(server: JitsiServer, seat: Seat) -> str:
    """Waits until the focus has seen a seat in the lobby of `clinic`; its nick."""
    async with asyncio.timeout(TIMEOUT_S):
        while seat.connection.nick not in server.focus.lobby_knocks.get(f"clinic@{LOBBY_DOMAIN}", {}):  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.01)
    return seat.connection.nick


async def refusal(server: JitsiServer, room: str, **fields: Any) -> Refused:
    async with seat_in(server, room, **fields) as seat:
        return await seat.until(Refused)


async def test_a_guest_joins_is_seen_and_leaves_without_a_trace() -> None:
    async with jitsi_server(uuid_nodes=True, strict_nicks=True) as server:
        async with seat_in(server, "Clinic", marker="instance-1") as seat:
            joined = await seat.until(Joined)
            assert joined.jid.startswith(joined.nick)
            assert (await seat.until(OccupantJoined)).occupant.is_focus
            assert (await seat.until(RoomKnown)).meeting_id == "meeting-of-clinic"
            conference = server.conference("clinic")
            await conference.until(lambda: joined.nick in conference.participants)
            assert conference.participant(joined.nick).announced == {f"{joined.nick}-a0": False}
            assert seat.connection.focus == f"clinic@{MUC_DOMAIN}/focus"
        await conference.until(lambda: not conference.participants)
        assert not server.gateway.connections
    assert server.violations == []


@pytest.mark.parametrize("config_style", ["docker", "debian"])
async def test_a_tenant_s_server_that_wants_a_token_and_is_asked_by_http(
    config_style: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = frozenset({"eyJgood"})
    async with jitsi_server(
        tenant="clinic", tokens=tokens, http_requests=True, config_style=config_style
    ) as server:
        async with seat_in(server, "room", token="eyJgood") as seat:
            await seat.until(Joined)
        refused = await refusal(server, "room", token="eyJbad")
        assert refused.kind is Refusal.TOKEN_REFUSED
        assert (await refusal(server, "room")).kind is Refusal.LOGIN_NEEDED
    assert server.violations == []
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("webrtc"))
    assert "presence" in ours
    for secret in ("eyJgood", "eyJbad"):
        assert secret not in ours
        assert secret not in refused.words


async def test_a_token_goes_with_a_request_by_xmpp_too() -> None:
    async with jitsi_server(tokens=frozenset({"eyJgood"})) as server:
        async with seat_in(server, "room", token="eyJgood") as seat:
            await seat.until(Joined)
        assert [request.get("token") for request in server.focus.requests] == ["eyJgood"]
    assert server.violations == []


async def test_a_password_is_needed_and_has_to_be_the_right_one() -> None:
    async with jitsi_server() as server:
        conference = await server.focus.create("clinic")
        await conference.configure(roomsecret="sesame")
        assert (await refusal(server, "clinic")).kind is Refusal.PASSWORD_NEEDED
        wrong = await refusal(server, "clinic", password="geheim")
        assert wrong.kind is Refusal.PASSWORD_WRONG
        assert "geheim" not in wrong.words
        async with seat_in(server, "clinic", password="sesame") as seat:
            await seat.until(Joined)
    assert server.violations == []


async def test_the_lobby_admits_denies_closes_and_ends() -> None:
    async with jitsi_server() as server:
        await server.focus.create("clinic")
        await server.focus.open_lobby("clinic")
        async with seat_in(server, "clinic") as seat:
            assert (await seat.until(Waiting)).kind is Wait.LOBBY
            await server.focus.admit("clinic", await knocked(server, seat))
            await seat.until(Admitted)
            await seat.until(Joined)
        async with seat_in(server, "clinic") as seat:
            await seat.until(Waiting)
            await server.focus.deny("clinic", await knocked(server, seat))
            assert (await seat.until(Refused)).kind is Refusal.LOBBY_DENIED
        async with seat_in(server, "clinic") as seat:
            await seat.until(Waiting)
            await server.focus.close_lobby("clinic")
            await seat.until(Joined)
    assert server.violations == []


async def test_a_meeting_that_ends_ends_the_waiting_in_its_lobby() -> None:
    async with jitsi_server() as server:
        await server.focus.create("clinic")
        await server.focus.open_lobby("clinic")
        async with seat_in(server, "clinic") as seat:
            await seat.until(Waiting)
            await knocked(server, seat)
            await server.focus.close_lobby("clinic", meeting_ended=True)
            assert (await seat.until(Refused)).kind is Refusal.MEETING_ENDED


async def test_every_refusal_of_the_room_is_one_sentence() -> None:
    kinds = {
        JoinRefusal.FULL: Refusal.FULL,
        JoinRefusal.AUTHENTICATION_REQUIRED: Refusal.LOGIN_NEEDED,
        JoinRefusal.NOT_ALLOWED: Refusal.NOT_ALLOWED,
        JoinRefusal.NO_VISITORS_LOBBY: Refusal.VISITORS_ONLY,
    }
    async with jitsi_server() as server:
        for given, kind in kinds.items():
            server.refuse_joins(given)
            refused = await refusal(server, "clinic")
            assert refused.kind is kind
            assert "\n" not in refused.words
        server.refuse_joins(JoinRefusal.DISPLAY_NAME_REQUIRED)
        async with seat_in(server, "clinic") as seat:
            await seat.until(Joined)
        server.refuse_joins(JoinRefusal.ROOM_DOES_NOT_EXIST, 2)
        async with seat_in(server, "clinic") as seat:
            await seat.until(Joined)
    assert server.violations == []


async def test_a_focus_that_is_not_ready_is_waited_for() -> None:
    async with jitsi_server() as server:
        server.options.not_ready = 2
        async with seat_in(server, "clinic") as seat:
            assert (await seat.until(Waiting)).kind is Wait.FOCUS
            await seat.until(Joined)
    assert server.violations == []


@pytest.mark.parametrize("guest", [True, False])
async def test_a_session_is_resumed_after_a_cut_and_nothing_is_lost(guest: bool) -> None:
    async with jitsi_server() as server:
        await server.prosody.register("bot", AUTH_DOMAIN, "pencil")
        account = None if guest else Account(username=f"bot@{AUTH_DOMAIN}", password="pencil")
        async with seat_in(server, "clinic", account=account) as seat:
            joined = await seat.until(Joined)
            ana = await server.join("clinic", "Ana", tone_hz=None, listening=False)
            await seat.until(OccupantJoined, lambda event: event.occupant.nick == ana.nick)
            await server.until_connected(ana)
            await ana.say("before")
            await seat.until(ChatReceived)
            server.gateway.closed_to_new = True
            server.cut(joined.nick)
            await seat.until(Interrupted)
            await ana.say("meanwhile")
            await ana.rename("Ana María")
            seat.connection.say("also meanwhile")
            server.gateway.closed_to_new = False
            await seat.until(Resumed)
            assert (await seat.until(ChatReceived)).text == "meanwhile"
            assert (await seat.until(OccupantChanged)).occupant.name == "Ana María"
            await ana.until(lambda: (joined.nick, "also meanwhile", False) in ana.chat)
            assert not any(isinstance(event, (Joined, OccupantLeft)) for event in seat.seen)
            assert seat.connection.nick == joined.nick
    assert server.violations == []


@pytest.mark.slow
async def test_a_connection_that_says_nothing_any_more_is_left_for_another() -> None:
    async with jitsi_server() as server, seat_in(server, "clinic") as seat:
        joined = await seat.until(Joined)
        server.stall(joined.nick)
        interrupted = await seat.until(Interrupted)
        assert interrupted.words == "the server has been silent for 20 s"
        await seat.until(Resumed)
        assert seat.connection.nick == joined.nick


async def test_an_account_with_a_wrong_password_is_told_so() -> None:
    async with jitsi_server() as server:
        await server.prosody.register("bot", AUTH_DOMAIN, "pencil")
        refused = await refusal(
            server, "clinic", account=Account(username=f"bot@{AUTH_DOMAIN}", password="geheim")
        )
        assert refused.kind is Refusal.ACCOUNT_REFUSED
        assert "geheim" not in refused.words


@pytest.mark.parametrize("stream_management", [True, False])
async def test_a_session_that_is_lost_is_joined_anew(stream_management: bool) -> None:
    async with (
        jitsi_server(stream_management=stream_management, hibernation_s=1) as server,
        seat_in(server, "clinic") as seat,
    ):
        first = await seat.until(Joined)
        conference = server.conference("clinic")
        await conference.until(lambda: first.nick in conference.participants)
        server.gateway.closed_to_new = True
        server.cut(first.nick)
        await seat.until(Interrupted)
        await conference.until(lambda: not conference.participants)  # what Prosody remembered is forgotten
        server.gateway.closed_to_new = False
        second = await seat.until(Joined)
        assert second.nick != first.nick
        await conference.until(lambda: list(conference.participants) == [second.nick])
    assert server.violations == []


async def test_leaving_while_cut_off_leaves_no_ghost() -> None:
    async with jitsi_server() as server:
        await server.prosody.register("bot", AUTH_DOMAIN, "pencil")
        account = Account(username=f"bot@{AUTH_DOMAIN}", password="pencil")
        async with seat_in(server, "clinic", account=account) as seat:
            joined = await seat.until(Joined)
            server.cut(joined.nick)
        conference = server.conference("clinic")
        await conference.until(lambda: not conference.participants)


async def test_people_media_offers_chat_and_encryption() -> None:
    async with jitsi_server() as server, seat_in(server, "clinic", sources=()) as seat:
        joined = await seat.until(Joined)
        ana = await server.join("clinic", "Ana", tone_hz=None, listening=False)
        offer = await seat.until(JingleReceived)
        assert offer.from_focus
        assert offer.jingle.get("action") == "session-initiate"
        seat.connection.reply_result(offer.iq_id)
        await ana.say("hello", None)
        assert await seat.until(ChatReceived) == ChatReceived(nick=ana.nick, text="hello", private=False)
        await ana.say("psst", joined.nick)
        assert (await seat.until(ChatReceived)).private
        await ana.set_e2ee(True)
        encrypted = await seat.until(E2eeChanged)
        assert encrypted.on
        assert "Ana" in encrypted.words
        await ana.set_e2ee(False)
        assert not (await seat.until(E2eeChanged)).on
        await server.until_connected(ana)
        await ana.leave()
        assert (await seat.until(OccupantLeft)).occupant.name == "Ana"


async def test_mutes_moderation_and_roles() -> None:
    async with jitsi_server() as server, seat_in(server, "clinic") as seat:
        joined = await seat.until(Joined)
        conference = server.conference("clinic")
        await conference.until(lambda: joined.nick in conference.participants)
        await conference.mute(joined.nick)
        assert (await seat.until(ForcedMute)).muted
        assert not seat.connection.set_muted("a0", False)
        assert seat.connection.lift_forced_mute()
        await conference.until(lambda: not any(conference.participant(joined.nick).announced.values()))
        await server.focus.moderate("clinic")
        assert (await seat.until(ForcedMute)).muted
        assert not seat.connection.lift_forced_mute()
        await server.focus.approve("clinic", joined.nick)
        assert not (await seat.until(ForcedMute)).muted
        await conference.make_moderator(joined.nick)
        assert (await seat.until(OwnChanged)).role == "moderator"


async def test_being_put_out_is_the_end_and_says_why() -> None:
    async with jitsi_server() as server:
        for act, kind in (
            ("kick", Refusal.KICKED),
            ("ban", Refusal.BANNED),
            ("destroy", Refusal.MEETING_ENDED),
        ):
            async with seat_in(server, f"room-{act}") as seat:
                joined = await seat.until(Joined)
                conference = server.conference(f"room-{act}")
                await conference.until(lambda: joined.nick in conference.participants)  # noqa: B023 -- waited for here
                if act == "kick":
                    await conference.kick(joined.nick, "too many bots")
                elif act == "ban":
                    await conference.ban(joined.nick)
                else:
                    await conference.destroy("closing time")
                ended = await seat.until(Ended)
                assert ended.kind is kind
                assert ("too many bots" in ended.words) == (act == "kick")


async def test_a_focus_that_restarts_is_asked_to_come_back() -> None:
    async with jitsi_server() as server, seat_in(server, "clinic") as seat:
        joined = await seat.until(Joined)
        conference = server.conference("clinic")
        await conference.until(
            lambda: bool(conference.participants and conference.participant(joined.nick).features)
        )
        await server.focus.restart(down_s=1.0)
        await seat.until(FocusLeft)
        assert (await seat.until(OccupantJoined)).occupant.is_focus


async def test_certificates_are_verified() -> None:
    async with jitsi_server(tls=True) as server:
        url = parse_meeting_url(server.meeting_url("clinic"))
        with pytest.raises(RefusedError, match="certificate cannot be trusted"):
            await discover(url)
        context = server.tls_context()
        assert isinstance(context, ssl.SSLContext)
        found = await discover(url, tls=context)
        assert found.websocket.startswith("wss://")
        async with JitsiConnection(SeatSettings(server=found, room="clinic", display_name="I")) as untrusting:
            seat = Seat(untrusting)
            await seat.follow()
            (refused,) = seat.seen
            assert isinstance(refused, Refused)
            assert refused.kind is Refusal.CERTIFICATE
        async with seat_in(server, "clinic") as seat:
            await seat.until(Joined)
    assert server.violations == []


async def test_wrong_addresses_are_said() -> None:
    nowhere = parse_meeting_url("http://127.0.0.1:1/clinic")
    with pytest.raises(RefusedError, match="cannot be reached"):
        await discover(nowhere)
    async with jitsi_server() as server:
        url = parse_meeting_url(f"{server.gateway.base_url}/wrong/clinic")
        with pytest.raises(RefusedError, match=r"gives as its config\.js is none"):
            await discover(url)
        good = await discover(parse_meeting_url(server.meeting_url("clinic")))
        for changed, kind in (
            (Overrides(websocket=f"{server.gateway.websocket_base_url}/nothing"), Refusal.WRONG_ADDRESS),
            (Overrides(websocket="ws://127.0.0.1:1/x"), Refusal.UNREACHABLE),
            (Overrides(domain="other.test", anonymous_domain="other.test"), Refusal.WRONG_DOMAIN),
        ):
            found = await discover(parse_meeting_url(server.meeting_url("clinic")), changed)
            assert found != good
            settings = SeatSettings(server=found, room="clinic", display_name="I")
            async with JitsiConnection(settings) as connection:
                seat = Seat(connection)
                following = asyncio.create_task(seat.follow())
                assert (await seat.until(Refused)).kind is kind
                await following


async def test_nothing_secret_travels_in_clear() -> None:
    server = Server(domain="d", muc="m", guest_domain="d", focus="f", websocket="ws://meet.example/x")
    settings = SeatSettings(server=server, room="r", display_name="I", token="eyJ")
    with pytest.raises(RefusedError, match="must not travel in clear"):
        JitsiConnection(settings)
    JitsiConnection(settings, insecure=True)


def test_the_socket_s_url_says_what_jitsi_s_servers_look_for() -> None:
    server = Server(domain="d", muc="m", guest_domain="d", focus="f", websocket="wss://meet.example/t/ws")
    settings = SeatSettings(server=server, room="my%20room", display_name="I", token="a.b/c")
    assert (
        socket_url(settings, "sm 1") == "wss://meet.example/t/ws?room=my%2520room&token=a.b%2Fc&previd=sm%201"
    )
