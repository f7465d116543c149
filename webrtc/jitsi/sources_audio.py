"""One participant's audio where they send several sources: a microphone, and the sound of a shared screen."""

from __future__ import annotations

from dataclasses import replace

from webrtc.room import IncomingAudio, IncomingFrame


class SourcesAudio:
    """The sum of somebody's sources; implements `IncomingAudio`. Sources come and go while it is pulled."""

    def __init__(self) -> None:
        self._sources: dict[int, IncomingAudio] = {}

    def put(self, ssrc: int, audio: IncomingAudio) -> None:
        """A source is there."""
        self._sources[ssrc] = audio

    def drop(self, ssrc: int) -> None:
        """A source is gone."""
        self._sources.pop(ssrc, None)

    @property
    def empty(self) -> bool:
        """Whether there is no source, and nothing to pull."""
        return not self._sources

    def pull(self, now_s: float) -> IncomingFrame:
        """The frame due at `now_s`; see `IncomingAudio.pull`. Not to be called while empty."""
        first, *others = [audio.pull(now_s) for audio in self._sources.values()]
        for other in others:
            first = _sum(first, other)
        return first


def _sum(one: IncomingFrame, other: IncomingFrame) -> IncomingFrame:
    if one.silent or other.silent:
        return other if one.silent else one
    return replace(
        one,
        pcm=one.pcm + other.pcm,
        captured_at_s=min(one.captured_at_s, other.captured_at_s),
        concealed_samples=max(one.concealed_samples, other.concealed_samples),
        recovered_samples=max(one.recovered_samples, other.recovered_samples),
    )
