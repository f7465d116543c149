"""Our peer through a real TURN server, coturn: what the settings for strict firewalls promise."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.netns import MEDIA_ADDRESS
from tests.webrtc.test_peer import LEVEL, Call, pitch_hz, pull_frames, usual_rms
from webrtc.peer import IceServer, IceSettings, Peer
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ
from webrtc.tracks import Fill

pytestmark = [pytest.mark.media, pytest.mark.turn, pytest.mark.slow]

USER, PASSWORD = "interpreter", "of-no-use-elsewhere"


@pytest.fixture
def turn_port(tmp_path: Path) -> Iterator[int]:
    with closing(socket.create_server((MEDIA_ADDRESS, 0))) as probe:
        port: int = probe.getsockname()[1]
    command = [
        *("turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "--lt-cred-mech", "--realm=turn.test"),
        *(f"--user={USER}:{PASSWORD}", f"--listening-ip={MEDIA_ADDRESS}", f"--relay-ip={MEDIA_ADDRESS}"),
        *(f"--listening-port={port}", f"--pidfile={tmp_path / 'pid'}", "--log-file=stdout", "--simple-log"),
    ]
    log = (tmp_path / "turn.log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    try:
        _await_listening(port, server, tmp_path / "turn.log")
        yield port
    finally:
        server.terminate()
        server.wait(10)
        log.close()


def _await_listening(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        assert server.poll() is None, log.read_text()
        with closing(socket.socket()) as tried:
            tried.settimeout(0.1)
            if tried.connect_ex((MEDIA_ADDRESS, port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"coturn does not listen: {log.read_text()}")


def relayed(port: int, transport: str, password: str = PASSWORD) -> IceSettings:
    url = f"turn:{MEDIA_ADDRESS}:{port}?transport={transport}"
    server = IceServer(urls=(url,), username=USER, credential=password)
    return IceSettings(servers=(server,), relay_only=True)


class RelayedCall(Call):
    """A call whose side of ours goes through the server alone."""

    def __init__(self, ice: IceSettings) -> None:
        super().__init__()
        self.peer = Peer(
            ice=ice, fill=Fill.COMFORT_NOISE, on_audio=self.audio.set_result, on_closed=self._on_closed
        )


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_goes_through_the_server_and_tells_no_address_of_ours(
    turn_port: int, transport: str
) -> None:
    call = RelayedCall(relayed(turn_port, transport))
    try:
        answer = await call.peer.answer(await call.offer(hz=440))
        kinds = re.findall(r"^a=candidate:.* typ (\w+)", answer, re.MULTILINE)
        assert set(kinds) == {"relay"}
        heard = (await pull_frames(await call.accept(answer), 25))[10 * FRAME_SAMPLES :]
    finally:
        await call.close()
    assert pitch_hz(heard, SAMPLE_RATE_HZ) == pytest.approx(440, abs=1)
    assert usual_rms(heard, PACKET_SAMPLES) == pytest.approx(LEVEL / 2**0.5, rel=0.05)


async def test_a_wrong_password_leaves_no_way_and_is_told(
    turn_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    call = RelayedCall(relayed(turn_port, "udp", "wrong"))
    try:
        answer = await call.peer.answer(await call.offer())
        assert "typ host" not in answer, "nothing but the server was to be used"
        assert "a=candidate" not in answer
        [line] = [one.getMessage() for one in caplog.records if one.name == "webrtc.peer"]
        assert "TURN server gave no address" in line
        assert "wrong" not in line
    finally:
        await call.close()
