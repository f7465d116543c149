"""Sessions as SDP: lines that only ever grow, which aiortc reads as meant, and its answer read back."""

from __future__ import annotations

import pytest
from aiortc.sdp import MediaDescription, SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from tests.webrtc.jitsi import goldens
from webrtc.errors import SdpError
from webrtc.jitsi.jingle import Candidate, Fingerprint, LocalSource, Offer, SessionInitiate
from webrtc.jitsi.jingle_reader import read
from webrtc.jitsi.sdp import MediaLines, candidate_words, local_media
from webrtc.jitsi.sources import RemoteSource


def offer(*, data: bool = True) -> Offer:
    message = read(goldens.initiate(data=data))
    assert isinstance(message, SessionInitiate)
    return message.offer


def source(ssrc: int, owner: str = "anna") -> RemoteSource:
    return RemoteSource(ssrc=ssrc, owner=owner, name=f"{owner}-a0")


def parsed(lines: MediaLines) -> list[MediaDescription]:
    return SessionDescription.parse(lines.sdp()).media


def layout(media: list[MediaDescription]) -> list[tuple[str, str, str | None, list[int]]]:
    return [(one.rtp.muxId, one.kind, one.direction, [ssrc.ssrc for ssrc in one.ssrc]) for one in media]


def test_a_line_of_ours_the_channel_and_one_for_each_source() -> None:
    lines = MediaLines(offer(), sends=True)
    change = lines.hear([source(1), source(2)])
    assert change.added == (("2", source(1)), ("3", source(2)))
    assert change.removed == ()
    assert layout(parsed(lines)) == [
        ("0", "audio", "recvonly", []),
        ("1", "application", None, []),
        ("2", "audio", "sendonly", [1]),
        ("3", "audio", "sendonly", [2]),
    ]


def test_no_channel_and_nothing_to_say() -> None:
    lines = MediaLines(offer(data=False), sends=False)
    assert lines.hear([source(1)]).added == (("1", source(1)),)
    assert layout(parsed(lines)) == [("0", "audio", "inactive", []), ("1", "audio", "sendonly", [1])]


def test_lines_die_and_are_never_used_again() -> None:
    lines = MediaLines(offer(), sends=True)
    lines.hear([source(1), source(2)])
    change = lines.hear([source(2), source(3)])
    assert change.removed == (("2", source(1)),)
    assert change.added == (("4", source(3)),)
    assert lines.hear([source(2), source(3), source(1)]).added == (("5", source(1)),), (
        "even the same one again"
    )
    assert layout(parsed(lines))[2:] == [
        ("2", "audio", "inactive", []),
        ("3", "audio", "sendonly", [2]),
        ("4", "audio", "sendonly", [3]),
        ("5", "audio", "sendonly", [1]),
    ]


def test_an_ssrc_that_changes_hands_gets_a_line_of_its_own() -> None:
    lines = MediaLines(offer(), sends=True)
    lines.hear([source(1, "anna")])
    change = lines.hear([source(1, "ben")])
    assert change.removed == (("2", source(1, "anna")),)
    assert change.added == (("3", source(1, "ben")),)


