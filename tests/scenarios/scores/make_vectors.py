"""Writes tests/data/scores/*.json: what other people's tools say of random cases. See tests/data/scores/README.md.

    python -m venv /tmp/vectors && /tmp/vectors/bin/pip install "omnisteval==0.1.10" scipy textgrid pandas
    /tmp/vectors/bin/pip install --no-deps "simuleval==1.1.4"
    /tmp/vectors/bin/python tests/scenarios/scores/make_vectors.py lag
    /tmp/vectors/bin/python tests/scenarios/scores/make_vectors.py bench FULL_DUPLEX_BENCH/v1_v1.5/evaluation
    .venv/bin/python tests/scenarios/scores/make_vectors.py voice

The first two run in an environment of their own: the pins of these tools clash with ours, and nothing of ours is
imported here. The last one needs only what is installed with ours, the package `silero-vad` with its torch.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import itertools
import json
import random
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "data" / "scores"
CASES = 60
SEED = 28


def main() -> None:
    if sys.argv[1:2] == ["lag"]:
        _write("lag.json", _lag())
    elif sys.argv[1:2] == ["bench"] and len(sys.argv) == 3:
        _write("bench.json", _bench(Path(sys.argv[2])))
    elif sys.argv[1:2] == ["voice"]:
        _write("voice.json", _voice())
    else:
        sys.exit(__doc__)


def _write(name: str, vectors: object) -> None:
    text = json.dumps(vectors, sort_keys=True).replace("}, {", "},\n {")
    (DATA / name).write_text(text + "\n", encoding="utf-8")


# Lag ----------------------------------------------------------------------------------------------------------------


def _lag() -> dict[str, object]:
    rng = random.Random(SEED)
    return {
        "made_with": {name: importlib.metadata.version(name) for name in ("simuleval", "omnisteval")},
        "cases": [_lag_case(rng) for _ in range(CASES)],
    }


def _lag_case(rng: random.Random) -> dict[str, object]:
    units = rng.randint(1, 25)
    source = float(rng.randint(500, 12_000))
    # Steps of 0 make chunks; some cases end after the source, and some begin after it.
    delays = [float(rng.randint(100, 3000) if rng.random() < 0.9 else rng.randint(12_000, 15_000))]
    while len(delays) < units:
        delays.append(delays[-1] + rng.choice([0, 0, 80, 240, 320, 777, 1500]))
    durations = [float(rng.choice([80, 160, 300, 410, 600, 930])) for _ in delays]
    reference_units = rng.randint(1, 25)
    recording = source + rng.randint(0, 8000)
    return {
        "source": source,
        "delays": delays,
        "durations": durations,
        "reference_units": reference_units,
        "recording": recording,
        **_simuleval(source, delays, durations, reference_units),
        **_omnisteval(source, delays, reference_units, float(recording)),
    }


def _simuleval(
    source: float, delays: list[float], durations: list[float], reference_units: int
) -> dict[str, float]:
    from simuleval.evaluator.instance import LogInstance, SpeechOutputInstance
    from simuleval.evaluator.scorers import latency_scorer as tool

    class Speech(SpeechOutputInstance):  # only what the scorers read of it
        def __init__(self) -> None:
            self.delays, self.durations, self.metrics = list(delays), list(durations), {}
            self.intervals: list[list[float]] = []
            end = 0.0
            for delay, duration in zip(delays, durations, strict=True):
                start = max(end, delay)
                end = start + duration
                self.intervals.append([start, duration])
            self.reference = " ".join(["w"] * reference_units)
            self.latency_unit = "word"

        @property
        def source_length(self) -> float:
            return source

    def text_instance() -> Any:
        info = {
            "index": 0,
            "prediction": " ".join(["w"] * len(delays)),
            "delays": list(delays),
            "elapsed": [0] * len(delays),
            "prediction_length": len(delays),
            "reference": " ".join(["w"] * reference_units),
            "source": "",
            "source_length": source,
        }
        return LogInstance(json.dumps(info))

    text = {0: text_instance()}
    speech = {0: Speech()}
    return {
        "AL": tool.ALScorer()(text),
        "LAAL": tool.LAALScorer()(text),
        "AP": tool.APScorer()(text),
        "DAL": tool.DALScorer()(text),
        "ATD_text": tool.ATDScorer()(text),
        "ATD_speech": tool.ATDScorer()(speech),
        "StartOffset": tool.StartOffsetScorer()(speech),
        "EndOffset": tool.EndOffsetScorer()(speech),
    }


def _omnisteval(
    source: float, delays: list[float], reference_units: int, recording: float
) -> dict[str, float | None]:
    from omnisteval.data import Instance
    from omnisteval.scoring import YAALScorer

    instance = Instance(
        prediction=" ".join(["w"] * len(delays)),
        reference=" ".join(["w"] * reference_units),
        source_length=source,
        emission_cu=list(delays),
        time_to_recording_end=None,
        longform=False,
    )
    short = YAALScorer().compute(instance)
    instance.time_to_recording_end, instance.longform = recording, True
    return {"YAAL": short, "YAAL_long": YAALScorer(is_longform=True).compute(instance)}


# Full-Duplex-Bench --------------------------------------------------------------------------------------------------

SCRIPTS = (
    "eval_pause_handling",
    "eval_smooth_turn_taking",
    "eval_user_interruption",
    "eval_backchannel",
    "get_timing",
)


class Sound:
    """Stands for what `torchaudio.load` gives: a length, and the voice segments that Silero would find in it."""

    def __init__(self, samples: int, segments: list[list[int]]) -> None:
        self.shape = (1, samples)
        self.segments = segments


def _bench(folder: Path) -> dict[str, object]:
    """Runs their scripts on folders of random samples. Only their two imports of sound are replaced."""
    sounds: dict[str, tuple[Sound, int]] = {}
    torchaudio = types.ModuleType("torchaudio")
    torchaudio.load = lambda path: sounds[Path(path).parent.name]  # type: ignore[attr-defined]
    silero = types.ModuleType("silero_vad")
    silero.load_silero_vad = lambda: None  # type: ignore[attr-defined]
    silero.get_speech_timestamps = _stored_segments  # type: ignore[attr-defined]
    sys.modules |= {"torchaudio": torchaudio, "silero_vad": silero}
    scripts = {name: _script(folder / f"{name}.py") for name in SCRIPTS}
    rng = random.Random(SEED)
    samples = [_bench_sample(rng) for _ in range(CASES)]
    for sample in samples:
        sample |= _bench_results(scripts, sounds, sample)
    return {"samples": samples, "means": _bench_means(scripts, sounds, samples)}


def _stored_segments(
    sound: Sound, *_: object, return_seconds: bool = False, **__: object
) -> list[dict[str, float]]:
    scale = 16_000 if return_seconds else 1
    return [{"start": start / scale, "end": end / scale} for start, end in sound.segments]


def _script(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _bench_sample(rng: random.Random) -> dict[str, Any]:
    duration_s = rng.randint(80, 200) / 10
    system = _random_segments(rng, duration_s)
    return {
        "duration_s": duration_s,
        "words": _words_within(rng, system) if system and rng.random() < 0.5 else _random_words(rng),
        "event": sorted(round(rng.uniform(0.0, duration_s), 3) for _ in range(2)),
        "system": system,
        "user": _random_segments(rng, duration_s),
        "people": [round(rng.random(), 4) + 0.001 for _ in range(rng.randint(20, 90))],
    }


def _random_words(rng: random.Random) -> list[dict[str, object]]:
    """A run of words, with no regard to where there is a voice."""
    words: list[dict[str, object]] = []
    at_s = rng.uniform(0.0, 6.0)
    for _ in range(rng.choice([0, 1, 2, 3, 4, 8, 20])):
        end_s = at_s + rng.uniform(0.08, 0.5)
        words.append({"text": "w", "timestamp": [round(at_s, 2), round(end_s, 2)]})
        at_s = end_s + rng.choice([0.0, 0.02, 0.3, 1.5])
    return words


def _words_within(rng: random.Random, segments: list[list[int]]) -> list[dict[str, object]]:
    """One to five words in every voice segment, some of them reaching over its edges."""
    words: list[dict[str, object]] = []
    for start, end in segments:
        edges = sorted(rng.uniform(start - 1000, end + 1000) / 16_000 for _ in range(rng.randint(1, 5) + 1))
        words += [
            {"text": "w", "timestamp": [max(0.0, round(a, 2)), max(0.0, round(b, 2))]}
            for a, b in itertools.pairwise(edges)
        ]
    return sorted(words, key=lambda word: word["timestamp"])  # type: ignore[arg-type, return-value]


def _random_segments(rng: random.Random, duration_s: float) -> list[list[int]]:
    """Beginnings and ends in samples at 16 kHz."""
    segments, at = [], rng.randint(0, 40_000)
    while at < duration_s * 16_000 - 8000 and len(segments) < rng.randint(0, 9):
        end = min(at + rng.choice([4800, 8000, 14_000, 20_000, 40_000, 60_000]), int(duration_s * 16_000))
        segments.append([at, end])
        at = end + rng.choice([2000, 7000, 9000, 12_000, 30_000])
    return segments


def _bench_results(
    scripts: dict[str, Any], sounds: dict[str, Any], sample: dict[str, Any]
) -> dict[str, object]:
    """What their scripts say of one sample alone."""
    with _sample_folder([sample], sounds) as folder:
        backchannel = _printed(scripts["eval_backchannel"].eval_backchannel, folder)
        user, system = (
            scripts["get_timing"].seg_sec(Sound(0, sample[who]), gap_s)
            for who, gap_s in (
                ("user", scripts["get_timing"].USER_MERGE_GAP),
                ("system", scripts["get_timing"].MODEL_MERGE_GAP),
            )
        )
        return {
            "pause": _figures(_printed(scripts["eval_pause_handling"].eval_pause_handling, folder)),
            "smooth": _figures(_printed(scripts["eval_smooth_turn_taking"].eval_smooth_turn_taking, folder)),
            "interruption": _figures(
                _printed(scripts["eval_user_interruption"].eval_user_interruption, folder, _judge())
            ),
            "backchannel": _figures(backchannel),
            "stops": scripts["get_timing"].overlaps(user, system),
            "responses": scripts["get_timing"].response_gaps(user, system),
        }


def _bench_means(
    scripts: dict[str, Any], sounds: dict[str, Any], samples: list[dict[str, Any]]
) -> dict[str, object]:
    """What their scripts say of all samples together."""
    with _sample_folder(samples, sounds) as folder:
        return {
            "pause": _figures(_printed(scripts["eval_pause_handling"].eval_pause_handling, folder)),
            "smooth": _figures(_printed(scripts["eval_smooth_turn_taking"].eval_smooth_turn_taking, folder)),
            "interruption": _figures(
                _printed(scripts["eval_user_interruption"].eval_user_interruption, folder, _judge())
            ),
            "backchannel": _figures(_printed(scripts["eval_backchannel"].eval_backchannel, folder)),
        }


@contextlib.contextmanager
def _sample_folder(samples: list[dict[str, Any]], sounds: dict[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        people = {str(n): sample["people"] for n, sample in enumerate(samples)}
        Path("icc_gt_distribution.json").write_text(json.dumps(people))
        for n, sample in enumerate(samples):
            folder = Path("samples", str(n))
            folder.mkdir(parents=True)
            (folder / "output.wav").touch()
            (folder / "output.json").write_text(json.dumps({"text": "", "chunks": sample["words"]}))
            (folder / "turn_taking.json").write_text(json.dumps([{"timestamp": sample["event"]}]))
            event = {"context": "", "interrupt": "", "timestamp": sample["event"]}
            (folder / "interrupt.json").write_text(json.dumps([event]))
            sounds[str(n)] = Sound(round(sample["duration_s"] * 24_000), sample["system"]), 24_000
        yield "samples"


def _judge() -> Any:
    """Rates everything 3: the figures that are compared do not depend on it."""
    message = types.SimpleNamespace(content="Analysis: none.\nI would rate the AI's response as 3")
    answer = types.SimpleNamespace(choices=[types.SimpleNamespace(message=message)])
    completions = types.SimpleNamespace(create=lambda **_: answer)
    return types.SimpleNamespace(chat=types.SimpleNamespace(completions=completions))


def _printed(run: Any, *arguments: object) -> str:
    """What it prints; their means fail where no turn was taken, after nothing or half was printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(ZeroDivisionError):
        run(*arguments)
    return printed.getvalue()


