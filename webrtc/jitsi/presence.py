"""Presence in a Jitsi room: ours, written, and everybody's, read (XEP-0045 and Jitsi's own children).

Jitsi puts what clients say about themselves into children of the presence; those named `jitsi_participant_…` become
properties of the participant in every client. Who the interpreters are is told by one of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from webrtc.jitsi import disco
from webrtc.jitsi import namespaces as ns
from webrtc.jitsi.namespaces import client, local_name, qualified
from webrtc.jitsi.stanza import IqError, bare, error_of, resource, shown
from webrtc.jitsi.xml import child_text, element

FOCUS_NICK = "focus"
MARKER = client("jitsi_participant_interpreter")
"""Names the instance of this interpreter that a participant belongs to."""

E2EE_ENABLED = client("jitsi_participant_e2ee.enabled")

MAX_NICK_CHARACTERS = 100
MAX_TEXT_CHARACTERS = 200
MAX_SOURCES = 40
"""Of one occupant: a focus allows 20 SSRCs to each."""

MAX_FEATURES = 100
MAX_JSON_CHARACTERS = 50_000

_USER = qualified(ns.MUC_USER, "x")
_ITEM = qualified(ns.MUC_USER, "item")
_NICK = qualified(ns.NICK, "nick")


@dataclass(frozen=True, kw_only=True)
class Occupant:
    """Somebody in the room; all text is theirs, and untrusted."""

    nick: str
    """Their id in the room; of participants, their endpoint's id too."""

    name: str = ""
    email: str = ""
    jid: str | None = None
    """Their real address, where the room shows it."""

    role: str = ""
    """`moderator`, `participant`, `visitor` or `none`."""

    affiliation: str = ""
    """`owner`, `admin`, `member`, `none`."""

    sources: Mapping[str, bool] = field(default_factory=dict)
    """Names of the sources they send -> whether muted. Translations of a bridge are not among them."""

    is_focus: bool = False
    """Not a participant: the focus."""

    marker: str = ""
    """Instance of this interpreter that it belongs to; empty for everybody else."""

    features: frozenset[str] = frozenset()
    e2ee: bool = False
    """Their sound is encrypted end to end: nobody without the keys can hear it."""

    bot_type: str = ""

    @property
    def moderator(self) -> bool:
        """Whether they may run the meeting."""
        return self.role == "moderator"

    @property
    def audio_sources(self) -> Mapping[str, bool]:
        """Those of their sources that are sound."""
        start = f"{self.nick}-a"
        return {name: muted for name, muted in self.sources.items() if name.startswith(start)}


