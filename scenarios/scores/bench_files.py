"""Full-Duplex-Bench on folders of samples, in its own layout, and what else a user has to supply for it.

    ROOT/0/output.wav            what the system said, on the clock of input.wav
    ROOT/0/output.json           its words: {"text", "chunks": [{"text", "timestamp": [start, end]}]}
    ROOT/0/pause.json            [{"timestamp": [start, end]}] of the user's pause                       (pause)
    ROOT/0/turn_taking.json      [{"timestamp": [end, ...]}], the user's turn ends at the first           (smooth_turn)
    ROOT/0/interrupt.json        [{"timestamp": [start, end], "context", "interrupt"}]                    (interruption)
    ROOT/0/input.wav             what the user said                                                       (overlap)
    ROOT/0/metadata.json         {"timestamps": [start, end]} of the user's event                         (overlap)
    ROOT/0/rating.json           {"rating": 0 to 5} of a judge, as their script writes it                 (optional)
    ROOT/0/behaviour.json        {"behaviour": "C_RESPOND"} of a judge, v1.5                              (optional)
    ROOT/0/mos.json              {"before": 3.1, "after": 2.9} of a listener or a model, v1.5             (optional)

Ratings, behaviours and opinion scores are never made here. Their corpora have licences of their own: Candor's and
ICC's are CC BY-NC 4.0, the synthetic ones MIT. None is in this repository.
"""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]

from duplex_model.contract import Pcm
from interpreter.ears.voice_model import VoiceModel
from scenarios.errors import RunLogError
from scenarios.run_files import read_sound
from scenarios.scores import bench_v1, bench_v15
from scenarios.scores.bench_v1 import Histogram, TimedText
from scenarios.scores.bench_voice import Side, fixed_voice_scores, official_voice_scores, voice_around
from scenarios.scores.score import Score, mean, not_scored, share
from scenarios.scores.voice_segments import voice_segments
from scenarios.voicing import Span


class Task(enum.Enum):
    """What a folder of samples is for."""

    PAUSE = "pause"
    SMOOTH_TURN = "smooth_turn"
    INTERRUPTION = "interruption"
    BACKCHANNEL = "backchannel"
    OVERLAP = "overlap"  # any of v1.5's four


class Mode(enum.Enum):
    """Whose arithmetic: see `bench_v1`."""

    OFFICIAL = "official"
    FIXED = "fixed"


def score_folder(
    root: Path,
    task: Task,
    mode: Mode,
    *,
    word_source: str,
    model: VoiceModel,
    people: Mapping[str, Histogram] | None = None,
) -> list[Score]:
    """The figures of one task.

    Args:
        root: with a folder per sample, named by a number.
        task: what the samples are for.
        mode: official or fixed.
        word_source: who recognised the words of `output.json`; every figure of words names it. In official mode an
            interruption's are taken for those of the sound after its end, as their recogniser writes them.
        model: finds voices, where a task asks for them.
        people: sample -> people's backchannels (`read_histograms`); without it official backchannels are not scored.

    Raises:
        RunLogError: a file is missing or not what it should be; the message names it.
    """
    samples = sorted(
        (path for path in root.iterdir() if path.name.isdigit()), key=lambda path: int(path.name)
    )
    if not samples:
        raise RunLogError(f"expected a folder per sample, named by a number, in {root}, got none")
    version = "bench_v15" if task is Task.OVERLAP else "bench_v1"
    name = f"{version}.{mode.value}.{task.value}"
    official = mode is Mode.OFFICIAL
    if task is Task.PAUSE:
        of_pause = _official_pause if official else _fixed_pause
        return [share(f"{name}.take_over", [of_pause(one) for one in samples], note=f"words: {word_source}")]
    if task is Task.SMOOTH_TURN:
        return bench_v1.turn_scores(name, [_smooth_turn(one, official) for one in samples], word_source)
    if task is Task.BACKCHANNEL:
        if official and people is None:
            return [not_scored(f"{name}.divergence", "sqrt nat", "needs icc_gt_distribution.json")]
        found = [_backchannels(one, official, model, (people or {}).get(one.name)) for one in samples]
        return bench_v1.backchannel_scores(name, found, word_source)
    if task is Task.INTERRUPTION:
        return [*_interruption(samples, name, official, word_source, model), _ratings(samples, name)]
    return [
        *_overlap(samples, name, official, model),
        *bench_v15.rate_scores(name, [_rates(one) for one in samples], word_source),
        *(
            official_voice_scores(name)
            if official
            else fixed_voice_scores(name, [_voice(one) for one in samples])
        ),
        *_opinions(samples, name),
    ]


