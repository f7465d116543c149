"""A seat's Jingle sessions with the focus, one after the other, as the meeting moves between bridges. Sans-IO.

    IDLE ──offer──> OFFERED ──media made──> ACCEPTED ──focus agrees──> ACTIVE
      ^               │                        │                         │
      │<──────────────┴──── focus ends it ─────┴─────────────────────────┤
      │                                                                  │ media fails, or wears out
      │<── focus ends it ── FAILED <─────────────────────────────────────┘
      │                        │ within the limits: session-terminate that asks for a restart
      └<── nothing comes ── RESTARTING ──offer──> OFFERED

An offer is taken in any state but OVER, and ends the session before it. A session of anybody but the focus is a peer's
wish to go round the bridge: it is answered, and declined.
"""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from webrtc.errors import SignallingError
from webrtc.jitsi import jingle_reader, jingle_writer
from webrtc.jitsi.jingle import (
    ACTIONS,
    LocalMedia,
    Offer,
    SessionInitiate,
    SessionTerminate,
    SourceAdd,
    SourceRemove,
    TransportInfo,
)
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
from webrtc.jitsi.sdp import MAX_DEAD_LINES
from webrtc.jitsi.sources import SourceTable

logger = logging.getLogger(__name__)

RESTART_SPACING_S = 5.0
RESTARTS_PER_MINUTE = 5
"""What the focus allows; beyond that it refuses."""

REFUSED_WAIT_S = 15.0
"""After a refusal: its clock counts, not ours."""

OFFER_TIMEOUT_S = 30.0
"""For an offer that the focus owes us."""

ERRORS = "urn:xmpp:jingle:errors:1"


class State(enum.Enum):
    """Where the current session is; drawn above."""

    IDLE = "idle"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    ACTIVE = "active"
    FAILED = "failed"
    RESTARTING = "restarting"
    OVER = "over"


class Step(enum.Enum):
    """What moves a session on."""

    OFFER = "the focus offers a session"
    ACCEPT = "our media is made"
    AGREED = "the focus takes our answer"
    ENDED = "the focus ends the session"
    FAILED = "the media fails"
    ASKED = "a restart is asked for"
    REFUSED = "the focus wants to hear of no restart yet"
    GAVE_UP = "an offer does not come"
    LEAVE = "the seat leaves, or is not let in"


_LIVE = (State.OFFERED, State.ACCEPTED, State.ACTIVE)

TRANSITIONS: Mapping[tuple[State, Step], State] = {
    **{(state, Step.OFFER): State.OFFERED for state in State if state is not State.OVER},
    (State.OFFERED, Step.ACCEPT): State.ACCEPTED,
    (State.ACCEPTED, Step.AGREED): State.ACTIVE,
    **{(state, Step.ENDED): State.IDLE for state in (*_LIVE, State.FAILED, State.RESTARTING)},
    **{(state, Step.FAILED): State.FAILED for state in _LIVE},
    (State.FAILED, Step.ASKED): State.RESTARTING,
    (State.RESTARTING, Step.REFUSED): State.FAILED,
    (State.RESTARTING, Step.GAVE_UP): State.IDLE,
    (State.FAILED, Step.GAVE_UP): State.IDLE,
    (State.IDLE, Step.GAVE_UP): State.IDLE,
    **{(state, Step.LEAVE): State.OVER for state in State if state is not State.OVER},
}
"""Every step there is; what is not here does nothing."""


class RestartLimit:
    """When the next restart may be asked for. Pure."""

    def __init__(self) -> None:
        self._asked_s: deque[float] = deque(maxlen=RESTARTS_PER_MINUTE)

    def next_s(self, now_s: float) -> float:
        """The earliest time, never before `now_s`."""
        if not self._asked_s:
            return now_s
        spaced_s = self._asked_s[-1] + RESTART_SPACING_S
        full = len(self._asked_s) == RESTARTS_PER_MINUTE
        return max(now_s, spaced_s, self._asked_s[0] + 60.0 if full else now_s)

    def count(self, now_s: float) -> None:
        """One is asked for now."""
        self._asked_s.append(now_s)


class _Purpose(enum.Enum):
    ACCEPT = "accept"
    RESTART = "restart"


