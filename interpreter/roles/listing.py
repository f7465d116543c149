"""Plain text of the library and of one role, for `interpreter roles`. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from duplex_model.tables import table
from interpreter.roles.library import RoleLibrary
from interpreter.roles.role import Role
from interpreter.roles.scripts import FALLBACK


def describe_roles(library: RoleLibrary) -> str:
    """One line a role, and what each is for."""
    rows = [
        (role.name, str(role.version), role.mode, role.voice or "default", " ".join(sorted(role.scripts)))
        for role in library.roles.values()
    ]
    summaries = [f"{role.name}: {role.summary[FALLBACK]}" for role in library.roles.values()]
    return "\n\n".join(
        (
            table([("role", "version", "mode", "voice", "notices in"), *rows]),
            "\n".join(summaries),
            "`interpreter roles NAME` tells all of one.",
        )
    )


def describe_role(role: Role) -> str:
    """Everything a role asks for, and what it says of itself."""
    prompts = {**role.prompt_for, "of others" if role.prompt_for else "": role.prompt}
    return "\n\n".join(
        (
            f"{role.name}, version {role.version}: {role.title[FALLBACK]}\n{role.summary[FALLBACK]}",
            table(
                [
                    ("mode", role.mode),
                    ("sessions", role.session_mode),
                    ("voice", role.voice or "the checkpoint's default"),
                    *(
                        (f"prompt {checkpoint}".rstrip(), text or "none")
                        for checkpoint, text in prompts.items()
                    ),
                    ("checks", ", ".join(kind.value for kind in role.checks) or "none"),
                    (
                        "glossary",
                        ", ".join(" = ".join(entry.terms.values()) for entry in role.glossary) or "none",
                    ),
                    ("label", ", ".join(role.disclosure.label.values())),
                    ("opens with", role.disclosure.opening),
                    ("closes", "with a notice" if role.disclosure.closing else "silently"),
                ]
            ),
            table([("policy", "value"), *_policies(role)]),
            *_scripts(role),
        )
    )


def _policies(role: Role) -> Iterator[tuple[str, str]]:
    for policy in fields(role.policies):
        yield policy.name, _text(getattr(role.policies, policy.name))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _scripts(role: Role) -> Iterator[str]:
    for language, scripts in role.scripts.items():
        lines = (f"  {script_id}: {' '.join(sentences)}" for script_id, sentences in scripts.items())
        yield f"says in {language}\n" + "\n".join(lines)
