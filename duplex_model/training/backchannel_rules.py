"""Rules simpler than a network that tell backchannels by sound: `python -m duplex_model.training.backchannel_rules`.

All are asked the same question, `ASKED_S` after the first sound of utterances that go on for as long: is all of it a
backchannel so far? Each gives a score; the table shows the area under the curve of its errors, and the share of
backchannels that it knows where it takes 1, 2 and 5 % of everything else for one. Trained and tried on what the network
is trained on and validated with (`backchannel.py`).

    length      nothing but how long the whole utterance lasts, which nobody knows while it goes on
    level       a logistic regression on how the level rises and falls
    spectrum    the same on mean and spread of each band and of its change
    templates   nearest neighbours among utterances by dynamic time warping of cepstra (Sakoe and Chiba 1978)
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from duplex_model.training.backchannel import ASKED_S, VALIDATION_FROM
from duplex_model.training.backchannels.net import log_mel
from duplex_model.training.backchannels.speech import BEFORE_S, OPEN_S, Speaking
from duplex_model.training.backchannels.texts import Texts, closed_lists
from duplex_model.training.grammar import load_grammar
from duplex_model.training.grammar.pair import Language

logger = logging.getLogger(__name__)

_WINDOWS = round((ASKED_S + BEFORE_S) * 100) - 3
_CEPSTRA = 13
_NEIGHBOURS = 5
_TEMPLATES = 500

_Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """Utterances, and the answers."""

    mel: _Floats
    """[N, windows, bands], of which the loudest is 0."""

    ends_s: _Floats
    """[N] after the first sound."""

    is_backchannel: NDArray[np.bool_]
    languages: Sequence[Language]


def ask(speaking: Speaking, seeds: range) -> Asked:
    """The utterances of `seeds` that last for `ASKED_S` and are surely one or the other then."""
    mels, ends_s, answers, languages = [], [], [], []
    for seed in seeds:
        one = speaking.draw(seed)
        mel = log_mel(one.pcm)[:_WINDOWS].numpy().astype(np.float64)
        if len(mel) < _WINDOWS or one.ends_s < ASKED_S:
            continue
        if one.backchannel_until_s < ASKED_S < one.backchannel_until_s + OPEN_S:
            continue
        mels.append(np.maximum(mel - mel.max(), -7.0))
        ends_s.append(one.ends_s)
        answers.append(one.backchannel_until_s >= ASKED_S)
        languages.append(one.language)
    return Asked(
        mel=np.array(mels), ends_s=np.array(ends_s), is_backchannel=np.array(answers), languages=languages
    )


def length(_: Asked, asked: Asked) -> _Floats:
    """Scores [N]: the shorter, the likelier."""
    return -asked.ends_s


def level(known: Asked, asked: Asked) -> _Floats:
    """Scores [N] by a logistic regression on the contour of the level, in 80 ms steps, and on its rises."""
    return _regressed(_contour(known), known.is_backchannel, _contour(asked))


def spectrum(known: Asked, asked: Asked) -> _Floats:
    """Scores [N] by a logistic regression on each band's mean and spread, and those of its change."""
    return _regressed(_statistics(known), known.is_backchannel, _statistics(asked))


def templates(known: Asked, asked: Asked) -> _Floats:
    """Scores [N]: how much nearer the nearest backchannels of the language are than the nearest others."""
    scores = np.zeros(len(asked.mel))
    for language in sorted(set(asked.languages)):
        mine = np.array([one == language for one in known.languages])
        kinds = [
            _cepstra(known.mel[mine & (known.is_backchannel == kind)][:_TEMPLATES]) for kind in (True, False)
        ]
        for n in np.flatnonzero([one == language for one in asked.languages]):
            heard = _cepstra(asked.mel[n : n + 1])[0]
            near, far = (np.sort(_warped(heard, kind))[:_NEIGHBOURS].mean() for kind in kinds)
            scores[n] = far - near
    return scores


