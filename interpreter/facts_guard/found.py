"""A fact by its tokens, while it is being looked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from interpreter.facts_guard.facts import FactKind


@dataclass(frozen=True)
class Found:
    """A fact and the tokens [first, after) it stands in."""

    kind: FactKind
    value: str
    first: int
    after: int

    def overlaps(self, others: Iterable[Found]) -> bool:
        """Whether it shares a token with any of `others`."""
        return any(self.first < other.after and other.first < self.after for other in others)