def test_numbers_are_those_of_the_offer() -> None:
    [own, *_] = parsed(MediaLines(offer(), sends=True))
    assert [(codec.payloadType, str(codec)) for codec in own.rtp.codecs] == [(109, "opus/48000/2")]
    assert [(extension.id, extension.uri) for extension in own.rtp.headerExtensions] == [
        (3, "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
    ]


def test_all_lines_share_one_transport() -> None:
    lines = MediaLines(offer(), sends=True)
    lines.hear([source(1)])
    description = SessionDescription.parse(lines.sdp())
    [group] = description.group
    assert (group.semantic, group.items) == ("BUNDLE", ["0", "1", "2"])
    for media in description.media:
        assert media.ice.usernameFragment == "4vq1h1j5"
        assert media.ice.password == "3i0c9lqm7p3k1v8r2t5s6u9w0x"
        assert [(f.algorithm, f.value) for f in media.dtls.fingerprints] == [("sha-256", goldens.FINGERPRINT)]
        assert media.dtls.role == "auto"
        assert [candidate.ip for candidate in media.ice_candidates] == ["10.0.0.7", "203.0.113.9"]
        assert media.kind == "application" or media.rtcp_mux
    assert description.media[1].sctp_port == 5000


def test_later_descriptions_have_a_later_version_and_no_addresses() -> None:
    lines = MediaLines(offer(), sends=True)
    first, second = SessionDescription.parse(lines.sdp()), SessionDescription.parse(lines.sdp())
    assert (first.origin, second.origin) == ("- 1 1 IN IP4 0.0.0.0", "- 1 2 IN IP4 0.0.0.0")
    assert not any(media.ice_candidates for media in second.media)


@given(st.lists(st.frozensets(st.integers(1, 6))))
def test_whatever_comes_and_goes_every_source_has_one_line_for_ever(rounds: list[frozenset[int]]) -> None:
    lines = MediaLines(offer(), sends=True)
    carried: dict[str, int] = {}
    for ssrcs in rounds:
        lines.hear([source(ssrc) for ssrc in sorted(ssrcs)])
        media = parsed(lines)
        assert len(media) >= 2 + len(carried)
        alive = {one.rtp.muxId: one.ssrc[0].ssrc for one in media if one.ssrc}
        assert sorted(alive.values()) == sorted(ssrcs)
        for mid, ssrc in alive.items():
            assert carried.setdefault(mid, ssrc) == ssrc, "a line never carries another source"


# aiortc's answer --------------------------------------------------------------------------------------------------

ANSWER = f"""v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 5000 UDP/TLS/RTP/SAVPF 109
c=IN IP4 10.0.0.2
a=%s
a=mid:0
a=msid:stream track
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc:4242 cname:somebody
a=rtpmap:109 opus/48000/2
a=candidate:7 1 udp 9 10.0.0.2 5000 typ host
a=candidate:8 1 udp 8 203.0.113.1 5001 typ srflx raddr 10.0.0.2 rport 5000
a=end-of-candidates
a=ice-ufrag:abcd
a=ice-pwd:0123456789abcdefghijkl
a=fingerprint:sha-512 00:00
a=fingerprint:sha-256 {goldens.FINGERPRINT}
a=setup:active
m=audio 5000 UDP/TLS/RTP/SAVPF 109
a=recvonly
a=mid:1
a=ssrc:4343 cname:somebody
a=candidate:7 1 udp 9 10.0.0.2 5000 typ host
"""


def test_our_end_of_a_session() -> None:
    local = local_media(ANSWER % "sendonly", source_name="00ffeedd-a0")
    assert (local.ufrag, local.password) == ("abcd", "0123456789abcdefghijkl")
    assert local.fingerprint == Fingerprint(hash="sha-256", value=goldens.FINGERPRINT, setup="active")
    assert local.candidates == (
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
    )
    assert local.source == LocalSource(ssrc=4242, name="00ffeedd-a0", msid="stream track")
    assert local.password not in repr(local)


def test_an_ssrc_that_does_not_send_is_not_signalled() -> None:
    assert local_media(ANSWER % "inactive", source_name="00ffeedd-a0").source is None


@pytest.mark.parametrize(
    "missing", ["a=ice-ufrag", "a=fingerprint:sha-256", "a=setup", "a=ssrc:4242", "a=mid:0"]
)
def test_an_answer_that_lacks_something_is_refused(missing: str) -> None:
    answer = "\n".join(line for line in (ANSWER % "sendonly").splitlines() if not line.startswith(missing))
    with pytest.raises(SdpError, match="expected"):
        local_media(answer, source_name="x")


def test_no_answer_at_all() -> None:
    with pytest.raises(SdpError, match="expected an answer"):
        local_media("", source_name="x")


def test_a_candidate_in_words_is_what_was_read_of_it() -> None:
    related = Candidate(
        foundation="8", priority=8, ip="203.0.113.1", port=1, type="relay", related_ip="::1", related_port=2
    )
    assert candidate_words(related) == "8 1 udp 8 203.0.113.1 1 typ relay raddr ::1 rport 2"