def read_words(path: Path) -> tuple[TimedText, ...]:
    """The words of an `output.json`.

    Raises:
        RunLogError: it is none.
    """
    chunks = _entry(path, _read(path, dict), "chunks", list)
    return tuple(_word(path, one) for one in chunks)


def read_event(path: Path) -> Span:
    """The span of an event file. One that gives only a beginning ends there.

    Raises:
        RunLogError: it is none.
    """
    events = _read(path, list)
    times = events[0].get("timestamp") if events and isinstance(events[0], dict) else None
    return _span(path, times)


def read_histograms(path: Path) -> Mapping[str, Histogram]:
    """Sample -> people's backchannels in bins of 200 ms, from `icc_gt_distribution.json`.

    Raises:
        RunLogError: it is none.
    """
    return {str(name): np.asarray(bins, dtype=np.float64) for name, bins in _read(path, dict).items()}


def _official_pause(sample: Path) -> bool:
    return bench_v1.official_pause(read_words(sample / "output.json"))


def _fixed_pause(sample: Path) -> bool:
    return bench_v1.fixed_pause(read_words(sample / "output.json"), read_event(sample / "pause.json"))


def _smooth_turn(sample: Path, official: bool) -> bench_v1.Turn:
    words, end_s = read_words(sample / "output.json"), read_event(sample / "turn_taking.json").start_s
    if official:
        return bench_v1.official_smooth_turn(words, end_s)
    begin_s = min((span.start_s for span in _user_spans(sample)), default=0.0)
    return bench_v1.fixed_smooth_turn(words, Span(start_s=min(begin_s, end_s), end_s=end_s))


def _user_spans(sample: Path) -> tuple[Span, ...]:
    """Of the user's words, from `transcription.json`, where there is one: without it the turn begins at 0."""
    path = sample / "transcription.json"
    if not path.exists():
        return ()
    words = _read(path, list) if path.read_text(encoding="utf-8").lstrip().startswith("[") else None
    entries = words if words is not None else _entry(path, _read(path, dict), "chunks", list)
    found = [_word(path, one) for one in entries]
    return tuple(
        Span(start_s=one.start_s, end_s=one.end_s)
        for one in found
        if one.start_s is not None and one.end_s is not None
    )


def _backchannels(
    sample: Path, official: bool, model: VoiceModel, people: Histogram | None
) -> bench_v1.Backchannels:
    pcm, rate_hz = _sound(sample / "output.wav")
    words = read_words(sample / "output.json")
    segments = voice_segments(pcm, rate_hz, model, resample=not official)
    duration_s = len(pcm) / rate_hz
    if not official:
        return bench_v1.fixed_backchannels(segments, words, duration_s, people)
    if people is None:
        raise RunLogError(f"{sample}: expected people's backchannels of this sample, got none")
    return bench_v1.official_backchannels(segments, words, duration_s, people)


def _interruption(
    samples: list[Path], name: str, official: bool, word_source: str, model: VoiceModel
) -> list[Score]:
    if official:
        turns = [
            bench_v1.official_interruption(
                read_words(one / "output.json"), read_event(one / "interrupt.json").end_s
            )
            for one in samples
        ]
        return bench_v1.turn_scores(name, turns, word_source)
    found = []
    for one in samples:
        segments = bench_v15.merged(
            voice_segments(*_sound(one / "output.wav"), model), bench_v15.SYSTEM_GAP_S
        )
        words = read_words(one / "output.json")
        found.append(bench_v1.fixed_interruption(segments, words, read_event(one / "interrupt.json")))
    return bench_v1.interruption_scores(name, found, word_source)


