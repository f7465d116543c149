"""What a model lacks: practice, or sentences and voices.

    python -m duplex_model.training.gap --checkpoint FOLDER

New dialogues are composed of sentences that are trained on or held out, in voices that are trained on or held out, and
the pieces of words that the model should write next are counted, each after the right ones before it. Wrong ones on
what it was trained on want more steps or a larger model; only what it gets wrong beyond that wants other data.
`evaluate` says how well it interprets; a corpus to validate with mixes all of this, so that it cannot tell one from the
other.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from duplex_model.errors import DuplexModelError
from duplex_model.lm import RQTransformer
from duplex_model.training.corpus import CorpusPlan, Maker
from duplex_model.training.dialogues.dialogue import Materials
from duplex_model.training.dialogues.kinds import KINDS
from duplex_model.training.dialogues.stock import of_engine, unheard_voices
from duplex_model.training.evaluation.scores import Estimate, share
from duplex_model.training.lm import trained_model
from duplex_model.training.lm_learning.batches import Batch, Corpus, Example, Layout, batches
from duplex_model.training.lm_learning.losses import is_word

DIALOGUES = 256
COUNTED = ("one_turn", "consecutive")

_BATCH_FRAMES = 4096
_CLIPS = 4


def conditions(trained: Materials, kept: Materials) -> Mapping[str, Materials]:
    """What is counted on: sentences and voices, trained on or kept from it, everything else as it is trained on.

    Voices built from recordings are left out: they are held out by one name only, and hardly understood.
    """
    seen = replace(trained, source_voices=of_engine(trained.source_voices, "espeak"))
    unheard = of_engine(unheard_voices(trained, kept), "espeak")
    return {
        "trained on": seen,
        "held-out sentences": replace(seen, sample=kept.sample),
        "held-out voices": replace(seen, source_voices=unheard),
        "both": replace(seen, sample=kept.sample, source_voices=unheard),
    }


@torch.no_grad()
def words_right(model: RQTransformer, batch: Batch) -> list[bool]:
    """Of every token of a word that is a target: whether it is the most likely one after what stands before it."""
    h = model.temporal(model.embed(batch.columns[..., :-1]), pinned=batch.pinned).flatten(0, 1)
    target = batch.columns[:, 0, 1:].flatten()[batch.written]
    logits = model.text_logits(h.index_select(0, batch.written))
    found: list[bool] = (logits.argmax(dim=-1) == target)[is_word(target)].tolist()
    return found


def gap(
    model: RQTransformer,
    maker: Maker,
    materials: Mapping[str, Materials],
    *,
    kind: str,
    dialogues: int,
    seed: int,
) -> Mapping[str, Estimate]:
    """Shares of words that are right in each of `materials`.

    Args:
        model: of the codes and the vocabulary of `maker`.
        maker: shows the voices.
        materials: by what they are called.
        kind: of the dialogues, a key of `KINDS`.
        dialogues: of each.
        seed: of the dialogues, other than of what was trained on.
    """
    layout = Layout(config=model.config, codes=maker.codes)
    voices = {name: list(clips) for name, clips in maker.clips(seed, _CLIPS).items()}
    found = {}
    for name, some in materials.items():
        shard = Maker(some, maker.spelling, maker.encode, maker.codes, kind=kind).shard(seed, 0, dialogues)
        examples = [
            Example(about["role"], about["own_voice"], rows)
            for about, rows in zip(shard.about, shard.rows, strict=True)
        ]
        order = random.Random(seed)
        found[name] = share(
            [
                right
                for batch in batches(Corpus(examples, voices), layout, order, batch_frames=_BATCH_FRAMES)
                for right in words_right(model, batch)
            ]
        )
    return found


def table(rows: Mapping[str, Mapping[str, Estimate]]) -> str:
    """`rows` by kind, as Markdown."""
    names = list(next(iter(rows.values())))
    lines = ["| words right | " + " | ".join(names) + " |", "|---" + "|--:" * len(names) + "|"]
    for kind, figures in rows.items():
        lines.append(f"| {kind} | " + " | ".join(_spelt(figures[name]) for name in names) + " |")
    return "\n".join(lines) + "\n"


def _spelt(figure: Estimate) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    return f"{figure.value:.1%} [{figure.low:.1%}, {figure.high:.1%}] (n {figure.n})"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.gap", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--checkpoint", required=True, type=Path, metavar="FOLDER", help="exported")
    parser.add_argument("--tier", default="core", help="of the grammar (core)")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(COUNTED), metavar="KIND")
    parser.add_argument(
        "--dialogues", type=int, default=DIALOGUES, metavar="N", help=f"of each kind ({DIALOGUES})"
    )
    parser.add_argument("--seed", type=int, default=991)
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    folder: Path = options.checkpoint
    try:
        model = trained_model(folder)
        plan = CorpusPlan(codec=folder, tokenizer=folder / "tokenizer.model", tier=options.tier)
        maker = Maker.of(plan)
        unseen = Maker.of(replace(plan, held_out=True)).materials
        rows = {
            kind: gap(
                model,
                maker,
                conditions(maker.materials, unseen),
                kind=kind,
                dialogues=options.dialogues,
                seed=options.seed,
            )
            for kind in options.kinds
        }
    except DuplexModelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
