"""Corpora on disk (see `corpus`) -> what is trained on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from duplex_model.config import CheckpointConfig, LMConfig, PromptCodes
from duplex_model.errors import CheckpointError
from duplex_model.training.corpus import read_shard
from duplex_model.training.dialogues.roles import Mode, load_roles
from duplex_model.training.lm_learning.batches import Corpus, Example, Ints
from duplex_model.training.lm_learning.lessons import mine_or_not


@dataclass(frozen=True)
class CorpusFacts:
    """What all corpora of a run share."""

    codes: PromptCodes
    text_card: int
    codec: Path
    """Folder of the codec whose codes these are."""

    tokenizer: Path


class CorpusReader:
    """Reads every shard once, however often it is asked; shards may be added meanwhile."""

    def __init__(self, folders: Sequence[Path]) -> None:
        """Reads what the corpora in `folders` say of themselves.

        Raises:
            CheckpointError: there is none, or they are not of one codec and vocabulary.
        """
        self._folders = folders
        self._shards: dict[Path, list[Example]] = {}
        facts = [_facts(folder) for folder in folders]
        self.facts = facts[0]
        for folder, other in zip(folders, facts, strict=True):
            if (other.codes, other.text_card) != (self.facts.codes, self.facts.text_card):
                raise CheckpointError(f"expected {folder} to be of the codec and vocabulary of {folders[0]}")
        self._voices = _voices(folders)

    def read(self) -> Corpus:
        """Everything there is now.

        Raises:
            CheckpointError: there is no shard yet.
        """
        for folder in self._folders:
            for path in sorted(folder.glob("shard-*.safetensors")):
                if path not in self._shards:
                    self._shards[path] = list(_examples(path))
        examples = [example for shard in self._shards.values() for example in shard]
        if not examples:
            raise CheckpointError(f"expected shards in {self._folders[0]}, got none")
        return Corpus(examples, self._voices)


def check_fits(config: LMConfig, corpus: Corpus, facts: CorpusFacts) -> None:
    """Raises `CheckpointError` where a model of `config` cannot be trained on `corpus`."""
    rows = corpus.examples[0].rows
    got = (len(rows.own), len(rows.heard), facts.text_card)
    expected = (config.own_codebooks, config.heard_codebooks, config.text_card)
    if got != expected:
        words = "own codebooks, heard codebooks and text tokens"
        raise CheckpointError(f"expected a corpus of {expected} {words}, got {got}")
    highest = max(int(max(example.rows.own.max(), example.rows.heard.max())) for example in corpus.examples)
    if highest >= config.card:
        raise CheckpointError(f"expected codes below {config.card}, got {highest}")


def check_codes(described: CheckpointConfig, facts: CorpusFacts) -> None:
    """Raises `CheckpointError` where a checkpoint names another codec's silence and sine than a corpus has."""
    if described.codec is not None and described.prompt_codes != facts.codes:
        raise CheckpointError(
            f"expected a corpus made with the codec of {described.name}, got {facts.codec}: give the folder of the "
            "checkpoint as the codec of the corpus"
        )


def _facts(folder: Path) -> CorpusFacts:
    try:
        about = json.loads((folder / "corpus.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"expected a corpus in {folder}, got: {error}") from error
    codes = PromptCodes(silence=tuple(about["silence"]), sine=tuple(about["sine"]))
    return CorpusFacts(codes, about["text_card"], Path(about["codec"]), Path(about["tokenizer"]))


def _voices(folders: Sequence[Path]) -> Mapping[str, Sequence[Ints]]:
    voices: dict[str, list[Ints]] = {}
    for folder in folders:
        for name, clips in load_file(folder / "voices.safetensors").items():
            voices.setdefault(name, []).extend(np.asarray(clip, np.int16) for clip in clips)
    return voices


def _examples(path: Path) -> Iterator[Example]:
    shard = read_shard(path)
    abouts: Sequence[Mapping[str, Any]] = shard.about
    for rows, about in zip(shard.rows, abouts, strict=True):
        if about["mode"] != Mode.TRANSCRIPTION.value:
            mine = mine_or_not(rows.heard_word, about["turns"], about["language_out"])
            rows = replace(rows, heard_word=mine)
        yield Example(about["role"], about["own_voice"], rows, _situation(about))


def _situation(about: Mapping[str, Any]) -> str:
    asks = [sentence for sentence in load_roles().register["informal"] if sentence in about["role_text"]]
    register = "informal" if asks else "formal"
    return f"{about['mode']} {about['language_in']}-{about['language_out']} {register}"
