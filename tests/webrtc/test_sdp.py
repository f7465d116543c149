"""What we accept in an offer and ask for in an answer, as text."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webrtc.errors import SdpError
from webrtc.sdp import MAX_CANDIDATES, OPUS_PARAMETERS, check_offer, with_opus_parameters

ANSWER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\na=mid:0\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtpmap:0 PCMU/8000\r\na=setup:active\r\n"
)
OURS = ";".join(f"{name}={value}" for name, value in OPUS_PARAMETERS.items())


def test_the_answer_asks_for_error_correction_in_mono() -> None:
    changed = with_opus_parameters(ANSWER)
    assert f"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 {OURS}\r\n" in changed
    assert "useinbandfec=1" in OURS
    assert "stereo" not in changed


def test_what_was_there_is_kept_but_stereo() -> None:
    before = ANSWER + "a=fmtp:111 usedtx=1;stereo=1;useinbandfec=0\r\na=fmtp:0 x=1\r\n"
    changed = with_opus_parameters(before)
    assert changed.count("a=fmtp:111 ") == 1
    assert "usedtx=1" in changed
    assert "useinbandfec=1" in changed
    assert "stereo" not in changed
    assert "a=fmtp:0 x=1\r\n" in changed


lines = st.one_of(
    st.sampled_from(
        [
            "a=rtpmap:111 opus/48000/2",
            "a=rtpmap:96 OPUS/48000/2",
            "a=fmtp:111 stereo=1;a=2",
            "a=fmtp:9 b",
            "m=audio 9 X 1",
        ]
    ),
    st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=30),
)


@given(st.lists(lines, max_size=12).map(lambda parts: "".join(f"{part}\r\n" for part in parts)))
def test_twice_is_once_and_other_lines_stay(description: str) -> None:
    once = with_opus_parameters(description)
    assert with_opus_parameters(once) == once

    def others(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(("a=fmtp:111 ", "a=fmtp:96 "))]

    assert others(once) == others(description)


@given(st.text(max_size=500))
def test_no_text_raises_anything_but_an_sdp_error(offer: str) -> None:
    with contextlib.suppress(SdpError):
        check_offer(offer)


OFFER = ANSWER.replace("active", "actpass")
DATA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=sctp-port:5000\r\n"


def test_a_section_for_data_channels_may_follow_the_audio() -> None:
    check_offer(OFFER + DATA)
    check_offer(OFFER + DATA.replace("UDP/", "TCP/"))


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        (OFFER.replace("m=audio", "m=video"), "expected one audio track, got 1 'video'"),
        (OFFER + DATA + DATA, "nothing else, got 2 'application', 1 'audio'"),
        ("v=0\r\n" + DATA, "expected one audio track, got 1 'application'"),
        (OFFER.replace("m=audio", f"{DATA}m=audio"), "at most one data section after it"),
        (
            OFFER + DATA + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n",
            "nothing else, got 1 'application', 1 'audio', 1",
        ),
        (OFFER + DATA.replace("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"), "got another protocol"),
        (OFFER + DATA.replace("a=sctp-port:5000", "a=x"), "expected one a=sctp-port from 1 to 65535"),
        (OFFER + DATA.replace("5000", "65536"), "expected one a=sctp-port from 1 to 65535"),
        (OFFER + DATA + "a=sctp-port:5001\r\n", "expected one a=sctp-port from 1 to 65535"),
        (OFFER + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", "nothing else, got 2 'audio'"),
        (OFFER.replace("opus", "speex"), "expected the codec opus"),
        (
            OFFER + "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\n" * (MAX_CANDIDATES + 1),
            "at most 64 candidates, got 65",
        ),
    ],
)
def test_an_offer_we_cannot_use_is_refused(offer: str, words: str) -> None:
    check_offer(OFFER)
    with pytest.raises(SdpError, match=words):
        check_offer(offer)