def _overlap(samples: list[Path], name: str, official: bool, model: VoiceModel) -> list[Score]:
    source = "Silero"
    pairs = [
        tuple(voice_segments(*_sound(one / file), model) for file in ("input.wav", "output.wav"))
        for one in samples
    ]
    if official:
        timings = [bench_v15.official_timing(user, system) for user, system in pairs]
        return bench_v15.official_scores(name, timings, source)
    overlaps = [overlap for user, system in pairs for overlap in bench_v15.fixed_timing(user, system)]
    return bench_v15.fixed_scores(name, overlaps, source)


def _rates(sample: Path) -> tuple[float | None, float | None]:
    return bench_v15.rates_around(read_words(sample / "output.json"), _event_end_s(sample))


def _voice(sample: Path) -> tuple[Side, Side]:
    pcm = read_sound(sample / "output.wav")
    return voice_around(pcm, read_words(sample / "output.json"), _event_end_s(sample))


def _event_end_s(sample: Path) -> float:
    path = sample / "metadata.json"
    return _span(path, _entry(path, _read(path, dict), "timestamps", list)).end_s


def _span(path: Path, times: object) -> Span:
    if not isinstance(times, list) or not times or not all(isinstance(one, int | float) for one in times):
        raise RunLogError(f"{path}: expected a timestamp of two numbers, got {times!r}")
    return Span(start_s=float(times[0]), end_s=float(times[-1]))


def _ratings(samples: list[Path], name: str) -> Score:
    """Relevance, 0 to 5, over the samples that somebody's judge has rated."""
    ratings = _supplied(
        samples, "rating.json", lambda path: float(_entry(path, _read(path, dict), "rating", int))
    )
    if not ratings:
        return not_scored(f"{name}.relevance", "0 to 5", "needs rating.json of a judge")
    return mean(f"{name}.relevance", ratings, "0 to 5", note="judge: rating.json")


def _opinions(samples: list[Path], name: str) -> list[Score]:
    """Behaviours and opinion scores, where somebody supplies them."""
    found = _supplied(
        samples, "behaviour.json", lambda path: str(_entry(path, _read(path, dict), "behaviour", str))
    )
    scores = [
        share(
            f"{name}.behaviour.{behaviour}", [one == behaviour for one in found], note="judge: behaviour.json"
        )
        for behaviour in sorted(Counter(found))
    ] or [not_scored(f"{name}.behaviour", "share", "needs behaviour.json of a judge")]
    for side in ("before", "after"):
        values = _supplied(samples, "mos.json", partial(_number, name=side))
        figure = f"{name}.mos.{side}"
        scores.append(
            mean(figure, values, "1 to 5", note="opinions: mos.json")
            if values
            else not_scored(figure, "1 to 5", "needs mos.json")
        )
    return scores


def _supplied(samples: list[Path], file: str, read: Callable[[Path], Any]) -> list[Any]:
    return [read(one / file) for one in samples if (one / file).exists()]


def _number(path: Path, name: str) -> float:
    value = _read(path, dict).get(name)
    if not isinstance(value, int | float):
        raise RunLogError(f"{path}: expected a number {name!r}, got {value!r}")
    return float(value)


def _word(path: Path, one: object) -> TimedText:
    times = one.get("timestamp") if isinstance(one, dict) else None
    if not isinstance(one, dict) or not isinstance(times, list) or len(times) != 2:
        raise RunLogError(f"{path}: expected words with a timestamp of two, got {one!r}")
    start_s, end_s = (None if time is None else float(time) for time in times)
    return TimedText(text=str(one.get("text", "")), start_s=start_s, end_s=end_s)


def _sound(path: Path) -> tuple[Pcm, int]:
    """Samples of a file as they are, channels averaged, and their rate."""
    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise RunLogError(f"expected a sound at {path}, got {error}") from error
    return np.asarray(samples.mean(axis=1), dtype=np.float32), int(rate_hz)


def _entry(path: Path, whole: Mapping[str, Any], name: str, kind: type) -> Any:
    if not isinstance(whole.get(name), kind):
        raise RunLogError(f"{path}: expected {name!r} to be {kind.__name__}, got {whole.get(name)!r}")
    return whole[name]


def _read(path: Path, kind: type) -> Any:
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunLogError(f"expected JSON at {path}, got {error}") from error
    if not isinstance(whole, kind):
        raise RunLogError(f"{path}: expected {kind.__name__}, got {type(whole).__name__}")
    return whole
