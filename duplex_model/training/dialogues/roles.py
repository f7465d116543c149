"""Role texts: what tells the model its direction, its mode and how Spanish addresses people. Read from `roles.yaml`.

A role text is one sentence for direction and mode, then perhaps one for the register, then perhaps one about the
persona. The first of each list is canonical: the runtime says that one, training says all of them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import yaml

_FILE = Path(__file__).with_name("roles.yaml")
_CANONICAL_SHARE = 0.3
"""Of trained role texts that begin with the canonical sentence, which is the one that is served."""

_PERSONA_SHARE = 0.15
"""Of role texts that end with a persona sentence. Each costs about eight frames of every sequence."""


class Mode(Enum):
    """What the model makes of speech."""

    SIMULTANEOUS = "simultaneous"  # each word as soon as it can be said
    CONSECUTIVE = "consecutive"  # the whole turn, after a pause
    TRANSCRIPTION = "transcription"  # text in the language heard, the voice silent


@dataclass(frozen=True)
class Roles:
    """The texts of `roles.yaml`."""

    trained: Mapping[Mode, Mapping[str, Sequence[str]]]
    """By mode and direction, such as `es-en`."""

    held_out: Mapping[Mode, Mapping[str, Sequence[str]]]
    register: Mapping[str, Sequence[str]]
    """By `formal` and `informal`."""

    persona: Sequence[str]

    def canonical(self, mode: Mode, language_in: str, language_out: str, register: str | None = None) -> str:
        """The text the runtime uses for a direction; with the sentence for `register` where one is asked for."""
        sentences = [self.trained[mode][f"{language_in}-{language_out}"][0]]
        if register is not None:
            sentences.append(self.register[register][0])
        return " ".join(sentences)

    def sample(
        self,
        rng: random.Random,
        mode: Mode,
        language_in: str,
        language_out: str,
        *,
        register: str | None = None,
        held_out: bool = False,
    ) -> str:
        """One of many texts that say the same.

        Args:
            rng: where the choice comes from.
            mode: what is made of speech.
            language_in: heard.
            language_out: said or written.
            register: `formal` or `informal` where the text must ask for it.
            held_out: from the sentences that are never trained on.
        """
        choices = (self.held_out if held_out else self.trained)[mode][f"{language_in}-{language_out}"]
        canonical = not held_out and rng.random() < _CANONICAL_SHARE
        sentences = [choices[0] if canonical else rng.choice(choices)]
        if register is not None:
            sentences.append(rng.choice(self.register[register]))
        if rng.random() < _PERSONA_SHARE:
            sentences.append(rng.choice(self.persona))
        return " ".join(sentences)

    def sentences(self) -> Iterator[str]:
        """Every sentence that training may say; the vocabulary has to spell them."""
        for directions in self.trained.values():
            for texts in directions.values():
                yield from texts
        for texts in self.register.values():
            yield from texts
        yield from self.persona


@cache
def load_roles() -> Roles:
    """The texts that come with the package."""
    tables = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return Roles(
        trained={mode: tables[mode.value] for mode in Mode},
        held_out={mode: tables["held_out"][mode.value] for mode in Mode},
        register=tables["register"],
        persona=tables["persona"],
    )
