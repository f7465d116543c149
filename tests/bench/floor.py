"""The floor: what listeners' real voices do to a rendering, and how soon, in media time at our sender.

    python -m tests.bench.floor

Clips by espeak-ng in all its voices, several rates, levels and backgrounds, over a rendering without pauses; Silero
listens; each clip comes at three places within a frame. Without words, a voice is judged by its length alone or by
its sound as well (`interpreter/ears/backchannel_sound.py`), which is what a meeting does; with words, a transcription
lane has written each word 0.3 s after its end. Times are from the first sound of a clip as it was captured, 30 ms of
network and a cushion of 10 ms included. "Stop" is silence, whatever the clip was meant for. The last column counts
the clips that last 0.8 s or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from interpreter.ears.voice_model import VoiceModel
from scenarios.speech import Speaker
from scenarios.stimuli import Clip, clip_set, noise_clips
from scenarios.timeline import Kind
from tests.bench import machine
from tests.interpreter.floor_clips import (
    INTERRUPTION_S,
    LANGUAGES,
    Outcome,
    attempt,
    hear,
    p95,
    rendering,
)

PLACES = 3


def main() -> None:
    model = VoiceModel()
    print(
        "| clips | language | by | stop it | 12 dB down p50 / p95, ms | silent p50 / p95, ms | 0.8 s or longer |"
    )
    print("|---|---|---|---|---|---|---|")
    with TemporaryDirectory() as cache:
        speaker = Speaker(Path(cache))
        for language in LANGUAGES:
            rendered = rendering(language, speaker.say)
            clips = clip_set(language, speaker.say)
            heard = list(hear(clips.backchannels + clips.interruptions, rendered, model, places=PLACES))
            for judged, words in (("length", False), ("sound", False), ("words", True)):
                given = [one.by_length() for one in heard] if judged == "length" else heard
                tried = [attempt(one, rendered, language, words=words) for one in given]
                for name, group in _groups(tried):
                    _print(name, language, judged, group)
        rendered = rendering("en", speaker.say)
        noises = [attempt(one, rendered, "en", words=False) for one in hear(noise_clips(), rendered, model)]
        _print("coughs, noises", "", "sound", noises)


def _groups(tried: Sequence[Outcome]) -> list[tuple[str, list[Outcome]]]:
    def of(kind: Kind, low_s: float = 0.0, high_s: float = inf, *, paired: bool = False) -> list[Outcome]:
        return [
            one
            for one in tried
            if isinstance(one.clip, Clip)
            and one.clip.kind is kind
            and low_s <= one.clip.voiced_s < high_s
            and (not paired or "-pair-" in one.clip.id)
        ]

    return [
        ("interruptions", of(Kind.INTERRUPTION, INTERRUPTION_S)),
        ("shorter ones", of(Kind.INTERRUPTION, high_s=INTERRUPTION_S)),
        ("backchannels", of(Kind.BACKCHANNEL)),
        ("of pairs: interruptions", of(Kind.INTERRUPTION, paired=True)),
        ("of pairs: backchannels", of(Kind.BACKCHANNEL, paired=True)),
    ]


def _print(name: str, language: str, judged: str, tried: Sequence[Outcome]) -> None:
    ducked_s = [one.ducked_s for one in tried if one.ducked_s < inf]
    silent_s = [one.silent_s for one in tried if one.silent_s < inf]
    long = [one for one in tried if isinstance(one.clip, Clip) and one.clip.voiced_s >= INTERRUPTION_S]
    print(
        f"| {name} | {language} | {judged} | {sum(one.stopped for one in tried)} of {len(tried)} "
        f"| {_quantiles(ducked_s)} | {_quantiles(silent_s)} | {len(long)} |",
        flush=True,
    )


def _quantiles(times_s: Sequence[float]) -> str:
    return f"{1e3 * np.median(times_s):.0f} / {1e3 * p95(times_s):.0f}" if times_s else "-"


if __name__ == "__main__":
    print(machine.describe())
    main()
