"""Who changed what of a meeting's orders, counted, so that nobody undoes what they have not seen. Pure.

What a command changes has a name, its *slot*: `mode`, `role` or, of one person, `role/3f2a`; `held/es>en/3f2a`. A
choice for everybody and those for single people belong together: each replaces the other.
"""

from __future__ import annotations

from dataclasses import dataclass

from interpreter.commands.arguments import LanguagePair
from interpreter.commands.commands import Invocation
from interpreter.directions import primary_language


@dataclass(frozen=True, kw_only=True)
class Change:
    """The last change of a slot."""

    revision: int
    by: str
    """Name of whoever made it."""


class Revisions:
    """The changes of one meeting."""

    def __init__(self) -> None:
        self._number = 0
        self._changes: dict[str, Change] = {}

    @property
    def number(self) -> int:
        """How many changes there were."""
        return self._number

    def note(self, invocation: Invocation) -> None:
        """A command was carried out; most of what happens once changes nothing."""
        slots = slots_of(invocation)
        if slots:
            self._number += 1
        for slot in slots:
            self._changes[slot] = Change(revision=self._number, by=invocation.actor.name)

    def newest(self, invocation: Invocation, expect: int) -> Change | None:
        """The newest change, after revision `expect`, of what a command would change; None where there is none."""
        later = [
            change
            for slot, change in self._changes.items()
            if change.revision > expect and any(_belong(slot, one) for one in slots_of(invocation))
        ]
        return max(later, key=lambda change: change.revision, default=None)


def slots_of(invocation: Invocation) -> tuple[str, ...]:
    """What a command changes, if anything."""
    spec = invocation.spec
    if not spec.changes:
        return ()
    words = [spec.changes]
    pair = invocation.arguments.get("direction")
    if isinstance(pair, LanguagePair):
        words.append(f"{_primary(pair.language_in)}>{_primary(pair.language_out)}")
    if invocation.subject is not None:
        words.append(invocation.subject)
    slot = "/".join(words)
    # A role for everybody brings its own mode.
    return (slot, "mode") if slot == "role" else (slot,)


def _belong(slot: str, other: str) -> bool:
    return slot == other or slot.startswith(f"{other}/") or other.startswith(f"{slot}/")


def _primary(tag: str) -> str:
    return primary_language(tag) or tag
