"""Roles as text, for tests."""

from __future__ import annotations

from interpreter.roles.library import parse_role
from interpreter.roles.role import Role

LEAST = """\
name: least
version: 1
title: {en: Least}
summary: {en: As little as there can be.}
mode: consecutive
"""


def role(more: str = "") -> Role:
    """The least role with `more` lines."""
    return parse_role(LEAST + more, name="least.yaml")
