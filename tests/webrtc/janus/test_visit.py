"""A stay in a room, message by message, against a server that answers as Janus 1.1.2 does."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.janus import parse_janus_url
from webrtc.janus.session import ANSWER_S, KEEP_ALIVE_S, MAX_BAD_MESSAGES
from webrtc.janus.videoroom import Left, Moderated, Occupant, Seen, Stream, Unpublished
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

SEATS = {"en": "Interpreter · English", "es": "Interpreter · Español"}
ANA = {"id": 71, "display": "Ana", "streams": [{"type": "audio", "mid": "1", "codec": "opus"}]}
ANA_SEEN = Occupant(id=71, name="Ana", audio=Stream(mid="1"))
FIRST_ID = 1_000_000
OFFER = {"type": "offer", "sdp": "v=0 offer"}

E = TypeVar("E")


class Server:
    """Answers requests as Janus does, unless told otherwise; time is `now_s`."""

    def __init__(self, url: str = "janus+ws://127.0.0.1/?room=5&pin=hush", **options: Any) -> None:
        settings = {"token": "", "returning": False, "first_id": FIRST_ID, **options}
        self.visit = Visit(
            parse_janus_url(url), SEATS, new_transaction=map(str, itertools.count()).__next__, **settings
        )
        self.now_s = 1000.0
        self.asked: list[dict[str, Any]] = []
        self.seen: list[VisitEvent] = []
        self.publishers: list[Mapping[str, Any]] = []
        self.refuses: dict[str, tuple[int, str] | list[tuple[int, str]]] = {}
        """Request of the plugin -> error code and words, or those of the first requests."""
        self.fails: dict[str, tuple[int, str]] = {}
        """Request of Janus itself -> the same."""
        self.silent: set[str] = set()
        self.jsep: dict[str, Mapping[str, Any]] = {
            "publish": {"type": "answer", "sdp": "v=0 answer"},
            "subscriber": OFFER,
        }
        self._ids = itertools.count(11)
        self.handles: list[int] = []
        """In the order in which they were made."""

    def begin(self) -> Server:
        self.visit.start(self.now_s)
        self.settle()
        return self

    def settle(self) -> None:
        while requests := self.visit.outgoing():
            for text in requests:
                self._answer(json.loads(text))
        self.seen += self.visit.events()

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        due_s = self.visit.next_timeout()
        if due_s is not None and due_s <= self.now_s:
            self.visit.handle_timeout(self.now_s)
        self.settle()

    def say(self, **message: Any) -> None:
        self.visit.receive(json.dumps(message), self.now_s)
        self.settle()

    def tell(self, data: Mapping[str, Any], handle: int | None = None) -> None:
        """An event that nobody asked for, to the listening seat by default."""
        self.say(**self._event(self.handles[1] if handle is None else handle, data))

    def take(self, kind: type[E]) -> list[E]:
        """Those of the events so far, which are then forgotten."""
        found = [event for event in self.seen if isinstance(event, kind)]
        self.seen = [event for event in self.seen if not isinstance(event, kind)]
        return found

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [
            one for one in self.asked if one["janus"] == name or one.get("body", {}).get("request") == name
        ]

    def _event(self, handle: int, data: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return {"janus": "event", "sender": handle, "plugindata": {"plugin": "x", "data": data}, **more}

    def _answer(self, request: dict[str, Any]) -> None:
        self.asked.append(request)
        kind, transaction = request["janus"], request["transaction"]
        body = request.get("body", {})
        name = body.get("ptype", body.get("request", kind))
        if kind in self.silent or name in self.silent:
            return
        if kind in self.fails:
            code, reason = self.fails[kind]
            error = {"code": code, "reason": reason}
            self.visit.receive(
                json.dumps({"janus": "error", "transaction": transaction, "error": error}), self.now_s
            )
            return
        if kind in ("create", "attach"):
            made = next(self._ids)
            if kind == "attach":
                self.handles.append(made)
            answer: dict[str, Any] = {"janus": "success", "transaction": transaction, "data": {"id": made}}
        elif kind == "keepalive":
            answer = {"janus": "ack", "transaction": transaction}
        elif kind == "message":
            self.visit.receive(json.dumps({"janus": "ack", "transaction": transaction}), self.now_s)
            answer = self._plugin(name, request)
        else:
            answer = {"janus": "success", "transaction": transaction}
        self.visit.receive(json.dumps(answer), self.now_s)

    def _plugin(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        handle = request["handle_id"]
        refusal = self.refuses.get(name)
        if isinstance(refusal, list):
            refusal = refusal.pop(0) if refusal else None
        if refusal is not None:
            code, words = refusal
            data: dict[str, Any] = {"videoroom": "event", "error_code": code, "error": words}
            return self._event(handle, data, transaction=request["transaction"])
        data = {"videoroom": "event", "started": "ok"}
        if name == "publisher":
            data = {
                "videoroom": "joined",
                "id": request["body"]["id"],
                "private_id": 3,
                "publishers": self.publishers,
            }
        more = {"jsep": self.jsep[name]} if name in self.jsep else {}
        return self._event(handle, data, transaction=request["transaction"], **more)


def test_all_seats_are_in_before_anybody_is_known_and_offer_then() -> None:
    server = Server()
    sister = {**ANA, "id": FIRST_ID, "display": SEATS["en"]}
    server.publishers = [ANA, sister]
    server.begin()
    joins = [one["body"] for one in server.requests("join")]
    assert [join["display"] for join in joins] == list(SEATS.values())
    assert {(join["room"], join["pin"], join["ptype"]) for join in joins} == {(5, "hush", "publisher")}
    assert [join["id"] for join in joins] == [FIRST_ID, FIRST_ID + 100]
    assert server.seen == [
        Entered(occupants=(ANA_SEEN,)),
        OfferWanted(channel="en"),
        OfferWanted(channel="es"),
    ]
    server.visit.publish("es", "v=0 ours", server.now_s)
    server.settle()
    assert server.requests("publish")[0]["jsep"] == {"type": "offer", "sdp": "v=0 ours"}
    assert server.requests("publish")[0]["handle_id"] == server.handles[1]
    assert server.take(AnswerCame) == [AnswerCame(channel="es", sdp="v=0 answer")]


def test_what_happens_to_people_is_told_once_and_nothing_of_ourselves() -> None:
    server = Server().begin()
    server.seen.clear()
    first, ear = server.handles
    publishers = {"videoroom": "event", "publishers": [ANA, {**ANA, "id": FIRST_ID}]}
    server.tell(publishers, first)
    assert server.seen == [], "only the listening seat is followed"
    server.tell(publishers)
    server.tell({"videoroom": "event", "joining": {"id": 72, "display": "Ben"}})
    server.tell({"videoroom": "event", "id": 71, "mid": "1", "moderation": "muted"})
    server.tell({"videoroom": "event", "unpublished": 71})
    server.tell({"videoroom": "event", "leaving": 71})
    server.tell({"videoroom": "event", "leaving": FIRST_ID})
    server.tell({"videoroom": "talking", "id": 71})
    assert server.seen == [
        Seen(occupants=(ANA_SEEN,)),
        Seen(occupants=(Occupant(id=72, name="Ben"),)),
        Moderated(id=71, mid="1", muted=True),
        Unpublished(id=71),
        Left(id=71),
    ]
    server.tell({"videoroom": "event", "id": FIRST_ID, "mid": "0", "moderation": "muted"})
    assert server.take(VoiceMuted) == [VoiceMuted(channel="en", muted=True)]
    assert ear in server.handles


def hearing_ana(**options: Any) -> tuple[Server, FeedOffered]:
    server = Server(**options)
    server.publishers = [ANA]
    server.begin()
    server.visit.hear({71: "1"}, server.now_s)
    server.settle()
    (offered,) = server.take(FeedOffered)
    return server, offered


def test_every_feed_has_a_handle_of_its_own() -> None:
    server, offered = hearing_ana()
    (join,) = [one for one in server.requests("join") if one["body"]["ptype"] == "subscriber"]
    assert join["handle_id"] == server.handles[2]
    assert (join["body"]["streams"], join["body"]["pin"]) == ([{"feed": 71, "mid": "1"}], "hush")
    assert join["body"]["private_id"] == 3
    assert offered == FeedOffered(feed=71, subscription=offered.subscription, sdp="v=0 offer")
    server.visit.subscribed(71, offered.subscription, "v=0 ours", server.now_s)
    server.settle()
    assert server.requests("start")[0]["jsep"] == {"type": "answer", "sdp": "v=0 ours"}
    server.visit.hear({71: "1"}, server.now_s)
    server.settle()
    assert len(server.handles) == 3, "it is heard already"

    server.visit.hear({}, server.now_s)
    server.settle()
    assert server.take(FeedOver) == [FeedOver(feed=71)]
    assert server.requests("detach")[0]["handle_id"] == server.handles[2]
    server.visit.hear({71: "1"}, server.now_s)
    server.settle()
    (again,) = server.take(FeedOffered)
    assert again.subscription > offered.subscription
    assert len(server.handles) == 4, "by another handle"
    server.visit.subscribed(71, offered.subscription, "too late", server.now_s)
    server.settle()
    assert len(server.requests("start")) == 1


def test_who_publishes_no_more_is_not_heard_and_may_be_again() -> None:
    server, _ = hearing_ana()
    server.tell({"videoroom": "event", "unpublished": 71})
    assert server.take(FeedOver) == [FeedOver(feed=71)]
    server.visit.hear({71: "7"}, server.now_s)
    server.settle()
    assert len(server.take(FeedOffered)) == 1
    assert server.asked[-1]["body"]["streams"] == [{"feed": 71, "mid": "7"}]


def test_a_feed_that_fails_is_tried_again_later_each_time() -> None:
    server, offered = hearing_ana()
    for wait_s in (1.0, 2.0, 4.0):
        server.visit.feed_failed(71, offered.subscription, server.now_s)
        server.settle()
        assert server.take(FeedOver) == [FeedOver(feed=71)]
        server.pass_s(wait_s - 0.1)
        assert server.take(FeedOffered) == []
        server.pass_s(0.1)
        (offered,) = server.take(FeedOffered)
    server.visit.feed_heard(71, offered.subscription)
    server.say(janus="hangup", sender=server.handles[-1], reason="ICE failed")
    server.pass_s(1.0)
    assert len(server.take(FeedOffered)) == 1, "it had worked"
    server.refuses["subscriber"] = (428, "No such feed")
    server.say(janus="detached", sender=server.handles[-1])
    for _ in range(20):
        server.pass_s(30.0)
    assert len(server.requests("join")) < 30


def test_what_is_encrypted_is_not_tried_again() -> None:
    server = Server()
    server.publishers = [ANA]
    server.jsep["subscriber"] = {**OFFER, "e2ee": True}
    server.begin()
    server.visit.hear({71: "1"}, server.now_s)
    server.settle()
    assert server.take(FeedEncrypted) == [FeedEncrypted(feed=71)]
    asked = len(server.requests("join"))
    for _ in range(10):
        server.pass_s(30.0)
    assert len(server.requests("join")) == asked


def test_a_voice_that_is_lost_offers_again() -> None:
    server = Server().begin()
    server.take(OfferWanted)
    server.visit.publish("en", "v=0 ours", server.now_s)
    server.settle()
    server.say(janus="hangup", sender=server.handles[0], reason="ICE failed")
    assert server.take(VoiceLost) == [VoiceLost(channel="en")]
    server.visit.publish("en", "v=0 old", server.now_s)
    server.settle()
    assert len(server.requests("publish")) == 1, "nobody asked for that any more"
    server.pass_s(1.0)
    assert server.take(OfferWanted) == [OfferWanted(channel="en")]
    server.visit.publish("en", "v=0 new", server.now_s)
    server.settle()
    server.refuses["publish"] = (432, "Maximum number of publishers (6) already reached")
    server.visit.voice_failed("es", server.now_s)
    server.pass_s(1.0)
    server.visit.publish("es", "v=0 ours", server.now_s)
    server.settle()
    (remark,) = server.take(Remark)
    assert remark.words.startswith("Interpreter · Español is not heard, as the room has as many publishers")


@pytest.mark.parametrize(
    ("url", "refusal", "words"),
    [
        (
            "room=5&pin=hush",
            (433, "Unauthorized (wrong pin)"),
            "room 5 of 127.0.0.1 refuses the PIN; correct it",
        ),
        ("room=5", (429, "Missing mandatory element (pin)"), "room 5 of 127.0.0.1 wants a PIN; add it"),
        ("room=5", (426, "No such room (5)"), "there is no room 5 of 127.0.0.1; create it first"),
        (
            "room=x",
            (430, "Invalid element type"),
            "room x of 127.0.0.1 cannot be named so there; Janus says: 'Invalid",
        ),
        ("room=5", (499, "\x1b[31mred"), r"error 499; Janus says: '\x1b[31mred'"),
    ],
)
def test_who_is_not_let_in_is_told_what_to_do(url: str, refusal: tuple[int, str], words: str) -> None:
    server = Server(f"janus+ws://127.0.0.1/?{url}")
    server.refuses["publisher"] = refusal
    server.begin()
    (over,) = server.take(Over)
    assert over.end is End.REFUSED
    assert words in over.words
    assert "hush" not in over.words


@pytest.mark.parametrize(
    ("request_", "failure", "words"),
    [
        ("create", (403, "Unauthorized"), "wants a token"),
        ("attach", (405, "Unauthorized"), "wants a token"),
        ("attach", (460, "No such plugin"), "no VideoRoom plugin"),
        ("create", (490, "Unknown"), "error 490; it says: 'Unknown'"),
    ],
)
def test_a_server_that_refuses_is_told_of(request_: str, failure: tuple[int, str], words: str) -> None:
    server = Server()
    server.fails[request_] = failure
    server.begin()
    (over,) = server.take(Over)
    assert over.end is End.REFUSED
    assert words in over.words


def test_a_room_that_is_gone_for_a_while_may_come_back() -> None:
    server = Server(returning=True)
    server.refuses["publisher"] = (426, "No such room")
    server.begin()
    assert [over.end for over in server.take(Over)] == [End.LOST]


def test_ids_that_are_taken_and_servers_that_name_by_texts() -> None:
    server = Server()
    server.refuses["publisher"] = [(436, "User ID 1000000 already exists")] * 2
    server.begin()
    ids = [one["body"]["id"] for one in server.requests("join")]
    assert ids == [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2, FIRST_ID + 100]
    assert len(server.take(Entered)) == 1
    server = Server()
    server.publishers = [{**ANA, "id": "ana"}]
    server.refuses["publisher"] = [(430, "Invalid element type (room should be a string)")]
    server.begin()
    server.visit.hear({"ana": "1"}, server.now_s)
    server.settle()
    rooms = [one["body"]["room"] for one in server.requests("join")]
    assert rooms == [5, "5", "5", "5"]
    assert server.requests("join")[1]["body"]["id"] == str(FIRST_ID)
    assert len(server.take(FeedOffered)) == 1


def test_a_token_is_shown_with_every_request() -> None:
    server = Server(token="hush-hush")
    server.begin()
    assert {one["token"] for one in server.asked} == {"hush-hush"}
    assert "hush-hush" not in repr(server.visit.__dict__)


def test_being_put_out_and_a_closed_room_are_told() -> None:
    for data, end in (
        ({"videoroom": "event", "leaving": "ok", "reason": "kicked"}, End.REFUSED),
        ({"videoroom": "event", "leaving": "ok"}, End.LOST),
        ({"videoroom": "destroyed", "room": 5}, End.CLOSED),
    ):
        server = Server().begin()
        server.tell(data, server.handles[0])
        assert [over.end for over in server.take(Over)] == [end], data
        assert server.visit.next_timeout() is None


def test_silence_is_kept_alive_and_told_from_death() -> None:
    server = Server().begin()
    for _ in range(30):
        server.pass_s(5.0)
    assert len(server.requests("keepalive")) == pytest.approx(150 / KEEP_ALIVE_S, abs=2)
    assert server.take(Over) == []
    server.silent.add("keepalive")
    for _ in range(10):
        server.pass_s(5.0)
    assert [over.end for over in server.take(Over)] == [End.LOST]
    for kind in ("create", "attach", "publisher"):
        server = Server()
        server.silent.add(kind)
        server.begin()
        server.pass_s(ANSWER_S)
        assert [over.end for over in server.take(Over)] == [End.LOST], kind


def test_an_ended_session_and_a_server_gone_mad_are_lost() -> None:
    server = Server().begin()
    server.say(janus="timeout", session_id=11)
    assert [over.end for over in server.take(Over)] == [End.LOST]
    server = Server().begin()
    for _ in range(MAX_BAD_MESSAGES):
        assert server.take(Over) == []
        server.visit.receive("what?", server.now_s)
        server.settle()
    assert [over.end for over in server.take(Over)] == [End.LOST]
    server = Server().begin()
    server.say(janus="detached", sender=server.handles[0])
    assert [over.end for over in server.take(Over)] == [End.LOST]


def test_leaving_is_one_request() -> None:
    server, offered = hearing_ana()
    server.visit.leave(server.now_s)
    server.settle()
    assert server.asked[-1]["janus"] == "destroy"
    server.visit.subscribed(71, offered.subscription, "v=0", server.now_s)
    server.visit.hear({72: "0"}, server.now_s)
    server.settle()
    assert server.asked[-1]["janus"] == "destroy"


leaves = (
    st.none()
    | st.booleans()
    | st.integers(0, 20)
    | st.text(max_size=6)
    | st.sampled_from(["ok", 71, FIRST_ID])
)
fields = st.dictionaries(
    st.sampled_from(
        ["id", "publishers", "leaving", "unpublished", "joining", "error_code", "moderation", "mid"]
    ),
    leaves | st.lists(st.just(ANA) | leaves, max_size=3),
    max_size=3,
)
messages = st.fixed_dictionaries(
    {
        "janus": st.sampled_from(["event", "success", "error", "ack", "hangup", "detached", "webrtcup"]),
        "transaction": st.integers(0, 20).map(str),
        "sender": st.integers(10, 18),
        "data": st.fixed_dictionaries({"id": st.integers(10, 18)}),
        "plugindata": fields.map(lambda data: {"data": {"videoroom": "event", **data}}),
        "jsep": st.sampled_from([None, OFFER, {"type": "answer", "sdp": "v=0"}]),
    }
)


@given(
    st.lists(messages.map(json.dumps) | st.text(max_size=20) | st.just("time"), max_size=30), st.booleans()
)
def test_no_order_of_messages_breaks_it(texts: list[str], hears: bool) -> None:
    server, _ = hearing_ana() if hears else (Server().begin(), None)
    for text in texts:
        if text == "time":
            server.pass_s(7.0)
        else:
            server.visit.receive(text, server.now_s)
            server.settle()
        server.visit.hear({71: "1", 72: "0"}, server.now_s)
    assert len(server.take(Over)) <= 1
    assert len(server.asked) < 40 * (len(texts) + 10)
