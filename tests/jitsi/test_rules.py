"""The rules themselves: each finds what breaks it, and nothing in what keeps it."""

from __future__ import annotations

import copy
import itertools
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.jitsi import rules, stanzas
from tests.jitsi.bridge import Subscription, read_subscription
from tests.jitsi.jingle import (
    AudioOffer,
    Source,
    Transport,
    read_sources,
    read_transport,
    sources_jingle,
    write_description,
    write_sources,
    write_transport,
)
from tests.jitsi.rtp import Rtp, parse_rtp, with_sequence, write_rtp
from tests.jitsi.stanzas import CLIENT, child, element, parse, serialise
from tests.jitsi.wire import Acknowledgements, WireWatch

NICK = "0a1b2c3d"
JID = f"{NICK}-guest@meet.test/one"
SOURCE = Source(owner=NICK, ssrc=1234, name=f"{NICK}-a0", msid="stream track")
TRANSPORT = Transport(
    ufrag="abcd", pwd="pwdpwdpwdpwdpwdpwdpwdpwd", hash="sha-256", fingerprint="AA:BB", setup="active",
    candidates=(read_transport(parse(
        f'<transport xmlns="{stanzas.ICE_UDP}" ufrag="a" pwd="b"><candidate component="1" foundation="1" '
        f'ip="10.99.0.1" port="4000" priority="1" protocol="udp" type="host" generation="0"/>'
        f'<fingerprint xmlns="{stanzas.DTLS}" hash="sha-256" setup="active">AA</fingerprint></transport>'
    )).candidates[0],),
)  # fmt: skip


def accept() -> ET.Element:
    """A session-accept that keeps every rule."""
    audio = element(
        "content", stanzas.JINGLE,
        write_description(AudioOffer(), [SOURCE]), write_transport(TRANSPORT),
        creator="initiator", name="audio", senders="both",
    )  # fmt: skip
    data = element(
        "content", stanzas.JINGLE, element("description", stanzas.DTLS_SCTP),
        write_transport(TRANSPORT, sctp=True), creator="initiator", name="data", senders="both",
    )  # fmt: skip
    return element("jingle", stanzas.JINGLE, audio, data, action="session-accept", responder=JID, sid="s")


def found(node: ET.Element, name: str) -> ET.Element:
    return next(one for one in node.iter() if stanzas.split_tag(one.tag)[1] == name)


def without(name: str) -> Callable[[ET.Element], None]:
    def change(jingle: ET.Element) -> None:
        for parent in list(jingle.iter()):
            for one in [one for one in parent if stanzas.split_tag(one.tag)[1] == name]:
                parent.remove(one)

    return change


def with_(name: str, **attributes: str) -> Callable[[ET.Element], None]:
    return lambda jingle: found(jingle, name).attrib.update(attributes)


def test_a_good_session_accept_breaks_nothing() -> None:
    assert list(rules.check_accept(accept(), JID, AudioOffer(), data=True)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda jingle: jingle.set("responder", "x@y/z"), "responder"),
        (lambda jingle: jingle.remove(jingle[1]), "contents"),
        (with_("content", creator="responder"), "creator"),
        (with_("payload-type", id="96"), "opus under its number"),
        (with_("rtp-hdrext", id="3"), "header extensions that were not offered"),
        (without("rtp-hdrext"), "audio level"),
        (without("description"), "no audio description"),
        (without("transport"), "no transport"),
        (without("candidate"), "no candidates"),
        (without("fingerprint"), "fingerprint"),
        (with_("fingerprint", hash="sha-512"), "sha-512"),
        (with_("fingerprint", setup="passive"), "passive"),
        (
            lambda jingle: found(jingle, "transport").remove(found(found(jingle, "transport"), "rtcp-mux")),
            "rtcp-mux",
        ),
    ],
)
def test_a_session_accept_that_breaks_a_rule(change: Callable[[ET.Element], None], said: str) -> None:
    jingle = accept()
    change(jingle)
    broken = list(rules.check_accept(jingle, JID, AudioOffer(), data=True))
    assert any(said in text for text in broken), broken


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (replace(SOURCE, ssrc=0), "from 1"),
        (replace(SOURCE, ssrc=2**32), "from 1"),
        (replace(SOURCE, ssrc=77), "in use"),
        (replace(SOURCE, msid="their thing"), "is one of"),
        (replace(SOURCE, msid="alone"), "msid"),
        (replace(SOURCE, owner="ffffffff"), "of ffffffff"),
    ],
)
def test_sources_that_the_focus_refuses(source: Source, said: str) -> None:
    sources = rules.ConferenceSources()
    sources.add("ffffffff", [Source(owner="ffffffff", ssrc=77, name="ffffffff-a0", msid="their thing")])
    with pytest.raises(rules.SourceRefused, match=said):
        sources.add(NICK, [source])
    assert sources.of(NICK) == []
    sources.add(NICK, [SOURCE])
    with pytest.raises(rules.SourceRefused, match="in use"):
        sources.add(NICK, [SOURCE])
    with pytest.raises(rules.SourceRefused, match="to remove"):
        sources.remove("ffffffff", [SOURCE])


