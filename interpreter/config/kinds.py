"""Kinds of text that several sections of a configuration have. Pure."""

from __future__ import annotations

from typing import Annotated

from interpreter.people import person_key
from interpreter.yaml_file import Check


def _no_role(text: str) -> str | None:
    return None if text.strip() and "=" not in text else "a role's name or file, without ="


def _no_person(name: str) -> str | None:
    return None if person_key(name) else "a person's name"


RoleText = Annotated[str, Check(_no_role)]
"""A name of `interpreter roles`, or the path of a role's file, `*.yaml`, relative to the configuration file."""

PersonName = Annotated[str, Check(_no_person)]
"""As a room displays it; case and accents do not matter."""
