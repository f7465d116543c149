"""A seat in a Jitsi conference, without input or output: from the login to being in the room with the focus.

    offline ──session──→ asking ──focus ready──→ joining ──own presence──→ joined ──┐
       ↑                  ↑  ↑                     │ │                       │      │ removed by the server
       │ session lost     │  └── no focus, no host ┘ └ members only → lobby  │      ↓
       └──────────────────┼─────────────── admitted, or switched off ──┘     │   asking again
                          └──────────────────────────────────────────────────┘

It owns the XMPP stream, and through it lives over lost connections: resumed where the server can, and otherwise by
joining anew. The driver brings frames, answers to HTTP requests, and the time; it takes frames, HTTP requests, events.
"""

from __future__ import annotations

import enum
import logging
import re
from collections.abc import Callable
from xml.etree.ElementTree import Element

from webrtc.jitsi import disco
from webrtc.jitsi.conference_events import (
    Admitted,
    ConferenceEvent,
    Ended,
    Interrupted,
    Refused,
    Resumed,
    RoomKnown,
    SeatSettings,
    Wait,
    Waiting,
)
from webrtc.jitsi.conference_request import AskAgain, FocusReady, HttpRequest, Outcome, RequestRefused
from webrtc.jitsi.focus_asking import FocusAsking
from webrtc.jitsi.in_room import InRoom
from webrtc.jitsi.join_errors import Next, judge
from webrtc.jitsi.lobby import Lobby, LobbySays, invitation
from webrtc.jitsi.namespaces import client
from webrtc.jitsi.presence import Presence, read_presence
from webrtc.jitsi.reconnection import Reconnection
from webrtc.jitsi.refusals import Refusal, sentence
from webrtc.jitsi.stanza import DISCONNECTED, node
from webrtc.jitsi.stream import (
    Answered,
    LoginRefused,
    StanzaReceived,
    StreamClosed,
    StreamEvent,
    StreamLost,
    StreamReady,
    StreamState,
    XmppStream,
)

logger = logging.getLogger(__name__)

DISCOVERY_TIMEOUT_S = 5.0
JOIN_TIMEOUT_S = 20.0
FOCUS_GRACE_S = 15.0
"""For the focus to be in the room; it is there before us, unless it has just left."""

HOST_WAIT_S = 5.0
"""Between two looks whether a host has come."""

MAX_TRIES = 3
"""At joining, one after the other."""

STEADY_S = 60.0
"""Having been in the room for so long, the tries count anew."""

LEAVE_TIMEOUT_S = 5.0

_ENDPOINT = re.compile("[0-9a-f]{8}")

_WAITS = {
    Wait.LOBBY: "the interpreter waits in the lobby: a moderator has to let it in",
    Wait.HOST: "the meeting has not begun: the interpreter waits for a host to start it",
    Wait.FOCUS: "the server's conference service is not ready: the interpreter asks again until it is",
    Wait.BRIDGE: "the server has no media bridge free, so nobody is heard: its administrator has to look at "
    "Jitsi Videobridge",
}


class Phase(enum.Enum):
    """How far the seat has come."""

    OFFLINE = "offline"
    ASKING = "asking"
    JOINING = "joining"
    LOBBY = "lobby"
    JOINED = "joined"
    LEAVING = "leaving"
    OVER = "over"


