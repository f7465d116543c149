"""How well a checkpoint interprets what it was never trained on.

    python -m duplex_model.training.evaluate --checkpoint FOLDER --out report.json --markdown report.md
    python -m duplex_model.training.evaluate --checkpoint FOLDER --out report.json --quick --cells consecutive

The checkpoint runs as it is served, many lanes at once: its own sampling, its codec in both directions, free-running
to the end of each trial and its tail. In `evaluation`, `cells` says what is played, `measures` what is read off,
`judges` who listens. Cells are independent of each other, so that several processes share them; a report is written
after every one, so that a run that is stopped has shown something. A look at a model in training is `quick`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from duplex_model.assembly import NeuralOptions, load_model
from duplex_model.batch_model import BatchModel
from duplex_model.config import GREEDY, CheckpointConfig
from duplex_model.contract import FRAME_SAMPLES, Pcm
from duplex_model.errors import CheckpointError, DuplexModelError
from duplex_model.neural import NeuralModel
from duplex_model.source import CheckpointFiles, find_files, parse_source
from duplex_model.training.evaluation.cells import Cell, Kind, Planner, Stock, stock_of
from duplex_model.training.evaluation.figures import row_of
from duplex_model.training.evaluation.judges import (
    SecondOpinion,
    Spoken,
    enrol,
    phone_scores,
    second_opinion,
    training_pairs,
    voice_figures,
)
from duplex_model.training.evaluation.measures import voice_only
from duplex_model.training.evaluation.phone_reader import Recogniser
from duplex_model.training.evaluation.phone_reader import load as load_recogniser
from duplex_model.training.evaluation.report import Report, Row, circumstances
from duplex_model.training.evaluation.rollout import Rollout, run_trials
from duplex_model.training.evaluation.scores import Estimate, share
from duplex_model.training.grammar import load_grammar

PER_CELL = 60
QUICK_PER_CELL = 12
LANES = 16
SPHINX_SENTENCES = 2000
"""From which it learns which words follow which."""


@dataclass(frozen=True)
class Listener:
    """Judges of what is said aloud; each may be missing."""

    stock: Stock
    recogniser: Recogniser | None = None
    sphinx: SecondOpinion | None = None
    through_codec: Callable[[Pcm], Pcm] | None = None
    """Speech as the checkpoint's codec gives it back; without it, voices are not told apart."""

    def figures(self, cell: Cell, rollouts: Sequence[Rollout]) -> dict[str, Estimate]:
        """Figures of the audio of a cell."""
        language, own_voices = cell.language_out, self.stock.materials.own_voices
        given = cell.kind in (Kind.NOTICE, Kind.VOICE)
        if not given and cell.kind is not Kind.TRANSLATION:
            return {}
        spoken = [
            Spoken(voice_only(rollout), case.expected if given else rollout.text, case.own_voice)
            for case, rollout in zip(cell.cases, rollouts, strict=True)
        ]
        figures: dict[str, Estimate] = {}
        if self.recogniser is not None:
            figures |= phone_scores(self.recogniser, own_voices, language, spoken).figures()
        if self.sphinx is not None and language == "en":
            figures |= self.sphinx.figures(own_voices, spoken)
        if cell.kind is Kind.VOICE and self.through_codec is not None:
            book = enrol(self.stock.grammar, own_voices, language, self.through_codec)
            figures |= voice_figures(book, own_voices, language, spoken, self.through_codec)
        return figures


@dataclass(frozen=True)
class Outcome:
    """What came of one cell."""

    row: Row
    kind: Kind
    abstained: tuple[bool, ...]
    """[trials]."""


