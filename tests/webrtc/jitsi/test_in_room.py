"""In a room: people, chat, media offers, mutes, encryption, and a focus that comes and goes."""

from __future__ import annotations

import json
from xml.etree.ElementTree import Element

from tests.webrtc.jitsi.seat import JINGLE, JITMEET, STANZA_ERROR, Seat, jingle_iq, joined, shown
from tests.webrtc.jitsi.xmpp_server import (
    FOCUS_USER,
    MODERATION,
    ROOM,
)
from webrtc.jitsi.conference import FOCUS_GRACE_S
from webrtc.jitsi.conference_events import (
    ChatReceived,
    E2eeChanged,
    FocusLeft,
    ForcedMute,
    JingleAnswered,
    JingleReceived,
    Joined,
    OccupantChanged,
    OccupantJoined,
    OccupantLeft,
    OwnChanged,
    Wait,
    Waiting,
)
from webrtc.jitsi.in_room import MAX_UNANSWERED_JINGLE
from webrtc.jitsi.stanza import DISCONNECTED, IqError


def test_people_come_change_and_go() -> None:
    seat = joined()
    source = '<SourceInfo>{{"aaaaaaaa-a0":{{"muted":{}}}}}</SourceInfo>'
    seat.presence("aaaaaaaa", content=source.format("true"))
    seat.presence("aaaaaaaa", content=source.format("true"))
    seat.presence("aaaaaaaa", content=source.format("false"))
    seat.presence("aaaaaaaa", kind="unavailable", codes="307", item="<reason>bye</reason>")
    seat.presence("aaaaaaaa", kind="unavailable")
    came, changed, left = seat.take()
    assert isinstance(came, OccupantJoined)
    assert came.occupant.sources == {"aaaaaaaa-a0": True}
    assert isinstance(changed, OccupantChanged)
    assert changed.before == came.occupant
    assert changed.occupant.sources == {"aaaaaaaa-a0": False}
    assert left == OccupantLeft(occupant=changed.occupant, reason="removed: bye")


def test_what_is_written_is_heard_but_no_echo_and_no_history() -> None:
    seat = joined()
    seat.presence("aaaaaaaa")
    seat.take()
    delay = "<delay xmlns='urn:xmpp:delay' from='{}' stamp='2026-11-21T10:00:00Z'/>"
    seat.send(
        f"<message type='groupchat' from='{ROOM}/aaaaaaaa'><body>hello</body></message>",
        f"<message type='chat' from='{ROOM}/aaaaaaaa'><body>psst</body></message>",
        f"<message type='groupchat' from='{ROOM}/0123abcd'><body>our own</body></message>",
        f"<message type='groupchat' from='{ROOM}/aaaaaaaa'><body>old</body>{delay.format(ROOM)}</message>",
        f"<message type='groupchat' from='{ROOM}/aaaaaaaa'><body>late</body>{delay.format('us@meet.test')}</message>",
        f"<message type='groupchat' from='{ROOM}/nobody'><body>ghost</body></message>",
        f"<message type='error' from='{ROOM}/aaaaaaaa'><body>returned</body></message>",
        f"<message type='groupchat' from='{ROOM}/aaaaaaaa'><subject>x</subject></message>",
        "<message type='chat' from='mallory@meet.test/x'><body>direct</body></message>",
    )
    assert seat.take() == [
        ChatReceived(nick="aaaaaaaa", text="hello", private=False),
        ChatReceived(nick="aaaaaaaa", text="psst", private=True),
        ChatReceived(nick="aaaaaaaa", text="late", private=False),
    ]


def test_what_we_write_goes_to_all_or_to_one() -> None:
    seat = joined()
    seat.core.room.say("hello <all>", None)
    seat.core.room.say("psst\x00", "aaaaaaaa")
    seat.exchange()
    everybody, one = seat.sent("message")
    assert (everybody.get("to"), everybody.get("type")) == (ROOM, "groupchat")
    assert everybody.findtext("{jabber:client}body") == "hello <all>"
    assert (one.get("to"), one.get("type")) == (f"{ROOM}/aaaaaaaa", "chat")
    assert one.findtext("{jabber:client}body") == "psst"