class JingleSession:
    """The sessions of one seat, from joining the room to leaving it. Single-threaded.

    Args:
        nick: our id in the room.
        jid: our own, to name ourselves with.
        listens: whether the seat hears anybody.
        excluded: nicks that are never heard: sister bots.
    """

    def __init__(self, *, nick: str, jid: str, listens: bool, excluded: frozenset[str] = frozenset()) -> None:
        self._jid = jid
        self._state = State.IDLE
        self._sid = ""
        self._offer: Offer | None = None
        self._table = SourceTable(own=nick, listens=listens, excluded=excluded)
        self._heard = self._table.heard()
        self._dead_lines = 0
        self._limit = RestartLimit()
        self._restart_at_s: float | None = None
        self._offer_due_s: float | None = None
        self._why = ""  # the last failure, for the host
        self._events: list[JingleEvent] = []
        self._requests: list[JingleRequest] = []
        self._pending: dict[int, tuple[_Purpose, str]] = {}
        self._number = 0

    @property
    def state(self) -> State:
        """Where the current session is."""
        return self._state

    @property
    def sid(self) -> str | None:
        """Of the session whose media is of use; None where there is none."""
        return self._sid if self._state in _LIVE else None

    def events(self) -> list[JingleEvent]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def requests(self) -> list[JingleRequest]:
        """What is to be sent, in this order."""
        requests, self._requests = self._requests, []
        return requests

    # What comes from the room

    def receive(self, jingle: Element, *, from_jid: str, from_focus: bool, now_s: float) -> Reply:
        """Takes a Jingle request; the reply is to be sent before anything else is."""
        try:
            action, sid = jingle_reader.head(jingle)
        except SignallingError as error:
            return _bad_request(error)
        if not from_focus:
            return self._decline(action, sid, from_jid)
        if action not in ACTIONS:
            return Reply(condition="bad-request")
        if action != "session-initiate" and (sid != self._sid or self._state in (State.IDLE, State.OVER)):
            return Reply(condition="item-not-found", app_condition=f"{{{ERRORS}}}unknown-session")
        try:
            return self._act(jingle, now_s)
        except SignallingError as error:
            if action == "session-initiate" and self._state not in _LIVE:
                self._events.append(Barred(words=f"The server offers a call that cannot be used: {error}."))
            return _bad_request(error)

    def answered(self, number: int, condition: str | None, now_s: float) -> None:
        """Takes the answer to a request.

        Args:
            number: of the request.
            condition: of the error, `timeout` where nothing came; None for a result.
            now_s: monotonic time.
        """
        purpose, sid = self._pending.pop(number, (None, ""))
        if purpose is None or sid != self._sid:
            return
        if purpose is _Purpose.ACCEPT:
            self._accept_answered(condition, now_s)
        elif condition == "resource-constraint" and self._step(Step.REFUSED):
            self._restart_at_s = self._limit.next_s(now_s + REFUSED_WAIT_S)
            self._offer_due_s = None

    def occupant_left(self, nick: str, now_s: float) -> None:
        """Somebody has left: nobody but their presence tells that their sources are gone."""
        self._table.drop_owner(nick)
        self._tell_heard(now_s)

    # What comes from the seat

    def accept(self, sid: str, local: LocalMedia) -> None:
        """Answers the offer with our media; does nothing where that offer is not the last one."""
        if sid != self._sid or self._offer is None or not self._step(Step.ACCEPT):
            return
        answer = jingle_writer.session_accept(sid, responder=self._jid, offer=self._offer, local=local)
        self._send(answer, _Purpose.ACCEPT)

    def media_failed(self, sid: str, words: str, now_s: float) -> None:
        """The media of a session is of no use: another session is asked for, as soon as the focus allows it."""
        if sid == self._sid:
            self._fail(words, now_s)

    def hear(self, *, listens: bool, excluded: frozenset[str], now_s: float) -> None:
        """Starts or stops listening, and changes whose sources are not heard."""
        self._table.hear(listens=listens, excluded=excluded)
        self._tell_heard(now_s)

    def end(self, words: str) -> None:
        """The seat leaves the room."""
        live = self._state in _LIVE
        if self._step(Step.LEAVE) and live:
            self._send(jingle_writer.session_terminate(self._sid, reason="success", text=words))
            self._events.append(SessionEnded(sid=self._sid, words=words, restarting=False))
        self._forget_timers()

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called next, monotonic; None for never."""
        times = [at_s for at_s in (self._restart_at_s, self._offer_due_s) if at_s is not None]
        return min(times, default=None)

    def handle_timeout(self, now_s: float) -> None:
        """Does what is due."""
        if self._restart_at_s is not None and self._restart_at_s <= now_s:
            self._ask_restart(now_s)
        if self._offer_due_s is not None and self._offer_due_s <= now_s:
            self._give_up()

    # Inside

    def _step(self, step: Step) -> bool:
        """Goes on if there is such a step here."""
        state = TRANSITIONS.get((self._state, step))
        if state is None:
            return False
        self._state = state
        return True

    def _act(self, jingle: Element, now_s: float) -> Reply:
        message = jingle_reader.read(jingle)
        match message:
            case SessionInitiate():
                self._take_offer(message)
            case SourceAdd():
                self._table.add(message.sources)
                self._tell_heard(now_s)
            case SourceRemove():
                self._table.remove(message.sources)
                self._tell_heard(now_s)
            case TransportInfo():
                if message.candidates and self._state in _LIVE:
                    self._events.append(CandidatesCame(sid=message.sid, candidates=message.candidates))
            case SessionTerminate():
                self._terminated(message, now_s)
            case _ if message.action == "transport-replace":
                # Another way to move: aiortc cannot, and nobody else does it either. A new session can.
                self._fail("The meeting moves to another bridge.", now_s)
            case _ if message.action != "session-info":
                return Reply(condition="unexpected-request", app_condition=f"{{{ERRORS}}}out-of-order")
        return Reply()

    def _take_offer(self, message: SessionInitiate) -> None:
        if self._state in _LIVE:
            if message.sid == self._sid:
                return  # said twice, after a connection was resumed
            words = "The focus began another session."
            self._events.append(SessionEnded(sid=self._sid, words=words, restarting=True))
        if not self._step(Step.OFFER):
            return
        self._forget_timers()
        self._sid, self._offer, self._dead_lines = message.sid, message.offer, 0
        self._table.clear()
        self._table.add(message.sources)
        self._heard = self._table.heard()
        self._events.append(
            Offered(sid=message.sid, offer=message.offer, heard=self._heard, muted=message.muted)
        )

    def _terminated(self, message: SessionTerminate, now_s: float) -> None:
        live = self._state in _LIVE
        if not self._step(Step.ENDED):
            return
        self._forget_timers()
        moving = message.reason == "success" and "moving" in message.text.lower()
        if moving:
            self._offer_due_s = now_s + OFFER_TIMEOUT_S
            self._why = "The meeting moves to another bridge."
        if live:
            why = f"{message.reason or 'no reason'} {message.text}".strip()
            self._events.append(
                SessionEnded(sid=message.sid, words=f"The focus ended the session: {why}", restarting=moving)
            )

    def _accept_answered(self, condition: str | None, now_s: float) -> None:
        live = self._state in _LIVE  # otherwise its media failed before the answer came, and its end was told
        if condition is None:
            self._step(Step.AGREED)
        elif condition == "forbidden" and self._step(Step.LEAVE):
            words = "The server lets this bot in as a visitor only, who may not speak."
            if live:
                self._events.append(SessionEnded(sid=self._sid, words=words, restarting=False))
            self._events.append(Barred(words=words))
        elif condition in ("gone", "item-not-found") and self._step(Step.ENDED):
            words = "The focus has replaced the session."
            self._why, self._offer_due_s = words, now_s + OFFER_TIMEOUT_S
            if live:
                self._events.append(SessionEnded(sid=self._sid, words=words, restarting=True))
        else:
            self._fail(f"The focus refused our answer: {condition}.", now_s)

    def _tell_heard(self, now_s: float) -> None:
        """Reports the sources that are heard, if they have changed and a session is there to carry them."""
        heard, before = self._table.heard(), self._heard
        if self._state not in _LIVE or heard == before:
            return
        self._heard = heard
        self._dead_lines += len(set(before.sources) - set(heard.sources))
        if self._dead_lines >= MAX_DEAD_LINES:
            self._fail("The connection has seen too many sources come and go.", now_s)
        else:
            self._events.append(HeardChanged(sid=self._sid, heard=heard))

    def _fail(self, words: str, now_s: float) -> None:
        if not self._step(Step.FAILED):
            return
        self._why = words
        self._events.append(SessionEnded(sid=self._sid, words=words, restarting=True))
        self._restart_at_s = self._limit.next_s(now_s)
        if self._restart_at_s <= now_s:
            self._ask_restart(now_s)

    def _ask_restart(self, now_s: float) -> None:
        self._restart_at_s = None
        if self._offer is None or not self._offer.bridge_session:
            self._give_up()  # a restart is asked for by the bridge's name for the session
        elif self._step(Step.ASKED):
            self._limit.count(now_s)
            self._offer_due_s = now_s + OFFER_TIMEOUT_S
            ask = jingle_writer.session_terminate(
                self._sid, reason="connectivity-error", text=self._why, restart=self._offer.bridge_session
            )
            self._send(ask, _Purpose.RESTART)

    def _give_up(self) -> None:
        if self._step(Step.GAVE_UP):
            self._forget_timers()
            self._events.append(Stuck(words=f"{self._why} The focus offers no other session."))

    def _decline(self, action: str, sid: str, peer: str) -> Reply:
        if action != "session-initiate":
            return Reply(condition="item-not-found", app_condition=f"{{{ERRORS}}}unknown-session")
        words = "This participant talks through the bridge only."
        self._send(jingle_writer.session_terminate(sid, reason="decline", text=words), to=peer)
        return Reply()

    def _send(self, jingle: Element, purpose: _Purpose | None = None, to: str | None = None) -> None:
        self._number += 1
        if purpose is not None:
            self._pending[self._number] = purpose, self._sid
        self._requests.append(JingleRequest(number=self._number, to=to, jingle=jingle))

    def _forget_timers(self) -> None:
        self._restart_at_s = self._offer_due_s = None


def _bad_request(error: SignallingError) -> Reply:
    logger.warning("refused a Jingle request: %s", error)
    return Reply(condition="bad-request")