class Conference:
    """The core of one seat.

    Args:
        settings: where and as whom.
        token_hex: gives so many random bytes as hexadecimal, unpredictable.
    """

    def __init__(self, settings: SeatSettings, token_hex: Callable[[int], str]) -> None:
        server, account = settings.server, settings.account
        self.settings = settings
        self._token_hex = token_hex
        self._events: list[ConferenceEvent] = []
        self.stream = XmppStream(
            login_domain=server.guest_domain if account is None else account.domain or server.domain,
            ping_to=server.domain,
            account=account,
            token_hex=token_hex,
        )
        room_jid = f"{settings.room}@{server.muc}"
        self.room = InRoom(settings, room_jid, self.stream, token_hex, self._emit)
        self.phase = Phase.OFFLINE
        self.jid = ""
        self._reconnection = Reconnection()
        self._asking = FocusAsking(
            settings, room_jid, settings.machine_id or token_hex(16), self.stream, self._focus_told
        )
        self._lobby = Lobby(self.stream)
        self._password = settings.password
        self._tries = 0
        self._joined_at_s: float | None = None
        self._ever_joined = False
        self._interrupted = False
        self._bridge_missing = False
        self._waiting: Wait | None = None
        self._join_until_s: float | None = None
        self._wait_until_s: float | None = None
        self._focus_by_s: float | None = None
        self._leave_until_s: float | None = None
        self._answers: dict[str, Callable[[Answered, float], None]] = {}

    # What the driver tells, and takes.

    def start(self, now_s: float) -> None:
        """Begins: the driver is to connect."""
        self._reconnection.now(now_s)

    @property
    def connect_at_s(self) -> float | None:
        """When the driver is to connect; None while it is connected, or is to do nothing."""
        return self._reconnection.at_s

    @property
    def socket_wanted(self) -> bool:
        """Whether the connection is still of use."""
        return self.stream.state is not StreamState.CLOSED

    @property
    def over(self) -> bool:
        """Whether the last event has happened."""
        return self.phase is Phase.OVER

    def connecting(self) -> None:
        """The driver tries to connect."""
        self._reconnection.connecting()

    def connected(self, now_s: float) -> None:
        """A WebSocket is open."""
        self.stream.connected(now_s)

    def connect_failed(self, kind: Refusal, now_s: float) -> None:
        """There is no WebSocket, for a reason that `kind` says."""
        if self.phase is Phase.LEAVING:
            self._reconnection.now(now_s + 1.0)
        elif kind is not Refusal.UNREACHABLE and not self._ever_joined:
            self._end(kind, now_s)
        elif not self.over and not self._reconnection.lost(now_s):
            self._end(Refusal.LOST if self._ever_joined else kind, now_s)

    def receive(self, text: str, now_s: float) -> None:
        """A text frame has come."""
        self.stream.receive(text, now_s)
        self._pump(now_s)

    def disconnected(self, now_s: float) -> None:
        """The WebSocket is gone."""
        self.stream.disconnected(now_s)
        self._pump(now_s)

    def http_answered(self, number: int, status: int | None, answer: str, now_s: float) -> None:
        """What came of an HTTP request.

        Args:
            number: the request's.
            status: None where there was no answer.
            answer: its body.
            now_s: monotonic time.
        """
        self._asking.http_answered(number, status, answer, now_s)

    def frames_to_send(self) -> list[str]:
        """Text frames for the WebSocket, each once."""
        return self.stream.frames_to_send()

    def http_requests(self) -> list[HttpRequest]:
        """Requests for the driver to make, each once."""
        return self._asking.http_requests()

    def events(self) -> list[ConferenceEvent]:
        """What happened, each once."""
        events = list(self._events)
        self._events.clear()
        return events

    def _emit(self, event: ConferenceEvent) -> None:
        if self.phase is not Phase.OVER:
            self._events.append(event)

    def next_timeout(self) -> float | None:
        """When `handle_timeout` has something to do."""
        times = (
            self.stream.next_timeout(), self._asking.at_s, self._join_until_s, self._wait_until_s,
            self._focus_by_s, self._leave_until_s,
        )  # fmt: skip
        return min((time for time in times if time is not None), default=None)

    def handle_timeout(self, now_s: float) -> None:
        """Does what is due."""
        self.stream.handle_timeout(now_s)
        self._pump(now_s)
        if _due(self._leave_until_s, now_s):
            self._end(Refusal.LEFT, now_s)
        if _due(self._wait_until_s, now_s):
            in_lobby = self._waiting is Wait.LOBBY
            self._end(Refusal.LOBBY_UNANSWERED if in_lobby else Refusal.HOST_ABSENT, now_s)
        self._asking.handle_timeout(now_s)
        if _due(self._focus_by_s, now_s):
            self._focus_by_s = None
            self._ask_for_focus(now_s)
        if _due(self._join_until_s, now_s):
            self._join_unanswered(now_s)

    # Leaving, and other ends.

    def leave(self, now_s: float) -> None:
        """Leaves the room and ends the session, so that nothing of us stays behind; `Ended` follows."""
        if self.phase in (Phase.LEAVING, Phase.OVER):
            return
        self._leave_rooms()
        self.phase = Phase.LEAVING
        self._forget_times()
        self._leave_until_s = now_s + LEAVE_TIMEOUT_S
        if self.stream.state is StreamState.READY:
            self.stream.close(now_s)
        elif self.stream.state is StreamState.CLOSED:
            self._resume_to_leave(now_s)

    def _resume_to_leave(self, now_s: float) -> None:
        """What of us is still in the room goes at once if the session can be resumed, else when it expires."""
        if self.stream.resume_id:
            self._reconnection.now(now_s)
        else:
            self._end(Refusal.LEFT, now_s)

    def _leave_rooms(self) -> None:
        if self.phase in (Phase.JOINING, Phase.JOINED):
            self.room.leave()
        self._lobby.leave()

    def _end(self, kind: Refusal, now_s: float, said: str = "") -> None:
        """It is over: for whoever sits here at once, for the server when the rest is sent."""
        if self.phase is Phase.OVER:
            return
        account = self.settings.account
        secrets = (self.settings.token, self.settings.password, self._password)
        words = sentence(kind, said, (*secrets, account.password if account is not None else ""))
        self._leave_rooms()
        self._reconnection.stop()
        self._forget_times()
        ended = self._ever_joined or self.phase is Phase.LEAVING
        self._emit(Ended(kind=kind, words=words) if ended else Refused(kind=kind, words=words))
        self.phase = Phase.OVER
        if self.socket_wanted and self.stream.state is not StreamState.CLOSING:
            self.stream.close(now_s)

    def _forget_times(self) -> None:
        self._asking.forget()
        self._join_until_s = self._wait_until_s = None
        self._focus_by_s = self._leave_until_s = None

    # The stream's events.

    def _pump(self, now_s: float) -> None:
        for event in self.stream.events():
            self._stream_event(event, now_s)

    def _stream_event(self, event: StreamEvent, now_s: float) -> None:
        active = self.phase not in (Phase.LEAVING, Phase.OVER)
        match event:
            case StreamReady():
                self._ready(event, now_s)
            case StanzaReceived(stanza=stanza):
                if active:
                    self._stanza(stanza, now_s)
            case Answered():
                if active:
                    self._answered(event, now_s)
            case StreamLost(words=words, condition=condition):
                self._lost(words, condition, now_s)
            case LoginRefused(text=text):
                self._login_refused(text, now_s)
            case StreamClosed():
                self._end(Refusal.LEFT, now_s)

    def _answered(self, event: Answered, now_s: float) -> None:
        then = self._answers.pop(event.request_id, None)
        if then is not None:
            then(event, now_s)
        elif not self._asking.answered(event, now_s):
            self.room.answered(event)

    def _ready(self, event: StreamReady, now_s: float) -> None:
        self._reconnection.worked(now_s)
        if self.phase in (Phase.LEAVING, Phase.OVER):
            self.stream.close(now_s)
            return
        if event.resumed:
            self._interrupted = False
            self._emit(Resumed())
            return
        self.jid = event.jid
        self.room.out(anew=True)
        self.room.nick = self._endpoint_id()
        self.phase = Phase.ASKING
        self._lobby.forget()
        self._asking.forget()
        self._join_until_s = self._focus_by_s = None
        self._discover(self.settings.server.domain, self._domain_known, now_s)

    def _endpoint_id(self) -> str:
        """Our nick: eight hexadecimal digits, which strict servers want to be the first of our address."""
        start = node(self.jid)[:8]
        return start if _ENDPOINT.fullmatch(start) else self._token_hex(4)

    def _domain_known(self, answered: Answered, now_s: float) -> None:
        if answered.answer is not None:
            self.room.moderation_component = disco.read(answered.answer).component("av_moderation")
        if answered.error != DISCONNECTED:
            self._asking.begin(now_s)

    def _lost(self, words: str, condition: str, now_s: float) -> None:
        if self.phase is Phase.LEAVING:
            self._resume_to_leave(now_s)
        elif condition == "host-unknown":
            self._end(Refusal.WRONG_DOMAIN, now_s)
        elif self.phase is not Phase.OVER:
            if not self._reconnection.lost(now_s):
                self._end(Refusal.LOST if self._ever_joined else Refusal.SERVER_BROKEN, now_s, words)
            elif not self._interrupted and self.jid:
                self._interrupted = True
                self._emit(Interrupted(words=words))

    def _login_refused(self, text: str, now_s: float) -> None:
        if self.settings.account is not None:
            kind = Refusal.ACCOUNT_REFUSED
        else:
            kind = Refusal.TOKEN_REFUSED if self.settings.token else Refusal.LOGIN_NEEDED
        self._end(kind, now_s, text)

    def _discover(self, jid: str, then: Callable[[Answered, float], None], now_s: float) -> None:
        self._answers[self.stream.request("get", jid, disco.query(), now_s, DISCOVERY_TIMEOUT_S)] = then

    # The focus.

    def _focus_told(self, outcome: Outcome, now_s: float) -> None:
        match outcome:
            case FocusReady(focus_user=focus_user):
                self.room.focus_user = focus_user or self.room.focus_user
                if self.phase is Phase.ASKING:
                    self._join(now_s)
                elif not self.room.focus:
                    self._focus_by_s = now_s + FOCUS_GRACE_S
            case AskAgain(host=host):
                self._wait(Wait.HOST if host else Wait.FOCUS, now_s)
            case RequestRefused(kind=kind, said=said):
                self._end(kind, now_s, said)

    def _ask_for_focus(self, now_s: float) -> None:
        """We are in the room without a focus: nothing is heard until it is back."""
        if self.phase is Phase.JOINED and not self.room.focus and self._asking.at_s is None:
            self._wait(Wait.FOCUS, now_s)
            self._asking.begin(now_s)

    def _wait(self, kind: Wait, now_s: float) -> None:
        if kind in (Wait.HOST, Wait.LOBBY) and self.phase is not Phase.JOINED and self._wait_until_s is None:
            self._wait_until_s = now_s + self.settings.max_wait_s
        if kind is not self._waiting:
            self._waiting = kind
            self._emit(Waiting(kind=kind, words=_WAITS[kind]))

    # Joining the room.

    def _join(self, now_s: float) -> None:
        self.phase = Phase.JOINING
        self._join_until_s = now_s + JOIN_TIMEOUT_S
        self.room.join(self._password)

    def _join_unanswered(self, now_s: float) -> None:
        if self.stream.state is not StreamState.READY:
            self._join_until_s = now_s + JOIN_TIMEOUT_S
        elif self.phase is Phase.LOBBY:
            self._end(Refusal.MEMBERS_ONLY, now_s)
        else:
            self._try_again(Refusal.SERVER_BROKEN, now_s)

    def _try_again(self, kind: Refusal, now_s: float, said: str = "") -> None:
        """Begins anew with the focus, a limited number of times."""
        if self._joined_at_s is not None and now_s - self._joined_at_s >= STEADY_S:
            self._tries = 0
        self._joined_at_s = self._join_until_s = None
        self._tries += 1
        if self._tries > MAX_TRIES:
            self._end(kind, now_s, said)
        else:
            self.phase = Phase.ASKING
            self._asking.later(now_s + 2.0 ** (self._tries - 1))

    def _join_refused(self, presence: Presence, now_s: float) -> None:
        error = judge(presence, password_given=bool(self._password))
        self._join_until_s = None
        self.phase = Phase.ASKING
        match error.then:
            case Next.LOBBY:
                self._enter_lobby(presence, now_s)
            case Next.HOST:
                self._wait(Wait.HOST, now_s)
                self._asking.later(now_s + HOST_WAIT_S)
            case Next.ASK_AGAIN:
                self._try_again(error.kind, now_s, error.said)
            case Next.NEW_NICK:
                self._new_nick(error.kind, now_s, error.said)
            case Next.REFUSE:
                self._end(error.kind, now_s, error.said)

    def _new_nick(self, kind: Refusal, now_s: float, said: str) -> None:
        self.room.nick = self._token_hex(4)
        self._try_again(kind, now_s, said)

    # The lobby.

    def _enter_lobby(self, presence: Presence, now_s: float) -> None:
        self.phase = Phase.LOBBY
        self._join_until_s = now_s + JOIN_TIMEOUT_S
        self._lobby.enter(presence, self.room.nick, self.room.display_name, self.settings.email)

    def _lobby_presence(self, presence: Presence, now_s: float) -> None:
        verdict = self._lobby.told(presence)
        if verdict is None:
            return
        match verdict.says:
            case LobbySays.WAIT:
                self._join_until_s = None
                self._wait(self._lobby.wait, now_s)
            case LobbySays.ADMITTED:
                self._admitted("", now_s)
            case LobbySays.REFUSED:
                self._end(verdict.kind, now_s, verdict.said)
            case LobbySays.NEW_NICK:
                self._new_nick(verdict.kind, now_s, verdict.said)
            case LobbySays.TRY_AGAIN:
                self._try_again(verdict.kind, now_s, verdict.said)

    def _invited(self, message: Element, now_s: float) -> None:
        """A message of the room itself: it may let us in."""
        password = invitation(message)
        waits = self.phase is Phase.LOBBY or (self.phase is Phase.ASKING and self._waiting is Wait.HOST)
        if password is not None and waits:
            self._admitted(password, now_s)

    def _admitted(self, password: str, now_s: float) -> None:
        self._password = password or self._password
        self._waiting = self._wait_until_s = self._join_until_s = None
        self._emit(Admitted())
        self.phase = Phase.ASKING
        self._asking.begin(now_s)

    # In the room.

    def _stanza(self, stanza: Element, now_s: float) -> None:
        if stanza.tag == client("presence"):
            presence = read_presence(stanza, self.room.focus_user)
            if presence is not None and presence.room == self.room.room_jid:
                self._room_presence(presence, now_s)
            elif presence is not None and presence.room == self._lobby.jid and self.phase is Phase.LOBBY:
                self._lobby_presence(presence, now_s)
        elif stanza.tag != client("message"):
            self.room.asked(stanza)
        elif stanza.get("from") == self.room.room_jid:
            self._invited(stanza, now_s)
        else:
            self.room.message(stanza)

    def _room_presence(self, presence: Presence, now_s: float) -> None:
        joining, joined = self.phase is Phase.JOINING, self.phase is Phase.JOINED
        own = presence.own or presence.nick == self.room.nick
        if presence.kind == "error":
            if joining:
                self._join_refused(presence, now_s)
        elif own and presence.kind == "unavailable":
            if joining or joined:
                self._out(presence, now_s)
        elif own and joining and presence.own:
            self._joined(presence, now_s)
        elif own and joined:
            self.room.own_presence(presence.occupant)
        elif not own and (joining or joined):
            self._others(presence, now_s)

    def _joined(self, presence: Presence, now_s: float) -> None:
        self.phase = Phase.JOINED
        self._join_until_s = self._wait_until_s = None
        self._waiting = None
        self._interrupted = False
        self._ever_joined = True
        self._joined_at_s = now_s
        self.room.joined(presence, self.jid)
        self._lobby.leave()
        if not self.room.focus:
            self._focus_by_s = now_s + FOCUS_GRACE_S
        self._check_bridge(now_s)
        self._discover(self.room.room_jid, self._room_known, now_s)

    def _room_known(self, answered: Answered, now_s: float) -> None:
        if answered.answer is not None:
            fields = disco.read(answered.answer).fields
            self._emit(RoomKnown(meeting_id=fields.get("muc#roominfo_meetingId", "")))

    def _others(self, presence: Presence, now_s: float) -> None:
        before = self.room.focus
        self.room.others(presence)
        if presence.occupant.is_focus and presence.kind == "available":
            self._bridge_missing = presence.bridge_missing
        if self.phase is not Phase.JOINED:
            return
        if before and not self.room.focus:
            self._ask_for_focus(now_s)
        elif self.room.focus and not before:
            self._asking.forget()
            self._focus_by_s = self._waiting = None
        self._check_bridge(now_s)

    def _check_bridge(self, now_s: float) -> None:
        if self._bridge_missing and self.room.focus:
            self._wait(Wait.BRIDGE, now_s)
        elif self._waiting is Wait.BRIDGE:
            self._waiting = None

    def _out(self, presence: Presence, now_s: float) -> None:
        """We are in the room no more, and did not leave."""
        codes, was_in = presence.codes, self.phase is Phase.JOINED
        self.room.out(anew=False)
        self.phase = Phase.ASKING
        if presence.destroyed is not None:
            self._end(Refusal.MEETING_ENDED, now_s, presence.destroyed.reason)
        elif "301" in codes:
            self._end(Refusal.BANNED, now_s, presence.reason)
        elif "307" in codes and "333" not in codes:
            self._end(Refusal.KICKED, now_s, presence.reason)
        elif codes & {"321", "322"}:
            self._end(Refusal.MEMBERS_ONLY, now_s, presence.reason)
        else:
            if was_in:
                self._emit(Interrupted(words="the server put us out of the room for reasons of its own"))
            self._try_again(Refusal.ROOM_UNAVAILABLE, now_s)


def _due(time_s: float | None, now_s: float) -> bool:
    return time_s is not None and time_s <= now_s
