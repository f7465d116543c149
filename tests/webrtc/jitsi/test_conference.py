"""A seat in a conference against a Jitsi server in memory: every way in, every way out, and interruptions."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webrtc.jitsi.seat import (
    JINGLE,
    JITMEET,
    LOBBY_ERROR,
    SERVER,
    STANZA_ERROR,
    Seat,
    jingle_iq,
    joined,
    refused,
    shown,
)
from tests.webrtc.jitsi.xmpp_server import (
    FOCUS_USER,
    LOBBY,
    MODERATION,
    ROOM,
)
from webrtc.errors import LocalError
from webrtc.jitsi.conference import JOIN_TIMEOUT_S, LEAVE_TIMEOUT_S, Phase
from webrtc.jitsi.conference_events import (
    Admitted,
    Ended,
    Interrupted,
    Joined,
    OccupantJoined,
    OccupantLeft,
    Refused,
    Resumed,
    RoomKnown,
    SeatSettings,
    Wait,
    Waiting,
)
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.sasl import Account

# Getting in.


def test_a_guest_asks_the_focus_and_joins() -> None:
    seat = Seat().start()
    assert [type(event) for event in seat.take()] == [Joined, OccupantJoined, RoomKnown]
    (join,) = seat.server.joins
    assert join.get("to") == f"{ROOM}/0123abcd"
    assert [stanza.get("to") for stanza in seat.sent("iq")] == ["meet.test", "focus.meet.test", ROOM]
    assert seat.core.room.focus == f"{ROOM}/focus"
    assert seat.core.room.roster.occupants["focus"].jid == f"{FOCUS_USER}/x"


def test_the_nick_is_the_beginning_of_our_address_or_eight_digits() -> None:
    seat = Seat()
    seat.server.jid = "Kr3_-opaque@meet.test/x"
    seat.start()
    nick = (seat.server.joins[0].get("to") or "").partition("/")[2]
    assert len(nick) == 8
    assert int(nick, 16) > 0


def test_who_was_there_is_told_after_we_are_in() -> None:
    seat = Seat()
    seat.server.there.append(seat.server.presence("aaaaaaaa", content="<audiomuted>true</audiomuted>"))
    seat.start()
    events = seat.take()
    assert isinstance(events[0], Joined)
    there = [event.occupant.nick for event in events if isinstance(event, OccupantJoined)]
    assert there == ["focus", "aaaaaaaa"]


def test_a_focus_that_is_not_ready_is_asked_again() -> None:
    seat = Seat()
    seat.server.ready = ["false", "false", "true"]
    seat.start()
    assert [(type(event), event.kind) for event in seat.seen if isinstance(event, Waiting)] == [
        (Waiting, Wait.FOCUS)
    ]
    seat.until(3.0)
    assert seat.core.phase is Phase.JOINED
    assert len(seat.server.conferences) == 3


def test_conferences_can_be_asked_for_by_http() -> None:
    server = dataclasses.replace(SERVER, conference_request="https://meet.test/conference-request/v1")
    seat = Seat(server=server, token="a.b.c").start()
    (request,) = seat.core.http_requests()
    assert request.headers["Authorization"] == "Bearer a.b.c"
    seat.core.http_answered(99, 200, '{"ready": true}', 0.0)  # of somebody else's request
    assert seat.core.phase is Phase.ASKING
    seat.core.http_answered(request.number, 200, json.dumps({"ready": True, "focusJid": FOCUS_USER}), 0.0)
    seat.exchange()
    assert seat.core.phase is Phase.JOINED
    assert not seat.server.conferences


def test_the_room_s_password_is_said_once() -> None:
    seat = joined(password="sesame")
    seat.core.room.set_display_name("Dolmetscher")
    seat.exchange()
    first, second = seat.sent("presence")
    assert (
        first.findtext("{http://jabber.org/protocol/muc}x/{http://jabber.org/protocol/muc}password")
        == "sesame"
    )
    assert second.find("{http://jabber.org/protocol/muc}x") is None
    assert second.findtext("{http://jabber.org/protocol/nick}nick") == "Dolmetscher"


@pytest.mark.parametrize(
    ("content", "settings", "kind"),
    [
        (f"<not-authorized {STANZA_ERROR}/>", {}, Refusal.PASSWORD_NEEDED),
        (f"<not-authorized {STANZA_ERROR}/>", {"password": "x"}, Refusal.PASSWORD_WRONG),
        (f"<registration-required {STANZA_ERROR}/>", {}, Refusal.MEMBERS_ONLY),
        (f"<service-unavailable {STANZA_ERROR}/>", {}, Refusal.FULL),
        (f"<forbidden {STANZA_ERROR}/>", {}, Refusal.BANNED),
        (f"<not-acceptable {STANZA_ERROR}/><displayname-required {JITMEET}/>", {}, Refusal.NAME_NEEDED),
        (f"<not-allowed {STANZA_ERROR}/><authentication-required {JITMEET}/>", {}, Refusal.LOGIN_NEEDED),
        (
            f"<not-allowed {STANZA_ERROR}/><no-main-participants xmlns='jitsi:visitors'/>",
            {},
            Refusal.VISITORS_ONLY,
        ),
        (f"<not-allowed {STANZA_ERROR}/><text {STANZA_ERROR}>Locked</text>", {}, Refusal.NOT_ALLOWED),
        (f"<remote-server-not-found {STANZA_ERROR}/>", {}, Refusal.WRONG_DOMAIN),
        (f"<gone {STANZA_ERROR}/>", {}, Refusal.NOT_ALLOWED),
        ("", {}, Refusal.NOT_ALLOWED),
    ],
)
def test_every_refusal_becomes_one_sentence(content: str, settings: dict[str, Any], kind: Refusal) -> None:
    seat = Seat(**settings)
    seat.server.join_errors = [content]
    seat.start()
    event = refused(seat)
    assert event.kind is kind
    assert ":" in event.words
    assert ("Locked" in event.words) == ("Locked" in content)
    assert [type(each) for each in seat.seen] == [Refused]
    assert seat.server.closed


def test_a_room_the_focus_has_just_left_is_asked_for_anew() -> None:
    seat = Seat()
    text = f"<text {STANZA_ERROR}>Room creation is restricted</text>"
    seat.server.join_errors = [
        f"<not-allowed {STANZA_ERROR}/>{text}",
        f"<not-allowed {STANZA_ERROR}/><room-does-not-exist {JITMEET}/>",
    ]
    seat.start()
    seat.until(3.0)
    assert seat.core.phase is Phase.JOINED
    assert len(seat.server.conferences) == 3


def test_and_not_for_ever() -> None:
    seat = Seat()
    seat.server.join_errors = [f"<not-allowed {STANZA_ERROR}/><room-does-not-exist {JITMEET}/>"] * 9
    seat.start()
    seat.until(60.0)
    assert refused(seat).kind is Refusal.ROOM_UNAVAILABLE
    assert len(seat.server.joins) == 4


def test_a_nick_that_is_taken_is_exchanged() -> None:
    seat = Seat()
    seat.server.join_errors = [f"<conflict {STANZA_ERROR}/>"]
    seat.start()
    seat.until(1.0)
    assert seat.core.phase is Phase.JOINED
    first, second = (join.get("to") for join in seat.server.joins)
    assert first != second


def test_a_room_that_does_not_answer_is_given_up() -> None:
    seat = Seat()
    seat.server.answers_joins = False
    seat.start()
    seat.until(JOIN_TIMEOUT_S * 4 + 10)
    assert refused(seat).kind is Refusal.SERVER_BROKEN


@pytest.mark.parametrize(
    ("error", "settings", "kind"),
    [
        (f"<not-authorized {STANZA_ERROR}/>", {"token": "eyJ"}, Refusal.TOKEN_REFUSED),
        (
            "<reservation-error xmlns='http://jitsi.org/protocol/focus' error-code='404'/>",
            {},
            Refusal.RESERVATION,
        ),
    ],
)
def test_a_conference_that_is_refused(error: str, settings: dict[str, Any], kind: Refusal) -> None:
    seat = Seat(**settings)
    seat.server.ready = [error]
    seat.start()
    assert refused(seat).kind is kind


def test_a_guest_waits_for_the_host_for_so_long_and_no_longer() -> None:
    seat = Seat(max_wait_s=100.0)
    seat.server.ready = [f"<not-authorized {STANZA_ERROR}/>"] * 5 + ["true"]
    seat.start()
    assert seat.take() == [Waiting(kind=Wait.HOST, words="the meeting has not begun: the interpreter waits for a "
                                   "host to start it")]  # fmt: skip
    seat.until(40.0)
    assert seat.core.phase is Phase.JOINED

    late = Seat(max_wait_s=100.0)
    late.server.ready = [f"<not-authorized {STANZA_ERROR}/>"]
    late.start()
    late.until(101.0)
    assert refused(late).kind is Refusal.HOST_ABSENT


@pytest.mark.parametrize(
    ("settings", "secret", "kind"),
    [
        ({}, "", Refusal.LOGIN_NEEDED),
        ({"token": "eyJabc"}, "eyJabc", Refusal.TOKEN_REFUSED),
        ({"account": Account(username="ana", password="geheim")}, "geheim", Refusal.ACCOUNT_REFUSED),
    ],
)
def test_a_refused_login_says_what_was_wrong_and_no_secret(
    settings: dict[str, Any], secret: str, kind: Refusal
) -> None:
    seat = Seat(**settings)
    seat.server.mechanisms = ["ANONYMOUS", "PLAIN"]
    seat.server.failure = f"<not-allowed/><text>not with {secret or 'nothing'}!</text>"
    seat.start()
    event = refused(seat)
    assert event.kind is kind
    assert event.words.endswith(f"(the server says: not with {'…' if secret else 'nothing'}!)")


def test_guests_and_accounts_log_in_where_they_belong() -> None:
    server = dataclasses.replace(SERVER, guest_domain="guest.meet.test")
    assert Seat(server=server).start().server.opened == ["guest.meet.test"] * 2
    for username, domain in (("ana", "meet.test"), ("ana@auth.meet.test", "auth.meet.test")):
        seat = Seat(server=server, account=Account(username=username, password="x"))
        seat.server.mechanisms = ["PLAIN"]
        assert seat.start().server.opened == [domain] * 2


# The lobby.


def in_lobby(**settings: Any) -> Seat:
    seat = Seat(**settings)
    seat.server.join_errors = [LOBBY_ERROR]
    seat.start()
    assert [event.kind for event in seat.take() if isinstance(event, Waiting)] == [Wait.LOBBY]
    return seat


def test_the_lobby_is_told_our_name_and_nothing_else() -> None:
    seat = in_lobby(email="i@clinic.example")
    knock = seat.sent("presence")[-1]
    assert knock.get("to") == f"{LOBBY}/0123abcd"
    assert knock.findtext("{http://jabber.org/protocol/nick}nick") == "Interpreter"
    assert knock.find("{jabber:client}SourceInfo") is None


@pytest.mark.parametrize("password", ["", "sesame"])
def test_who_is_admitted_joins_with_the_password_of_the_invitation(password: str) -> None:
    seat = in_lobby()
    content = f"<password>{password}</password>" if password else ""
    seat.send(
        f"<message from='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='{ROOM}/b'/>{content}</x>"
        "</message>"
    )
    assert [type(event) for event in seat.take()] == [Admitted, Joined, OccupantJoined, RoomKnown]
    muc = "{http://jabber.org/protocol/muc}"
    assert seat.server.joins[-1].findtext(f"{muc}x/{muc}password") == (password or None)
    assert seat.server.left == [f"{LOBBY}/0123abcd"]
    assert len(seat.server.conferences) == 2


def test_only_the_room_itself_can_admit() -> None:
    seat = in_lobby()
    for sender in ("mallory@meet.test", f"{ROOM}/mallory", LOBBY):
        seat.send(
            f"<message from='{sender}'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='x'/></x></message>"
        )
    assert seat.core.phase is Phase.LOBBY
    assert seat.take() == []


def test_who_is_denied_is_told_so() -> None:
    seat = in_lobby()
    seat.presence(
        "0123abcd", room=LOBBY, kind="unavailable", codes="110 307", item="<reason>Not now</reason>"
    )
    event = refused(seat)
    assert event.kind is Refusal.LOBBY_DENIED
    assert "Not now" in event.words


@pytest.mark.parametrize(("jid", "outcome"), [(ROOM, Joined), ("", Refused)])
def test_a_lobby_may_close(jid: str, outcome: type) -> None:
    seat = in_lobby()
    target = f" jid='{jid}'" if jid else ""
    seat.send(
        f"<presence type='unavailable' from='{LOBBY}/0123abcd'><x xmlns='http://jabber.org/protocol/muc#user'>"
        f"<destroy{target}/><item role='none'/><status code='110'/></x></presence>"
    )
    assert outcome in [type(event) for event in seat.seen]


def test_nobody_waits_in_the_lobby_for_ever() -> None:
    seat = in_lobby(max_wait_s=60.0)
    seat.until(61.0)
    assert refused(seat).kind is Refusal.LOBBY_UNANSWERED
    assert f"{LOBBY}/0123abcd" in seat.server.left


def test_a_lobby_before_the_host_is_there_waits_for_the_host() -> None:
    seat = Seat()
    seat.server.join_errors = [f"{LOBBY_ERROR}<waiting-for-host {JITMEET}/>"]
    seat.start()
    assert isinstance(seat.last, Waiting)
    assert seat.last.kind is Wait.HOST


def test_without_a_lobby_the_host_is_looked_for_again() -> None:
    seat = Seat()
    seat.server.join_errors = [f"<registration-required {STANZA_ERROR}/><waiting-for-host {JITMEET}/>"] * 2
    seat.start()
    seat.until(11.0)
    assert seat.core.phase is Phase.JOINED


def test_a_lobby_that_does_not_answer_is_a_closed_door() -> None:
    seat = Seat()
    seat.server.join_errors = [LOBBY_ERROR]
    seat.server.lobby_opens = False
    seat.start()
    seat.until(JOIN_TIMEOUT_S + 1)
    assert refused(seat).kind is Refusal.MEMBERS_ONLY


def test_a_lobby_that_refuses_says_why() -> None:
    seat = Seat()
    seat.server.join_errors = [LOBBY_ERROR]
    seat.server.lobby_opens = False
    seat.start()
    seat.send(
        f"<presence type='error' from='{LOBBY}/0123abcd'><error type='modify'><not-acceptable {STANZA_ERROR}/>"
        f"<displayname-required {JITMEET}/></error></presence>"
    )
    assert refused(seat).kind is Refusal.NAME_NEEDED


# Getting out.


def test_leaving_says_so_and_leaves_nothing_behind() -> None:
    seat = joined()
    seat.core.leave(seat.now_s)
    seat.exchange()
    assert seat.server.left == [f"{ROOM}/0123abcd"]
    assert seat.server.closed
    assert seat.take() == [Ended(kind=Refusal.LEFT, words="the interpreter has left the meeting")]
    assert seat.core.over
    seat.core.leave(seat.now_s)
    assert seat.core.events() == []


def test_leaving_while_cut_off_resumes_to_say_so() -> None:
    seat = joined()
    seat.cut()
    seat.core.leave(seat.now_s)
    assert seat.core.phase is Phase.LEAVING
    seat.connect()
    assert seat.server.left == [f"{ROOM}/0123abcd"]
    assert seat.server.closed
    assert isinstance(seat.last, Ended)


def test_leaving_through_a_connection_that_is_dead_is_said_again() -> None:
    seat = joined()
    seat.core.leave(seat.now_s)
    seat.cut()
    assert seat.take() == []
    seat.connect()
    assert seat.server.left == [f"{ROOM}/0123abcd"]
    assert seat.server.closed
    assert isinstance(seat.last, Ended)


def test_leaving_while_nothing_answers_ends_all_the_same() -> None:
    seat = joined()
    seat.cut()
    seat.core.leave(seat.now_s)
    seat.core.connecting()
    seat.core.connect_failed(Refusal.UNREACHABLE, seat.now_s)
    seat.until(LEAVE_TIMEOUT_S)
    assert isinstance(seat.last, Ended)
    assert seat.core.connect_at_s is None


def test_leaving_before_anything_began() -> None:
    seat = Seat()
    seat.core.start(0.0)
    seat.core.leave(0.0)
    assert [type(event) for event in seat.core.events()] == [Ended]


@pytest.mark.parametrize(
    ("codes", "item", "kind"),
    [
        ("110 307", "<actor nick='b'/><reason>Too many bots</reason>", Refusal.KICKED),
        ("110 301", "", Refusal.BANNED),
        ("110 321", "", Refusal.MEMBERS_ONLY),
        ("110 322", "", Refusal.MEMBERS_ONLY),
    ],
)
def test_being_put_out_is_the_end(codes: str, item: str, kind: Refusal) -> None:
    seat = joined()
    seat.presence("0123abcd", kind="unavailable", codes=codes, item=item, role="none")
    event = seat.last
    assert isinstance(event, Ended)
    assert event.kind is kind
    assert ("Too many bots" in event.words) == bool(item)
    assert seat.core.over
    assert seat.server.closed


def test_a_meeting_may_be_ended_for_everybody() -> None:
    seat = joined()
    seat.send(
        f"<presence type='unavailable' from='{ROOM}/0123abcd'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<destroy><reason>Closing time</reason></destroy><item role='none'/><status code='110'/></x></presence>"
    )
    event = seat.last
    assert isinstance(event, Ended)
    assert event.kind is Refusal.MEETING_ENDED
    assert "Closing time" in event.words


@pytest.mark.parametrize("codes", ["110 332", "110 307 333", "110"])
def test_being_put_out_for_technical_reasons_is_not(codes: str) -> None:
    seat = joined()
    seat.presence("0123abcd", kind="unavailable", codes=codes, role="none")
    assert [type(event) for event in seat.take()] == [Interrupted]
    seat.until(seat.now_s + 2.0)
    kinds = [type(event) for event in seat.take()]
    assert kinds[0] is Joined
    assert OccupantJoined not in kinds  # the focus was there before


def test_being_put_out_again_and_again_is() -> None:
    seat = joined()
    for _ in range(4):
        seat.presence("0123abcd", kind="unavailable", codes="110 332", role="none")
        seat.until(seat.now_s + 5.0)
    assert isinstance(seat.last, Ended)
    assert seat.last.kind is Refusal.ROOM_UNAVAILABLE


# Interruptions.


def test_a_cut_connection_is_resumed_without_joining_again() -> None:
    seat = joined()
    seat.cut()
    assert seat.take() == [Interrupted(words="the connection was cut")]
    seat.core.room.say("said meanwhile", None)
    seat.server.send(seat.server.presence("aaaaaaaa"))
    seat.connect()
    assert [type(event) for event in seat.take()] == [Resumed, OccupantJoined]
    assert len(seat.server.joins) == 1
    assert [stanza.findtext("{jabber:client}body") for stanza in seat.sent("message")] == ["said meanwhile"]


def test_a_lost_session_joins_anew_and_tells_only_what_has_changed() -> None:
    seat = joined()
    seat.presence("aaaaaaaa")
    seat.presence("bbbbbbbb")
    seat.take()
    seat.cut()
    seat.server.forget_session()
    seat.server.jid = "fedcba98-x@meet.test/y"
    seat.server.there += [seat.server.presence("bbbbbbbb"), seat.server.presence("cccccccc")]
    seat.connect()
    events = seat.take()
    assert [type(event) for event in events] == [Interrupted, Joined, OccupantLeft, OccupantJoined, RoomKnown]
    assert isinstance(events[1], Joined)
    assert events[1].nick == "fedcba98"
    assert isinstance(events[2], OccupantLeft)
    assert (events[2].occupant.nick, events[2].reason) == ("aaaaaaaa", "left meanwhile")
    assert isinstance(events[3], OccupantJoined)
    assert events[3].occupant.nick == "cccccccc"


def test_a_forced_mute_outlives_a_lost_session() -> None:
    seat = joined()
    seat.send(
        f"<iq type='set' id='m' from='{ROOM}/focus'><mute xmlns='http://jitsi.org/jitmeet/audio'>true</mute></iq>"
    )
    seat.cut()
    seat.server.forget_session()
    seat.connect()
    assert shown(seat) == {"0123abcd-a0": True}


def test_a_connection_that_never_comes_back_is_given_up() -> None:
    seat = joined()
    seat.cut()
    while seat.core.connect_at_s is not None:
        seat.now_s = max(seat.now_s, seat.core.connect_at_s)
        seat.core.connecting()
        seat.core.connect_failed(Refusal.UNREACHABLE, seat.now_s)
    assert 600 <= seat.now_s <= 660
    events = seat.core.events()
    assert [type(event) for event in events] == [Ended]


@pytest.mark.parametrize(
    ("kind", "attempts"), [(Refusal.UNREACHABLE, 3), (Refusal.CERTIFICATE, 1), (Refusal.WRONG_ADDRESS, 1)]
)
def test_a_server_that_cannot_be_reached_at_first_is_said_soon(kind: Refusal, attempts: int) -> None:
    seat = Seat()
    seat.core.start(0.0)
    made = 0
    while seat.core.connect_at_s is not None:
        made += 1
        seat.core.connecting()
        seat.core.connect_failed(kind, seat.core.connect_at_s or 0.0)
    (event,) = seat.core.events()
    assert isinstance(event, Refused)
    assert (event.kind, made) == (kind, attempts)


def test_a_domain_the_server_does_not_know_is_said() -> None:
    seat = Seat()
    seat.core.start(0.0)
    seat.core.connecting()
    seat.core.connected(0.0)
    seat.core.receive(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>"
        "<host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        0.0,
    )
    (event,) = seat.core.events()
    assert isinstance(event, Refused)
    assert event.kind is Refusal.WRONG_DOMAIN


def test_settings_show_no_secrets_and_want_a_name() -> None:
    settings = SeatSettings(
        server=SERVER, room="room", display_name="I", password="geheim", token="eyJ",
        account=Account(username="ana", password="pencil"),
    )  # fmt: skip
    for secret in ("geheim", "eyJ", "pencil"):
        assert secret not in repr(settings)
    with pytest.raises(LocalError, match="display name"):
        SeatSettings(server=SERVER, room="room", display_name="  ")


# Whatever the server says.

SELF = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>"
STANZAS = st.sampled_from([
    f"<presence from='{ROOM}/0123abcd'>{SELF}</presence>",
    f"<presence from='{ROOM}/0123abcd' type='unavailable'/>",
    f"<presence from='{ROOM}/0123abcd' type='error'><error/></presence>",
    f"<presence from='{ROOM}/0123abcd' type='error'><error>{LOBBY_ERROR}</error></presence>",
    f"<presence from='{LOBBY}/0123abcd'>{SELF}</presence>",
    f"<presence from='{LOBBY}/0123abcd' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'>"
    f"<destroy jid='{ROOM}'/><status code='110'/></x></presence>",
    f"<presence from='{ROOM}/focus' type='unavailable'/>",
    f"<presence from='{ROOM}/focus'><bridgeNotAvailable/></presence>",
    f"<presence from='{ROOM}'/>",
    "<presence/>",
    f"<message from='{ROOM}'><x xmlns='http://jabber.org/protocol/muc#user'><invite/></x></message>",
    f"<message from='{MODERATION}'><json-message xmlns='http://jitsi.org/jitmeet'>{{\"type\":\"av_moderation\","
    '"mediaType":"audio","enabled":true}</json-message></message>',
    f"<message from='{ROOM}/focus' type='groupchat'><body>x</body></message>",
    "<iq type='set' id='1'><mute xmlns='http://jitsi.org/jitmeet/audio'/></iq>",
    jingle_iq("focus"),
    "<iq type='result' id='1'/>",
    "<iq/>",
])  # fmt: skip
STEPS = st.lists(STANZAS | st.sampled_from(["CUT", "FORGET", "TIME", "LEAVE", "SAY"]), max_size=30)


@given(STEPS, st.booleans())
def test_no_order_of_stanzas_breaks_the_conference(steps: list[str], by_http: bool) -> None:
    request = "https://meet.test/c" if by_http else None
    seat = Seat(server=dataclasses.replace(SERVER, conference_request=request)).start()
    for step in steps:
        match step:
            case "CUT":
                seat.cut()
                if seat.core.connect_at_s is not None:
                    seat.connect()
            case "FORGET":
                seat.server.forget_session()
            case "TIME":
                seat.until(seat.now_s + 7.0)
            case "LEAVE":
                seat.core.leave(seat.now_s)
                seat.exchange()
            case "SAY":
                seat.core.room.say("x", None)
                seat.core.room.send_jingle(Element(JINGLE), None, seat.now_s)
                seat.exchange()
            case stanza:
                if seat.core.socket_wanted:
                    seat.send(stanza)
        for http in seat.core.http_requests():
            seat.core.http_answered(http.number, 200, '{"ready": true}', seat.now_s)
            seat.exchange()
    ends = [event for event in seat.seen if isinstance(event, (Refused, Ended))]
    assert len(ends) == seat.core.over
    assert not ends or ends[0] is seat.seen[-1]