def _figures(printed: str) -> dict[str, float]:
    """`Average take turn:  0.5` and `JSD - Mean: 0.6490 ± 0.1` by their names."""
    found = {}
    for line in printed.splitlines():
        name, colon, figure = line.partition(": ")
        if colon and name in {
            "Average take turn",
            "Average latency",
            "JSD",
            "JSD - Mean",
            "TOR - Mean",
            "Frequency - Mean",
        }:
            found[name] = float(figure.split("±")[0])
    return found


# Silero -------------------------------------------------------------------------------------------------------------


def _voice() -> dict[str, object]:
    from silero_vad.utils_vad import get_speech_timestamps_from_probs

    rng = random.Random(SEED)
    cases = []
    for _ in range(CASES):
        level, probabilities = 0.1, []
        for _ in range(rng.randint(5, 150)):
            level = rng.choice([level, level, level, level, rng.random()])
            probabilities.append(round(min(1.0, max(0.0, level + rng.gauss(0.0, 0.1))), 3))
        samples = 512 * len(probabilities) - rng.randint(0, 511)
        found = get_speech_timestamps_from_probs(probabilities, audio_length_samples=samples)
        cases.append(
            {
                "probabilities": probabilities,
                "samples": samples,
                "segments": [[s["start"], s["end"]] for s in found],
            }
        )
    return {"made_with": {"silero-vad": importlib.metadata.version("silero-vad")}, "cases": cases}


if __name__ == "__main__":
    main()
