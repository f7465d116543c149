"""Somebody's sources as one sound."""

from __future__ import annotations

import numpy as np
import pytest

from tests.fakes import ToneTrack, amplitude
from webrtc.jitsi.sources_audio import SourcesAudio
from webrtc.room import IncomingFrame

MICROPHONE_HZ, SCREEN_HZ = 300.0, 500.0


class LossyTrack(ToneTrack):
    def pull(self, now_s: float) -> IncomingFrame:
        frame = super().pull(now_s)
        return IncomingFrame(pcm=frame.pcm, captured_at_s=now_s - 0.5, concealed_samples=480)


def test_several_sources_are_added_up_and_come_and_go() -> None:
    whole = SourcesAudio()
    assert whole.empty
    whole.put(1, ToneTrack(MICROPHONE_HZ))
    frame = whole.pull(10.0)
    assert amplitude(frame.pcm, MICROPHONE_HZ) == pytest.approx(0.1, rel=1e-3)
    whole.put(2, LossyTrack(SCREEN_HZ))
    frame = whole.pull(10.08)
    for hz in (MICROPHONE_HZ, SCREEN_HZ):
        assert amplitude(frame.pcm, hz) == pytest.approx(0.1, rel=1e-3)
    assert frame.pcm.dtype == np.float32
    assert frame.concealed_samples == 480
    assert frame.captured_at_s == pytest.approx(9.58), "the older of the two"
    whole.drop(1)
    whole.drop(1)
    assert amplitude(whole.pull(10.16).pcm, MICROPHONE_HZ) < 1e-6
    whole.drop(2)
    assert whole.empty


def test_silence_of_one_source_changes_nothing_of_the_other() -> None:
    whole = SourcesAudio()
    whole.put(1, ToneTrack(MICROPHONE_HZ, sounds=lambda n: False))
    whole.put(2, ToneTrack(SCREEN_HZ))
    frame = whole.pull(10.0)
    assert not frame.silent
    assert amplitude(frame.pcm, SCREEN_HZ) == pytest.approx(0.1, rel=1e-3)
    whole.drop(2)
    assert whole.pull(10.08).silent