@dataclass(frozen=True, kw_only=True)
class Destroyed:
    """A room is no more."""

    instead: str = ""
    """Address of the room to go to."""

    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What one presence stanza from a room says."""

    room: str
    nick: str
    kind: str
    """`available`, `unavailable` or `error`."""

    occupant: Occupant
    codes: frozenset[str] = frozenset()
    """XEP-0045 section 15.6; `110` marks our own."""

    destroyed: Destroyed | None = None
    actor: str = ""
    """Who did it, where somebody was removed."""

    reason: str = ""
    error: IqError | None = None
    conditions: frozenset[str] = frozenset()
    """Names, without namespace, of all that an error names."""

    lobby_room: str = ""
    """Where to wait to be let in."""

    bridge_missing: bool = False
    """The focus has no bridge to send media through."""

    @property
    def own(self) -> bool:
        """Whether it is about us."""
        return "110" in self.codes


@dataclass(frozen=True, kw_only=True)
class OwnPresence:
    """What we say about ourselves."""

    name: str
    email: str = ""
    sources: Mapping[str, bool] = field(default_factory=dict)
    """Names -> muted; each begins with our nick and a hyphen, and has no dot: clients take those for translations."""

    marker: str = ""


def own_presence(to: str, own: OwnPresence, *, join: bool = False, password: str = "") -> Element:
    """Our presence in the room.

    Args:
        to: our address in the room.
        own: what to say.
        join: this is the first one.
        password: of the room, in the first one.
    """
    stanza = element(client("presence"), {"to": to})
    if join:
        stanza.append(_join(password))
    stanza.append(element(_NICK, text=own.name))
    stanza.append(element(client("stats-id"), text=disco.NAME))
    stanza.append(disco.caps())
    info = {name: {"muted": muted} for name, muted in own.sources.items()}
    stanza.append(element(client("SourceInfo"), text=json.dumps(info)))
    silent = all(own.sources.values())
    stanza.append(element(client("audiomuted"), text="true" if silent else "false"))
    stanza.append(element(client("videomuted"), text="true"))
    if own.email:
        stanza.append(element(client("email"), text=own.email))
    if own.marker:
        stanza.append(element(MARKER, text=own.marker))
    return stanza


def lobby_presence(to: str, name: str, email: str) -> Element:
    """Our first presence in the lobby: enough for a moderator to know whom they let in."""
    stanza = element(client("presence"), {"to": to})
    stanza.append(_join(""))
    stanza.append(element(_NICK, text=name))
    if email:
        stanza.append(element(client("email"), text=email))
    return stanza


def leaving(to: str) -> Element:
    """The presence with which we leave a room."""
    return element(client("presence"), {"to": to, "type": "unavailable"})


def _join(password: str) -> Element:
    join = element(qualified(ns.MUC, "x"))
    # What was written before we came is none of our business.
    join.append(element(qualified(ns.MUC, "history"), {"maxstanzas": "0"}))
    if password:
        join.append(element(qualified(ns.MUC, "password"), text=password))
    return join


def read_presence(stanza: Element, focus_user: str) -> Presence | None:
    """What a presence from a room says; None for any other.

    Args:
        stanza: of type presence.
        focus_user: bare address of the focus; empty where it is not known.
    """
    sender = stanza.get("from", "")
    nick = resource(sender)
    kind = stanza.get("type", "available")
    if kind not in ("available", "unavailable", "error") or len(nick) > MAX_NICK_CHARACTERS:
        return None
    user = stanza.find(_USER)
    user = user if user is not None else element(_USER)
    error = stanza.find(client("error"))
    return Presence(
        room=bare(sender),
        nick=nick,
        kind=kind,
        occupant=_occupant(stanza, user, nick, focus_user),
        codes=frozenset(each.get("code", "") for each in user.findall(qualified(ns.MUC_USER, "status"))),
        destroyed=_destroyed(user),
        actor=_actor(user),
        reason=shown(user.findtext(f"{_ITEM}/{qualified(ns.MUC_USER, 'reason')}") or ""),
        error=error_of(stanza) if kind == "error" else None,
        conditions=frozenset(local_name(each.tag) for each in error.iter())
        if error is not None
        else frozenset(),
        lobby_room=_lobby(stanza),
        bridge_missing=any(local_name(each.tag) == "bridgeNotAvailable" for each in stanza),
    )


def _occupant(stanza: Element, user: Element, nick: str, focus_user: str) -> Occupant:
    item = user.find(_ITEM)
    item = item if item is not None else element(_ITEM)
    jid, affiliation = item.get("jid"), item.get("affiliation", "")
    bot = stanza.find(client("bot"))
    features = stanza.findall(f"{client('features')}/{client('feature')}")[:MAX_FEATURES]
    return Occupant(
        nick=nick,
        name=shown(stanza.findtext(_NICK) or ""),
        email=shown(child_text(stanza, client("email"))),
        jid=jid,
        role=item.get("role", ""),
        affiliation=affiliation,
        sources=_sources(stanza, nick),
        is_focus=_is_focus(nick, jid, affiliation, focus_user),
        marker=child_text(stanza, MARKER)[:MAX_TEXT_CHARACTERS],
        features=frozenset(each.get("var", "")[:MAX_TEXT_CHARACTERS] for each in features),
        e2ee=child_text(stanza, E2EE_ENABLED) == "true",
        bot_type=shown(bot.get("type", "")) if bot is not None else "",
    )


def _is_focus(nick: str, jid: str | None, affiliation: str, focus_user: str) -> bool:
    """Whoever has the focus' address; in a room that hides addresses, the owner of its nick."""
    if nick != FOCUS_NICK:
        return False
    if jid is not None and focus_user:
        return bare(jid).lower() == focus_user.lower()
    return affiliation == "owner"


def _sources(stanza: Element, nick: str) -> dict[str, bool]:
    """The sources of SourceInfo that are theirs; for old clients, their one microphone."""
    text = stanza.findtext(client("SourceInfo"))
    if text is None:
        muted = stanza.find(client("audiomuted"))
        return {f"{nick}-a0": (muted.text or "").strip() == "true"} if muted is not None else {}
    sources: dict[str, bool] = {}
    for name, said in (json_object(text) or {}).items():
        plain = name.startswith(f"{nick}-") and "." not in name and len(name) <= MAX_TEXT_CHARACTERS
        if plain and isinstance(said, dict) and len(sources) < MAX_SOURCES:
            sources[name] = said.get("muted") is True
    return sources


def _destroyed(user: Element) -> Destroyed | None:
    destroy = user.find(qualified(ns.MUC_USER, "destroy"))
    if destroy is None:
        return None
    reason = shown(destroy.findtext(qualified(ns.MUC_USER, "reason")) or "")
    return Destroyed(instead=destroy.get("jid", ""), reason=reason)


def _actor(user: Element) -> str:
    actor = user.find(f"{_ITEM}/{qualified(ns.MUC_USER, 'actor')}")
    return shown(actor.get("nick", "")) if actor is not None else ""


def _lobby(stanza: Element) -> str:
    """The lobby's address: servers put it into the error, or beside it."""
    found = (each for each in stanza.iter() if local_name(each.tag) == "lobbyroom")
    return next(((each.text or "").strip() for each in found), "")


def json_object(text: str) -> dict[str, object] | None:
    """The JSON object that a child's text holds; None where it is none, or too long."""
    if len(text) > MAX_JSON_CHARACTERS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