def test_jingle_is_passed_on_and_answered() -> None:
    seat = joined()
    seat.presence("aaaaaaaa")
    seat.take()
    seat.send(jingle_iq("focus"), jingle_iq("aaaaaaaa"))
    first, second = seat.take()
    assert isinstance(first, JingleReceived)
    assert isinstance(second, JingleReceived)
    assert (first.from_focus, second.from_focus) == (True, False)
    assert first.jingle.get("sid") == "s"
    seat.core.room.reply(first.iq_id, None)
    seat.core.room.reply(
        second.iq_id,
        IqError(condition="item-not-found", app_condition="{urn:xmpp:jingle:errors:1}unknown-session"),
    )
    seat.core.room.reply(first.iq_id, None)
    seat.exchange()
    result, error = seat.sent("iq")[-2:]
    assert (result.get("type"), result.get("id"), result.get("to")) == ("result", "j1", f"{ROOM}/focus")
    assert error.find(".//{urn:xmpp:jingle:errors:1}unknown-session") is not None


def test_jingle_of_strangers_is_refused_and_much_of_it_too() -> None:
    seat = joined()
    seat.send(
        jingle_iq("nobody"),
        "<iq type='set' id='j2' from='mallory@meet.test/x'><jingle xmlns='urn:xmpp:jingle:1'/></iq>",
    )
    assert seat.take() == []
    assert [stanza.get("type") for stanza in seat.sent("iq")[-2:]] == ["error", "error"]
    for number in range(MAX_UNANSWERED_JINGLE + 1):
        seat.send(jingle_iq("focus", f"many-{number}"))
    assert len(seat.take()) == MAX_UNANSWERED_JINGLE
    assert seat.sent("iq")[-1].get("type") == "error"


def test_our_jingle_is_answered_or_refused_or_never() -> None:
    seat = joined()
    accepted = seat.core.room.send_jingle(Element(JINGLE), None, seat.now_s)
    seat.exchange()
    asked = seat.sent("iq")[-1]
    assert asked.get("to") == f"{ROOM}/focus"
    seat.server.result(asked)
    rejected = seat.core.room.send_jingle(Element(JINGLE), f"{ROOM}/aaaaaaaa", seat.now_s)
    seat.exchange()
    seat.server.error(seat.sent("iq")[-1], f"<bad-request {STANZA_ERROR}/>")
    seat.exchange()
    assert seat.take() == [
        JingleAnswered(request_id=accepted, error=None),
        JingleAnswered(request_id=rejected, error=IqError(condition="bad-request")),
    ]
    forgotten = seat.core.room.send_jingle(Element(JINGLE), None, seat.now_s)
    seat.until(20.0)
    assert JingleAnswered(request_id=forgotten, error=IqError(condition="timeout")) in seat.take()


def test_there_is_nobody_to_send_jingle_to_before_we_are_in() -> None:
    seat = Seat()
    request = seat.core.room.send_jingle(Element(JINGLE), None, 0.0)
    assert seat.core.events() == [JingleAnswered(request_id=request, error=DISCONNECTED)]


def test_the_focus_reads_our_features() -> None:
    seat = joined()
    query = "<query xmlns='http://jabber.org/protocol/disco#info'"
    seat.send(
        f"<iq type='get' id='d1' from='{ROOM}/focus'>{query}/></iq>",
        f"<iq type='get' id='d2' from='{ROOM}/focus'>{query} node='x'/></iq>",
        f"<iq type='get' id='d3' from='{ROOM}/focus'><version xmlns='jabber:iq:version'/></iq>",
    )
    features, unknown_node, unknown = seat.sent("iq")[-3:]
    assert len(features[0]) > 10
    assert unknown_node.get("type") == unknown.get("type") == "error"


def test_a_forced_mute_is_obeyed_and_shown_until_it_is_lifted() -> None:
    seat = joined()
    mute = "<iq type='set' id='m{}' from='{}'><mute xmlns='http://jitsi.org/jitmeet/audio' jid='x'>true</mute></iq>"
    seat.send(mute.format(1, f"{ROOM}/mallory"))
    assert seat.take() == []
    seat.send(mute.format(2, f"{ROOM}/focus"))
    (event,) = seat.take()
    assert isinstance(event, ForcedMute)
    assert event.muted
    assert [(stanza.get("id"), stanza.get("type")) for stanza in seat.sent("iq")[-2:]] == [
        ("m1", "error"), ("m2", "result"),
    ]  # fmt: skip
    assert shown(seat) == {"0123abcd-a0": True}
    assert not seat.core.room.set_muted("a0", False)
    assert seat.core.room.set_muted("a0", True)
    assert seat.core.room.lift_forced_mute()
    assert seat.core.room.set_muted("a0", False)
    seat.exchange()
    assert shown(seat) == {"0123abcd-a0": False}


