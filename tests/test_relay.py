import asyncio

import pytest

from tests.netns import MEDIA_ADDRESS
from tests.relay import LossyRelay, first_udp_candidate, is_media, redirect

SDP = (
    "v=0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"
    "a=candidate:1 1 tcp 1518280447 10.99.0.1 9 typ host tcptype active\r\n"
    "a=candidate:2 1 udp 2122260223 10.99.0.1 4000 typ host generation 0\r\n"
    "a=candidate:3 1 udp 2122260222 10.99.0.9 5000 typ host\r\n"
    "a=sendrecv\r\n"
)


def test_only_media_may_be_lost() -> None:
    assert is_media(b"\x80rtp")
    assert is_media(b"\xbfrtcp")
    assert not is_media(b"\x00stun")
    assert not is_media(b"\x16dtls")
    assert not is_media(b"")


def test_a_description_is_redirected_to_one_candidate() -> None:
    assert first_udp_candidate(SDP) == ("10.99.0.1", 4000)
    redirected = redirect(SDP, ("10.99.0.1", 7))
    assert redirected.count("a=candidate") == 1
    assert first_udp_candidate(redirected) == ("10.99.0.1", 7)
    assert redirected.endswith("a=sendrecv\r\n")


@pytest.mark.media
async def test_loss_is_seeded_counted_and_one_way() -> None:
    class Endpoint(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.got: list[bytes] = []

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.got.append(data)

    loop = asyncio.get_running_loop()
    ends = []
    for _ in range(2):
        transport, endpoint = await loop.create_datagram_endpoint(Endpoint, local_addr=(MEDIA_ADDRESS, 0))
        ends.append((transport, endpoint))
    (browser, at_browser), (us, at_us) = ends
    offer = redirect(SDP, browser.get_extra_info("sockname"))
    answer = redirect(SDP, us.get_extra_info("sockname"))
    async with LossyRelay(seed=1) as relay:
        our_view = first_udp_candidate(relay.rewrite_offer(offer))
        browser_view = first_udp_candidate(relay.rewrite_answer(answer))
        relay.to_us.loss = 0.5
        for index in range(100):
            browser.sendto(bytes([0x80, index]), browser_view)
            us.sendto(bytes([0x80, index]), our_view)
            await asyncio.sleep(0)
        browser.sendto(b"\x00stun", browser_view)
        while b"\x00stun" not in at_us.got or len(at_browser.got) < 100:  # noqa: ASYNC110 - two conditions, bounded by the test's time-out
            await asyncio.sleep(0.001)
    assert relay.to_us.dropped + relay.to_us.passed == 100
    assert 30 < relay.to_us.dropped < 70
    assert len(at_us.got) == relay.to_us.passed + 1
    assert (relay.to_browser.dropped, relay.to_browser.passed) == (0, 100)
    browser.close()
    us.close()
