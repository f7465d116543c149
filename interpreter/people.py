"""People as a configuration means them: by patterns of what they call themselves, where names are not known. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from interpreter.languages import folded

_Value = TypeVar("_Value")


def person_key(name: str) -> str:
    """What tells one person from another in a configuration: their name without case, accents and extra spaces."""
    return " ".join(folded(name).split())


@dataclass(frozen=True, kw_only=True)
class PersonPattern:
    """Everybody whose name and e-mail are like this; a pattern that is not given fits all.

    What people say of themselves proves nothing: a pattern may choose a language or a role, never a right.
    """

    name: str | None = None
    """Display name with `*`, `?` and `[...]` as in file names; case, accents and extra spaces do not matter."""

    email: str | None = None
    """Likewise; fits nobody who gives none."""

    def fits(self, name: str, email: str = "") -> bool:
        """Whether somebody is meant.

        Args:
            name: as the room displays it.
            email: as the room tells it; empty where it does not.
        """
        return _like(name, self.name) and (self.email is None or bool(email) and _like(email, self.email))


def first_fitting(rules: Iterable[tuple[PersonPattern, _Value]], name: str, email: str) -> _Value | None:
    """What the first rule that fits somebody says; None where none fits."""
    return next((value for pattern, value in rules if pattern.fits(name, email)), None)


def _like(text: str, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(person_key(text), person_key(pattern))
