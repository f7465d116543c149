"""Asking the focus for a conference until it grants one: when to ask, by which way, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

from webrtc.jitsi.conference_events import SeatSettings
from webrtc.jitsi.conference_request import AskAgain, ConferenceRequest, HttpRequest, Outcome
from webrtc.jitsi.stanza import DISCONNECTED
from webrtc.jitsi.stream import Answered, XmppStream


class FocusAsking:
    """One question at a time, repeated when it is due.

    Args:
        settings: where and as whom.
        room_jid: whose conference to ask for.
        machine_id: anything stable.
        stream: to ask through, where the server is not asked by HTTP.
        told: takes what came of each question.
    """

    def __init__(
        self,
        settings: SeatSettings,
        room_jid: str,
        machine_id: str,
        stream: XmppStream,
        told: Callable[[Outcome, float], None],
    ) -> None:
        self.at_s: float | None = None
        """When to ask next; None while an answer is waited for, or nothing is to be asked."""

        self._request = ConferenceRequest(
            room=room_jid, machine_id=machine_id, token=settings.token, url=settings.server.conference_request
        )
        self._focus = settings.server.focus
        self._stream = stream
        self._told = told
        self._asked = ""
        self._http: list[HttpRequest] = []
        self._http_number: int | None = None

    def begin(self, now_s: float) -> None:
        """Asks at once, and in short intervals at first."""
        self._request.restart()
        self.ask(now_s)

    def ask(self, now_s: float) -> None:
        """Asks now."""
        self.at_s = None
        if self._request.by_http:
            request = self._request.http()
            self._http_number = request.number
            self._http.append(request)
        else:
            self._asked = self._stream.request("set", self._focus, self._request.payload(), now_s)

    def later(self, at_s: float) -> None:
        """Asks again at a time."""
        self.forget()
        self.at_s = at_s

    def forget(self) -> None:
        """Asks no more, and listens to no answer."""
        self.at_s = self._http_number = None
        self._asked = ""

    def handle_timeout(self, now_s: float) -> None:
        """Asks, where it is time."""
        if self.at_s is not None and self.at_s <= now_s:
            self.ask(now_s)

    def http_requests(self) -> list[HttpRequest]:
        """Requests for the driver to make, each once."""
        requests, self._http = self._http, []
        return requests

    def answered(self, event: Answered, now_s: float) -> bool:
        """Whether a request's end by XMPP was that of ours."""
        if event.request_id != self._asked:
            return False
        self._asked = ""
        if event.error != DISCONNECTED:  # a new session asks anew
            self._outcome(self._request.answered(event.answer, event.error), now_s)
        return True

    def http_answered(self, number: int, status: int | None, answer: str, now_s: float) -> None:
        """What came of a request by HTTP; nothing, where it is not the last one."""
        if number == self._http_number:
            self._http_number = None
            self._outcome(self._request.http_answered(status, answer), now_s)

    def _outcome(self, outcome: Outcome, now_s: float) -> None:
        if isinstance(outcome, AskAgain):
            self.at_s = now_s + outcome.after_s
        self._told(outcome, now_s)
