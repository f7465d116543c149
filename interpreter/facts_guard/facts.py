"""A critical fact, and what came of comparing the facts of two texts. Pure values."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class FactKind(enum.Enum):
    """What a fact is about, and the form of its value, which is the same in every language."""

    QUANTITY = "quantity"
    """`50 mg`, `1-2 tablet`, `38.5 degree`, `120/80 mmHg`, `3 time`."""

    NUMBER = "number"
    """A number without a unit: `7`, `5550123`."""

    FREQUENCY = "frequency"
    """`2/day`, `every 8 hour`, `per day`, `as needed`."""

    DURATION = "duration"
    """A stretch of time, ages included: `10 day`, `since monday`, `until 06-15`."""

    ROUTE = "route"
    """`mouth`, `intravenous`, `ear`."""

    DATE = "date"
    """`tomorrow`, `last monday`, `03-15`, `1998-03-15`, `1998`, `march`, `day 15`, `in 2 week`."""

    TIME = "time"
    """`20:00`, or `8:00/20:00` where the half of the day is not said; `morning`, `bedtime`, `before breakfast`."""

    NEGATION = "negation"
    """What is denied or forbidden: `pain`, `take`; `answer` of a "no", `other` of what the lexicon does not know."""

    SIDE = "side"
    """`left knee`, `both eye`; `left` where no part of the body is said."""

    ALLERGY = "allergy"
    """`penicillin`, `no penicillin`; `any` of allergies at large."""

    DRUG = "drug"
    """The international name in English: `acetaminophen`."""

    SPELLING = "spelling"
    """The letters of what was spelt: `gonzalez`."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One fact of a text."""

    kind: FactKind
    """What it is about."""

    value: str
    """Canonical, the same in every language; see `FactKind`."""

    start: int
    """Index of its first sign in the text."""

    end: int
    """Index after its last sign."""


class DifferenceKind(enum.Enum):
    """How two texts disagree."""

    CHANGED = "changed"  # both say a fact of this kind, and not the same one
    MISSING = "missing"  # heard and not spoken
    ADDED = "added"  # spoken and not heard


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One disagreement."""

    kind: DifferenceKind
    """How."""

    heard: Fact | None
    """None when added."""

    spoken: Fact | None
    """None when missing."""


class Verdict(enum.Enum):
    """What a check came to."""

    MATCH = "match"  # every fact spoken was heard; what is left out is found later, as a mismatch
    MISMATCH = "mismatch"
    ONE_SIDED = "one_sided"  # nothing was heard to compare with


@dataclass(frozen=True, kw_only=True)
class FactsChecked:
    """A stretch of an interpretation in which there were facts."""

    verdict: Verdict
    """What the check came to."""

    heard_text: str | None
    """What the speaker said, as heard; None where nothing was heard before what was spoken."""

    spoken_text: str
    """What the interpreter said; empty where it said nothing of it."""

    heard_facts: tuple[Fact, ...]
    """Of `heard_text`."""

    spoken_facts: tuple[Fact, ...]
    """Of `spoken_text`."""

    differences: tuple[Difference, ...]
    """Why it is a mismatch; empty otherwise."""

    at_s: float
    """Media time at which the checked text ended."""