@dataclass(frozen=True)
class Examiner:
    """A model, what to ask it, and who listens."""

    model: BatchModel
    planner: Planner
    listener: Listener

    def examine(self, name: str) -> Outcome | None:
        """Runs one cell; None where the stock has nothing for it."""
        cell = self.planner.cells()[name]()
        if not cell.cases:
            return None
        rollouts = run_trials(
            self.model, [case.trial for case in cell.cases], report=lambda done, words: None
        )
        row = row_of(cell, rollouts, self.listener.figures(cell, rollouts))
        return Outcome(row, cell.kind, tuple(bool(rollout.unsure_frames) for rollout in rollouts))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to make an examiner, in whichever process."""

    checkpoint: str
    recogniser: Path | None = None
    tier: str = "core"
    per_cell: int = PER_CELL
    lanes: int = LANES
    threads: int = 1
    greedy: bool = False
    seed: int = 0

    @property
    def planner(self) -> Planner:
        """Of the cells."""
        return Planner(stock_of(load_grammar(self.tier), self.seed), self.per_cell)


def served(files: CheckpointFiles, plan: Plan) -> NeuralModel:
    """The checkpoint on the CPU as an engine has it, but without the engine's clock.

    Raises:
        CheckpointError: broken files.
    """
    config = files.config
    if plan.greedy:
        config = replace(config, generation=replace(config.generation, text=GREEDY, audio=GREEDY))
    options = NeuralOptions(lanes=plan.lanes, device=torch.device("cpu"), dtype=torch.float32)
    return load_model(config, files, options, report=lambda done, words: None)


def _files(checkpoint: str) -> CheckpointFiles:
    return find_files(parse_source(checkpoint), report=lambda done, words: None)


def through(model: NeuralModel) -> Callable[[Pcm], Pcm]:
    """Speech, encoded and decoded by the codec of `model`."""
    codec = model.codec

    @torch.no_grad()
    def given_back(pcm: Pcm) -> Pcm:
        whole = np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES))
        said: Pcm = codec.decode(codec.encode(torch.from_numpy(whole)[None, None]))[0, 0].numpy()
        return said

    return given_back


@cache
def _examiner(plan: Plan) -> Examiner:
    torch.set_num_threads(plan.threads)
    planner = plan.planner
    recogniser = None if plan.recogniser is None else load_recogniser(plan.recogniser)
    heard_by_sphinx = [pair.en for pair in training_pairs(planner.stock.grammar, SPHINX_SENTENCES)]
    model = served(_files(plan.checkpoint), plan)
    listener = Listener(planner.stock, recogniser, second_opinion(heard_by_sphinx), through(model))
    return Examiner(model, planner, listener)


def _examine(plan: Plan, name: str) -> Outcome | None:
    """One cell in this process, whose examiner stays for the next one."""
    return _examiner(plan).examine(name)


def evaluate(plan: Plan, names: Sequence[str], *, workers: int, about: dict[str, Any], out: Path) -> Report:
    """Runs cells in processes of their own, and writes the report after each.

    Args:
        plan: how.
        names: of the cells.
        workers: processes.
        about: what the report says of the circumstances.
        out: the report.
    """
    outcomes: list[Outcome] = []
    begun_s = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as processes:
        for number, outcome in enumerate(processes.map(partial(_examine, plan), names), 1):
            if outcome is not None:
                outcomes.append(outcome)
            minutes = (time.monotonic() - begun_s) / 60
            report_of(outcomes, about | {"minutes": round(minutes, 1)}).write(out)
            sys.stderr.write(f"{number} of {len(names)}, {minutes:.1f} min: {names[number - 1]}\n")
    return report_of(outcomes, about | {"minutes": round(minutes, 1)})


def report_of(outcomes: Sequence[Outcome], about: dict[str, Any]) -> Report:
    """The report of all cells that are done."""
    return Report(about, [outcome.row for outcome in outcomes], abstention(outcomes))


def abstention(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    """Of all abstentions, how many were outside the domain; of all that was, how much was refused."""
    outside = [one for outcome in outcomes if outcome.kind is Kind.OUT_OF_DOMAIN for one in outcome.abstained]
    inside = [one for outcome in outcomes if outcome.kind is Kind.TRANSLATION for one in outcome.abstained]
    if not outside:
        return {}
    right, wrong = [True] * sum(outside), [False] * sum(inside)
    return {"abstention_precision": share(right + wrong), "abstention_recall": share(outside)}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m duplex_model.training.evaluate",
        description="Evaluates a checkpoint on what was held out.",
    )
    top.add_argument(
        "--checkpoint", required=True, metavar="NAME|FOLDER", help="a folder, or as `run` takes it"
    )
    top.add_argument("--out", required=True, type=Path, metavar="FILE", help="report, JSON")
    top.add_argument("--markdown", type=Path, metavar="FILE", help="tables for the model card")
    top.add_argument(
        "--recogniser", type=Path, metavar="FOLDER", help="of `training.recogniser`, to judge audio"
    )
    top.add_argument("--per-cell", type=int, metavar="N", help=f"trials of most cells ({PER_CELL})")
    top.add_argument("--quick", action="store_true", help=f"{QUICK_PER_CELL} trials of most cells")
    top.add_argument(
        "--cells", nargs="+", default=[], metavar="TEXT", help="only those with one of these in the name"
    )
    top.add_argument("--list", action="store_true", help="name the cells and do nothing")
    top.add_argument("--greedy", action="store_true", help="always the most likely token")
    top.add_argument("--tier", default="core", help="of the grammar (core)")
    top.add_argument("--lanes", type=int, default=LANES, metavar="N", help=f"trials at once ({LANES})")
    top.add_argument("--workers", type=int, default=2, metavar="N", help="processes, each with all lanes (2)")
    top.add_argument("--threads", type=int, default=1, metavar="N", help="of each process (1)")
    top.add_argument("--seed", type=int, default=0, metavar="N", help="of the trials (0)")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the command line says."""
    options = parser().parse_args(arguments)
    try:
        _run(options)
    except DuplexModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    plan = Plan(
        checkpoint=options.checkpoint,
        recogniser=options.recogniser,
        tier=options.tier,
        per_cell=options.per_cell or (QUICK_PER_CELL if options.quick else PER_CELL),
        lanes=options.lanes,
        threads=options.threads,
        greedy=options.greedy,
        seed=options.seed,
    )
    names = [name for name in plan.planner.cells() if _wanted(name, options.cells)]
    if options.list or not names:
        sys.stdout.write("\n".join(names or ["none"]) + "\n")
        return
    if not options.out.absolute().parent.is_dir():
        raise CheckpointError(f"expected a folder at {options.out.absolute().parent}, got nothing")
    config = _files(plan.checkpoint).config  # a folder that is none is refused before anything is begun
    about = described(config, plan)
    report = evaluate(plan, names, workers=options.workers, about=about, out=options.out)
    if options.markdown is not None:
        options.markdown.write_text(report.markdown(), encoding="utf-8")
    sys.stdout.write(report.markdown())


def _wanted(name: str, parts: Sequence[str]) -> bool:
    return not parts or any(part in name for part in parts)


def described(config: CheckpointConfig, plan: Plan) -> dict[str, Any]:
    """What a report says of its circumstances."""
    return {
        "checkpoint": config.name,
        "tier": plan.tier,
        "sampling": "greedy" if plan.greedy else "as served",
        "trials_per_cell": plan.per_cell,
        "seed": plan.seed,
        **circumstances(),
        "threads": plan.threads,
    }


if __name__ == "__main__":
    sys.exit(main())
