"""Presence in a room, ours and others', and what we say we can do."""

from __future__ import annotations

import contextlib
import json
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import SignallingError
from webrtc.jitsi import disco
from webrtc.jitsi.disco import Identity, verification
from webrtc.jitsi.presence import (
    Destroyed,
    Occupant,
    OwnPresence,
    json_object,
    leaving,
    lobby_presence,
    own_presence,
    read_presence,
)
from webrtc.jitsi.stanza import IqError
from webrtc.jitsi.xml import element, parse, serialise

FOCUS_USER = "focus@auth.meet.test"
USER = "http://jabber.org/protocol/muc#user"


def read(
    content: str = "", *, nick: str = "0123abcd", kind: str = "", focus_user: str = FOCUS_USER
) -> Occupant:
    typed = f" type='{kind}'" if kind else ""
    text = f"<presence xmlns='jabber:client' from='room@muc.meet.test/{nick}'{typed}>{content}</presence>"
    presence = read_presence(parse(text), focus_user)
    assert presence is not None
    return presence.occupant


def test_our_presence_is_what_jitsi_reads() -> None:
    own = OwnPresence(
        name="Interpreter · Español",
        email="i@clinic.example",
        sources={"0123abcd-a0": False, "0123abcd-a1": True},
        marker="instance-1",
    )
    ver = verification(disco.IDENTITIES, disco.FEATURES)
    assert serialise(own_presence("room@muc.meet.test/0123abcd", own, join=True, password="pa<ss")) == (
        '<presence xmlns="jabber:client" to="room@muc.meet.test/0123abcd">'
        '<x xmlns="http://jabber.org/protocol/muc"><history maxstanzas="0"/><password>pa&lt;ss</password></x>'
        '<nick xmlns="http://jabber.org/protocol/nick">Interpreter · Español</nick>'
        "<stats-id>Interpreter</stats-id>"
        f'<c xmlns="http://jabber.org/protocol/caps" hash="sha-1" node="urn:meeting-interpreter:client" ver="{ver}"/>'
        '<SourceInfo>{"0123abcd-a0": {"muted": false}, "0123abcd-a1": {"muted": true}}</SourceInfo>'
        "<audiomuted>false</audiomuted><videomuted>true</videomuted>"
        "<email>i@clinic.example</email>"
        "<jitsi_participant_interpreter>instance-1</jitsi_participant_interpreter></presence>"
    )


def test_only_the_first_presence_joins() -> None:
    later = own_presence("room@muc.meet.test/0123abcd", OwnPresence(name="I"), password="secret")
    assert later.find("{http://jabber.org/protocol/muc}x") is None
    assert "secret" not in serialise(later)


def test_who_sends_nothing_says_so() -> None:
    silent = own_presence("r@m/n", OwnPresence(name="I"))
    assert silent.findtext("{jabber:client}SourceInfo") == "{}"
    assert silent.findtext("{jabber:client}audiomuted") == "true"


def test_the_lobby_is_told_who_knocks_and_no_password() -> None:
    assert serialise(lobby_presence("l@lobby/n", "I", "i@x")) == (
        '<presence xmlns="jabber:client" to="l@lobby/n"><x xmlns="http://jabber.org/protocol/muc">'
        '<history maxstanzas="0"/></x>'
        '<nick xmlns="http://jabber.org/protocol/nick">I</nick><email>i@x</email></presence>'
    )
    assert serialise(leaving("r@m/n")) == '<presence xmlns="jabber:client" to="r@m/n" type="unavailable"/>'


def test_an_occupant_with_everything() -> None:
    occupant = read(
        "<nick xmlns='http://jabber.org/protocol/nick'> Dr.\n García\x7f </nick><email>g@clinic.example</email>"
        '<SourceInfo>{"0123abcd-a0":{"muted":true},"0123abcd-v0":{"muted":true,"videoType":"camera"},'
        '"0123abcd-a0.es":{},"ffff0000-a0":{}}</SourceInfo>'
        "<features><feature var='https://jitsi.org/meet/e2ee'/></features>"
        "<jitsi_participant_e2ee.enabled>true</jitsi_participant_e2ee.enabled>"
        "<jitsi_participant_interpreter>other</jitsi_participant_interpreter><bot type='poltergeist'/>"
        f"<x xmlns='{USER}'><item role='moderator' affiliation='owner' jid='abc@meet.test/x'/></x>"
    )
    assert occupant == Occupant(
        nick="0123abcd",
        name="Dr. García",
        email="g@clinic.example",
        jid="abc@meet.test/x",
        role="moderator",
        affiliation="owner",
        sources={"0123abcd-a0": True, "0123abcd-v0": True},
        features=frozenset({"https://jitsi.org/meet/e2ee"}),
        e2ee=True,
        marker="other",
        bot_type="poltergeist",
    )
    assert occupant.moderator
    assert occupant.audio_sources == {"0123abcd-a0": True}


