"""Jingle read and written: golden stanzas, what is refused, and any tree at all."""

from __future__ import annotations

import copy
import dataclasses
import json
from xml.etree.ElementTree import Element, fromstring, tostring

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webrtc.jitsi import goldens
from webrtc.errors import SignallingError
from webrtc.jitsi.jingle import (
    Candidate,
    Fingerprint,
    LocalMedia,
    LocalSource,
    OtherAction,
    SessionInitiate,
    SessionTerminate,
    SourceAdd,
    SourceRemove,
    TransportInfo,
)
from webrtc.jitsi.jingle_reader import head, read
from webrtc.jitsi.jingle_writer import session_accept, session_terminate
from webrtc.jitsi.sources import RemoteSource

ANNA = RemoteSource(ssrc=3735928559, owner="aaaaaaaa", name="aaaaaaaa-a0", msid="aaaaaaaa-audio-0-1 0f1e")
BEN = RemoteSource(ssrc=17, owner="bbbbbbbb", name="bbbbbbbb-a0")
BRIDGE = RemoteSource(ssrc=5, owner="jvb", name="jvb-a0", msid="mixedmslabel mixedlabelaudio0")


def offered(jingle: Element) -> SessionInitiate:
    message = read(jingle)
    assert isinstance(message, SessionInitiate)
    return message


def test_a_session_initiate() -> None:
    message = offered(goldens.initiate())
    offer = message.offer
    assert message.sid == "s1"
    assert message.sources == (ANNA, BEN, BRIDGE)
    assert not message.muted
    assert offer.initiator == "focus@auth.meet.example/focus"
    assert offer.bridge_session == "b1"
    assert (offer.audio_content, offer.data_content, offer.sctp_port) == ("audio", "data", 5000)
    assert (offer.opus_type, offer.level_id) == (109, 3), "read, not the usual numbers"
    assert offer.transport.ufrag == "4vq1h1j5"
    assert offer.transport.password == "3i0c9lqm7p3k1v8r2t5s6u9w0x"
    assert offer.transport.fingerprints == (
        Fingerprint(hash="sha-256", value=goldens.FINGERPRINT, setup="actpass"),
    )
    assert offer.transport.candidates == (
        Candidate(foundation="1", priority=2130706431, ip="10.0.0.7", port=10000, type="host"),
        Candidate(
            foundation="2",
            priority=1677724415,
            ip="203.0.113.9",
            port=10000,
            type="srflx",
            related_ip="10.0.0.7",
            related_port=10000,
        ),
    ), "UDP only, each once although every content tells them"


def test_compact_sources_say_the_same() -> None:
    compact = offered(goldens.initiate(sources="", compact=goldens.SOURCES_JSON))
    assert compact.sources == (ANNA, BEN, BRIDGE)


def test_an_offer_without_sctp_has_web_sockets_that_are_not_shown() -> None:
    message = offered(goldens.initiate(data=False, web_socket=True))
    assert message.offer.data_content == ""
    assert message.offer.sctp_port == 0
    [url] = message.offer.transport.web_sockets
    assert url.endswith("pwd=hidden")
    assert "hidden" not in repr(message)
    assert message.offer.transport.password not in repr(message)


@pytest.mark.parametrize(
    ("attributes", "muted"), [('audio="true"', True), ('audio="false"', False), ('video="true"', False)]
)
def test_one_may_have_to_begin_muted(attributes: str, muted: bool) -> None:
    extra = f'<startmuted xmlns="http://jitsi.org/jitmeet/start-muted" {attributes}/>'
    assert offered(goldens.initiate(extra=extra)).muted is muted


def test_source_changes_in_both_forms() -> None:
    assert read(goldens.sources("source-add", xml=goldens.SOURCES_XML)) == SourceAdd(
        sid="s1", sources=(ANNA, BEN, BRIDGE)
    )
    assert read(goldens.sources("source-remove", compact=goldens.SOURCES_JSON)) == SourceRemove(
        sid="s1", sources=(ANNA, BEN, BRIDGE)
    )


