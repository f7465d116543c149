"""The recording harness itself, on a page that sends to itself: what it reads must be known before it is trusted."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.browser import stimuli
from tests.browser.chromium import participant

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow]

PAGE = """<!doctype html><title>loop</title><script type="module">
const stream = await navigator.mediaDevices.getUserMedia(
  {audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
here.onicecandidate = ({candidate}) => there.addIceCandidate(candidate);
there.onicecandidate = ({candidate}) => here.addIceCandidate(candidate);
there.addEventListener("track", ({streams}) => {
  const audio = new Audio(); audio.srcObject = streams[0]; audio.play(); window.ready = true;
});
here.addTrack(stream.getAudioTracks()[0], stream);
await here.setLocalDescription(await here.createOffer());
await there.setRemoteDescription(here.localDescription);
await there.setLocalDescription(await there.createAnswer());
await here.setRemoteDescription(there.localDescription);
</script>"""


async def test_a_tone_and_its_delay_are_read_back(tmp_path: Path, unused_tcp_port: int) -> None:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    microphone = stimuli.microphone_file(tmp_path / "mic.wav", language="en", tone_hz=440)
    async with participant(microphone) as person:
        await person.page.goto(f"http://127.0.0.1:{unused_tcp_port}/")
        await person.page.wait_for_function("window.ready")
        await person.record("microphone")
        await person.record("heard")
        await person.page.wait_for_timeout(9_000)
        sent = await person.recording("microphone", 8)
        heard = await person.recording("heard", 8)
    await runner.cleanup()
    start, end = max(sent.start_s, heard.start_s), min(sent.start_s, heard.start_s) + 7.5
    rate = stimuli.MICROPHONE_RATE_HZ
    spoken, received = sent.between(start, end), heard.between(start, end)
    assert stimuli.tone_level_db(spoken, 440, rate) == pytest.approx(-26.0, abs=0.5)  # 0.05 of full scale
    assert stimuli.tone_level_db(received, 440, rate) == pytest.approx(-26.0, abs=1.0)
    assert stimuli.tone_level_db(received, 460, rate) < -50
    assert 0.01 < stimuli.lag_s(spoken, received, rate) < 0.3
