"""Which script somebody has just been told whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from interpreter.roles.role import Role, ScriptId


def scripts_told(role: Role, language: str, texts: Sequence[str]) -> list[ScriptId]:
    """The scripts that the last of `texts` ends.

    Scripts may end alike, so all of one has to have been told; a sentence with a place for something, which a
    listener hears filled in, may read as anything.

    Args:
        role: whose scripts.
        language: primary subtag of what the listener is told.
        texts: sentences told to one listener, in their order.
    """
    return [
        script_id
        for script_id, sentences in role.scripts.get(language, {}).items()
        if sentences
        and texts
        and texts[-1] == sentences[-1]
        and {sentence for sentence in sentences if "{" not in sentence} <= set(texts[-len(sentences) :])
    ]
