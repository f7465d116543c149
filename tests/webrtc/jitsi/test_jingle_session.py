"""A seat's sessions with the focus: every step, every refusal, and the limits of restarts. No clock."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.webrtc.jitsi import goldens
from tests.webrtc.jitsi.test_jingle import LOCAL, canonical
from webrtc.jitsi.jingle_events import (
    Barred,
    CandidatesCame,
    HeardChanged,
    JingleEvent,
    JingleRequest,
    Offered,
    Reply,
    SessionEnded,
    Stuck,
)
from webrtc.jitsi.jingle_session import (
    OFFER_TIMEOUT_S,
    REFUSED_WAIT_S,
    RESTART_SPACING_S,
    RESTARTS_PER_MINUTE,
    TRANSITIONS,
    JingleSession,
    RestartLimit,
    State,
    Step,
)
from webrtc.jitsi.sdp import MAX_DEAD_LINES
from webrtc.jitsi.sources import Heard, RemoteSource

FOCUS = "room@muc.meet.example/focus"
ANNA = RemoteSource(ssrc=3735928559, owner="aaaaaaaa", name="aaaaaaaa-a0", msid="aaaaaaaa-audio-0-1 0f1e")
BEN = RemoteSource(ssrc=17, owner="bbbbbbbb", name="bbbbbbbb-a0")
RESULT = Reply()
UNKNOWN = Reply(condition="item-not-found", app_condition="{urn:xmpp:jingle:errors:1}unknown-session")


class Seat:
    """A session with what came out of it, at a time of its own."""

    def __init__(self, *, listens: bool = True, excluded: frozenset[str] = frozenset()) -> None:
        self.session = JingleSession(
            nick="00ffeedd", jid="me@meet.example/r", listens=listens, excluded=excluded
        )
        self.now_s = 100.0

    def get(self, jingle: Element, *, sender: str = FOCUS) -> Reply:
        return self.session.receive(jingle, from_jid=sender, from_focus=sender == FOCUS, now_s=self.now_s)

    def events(self) -> list[JingleEvent]:
        return self.session.events()

    def request(self) -> JingleRequest:
        [request] = self.session.requests()
        return request

    def answered(self, request: JingleRequest, condition: str | None = None) -> None:
        self.session.answered(request.number, condition, self.now_s)

    def wait(self, seconds: float) -> None:
        """Lets time pass, doing what is due when it is."""
        end_s = self.now_s + seconds
        while (at_s := self.session.next_timeout()) is not None and at_s <= end_s:
            self.now_s = max(self.now_s, at_s)
            self.session.handle_timeout(self.now_s)
        self.now_s = end_s

    def activate(self, sid: str = "s1") -> None:
        assert self.get(goldens.initiate(sid=sid)) == RESULT
        self.session.accept(sid, LOCAL)
        self.answered(self.request())
        assert self.session.state is State.ACTIVE
        self.events()


@pytest.fixture
def seat() -> Seat:
    return Seat()


@pytest.fixture
def active(seat: Seat) -> Seat:
    seat.activate()
    return seat


def action_of(request: JingleRequest) -> str:
    return str(request.jingle.get("action"))


def is_restart(request: JingleRequest, sid: str = "s1", bridge_session: str = "b1") -> bool:
    wanted = request.jingle.find("{http://jitsi.org/protocol/focus}bridge-session")
    return (
        action_of(request) == "session-terminate"
        and request.jingle.get("sid") == sid
        and request.to is None
        and wanted is not None
        and wanted.attrib == {"id": bridge_session, "restart": "true"}
    )


# A session begins -------------------------------------------------------------------------------------------------


def test_an_offer_is_taken_and_answered(seat: Seat) -> None:
    assert seat.get(goldens.initiate()) == RESULT
    [offered] = seat.events()
    assert isinstance(offered, Offered)
    assert offered.sid == seat.session.sid == "s1"
    assert offered.heard == Heard(listening=True, sources=(ANNA, BEN))
    assert not offered.muted
    assert seat.session.requests() == [], "nothing is answered before there is media"
    seat.session.accept("s1", LOCAL)
    accept = seat.request()
    assert action_of(accept) == "session-accept"
    assert accept.to is None
    assert accept.jingle.get("responder") == "me@meet.example/r"
    assert seat.session.state is State.ACCEPTED
    seat.answered(accept)
    assert seat.session.state is State.ACTIVE
    assert seat.session.next_timeout() is None


def test_one_may_have_to_begin_muted(seat: Seat) -> None:
    seat.get(
        goldens.initiate(extra='<startmuted xmlns="http://jitsi.org/jitmeet/start-muted" audio="true"/>')
    )
    [offered] = seat.events()
    assert isinstance(offered, Offered)
    assert offered.muted


def test_an_offer_said_twice_is_taken_once(active: Seat) -> None:
    assert active.get(goldens.initiate()) == RESULT
    assert active.events() == []
    assert active.session.requests() == []
    assert active.session.state is State.ACTIVE


def test_another_offer_replaces_the_session(active: Seat) -> None:
    assert active.get(goldens.initiate(sid="s2", sources="")) == RESULT
    ended, offered = active.events()
    assert isinstance(ended, SessionEnded)
    assert (ended.sid, ended.restarting) == ("s1", True)
    assert isinstance(offered, Offered)
    assert offered.heard.sources == (), "sources of the session before are gone"
    active.session.accept("s1", LOCAL)
    assert active.session.requests() == [], "media for an offer that was replaced is of no use"


def test_an_offer_that_cannot_be_used_is_refused_in_words(seat: Seat) -> None:
    assert seat.get(goldens.plain("session-initiate")) == Reply(condition="bad-request")
    [barred] = seat.events()
    assert isinstance(barred, Barred)
    assert "audio content" in barred.words


# Sources ----------------------------------------------------------------------------------------------------------


def test_sources_come_and_go_in_both_forms(active: Seat) -> None:
    carla = RemoteSource(ssrc=99, owner="cccccccc", name="cccccccc-a0")
    compact = (
        '<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{"cccccccc":[[],[],[{"s":99,"n":"cccccccc-a0"}]]}}'
        "</json-message>"
    )
    assert active.get(goldens.sources("source-add", compact=compact)) == RESULT
    assert active.events() == [
        HeardChanged(sid="s1", heard=Heard(listening=True, sources=(ANNA, BEN, carla)))
    ]
    assert active.get(goldens.sources("source-remove", xml=goldens.source_xml(17, "bbbbbbbb"))) == RESULT
    assert active.events() == [HeardChanged(sid="s1", heard=Heard(listening=True, sources=(ANNA, carla)))]


def test_changes_that_change_nothing_are_not_told(active: Seat) -> None:
    assert active.get(goldens.sources("source-add", xml=goldens.source_xml(17, "bbbbbbbb"))) == RESULT
    assert active.get(goldens.sources("source-remove", xml=goldens.source_xml(77, "bbbbbbbb"))) == RESULT
    active.session.occupant_left("nobody", active.now_s)
    assert active.events() == []


def test_who_leaves_takes_their_sources_along(active: Seat) -> None:
    active.session.occupant_left("aaaaaaaa", active.now_s)
    assert active.events() == [HeardChanged(sid="s1", heard=Heard(listening=True, sources=(BEN,)))]


def test_who_does_not_listen_is_told_of_nobody() -> None:
    seat = Seat(listens=False)
    seat.get(goldens.initiate())
    [offered] = seat.events()
    assert isinstance(offered, Offered)
    assert offered.heard == Heard(listening=False)
    seat.get(goldens.sources("source-add", xml=goldens.source_xml(99, "cccccccc")))
    assert seat.events() == []
    seat.session.hear(listens=True, excluded=frozenset({"bbbbbbbb"}), now_s=seat.now_s)
    [changed] = seat.events()
    assert isinstance(changed, HeardChanged)
    assert [source.owner for source in changed.heard.sources] == ["aaaaaaaa", "cccccccc"]
    assert changed.heard.excluded == ("bbbbbbbb-a0",)


def test_a_sister_that_is_known_as_such_late_is_not_heard_any_more(active: Seat) -> None:
    active.session.hear(listens=True, excluded=frozenset({"bbbbbbbb"}), now_s=active.now_s)
    [changed] = active.events()
    assert isinstance(changed, HeardChanged)
    assert changed.heard == Heard(listening=True, sources=(ANNA,), excluded=("bbbbbbbb-a0",))


def test_addresses_are_passed_on(active: Seat) -> None:
    inside = f'<content creator="initiator" name="audio">{goldens.TRANSPORT % ""}</content>'
    assert active.get(goldens.plain("transport-info", inside=inside)) == RESULT
    [came] = active.events()
    assert isinstance(came, CandidatesCame)
    assert len(came.candidates) == 2
    assert active.get(goldens.plain("transport-info")) == RESULT
    assert active.events() == []


# What is not for us -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["source-add", "source-remove", "transport-info", "session-terminate"])
def test_an_unknown_session_is_an_error(active: Seat, action: str) -> None:
    assert active.get(goldens.plain(action, sid="other")) == UNKNOWN
    assert active.session.state is State.ACTIVE
    assert active.events() == []


def test_before_an_offer_every_session_is_unknown(seat: Seat) -> None:
    assert seat.get(goldens.plain("source-add", sid="s1")) == UNKNOWN


def test_what_is_no_action_is_a_bad_request(active: Seat) -> None:
    assert active.get(goldens.plain("dance")) == Reply(condition="bad-request")
    assert active.get(Element("{urn:xmpp:jingle:1}jingle")) == Reply(condition="bad-request")
    broken = '<json-message xmlns="http://jitsi.org/jitmeet">{</json-message>'
    assert active.get(goldens.sources("source-add", compact=broken)) == Reply(condition="bad-request")
    assert active.events() == []


def test_actions_that_have_no_place_here_are_out_of_order(active: Seat) -> None:
    reply = active.get(goldens.plain("content-add"))
    assert reply == Reply(
        condition="unexpected-request", app_condition="{urn:xmpp:jingle:errors:1}out-of-order"
    )
    assert active.get(goldens.plain("session-info")) == RESULT, "a session's own ping"


def test_a_peer_is_answered_and_declined(active: Seat) -> None:
    peer = "room@muc.meet.example/aaaaaaaa"
    assert active.get(goldens.initiate(sid="p2p"), sender=peer) == RESULT
    decline = active.request()
    assert decline.to == peer
    words = "This participant talks through the bridge only."
    assert canonical(decline.jingle) == canonical(goldens.terminate("decline", words, sid="p2p"))
    assert active.get(goldens.plain("transport-info", sid="p2p"), sender=peer) == UNKNOWN
    assert active.get(goldens.terminate("success"), sender=peer) == UNKNOWN, "even with the focus's own sid"
    active.answered(decline, "item-not-found")
    assert active.events() == []
    assert active.session.state is State.ACTIVE


# The focus ends it ------------------------------------------------------------------------------------------------


def test_moving_to_another_bridge_is_a_new_session(active: Seat) -> None:
    assert active.get(goldens.terminate("success", "moving")) == RESULT
    [ended] = active.events()
    assert isinstance(ended, SessionEnded)
    assert ended.restarting
    assert active.session.sid is None
    active.activate("s2")
    active.wait(2 * OFFER_TIMEOUT_S)
    assert active.events() == []


def test_a_move_that_leads_nowhere_is_told(active: Seat) -> None:
    active.get(goldens.terminate("success", "moving"))
    active.events()
    active.wait(OFFER_TIMEOUT_S)
    [stuck] = active.events()
    assert isinstance(stuck, Stuck)
    active.activate("s2")


@pytest.mark.parametrize("reason", ["expired", "gone", "general-error", "success"])
def test_other_ends_wait_for_whatever_comes(active: Seat, reason: str) -> None:
    assert active.get(goldens.terminate(reason)) == RESULT
    [ended] = active.events()
    assert isinstance(ended, SessionEnded)
    assert not ended.restarting
    assert reason in ended.words
    assert active.session.next_timeout() is None
    assert active.get(goldens.terminate(reason)) == UNKNOWN
    active.activate("s2")


# Our answer is refused --------------------------------------------------------------------------------------------


def refused(seat: Seat, condition: str) -> list[JingleEvent]:
    seat.get(goldens.initiate())
    seat.session.accept("s1", LOCAL)
    accept = seat.request()
    seat.events()
    seat.answered(accept, condition)
    return seat.events()


def test_a_visitor_is_barred(seat: Seat) -> None:
    ended, barred = refused(seat, "forbidden")
    assert isinstance(ended, SessionEnded)
    assert isinstance(barred, Barred)
    assert "visitor" in barred.words
    assert seat.session.state is State.OVER


def test_a_session_that_was_replaced_waits_for_the_one_that_replaces_it(seat: Seat) -> None:
    [ended] = refused(seat, "gone")
    assert isinstance(ended, SessionEnded)
    assert ended.restarting
    assert seat.session.requests() == []
    seat.wait(OFFER_TIMEOUT_S)
    assert isinstance(seat.events()[0], Stuck)


@pytest.mark.parametrize("condition", ["bad-request", "timeout", "internal-server-error"])
def test_any_other_refusal_asks_for_another_session(seat: Seat, condition: str) -> None:
    [ended] = refused(seat, condition)
    assert isinstance(ended, SessionEnded)
    assert ended.restarting
    assert condition in ended.words
    assert is_restart(seat.request())


def test_an_answer_to_a_session_before_does_not_count(seat: Seat) -> None:
    seat.get(goldens.initiate())
    seat.session.accept("s1", LOCAL)
    accept = seat.request()
    seat.get(goldens.initiate(sid="s2"))
    seat.events()
    seat.answered(accept, "gone")
    seat.answered(accept, "gone")
    assert seat.events() == []
    assert seat.session.state is State.OFFERED


# Our media fails --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["gone", "forbidden"])
def test_the_end_of_a_session_whose_media_failed_before_the_answer_is_told_once(
    seat: Seat, condition: str
) -> None:
    seat.get(goldens.initiate(sid="s1"))
    seat.session.accept("s1", LOCAL)
    accept = seat.request()
    seat.session.media_failed("s1", "no way through", seat.now_s)
    seat.answered(accept, condition)
    assert len([event for event in seat.events() if isinstance(event, SessionEnded)]) == 1


def test_a_restart_is_asked_for_at_once(active: Seat) -> None:
    active.session.media_failed("s1", "The connection was lost.", active.now_s)
    [ended] = active.events()
    assert ended == SessionEnded(sid="s1", words="The connection was lost.", restarting=True)
    restart = active.request()
    assert is_restart(restart)
    active.answered(restart)
    assert active.session.state is State.RESTARTING
    active.activate("s2")
    active.wait(2 * OFFER_TIMEOUT_S)
    assert active.events() == []


def test_a_failure_of_a_session_before_does_not_count(active: Seat) -> None:
    active.session.media_failed("s0", "late", active.now_s)
    assert active.events() == []
    active.session.media_failed("s1", "once", active.now_s)
    active.session.media_failed("s1", "twice", active.now_s)
    assert len(active.events()) == len(active.session.requests()) == 1


def test_restarts_keep_their_distance(active: Seat) -> None:
    active.session.media_failed("s1", "one", active.now_s)
    assert is_restart(active.request())
    active.activate("s2")
    active.wait(2.0)
    active.session.media_failed("s2", "two", active.now_s)
    assert active.session.requests() == []
    assert active.session.next_timeout() == 100.0 + RESTART_SPACING_S
    assert active.get(goldens.sources("source-add", sid="s2", xml=goldens.source_xml(9, "x"))) == RESULT, (
        "for the focus the session is still there"
    )
    active.wait(RESTART_SPACING_S)
    assert is_restart(active.request(), "s2")


def test_five_restarts_a_minute_and_no_more(active: Seat) -> None:
    asked_s = []
    sid = 1
    while active.now_s < 300.0:
        active.session.media_failed(f"s{sid}", "again", active.now_s)
        while not (requests := active.session.requests()):
            active.wait(0.5)
        assert is_restart(requests[0], f"s{sid}")
        asked_s.append(active.now_s)
        sid += 1
        active.activate(f"s{sid}")
    assert len(asked_s) > 2 * RESTARTS_PER_MINUTE
    for n in range(1, len(asked_s)):
        assert asked_s[n] - asked_s[n - 1] >= RESTART_SPACING_S
    for n in range(RESTARTS_PER_MINUTE, len(asked_s)):
        assert asked_s[n] - asked_s[n - RESTARTS_PER_MINUTE] >= 60.0


def test_a_refused_restart_is_asked_for_again_later(active: Seat) -> None:
    active.session.media_failed("s1", "lost", active.now_s)
    active.answered(active.request(), "resource-constraint")
    active.events()
    assert active.session.next_timeout() == active.now_s + REFUSED_WAIT_S
    active.wait(REFUSED_WAIT_S)
    assert is_restart(active.request())
    assert active.events() == []


def test_a_focus_that_moves_first_needs_no_restart(active: Seat) -> None:
    active.session.media_failed("s1", "one", active.now_s)
    active.session.requests()
    active.activate("s2")
    active.session.media_failed("s2", "two", active.now_s)
    assert active.get(goldens.terminate("success", "moving", sid="s2")) == RESULT
    active.activate("s3")
    active.wait(60.0)
    assert active.session.requests() == []


def test_a_restart_that_leads_nowhere_is_told(active: Seat) -> None:
    active.session.media_failed("s1", "The connection was lost.", active.now_s)
    active.events()
    active.answered(active.request(), "item-not-found")
    active.wait(OFFER_TIMEOUT_S)
    assert active.events() == [Stuck(words="The connection was lost. The focus offers no other session.")]


def test_without_the_bridges_name_for_it_there_is_no_restart(seat: Seat) -> None:
    seat.get(goldens.initiate(bridge_session=""))
    seat.events()
    seat.session.media_failed("s1", "lost", seat.now_s)
    assert [type(event) for event in seat.events()] == [SessionEnded, Stuck]
    assert seat.session.requests() == []


def test_a_transport_that_is_to_be_replaced_is_a_failure(active: Seat) -> None:
    assert active.get(goldens.plain("transport-replace")) == RESULT
    assert is_restart(active.request())


def test_a_connection_wears_out(active: Seat) -> None:
    for n in range(MAX_DEAD_LINES):
        assert active.session.state is State.ACTIVE
        added = goldens.source_xml(1000 + n, "cccccccc")
        active.get(goldens.sources("source-add", xml=added))
        active.get(goldens.sources("source-remove", xml=added))
    events = active.events()
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].restarting
    assert is_restart(active.request())
    active.activate("s2")
    active.get(goldens.sources("source-remove", sid="s2", xml=goldens.source_xml(17, "bbbbbbbb")))
    assert active.session.state is State.ACTIVE, "the next connection is new"


# We leave ---------------------------------------------------------------------------------------------------------


def test_leaving_ends_the_session_and_everything(active: Seat) -> None:
    active.session.end("The interpreter leaves.")
    assert canonical(active.request().jingle) == canonical(
        goldens.terminate("success", "The interpreter leaves.")
    )
    [ended] = active.events()
    assert isinstance(ended, SessionEnded)
    assert not ended.restarting
    assert active.get(goldens.initiate(sid="s2")) == RESULT
    assert active.get(goldens.terminate("success")) == UNKNOWN
    active.session.end("again")
    assert active.events() == []
    assert active.session.requests() == []


def test_leaving_while_waiting_cancels_the_wait(active: Seat) -> None:
    active.session.media_failed("s1", "lost", active.now_s)
    active.events()
    active.session.requests()
    active.session.end("bye")
    assert active.session.next_timeout() is None
    assert active.session.requests() == []


# In general -------------------------------------------------------------------------------------------------------


def test_every_state_can_be_reached_and_left() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.OVER}
    assert set(TRANSITIONS.values()) == set(State)
    assert {step for _, step in TRANSITIONS} == set(Step)


def test_the_first_restart_need_not_wait() -> None:
    assert RestartLimit().next_s(7.0) == 7.0


class Sessions(RuleBasedStateMachine):
    """Any order of things: what the focus sees is always in order."""

    def __init__(self) -> None:
        super().__init__()
        self.seat = Seat()
        self.offers = 0
        self.announced: set[str] = set()
        self.unanswered: list[JingleRequest] = []

    @rule()
    def offer(self) -> None:
        self.offers += 1
        assert self.seat.get(goldens.initiate(sid=f"s{self.offers}")) == RESULT

    @rule(action=st.sampled_from(["source-add", "source-remove"]), ssrc=st.integers(1, 3))
    def change(self, action: str, ssrc: int) -> None:
        self.seat.get(
            goldens.sources(action, sid=f"s{self.offers}", xml=goldens.source_xml(ssrc, f"p{ssrc}"))
        )

    @rule(owner=st.sampled_from(["p1", "aaaaaaaa"]))
    def leaves(self, owner: str) -> None:
        self.seat.session.occupant_left(owner, self.seat.now_s)

    @rule()
    def accept(self) -> None:
        self.seat.session.accept(f"s{self.offers}", LOCAL)

    @rule(condition=st.sampled_from([None, "gone", "timeout", "resource-constraint"]))
    def answer(self, condition: str | None) -> None:
        if self.unanswered:
            self.seat.answered(self.unanswered.pop(0), condition)

    @rule(text=st.sampled_from(["moving", ""]))
    def terminated(self, text: str) -> None:
        self.seat.get(goldens.terminate("success", text, sid=f"s{self.offers}"))

    @rule()
    def fails(self) -> None:
        self.seat.session.media_failed(f"s{self.offers}", "lost", self.seat.now_s)

    @rule(seconds=st.sampled_from([0.1, 5.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.seat.wait(seconds)

    @invariant()
    def sessions_begin_once_and_end_once(self) -> None:
        for event in self.seat.events():
            match event:
                case Offered():
                    assert not self.announced, "one at a time"
                    self.announced.add(event.sid)
                case SessionEnded():
                    self.announced.remove(event.sid)
                case HeardChanged() | CandidatesCame():
                    assert event.sid in self.announced
                case Barred():
                    raise AssertionError("nobody barred us")
        assert self.announced == ({self.seat.session.sid} if self.seat.session.sid else set())
        self.unanswered += self.seat.session.requests()
        at_s = self.seat.session.next_timeout()
        assert at_s is None or at_s >= self.seat.now_s - 1e-6


Sessions.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestSessions = Sessions.TestCase
