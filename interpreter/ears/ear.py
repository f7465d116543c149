"""What the interpreter hears of one participant: their voice alone, and whether they speak. Pure.

frame ── echo of what they were sent taken out ──┬── the others hear it
                                                 ├── voice activity, and whether it sounds like "mm-hm"
                                                 └── sessions, unless only echo is left of it: then silence
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Pcm
from interpreter.ears import backchannel_sound
from interpreter.ears.backchannel_model import BackchannelModel
from interpreter.ears.backchannel_sound import BackchannelSound
from interpreter.ears.echo import EchoCanceller
from interpreter.ears.voice_activity import Voice, VoiceActivity
from interpreter.ears.voice_model import VoiceModel
from interpreter.sessions.sessions import Heard
from webrtc.room import IncomingFrame

_SAME_SPURT_S = 0.1  # the onset of one spurt wobbles by less, as capture times do

_TOLD_S = 1.0
"""After the last sound that they were sent, a person is still being told something: they may answer into its pause."""

_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
_SILENCE.setflags(write=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class Listened:
    """One frame, as it goes on."""

    original: Pcm
    """[1920], for the others."""

    heard: Heard
    """For the sessions."""

    voice: Voice
    gated: bool
    """Only our own echo was in it."""


class Ear:
    """Listens to one track.

    Args:
        model: of voice activity, shared by all.
        cancels_echo: look for what the participant was sent in what they say, and take it out.
        backchannels: of the sound of "mm-hm", shared by all; the one that is shipped by default.
    """

    def __init__(
        self, model: VoiceModel, *, cancels_echo: bool = True, backchannels: BackchannelModel | None = None
    ) -> None:
        self._echo = EchoCanceller() if cancels_echo else None
        self._activity = VoiceActivity(model)
        self._sound = BackchannelSound(backchannels or backchannel_sound.shipped())
        self._told_until_s = -inf

    def sent(self, pcm: Pcm, at_s: float) -> None:
        """What the participant hears next; see `EchoCanceller.sent`."""
        if pcm.any():
            self._told_until_s = at_s + FRAME_S
        if self._echo is not None:
            self._echo.sent(pcm, at_s)

    def listen(self, frame: IncomingFrame) -> Listened:
        """The next frame."""
        pcm, gated = frame.pcm, False
        if self._echo is not None:
            cleaned = self._echo.clean(frame.pcm, frame.captured_at_s)
            pcm, gated = cleaned.pcm, cleaned.gated
        if gated or frame.silent:
            pcm = _SILENCE
        voice = self._activity.advance(pcm, frame.captured_at_s)
        told = frame.captured_at_s < self._told_until_s + _TOLD_S
        sounds_like = self._sound.advance(pcm, frame.captured_at_s, voice, wanted=told)
        return Listened(
            original=pcm,
            heard=Heard(pcm=pcm, concealed=frame.concealed_samples > 0),
            voice=replace(voice, backchannel_in=sounds_like) if sounds_like else voice,
            gated=gated,
        )


class SpurtWords:
    """What somebody said in the spurt that runs, where their words are written down."""

    def __init__(self) -> None:
        self._text = ""
        self._onset_s: float | None = None

    def add(self, piece: str) -> None:
        """A piece was written down."""
        self._text += piece

    def at(self, voice: Voice) -> str:
        """The words since the running spurt began; those of an earlier one are forgotten when the next begins."""
        onset_s = voice.onset_s
        if onset_s is not None and (self._onset_s is None or abs(onset_s - self._onset_s) > _SAME_SPURT_S):
            self._text, self._onset_s = "", onset_s
        return self._text
