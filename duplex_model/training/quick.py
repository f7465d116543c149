"""A first look at a model in training, in a minute or less: exact sentences, from the text alone.

    python -m duplex_model.training.quick --training DIR --corpus DIR

`DIR` are the folders that `training.lm` writes and `training.corpus` wrote. Nothing is teacher-forced: what the
model said stays in its own streams, only the decoder is left out as nobody listens. Heard speech is encoded in
advance, and all sentences go through one batch, so that a look costs about as much as a training step a frame.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from duplex_model.config import GREEDY, GenerationConfig
from duplex_model.contract import FRAME_SAMPLES
from duplex_model.delays import delayed
from duplex_model.description import read_description
from duplex_model.errors import CheckpointError, DuplexModelError
from duplex_model.generator import Generator, LaneSnapshot
from duplex_model.lm import RQTransformer
from duplex_model.prefill import PIECE_COLUMNS, Prefill
from duplex_model.prompt import PromptColumns
from duplex_model.text import Characters, TextTokenizer
from duplex_model.training.corpus import load_codec
from duplex_model.training.dialogues.roles import Mode
from duplex_model.training.evaluation.cells import DIRECTIONS, Case, Planner, cell_name, stock_of
from duplex_model.training.evaluation.rollout import Rollout
from duplex_model.training.evaluation.scores import (
    Estimate,
    error_rate,
    facts_by_kind,
    is_exact,
    share,
    word_errors,
)
from duplex_model.training.grammar import load_grammar
from duplex_model.training.lm import trained_model
from duplex_model.training.lm_learning.batches import Ints, Layout
from duplex_model.training.lm_learning.examples import CorpusReader

SENTENCES = 32
_EXAMPLES = 5

Encode = Callable[[Tensor], Tensor]
"""Pcm [B, 1, 1920 T] -> codes [B, codebooks, T]."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a look needs of a model in training."""

    lm: RQTransformer
    encode: Encode
    tokenizer: TextTokenizer
    layout: Layout
    """How prompts are laid out."""

    voices: Mapping[str, Sequence[Ints]]
    """Name of an own voice -> clips [own codebooks, frames]; the first is shown."""

    generation: GenerationConfig = GenerationConfig(text=GREEDY, audio=GREEDY)


@dataclass(frozen=True)
class Look:
    """What was seen."""

    figures: Mapping[str, Estimate]
    examples: Sequence[tuple[str, str, str]]
    """Heard, expected, written."""

    def __str__(self) -> str:
        lines = [f"{name}: {_spelt(figure)}" for name, figure in self.figures.items() if figure.n]
        lines += [f"{heard} -> {expected} | {written}" for heard, expected, written in self.examples]
        return "\n".join(lines)


def _spelt(figure: Estimate) -> str:
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.2f}, {figure.high:.2f}]"
    return f"{figure.value:.3f}{interval}, n {figure.n}"


def look(parts: Parts, planner: Planner, materials: Sequence[str] = ("held-out combinations",)) -> Look:
    """Both directions, simultaneous: exact sentences, word error and facts of single turns.

    And how often nothing is written where the speaker already speaks the listener's language.
    """
    figures: dict[str, Estimate] = {}
    examples: list[tuple[str, str, str]] = []
    for material in materials:
        for heard, said in DIRECTIONS:
            cell = planner.cells()[cell_name(material, Mode.SIMULTANEOUS, heard, said)]()
            texts = texts_of(parts, cell.cases)
            pairs = list(zip(cell.cases, texts, strict=True))
            name = f"{material} {heard}-{said}"
            figures[f"{name} exact"] = share([is_exact(case.expected, text, said) for case, text in pairs])
            figures[f"{name} word error"] = error_rate(
                [word_errors(case.expected, text, said) for case, text in pairs]
            )
            turns = [(case.turns[0].pair, text) for case, text in pairs]
            facts = facts_by_kind([(pair, text) for pair, text in turns if pair is not None], said)
            figures |= {f"{name} {kind}": figure for kind, figure in facts.items()}
            examples += [(case.turns[0].text, case.expected, text) for case, text in pairs[:_EXAMPLES]]
    for heard, said in DIRECTIONS:
        cell = planner.cells()[cell_name("target language", Mode.SIMULTANEOUS, heard, said)]()
        texts = texts_of(parts, cell.cases)
        figures[f"target language {heard}-{said} silent"] = share([not text for text in texts])
    return Look(figures, examples)