def test_twenty_ssrcs_and_no_more() -> None:
    sources = rules.ConferenceSources()
    many = [
        Source(owner=NICK, ssrc=number, name=f"{NICK}-a{number}", msid=f"s t{number}")
        for number in range(1, 22)
    ]
    sources.add(NICK, many[:20])
    with pytest.raises(rules.SourceRefused, match="at most 20"):
        sources.add(NICK, many[20:])


def test_names_of_sources() -> None:
    good = [SOURCE, replace(SOURCE, ssrc=2, name=f"{NICK}-a1")]
    assert list(rules.check_source_names(NICK, good, {one.name for one in good})) == []
    assert list(rules.check_source_names(NICK, good, {SOURCE.name}))
    for name in ("", f"{NICK}-a0.es", "ffffffff-a0", f"{NICK}-v0"):
        assert list(rules.check_source_names(NICK, [replace(SOURCE, name=name)], {name})), name


def presence() -> ET.Element:
    """An occupant's presence that keeps every rule."""
    return element(
        "presence", CLIENT,
        element("nick", stanzas.NICK, "Interpreter"),
        element("SourceInfo", CLIENT, json.dumps({f"{NICK}-a0": {"muted": False}})),
    )  # fmt: skip


def info(text: str) -> Callable[[ET.Element], None]:
    return lambda node: setattr(found(node, "SourceInfo"), "text", text)


def test_a_good_presence_breaks_nothing() -> None:
    assert list(rules.check_presence(presence(), NICK)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (without("nick"), "display name"),
        (info("[]"), "SourceInfo"),
        (info("{"), "SourceInfo"),
        (info('{"0a1b2c3d-a0.es": {"muted": false}}'), "not a source of"),
        (info('{"ffffffff-a0": {"muted": false}}'), "not a source of"),
        (info('{"0a1b2c3d-a0": {"muted": "no"}}'), "whether it is muted"),
        (lambda node: node.append(element("stats-id", stanzas.JITMEET, "x")), "namespace"),
    ],
)
def test_a_presence_that_breaks_a_rule(change: Callable[[ET.Element], None], said: str) -> None:
    node = presence()
    change(node)
    broken = list(rules.check_presence(node, NICK))
    assert any(said in text for text in broken), broken


def test_nicks_are_eight_hexadecimal_digits() -> None:
    for nick in ("Interpreter", "0A1B2C3D", "0a1b2c3d4", "_a1b2c3d"):
        assert list(rules.check_presence(presence(), nick)), nick


def test_capabilities_are_those_of_the_specification() -> None:
    """The example of XEP-0115 section 5.2."""
    query = parse(
        '<query xmlns="http://jabber.org/protocol/disco#info" node="http://code.google.com/p/exodus#v">'
        '<identity category="client" name="Exodus 0.9.1" type="pc"/>'
        '<feature var="http://jabber.org/protocol/caps"/><feature var="http://jabber.org/protocol/disco#info"/>'
        '<feature var="http://jabber.org/protocol/disco#items"/><feature var="http://jabber.org/protocol/muc"/>'
        "</query>"
    )
    assert rules.verification(query) == "QgayPKawpkPSDYmwT/WM94uAlu0="
    caps = element("c", stanzas.CAPS, hash="sha-1", node="n", ver="QgayPKawpkPSDYmwT/WM94uAlu0=")
    node = element("presence", CLIENT, caps)
    assert list(rules.check_caps(node, query, "http://code.google.com/p/exodus#v")) == []
    assert list(rules.check_caps(node, query, "another"))
    caps.set("ver", "wrong")
    assert list(rules.check_caps(node, query, "http://code.google.com/p/exodus#v"))
    assert list(rules.check_caps(element("presence", CLIENT), query, None))


