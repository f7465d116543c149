"""A client's XMPP stream over WebSocket, without the WebSocket: login, session, liveness, requests and their answers.

    closed ─connected→ opening ─features→ authenticating ─success→ opening again ─features→ resuming ─failed→ binding
                                                                        │                      │resumed          │
                                                                        └──────────────────────│──→ binding → enabling
                                                                                               └──────→ ready ←──┘

One object lives through many connections. Where the server agrees (XEP-0198), a session cut off is resumed and nothing
is lost; otherwise `StreamReady` says that this is a new session, and everything asked before counts as unanswered.
RFC 7395 (framing), RFC 6120 (SASL, binding, errors), XEP-0198, XEP-0199.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from webrtc.errors import LocalError, SignallingError
from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.namespaces import client, local_name, qualified
from webrtc.jitsi.sasl import Account, Login, choose
from webrtc.jitsi.stanza import DISCONNECTED, TIMEOUT, IqError, bare, domain, error_of, iq, iq_error, shown
from webrtc.jitsi.stream_management import StreamManagement
from webrtc.jitsi.xml import element, is_stanza, parse, serialise, summary

logger = logging.getLogger(__name__)

LOGIN_TIMEOUT_S = 20.0
"""From the connection to being ready."""

REQUEST_TIMEOUT_S = 15.0
CLOSE_TIMEOUT_S = 2.0

PING_AFTER_S = 10.0  # lib-jitsi-meet's interval, timeout and patience
"""Of silence."""

PING_TIMEOUT_S = 5.0
PINGS_UNANSWERED = 2

MAX_REQUESTS = 200
"""Unanswered at once."""

MAX_BAD_FRAMES = 100
"""A server that sends more of what cannot be read is none."""


class StreamState(enum.Enum):
    """How far the stream has come."""

    CLOSED = "closed"
    OPENING = "opening"
    AUTHENTICATING = "authenticating"
    REOPENING = "reopening"
    RESUMING = "resuming"
    BINDING = "binding"
    ENABLING = "enabling"
    READY = "ready"
    CLOSING = "closing"


@dataclass(frozen=True, kw_only=True)
class StreamReady:
    """Stanzas can be sent."""

    jid: str
    """Ours, with its resource."""

    resumed: bool
    """The session before goes on; otherwise this is a new one."""


@dataclass(frozen=True, kw_only=True)
class StanzaReceived:
    """A message, a presence, or a request somebody makes of us."""

    stanza: Element


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The end of a request."""

    request_id: str
    answer: Element | None
    """The IQ of type result; None where there is an error."""

    error: IqError | None


@dataclass(frozen=True, kw_only=True)
class StreamLost:
    """This connection is of no more use; another may resume it."""

    words: str
    condition: str = ""
    """Of the stream error, where the server gave one."""


@dataclass(frozen=True, kw_only=True)
class LoginRefused:
    """The server does not let us log in; trying again is of no use."""

    condition: str
    """As RFC 6120 section 6.5 names it; `no-mechanism` where the server offers no way that we can take."""

    text: str
    """In the server's words."""


@dataclass(frozen=True, kw_only=True)
class StreamClosed:
    """The stream that we closed is closed."""


StreamEvent = StreamReady | StanzaReceived | Answered | StreamLost | LoginRefused | StreamClosed


@dataclass(frozen=True, kw_only=True)
class _Request:
    to: str | None
    until_s: float


