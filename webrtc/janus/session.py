"""One session with a Janus server: requests and their answers, handles, staying alive. Sans-IO.

    create ──> session ── attach ──> handle ── message ──> acknowledged ──> event with the answer
                  └── a keep-alive whenever nothing was asked for a while; without one Janus ends the session

Whoever makes a request gives it a *purpose*, any object, by which its answer is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from webrtc.errors import SignallingError
from webrtc.janus.messages import (
    VIDEOROOM,
    Acknowledged,
    Body,
    Failed,
    HandleOver,
    Jsep,
    PluginEvent,
    SessionOver,
    Succeeded,
    encode,
    parse,
)

KEEP_ALIVE_S = 20.0
"""Janus ends a session after 60 s without a request, by default."""

ANSWER_S = 15.0
"""Longest time until a request is answered."""

MAX_BAD_MESSAGES = 10


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The session is there."""


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A handle is there."""

    purpose: object
    handle: int


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The plugin has answered a request."""

    purpose: object
    handle: int
    data: Body
    jsep: Jsep | None


@dataclass(frozen=True, kw_only=True)
class Unanswered:
    """Janus refused a request, or did not answer it in time."""

    purpose: object
    failed: Failed


@dataclass(frozen=True, kw_only=True)
class Told:
    """The plugin tells something that nobody asked for."""

    handle: int
    data: Body
    jsep: Jsep | None


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A handle's connection has ended, or the handle itself."""

    handle: int
    reason: str
    detached: bool


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The session has ended, with everything in it; the last event."""

    words: str


SessionEvent = Opened | Attached | Answered | Unanswered | Told | Gone | Lost


@dataclass(eq=False)
class _Request:
    kind: str
    purpose: object
    due_s: float
    handle: int | None = None


@dataclass(eq=False, kw_only=True)
class JanusSession:
    """One session, from `start` to its end. Single-threaded."""

    new_transaction: Callable[[], str]
    """Gives a text that no request before had."""

    token: str = field(default="", repr=False)
    """Where the server wants one."""

    _session: int | None = field(default=None, init=False)
    _requests: dict[str, _Request] = field(default_factory=dict, init=False, repr=False)
    _handles: set[int] = field(default_factory=set, init=False)
    _outgoing: list[str] = field(default_factory=list, init=False, repr=False)
    _events: list[SessionEvent] = field(default_factory=list, init=False, repr=False)
    _keep_alive_s: float = field(default=float("inf"), init=False)
    _bad_messages: int = field(default=0, init=False)
    _over: bool = field(default=False, init=False)

    def start(self, now_s: float) -> None:
        """Asks for the session."""
        self._ask("create", None, {}, now_s)

    def attach(self, purpose: object, now_s: float) -> None:
        """Asks for a handle of the VideoRoom plugin."""
        self._ask("attach", purpose, {"plugin": VIDEOROOM}, now_s)

    def ask(self, handle: int, body: Body, purpose: object, now_s: float, jsep: Jsep | None = None) -> None:
        """Asks something of the plugin."""
        described = {} if jsep is None else {"jsep": {"type": jsep.kind, "sdp": jsep.sdp}}
        self._ask("message", purpose, {"body": body, **described}, now_s, handle)

    def detach(self, handle: int, now_s: float) -> None:
        """Ends a handle; nothing more is told of it."""
        if handle in self._handles:
            self._handles.discard(handle)
            self._forget(handle)
            self._ask("detach", None, {}, now_s, handle)

    def destroy(self, now_s: float) -> None:
        """Ends the session, with everything in it."""
        if self._session is not None and not self._over:
            self._ask("destroy", None, {}, now_s)
            self._over = True

    def receive(self, text: str, now_s: float) -> None:
        """A message came."""
        if self._over:
            return
        try:
            message = parse(text)
        except SignallingError as error:
            self._bad_messages += 1
            if self._bad_messages >= MAX_BAD_MESSAGES:
                self._lose(f"the Janus server sends what means nothing: {error}")
            return
        match message:
            case Acknowledged(transaction=transaction):
                self._acknowledged(transaction)
            case Succeeded():
                self._succeeded(message, now_s)
            case Failed():
                self._failed(message)
            case PluginEvent():
                self._event(message)
            case HandleOver(handle=handle, detached=detached, reason=reason) if handle in self._handles:
                if detached:
                    self._handles.discard(handle)
                    self._forget(handle)
                self._events.append(Gone(handle=handle, reason=reason, detached=detached))
            case SessionOver():
                self._lose("the Janus server has ended the session")

    def outgoing(self) -> list[str]:
        """What is to be sent now; it may hold secrets."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def events(self) -> list[SessionEvent]:
        """What has happened since the last call."""
        events, self._events = self._events, []
        return events

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is to be called at the latest."""
        if self._over:
            return None
        due_s = min((request.due_s for request in self._requests.values()), default=float("inf"))
        earliest_s = min(due_s, self._keep_alive_s)
        return None if earliest_s == float("inf") else earliest_s

    def handle_timeout(self, now_s: float) -> None:
        """Time has passed."""
        for transaction, request in list(self._requests.items()):
            if request.due_s <= now_s and not self._over:
                del self._requests[transaction]
                if request.kind in ("create", "keepalive"):
                    self._lose("the Janus server does not answer")
                else:
                    self._unanswered(
                        request, Failed(transaction=transaction, code=0, reason="no answer in time")
                    )
        if self._session is not None and self._keep_alive_s <= now_s and not self._over:
            self._ask("keepalive", None, {}, now_s)

    # ---------------------------------------------------------------------------------------------------------------

    def _ask(self, kind: str, purpose: object, body: Body, now_s: float, handle: int | None = None) -> None:
        if self._over:
            return
        transaction = self.new_transaction()
        self._requests[transaction] = _Request(kind, purpose, now_s + ANSWER_S, handle)
        session = {} if self._session is None else {"session_id": self._session}
        of_handle = {} if handle is None else {"handle_id": handle}
        token = {"token": self.token} if self.token else {}
        head = {"janus": kind, "transaction": transaction, **session, **of_handle, **token}
        self._outgoing.append(encode({**head, **body}))
        self._keep_alive_s = now_s + KEEP_ALIVE_S

    def _acknowledged(self, transaction: str) -> None:
        request = self._requests.get(transaction)
        if request is not None and request.kind == "keepalive":
            del self._requests[transaction]

    def _succeeded(self, message: Succeeded, now_s: float) -> None:
        request = self._requests.pop(message.transaction, None)
        if request is None:
            return
        if request.kind in ("create", "attach") and message.id is None:
            self._lose(f"the Janus server answers {request.kind} without an id")
        elif request.kind == "create":
            self._session = message.id
            self._keep_alive_s = now_s + KEEP_ALIVE_S
            self._events.append(Opened())
        elif request.kind == "attach" and message.id is not None:
            self._handles.add(message.id)
            self._events.append(Attached(purpose=request.purpose, handle=message.id))
        elif request.kind == "message" and request.handle is not None:
            self._events.append(
                Answered(purpose=request.purpose, handle=request.handle, data=message.data, jsep=None)
            )

    def _failed(self, message: Failed) -> None:
        request = self._requests.pop(message.transaction, None)
        if request is None:
            return
        if request.kind == "keepalive":
            self._lose("the Janus server knows the session no more")
        else:
            self._unanswered(request, message)

    def _unanswered(self, request: _Request, failed: Failed) -> None:
        if request.kind != "detach":
            self._events.append(Unanswered(purpose=request.purpose, failed=failed))

    def _event(self, message: PluginEvent) -> None:
        if message.handle not in self._handles:
            return
        request = self._requests.get(message.transaction)
        if request is not None and request.kind == "message" and request.handle == message.handle:
            del self._requests[message.transaction]
            self._events.append(
                Answered(purpose=request.purpose, handle=message.handle, data=message.data, jsep=message.jsep)
            )
        else:
            self._events.append(Told(handle=message.handle, data=message.data, jsep=message.jsep))

    def _forget(self, handle: int) -> None:
        """No answer is awaited any more on a handle."""
        self._requests = {
            transaction: request
            for transaction, request in self._requests.items()
            if request.handle != handle
        }

    def _lose(self, words: str) -> None:
        if not self._over:
            self._over = True
            self._events.append(Lost(words=words))