def test_odd_sources_are_left_out_and_the_others_stay() -> None:
    odd = "".join(
        f'<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" {attributes}/>'
        for attributes in (
            'ssrc="0" name="x-a0"',
            'ssrc="4294967296" name="x-a0"',
            'ssrc="-1" name="x-a0"',
            'ssrc="1e3" name="x-a0"',
            'ssrc="" name="x-a0"',
            'name="x-a0"',
            'ssrc="9"',
        )
    )
    message = read(goldens.sources("source-add", xml=odd + goldens.source_xml(17, "bbbbbbbb")))
    assert isinstance(message, SourceAdd)
    assert message.sources == (BEN,)
    compact = (
        '<json-message xmlns="http://jitsi.org/jitmeet">{"sources":{"x":7,"y":[[],[],7],"z":[[],[],[8,{"s":true},{}]],'
        '"bbbbbbbb":[[],[],[{"s":"17"}]]}}</json-message>'
    )
    message = read(goldens.sources("source-add", compact=compact))
    assert isinstance(message, SourceAdd)
    assert message.sources == (BEN,), "unnamed: called what the bridge would call it"


def test_an_owner_that_is_not_told_is_read_from_the_name() -> None:
    bare = '<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="17" name="bbbbbbbb-a0"/>'
    assert read(goldens.sources("source-add", xml=bare)) == SourceAdd(sid="s1", sources=(BEN,))


def test_a_transport_info_brings_addresses() -> None:
    inside = f'<content creator="initiator" name="audio">{goldens.TRANSPORT % ""}</content>'
    message = read(goldens.plain("transport-info", inside=inside))
    assert isinstance(message, TransportInfo)
    assert [candidate.ip for candidate in message.candidates] == ["10.0.0.7", "203.0.113.9"]


def test_candidates_that_cannot_be_used_are_left_out() -> None:
    good = {
        "component": "1",
        "foundation": "9",
        "ip": "fe80::1%eth0",
        "port": "1",
        "priority": "0",
        "protocol": "UDP",
        "type": "host",
    }
    bad = [
        {"component": "2"},
        {"ip": "bridge.example"},
        {"ip": "10.0.0.1\r\na=x"},
        {"port": "0"},
        {"port": "65536"},
        {"priority": ""},
        {"protocol": "tcp"},
        {"type": "odd"},
        {"type": "prflx"},
        {"foundation": "a b"},
        {"foundation": ""},
    ]
    transport = Element("{urn:xmpp:jingle:transports:ice-udp:1}transport")
    for change in ({}, *bad):
        transport.append(Element("{urn:xmpp:jingle:transports:ice-udp:1}candidate", good | change))
    jingle = goldens.plain("transport-info")
    content = Element("{urn:xmpp:jingle:1}content")
    content.append(transport)
    jingle.append(content)
    message = read(jingle)
    assert isinstance(message, TransportInfo)
    assert [candidate.ip for candidate in message.candidates] == ["fe80::1"]


def test_the_end_and_everything_else() -> None:
    assert read(goldens.terminate("success", "moving")) == SessionTerminate(
        sid="s1", reason="success", text="moving"
    )
    assert read(goldens.plain("session-terminate")) == SessionTerminate(sid="s1", reason="", text="")
    assert read(goldens.plain("transport-replace")) == OtherAction(sid="s1", action="transport-replace")


def _without(jingle: Element, path: str) -> Element:
    for parent in jingle.iter():
        for child in list(parent):
            if child.tag.rpartition("}")[2] == path:
                parent.remove(child)
    return jingle


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("content", "an audio content"),
        ("description", "a description"),
        ("payload-type", "opus/48000/2"),
        ("transport", "ufrag, pwd and a fingerprint"),
        ("fingerprint", "ufrag, pwd and a fingerprint"),
    ],
)
def test_an_offer_that_lacks_something_is_refused_in_words(missing: str, expected: str) -> None:
    with pytest.raises(SignallingError, match=expected):
        read(_without(goldens.initiate(), missing))


