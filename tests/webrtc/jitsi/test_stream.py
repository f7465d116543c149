"""The XMPP stream against a server in memory: login, resumption, liveness, requests, and servers that misbehave."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webrtc.jitsi.xmpp_server import XmppServer, connect, exchange, plain
from webrtc.errors import LocalError, SignallingError
from webrtc.jitsi.namespaces import client
from webrtc.jitsi.sasl import Account
from webrtc.jitsi.stanza import DISCONNECTED, TIMEOUT, IqError
from webrtc.jitsi.stream import (
    LOGIN_TIMEOUT_S,
    MAX_BAD_FRAMES,
    MAX_REQUESTS,
    PING_AFTER_S,
    PING_TIMEOUT_S,
    Answered,
    LoginRefused,
    StanzaReceived,
    StreamClosed,
    StreamLost,
    StreamReady,
    StreamState,
    XmppStream,
)
from webrtc.jitsi.stream_management import MAX_UNACKNOWLEDGED, StreamManagement
from webrtc.jitsi.xml import element, parse

JID = XmppServer().jid


def counting() -> Callable[[int], str]:
    """Hexadecimal digits that are not random."""
    numbers = itertools.count(1)
    return lambda count: f"{next(numbers):0{2 * count}x}"


def a_stream(account: Account | None = None) -> XmppStream:
    return XmppStream(login_domain="meet.test", ping_to="meet.test", account=account, token_hex=counting())


def ready(server: XmppServer | None = None) -> tuple[XmppStream, XmppServer]:
    stream, server = a_stream(), server or XmppServer()
    connect(stream, server)
    assert stream.events() == [StreamReady(jid=JID, resumed=False)]
    return stream, server


def message(text: str) -> Element:
    stanza = element(client("message"), {"to": "ben@meet.test"})
    stanza.append(element(client("body"), text=text))
    return stanza


def bodies(server: XmppServer) -> list[str]:
    return [stanza.findtext("{jabber:client}body") or "" for stanza in server.of("message")]


def test_the_login_is_what_rfc_7395_asks_for() -> None:
    stream = a_stream()
    stream.connected(0.0)
    assert stream.frames_to_send() == [
        '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.test" version="1.0"/>'
    ]
    features = "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>{}</stream:features>"
    stream.receive("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='meet.test' id='x'/>", 0.0)
    stream.receive(
        features.format(
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism></mechanisms>"
        ),
        0.0,
    )
    assert stream.frames_to_send() == [
        '<auth xmlns="urn:ietf:params:xml:ns:xmpp-sasl" mechanism="ANONYMOUS"/>'
    ]
    stream.receive("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", 0.0)
    assert stream.frames_to_send() == [
        '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.test" version="1.0"/>'
    ]
    stream.receive(
        features.format("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/>"), 0.0
    )
    assert stream.frames_to_send() == [
        '<iq xmlns="jabber:client" type="set" id="00000001-1">'
        '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/></iq>'
    ]
    stream.receive(
        "<iq xmlns='jabber:client' type='result' id='00000001-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        f"<jid>{JID}</jid></bind></iq>",
        0.0,
    )
    assert stream.frames_to_send() == ['<enable xmlns="urn:xmpp:sm:3" resume="true"/>']
    stream.receive("<enabled xmlns='urn:xmpp:sm:3' id='sm-1' resume='true'/>", 0.0)
    assert stream.events() == [StreamReady(jid=JID, resumed=False)]
    assert stream.resume_id == "sm-1"


def test_accounts_log_in_by_plain_where_nothing_better_is_offered() -> None:
    server = XmppServer()
    server.mechanisms = ["ANONYMOUS", "PLAIN"]
    stream = a_stream(Account(username="ana", password="secret"))
    connect(stream, server)
    assert [plain(login) for login in server.logins] == ["\0ana\0secret"]
    assert stream.state is StreamState.READY


@pytest.mark.parametrize("sm", [True, False])
def test_a_stream_works_with_and_without_stream_management(sm: bool) -> None:
    server = XmppServer()
    server.sm = sm
    stream, server = ready(server)
    stream.send(message("hello"))
    exchange(stream, server, 0.0)
    assert bodies(server) == ["hello"]
    assert bool(stream.resume_id) == sm


@pytest.mark.parametrize(
    ("failure", "condition", "text"),
    [
        ("<not-allowed/><text>token expired</text>", "not-allowed", "token expired"),
        ("<not-authorized/>", "not-authorized", ""),
        ("", "no-mechanism", "no way in for guests"),
    ],
)
def test_a_refused_login_is_the_end(failure: str, condition: str, text: str) -> None:
    server = XmppServer()
    server.failure = failure
    if not failure:
        server.mechanisms = ["PLAIN"]
    stream = a_stream()
    connect(stream, server)
    assert stream.events() == [LoginRefused(condition=condition, text=text)]
    assert stream.state is StreamState.CLOSED


def test_a_server_that_cannot_check_logins_is_tried_again() -> None:
    server = XmppServer()
    server.failure = "<temporary-auth-failure/>"
    stream = a_stream()
    connect(stream, server)
    assert isinstance(stream.events()[0], StreamLost)


def test_a_cut_session_is_resumed_and_nothing_is_lost() -> None:
    stream, server = ready()
    server.send("<message from='ben@meet.test'><body>first</body></message>")
    stream.send(message("arrives"))
    exchange(stream, server, 1.0)
    request = stream.request("get", "meet.test", Element("{urn:x}q"), 1.0)
    stream.frames_to_send()  # lost on the way
    stream.disconnected(2.0)
    stream.send(message("while away"))
    server.send("<message from='ben@meet.test'><body>second</body></message>")
    connect(stream, server, 3.0)
    assert server.resumed_with == [("sm-1", 1)]
    assert bodies(server) == ["arrives", "while away"]
    asked = server.of("iq")[0]
    server.result(asked, "<q xmlns='urn:x'/>")
    exchange(stream, server, 3.0)
    kinds = [type(event) for event in stream.events()]
    assert kinds == [StanzaReceived, StreamLost, StreamReady, StanzaReceived, Answered]
    assert asked.get("id") == request


def test_resuming_asks_for_our_own_session_only() -> None:
    stream, server = ready()
    stream.disconnected(1.0)
    stream.connected(2.0)
    stream.receive("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"
                   "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism></mechanisms>"
                   "</stream:features>", 2.0)  # fmt: skip
    stream.receive("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", 2.0)
    stream.receive("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"
                   "<sm xmlns='urn:xmpp:sm:3'/></stream:features>", 2.0)  # fmt: skip
    stream.events()
    stream.receive("<resumed xmlns='urn:xmpp:sm:3' previd='sm-7' h='0'/>", 2.0)
    (lost,) = stream.events()
    assert isinstance(lost, StreamLost)
    assert "our own session" in lost.words


def test_a_session_that_cannot_be_resumed_is_a_new_one_and_questions_count_as_unanswered() -> None:
    stream, server = ready()
    request = stream.request("get", "meet.test", Element("{urn:x}q"), 1.0)
    stream.send(message("lost"))
    stream.frames_to_send()
    stream.disconnected(2.0)
    server.forget_session()
    server.jid = "fresh@meet.test/2"
    connect(stream, server, 3.0)
    assert stream.events() == [
        StreamLost(words="the connection was cut"),
        Answered(request_id=request, answer=None, error=DISCONNECTED),
        StreamReady(jid="fresh@meet.test/2", resumed=False),
    ]
    assert bodies(server) == []


def test_without_resumption_a_cut_ends_every_question_at_once() -> None:
    server = XmppServer()
    server.resumes = False
    stream, server = ready(server)
    request = stream.request("get", None, Element("{urn:x}q"), 1.0)
    stream.disconnected(2.0)
    stream.send(message("into the void"))
    assert stream.events() == [
        Answered(request_id=request, answer=None, error=DISCONNECTED),
        StreamLost(words="the connection was cut"),
    ]


def test_we_say_how_much_has_come_when_asked() -> None:
    stream, server = ready()
    for _ in range(3):
        server.send("<message from='ben@meet.test'><body>x</body></message>")
    server.outbox.append("<r xmlns='urn:xmpp:sm:3'/>")
    exchange(stream, server, 1.0)
    assert server.client_h == [3]


def test_what_cannot_be_read_is_passed_over_and_still_counted() -> None:
    stream, server = ready()
    server.outbox += [
        "<message xmlns='jabber:client'><!-- hidden --></message>",
        "<presence xmlns='jabber:client'>" + "<a>" * 100 + "</a>" * 100 + "</presence>",
        "<message xmlns='jabber:client'><body>" + "x" * 1_000_000 + "</body></message>",
        "not even XML",
        "<message xmlns='jabber:server'><body>of another world</body></message>",
        "<r xmlns='urn:xmpp:sm:3'/>",
    ]
    exchange(stream, server, 1.0)
    assert server.client_h == [3]
    assert stream.events() == []
    assert stream.state is StreamState.READY


def test_a_server_that_sends_nothing_readable_is_left() -> None:
    stream, _ = ready()
    for _ in range(MAX_BAD_FRAMES):
        stream.receive("<", 1.0)
    (lost,) = stream.events()
    assert isinstance(lost, StreamLost)
    assert "could not be read" in lost.words


def test_acknowledgements_are_asked_for_every_five_stanzas() -> None:
    stream, _ = ready()
    for _ in range(5):
        stream.send(message("x"))
    assert [parse(frame).tag for frame in stream.frames_to_send()].count("{urn:xmpp:sm:3}r") == 1


@pytest.mark.parametrize("h", ["7", "-1", "many", "99999999999", None])
def test_a_server_that_acknowledges_what_was_not_sent_is_left(h: str | None) -> None:
    stream, _ = ready()
    stream.send(message("one"))
    stream.receive("<a xmlns='urn:xmpp:sm:3'/>" if h is None else f"<a xmlns='urn:xmpp:sm:3' h='{h}'/>", 1.0)
    (lost,) = stream.events()
    assert isinstance(lost, StreamLost)
    assert "acknowledged" in lost.words


def test_counters_go_round() -> None:
    management = StreamManagement("x")
    management._acknowledged = 2**32 - 2
    for _ in range(3):
        management.keep(message("x"))
    management.acknowledge("1")
    assert management.unacknowledged() == []
    management._received = 2**32 - 1
    management.count_received()
    assert management.received == 0
    with pytest.raises(SignallingError):
        management.acknowledge("0")


def test_a_server_that_acknowledges_nothing_is_left_before_memory_fills() -> None:
    stream, _ = ready()
    for _ in range(MAX_UNACKNOWLEDGED + 1):
        stream.send(message("x"))
    (lost,) = stream.events()
    assert isinstance(lost, StreamLost)
    assert stream.resume_id == ""


def test_silence_is_met_with_two_pings_and_then_given_up() -> None:
    stream, server = ready()
    times = []
    while stream.state is StreamState.READY:
        at_s = stream.next_timeout()
        assert at_s is not None
        times.append(at_s)
        stream.handle_timeout(at_s)
    assert times == [PING_AFTER_S, PING_AFTER_S + PING_TIMEOUT_S, PING_AFTER_S + 2 * PING_TIMEOUT_S]
    (lost,) = stream.events()
    assert lost == StreamLost(words="the server has been silent for 20 s")
    connect(stream, server, 21.0)
    assert stream.events() == [StreamReady(jid=JID, resumed=True)]


def test_a_ping_that_is_answered_keeps_the_stream() -> None:
    stream, server = ready()
    stream.handle_timeout(PING_AFTER_S)
    for frame in stream.frames_to_send():
        server.receive(frame)
    (ping,) = server.of("iq")
    assert ping.find("{urn:xmpp:ping}ping") is not None
    server.error(
        ping, "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    )  # an answer all the same
    exchange(stream, server, 11.0)
    assert stream.next_timeout() == 21.0
    assert stream.events() == []


def test_pings_of_others_are_answered() -> None:
    stream, server = ready()
    server.send("<iq type='get' id='p1' from='meet.test'><ping xmlns='urn:xmpp:ping'/></iq>")
    exchange(stream, server, 1.0)
    (pong,) = server.of("iq")
    assert (pong.get("type"), pong.get("id"), pong.get("to")) == ("result", "p1", "meet.test")
    assert stream.events() == []


def test_only_who_was_asked_can_answer() -> None:
    stream, server = ready()
    request = stream.request("get", "room@muc.meet.test/focus", Element("{urn:x}q"), 0.0)
    for sender in ("room@muc.meet.test/mallory", "meet.test", ""):
        attribute = f" from='{sender}'" if sender else ""
        server.send(f"<iq type='result' id='{request}'{attribute}/>")
    exchange(stream, server, 0.0)
    assert stream.events() == []
    server.send(f"<iq type='result' id='{request}' from='room@muc.meet.test/focus'/>")
    server.send(f"<iq type='result' id='{request}' from='room@muc.meet.test/focus'/>")
    exchange(stream, server, 0.0)
    (answered,) = stream.events()
    assert isinstance(answered, Answered)
    assert answered.error is None


def test_an_error_is_read_with_all_it_says() -> None:
    stream, server = ready()
    stream.request("set", "focus.meet.test", Element("{urn:x}q"), 0.0)
    exchange(stream, server, 0.0)
    server.send(
        f"<iq type='error' id='{server.of('iq')[0].get('id')}' from='focus.meet.test'><error type='auth'>"
        "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>log\n in\x7f first</text>"
        "<session-invalid xmlns='http://jitsi.org/protocol/focus'/></error></iq>"
    )
    exchange(stream, server, 0.0)
    (answered,) = stream.events()
    assert isinstance(answered, Answered)
    assert answered.error == IqError(
        condition="not-authorized",
        app_condition="{http://jitsi.org/protocol/focus}session-invalid",
        text="log in first",
        kind="auth",
    )


def test_questions_without_an_answer_time_out_and_are_limited() -> None:
    stream, server = ready()
    request = stream.request("get", "meet.test", Element("{urn:x}q"), 0.0, timeout_s=5.0)
    assert stream.next_timeout() == 5.0
    stream.handle_timeout(5.0)
    assert stream.events() == [Answered(request_id=request, answer=None, error=TIMEOUT)]
    for _ in range(MAX_REQUESTS):
        stream.request("get", "meet.test", Element("{urn:x}q"), 0.0)
    with pytest.raises(LocalError, match="unanswered requests"):
        stream.request("get", "meet.test", Element("{urn:x}q"), 0.0)


def test_a_login_that_takes_too_long_is_given_up() -> None:
    stream = a_stream()
    stream.connected(0.0)
    assert stream.next_timeout() == LOGIN_TIMEOUT_S
    stream.handle_timeout(LOGIN_TIMEOUT_S)
    (lost,) = stream.events()
    assert isinstance(lost, StreamLost)


@pytest.mark.parametrize(
    ("frame", "words", "condition"),
    [
        ("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", "the server closed the stream", ""),
        (
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>"
            "<system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
            "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Back soon</text></stream:error>",
            "the server ended the stream: Back soon",
            "system-shutdown",
        ),
        (
            "<stream:error xmlns:stream='http://etherx.jabber.org/streams'/>",
            "the server ended the stream: undefined-condition",
            "undefined-condition",
        ),
    ],
)
def test_a_server_may_end_the_stream(frame: str, words: str, condition: str) -> None:
    stream, _ = ready()
    stream.receive(frame, 1.0)
    assert stream.events() == [StreamLost(words=words, condition=condition)]
    stream.receive("<message xmlns='jabber:client'/>", 1.0)
    assert stream.events() == []


def test_closing_says_what_is_left_to_say_first() -> None:
    stream, server = ready()
    stream.send(message("bye"))
    stream.close(1.0)
    exchange(stream, server, 1.0)
    assert bodies(server) == ["bye"]
    assert server.closed
    assert stream.events() == [StreamClosed()]
    assert stream.resume_id == ""


def test_closing_ends_also_when_the_server_does_not_answer() -> None:
    stream, _ = ready()
    stream.close(1.0)
    stream.handle_timeout(3.0)
    assert stream.events() == [StreamClosed()]
    assert stream.state is StreamState.CLOSED
    assert stream.resume_id == ""


def test_a_session_cut_while_it_closes_may_still_stand() -> None:
    stream, server = ready()
    stream.send(message("bye"))
    stream.close(1.0)
    stream.frames_to_send()  # lost on the way
    stream.disconnected(1.5)
    assert stream.events() == [StreamLost(words="the connection was cut")]
    connect(stream, server, 2.0)
    stream.close(2.0)
    exchange(stream, server, 2.0)
    assert bodies(server) == ["bye"]
    assert server.closed


def test_without_resumption_it_does_not() -> None:
    server = XmppServer()
    server.resumes = False
    stream, _ = ready(server)
    stream.close(1.0)
    stream.disconnected(1.5)
    assert stream.events() == [StreamClosed()]


def test_logs_hold_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    server = XmppServer()
    server.mechanisms = ["PLAIN"]
    stream = a_stream(Account(username="ana", password="geheim"))
    connect(stream, server)
    payload = element("{http://jitsi.org/protocol/focus}conference", {"token": "geheim"})
    stream.request("set", "focus.meet.test", payload, 0.0)
    exchange(stream, server, 0.0)
    server.send("<message from='ben@meet.test'><body>geheim</body></message>")
    exchange(stream, server, 0.0)
    assert "iq type='set'" in caplog.text
    assert "geheim" not in caplog.text
    assert plain(server.logins[0]).split("\0")[2] == "geheim"


FRAMES = st.sampled_from([
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><mechanisms "
    "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>ANONYMOUS</mechanism></mechanisms></stream:features>",
    "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><sm xmlns='urn:xmpp:sm:3'/></stream:features>",
    "<stream:error xmlns:stream='http://etherx.jabber.org/streams'><reset/></stream:error>",
    "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj14</challenge>",
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    "<iq xmlns='jabber:client' type='result' id='00000001-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<jid>a@b/c</jid></bind></iq>",
    "<iq xmlns='jabber:client' type='error' id='00000001-1'/>",
    "<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq xmlns='jabber:client' type='nonsense'/>",
    "<enabled xmlns='urn:xmpp:sm:3' id='s' resume='true'/>",
    "<resumed xmlns='urn:xmpp:sm:3' previd='s' h='0'/>",
    "<failed xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='1'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<message xmlns='jabber:client'/>",
    "<message",
    "",
])  # fmt: skip
STEPS = st.lists(st.one_of(FRAMES, st.sampled_from(["CONNECT", "CUT", "SEND", "TIME", "CLOSE"])), max_size=40)


@given(STEPS, st.booleans())
def test_no_order_of_frames_breaks_the_stream(steps: list[str], account: bool) -> None:
    stream = a_stream(Account(username="ana", password="x") if account else None)
    now_s = 0.0
    for step in steps:
        now_s += 1.0
        match step:
            case "CONNECT":
                stream.connected(now_s)
            case "CUT":
                stream.disconnected(now_s)
            case "SEND":
                stream.send(message("x"))
                with contextlib.suppress(LocalError):
                    stream.request("get", "meet.test", Element("{urn:x}q"), now_s)
            case "TIME":
                now_s += 30.0
                stream.handle_timeout(now_s)
            case "CLOSE":
                stream.close(now_s)
            case frame:
                stream.receive(frame, now_s)
        for frame in stream.frames_to_send():
            parse(frame)
        stream.events()
        due_s = stream.next_timeout()
        stream.handle_timeout(now_s)
        assert due_s is None or stream.next_timeout() is None or (stream.next_timeout() or 0.0) > now_s
