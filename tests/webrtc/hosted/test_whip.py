"""Offers, answers, tokens and header fields of WHIP and WHEP, as text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import LocalError, SdpError
from webrtc.hosted.whip import Door, Invitee, allowed_origin, ice_links, invited, read_offer
from webrtc.peer import IceServer
from webrtc.sdp import MAX_OFFER_BYTES

SESSION = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=ice-ufrag:EsAw\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\n"
)
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n"
    "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=rtpmap:96 VP8/90000\r\n"
)
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n"


def audio(direction: str) -> str:
    return AUDIO + f"a={direction}\r\n"


@pytest.mark.parametrize(("door", "way"), [(Door.WHIP, "sendonly"), (Door.WHEP, "recvonly")])
def test_sound_goes_one_way_only(door: Door, way: str) -> None:
    for offered in (way, "sendrecv"):
        read = read_offer(door, SESSION + audio(offered))
        assert read.sdp == SESSION + audio(way)
        assert read.answer("v=0\r\nm=audio 9 X 111\r\n") == "v=0\r\nm=audio 9 X 111\r\n"
    assert read_offer(door, SESSION + AUDIO).sdp == SESSION + audio(way), "both ways where nothing is said"
    assert f"a={way}\r\n" in read_offer(door, f"{SESSION}a={way}\r\n{AUDIO}").sdp
    for other in {"sendonly", "recvonly", "inactive"} - {way}:
        with pytest.raises(
            SdpError, match=f"expected audio that is {way} or sendrecv at /{door.value}, got {other}"
        ):
            read_offer(door, SESSION + audio(other))


def test_an_encoder_that_sends_video_is_told_so_and_a_player_that_wants_it_gets_the_sound() -> None:
    bundle = SESSION + "a=group:BUNDLE 0 1 2\r\n"
    with pytest.raises(SdpError, match="expected one audio track.* got 1 'audio', 1 'video'"):
        read_offer(Door.WHIP, bundle + VIDEO + audio("sendonly"))
    read = read_offer(Door.WHEP, bundle + VIDEO + audio("recvonly") + DATA)
    assert "video" not in read.sdp
    assert "a=group:BUNDLE 1 2\r\n" in read.sdp
    assert "a=candidate:1 1 udp" in read.sdp, "they stand in the first section of a bundle"
    sound = "m=audio 9 X 111\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=ice-pwd:x\r\na=sendonly\r\n"
    data = "m=application 9 X 0\r\na=mid:2\r\n"
    assert read.answer("v=0\r\na=group:BUNDLE 1 2\r\n" + sound + data) == (
        "v=0\r\na=group:BUNDLE 0 1 2\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=ice-pwd:x\r\n"
        "a=mid:0\r\na=inactive\r\na=rtpmap:96 VP8/90000\r\n" + sound + data
    )
    for group in ("", "a=group:BUNDLE 1\r\n"):
        apart = read_offer(Door.WHEP, SESSION + group + audio("recvonly") + VIDEO)
        assert apart.answer("v=0\r\n" + group + sound) == (
            f"v=0\r\n{group}{sound}"
            "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:0\r\n"
        )


def test_a_bundled_track_has_no_port_of_its_own() -> None:
    bundled = audio("recvonly").replace("m=audio 9", "m=audio 0")
    assert "m=audio 9 " in read_offer(Door.WHEP, SESSION + VIDEO + bundled + "a=bundle-only\r\n").sdp
    bare = bundled.replace("a=ice-ufrag:EsAw\r\n", "") + "a=bundle-only\r\n"
    read = read_offer(Door.WHEP, SESSION + VIDEO + "a=setup:actpass\r\n" + bare)
    for line in ("a=ice-ufrag:EsAw", "a=setup:actpass", "a=candidate:1"):
        assert read.sdp.count(line) == 1, line
    with pytest.raises(SdpError, match="got one that is rejected"):
        read_offer(Door.WHEP, SESSION + bundled)


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        ("", "beginning with 'v=0'"),
        ("hello", "beginning with 'v=0'"),
        (SESSION, "got no media at all"),
        (SESSION + VIDEO, "got no media at all"),
        (SESSION + "m=video\r\n", "expected a media line with port"),
        (SESSION + audio("recvonly") * 2, "got 2 'audio'"),
        (SESSION + audio("recvonly").replace("opus", "speex"), "expected the codec opus/48000/2"),
        (SESSION + "a=x\r\n" * MAX_OFFER_BYTES, "expected an offer of at most"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(offer: str, words: str) -> None:
    with pytest.raises(SdpError, match=words):
        read_offer(Door.WHEP, offer)


pieces = st.sampled_from(
    [*SESSION.splitlines(), *AUDIO.splitlines(), *VIDEO.splitlines(), *DATA.splitlines()]
    + [
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=bundle-only",
        "m=audio 0 X",
        "a=group:BUNDLE 0 1",
        "m=",
        "a=",
    ]
)


@given(st.sampled_from(Door), st.lists(pieces | st.text(max_size=20), max_size=25), st.text(max_size=200))
def test_any_text_is_read_or_refused(door: Door, lines: list[str], answer: str) -> None:
    with contextlib.suppress(SdpError):
        read = read_offer(door, "\r\n".join(lines))
        assert "m=video" not in read.sdp
        assert read.answer(answer).count("m=video") >= len(read.unused)


ANA = Invitee(name="Ana", language="es", token="ana-0123456789-abc")
BEN = Invitee(name="Ben", language="en", token="ben/0123456789+abc==")


def test_a_token_tells_who_comes() -> None:
    assert invited([ANA, BEN], f"Bearer {ANA.token}") is ANA
    assert invited([ANA, BEN], f"bearer  {BEN.token} ") is BEN
    for wrong in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {ANA.token}",
        ANA.token,
        f"Bearer {ANA.token}x",
        "Bearer ñ\ud800",
    ):
        assert invited([ANA, BEN], wrong) is None, wrong
    assert ANA.token not in repr(ANA)


def test_a_token_that_cannot_be_shown_or_may_be_guessed_is_refused() -> None:
    with pytest.raises(LocalError, match=r"letters, digits and -._~\+/ for 'Ana', got another"):
        Invitee(name="Ana", language="es", token="two words 0123456789")
    with pytest.raises(LocalError, match="16 or more characters for 'Ana', got 5"):
        Invitee(name="Ana", language="es", token="short")


def test_servers_are_told_in_header_fields() -> None:
    turn = ("turn:t.example.net?transport=udp", "turns:t.example.net")
    servers = [
        IceServer(urls=("stun:stun.example.net",)),
        IceServer(urls=turn, username="me", credential='a"\\\n'),
    ]
    assert ice_links(servers) == [
        '<stun:stun.example.net>; rel="ice-server"',
        *(f'<{url}>; rel="ice-server"; username="me"; credential="a\\"\\\\"' for url in turn),
    ]


def test_pages_of_other_sites_may_call_where_they_are_named() -> None:
    here = ["https://studio.example.org"]
    assert allowed_origin("https://studio.example.org", here) == "https://studio.example.org"
    for other in ("https://studio.example.org:8443", "http://studio.example.org", "null", None):
        assert allowed_origin(other, here) is None, other
    assert allowed_origin("https://studio.example.org", []) is None
    assert allowed_origin("https://anywhere.example", ["*"]) == "*"
