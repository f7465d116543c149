"""Frames to elements and back: what must be kept, what must be refused, and what must not hurt."""

from __future__ import annotations

import contextlib
import string
from xml.etree.ElementTree import Element, tostring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import LocalError, SignallingError
from webrtc.jitsi import xml
from webrtc.jitsi.xml import element, is_stanza, parse, serialise, summary

STANZAS = [
    '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="meet.test" version="1.0"/>',
    '<presence xmlns="jabber:client" from="r@muc.meet.test/focus" xml:lang="en">'
    '<x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator"/>'
    '<status code="110"/></x><SourceInfo>{"a-a0":{"muted":false}}</SourceInfo></presence>',
    '<iq xmlns="jabber:client" type="set" id="1"><jingle xmlns="urn:xmpp:jingle:1" action="session-initiate">'
    '<content name="audio"><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"/></content></jingle></iq>',
    '<message xmlns="jabber:client"><body>a &lt;b&gt; &amp; &quot;c&quot; ’ 🎉</body></message>',
]
BOMB = (
    '<!DOCTYPE m [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>'
    '<message xmlns="jabber:client"><body>&c;</body></message>'
)


@pytest.mark.parametrize("text", STANZAS)
def test_what_is_read_is_written_again(text: str) -> None:
    once = serialise(parse(text))
    assert serialise(parse(once)) == once
    assert tostring(parse(once)) == tostring(parse(text))


def test_prefixes_say_the_same_as_declarations() -> None:
    prefixed = parse(
        '<stream:features xmlns:stream="http://etherx.jabber.org/streams"><sm xmlns="urn:xmpp:sm:3"/></stream:features>'
    )
    assert prefixed.tag == "{http://etherx.jabber.org/streams}features"
    assert serialise(prefixed) == (
        '<features xmlns="http://etherx.jabber.org/streams"><sm xmlns="urn:xmpp:sm:3"/></features>'
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "a document type"),
        ('<!DOCTYPE m SYSTEM "file:///etc/passwd"><m/>', "a document type"),
        ("<m><!-- x --></m>", "a comment"),
        ("<?php x ?><m/>", "a processing instruction"),
        ("<m>&undefined;</m>", "undefined entity"),
        ("<a/><b/>", "junk after document element"),
        ("<message><body>cut", "no element found"),
        ("<a><b></a></b>", "mismatched tag"),
        ("", "no element found"),
        ("just text", "syntax error"),
        ("<x:a/>", "unbound prefix"),
        ("<a>\x00</a>", "not well-formed"),
        ("<a>\ud800</a>", "half a character"),
        ("<a>" * 33 + "</a>" * 33, "32 deep"),
        ("<a>" + "<b/>" * xml.MAX_ELEMENTS + "</a>", f"{xml.MAX_ELEMENTS} elements"),
        ("<a " + " ".join(f'a{n}=""' for n in range(101)) + "/>", "100 attributes"),
        ("<a>" + "x" * xml.MAX_CHARACTERS + "</a>", f"{xml.MAX_CHARACTERS} characters"),
    ],
)
def test_what_could_hurt_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(SignallingError, match=words):
        parse(text)


def test_as_much_as_a_server_passes_is_read() -> None:
    body = "&lt;" * (512 * 1024 // 4)
    assert len(parse(f"<message><body>{body}</body></message>")[0].text or "") == 512 * 1024 // 4


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SignallingError):
        parse(text)


@given(
    st.sampled_from([*STANZAS, BOMB]),
    st.integers(0, 500),
    st.sampled_from([*STANZAS, BOMB]),
    st.integers(0, 500),
)
def test_truncated_and_interleaved_stanzas_are_read_or_refused(
    first: str, cut: int, second: str, resumed: int
) -> None:
    with contextlib.suppress(SignallingError):
        parse(first[:cut] + second[resumed:])


names = st.text(string.ascii_lowercase, min_size=1, max_size=8)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> Element:
    namespace = draw(st.sampled_from(["", "jabber:client", "urn:x", "urn:y&<\"'"]))
    name = draw(names)
    made = Element(f"{{{namespace}}}{name}" if namespace else name)
    for key in draw(st.sets(names, max_size=3)):
        made.set(key, draw(st.text(max_size=20)))
    made.text = draw(st.text(max_size=20))
    if depth:
        for _ in range(draw(st.integers(0, 3))):
            made.append(draw(elements(depth=depth - 1)))
    return made


@given(elements())
def test_whatever_is_written_can_be_read(made: Element) -> None:
    once = serialise(made)
    assert serialise(parse(once)) == once


def test_characters_that_xml_cannot_carry_are_left_out() -> None:
    written = serialise(element("body", {"a": "x\x07y\n"}, "a\x00b\ufffec\r\n"))
    assert parse(written).text == "abc\r\n"
    assert parse(written).get("a") == "xy\n"


def test_namespaced_attributes_are_not_written() -> None:
    with pytest.raises(LocalError, match="without a namespace"):
        serialise(element("a", {"{urn:x}b": "c"}))


def test_a_stanza_is_known_even_when_it_cannot_be_read() -> None:
    assert is_stanza('<message to="a"><broken')
    assert is_stanza("<iq/>")
    assert not is_stanza("<iqs/>")
    assert not is_stanza("<a xmlns='urn:xmpp:sm:3' h='1'/>")


def test_logs_say_what_a_stanza_is_and_nothing_it_says() -> None:
    stanza = parse(
        '<iq xmlns="jabber:client" type="set" id="7" to="focus.meet.test">'
        '<conference xmlns="http://jitsi.org/protocol/focus" room="r" token="eyJhbGciOi"/></iq>'
    )
    assert summary(stanza) == "iq type='set' id='7' to='focus.meet.test' conference"
