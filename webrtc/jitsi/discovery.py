"""Where a meeting is: its address taken apart, and what its server says in `config.js` about how to get in."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from webrtc.errors import Refused, SignallingError
from webrtc.jitsi.config_script import Value, read_script

MAX_URL_CHARACTERS = 8_000
"""A token may be long."""

MAX_NAME_CHARACTERS = 256
"""Of a room or tenant as the server sees it."""

_NOT_IN_ROOMS = ":?#[]@!$&'()*+,;=><\"/"
"""What Jitsi's own page drops from a room's name (jitsi-meet, base/util/uri)."""


@dataclass(frozen=True, kw_only=True)
class MeetingUrl:
    """A meeting's address, taken apart."""

    host: str
    """With the port where one is given."""

    room: str
    """As the server writes it: lower case, percent-encoded where it is not plain ASCII."""

    tenant: str = ""
    """First part of the path, as the server writes it; empty for none."""

    secure: bool = True
    """Reached by https and wss."""

    token: str = field(default="", repr=False)
    """The JWT that came with the address. Never to be shown or written down."""

    @property
    def config_url(self) -> str:
        """Where the server's configuration for this meeting is."""
        tenant = f"{self.tenant}/" if self.tenant else ""
        scheme = "https" if self.secure else "http"
        return f"{scheme}://{self.host}/{tenant}config.js?room={quote(self.room, safe='%')}"

    def __str__(self) -> str:
        """The address without what is secret in it."""
        path = "/".join(part for part in (self.tenant, self.room) if part)
        return f"{'https' if self.secure else 'http'}://{self.host}/{path}"


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What somebody knows better than `config.js`; None leaves a value as it is there."""

    domain: str | None = None
    """XMPP domain, `hosts.domain`."""

    muc: str | None = None
    """Domain of the rooms, `hosts.muc`, with the tenant's part already in it."""

    anonymous_domain: str | None = None
    """Domain that guests log in to, `hosts.anonymousdomain`."""

    focus: str | None = None
    """Component that starts conferences, `hosts.focus`."""

    websocket: str | None = None
    """URL of XMPP over WebSocket, `websocket`."""

    conference_request: str | None = None
    """URL to ask for a conference by HTTP, `conferenceRequestUrl`; empty asks by XMPP."""

    focus_user: str | None = None
    """Bare JID of the focus in rooms, `focusUserJid`."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """How to get into one meeting on a Jitsi server."""

    domain: str
    muc: str
    guest_domain: str
    """Where to log in without an account; `domain` unless guests have their own."""

    focus: str
    websocket: str
    """`wss://` URL without a query."""

    conference_request: str | None = None
    """URL, where conferences are asked for by HTTP."""

    focus_user: str | None = None
    """Bare JID; otherwise the answer to the conference request names it."""

    prefer_sctp: bool = True
    """Which of two bridge channels to take where a bridge offers both."""


def parse_meeting_url(text: str, *, insecure: bool = False) -> MeetingUrl:
    """A meeting's address: `https://host[:port]/[tenant/]room[?jwt=…]`.

    Args:
        text: as people pass it on.
        insecure: allows `http` beyond this machine.

    Raises:
        Refused: it is none; the sentence quotes nothing behind the path, since a token may be there.
    """
    parts = _split(text.strip())
    if parts.scheme not in ("https", "http"):
        raise Refused(
            "expected a meeting's address that begins with https://, such as https://meet.example/room"
        )
    if parts.username is not None or parts.password is not None:
        raise Refused(
            "expected a meeting's address without a user name in it: give accounts and passwords apart"
        )
    if parts.scheme == "http" and not (insecure or is_loopback(parts.hostname or "")):
        raise Refused(
            f"expected https:// for {parts.hostname}: what is said in the meeting must not travel in clear"
        )
    path = [part for part in parts.path.split("/") if part]
    if not parts.hostname or not 1 <= len(path) <= 2:
        raise Refused(
            "expected a meeting's address of the form https://host/room or https://host/tenant/room"
        )
    room = backend_name("".join(c for c in unquote(path[-1]) if c not in _NOT_IN_ROOMS))
    if not room:
        raise Refused(
            "expected the name of a room at the end of the meeting's address, got none that Jitsi accepts"
        )
    tenant = backend_name(path[0]) if len(path) == 2 else ""
    if max(len(room), len(tenant)) > MAX_NAME_CHARACTERS:
        raise Refused(f"expected names of at most {MAX_NAME_CHARACTERS} characters in the meeting's address")
    token = parse_qs(parts.query).get("jwt", [""])[0]
    return MeetingUrl(
        host=parts.netloc.lower(), room=room, tenant=tenant, secure=parts.scheme == "https", token=token
    )


def _split(text: str) -> SplitResult:
    wrong = Refused("expected a meeting's address, such as https://meet.example/room")
    if len(text) > MAX_URL_CHARACTERS:
        raise wrong
    try:
        parts = urlsplit(text)
        if parts.port == 0:
            raise wrong
    except ValueError:
        raise wrong from None
    if any(not c.isprintable() or c.isspace() or c in '\\"<>' for c in parts.netloc):
        raise wrong
    return parts


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def backend_name(name: str) -> str:
    """A room's or tenant's name as the server writes it (jitsi-meet, base/util/uri: getBackendSafeRoomName).

    Args:
        name: as it stands in an address, percent-encoded or not.
    """
    name = unicodedata.normalize("NFKC", unquote(name)).lower()
    return quote(name.encode("utf-8", "replace"), safe="!'()*").lower()


def server_from_config(script: str, url: MeetingUrl, overrides: Overrides | None = None) -> Server:
    """How to get into a meeting, by its server's `config.js`.

    Args:
        script: text of `config.js`.
        url: the meeting.
        overrides: go before what the script says.

    Raises:
        Refused: something needed is neither in the script nor in the overrides, in words.
    """
    known = overrides or Overrides()
    tenant = url.tenant.replace(".", "_")
    variables = {
        "subdir": f"{url.tenant}/" if url.tenant else "",
        "subdomain": f"{tenant}." if tenant else "",
    }
    try:
        config = read_script(script, variables)
    except SignallingError as error:
        config = {}
        if None in (known.domain, known.muc, known.websocket):
            raise Refused(
                f"what {url.host} gives as its config.js is none ({error}): "
                "check that the address is a Jitsi meeting's, or give domain, rooms and WebSocket by hand"
            ) from None
    return _server(config, url, known)


def _server(config: Mapping[str, Value], url: MeetingUrl, known: Overrides) -> Server:
    hosts = config.get("hosts")
    hosts = hosts if isinstance(hosts, dict) else {}
    domain = known.domain or _needed(hosts, "domain", "hosts.domain", url)
    focus = known.focus or _text(hosts, "focus") or f"focus.{domain}"
    request = known.conference_request
    if request is None:
        request = _text(config, "conferenceRequestUrl")
    channel = config.get("bridgeChannel")
    prefer_sctp = channel.get("preferSctp") if isinstance(channel, dict) else None
    return Server(
        domain=_domain(domain),
        muc=_domain(known.muc or _needed(hosts, "muc", "hosts.muc", url)),
        guest_domain=_domain(known.anonymous_domain or _text(hosts, "anonymousdomain") or domain),
        focus=_domain(focus),
        websocket=_address(known.websocket or _websocket(config, url), url, "websocket", ("wss", "ws")),
        conference_request=_address(request, url, "conferenceRequestUrl", ("https", "http"))
        if request
        else None,
        focus_user=known.focus_user or _text(config, "focusUserJid") or None,
        prefer_sctp=prefer_sctp is not False,
    )


def _text(members: Mapping[str, Value], key: str) -> str:
    value = members.get(key)
    return value.strip() if isinstance(value, str) else ""


def _needed(members: Mapping[str, Value], key: str, name: str, url: MeetingUrl) -> str:
    value = _text(members, key)
    if not value:
        raise Refused(
            f"the config.js of {url.host} does not say `{name}` in a way that can be read: give it by hand"
        )
    return value


def _websocket(config: Mapping[str, Value], url: MeetingUrl) -> str:
    value = _text(config, "websocket")
    if value:
        return value
    if "bosh" in config:
        raise Refused(
            f"{url.host} names no `websocket` in its config.js, only BOSH, which is not spoken here: "
            "switch on XMPP over WebSocket on the server, or give its URL by hand"
        )
    return _needed(config, "websocket", "websocket", url)


def _domain(text: str) -> str:
    """Lower case, and nothing that could end an address early."""
    if not text or len(text) > 255 or any(not (c.isalnum() or c in ".-_:[]%") for c in text):
        raise Refused(
            f"expected a domain in the server's config.js, got {text[:100]!r}: give the right one by hand"
        )
    return text.lower()


def _address(text: str, url: MeetingUrl, name: str, schemes: tuple[str, str]) -> str:
    """An absolute URL without query, in the secure scheme or on this machine, or on the meeting's insecure host."""
    secure, plain = schemes
    if text.startswith("//"):
        text = f"{secure if url.secure else plain}:{text}"
    elif text.startswith("/"):
        text = f"{secure if url.secure else plain}://{url.host}{text}"
    wrong = Refused(
        f"expected a {secure}:// URL as `{name}`, got {text[:100].partition('?')[0]!r}: give it by hand"
    )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if not host or parts.scheme not in schemes or parts.username is not None:
        raise wrong
    if parts.scheme == plain and url.secure and not is_loopback(host):
        raise wrong
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
