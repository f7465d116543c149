"""What a session is told in words: the direction its checkpoint must be told, then the persona. Pure."""

from __future__ import annotations

from duplex_model.config import CheckpointConfig
from duplex_model.contract import Prompt
from duplex_model.errors import PromptError

ROLE_TAG = "<system>"
"""Stands before and after a role text, as plain text."""


def tagged_role(text: str) -> str:
    """`text` between tags, as in training; empty stays empty, and what is tagged stays as it is."""
    text = text.strip()
    return text if not text or _is_tagged(text) else f"{ROLE_TAG} {text} {ROLE_TAG}"


def role_of(config: CheckpointConfig, prompt: Prompt) -> str:
    """The tagged role text of a session: the checkpoint's own for direction and mode, then the prompt's.

    A role text that comes with its tags is the whole of it: it says the direction in its own words, or none.

    Raises:
        PromptError: the checkpoint has no such direction or mode; the message lists those it has.
    """
    text = prompt.role_text.strip()
    if not config.direction_roles or _is_tagged(text):
        return tagged_role(text)
    return tagged_role(f"{_direction_role(config, prompt)} {text}")


def _direction_role(config: CheckpointConfig, prompt: Prompt) -> str:
    direction = f"{prompt.language_in}-{prompt.language_out}"
    role = config.direction_roles.get(direction, {}).get(prompt.mode)
    if role is None:
        known = ", ".join(
            f"{name} {mode}" for name, modes in config.direction_roles.items() for mode in modes
        )
        raise PromptError(
            f"expected a direction that {config.name} serves ({known}), got {direction} {prompt.mode}"
        )
    return role


def _is_tagged(text: str) -> bool:
    return len(text) >= 2 * len(ROLE_TAG) and text.startswith(ROLE_TAG) and text.endswith(ROLE_TAG)
