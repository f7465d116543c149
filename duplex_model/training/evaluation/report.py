"""The outcome of an evaluation: JSON for machines, tables in Markdown for the model card."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from duplex_model.training.evaluation.cells import Kind
from duplex_model.training.evaluation.scores import CorpusScore, Estimate
from duplex_model.training.whole_file import write_whole

SHARES = frozenset(
    (
        "exact", "exact_micro", "number", "drug", "dose_unit", "negation", "side", "polarity", "word_error", "silent",
        "stopped_in_half_a_second", "not_resumed", "next_turn_exact", "continued", "abstained", "said_nothing",
        "completed", "phone_error", "phone_error_of_clean_speech", "voice_identified",
        "voice_identified_after_the_codec_alone", "pocketsphinx_word_error", "pocketsphinx_word_error_of_clean_speech",
        "abstention_precision", "abstention_recall", "answered",
    )
)  # fmt: skip
"""Figures from 0 to 1, shown in per cent; all others are seconds."""

_TITLES = {
    Kind.TRANSLATION: "Interpreting",
    Kind.QUIET: "Nothing to interpret",
    Kind.INTERRUPTION: "Interrupted by a listener",
    Kind.BACKCHANNEL: "Backchannels of the speaker",
    Kind.RESUMPTION: "The speaker goes on",
    Kind.OUT_OF_DOMAIN: "Speech outside the domain",
    Kind.NOTICE: "Given texts",
    Kind.VOICE: "Voices, one of eight",
}


@dataclass(frozen=True)
class Row:
    """The figures of one cell."""

    name: str
    kind: Kind
    trials: int
    figures: Mapping[str, Estimate]
    scores: Mapping[str, CorpusScore | None] = field(default_factory=dict)
    examples: Sequence[Mapping[str, str]] = ()
    """A few outputs as they were, right or wrong."""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "cell": self.name,
            "kind": self.kind.value,
            "trials": self.trials,
            "figures": {name: figure.as_json() for name, figure in self.figures.items()},
            "scores": {
                name: {"value": round(score.value, 2), "signature": score.signature}
                for name, score in self.scores.items()
                if score is not None
            },
            "examples": list(self.examples),
        }


@dataclass(frozen=True)
class Report:
    """All rows, and how they came about."""

    about: Mapping[str, Any]
    rows: Sequence[Row]
    overall: Mapping[str, Estimate] = field(default_factory=dict)
    """Figures across cells."""

    def write(self, path: Path) -> None:
        """Writes JSON, whole or not at all."""
        overall = {name: figure.as_json() for name, figure in self.overall.items()}
        described = {**self.about, "overall": overall, "rows": [row.as_json() for row in self.rows]}
        text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
        write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def markdown(self) -> str:
        """One table for each question, each figure with its interval and, where it differs, its n."""
        parts = [f"Measured by `python -m duplex_model.training.evaluate`: {_sentence(self.about)}."]
        parts.append(
            "In brackets the 95 % interval. Times in seconds. Exact: macro average over productions."
        )
        for kind, title in _TITLES.items():
            rows = [row for row in self.rows if row.kind is kind]
            if rows:
                parts += [f"### {title}", _table(rows)]
        if self.overall:
            parts += [
                "### Across all cells",
                "\n".join(f"- {_words(k)}: {_cell(k, v, None)}" for k, v in self.overall.items()),
            ]
        signatures = sorted(
            {score.signature for row in self.rows for score in row.scores.values() if score is not None}
        )
        parts += [f"`{signature}`" for signature in signatures]
        return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name, figure in row.figures.items() if figure.n))
    scores = list(
        dict.fromkeys(name for row in rows for name, score in row.scores.items() if score is not None)
    )
    lines = [
        "| cell | n | " + " | ".join(map(_words, [*names, *scores])) + " |",
        "|---|--:|" + "--:|" * (len(names) + len(scores)),
    ]
    for row in rows:
        cells = [_cell(name, row.figures.get(name), row.trials) for name in names]
        cells += [_score(row.scores.get(name)) for name in scores]
        lines.append(f"| {row.name} | {row.trials} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(name: str, figure: Estimate | None, trials: int | None) -> str:
    if figure is None or figure.value is None:
        return "–"
    scale, digits, unit = (100, 0, " %") if name in SHARES else (1, 2, "")
    text = f"{figure.value * scale:.{digits}f}{unit}"
    if figure.low is not None and figure.high is not None:
        text += f" [{figure.low * scale:.{digits}f}, {figure.high * scale:.{digits}f}]"
    return text if figure.n == trials else f"{text} (n {figure.n})"


def _score(score: CorpusScore | None) -> str:
    return "–" if score is None else f"{score.value:.1f}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _sentence(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {value}" for name, value in about.items())


def circumstances() -> dict[str, Any]:
    """The commit and the machine."""
    return {
        "commit": _commit(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def _commit() -> str:
    """Of the working tree that this file is in; `unknown` outside of one."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