class XmppStream:
    """The core: frames and time in; frames and events out.

    Args:
        login_domain: to which the stream is opened.
        ping_to: who answers pings.
        account: None logs in as a guest.
        token_hex: gives so many random bytes as hexadecimal; unpredictable, for the login and the ids.
    """

    def __init__(
        self, *, login_domain: str, ping_to: str, account: Account | None, token_hex: Callable[[int], str]
    ) -> None:
        self._domain = login_domain
        self._ping_to = ping_to
        self._account = account
        self._token_hex = token_hex
        self._prefix = token_hex(4)
        self._count = 0
        self.state = StreamState.CLOSED
        self.jid = ""
        self._login: Login | None = None
        self._management: StreamManagement | None = None
        self._sm_offered = False
        self._binding = ""
        self._requests: dict[str, _Request] = {}
        self._pings = 0
        self._ping_at_s = 0.0
        self._until_s: float | None = None
        self._bad_frames = 0
        self._frames: list[str] = []
        self._events: list[StreamEvent] = []

    # What the driver tells, and takes.

    def connected(self, now_s: float) -> None:
        """A WebSocket is open."""
        self.state = StreamState.OPENING
        self._until_s = now_s + LOGIN_TIMEOUT_S
        self._frames.clear()
        self._bad_frames = 0
        self._open()

    def receive(self, text: str, now_s: float) -> None:
        """A text frame has come; one that cannot be read is passed over."""
        if self.state is StreamState.CLOSED:
            return
        self._pings = 0
        self._ping_at_s = now_s + PING_AFTER_S
        try:
            received = parse(text)
        except SignallingError as error:
            self._bad_frame(text, error)
            return
        try:
            self._frame(received, now_s)
        except SignallingError as error:
            self._lose(f"the server broke the protocol: {error}")

    def disconnected(self, now_s: float) -> None:
        """The WebSocket is gone."""
        if self.state is StreamState.CLOSING and not self.resume_id:
            self._closed()
        elif self.state is not StreamState.CLOSED:
            self._lose("the connection was cut")

    def frames_to_send(self) -> list[str]:
        """Text frames for the WebSocket, each once."""
        frames, self._frames = self._frames, []
        return frames

    def events(self) -> list[StreamEvent]:
        """What happened, each once."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do."""
        times = [request.until_s for request in self._requests.values()]
        if self._until_s is not None:
            times.append(self._until_s)
        if self.state is StreamState.READY:
            times.append(self._ping_at_s)
        return min(times, default=None)

    def handle_timeout(self, now_s: float) -> None:
        """Pings, and gives up on what has taken too long."""
        for request_id in [key for key, request in self._requests.items() if request.until_s <= now_s]:
            del self._requests[request_id]
            self._events.append(Answered(request_id=request_id, answer=None, error=TIMEOUT))
        if self._until_s is not None and self._until_s <= now_s:
            self._until_s = None
            if self.state is StreamState.CLOSING:
                self._closed()
            else:
                self._lose(f"the server did not finish the login within {LOGIN_TIMEOUT_S:g} s")
        if self.state is StreamState.READY and self._ping_at_s <= now_s:
            self._ping(now_s)

    @property
    def resume_id(self) -> str:
        """Names the session that the next connection may resume; empty for none."""
        return self._management.resume_id if self._management is not None else ""

    # What the layer above says.

    def send(self, stanza: Element) -> None:
        """Sends a message or a presence: now, after a resumption, or never where the session cannot be resumed."""
        management = self._management
        if management is not None:
            management.keep(stanza)
            if management.overdue:
                self._management = None
                self._lose("the server acknowledges nothing")
                return
        if self.state is StreamState.READY:
            self._put(stanza)
            if management is not None and management.ask_now():
                self._put(Element(qualified(ns.STREAM_MANAGEMENT, "r")))

    def request(
        self, kind: str, to: str | None, payload: Element, now_s: float, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> str:
        """Asks something by IQ; `Answered` follows, whatever happens.

        Args:
            kind: `get` or `set`.
            to: None asks our own account.
            payload: what is asked.
            now_s: monotonic time.
            timeout_s: after which the request counts as unanswered.

        Returns:
            the request's id.

        Raises:
            LocalError: too many are unanswered.
        """
        if len(self._requests) >= MAX_REQUESTS:
            raise LocalError(f"expected at most {MAX_REQUESTS} unanswered requests")
        request_id = self._next_id()
        self._requests[request_id] = _Request(to=to, until_s=now_s + timeout_s)
        self.send(iq(kind, request_id, to, payload))
        return request_id

    def answer(self, request: Element, payload: Element | None = None) -> None:
        """Answers a request of somebody's with a result."""
        self.send(iq("result", request.get("id", ""), request.get("from"), payload))

    def refuse(self, request: Element, error: IqError) -> None:
        """Answers a request of somebody's with an error."""
        self.send(iq_error(request.get("id", ""), request.get("from"), error))

    def close(self, now_s: float) -> None:
        """Ends the session for good; `StreamClosed` follows, or `StreamLost` where it may still stand."""
        if self.state is StreamState.CLOSED:
            self._closed()
            return
        self._put(Element(qualified(ns.FRAMING, "close")))
        self.state = StreamState.CLOSING
        self._until_s = now_s + CLOSE_TIMEOUT_S

    # Frames.

    def _frame(self, received: Element, now_s: float) -> None:
        if received.tag in (qualified(ns.STREAMS, "error"), qualified(ns.FRAMING, "close")):
            self._closed_by_server(received)
        elif received.tag in _STANZAS:
            if self._management is not None and self.state is StreamState.READY:
                self._management.count_received()
            self._stanza(received, now_s)
        else:
            handler = _HANDLERS.get((self.state, received.tag))
            if handler is not None:
                handler(self, received, now_s)
            elif received.tag != qualified(ns.FRAMING, "open"):  # what counts are the features that follow
                logger.debug("passed over %s while %s", received.tag, self.state.value)

    def _bad_frame(self, text: str, error: SignallingError) -> None:
        logger.warning("passed over a frame: %s", error)
        if self._management is not None and self.state is StreamState.READY and is_stanza(text):
            self._management.count_received()
        self._bad_frames += 1
        if self._bad_frames >= MAX_BAD_FRAMES:
            self._lose(f"{MAX_BAD_FRAMES} frames from the server could not be read")

    def _closed_by_server(self, received: Element) -> None:
        if self.state is StreamState.CLOSING:
            self._closed()
            return
        conditions = [local_name(child.tag) for child in received if child.tag != _STREAM_ERROR_TEXT]
        if local_name(received.tag) == "error":
            condition = shown(conditions[0], 60) if conditions else "undefined-condition"
            text = shown(received.findtext(_STREAM_ERROR_TEXT) or "")
            self._lose(f"the server ended the stream: {text or condition}", condition)
        else:
            self._lose("the server closed the stream")

    def _open(self) -> None:
        self._put(element(qualified(ns.FRAMING, "open"), {"to": self._domain, "version": "1.0"}))

    def _mechanisms(self, features: Element, now_s: float) -> None:
        offered = [(each.text or "").strip() for each in features.iter(qualified(ns.SASL, "mechanism"))]
        self._login = choose(offered, self._account, self._token_hex(16))
        if self._login is None:
            wanted = "accounts" if self._account is not None else "guests"
            self._refuse_login("no-mechanism", f"no way in for {wanted}")
            return
        self.state = StreamState.AUTHENTICATING
        attributes = {"mechanism": self._login.mechanism}
        self._put(element(qualified(ns.SASL, "auth"), attributes, self._login.begin()))

    def _challenge(self, received: Element, now_s: float) -> None:
        assert self._login is not None
        answer = self._login.answer((received.text or "").strip())
        self._put(element(qualified(ns.SASL, "response"), text=answer or None))

    def _success(self, received: Element, now_s: float) -> None:
        assert self._login is not None
        self._login.finish((received.text or "").strip())
        self._login = None
        self.state = StreamState.REOPENING
        self._open()

    def _failure(self, received: Element, now_s: float) -> None:
        text = shown(received.findtext(qualified(ns.SASL, "text")) or "")
        conditions = [local_name(child.tag) for child in received if local_name(child.tag) != "text"]
        condition = shown(conditions[0], 60) if conditions else "not-authorized"
        if condition == "temporary-auth-failure":
            self._lose(f"the server cannot check logins just now: {text or condition}")
        else:
            self._refuse_login(condition, text)

    def _refuse_login(self, condition: str, text: str) -> None:
        self._management = None
        self._drop()
        self._events.append(LoginRefused(condition=condition, text=text))

    def _session(self, features: Element, now_s: float) -> None:
        self._sm_offered = features.find(qualified(ns.STREAM_MANAGEMENT, "sm")) is not None
        management = self._management
        if self._sm_offered and management is not None and management.resume_id:
            self.state = StreamState.RESUMING
            attributes = {"previd": management.resume_id, "h": str(management.received)}
            self._put(element(qualified(ns.STREAM_MANAGEMENT, "resume"), attributes))
        else:
            self._bind()

    def _resumed(self, received: Element, now_s: float) -> None:
        management = self._management
        assert management is not None
        if received.get("previd") != management.resume_id:
            raise SignallingError("expected our own session to be resumed, got another")
        management.acknowledge(received.get("h"))
        self._ready(now_s, resumed=True)
        for stanza in management.unacknowledged():
            self._put(stanza)

    def _not_resumed(self, received: Element, now_s: float) -> None:
        self._bind()

    def _bind(self) -> None:
        self._management = None
        self._unanswered()
        self.state = StreamState.BINDING
        self._binding = self._next_id()
        self._put(iq("set", self._binding, None, Element(qualified(ns.BIND, "bind"))))

    def _bound(self, answer: Element, now_s: float) -> None:
        jid = answer.findtext(f"{qualified(ns.BIND, 'bind')}/{qualified(ns.BIND, 'jid')}") or ""
        if answer.get("type") != "result" or not jid:
            raise SignallingError("expected the server to give us an address, got none")
        self.jid = jid.strip()
        if self._sm_offered:
            self.state = StreamState.ENABLING
            self._put(element(qualified(ns.STREAM_MANAGEMENT, "enable"), {"resume": "true"}))
        else:
            self._ready(now_s, resumed=False)

    def _enabled(self, received: Element, now_s: float) -> None:
        resumable = received.get("resume") in ("true", "1")
        self._management = StreamManagement(received.get("id", "") if resumable else "")
        self._ready(now_s, resumed=False)

    def _not_enabled(self, received: Element, now_s: float) -> None:
        self._ready(now_s, resumed=False)

    def _ready(self, now_s: float, *, resumed: bool) -> None:
        self.state = StreamState.READY
        self._until_s = None
        self._pings = 0
        self._ping_at_s = now_s + PING_AFTER_S
        self._events.append(StreamReady(jid=self.jid, resumed=resumed))

    def _asked_for_acknowledgement(self, received: Element, now_s: float) -> None:
        if self._management is not None:
            attributes = {"h": str(self._management.received)}
            self._put(element(qualified(ns.STREAM_MANAGEMENT, "a"), attributes))

    def _acknowledged(self, received: Element, now_s: float) -> None:
        if self._management is not None:
            self._management.acknowledge(received.get("h"))

    # Stanzas.

    def _stanza(self, stanza: Element, now_s: float) -> None:
        logger.debug("< %s", summary(stanza))
        is_iq = stanza.tag == client("iq")
        kind = stanza.get("type", "")
        if self.state is StreamState.BINDING and is_iq and stanza.get("id") == self._binding:
            self._bound(stanza, now_s)
        elif self.state is not StreamState.READY:
            # Some servers push messages while the login is still going on; all they say is asked for later anyway.
            return
        elif is_iq and kind in ("result", "error"):
            self._answered(stanza)
        elif is_iq and (kind not in ("get", "set") or not stanza.get("id")):
            return
        elif is_iq and kind == "get" and stanza.find(qualified(ns.PING, "ping")) is not None:
            self.answer(stanza)
        else:
            self._events.append(StanzaReceived(stanza=stanza))

    def _answered(self, stanza: Element) -> None:
        request_id = stanza.get("id", "")
        request = self._requests.get(request_id)
        if request is None or not self._may_answer(request.to, stanza.get("from")):
            return
        del self._requests[request_id]
        error = error_of(stanza) if stanza.get("type") == "error" else None
        self._events.append(
            Answered(request_id=request_id, answer=stanza if error is None else None, error=error)
        )

    def _may_answer(self, asked: str | None, answering: str | None) -> bool:
        if asked is not None:
            return answering == asked
        return answering in (None, bare(self.jid), domain(self.jid), self.jid)

    def _ping(self, now_s: float) -> None:
        if self._pings >= PINGS_UNANSWERED:
            self._lose(f"the server has been silent for {PING_AFTER_S + self._pings * PING_TIMEOUT_S:g} s")
            return
        self._pings += 1
        self._ping_at_s = now_s + PING_TIMEOUT_S
        # Its answer needs no keeping: any frame at all shows that the server is there.
        self.send(iq("get", self._next_id(), self._ping_to, Element(qualified(ns.PING, "ping"))))
        if self._management is not None:
            self._put(Element(qualified(ns.STREAM_MANAGEMENT, "r")))

    # Ends.

    def _lose(self, words: str, condition: str = "") -> None:
        """The connection is of no more use; what was asked waits for a resumption, where there can be one."""
        self._drop()
        if not self.resume_id:
            self._management = None
            self._unanswered()
        self._events.append(StreamLost(words=words, condition=condition))

    def _closed(self) -> None:
        self._drop()
        self._management = None
        self._unanswered()
        self._events.append(StreamClosed())

    def _drop(self) -> None:
        self.state = StreamState.CLOSED
        self._until_s = None
        self._login = None
        self._frames.clear()

    def _unanswered(self) -> None:
        for request_id in self._requests:
            self._events.append(Answered(request_id=request_id, answer=None, error=DISCONNECTED))
        self._requests.clear()

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def _put(self, sent: Element) -> None:
        if sent.tag in _STANZAS:
            logger.debug("> %s", summary(sent))
        self._frames.append(serialise(sent))


_STANZAS = {client("message"), client("presence"), client("iq")}
_STREAM_ERROR_TEXT = qualified(ns.STREAM_ERRORS, "text")
_FEATURES = qualified(ns.STREAMS, "features")
_Handler = Callable[[XmppStream, Element, float], None]

_HANDLERS: dict[tuple[StreamState, str], _Handler] = {
    (StreamState.OPENING, _FEATURES): XmppStream._mechanisms,
    (StreamState.AUTHENTICATING, qualified(ns.SASL, "challenge")): XmppStream._challenge,
    (StreamState.AUTHENTICATING, qualified(ns.SASL, "success")): XmppStream._success,
    (StreamState.AUTHENTICATING, qualified(ns.SASL, "failure")): XmppStream._failure,
    (StreamState.REOPENING, _FEATURES): XmppStream._session,
    (StreamState.RESUMING, qualified(ns.STREAM_MANAGEMENT, "resumed")): XmppStream._resumed,
    (StreamState.RESUMING, qualified(ns.STREAM_MANAGEMENT, "failed")): XmppStream._not_resumed,
    (StreamState.ENABLING, qualified(ns.STREAM_MANAGEMENT, "enabled")): XmppStream._enabled,
    (StreamState.ENABLING, qualified(ns.STREAM_MANAGEMENT, "failed")): XmppStream._not_enabled,
    (StreamState.READY, qualified(ns.STREAM_MANAGEMENT, "r")): XmppStream._asked_for_acknowledgement,
    (StreamState.READY, qualified(ns.STREAM_MANAGEMENT, "a")): XmppStream._acknowledged,
}
