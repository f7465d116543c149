"""Namespaces of the protocols a Jitsi meeting is joined with, and qualified names made of them.

A qualified name is `{namespace}name`, as `xml.etree.ElementTree` writes it.
"""

from __future__ import annotations

CLIENT = "jabber:client"
FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"  # RFC 7395
STREAMS = "http://etherx.jabber.org/streams"  # RFC 6120
STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
STREAM_MANAGEMENT = "urn:xmpp:sm:3"  # XEP-0198
PING = "urn:xmpp:ping"  # XEP-0199
DISCO_INFO = "http://jabber.org/protocol/disco#info"  # XEP-0030
CAPS = "http://jabber.org/protocol/caps"  # XEP-0115
DATA_FORMS = "jabber:x:data"  # XEP-0004
DELAY = "urn:xmpp:delay"  # XEP-0203
NICK = "http://jabber.org/protocol/nick"  # XEP-0172
MUC = "http://jabber.org/protocol/muc"  # XEP-0045
MUC_USER = "http://jabber.org/protocol/muc#user"
JINGLE = "urn:xmpp:jingle:1"  # XEP-0166
FOCUS = "http://jitsi.org/protocol/focus"
JITMEET = "http://jitsi.org/jitmeet"
JITMEET_AUDIO = "http://jitsi.org/jitmeet/audio"


def client(name: str) -> str:
    """The qualified name of a stanza, or of a child that lives in its namespace, as Jitsi's own mostly do."""
    return f"{{{CLIENT}}}{name}"


def qualified(namespace: str, name: str) -> str:
    """The qualified name of an element."""
    return f"{{{namespace}}}{name}"


def local_name(tag: str) -> str:
    """A qualified name without its namespace."""
    return tag.rpartition("}")[2]


def namespace_of(tag: str) -> str:
    """The namespace of a qualified name; empty for none."""
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""