def texts_of(parts: Parts, cases: Sequence[Case]) -> list[str]:
    """What the model writes to each case, free-running."""
    heard = _encoded(parts, cases)
    lanes = len(cases)
    generator = Generator(parts.lm, lanes, parts.generation)
    begun: dict[tuple[str, str], LaneSnapshot] = {}
    for lane, case in enumerate(cases):
        key = (case.trial.prompt.role_text, case.trial.prompt.voice)
        if key not in begun:
            begun[key] = _begun(parts, generator, *key)
        generator.restore(lane, begun[key])
    executing = torch.ones(lanes, dtype=torch.bool)
    pieces: list[list[tuple[int, str]]] = [[] for _ in cases]
    characters = [Characters() for _ in cases]
    for frame in range(heard.shape[-1]):
        step = generator.step(heard[..., frame], generator.sample_everything, executing)
        for lane, (token, valid) in enumerate(
            zip(step.tokens[:, 0].tolist(), step.valid.tolist(), strict=True)
        ):
            if valid and frame * FRAME_SAMPLES < len(cases[lane].trial.heard):
                pieces[lane].append((frame, characters[lane].add(parts.tokenizer.piece(token))))
    nothing = np.zeros(heard.shape[-1] * FRAME_SAMPLES, np.float32)
    return [Rollout(pcm=nothing, pieces=tuple((f, text) for f, text in said if text)).text for said in pieces]


@torch.no_grad()
def _encoded(parts: Parts, cases: Sequence[Case]) -> Tensor:
    """Heard codes int64 [cases, heard codebooks, T], silence after the end of the shorter ones."""
    longest = max(len(case.trial.heard) for case in cases)
    heard = [
        parts.encode(
            torch.from_numpy(np.pad(case.trial.heard, (0, longest - len(case.trial.heard))))[None, None]
        )
        for case in cases
    ]
    return torch.cat(heard)[:, : parts.lm.config.heard_codebooks]


def _begun(parts: Parts, generator: Generator, role_text: str, voice: str) -> LaneSnapshot:
    """The state of a lane that has taken in a prompt and stands before its first frame."""
    frames = parts.layout.prompt(parts.voices[voice][0], parts.tokenizer.encode(role_text))
    prefill = Prefill(generator, PromptColumns(delayed(parts.lm.config, frames)))
    while not prefill.advance(PIECE_COLUMNS):
        pass
    apart = Generator(parts.lm, 1, parts.generation)
    apart.begin(0, prefill.result(), seed=0)
    return apart.snapshot(0)


def read_parts(training: Path, corpus: Path) -> Parts:
    """The model that `training.lm` saved last, and what its corpus says of codec, vocabulary and voices.

    Raises:
        CheckpointError: one of them is not there.
    """
    described = read_description(training)
    if described is None:
        raise CheckpointError(f"expected a model in training in {training}, got none")
    reader = CorpusReader([corpus])
    return Parts(
        lm=trained_model(training),
        encode=load_codec(reader.facts.codec).encode,
        tokenizer=TextTokenizer(reader.facts.tokenizer, described.lm.text_card),
        layout=Layout(config=described.lm, codes=reader.facts.codes),
        voices=reader.read().voices,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.quick", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--training", required=True, type=Path, metavar="DIR", help="written by training.lm")
    parser.add_argument("--corpus", required=True, type=Path, metavar="DIR", help="it was trained on")
    parser.add_argument(
        "--sentences", type=int, default=SENTENCES, metavar="N", help=f"each way ({SENTENCES})"
    )
    parser.add_argument("--materials", nargs="+", default=["held-out combinations"], metavar="TEXT")
    parser.add_argument("--tier", default="core", help="of the grammar (core)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    planner = Planner(stock_of(load_grammar(options.tier), seed=0), options.sentences)
    try:
        parts = read_parts(options.training, options.corpus)
    except DuplexModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{look(parts, planner, options.materials)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
