"""Asking the focus (Jicofo) for a conference, which comes before joining its room: by XMPP or by HTTP.

The focus makes the room and joins it; if nobody follows within some 15 seconds it leaves again. What we leave out is
on purpose: without `visitors-version` we stay a participant who may speak (facts of jicofo 7ebb13dc, August 2026).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from webrtc.backoff import Backoff
from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.namespaces import local_name, qualified
from webrtc.jitsi.presence import json_object
from webrtc.jitsi.refusals import Refusal
from webrtc.jitsi.stanza import IqError, bare, shown
from webrtc.jitsi.xml import element

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 120.0  # lib-jitsi-meet's
MAX_SESSION_RETRIES = 5
MAX_ANSWER_CHARACTERS = 100_000

_CONFERENCE = qualified(ns.FOCUS, "conference")
_PROPERTIES = {"rtcstatsEnabled": "false"}


@dataclass(frozen=True, kw_only=True)
class HttpRequest:
    """A POST for the driver to make."""

    number: int
    url: str
    headers: dict[str, str] = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class FocusReady:
    """The room can be joined."""

    focus_user: str
    """Bare address of the focus in it; empty where it was not named."""


@dataclass(frozen=True, kw_only=True)
class AskAgain:
    """Not yet: ask again after so many seconds."""

    after_s: float
    host: bool = False
    """It is a host who is missing; otherwise the focus is not ready or does not answer."""


@dataclass(frozen=True, kw_only=True)
class RequestRefused:
    """There will be no conference."""

    kind: Refusal
    said: str = ""


Outcome = FocusReady | AskAgain | RequestRefused


class ConferenceRequest:
    """One room's request, repeated until it is granted or refused.

    Args:
        room: bare address.
        machine_id: anything stable.
        token: JWT; empty for none.
        url: asks by HTTP there; None asks by XMPP.
    """

    def __init__(self, *, room: str, machine_id: str, token: str, url: str | None) -> None:
        self._room = room
        self._machine_id = machine_id
        self._token = token
        self._url = url
        self._session_id = ""
        self._session_retries = 0
        self._number = 0
        self._backoff = Backoff(FIRST_WAIT_S, LONGEST_WAIT_S)

    @property
    def by_http(self) -> bool:
        """Whether to use `http` rather than `payload`."""
        return self._url is not None

    def restart(self) -> None:
        """A new round of asking begins: waits are short again."""
        self._backoff.reset()

    def payload(self) -> Element:
        """The question by XMPP, for an IQ of type set to the focus' component."""
        attributes = {"room": self._room, "machine-uid": self._machine_id}
        if self._token:
            attributes["token"] = self._token
        if self._session_id:
            attributes["session-id"] = self._session_id
        conference = element(_CONFERENCE, attributes)
        for name, value in _PROPERTIES.items():
            conference.append(element(qualified(ns.FOCUS, "property"), {"name": name, "value": value}))
        return conference

    def http(self) -> HttpRequest:
        """The same question by HTTP."""
        assert self._url is not None
        self._number += 1
        question: dict[str, object] = {
            "room": self._room, "machineUid": self._machine_id, "properties": _PROPERTIES,
        }  # fmt: skip
        if self._session_id:
            question["sessionId"] = self._session_id
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return HttpRequest(number=self._number, url=self._url, headers=headers, body=json.dumps(question))

    def answered(self, answer: Element | None, error: IqError | None) -> Outcome:
        """What an answer by XMPP means."""
        if answer is None:
            assert error is not None
            return self._refused(error.condition, local_name(error.app_condition), error.text)
        conference = answer.find(_CONFERENCE)
        if conference is None:
            return self._again()
        live = {
            each.get("value") for each in conference.findall(qualified(ns.FOCUS, "property"))
            if each.get("name") == "live"
        }  # fmt: skip
        self._session_id = conference.get("session-id", self._session_id)
        return self._told(
            ready=conference.get("ready") == "true",
            live="false" not in live,
            focus_user=conference.get("focusjid", ""),
            vnode=conference.get("vnode", ""),
        )

    def http_answered(self, status: int | None, body: str) -> Outcome:
        """What an answer by HTTP means.

        Args:
            status: of the response; None where there was none.
            body: of the response.
        """
        if status in (401, 403):
            return self._refused("not-authorized", "", "")
        if status == 400 and "invalid-session" in body[:MAX_ANSWER_CHARACTERS]:
            return self._refused("", "session-invalid", "")
        told = json_object(body) if status == 200 else None
        if told is None:
            return self._again()
        properties = told.get("properties")
        live = properties.get("live") if isinstance(properties, dict) else None
        self._session_id = _string(told.get("sessionId")) or self._session_id
        return self._told(
            ready=told.get("ready") is True,
            live=live not in (False, "false"),
            focus_user=_string(told.get("focusJid")),
            vnode=_string(told.get("vnode")),
        )

    def _told(self, *, ready: bool, live: bool, focus_user: str, vnode: str) -> Outcome:
        self._session_retries = 0
        if not live:
            return AskAgain(after_s=self._backoff.next_s(), host=True)
        if not ready:
            return self._again()
        if vnode:
            return RequestRefused(kind=Refusal.VISITORS_ONLY)
        self._backoff.reset()
        return FocusReady(focus_user=bare(focus_user).lower())

    def _refused(self, condition: str, app_condition: str, text: str) -> Outcome:
        if app_condition == "reservation-error":
            return RequestRefused(kind=Refusal.RESERVATION, said=text)
        if app_condition == "session-invalid" or condition == "not-acceptable":
            self._session_id = ""
            self._session_retries += 1
            if self._session_retries > MAX_SESSION_RETRIES:
                return RequestRefused(kind=Refusal.SERVER_BROKEN, said=text or "invalid session")
            return self._again()
        if condition == "not-authorized":
            # With a token it is the token that does not suffice; a guest can wait for somebody who may.
            if self._token:
                return RequestRefused(kind=Refusal.TOKEN_REFUSED, said=text)
            return AskAgain(after_s=self._backoff.next_s(), host=True)
        if condition in ("forbidden", "not-allowed"):
            return RequestRefused(kind=Refusal.NOT_ALLOWED, said=text)
        if condition == "remote-server-not-found":
            return RequestRefused(kind=Refusal.WRONG_DOMAIN, said=text)
        return self._again()

    def _again(self) -> AskAgain:
        return AskAgain(after_s=self._backoff.next_s())


def _string(value: object) -> str:
    return shown(value, 500) if isinstance(value, str) else ""