def test_features_of_an_audio_bot() -> None:
    assert list(rules.check_features(rules.REQUIRED_FEATURES)) == []
    assert list(rules.check_features(rules.REQUIRED_FEATURES - {stanzas.RTP_AUDIO}))
    assert list(rules.check_features(rules.REQUIRED_FEATURES | {"http://jitsi.org/ssrc-rewriting-1"}))


def test_conference_requests() -> None:
    good = element("conference", stanzas.FOCUS, room="room@muc.meet.test", machine_uid="m", token="t")
    assert list(rules.check_conference_request(good, "muc.meet.test", "t")) == []
    for key, value in (("room", "Room@muc.meet.test"), ("room", "room"), ("machine-uid", ""), ("token", "u")):
        bad = copy.deepcopy(good)
        bad.set(key, value)
        assert list(rules.check_conference_request(bad, "muc.meet.test", "t")), key
    good.append(element("property", stanzas.FOCUS, name="visitors-version", value="1"))
    assert list(rules.check_conference_request(good, "muc.meet.test", "t"))


def test_sources_in_both_forms() -> None:
    sources = [SOURCE, replace(SOURCE, ssrc=2, name=f"{NICK}-a1", msid="s t2"), rules.bridge_source(9)]
    for compact in (False, True):
        jingle = parse(serialise(sources_jingle("source-add", "s", sources, compact=compact)))
        assert read_sources(jingle, None) == sources
    assert child(jingle, "json-message", stanzas.JITMEET) is not None
    own = element("jingle", stanzas.JINGLE, *write_sources([SOURCE]))
    without("ssrc-info")(own)
    assert read_sources(own, NICK) == [SOURCE]


def test_transports_are_read_as_written() -> None:
    written = replace(TRANSPORT, channel_urls=("wss://bridge.test/colibri-ws/1",))
    assert read_transport(parse(serialise(write_transport(written, sctp=True)))) == written


def test_subscriptions() -> None:
    both = frozenset({"new", "old"})
    assert read_subscription({"all": True, "include": ["a"], "exclude": ["b"]}, both) == Subscription(
        include=frozenset({"a"}), exclude=frozenset({"b"})
    )
    assert not read_subscription({"mode": "None"}, both).wants("a")
    assert not read_subscription({"all": True, "mode": "Exclude", "list": ["a"]}, frozenset({"old"})).wants(
        "a"
    )
    for bad in (
        {},
        {"all": "yes"},
        {"all": True, "include": "a"},
        {"mode": "Some"},
        {"mode": "Include", "list": [1]},
    ):
        with pytest.raises(ValueError, match="expected"):
            read_subscription(bad, both)


def test_rtp_is_read_as_written() -> None:
    packet = Rtp(
        payload_type=111, sequence=65535, timestamp=2**32 - 1, ssrc=1234, payload=b"payload", marker=True,
        extensions={1: b"\x8d", 10: b"0"},
    )  # fmt: skip
    assert parse_rtp(write_rtp(packet)) == packet
    assert packet.level(1) == 13
    assert parse_rtp(with_sequence(write_rtp(packet), 65536 + 7)).sequence == 7
    with pytest.raises(ValueError, match="RTP"):
        parse_rtp(b"\x00" * 20)


ROOM = "room@muc.meet.test"
OPEN = f'<open xmlns="{stanzas.FRAMING}" to="meet.test" version="1.0"/>'
JOIN = f'<presence xmlns="jabber:client" to="{ROOM}/{NICK}"><x xmlns="{stanzas.MUC}"/></presence>'
SEEN = (
    f'<presence xmlns="jabber:client" from="{ROOM}/{NICK}"><x xmlns="{stanzas.MUC_USER}">'
    '<status code="110"/></x></presence>'
)
LEAVE = f'<presence xmlns="jabber:client" type="unavailable" to="{ROOM}/{NICK}"/>'
CLOSE = f'<close xmlns="{stanzas.FRAMING}"/>'
ENABLED = f'<enabled xmlns="{stanzas.SM}" id="stream" resume="true"/>'
ASKED = f'<r xmlns="{stanzas.SM}"/>'


