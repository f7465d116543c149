"""The interpreter at a meeting's door: passwords, lobbies, tokens, a focus that is not ready, and refusals in words."""

from __future__ import annotations

import asyncio

import pytest

from interpreter.channels import Channel
from tests.jitsi.conference import FocusOptions
from tests.jitsi.gateway import JoinRefusal
from tests.jitsi.guest import ENGLISH, HZ, Guest, guest, outcome, refusal
from tests.jitsi.server import JitsiServer, jitsi_server

pytestmark = [pytest.mark.media, pytest.mark.slow]


async def until_interpreting(server: JitsiServer, g: Guest) -> None:
    """Two people talk, and are interpreted."""
    ana = await server.join("room", "Ana", tone_hz=440, password="sesame")
    ben = await server.join("room", "Ben", tone_hz=550, listening=False, password="sesame")
    await g.until_each_is_heard_alone({ana: 440, ben: 550})
    await ana.until_hears(ENGLISH, HZ["en"])


async def test_a_password_lets_all_seats_in() -> None:
    async with jitsi_server() as server:
        created = await server.focus.create("room")
        await created.configure(roomsecret="sesame")
        async with guest(server, password="sesame") as g:
            await until_interpreting(server, g)
    assert server.violations == []


async def test_a_wrong_password_and_none_are_told_apart() -> None:
    async with jitsi_server() as server:
        created = await server.focus.create("room")
        await created.configure(roomsecret="sesame")
        assert "did not accept the password" in await refusal(server, password="open up")
        assert "the meeting has a password" in await refusal(server)
        assert server.strangers("room") == set()
    assert server.violations == []


async def test_the_lobby_lets_in_one_seat_after_the_other() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False, moderator=True)
        await server.focus.open_lobby("room")
        async with guest(server) as g:
            nick = await server.focus.knocking("room")
            await g.until(lambda: any("lobby" in line for line in g.news))
            assert server.strangers("room") == set()
            await server.focus.admit("room", nick)
            await g.until(lambda: "en" in g.nicks)
            second = ""
            while second in ("", nick):
                second = await server.focus.knocking("room")
                await asyncio.sleep(0.05)
            await server.focus.admit("room", second)
            await g.until_in()
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
    assert server.violations == []


async def test_before_the_host_is_there_the_interpreter_waits_and_is_let_in_by_them() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440, moderator=True)
        await server.join("room", "Ben", tone_hz=550, listening=False, moderator=True)
        await server.focus.open_lobby("room")
        server.refuse_joins(JoinRefusal.WAITING_FOR_HOST, times=1)
        async with guest(server, channels=(Channel(language="en"),)) as g:
            nick = await server.focus.knocking("room")
            await g.until(lambda: any("host" in line for line in g.news))
            assert server.strangers("room") == set()
            await server.focus.admit("room", nick)
            await g.until_in(seats=1)
            await g.until_each_is_heard_alone({ana: 440})
    assert server.violations == []


async def test_who_is_denied_in_the_lobby_is_told_so() -> None:
    async with jitsi_server() as server:
        await server.join("room", "Ana", tone_hz=440, listening=False, moderator=True)
        await server.focus.open_lobby("room")
        async with guest(server) as g:
            nick = await server.focus.knocking("room")
            await server.focus.deny("room", nick)
            assert "did not let the interpreter in from the lobby" in await outcome(g)
    assert server.violations == []


async def test_a_focus_that_is_not_ready_is_asked_again() -> None:
    async with jitsi_server(options=FocusOptions(not_ready=2)) as server, guest(server) as g:
        await g.until(lambda: len(g.nicks) == 2)
        await until_interpreting(server, g)
    assert server.violations == []


@pytest.mark.parametrize("by_http", [False, True])
async def test_a_room_that_is_gone_when_it_is_joined_is_asked_for_again(by_http: bool) -> None:
    async with jitsi_server(http_requests=by_http) as server:
        server.refuse_joins(JoinRefusal.ROOM_DOES_NOT_EXIST, times=1)
        async with guest(server) as g:
            await g.until(lambda: len(g.nicks) == 2)
            await until_interpreting(server, g)
    assert server.violations == []


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (JoinRefusal.FULL, "the meeting is full"),
        (JoinRefusal.AUTHENTICATION_REQUIRED, "lets in no guests"),
        (JoinRefusal.NOT_ALLOWED, "does not let the interpreter in"),
        (JoinRefusal.NO_VISITORS_LOBBY, "visitors only"),
    ],
)
async def test_every_refusal_is_one_sentence_for_the_host(why: JoinRefusal, words: str) -> None:
    async with jitsi_server() as server:
        server.refuse_joins(why)
        assert words in await refusal(server)
    assert server.violations == []


async def test_a_room_that_wants_to_know_names_is_told_them() -> None:
    async with jitsi_server() as server:
        server.refuse_joins(JoinRefusal.DISPLAY_NAME_REQUIRED)
        async with guest(server) as g:
            await until_interpreting(server, g)
    assert server.violations == []


async def test_a_seat_that_is_full_up_leaves_the_others_at_work() -> None:
    async with jitsi_server() as server:
        ana = await server.join("room", "Ana", tone_hz=440)
        ben = await server.join("room", "Ben", tone_hz=550, listening=False)
        async with guest(server) as g:
            await g.until(lambda: "en" in g.nicks)
            server.refuse_joins(JoinRefusal.FULL)
            await g.until(lambda: len(g.nicks) == 2 or any("is full" in line for line in g.news))
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
            await ana.until_hears(ENGLISH, HZ["en"])
    assert server.violations == []


async def test_a_token_a_tenant_and_a_certificate_of_the_server_s_own() -> None:
    async with jitsi_server(
        tls=True, tenant="clinic", tokens=frozenset({"good"}), uuid_nodes=True, strict_nicks=True
    ) as server:
        ana = await server.join("room", "Ana", tone_hz=440, token="good")
        ben = await server.join("room", "Ben", tone_hz=550, token="good", listening=False)
        async with guest(server, token="good") as g:
            await g.until_in()
            await g.until_each_is_heard_alone({ana: 440, ben: 550})
        words = await refusal(server, token="bad")
        assert "did not accept the token" in words
        assert "bad" not in words
        assert "certificate cannot be trusted" in await refusal(server, token="good", tls=None)
    assert server.violations == []