@pytest.mark.parametrize(
    ("content", "sources"),
    [
        ("", {}),
        ("<audiomuted>true</audiomuted>", {"0123abcd-a0": True}),
        ("<audiomuted>false</audiomuted>", {"0123abcd-a0": False}),
        ("<SourceInfo>{}</SourceInfo><audiomuted>false</audiomuted>", {}),
        ("<SourceInfo>not json</SourceInfo>", {}),
        ("<SourceInfo>[1]</SourceInfo>", {}),
        ('<SourceInfo>{"0123abcd-a0":1}</SourceInfo>', {}),
        ('<SourceInfo>{"0123abcd-a0":{}}</SourceInfo>', {"0123abcd-a0": False}),
        ('<SourceInfo>{"0123abcd-a0":{"muted":"true"}}</SourceInfo>', {"0123abcd-a0": False}),
        ('<SourceInfo xmlns="urn:other">{"0123abcd-a0":{}}</SourceInfo>', {}),
        ("<SourceInfo>" + "[" * 40_000 + "</SourceInfo>", {}),
    ],
)
def test_sources_are_their_own_or_none(content: str, sources: dict[str, bool]) -> None:
    assert read(content).sources == sources


def test_an_occupant_has_so_many_sources_and_no_more() -> None:
    many = json.dumps({f"0123abcd-a{number}": {} for number in range(1000)})
    assert len(read(f"<SourceInfo>{many}</SourceInfo>").sources) == 40


@pytest.mark.parametrize(
    ("nick", "item", "focus_user", "is_focus"),
    [
        ("focus", "jid='focus@auth.meet.test/x' affiliation='owner'", FOCUS_USER, True),
        ("focus", "jid='FOCUS@auth.meet.test/x'", FOCUS_USER, True),
        ("focus", "jid='mallory@meet.test/x' affiliation='owner'", FOCUS_USER, False),
        ("focus", "affiliation='owner'", FOCUS_USER, True),
        ("focus", "affiliation='none'", FOCUS_USER, False),
        ("focus", "jid='focus@auth.meet.test/x' affiliation='owner'", "", True),
        ("0123abcd", "jid='focus@auth.meet.test/x' affiliation='owner'", FOCUS_USER, False),
    ],
)
def test_the_focus_is_known_by_its_address(nick: str, item: str, focus_user: str, is_focus: bool) -> None:
    content = f"<x xmlns='{USER}'><item {item}/></x>"
    assert read(content, nick=nick, focus_user=focus_user).is_focus == is_focus


def test_an_error_names_what_is_wrong_and_where_to_wait() -> None:
    stanza = parse(
        "<presence xmlns='jabber:client' type='error' from='room@muc.meet.test/n'><error type='auth'>"
        "<registration-required xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        "<lobbyroom xmlns='http://jitsi.org/jitmeet'> room@lobby.meet.test </lobbyroom>"
        "<waiting-for-host xmlns='http://jitsi.org/jitmeet'/></error></presence>"
    )
    presence = read_presence(stanza, "")
    assert presence is not None
    assert presence.error is not None
    assert presence.error.condition == "registration-required"
    assert presence.lobby_room == "room@lobby.meet.test"
    assert "waiting-for-host" in presence.conditions


