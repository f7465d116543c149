"""XML as XMPP over WebSocket carries it: text frame <-> one element, with nothing in it that can hurt.

RFC 7395 puts exactly one complete element into a frame, and RFC 6120 section 11.1 forbids what makes XML dangerous:
document types, entities, comments, processing instructions. Expat finds them, and we refuse; its own limits stay on
underneath. Size, depth and number of elements are bounded, so that a frame costs a bounded time and memory.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element
from xml.parsers import expat

from webrtc.errors import LocalError, SignallingError
from webrtc.jitsi.namespaces import CLIENT, local_name, namespace_of

MAX_CHARACTERS = 600_000
"""Of a frame: above the 512 KiB at which servers cut stanzas."""

MAX_DEPTH = 32
"""Of elements in one another; a session-initiate has seven."""

MAX_ELEMENTS = 30_000
"""In one frame; a source of a session-initiate takes four."""

MAX_ATTRIBUTES = 100
"""Of one element."""

_XML = "http://www.w3.org/XML/1998/namespace"
_UNCARRIED = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STANZA = re.compile(r"\s*<(message|presence|iq)[\s/>]")


class _Builder:
    """Makes the tree, and refuses what goes too deep or too far."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise SignallingError(f"expected at most {MAX_ELEMENTS} elements in a frame")
        if len(self._open) == MAX_DEPTH:
            raise SignallingError(f"expected elements at most {MAX_DEPTH} deep")
        if len(attributes) > MAX_ATTRIBUTES:
            raise SignallingError(f"expected at most {MAX_ATTRIBUTES} attributes, got {len(attributes)}")
        element = Element(_qualified(name), {_qualified(key): value for key, value in attributes.items()})
        if self._open:
            self._open[-1].append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        element = self._open[-1]
        if len(element):
            element[-1].tail = (element[-1].tail or "") + text
        else:
            element.text = (element.text or "") + text


def _qualified(name: str) -> str:
    return f"{{{name}" if "}" in name else name


def _refuse(what: str) -> None:
    raise SignallingError(f"expected XML as XMPP allows it, got {what}")


def parse(text: str) -> Element:
    """The one element of a frame.

    Raises:
        SignallingError: it is not one well-formed element, or is bigger than any sane one; the message quotes
            nothing of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise SignallingError(f"expected at most {MAX_CHARACTERS} characters in a frame, got {len(text)}")
    builder = _Builder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = lambda *_: _refuse("a document type")
    parser.EntityDeclHandler = lambda *_: _refuse("an entity")
    parser.ProcessingInstructionHandler = lambda *_: _refuse("a processing instruction")
    parser.CommentHandler = lambda *_: _refuse("a comment")
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise SignallingError(f"expected well-formed XML, got: {expat.ErrorString(error.code)}") from None
    except UnicodeEncodeError:
        raise SignallingError("expected text, got half a character") from None
    if builder.root is None:
        raise SignallingError("expected an element, got none")
    return builder.root


def is_stanza(text: str) -> bool:
    """Whether a frame that cannot be read was meant as a stanza, which stream management counts."""
    return _STANZA.match(text[:100]) is not None


def serialise(element: Element) -> str:
    """The text of an element, with namespaces declared where they change and no prefixes.

    Characters that XML cannot carry are left out.

    Raises:
        LocalError: a namespaced attribute other than `xml:…`, which we have no use for.
    """
    parts: list[str] = []
    _write(element, "", parts)
    return "".join(parts)


def _write(element: Element, inherited: str, parts: list[str]) -> None:
    name, namespace = local_name(element.tag), namespace_of(element.tag)
    parts.append(f"<{name}")
    if namespace != inherited:
        parts.append(f' xmlns="{_escaped_attribute(namespace)}"')
    for key, value in element.attrib.items():
        parts.append(f' {_attribute_name(key)}="{_escaped_attribute(value)}"')
    text = _escaped(element.text or "")
    if not text and len(element) == 0:
        parts.append("/>")
        return
    parts.append(f">{text}")
    for child in element:
        _write(child, namespace, parts)
        parts.append(_escaped(child.tail or ""))
    parts.append(f"</{name}>")


def _attribute_name(key: str) -> str:
    namespace = namespace_of(key)
    if namespace == _XML:
        return f"xml:{local_name(key)}"
    if namespace:
        raise LocalError(f"expected an attribute without a namespace, got {key}")
    return key


def _escaped(text: str) -> str:
    text = _UNCARRIED.sub("", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def _escaped_attribute(text: str) -> str:
    return _escaped(text).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def element(tag: str, attributes: dict[str, str] | None = None, text: str | None = None) -> Element:
    """An element with text, in one expression."""
    made = Element(tag, attributes or {})
    made.text = text
    return made


def child_text(parent: Element, tag: str) -> str:
    """The text of a child; empty where there is none."""
    return (parent.findtext(tag) or "").strip()


def summary(stanza: Element) -> str:
    """What a stanza is, for logs: never what it says, since that may be private or a secret."""
    first = next((f" {local_name(child.tag)}" for child in stanza), "")
    named = "".join(f" {key}={stanza.get(key)!r}" for key in ("type", "id", "from", "to") if stanza.get(key))
    name = local_name(stanza.tag) if namespace_of(stanza.tag) == CLIENT else stanza.tag
    return f"{name}{named}{first}"[:300]
