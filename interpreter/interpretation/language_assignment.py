"""Which languages people speak, where the configuration says so: by name, or for everybody who tells none. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from interpreter.directions import primary_language
from interpreter.people import PersonPattern, first_fitting, person_key


@dataclass(frozen=True, kw_only=True)
class LanguageAssignment:
    """Languages of a meeting, as it begins."""

    default: str | None = None
    """Primary language of people who tell none."""

    by_person: Mapping[str, str] = field(default_factory=dict)
    """Display name as `person_key` gives it -> primary language."""

    by_pattern: Sequence[tuple[PersonPattern, str]] = ()
    """Primary languages of people who are not named; the first that fits counts."""

    def at_first(self, name: str, told: str | None, email: str = "") -> str | None:
        """The primary language of somebody who comes: the configured one, before what the room tells.

        Args:
            name: as it is displayed.
            told: by the room; None where it does not know.
            email: as the room tells it; empty where it does not.
        """
        return (
            self.by_person.get(person_key(name))
            or first_fitting(self.by_pattern, name, email)
            or self.later(told)
        )

    def later(self, told: str | None) -> str | None:
        """The primary language of somebody who now tells another: their own choice counts over the configuration."""
        return self.default if told is None else told


def assign_languages(
    default: str | None,
    by_person: Mapping[str, str],
    by_pattern: Sequence[tuple[PersonPattern, str]] = (),
) -> LanguageAssignment:
    """The assignment in primary languages.

    Args:
        default: BCP 47 tag, for people who tell none.
        by_person: display name -> BCP 47 tag.
        by_pattern: BCP 47 tags of people who are not named.
    """
    return LanguageAssignment(
        default=None if default is None else primary_language(default),
        by_person={
            person_key(name): language
            for name, tag in by_person.items()
            if (language := primary_language(tag)) is not None
        },
        by_pattern=tuple(
            (pattern, language)
            for pattern, tag in by_pattern
            if (language := primary_language(tag)) is not None
        ),
    )