def _contour(asked: Asked) -> _Floats:
    loudness = np.log(np.exp(asked.mel).mean(axis=2))
    steps = loudness[:, : _WINDOWS // 8 * 8].reshape(len(loudness), -1, 8).mean(axis=2)
    rises = np.maximum(np.diff(steps, axis=1), 0).sum(axis=1, keepdims=True)
    return np.concatenate((steps, rises, steps.std(axis=1, keepdims=True)), axis=1)


def _statistics(asked: Asked) -> _Floats:
    change = np.diff(asked.mel, axis=1)
    return np.concatenate([x(one, axis=1) for one in (asked.mel, change) for x in (np.mean, np.std)], axis=1)


def _regressed(known: _Floats, answers: NDArray[np.bool_], asked: _Floats) -> _Floats:
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    x, y = torch.tensor((known - mean) / spread), torch.tensor(answers, dtype=torch.float64)
    weights = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=200)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        logits = x @ weights[1:] + weights[0]
        loss = F.binary_cross_entropy_with_logits(logits, y) + 1e-3 * weights.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found = weights.detach().numpy()
    return np.asarray((asked - mean) / spread @ found[1:] + found[0])


def _cepstra(mel: _Floats) -> _Floats:
    """[N, windows, bands] -> [N, windows / 2, cepstra], of which the first, the level, is left out."""
    bands = mel.shape[2]
    basis = np.cos(np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(1, _CEPSTRA + 1)))
    found = mel[:, : _WINDOWS // 2 * 2].reshape(len(mel), -1, 2, bands).mean(axis=2) @ basis
    return np.asarray(found - found.mean(axis=1, keepdims=True))


def _warped(heard: _Floats, known: _Floats) -> _Floats:
    """[N] distances of [T, C] from each of [N, T, C], along the best way through both."""
    cost = np.linalg.norm(known[:, :, None] - heard[None, None], axis=3)
    reached = np.full((len(known), cost.shape[1] + 1, cost.shape[2] + 1), np.inf)
    reached[:, 0, 0] = 0.0
    for i in range(cost.shape[1]):
        for j in range(cost.shape[2]):
            before = np.minimum(np.minimum(reached[:, i, j], reached[:, i, j + 1]), reached[:, i + 1, j])
            reached[:, i + 1, j + 1] = before + cost[:, i, j]
    return np.asarray(reached[:, -1, -1])


def describe(name: str, scores: _Floats, answers: NDArray[np.bool_]) -> str:
    """A line of the table."""
    yes, no = scores[answers], scores[~answers]
    area = (yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2
    shares = (float((yes > np.quantile(no, 1 - rate)).mean()) for rate in (0.01, 0.02, 0.05))
    return f"| {name} | {area:.3f} | {' | '.join(f'{share:.0%}' for share in shares)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lists", type=Path, required=True, help="YAML file of the closed lists")
    parser.add_argument("--known", type=int, default=12_000, help="utterances to learn from")
    parser.add_argument("--asked", type=int, default=2_000, help="utterances to try them on")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    closed, grammar = closed_lists(options.lists), load_grammar("full")
    groups = []
    for validation, seeds in (
        (False, range(options.known)),
        (True, range(VALIDATION_FROM, VALIDATION_FROM + options.asked)),
    ):
        texts = {one: Texts(closed[one], grammar, one, for_validation=validation) for one in closed}
        groups.append(ask(Speaking(texts, for_validation=validation), seeds))
    known, asked = groups
    yes = asked.is_backchannel
    logger.info("%d known, %d asked, %d of them backchannels", len(known.mel), len(yes), yes.sum())
    logger.info("| rule | area | 1 % | 2 % | 5 % |\n|---|---|---|---|---|")
    for rule in (length, level, spectrum, templates):
        logger.info(describe(rule.__name__, rule(known, asked), yes))


if __name__ == "__main__":
    main()