def told(handled: int) -> str:
    return f'<a xmlns="{stanzas.SM}" h="{handled}"/>'


def watch(*frames: str, room: str | None = "room", strict_nicks: bool = False) -> list[str]:
    """What is broken by frames; those from the server begin with `<`, the client's with `>`."""
    broken: list[str] = []
    clock = itertools.count(1.0)  # a second from frame to frame
    one = WireWatch(
        room, strict_nicks=strict_nicks, report=broken.append, resumable={}, clock=lambda: next(clock)
    )
    for frame in frames:
        if frame.startswith(">"):
            one.up(frame[1:])
        else:
            one.down(parse(frame))
    one.ended()
    return broken


def test_a_good_stream_breaks_nothing() -> None:
    change = f'><presence xmlns="jabber:client" to="{ROOM}/{NICK}"/>'
    frames = (">" + OPEN, ENABLED, ">" + JOIN, SEEN, ASKED, ">" + told(1), change, ">" + LEAVE, ">" + CLOSE)
    assert watch(*frames) == []


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ((">" + JOIN,), "not with <open>"),
        ((">" + OPEN.replace(' version="1.0"', ""),), "version"),
        ((">" + OPEN + OPEN,), "not one whole element"),
        ((">" + OPEN, "><?xml version='1.0'?>" + JOIN), "declarations"),
        ((">" + OPEN, "><!DOCTYPE a []><a/>"), "declarations"),
        ((">" + OPEN, '><presence xmlns="x" to="a@b/c"/>'), "namespace"),
        ((">" + OPEN, f'><presence xmlns="jabber:client" to="{ROOM}/{NICK}"/>'), "has not joined"),
        ((">" + OPEN, ">" + JOIN, SEEN, ">" + JOIN), "that it is in"),
        ((">" + OPEN, ">" + JOIN, SEEN, ">" + CLOSE), "without having left"),
        ((">" + OPEN, ">" + JOIN.replace("room@", "Room@")), "lower case"),
        ((">" + OPEN, ">" + told(0)), "without stream management"),
        ((">" + OPEN, ENABLED, SEEN, ">" + told(2)), "acknowledges 2"),
        ((">" + OPEN, ENABLED, SEEN, ASKED, ">" + told(0)), "after it had got more"),
        ((">" + OPEN, ENABLED, SEEN, ASKED, ">" + CLOSE), "without an answer"),
    ],
)
def test_a_stream_that_breaks_a_rule(frames: tuple[str, ...], said: str) -> None:
    broken = watch(*frames)
    assert any(said in text for text in broken), broken


def test_the_room_of_the_url() -> None:
    assert any("room=" in text for text in watch(">" + OPEN, ">" + JOIN, room=None))
    assert any("other" in text for text in watch(">" + OPEN, ">" + JOIN, room="other"))


def test_strict_nicks_begin_the_jid() -> None:
    bound = (
        '<iq xmlns="jabber:client"><bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"><jid>{}</jid></bind></iq>'
    )
    assert watch(">" + OPEN, bound.format(JID), ">" + JOIN, strict_nicks=True) == []
    assert watch(">" + OPEN, bound.format("deadbeef@meet.test/x"), ">" + JOIN)
    assert watch(">" + OPEN, bound.format("opaque-name@meet.test/x"), ">" + JOIN, strict_nicks=True)


def test_a_resumed_stream_goes_on_counting() -> None:
    broken: list[str] = []
    acks = {"stream": Acknowledgements(sent=5, acknowledged=2)}
    one = WireWatch("room", strict_nicks=False, report=broken.append, resumable=acks)
    one.up(OPEN)
    one.up(f'<resume xmlns="{stanzas.SM}" previd="stream" h="3"/>')
    one.down(parse(f'<resumed xmlns="{stanzas.SM}" previd="stream" h="9"/>'))
    for _ in range(2):
        one.down(parse(SEEN))
    one.up(told(5))
    assert broken == []
    one.up(told(9))
    assert broken
