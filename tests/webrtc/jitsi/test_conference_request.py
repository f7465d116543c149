"""Asking the focus for a conference: both forms, every answer, and how long to wait."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.backoff import Backoff
from webrtc.jitsi.conference_request import (
    AskAgain,
    ConferenceRequest,
    FocusReady,
    HttpRequest,
    Outcome,
    RequestRefused,
)
from webrtc.jitsi.reconnection import FIRST_ATTEMPTS, GIVE_UP_AFTER_S, Reconnection
from webrtc.jitsi.refusals import Refusal, sentence
from webrtc.jitsi.stanza import TIMEOUT, IqError
from webrtc.jitsi.xml import parse, serialise


def a_request(*, token: str = "", url: str | None = None) -> ConferenceRequest:
    return ConferenceRequest(room="room@muc.meet.test", machine_id="m-1", token=token, url=url)


def answered(request: ConferenceRequest, attributes: str, content: str = "") -> Outcome:
    stanza = parse(
        "<iq xmlns='jabber:client' type='result' id='1' from='focus.meet.test'>"
        f"<conference xmlns='http://jitsi.org/protocol/focus' {attributes}>{content}</conference></iq>"
    )
    return request.answered(stanza, None)


def refused(request: ConferenceRequest, condition: str, app_condition: str = "", text: str = "") -> Outcome:
    return request.answered(None, IqError(condition=condition, app_condition=app_condition, text=text))


def test_the_question_by_xmpp() -> None:
    assert serialise(a_request(token="a.b.c").payload()) == (
        '<conference xmlns="http://jitsi.org/protocol/focus" room="room@muc.meet.test" machine-uid="m-1" token="a.b.c">'
        '<property name="rtcstatsEnabled" value="false"/></conference>'
    )


def test_the_question_by_http() -> None:
    request = a_request(token="a.b.c", url="https://meet.test/conference-request/v1")
    assert request.by_http
    question = request.http()
    assert question == HttpRequest(
        number=1,
        url="https://meet.test/conference-request/v1",
        headers={"Content-Type": "application/json", "Authorization": "Bearer a.b.c"},
        body=json.dumps(
            {"room": "room@muc.meet.test", "machineUid": "m-1", "properties": {"rtcstatsEnabled": "false"}}
        ),
    )
    assert "a.b.c" not in repr(question)


def test_nothing_makes_us_a_visitor() -> None:
    assert "visitors-version" not in serialise(a_request().payload())
    assert "visitors-version" not in a_request(url="https://x.example").http().body


def test_ready_names_the_focus() -> None:
    outcome = answered(a_request(), "ready='true' focusjid='Focus@auth.meet.test/x'")
    assert outcome == FocusReady(focus_user="focus@auth.meet.test")
    by_http = a_request(url="https://x.example").http_answered(
        200, '{"ready": true, "focusJid": "focus@auth.meet.test"}'
    )
    assert by_http == FocusReady(focus_user="focus@auth.meet.test")


def test_not_ready_waits_twice_as_long_each_time_up_to_two_minutes() -> None:
    request = a_request()
    waits = []
    for _ in range(9):
        outcome = answered(request, "ready='false'")
        assert isinstance(outcome, AskAgain)
        assert not outcome.host
        waits.append(outcome.after_s)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert answered(request, "ready='true'") == FocusReady(focus_user="")
    assert answered(request, "ready='false'") == AskAgain(after_s=1.0)


def test_a_session_is_kept_and_dropped_when_it_is_not_valid_any_more() -> None:
    request = a_request()
    answered(request, "ready='false' session-id='s-1'")
    assert request.payload().get("session-id") == "s-1"
    assert isinstance(
        refused(request, "not-acceptable", "{http://jitsi.org/protocol/focus}session-invalid"), AskAgain
    )
    assert request.payload().get("session-id") is None
    for _ in range(4):
        assert isinstance(refused(request, "not-acceptable"), AskAgain)
    assert refused(request, "not-acceptable") == RequestRefused(
        kind=Refusal.SERVER_BROKEN, said="invalid session"
    )

    by_http = a_request(url="https://x.example")
    by_http.http_answered(200, '{"ready": false, "sessionId": "s-2"}')
    assert json.loads(by_http.http().body)["sessionId"] == "s-2"
    assert isinstance(by_http.http_answered(400, '{"error": "invalid-session"}'), AskAgain)
    assert "sessionId" not in by_http.http().body


@pytest.mark.parametrize("by_http", [True, False])
def test_a_guest_waits_for_a_host_but_a_token_that_does_not_suffice_is_said(by_http: bool) -> None:
    url = "https://x.example" if by_http else None

    def not_authorized(request: ConferenceRequest) -> Outcome:
        return request.http_answered(403, "") if by_http else refused(request, "not-authorized")

    assert not_authorized(a_request(url=url)) == AskAgain(after_s=1.0, host=True)
    assert not_authorized(a_request(url=url, token="x")) == RequestRefused(kind=Refusal.TOKEN_REFUSED)


def test_a_meeting_that_is_not_live_waits_for_its_host() -> None:
    outcome = answered(a_request(), "ready='true'", "<property name='live' value='false'/>")
    assert outcome == AskAgain(after_s=1.0, host=True)
    by_http = a_request(url="https://x.example")
    assert by_http.http_answered(200, '{"ready": true, "properties": {"live": "false"}}') == AskAgain(
        after_s=1.0, host=True
    )


@pytest.mark.parametrize(
    ("condition", "app_condition", "kind"),
    [
        ("service-unavailable", "{http://jitsi.org/protocol/focus}reservation-error", Refusal.RESERVATION),
        ("forbidden", "", Refusal.NOT_ALLOWED),
        ("remote-server-not-found", "", Refusal.WRONG_DOMAIN),
    ],
)
def test_what_will_not_change_is_refused(condition: str, app_condition: str, kind: Refusal) -> None:
    assert refused(a_request(), condition, app_condition, "why") == RequestRefused(kind=kind, said="why")


def test_visitors_are_not_what_we_can_be() -> None:
    outcome = answered(a_request(), "ready='true' vnode='v1'")
    assert outcome == RequestRefused(kind=Refusal.VISITORS_ONLY)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (None, ""),
        (500, "x"),
        (404, "{}"),
        (429, ""),
        (200, "<html>"),
        (200, "[]"),
        (200, "[" * 40_000),
        (200, "{}"),
    ],
)
def test_answers_that_say_nothing_are_asked_again(status: int | None, body: str) -> None:
    assert a_request(url="https://x.example").http_answered(status, body) == AskAgain(after_s=1.0)


def test_a_focus_that_does_not_answer_is_asked_again() -> None:
    assert a_request().answered(None, TIMEOUT) == AskAgain(after_s=1.0)
    assert a_request().answered(parse("<iq xmlns='jabber:client' type='result'/>"), None) == AskAgain(
        after_s=1.0
    )


@given(st.integers(100, 599), st.text(max_size=80))
def test_any_answer_has_an_outcome(status: int, body: str) -> None:
    a_request(url="https://x.example").http_answered(status, body)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)


@given(
    st.dictionaries(st.sampled_from(["ready", "focusJid", "vnode", "sessionId", "properties"]), json_values)
)
def test_any_json_has_an_outcome(body: dict[str, object]) -> None:
    request = a_request(url="https://x.example")
    request.http_answered(200, json.dumps(body))
    json.loads(request.http().body)


def test_waits_double_and_begin_anew() -> None:
    backoff = Backoff(1.0, 5.0)
    assert [backoff.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_s() == 1


def test_a_first_connection_is_tried_three_times() -> None:
    reconnection = Reconnection()
    reconnection.now(0.0)
    now_s, attempts = 0.0, 0
    while reconnection.at_s is not None:
        now_s = reconnection.at_s
        reconnection.connecting()
        attempts += 1
        reconnection.lost(now_s)
    assert (attempts, now_s) == (FIRST_ATTEMPTS, 3.0)


def test_a_lost_connection_is_made_again_at_once_and_then_less_and_less_often() -> None:
    reconnection = Reconnection()
    reconnection.now(0.0)
    reconnection.connecting()
    reconnection.worked(0.0)
    times = []
    now_s = 100.0
    while reconnection.lost(now_s):
        assert reconnection.at_s is not None
        now_s = reconnection.at_s
        times.append(now_s - 100.0)
        reconnection.connecting()
    assert times[:8] == [0, 1, 3, 7, 15, 31, 61, 91]
    assert times[-1] >= GIVE_UP_AFTER_S - 30


def test_a_session_that_never_lasts_is_made_less_and_less_often_but_not_given_up() -> None:
    reconnection = Reconnection()
    reconnection.now(0.0)
    now_s, times = 0.0, []
    for _ in range(60):
        reconnection.connecting()
        reconnection.worked(now_s)
        now_s += 1.0
        assert reconnection.lost(now_s)
        assert reconnection.at_s is not None
        times.append(reconnection.at_s - now_s)
        now_s = reconnection.at_s
    assert times[:7] == [0, 1, 2, 4, 8, 16, 30]
    assert set(times[7:]) == {30}
    reconnection.connecting()
    reconnection.worked(now_s)
    assert reconnection.lost(now_s + 60.0)
    assert reconnection.at_s == now_s + 60.0


def test_every_refusal_has_one_sentence() -> None:
    for kind in Refusal:
        words = sentence(kind)
        assert words[0].islower()
        assert not words.endswith(".")
        assert "\n" not in words
    assert sentence(Refusal.FULL, "No\nway.").endswith("(the server says: No way)")


def test_what_the_server_repeats_of_our_secrets_is_blotted_out() -> None:
    words = sentence(Refusal.TOKEN_REFUSED, "token eyJabc is expired", ("", "eyJabc"))
    assert words.endswith("(the server says: token … is expired)")
