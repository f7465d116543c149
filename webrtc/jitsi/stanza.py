"""What stanzas are made of: addresses, errors, IQs, and text from strangers made fit to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from webrtc.jitsi.namespaces import STANZA_ERRORS, client, local_name, namespace_of, qualified
from webrtc.jitsi.xml import child_text, element

MAX_SHOWN_CHARACTERS = 200
"""Of what a server or a stranger says, where it is shown."""

_TEXT = qualified(STANZA_ERRORS, "text")


@dataclass(frozen=True, kw_only=True)
class IqError:
    """Why a stanza was refused (RFC 6120 section 8.3)."""

    condition: str
    """Such as `item-not-found`; `timeout` and `disconnected` are ours, for answers that never came."""

    app_condition: str = ""
    """Qualified name of what the application adds, as far as it adds something."""

    text: str = ""
    """In the server's words, fit to be shown."""

    kind: str = ""
    """`cancel`, `modify`, `auth` or `wait`; empty where the answer does not say."""


TIMEOUT = IqError(condition="timeout")
DISCONNECTED = IqError(condition="disconnected")


def bare(jid: str) -> str:
    """An address without its resource."""
    return jid.partition("/")[0]


def resource(jid: str) -> str:
    """The part behind the slash: in a room, the nick."""
    return jid.partition("/")[2]


def node(jid: str) -> str:
    """The part before the @; empty where there is none."""
    before, at, _ = bare(jid).partition("@")
    return before if at else ""


def domain(jid: str) -> str:
    """The part between the @ and the slash."""
    return bare(jid).rpartition("@")[2]


def shown(text: str, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """Text from elsewhere on one line, without control characters and not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def error_of(stanza: Element) -> IqError:
    """What the `error` child of a stanza says."""
    error = stanza.find(client("error"))
    if error is None:
        return IqError(condition="undefined-condition")
    condition = app_condition = text = ""
    for child in error:
        if child.tag == _TEXT:
            text = shown(child.text or "")
        elif namespace_of(child.tag) == STANZA_ERRORS:
            condition = condition or local_name(child.tag)
        else:
            app_condition = app_condition or child.tag
    return IqError(
        condition=condition or "undefined-condition",
        app_condition=app_condition[:MAX_SHOWN_CHARACTERS],
        text=text,
        kind=error.get("type", ""),
    )


def iq(kind: str, iq_id: str, to: str | None, payload: Element | None = None) -> Element:
    """An IQ of a kind: `get`, `set` or `result`."""
    attributes = {"type": kind, "id": iq_id}
    if to is not None:
        attributes["to"] = to
    stanza = Element(client("iq"), attributes)
    if payload is not None:
        stanza.append(payload)
    return stanza


def iq_error(iq_id: str, to: str | None, error: IqError) -> Element:
    """The IQ that refuses another."""
    stanza = iq("error", iq_id, to)
    child = element(client("error"), {"type": error.kind or "cancel"})
    child.append(Element(qualified(STANZA_ERRORS, error.condition)))
    if error.text:
        child.append(element(_TEXT, text=error.text))
    if error.app_condition:
        child.append(Element(error.app_condition))
    stanza.append(child)
    return stanza


def body(stanza: Element) -> str:
    """The words of a message."""
    return child_text(stanza, client("body"))
