"""The console's server over real sockets, before a real meeting: who may come in, what they see, what they do."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from interpreter.commands.table import COMMANDS, Standing
from interpreter.console.outbox import OUTBOX_MESSAGES
from interpreter.console.protocol import MAX_MESSAGE_BYTES, Gone
from interpreter.console.server import SECURITY_HEADERS, SUBPROTOCOL
from tests.interpreter.console.console_stage import ADMIN, OPERATOR, TOKENS, VIEWER, Consoles, console
from tests.interpreter.meeting_stage import ANA_HZ, BEN_HZ

WORDS = " ".join(f"w{n}" for n in range(100))


async def two(at: Consoles, *, speaking: bool = False) -> None:
    at.stage.join("ana", "es", ANA_HZ, speaking=speaking)
    at.stage.join("ben", "en", BEN_HZ)
    await at.stage.ticks(3)


# Coming in ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", ["/api/me", "/api/house", "/api/system", "/api/openapi.json", "/api/rooms/00"]
)
@pytest.mark.parametrize("who", [None, "wrong-token-0123456789", ""])
async def test_without_a_token_that_holds_nothing_is_seen(path: str, who: str | None) -> None:
    async with console() as at:
        status, reply, headers = await at.call("GET", path, who)
        assert (status, reply["code"]) == (401, "unauthorized")
        assert headers["WWW-Authenticate"] == "Bearer"
        assert "token" in reply["text"]


async def test_a_ticket_opens_one_socket_and_no_second(caplog: pytest.LogCaptureFixture) -> None:
    async with console() as at:
        ticket = await at.ticket()
        page = await at.open(ticket=ticket)
        assert page.you == {"id": "c1", "name": "Eva", "standing": "operator"}
        with pytest.raises(WSServerHandshakeError) as refused:
            await at.open(ticket=ticket)
        assert refused.value.status == 401
        assert ticket not in caplog.text
        assert TOKENS[OPERATOR] not in caplog.text
        assert "refused a console without a ticket" in caplog.text


async def test_an_old_ticket_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as at:
        ticket = await at.ticket()
        at.server._access._tickets[ticket] = (at.server._access._tickets[ticket][0], 0.0)  # its time is over
        with pytest.raises(WSServerHandshakeError) as refused:
            await at.open(ticket=ticket)
        assert refused.value.status == 401


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.org", "null", "http://127.0.0.1", "http://127.0.0.1:1", "javascript:x", ""],
)
async def test_another_site_s_page_opens_nothing_though_it_has_a_ticket(origin: str) -> None:
    async with console() as at:
        headers = {"Origin": origin} if origin else {}
        ticket = await at.ticket()
        with pytest.raises(WSServerHandshakeError) as refused:
            await at.client.ws_connect(
                f"{at.server.url}/api/socket", protocols=[SUBPROTOCOL, f"ticket.{ticket}"], headers=headers
            )
        assert refused.value.status == 403
        assert await at.open(ticket=ticket), "the ticket was not used up by somebody else's page"


async def test_the_public_address_counts_as_our_own(unused_tcp_port: int) -> None:
    settings = {"public_url": "https://console.example.org/"}
    async with console(port=unused_tcp_port, settings=settings) as at:
        assert at.server.url == "https://console.example.org"
        at.url = f"http://127.0.0.1:{unused_tcp_port}"
        assert await at.open(origin="https://console.example.org")
        with pytest.raises(WSServerHandshakeError):
            await at.open(origin="http://console.example.org")


async def test_only_so_many_consoles_at_a_time() -> None:
    async with console(settings={"max_consoles": 2}) as at:
        first, second = await at.open(), await at.open()
        with pytest.raises(WSServerHandshakeError) as refused:
            await at.open()
        assert refused.value.status == 429
        await second.socket.close()
        await asyncio.sleep(0.05)
        assert await at.open()
        assert not first.socket.closed


async def test_whatever_a_browser_gets_may_load_nothing_from_elsewhere_and_sets_no_cookie() -> None:
    async with console() as at:
        for path in ("/", "/static/main.js", "/api/house", "/nowhere", "/healthz"):
            _, _, headers = await at.call("GET", path)
            for name, value in SECURITY_HEADERS.items():
                assert headers[name] == value, path
            assert "Set-Cookie" not in headers
            assert "Access-Control-Allow-Origin" not in headers
            assert headers["Cache-Control"] == ("no-cache" if path.startswith("/static/") else "no-store")
        policy = SECURITY_HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy


async def test_the_link_carries_the_token_where_no_browser_sends_it() -> None:
    async with console() as at:
        link = at.server.link(at.server._settings.passes[1])
        address, fragment = link.split("#")
        assert address == f"{at.server.url}/"
        assert fragment == f"token={TOKENS[OPERATOR]}"
        assert TOKENS[OPERATOR] not in repr(at.server._settings)


# Seeing ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_page_sees_the_house_and_then_the_room_as_it_changes() -> None:
    async with console() as at:
        page = await at.open()
        house = page.states["house"]
        assert house["version"] == "1.2.3"
        assert house["rooms"][at.room.id]["name"] == "Clinic"
        assert house["rooms"][at.room.id]["lamp"] == "standby"
        assert house["engines"]["engine"]["lanes"] == 256
        assert "medical-consecutive" in house["roles"]
        room = await page.watch(at.room.id)
        assert room["people"] == {}
        await two(at, speaking=True)
        at.stage.say("es", "en", "I am allergic")
        while len(page.states[f"room/{at.room.id}"]["directions"]) < 2:
            await page.until("delta")
            await at.stage.ticks(2)
        while not page.states[f"room/{at.room.id}"]["directions"]["ana:es>en"]["spoken"]:
            await page.until("delta")
            await at.stage.ticks(2)
        room = page.states[f"room/{at.room.id}"]
        assert (room["lamp"], room["reason"]) == ("on_air", "")
        assert room["people"]["ana"]["name"] == "Ana"
        assert room["people"]["ana"]["role"] == {
            "applied": "meeting-simultaneous",
            "wanted": "meeting-simultaneous",
        }
        said = "".join(piece["text"] for piece in room["directions"]["ana:es>en"]["spoken"])
        assert said.startswith(" I")
        assert [mark["event"] for mark in room["timeline"] if mark["lane"] == "ana"] == ["begin"]


@pytest.mark.slow
async def test_levels_and_heartbeats_come_by_themselves() -> None:
    async with console() as at:
        page = await at.open()
        await two(at, speaking=True)
        await page.watch(at.room.id)
        levels = (await page.until("levels"))["levels"]
        assert levels["people"] == {"ana": pytest.approx(-23.0, abs=0.5)}
        assert levels["speaking"] == ["ana"]
        heartbeat = await page.until("heartbeat")
        assert heartbeat["topics"].keys() == {"house", f"room/{at.room.id}", f"notes/{at.room.id}"}
        assert heartbeat["topics"]["house"] == page.numbers["house"]


async def test_a_room_that_is_not_there_is_gone_and_one_that_is_left_goes() -> None:
    async with console() as at:
        page = await at.open()
        assert await page.watch("00000000") == {}
        await page.watch(at.room.id)
        del at.desk.rooms[at.room.id]
        gone = {(await page.until("gone"))["topic"] for _ in range(2)}
        assert gone == {f"room/{at.room.id}", f"notes/{at.room.id}"}
        at.desk.rooms[at.room.id] = at.room


async def test_whoever_missed_something_gets_the_whole_again() -> None:
    async with console() as at:
        page = await at.open()
        await page.watch(at.room.id)
        await page.send("sync", topic=f"room/{at.room.id}")
        assert (await page.until("snapshot"))["topic"] in (f"room/{at.room.id}", f"notes/{at.room.id}")
        await page.send("sync", topic="page/none")
        assert (await page.until("gone"))["topic"] == "page/none"


async def test_notes_are_for_operators() -> None:
    async with console() as at:
        eva, vera = await at.open(), await at.open(VIEWER)
        for page in (eva, vera):
            await page.watch(at.room.id)
        assert (await eva.give(at.room.id, "note", text="Ana hears badly"))["accepted"]
        while not eva.states[f"notes/{at.room.id}"]["notes"]:
            await eva.read()
        [note] = eva.states[f"notes/{at.room.id}"]["notes"]
        assert (note["by"], note["text"]) == ("Eva", "Ana hears badly")
        await vera.send("sync", topic=f"notes/{at.room.id}")
        await vera.until("gone")
        assert "hears badly" not in json.dumps(vera.messages)
        assert (await at.call("GET", f"/api/rooms/{at.room.id}/notes", VIEWER))[0] == 403
        assert (await at.call("GET", f"/api/rooms/{at.room.id}/notes"))[1]["notes"] == [note]


# Doing ----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_viewer_can_change_nothing() -> None:
    async with console() as at:
        await two(at)
        vera = await at.open(VIEWER)
        assert vera.commands == {}
        before = at.stage.meeting.overview().revision
        for spec in COMMANDS.values():
            room = at.room.id if spec.about_room else None
            reply = await vera.give(room, spec.name, expect=before)
            assert (reply["accepted"], reply["code"]) == (False, "not-allowed"), spec.name
            path = f"/api/rooms/{at.room.id}/commands/" if spec.about_room else "/api/commands/"
            status, made, _ = await at.call("POST", f"{path}{spec.name}", VIEWER, {"arguments": {}})
            assert (status, made["code"]) == (403, "not-allowed"), spec.name
            await asyncio.sleep(0.1)  # within what one page may send
        body = {"commands": [{"name": "mode", "arguments": {"mode": "captions"}}], "expect": before}
        assert (await at.call("POST", f"/api/rooms/{at.room.id}/apply", VIEWER, body))[0] == 403
        assert at.stage.meeting.overview().revision == before
        assert at.left == []


async def test_commands_do_what_they_say_and_everybody_sees_it_before_the_reply() -> None:
    async with console() as at:
        await two(at)
        eva, max_ = await at.open(), await at.open("second")
        for page in (eva, max_):
            await page.watch(at.room.id)
        reply = await eva.give(at.room.id, "halt")
        assert (reply["accepted"], reply["code"], reply["revision"]) == (True, "done", 1)
        assert eva.states[f"room/{at.room.id}"]["halted"] is True, "told before the reply"
        while not max_.states[f"room/{at.room.id}"]["halted"]:
            await max_.read()
        assert max_.states[f"room/{at.room.id}"]["lamp"] == "off"
        stale = await max_.give(at.room.id, "resume", expect=0)
        assert (stale["code"], "Eva" in stale["text"]) == ("stale", True)
        assert (await max_.give(at.room.id, "resume", expect=1))["accepted"]
        assert (await max_.give(at.room.id, "resume"))["code"] == "expect-needed"


async def test_two_operators_see_each_other_and_what_the_other_is_about_to_change() -> None:
    async with console() as at:
        await two(at)
        eva, max_ = await at.open(), await at.open("second")
        await eva.watch(at.room.id)
        await eva.send("editing", room=at.room.id, slot="role/ana")
        while (seen := max_.states["house"]["operators"]["c1"])["editing"] != "role/ana":
            await max_.read()
        assert (seen["name"], seen["standing"], seen["room"]) == ("Eva", "operator", at.room.id)
        seen_at = at.stage.meeting.overview().revision
        about: dict[str, Any] = {"expect": seen_at, "participant": "ana"}
        assert (await max_.give(at.room.id, "role", name="captions-only", **about))["accepted"]
        reply = await eva.give(at.room.id, "role", name="emergency-short", **about)
        assert (reply["code"], reply["text"].endswith("got a change by Max since")) == ("stale", True)
        await eva.socket.close()
        while "c1" in max_.states["house"]["operators"]:
            await max_.read()


async def test_a_viewer_does_not_even_show_that_they_would() -> None:
    async with console() as at:
        vera = await at.open(VIEWER)
        await vera.watch(at.room.id)
        await vera.send("editing", room=at.room.id, slot="mode")
        assert (await vera.until("error"))["code"] == "not-allowed"
        assert at.desk.operators["c1"].editing == ""


async def test_a_page_that_does_not_read_is_hung_up_on_and_told_so() -> None:
    async with console() as at:
        eva, max_ = await at.open(), await at.open("second")
        slow = next(one for one in at.server._connections if one.id == "c1")
        for _ in range(OUTBOX_MESSAGES + 1):  # with no time between them to be sent
            slow.deliver(Gone(topic="house"))
        await eva.is_ended()
        assert eva.messages[-1]["code"] == "too-slow"
        assert (await max_.give(at.room.id, "halt"))["accepted"]


async def test_what_was_staged_is_applied_together() -> None:
    async with console(voices={"clara": "ab" * 32, "david": "cd" * 32}, voice_prompt=True) as at:
        await two(at, speaking=True)
        eva = await at.open()
        await eva.watch(at.room.id)
        commands = [
            {"name": "role", "arguments": {"name": "plain-language-relay", "participant": "ana"}},
            {"name": "voice", "arguments": {"name": "david", "participant": "ana"}},
        ]
        await eva.send("apply", id="a1", room=at.room.id, commands=commands, expect=0)
        assert (await eva.until("reply"))["accepted"]
        person = eva.states[f"room/{at.room.id}"]["people"]["ana"]
        assert person["role"] == {"applied": "meeting-simultaneous", "wanted": "plain-language-relay"}
        assert person["voice"] == {"applied": "clara", "wanted": "david"}
        assert eva.states[f"room/{at.room.id}"]["directions"]["ana:es>en"]["pending"]
        body = {
            "commands": [{"name": "halt"}, {"name": "mode", "arguments": {"mode": "captions"}}],
            "expect": 2,
        }
        status, reply, _ = await at.call("POST", f"/api/rooms/{at.room.id}/apply", OPERATOR, body)
        assert (status, reply["code"]) == (400, "bad-argument")
        assert not at.stage.meeting.overview().orders.halted


async def test_answers_come_in_the_operator_s_language() -> None:
    async with console() as at:
        eva = await at.open()
        await eva.send("language", tag="es")
        reply = await eva.give(at.room.id, "halt")
        assert (reply["text"], reply["language"]) == ("El intérprete calla.", "es")
        _, made, _ = await at.call(
            "POST",
            f"/api/rooms/{at.room.id}/commands/resume",
            OPERATOR,
            {"expect": 1},
            **{"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"},
        )
        assert made["text"] == "El intérprete continúa."


@pytest.mark.parametrize(
    ("name", "arguments", "expect", "status", "code"),
    [
        ("mode", {"mode": "captions"}, 0, 200, "done"),
        ("mode", {"mode": "captions"}, None, 428, "expect-needed"),
        ("mode", {"mode": "telepathy"}, 0, 400, "bad-argument"),
        ("hold", {}, None, 400, "bad-argument"),
        ("nonsense", {}, None, 404, "unknown-command"),
        ("scenario", {"name": "x"}, None, 403, "not-allowed"),
        ("join", {"url": "x"}, None, 400, "bad-argument"),
        ("release", {"direction": "es>en"}, 0, 409, "refused"),
        ("invite", {}, None, 200, "done"),
        ("export", {"format": "vtt"}, None, 409, "refused"),
    ],
)
async def test_the_status_of_a_call_follows_what_came_of_it(
    name: str, arguments: dict[str, Any], expect: int | None, status: int, code: str
) -> None:
    async with console() as at:
        got, reply = await at.command(name, expect=expect, **arguments)
        assert (got, reply["code"], reply["accepted"]) == (status, code, status == 200)
        assert reply["text"]


async def test_a_command_for_another_room_is_for_none() -> None:
    async with console() as at:
        status, reply, _ = await at.call("POST", "/api/rooms/00ff/commands/halt", OPERATOR, {})
        assert (status, reply["code"]) == (404, "no-room")
        status, reply, _ = await at.call("POST", "/api/commands/halt", OPERATOR, {})
        assert (status, reply["code"]) == (404, "no-room")
        eva = await at.open()
        assert (await eva.give(None, "halt"))["code"] == "no-room"
        assert (await eva.give("00ff", "halt"))["code"] == "no-room"
        assert not at.stage.meeting.overview().orders.halted


async def test_who_did_what_stands_in_the_audit_log_with_their_token_s_hash() -> None:
    async with console() as at:
        await at.command("halt")
        await at.command("mode", who="second", mode="captions")
        events = [(e["event"], e["actor"], e["actor_role"]) for e in at.stage.events() if e["actor"]]
        assert events == [("meeting.halted", "Eva", "operator"), ("command.refused", "Max", "operator")]
        hashes = {e["token_hash"] for e in at.stage.events() if e["actor"]}
        assert len(hashes) == 2
        assert not any(TOKENS[OPERATOR] in line for line in at.stage.meeting.record.audit.lines)


# Whatever else comes in -----------------------------------------------------------------------------------------------

NESTED = "[" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "null",
        NESTED[:15_000],
        '{"type": "watch"',
        '{"type": "watch", "room": "ab", "room": "cd"}',
        '{"type": "watch", "room": "../etc"}',
        '{"type": "command", "id": "1", "name": "halt", "arguments": {"x": NaN}}',
        '{"type": "command", "id": "1", "name": "halt", "arguments": {"x": [1]}}',
        '{"type": "command", "id": "1", "name": "halt", "extra": 1}',
        '{"type": "command", "id": 1, "name": "halt"}',
        '{"type": "apply", "id": "1", "room": "ab", "commands": [], "expect": 0}',
        '{"type": "apply", "id": "1", "room": "ab", "commands": [{"name": "mode"}]}',
        '{"type": "sync", "topic": "house/../x"}',
        '{"type": "editing", "room": "ab", "slot": "\\u0000"}',
        '{"type": "language", "tag": "<script>"}',
        json.dumps({"type": "editing", "room": "ab", "slot": "x" * 200}),
        "x" * (MAX_MESSAGE_BYTES + 1),
    ],
)
async def test_a_message_that_is_none_is_refused_logged_and_harmless(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with console() as at:
        eva = await at.open()
        await eva.socket.send_str(text)
        error = await eva.until("error")
        assert error["code"] in ("malformed", "too-large")
        assert "expected" in error["message"]
        assert len(error["message"]) < 300
        assert "sent what is refused" in caplog.text
        assert (await eva.give(at.room.id, "halt"))["accepted"], "the connection goes on"


async def test_bytes_a_huge_message_and_too_many_mistakes_end_one_connection_and_no_other() -> None:
    async with console() as at:
        eva, max_ = await at.open(), await at.open("second")
        await eva.socket.send_bytes(b"\x00\x01")
        assert (await eva.until("error"))["code"] == "malformed"
        for _ in range(20):
            await eva.socket.send_str("nonsense")
        await eva.is_ended()
        assert eva.messages[-1] == {
            "type": "closed",
            "code": "too-many",
            "message": "This page makes too many mistakes.",
        }
        huge = await at.open()
        await huge.socket.send_str("x" * (MAX_MESSAGE_BYTES * 5))
        assert await huge.is_ended() == 1009
        assert (await max_.give(at.room.id, "halt"))["accepted"]


async def test_a_page_that_sends_too_much_is_hung_up_on() -> None:
    async with console() as at:
        eva = await at.open()
        for _ in range(100):
            await eva.send("sync", topic="house")
        await eva.is_ended()
        assert eva.messages[-1]["code"] == "too-many"


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [
        ("nonsense", "malformed", 400),
        (b"\xff\xfe", "malformed", 400),
        ('{"arguments": {"mode": "captions"}, "expect": "7"}', "malformed", 400),
        ('{"arguments": {"mode": "captions"}, "expect": -1}', "malformed", 400),
        ('{"arguments": {"mode": "captions"}, "expect": true}', "malformed", 400),
        ('{"argument": {}}', "malformed", 400),
        ('{"arguments": []}', "malformed", 400),
        (json.dumps({"arguments": {"mode": "x" * 20_000}}), "malformed", 400),
        ("x" * 70_000, "too-large", 413),
    ],
)
async def test_a_body_that_is_none_is_refused(body: str | bytes, code: str, status: int) -> None:
    async with console() as at:
        path = f"/api/rooms/{at.room.id}/commands/mode"
        got, reply, _ = await at.call("POST", path, OPERATOR, body)
        assert (got, reply["code"]) == (status, code)
        assert at.stage.meeting.overview().revision == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/static/../server.py", 404),
        ("GET", "/static/%2e%2e/server.py", 404),
        ("GET", "/api/tickets", 405),
        ("DELETE", "/api/house", 405),
        ("GET", "/api/pages/none", 404),
        ("POST", "/api/pages/none/run", 404),
        ("GET", "/api/rooms/zz", 404),
    ],
)
async def test_addresses_that_there_are_not(method: str, path: str, status: int) -> None:
    async with console() as at:
        got, reply, _ = await at.call(method, path)
        assert got == status
        assert reply["accepted"] is False


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "\u202egnp.exe",
    "\ud800 lone",
    "${alert(1)}",
    "'; DROP TABLE people; --",
    "\x00\x1b[31m",
    "Ana\u2028Ben",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_what_people_type_and_models_say_is_plain_data(text: str) -> None:
    async with console() as at:
        at.stage.join("ana", "es", ANA_HZ, name=text, speaking=True)
        at.stage.join("ben", "en", BEN_HZ)
        at.stage.say("es", "en", [f" {text}"])
        eva = await at.open()
        await eva.watch(at.room.id)
        await at.stage.ticks(6)
        room = f"room/{at.room.id}"
        while not eva.states[room]["directions"].get("ana:es>en", {}).get("spoken"):
            await eva.until("delta")
        state = eva.states[room]
        assert state["people"]["ana"]["name"] == text
        said = state["directions"]["ana:es>en"]["spoken"][0]["text"]
        assert said.strip() != ""
        assert all(character.isprintable() or character == "\ufffd" for character in said)
        note = text if any(map(str.isprintable, text)) else "x"
        reply = await eva.give(at.room.id, "note", text=note.replace("\ud800", ""))
        assert reply["accepted"]
        reply = await eva.give(at.room.id, "mute", participant="no such person")
        assert reply["code"] == "bad-argument"
        status, _, headers = await at.call("GET", f"/api/rooms/{at.room.id}")
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=utf-8")


# Starting, ending -----------------------------------------------------------------------------------------------------


async def test_pages_are_told_that_the_server_closes() -> None:
    async with console() as at:
        eva = await at.open()
        await eva.watch(at.room.id)
        closing = asyncio.create_task(at.server.__aexit__(None, None, None))
        await eva.is_ended()
        await closing
        assert eva.messages[-1]["code"] == "server-closing"
        await at.server.__aenter__()  # for the stage to leave it again


async def test_a_port_that_is_taken_is_said_in_words() -> None:
    from interpreter.errors import ConfigError

    async with console() as at:
        port = int(at.server.url.rpartition(":")[2])
        with pytest.raises(ConfigError, match=f"expected to serve the console on 127.0.0.1 port {port}"):
            async with console(port=port):
                pass


async def test_who_comes_back_is_counted_as_coming_back() -> None:
    async with console() as at:
        page = await at.open()
        await page.socket.close()
        await asyncio.sleep(0.05)
        await at.open()
        _, text, headers = await at.call("GET", "/metrics", None)
        assert 'interp_ws_reconnects_total{page="console"} 1' in text
        assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_metrics_may_need_a_token_and_health_never_does() -> None:
    async with console(settings={"open_metrics": False}) as at:
        assert (await at.call("GET", "/metrics", None))[0] == 401
        assert (await at.call("GET", "/metrics", VIEWER))[0] == 200
        assert (await at.call("GET", "/healthz", None))[:2] == (200, {"status": "ok"})
        assert (await at.call("GET", "/readyz", None))[:2] == (200, {"status": "ready"})


async def test_the_system_page_is_for_operators() -> None:
    async with console() as at:
        assert (await at.call("GET", "/api/system", VIEWER))[0] == 403
        status, system, _ = await at.call("GET", "/api/system")
        assert status == 200
        assert system["engines"]["engine"]["free"] == 256
        assert system["rooms"][at.room.id]["keeps"] == "nothing"
        assert system["not_ready"] == []
        assert len(system["rooms"][at.room.id]["key"]) > 20


async def test_leaving_asks_whoever_holds_the_meeting() -> None:
    async with console() as at:
        assert (await at.command("leave"))[0] == 200
        assert at.left == ["Clinic"]
        assert (await at.command("leave", who=ADMIN))[0] == 200


def test_nobody_at_a_console_is_a_participant() -> None:
    assert {Standing.VIEWER, Standing.OPERATOR, Standing.ADMIN}.isdisjoint(
        {Standing.PARTICIPANT, Standing.HOST}
    )


async def test_a_session_without_a_socket_is_unknown_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with console() as at, ClientSession() as other:
        async with other.get(f"{at.server.url}/api/house?token={TOKENS[OPERATOR]}") as response:
            assert response.status == 401, "a token in an address is none"
        assert TOKENS[OPERATOR] not in caplog.text
