"""The floor, by recordings of people: whether and how soon they are given way to, and what their sound changes.

    python -m tests.bench.recorded en /usr/share/asterisk/sounds/en_US_f_Allison --without silence

The clips of `tests.bench.floor` are synthetic. Here every WAV file of a folder is an interruption, if its first stretch
of speech lasts 0.8 s or more: its first 2.5 s come over a rendering without pauses, with no words known. None may be a
backchannel. What is printed for "length" is what a floor does that does not ask what a voice sounds like.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]

from duplex_model.contract import SAMPLE_RATE_HZ
from interpreter.ears.voice_model import VoiceModel
from scenarios.speech import LEVEL_DBFS, Speaker
from scenarios.voicing import active_level_dbfs, voiced_spans
from tests.bench import machine
from tests.interpreter.floor_clips import INTERRUPTION_S, LANGUAGES, Recorded, attempt, hear, p95, rendering

LONGEST_S = 2.5


def recordings(folder: Path, without: frozenset[str]) -> Iterator[Recorded]:
    """Those that are long enough."""
    for file in sorted(folder.rglob("*.wav")):
        if without & set(file.relative_to(folder).parts):
            continue
        pcm, rate_hz = soundfile.read(file, dtype="float32")
        pcm = soxr.resample(pcm, rate_hz, SAMPLE_RATE_HZ).astype(np.float32)
        level = active_level_dbfs(pcm)
        if level is None:
            continue
        spans = voiced_spans(pcm := pcm * np.float32(10 ** ((LEVEL_DBFS - level) / 20)))
        if spans[0].duration_s >= INTERRUPTION_S:
            start = round(spans[0].start_s * SAMPLE_RATE_HZ)
            name = file.relative_to(folder).with_suffix("").as_posix()
            yield Recorded(id=name, pcm=pcm[start : start + round(LONGEST_S * SAMPLE_RATE_HZ)])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("language", choices=LANGUAGES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="folders in it that are left out")
    options = parser.parse_args()
    with TemporaryDirectory() as cache:
        rendered = rendering(options.language, Speaker(Path(cache)).say)
    spoken = list(recordings(options.folder, frozenset(options.without)))
    heard = list(hear(spoken, rendered, VoiceModel()))
    print(
        "| by | stop it | silent p50 / p95, ms | later than 1 s | not given way to |\n|---|---|---|---|---|"
    )
    for judged, given in (("length", [one.by_length() for one in heard]), ("sound", heard)):
        tried = [attempt(one, rendered, options.language, words=False) for one in given]
        times_s = [one.silent_s for one in tried if one.silent_s < inf]
        late = sum(one > 1.0 for one in times_s)
        missed = ", ".join(one.clip.id for one in tried if not one.stopped)
        print(
            f"| {judged} | {len(tried) - sum(not one.stopped for one in tried)} of {len(tried)} "
            f"| {1e3 * np.median(times_s):.0f} / {1e3 * p95(times_s):.0f} | {late} | {missed or '-'} |"
        )


if __name__ == "__main__":
    print(machine.describe())
    main()