def test_an_end_says_who_and_why_and_where_to_go() -> None:
    stanza = parse(
        f"<presence xmlns='jabber:client' type='unavailable' from='r@m/n'><x xmlns='{USER}'>"
        "<item role='none'><actor nick='ben'/><reason>too loud</reason></item><status code='110'/>"
        "<status code='307'/><destroy jid='other@m'><reason>moved</reason></destroy></x></presence>"
    )
    presence = read_presence(stanza, "")
    assert presence is not None
    assert presence.own
    assert (presence.actor, presence.reason) == ("ben", "too loud")
    assert presence.codes == {"110", "307"}
    assert presence.destroyed == Destroyed(instead="other@m", reason="moved")


def test_other_presences_are_none_of_ours() -> None:
    assert read_presence(parse("<presence xmlns='jabber:client' type='subscribe' from='a@b/c'/>"), "") is None
    assert read_presence(parse(f"<presence xmlns='jabber:client' from='a@b/{'n' * 200}'/>"), "") is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_presence_is_read_or_passed_over(inner: str, info: str) -> None:
    stanza = element("{jabber:client}presence", {"from": "room@muc.meet.test/0123abcd"})
    stanza.append(element("{jabber:client}SourceInfo", text=info))
    with contextlib.suppress(SignallingError):
        stanza.append(parse(f"<x xmlns='{USER}'>{inner}</x>"))
    presence = read_presence(stanza, FOCUS_USER)
    assert presence is not None
    assert all(name.startswith("0123abcd-") for name in presence.occupant.sources)


@given(st.text(max_size=100))
def test_any_text_is_json_or_not(text: str) -> None:
    value = json_object(text)
    assert value is None or isinstance(value, dict)


def test_the_digest_is_that_of_xep_0115() -> None:
    """Section 5.2 of the XEP, whose identity has no language."""
    features = (
        "http://jabber.org/protocol/caps",
        "http://jabber.org/protocol/disco#info",
        "http://jabber.org/protocol/disco#items",
        "http://jabber.org/protocol/muc",
    )
    assert verification((Identity(category="client", type="pc", name="Exodus 0.9.1"),), features) == (
        "QgayPKawpkPSDYmwT/WM94uAlu0="
    )


def test_our_features_make_an_audio_only_session() -> None:
    assert "urn:xmpp:jingle:apps:rtp:audio" in disco.FEATURES
    assert "urn:xmpp:jingle:transports:dtls-sctp:1" in disco.FEATURES
    for harmful in (
        "rtp:video",
        "rewriting",
        "tcc",
        "remb",
        "red",
        "visitors",
        "audio-translation",
        "e2ee",
        "mid-demux",
    ):
        assert not any(feature.endswith(harmful) or f"{harmful}-" in feature for feature in disco.FEATURES), (
            harmful
        )


@pytest.mark.parametrize("node", [None, disco.CLIENT_NODE, f"{disco.CLIENT_NODE}#{disco.caps().get('ver')}"])
def test_the_answer_names_the_node_that_was_asked_for(node: str | None) -> None:
    asked = disco.query(node or "")
    answer = disco.reply(asked)
    assert answer is not None
    assert answer.get("node") == node
    read_back = disco.read(_iq(answer))
    assert read_back.identities == disco.IDENTITIES
    assert read_back.features == set(disco.FEATURES)
    assert disco.caps().get("ver") == verification(read_back.identities, read_back.features)


def test_a_node_that_is_not_ours_gets_no_answer() -> None:
    assert disco.reply(disco.query("urn:other#x")) is None


def test_what_the_domain_says_names_its_components() -> None:
    info = disco.read(
        parse(
            "<iq xmlns='jabber:client'><query xmlns='http://jabber.org/protocol/disco#info'>"
            "<identity category='component' type='av_moderation' name='avmoderation.meet.test'/>"
            "<identity category='server' type='im' name='Prosody'/></query></iq>"
        )
    )
    assert info.component("av_moderation") == "avmoderation.meet.test"
    assert info.component("im") == ""
    assert disco.read(parse("<iq xmlns='jabber:client'/>")).identities == ()


def test_errors_that_say_nothing_are_undefined() -> None:
    stanza = parse("<presence xmlns='jabber:client' type='error' from='a@b/c'/>")
    presence = read_presence(stanza, "")
    assert presence is not None
    assert presence.error == IqError(condition="undefined-condition")


def _iq(payload: Element) -> Element:
    stanza = element("{jabber:client}iq")
    stanza.append(payload)
    return stanza
