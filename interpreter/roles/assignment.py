"""Who is interpreted in which role: a default, and people by name, e-mail or patterns of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from interpreter.people import PersonPattern, first_fitting, person_key
from interpreter.roles.library import RoleLibrary
from interpreter.roles.role import Role


@dataclass(frozen=True, kw_only=True)
class RoleAssignment:
    """Roles of a meeting, as it begins."""

    default: Role
    """Of everybody else; its opening, closing and reminders are the meeting's."""

    by_person: Mapping[str, Role] = field(default_factory=dict)
    """Display name or e-mail, folded -> role."""

    by_pattern: Sequence[tuple[PersonPattern, Role]] = ()
    """Of people who are not named; the first that fits counts."""

    def role_of(self, name: str, email: str = "") -> Role:
        """The role in which somebody's speech is interpreted.

        Args:
            name: as it is displayed.
            email: as the room tells it; empty where it does not.
        """
        named = next(
            (self.by_person[key] for one in (name, email) if (key := person_key(one)) in self.by_person), None
        )
        return named or first_fitting(self.by_pattern, name, email) or self.default


def assign_roles(
    default: str,
    by_person: Mapping[str, str],
    library: RoleLibrary,
    by_pattern: Sequence[tuple[PersonPattern, str]] = (),
) -> RoleAssignment:
    """The assignment of roles by name, or by the path of their files.

    Args:
        default: of everybody else.
        by_person: display name or e-mail -> role.
        library: where names are looked up.
        by_pattern: of people who are not named.

    Raises:
        ConfigError: there is no such role, or its file cannot be used.
    """
    return RoleAssignment(
        default=library.resolve(default),
        by_person={person_key(person): library.resolve(role) for person, role in by_person.items()},
        by_pattern=tuple((pattern, library.resolve(role)) for pattern, role in by_pattern),
    )
