"""Whether all that somebody said in the running spurt sounds like a backchannel, where no words are known. Pure.

    track     ............|yes, I see|............
    voice     ............|==========|------|          the running spurt
    network            |<>|0.1 s before it is heard, too
    judged                  |.......................|  from `FROM_S` to `UNTIL_S` after its onset, at each frame

It listens only while the person is being told something: nobody else can interrupt.
"""

from __future__ import annotations

from collections import deque
from functools import cache

import numpy as np

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.backchannel_model import BackchannelModel, HeardSoFar
from interpreter.ears.voice_activity import Voice

BEFORE_S = 0.1
"""What is heard of a track before a voice; the network was trained with as much."""

FROM_S = 0.3
SETTLED_S = 0.6
"""What is more likely something else from then on stays that: no backchannel becomes of it."""

UNTIL_S = 1.5
"""What goes on for longer is an interruption whatever it sounds like."""

NOTHING: frozenset[str] = frozenset()

_KEPT_FRAMES = round((UNTIL_S + BEFORE_S) / FRAME_S) + 1
_SAME_SPURT_SAMPLES = SAMPLE_RATE_HZ // 10


@cache
def shipped() -> BackchannelModel:
    """The network that comes with the package, loaded when first needed."""
    return BackchannelModel()


class BackchannelSound:
    """Follows one track."""

    def __init__(self, model: BackchannelModel) -> None:
        self._model = model
        self._kept: deque[Pcm] = deque(maxlen=_KEPT_FRAMES)  # the last frames
        self._samples = 0  # of the track, so far
        self._onset: int | None = None  # of the running spurt, in samples of the track
        self._next = 0  # the sample that the network hears next
        self._heard: HeardSoFar | None = None
        self._verdict = NOTHING
        self._others = NOTHING  # languages in which it has turned out to be something else

    def advance(self, pcm: Pcm, captured_at_s: float, voice: Voice, *, wanted: bool) -> frozenset[str]:
        """The languages in whose backchannels all sounds like one that was said in the running spurt.

        Args:
            pcm: [1920], the next frame, as `voice` was told from.
            captured_at_s: time of its first sample.
            voice: what is known of the track at its end.
            wanted: whether anybody asks; where nobody does, nothing is heard, and the answer is none.
        """
        self._kept.append(pcm)
        self._samples += FRAME_SAMPLES
        if voice.onset_s is None or not wanted:
            self._onset, self._heard, self._verdict = None, None, NOTHING
            return NOTHING
        onset = self._samples - FRAME_SAMPLES + round((voice.onset_s - captured_at_s) * SAMPLE_RATE_HZ)
        if self._onset is None or abs(onset - self._onset) > _SAME_SPURT_SAMPLES:
            self._onset, self._heard = onset, self._model.begin()
            self._verdict = self._others = NOTHING
            self._next = max(
                onset - round(BEFORE_S * SAMPLE_RATE_HZ), self._samples - len(self._kept) * FRAME_SAMPLES
            )
        said_s = (self._samples - self._onset) / SAMPLE_RATE_HZ
        if said_s > UNTIL_S:
            self._verdict = NOTHING
        elif voice.active and self._heard is not None:
            self._heard = self._model.listen(self._unheard(), self._heard)
            self._next = self._samples
            if said_s >= FROM_S:
                logits = self._model.judge(self._heard)
                if said_s >= SETTLED_S:
                    self._others |= {language for language, logit in logits.items() if logit < 0.0}
                assenting = {language for language, logit in logits.items() if logit > self._model.threshold}
                self._verdict = frozenset(assenting - self._others)
        return self._verdict

    def _unheard(self) -> Pcm:
        """What is kept of the track from `_next` on."""
        frames = -(-(self._samples - self._next) // FRAME_SAMPLES)
        return np.concatenate([self._kept[n] for n in range(-frames, 0)])[self._next - self._samples :]
