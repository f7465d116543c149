"""A UDP relay between a browser and us that loses media packets on purpose.

Neither side knows of it: each is told the relay's address instead of the other's candidates. The relay passes STUN
and DTLS untouched and drops SRTP and SRTCP with a seeded probability, so what is lost is really lost to the network.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.netns import MEDIA_ADDRESS

Address = tuple[str, int]

_CANDIDATE = re.compile(r"^(a=candidate:\S+ \d+ )(\S+)( \d+ )(\S+) (\d+)( typ \S+).*$", re.MULTILINE)


def is_media(datagram: bytes) -> bool:
    """Whether a datagram is SRTP or SRTCP, by its first byte (RFC 7983 section 7)."""
    return bool(datagram) and 128 <= datagram[0] <= 191


def first_udp_candidate(sdp: str) -> Address:
    """Where the first UDP candidate of a description points."""
    for match in _CANDIDATE.finditer(sdp):
        if match[2].lower() == "udp":
            return match[4], int(match[5])
    raise ValueError("the description has no UDP candidate")


def redirect(sdp: str, to: Address) -> str:
    """`sdp` with one candidate only, at `to`."""
    lines: list[str] = []
    for line in sdp.splitlines():
        match = _CANDIDATE.match(line)
        if match is None:
            lines.append(line)
        elif match[2].lower() == "udp" and (match[4], int(match[5])) == first_udp_candidate(sdp):
            lines.append(f"{match[1]}{match[2]}{match[3]}{to[0]} {to[1]}{match[6]}")
    return "\r\n".join(lines) + "\r\n"


@dataclass
class Direction:
    """Loss in one direction; change `loss` at any time."""

    seed: int
    loss: float = 0.0
    """Probability that a media datagram is dropped."""

    passed: int = 0
    dropped: int = 0
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def drops(self, datagram: bytes) -> bool:
        """Decides about one datagram, and counts media."""
        if not is_media(datagram):
            return False
        lost = self._random.random() < self.loss
        self.dropped += lost
        self.passed += not lost
        return lost


class LossyRelay:
    """Two sockets: the browser talks to `browser_side`, we talk to `our_side`."""

    def __init__(self, *, seed: int) -> None:
        self.to_us = Direction(seed)
        self.to_browser = Direction(seed + 1)
        self._browser_socket = _Socket(self._from_browser)
        self._our_socket = _Socket(self._from_us)

    async def __aenter__(self) -> Self:
        await self._browser_socket.open()
        await self._our_socket.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser_socket.close()
        self._our_socket.close()

    def rewrite_offer(self, offer: str) -> str:
        """The browser's offer as we shall see it."""
        self._browser_socket.peer = first_udp_candidate(offer)
        return redirect(offer, self._our_socket.address)

    def rewrite_answer(self, answer: str) -> str:
        """Our answer as the browser shall see it."""
        self._our_socket.peer = first_udp_candidate(answer)
        return redirect(answer, self._browser_socket.address)

    def _from_browser(self, datagram: bytes) -> None:
        if not self.to_us.drops(datagram):
            self._our_socket.send(datagram)

    def _from_us(self, datagram: bytes) -> None:
        if not self.to_browser.drops(datagram):
            self._browser_socket.send(datagram)


class _Socket(asyncio.DatagramProtocol):
    """One side of the relay; answers go to whoever spoke to it last."""

    def __init__(self, received: Callable[[bytes], None]) -> None:
        self.peer: Address | None = None
        self.address: Address = ("", 0)
        self._received = received
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(MEDIA_ADDRESS, 0))
        self.address = self._transport.get_extra_info("sockname")[:2]

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def send(self, datagram: bytes) -> None:
        if self._transport is not None and self.peer is not None:
            self._transport.sendto(datagram, self.peer)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peer = addr[:2]
        self._received(data)