def test_audio_moderation_comes_from_its_component_only() -> None:
    seat = joined()

    def says(sender: str, content: dict[str, object]) -> str:
        text = json.dumps({"type": "av_moderation", "mediaType": "audio"} | content).replace('"', "&quot;")
        return f"<message from='{sender}'><json-message {JITMEET}>{text}</json-message></message>"

    seat.send(says(f"{ROOM}/mallory", {"enabled": True}), says("mallory@meet.test", {"enabled": True}))
    assert seat.take() == []
    seat.send(says(MODERATION, {"enabled": True}))
    assert not seat.core.room.lift_forced_mute()
    seat.send(says(MODERATION, {"approved": True}))
    assert [event.muted for event in seat.take() if isinstance(event, ForcedMute)] == [True, False]
    seat.send(f"<message from='{MODERATION}'><json-message {JITMEET}>[</json-message></message>")
    assert seat.take() == []


def test_becoming_a_moderator_is_told() -> None:
    seat = joined()
    seat.presence("0123abcd", codes="110", role="moderator", affiliation="owner")
    seat.presence("0123abcd", codes="110", role="moderator", affiliation="owner")
    assert seat.take() == [OwnChanged(role="moderator", affiliation="owner")]


def test_encryption_is_seen_and_said_in_words() -> None:
    seat = joined()
    name = "<nick xmlns='http://jabber.org/protocol/nick'>Ana</nick>"
    seat.presence("aaaaaaaa", content=name)
    encrypted = f"{name}<jitsi_participant_e2ee.enabled>true</jitsi_participant_e2ee.enabled>"
    seat.presence("aaaaaaaa", content=encrypted)
    seat.presence("aaaaaaaa", content=name)
    on, off = (event for event in seat.take() if isinstance(event, E2eeChanged))
    assert on.on
    assert on.words.startswith("Ana switched on end-to-end encryption")
    assert "switch it off" in on.words
    assert not off.on


def test_a_room_that_is_encrypted_already_says_so_after_joining() -> None:
    seat = Seat()
    encrypted = "<jitsi_participant_e2ee.enabled>true</jitsi_participant_e2ee.enabled>"
    seat.server.there.append(seat.server.presence("aaaaaaaa", content=encrypted))
    seat.start()
    kinds = [type(event) for event in seat.take()]
    assert kinds.index(Joined) < kinds.index(E2eeChanged)


def test_the_marker_tells_our_own_from_people() -> None:
    seat = joined(marker="instance-1")
    assert seat.sent("presence")[-1].findtext("{jabber:client}jitsi_participant_interpreter") == "instance-1"
    seat.presence(
        "aaaaaaaa", content="<jitsi_participant_interpreter>instance-2</jitsi_participant_interpreter>"
    )
    (event,) = seat.take()
    assert isinstance(event, OccupantJoined)
    assert event.occupant.marker == "instance-2"


def test_a_missing_bridge_is_said_once() -> None:
    seat = joined()
    focus = {"jid": f"{FOCUS_USER}/x", "role": "moderator", "affiliation": "owner"}
    for content in ("<bridgeNotAvailable/>", "<bridgeNotAvailable/>", ""):
        seat.presence("focus", content=content, **focus)
    assert [event.kind for event in seat.take() if isinstance(event, Waiting)] == [Wait.BRIDGE]


def test_a_focus_that_restarts_is_asked_for_again() -> None:
    seat = joined()
    seat.server.ready = ["false", "true"]
    seat.presence("focus", kind="unavailable")
    kinds = [type(event) for event in seat.take()]
    assert kinds == [OccupantLeft, FocusLeft, Waiting]
    assert seat.core.room.focus == ""
    seat.until(2.0)
    assert len(seat.server.conferences) == 3
    seat.presence("focus", jid=f"{FOCUS_USER}/y", affiliation="owner")
    seat.until(60.0)
    assert len(seat.server.conferences) == 3
    assert seat.core.room.focus == f"{ROOM}/focus"


def test_a_focus_that_is_not_there_is_asked_for() -> None:
    seat = Seat()
    seat.server.there.clear()
    seat.start()
    seat.until(FOCUS_GRACE_S + 1)
    assert len(seat.server.conferences) == 2
    assert Wait.FOCUS in [event.kind for event in seat.take() if isinstance(event, Waiting)]