@pytest.mark.parametrize("number", ["72", "95", "128", "", "x"])
def test_opus_with_a_number_that_aiortc_would_not_take_is_refused(number: str) -> None:
    jingle = goldens.initiate()
    for element in jingle.iter("{urn:xmpp:jingle:apps:rtp:1}payload-type"):
        if element.get("name") == "opus":
            element.set("id", number)
    with pytest.raises(SignallingError, match="a number from 96 to 127"):
        read(jingle)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"sources":7}', "[" * 100_000, "9" * 5_000, '{"sources":[]}']
)
def test_compact_sources_that_are_none_are_refused(text: str) -> None:
    message = Element("{http://jitsi.org/jitmeet}json-message")
    message.text = text
    jingle = goldens.plain("source-add")
    jingle.append(message)
    with pytest.raises(SignallingError, match="expected"):
        read(jingle)


def test_what_is_no_jingle_is_refused() -> None:
    with pytest.raises(SignallingError, match="expected a <jingle/>"):
        head(Element("{urn:xmpp:jingle:0}jingle", action="session-info", sid="1"))
    for attributes in ({}, {"action": "session-info"}, {"sid": "1"}, {"action": "a", "sid": "x" * 201}):
        with pytest.raises(SignallingError, match="of 1 to 200 printable characters"):
            head(Element("{urn:xmpp:jingle:1}jingle", attributes))


# Whatever comes ---------------------------------------------------------------------------------------------------

_TAGS = sorted({element.tag for element in goldens.initiate(compact=goldens.SOURCES_JSON).iter()})
_KEYS = sorted({key for element in goldens.initiate().iter() for key in element.attrib})
_VALUES = st.one_of(
    st.sampled_from(
        ["", "0", "1", "-1", "111", "65536", "9" * 30, "audio", "data", "opus", "udp", "x\r\ny", "\x00"]
    ),
    st.text(max_size=20),
)


@st.composite
def _damaged(draw: st.DrawFn) -> Element:
    """A golden offer with elements dropped, moved, renamed and attributes changed."""
    jingle = copy.deepcopy(
        goldens.initiate(compact=draw(st.sampled_from(["", goldens.SOURCES_JSON])), web_socket=True)
    )
    jingle.set(
        "action",
        draw(st.sampled_from(["session-initiate", "source-add", "transport-info", "session-terminate"])),
    )
    for _ in range(draw(st.integers(1, 6))):
        elements = list(jingle.iter())
        victim = draw(st.sampled_from(elements))
        match draw(st.integers(0, 4)):
            case 0 if len(victim):
                victim.remove(draw(st.sampled_from(list(victim))))
            case 1:
                victim.set(draw(st.sampled_from(_KEYS)), draw(_VALUES))
            case 2:
                victim.tag = draw(st.sampled_from(_TAGS))
            case 3:
                victim.text = draw(_VALUES)
            case _:
                victim.append(copy.deepcopy(draw(st.sampled_from(elements))))
    return jingle


@settings(deadline=None)
@given(_damaged())
def test_a_damaged_stanza_is_read_or_refused(jingle: Element) -> None:
    try:
        message = read(jingle)
    except SignallingError:
        return
    if isinstance(message, SessionInitiate):
        transport = message.offer.transport
        words = [transport.ufrag, transport.password, *(c.foundation for c in transport.candidates)]
        assert all(word and word.isprintable() and " " not in word for word in words), "fit for a line of SDP"


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(_JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    message = Element("{http://jitsi.org/jitmeet}json-message")
    message.text = json.dumps({"sources": {"a": value, "b": [[], [], value]}})
    jingle = goldens.plain("source-add")
    jingle.append(message)
    assert isinstance(read(jingle), SourceAdd)


# What we say ------------------------------------------------------------------------------------------------------

LOCAL = LocalMedia(
    ufrag="abcd",
    password="0123456789abcdefghijkl",
    fingerprint=Fingerprint(hash="sha-256", value=goldens.FINGERPRINT, setup="active"),
    candidates=(
        Candidate(foundation="7", priority=9, ip="10.0.0.2", port=5000, type="host"),
        Candidate(
            foundation="8",
            priority=8,
            ip="203.0.113.1",
            port=5001,
            type="srflx",
            related_ip="10.0.0.2",
            related_port=5000,
        ),
    ),
    source=LocalSource(ssrc=4242, name="00ffeedd-a0", msid="s t"),
)

ACCEPT_TRANSPORT = f"""
<transport xmlns="urn:xmpp:jingle:transports:ice-udp:1" ufrag="abcd" pwd="0123456789abcdefghijkl"><rtcp-mux/>
<fingerprint xmlns="urn:xmpp:jingle:apps:dtls:0" hash="sha-256" setup="active">{goldens.FINGERPRINT}</fingerprint>
<candidate component="1" foundation="7" generation="0" id="0" ip="10.0.0.2" network="0" port="5000" priority="9"
 protocol="udp" type="host"/>
<candidate component="1" foundation="8" generation="0" id="1" ip="203.0.113.1" network="0" port="5001" priority="8"
 protocol="udp" type="srflx" rel-addr="10.0.0.2" rel-port="5000"/>"""

ACCEPT = f"""
<jingle xmlns="urn:xmpp:jingle:1" action="session-accept" sid="s1" initiator="focus@auth.meet.example/focus"
 responder="me@meet.example/r">
<content creator="initiator" name="audio" senders="both">
<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio">
<payload-type id="109" name="opus" clockrate="48000" channels="2">
<parameter name="minptime" value="10"/><parameter name="useinbandfec" value="1"/></payload-type>
<rtp-hdrext xmlns="urn:xmpp:jingle:apps:rtp:rtp-hdrext:0" id="3" uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"/>
<rtcp-mux/>
<source xmlns="urn:xmpp:jingle:apps:rtp:ssma:0" ssrc="4242" name="00ffeedd-a0">
<parameter name="msid" value="s t"/></source>
</description>{ACCEPT_TRANSPORT}</transport></content>
<content creator="initiator" name="data" senders="both">
<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="application"/>
{ACCEPT_TRANSPORT}<sctpmap xmlns="urn:xmpp:jingle:transports:dtls-sctp:1" number="5000" protocol="webrtc-datachannel"
 streams="1024"/></transport></content>
<group xmlns="urn:xmpp:jingle:apps:grouping:0" semantics="BUNDLE"><content name="audio"/><content name="data"/></group>
</jingle>"""


def canonical(jingle: Element) -> bytes:
    """Without white space between elements and whatever order attributes were written in."""
    again = copy.deepcopy(jingle)
    for element in again.iter():
        element.text = (element.text or "").strip() or None
        element.tail = None
        for key, value in sorted(element.attrib.items()):
            del element.attrib[key]
            element.set(key, value)
    return tostring(again)


def test_a_session_accept() -> None:
    offer = offered(goldens.initiate()).offer
    answer = session_accept("s1", responder="me@meet.example/r", offer=offer, local=LOCAL)
    assert canonical(answer) == canonical(fromstring(ACCEPT))


def test_who_sends_nothing_signals_no_source() -> None:
    offer = offered(goldens.initiate(data=False)).offer
    silent = dataclasses.replace(LOCAL, source=None)
    answer = session_accept("s1", responder="me", offer=dataclasses.replace(offer, level_id=0), local=silent)
    names = [element.tag.rpartition("}")[2] for element in answer.iter()]
    assert "source" not in names
    assert "rtp-hdrext" not in names
    assert names.count("transport") == 1


def test_a_session_terminate() -> None:
    assert canonical(session_terminate("s1", reason="decline", text="why")) == canonical(
        goldens.terminate("decline", "why")
    )
    restart = session_terminate("s1", reason="connectivity-error", text="why", restart="b1")
    assert canonical(restart) == canonical(
        goldens.plain(
            "session-terminate",
            inside="<reason><connectivity-error/><text>why</text></reason>"
            '<bridge-session xmlns="http://jitsi.org/protocol/focus" id="b1" restart="true"/>',
        )
    )
