"""What the interpreter says of itself, in a language, with what the meeting is filled in. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from interpreter.directions import primary_language
from interpreter.languages import LANGUAGE_WORDS
from interpreter.roles.role import Role, ScriptId
from webrtc.room import Stored

FALLBACK = "en"
"""Language of what is said to people whose own no script is in; every loaded role has it."""

_STORED: Mapping[Stored, ScriptId] = {Stored.TRANSCRIPT: "stored_text", Stored.AUDIO: "stored_audio"}


@dataclass(frozen=True, kw_only=True)
class Script:
    """Sentences to say, one after the other."""

    language: str
    """Of the sentences: the one asked for, or `en` where the role has none in it."""

    sentences: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it, for captions and chat."""
        return " ".join(self.sentences)


def script(
    role: Role,
    script_id: ScriptId,
    language: str,
    *,
    languages: Sequence[str] = (),
    stored: Collection[Stored] = (),
) -> Script:
    """What `role` says as `script_id` to somebody who reads `language`.

    Args:
        role: from the library, so that it has every script.
        script_id: which.
        language: BCP 47 tag; its region is ignored where the role has none for it.
        languages: primary subtags of the meeting's languages, in the order to name them in.
        stored: what is kept of the meeting.

    Returns:
        No sentences for `announcement` of a role that announces nothing.
    """
    wanted = (language, primary_language(language) or FALLBACK, FALLBACK)
    chosen = next(tag for tag in wanted if tag in role.scripts)
    scripts = role.scripts[chosen]
    named = _language_list(chosen, languages)
    sentences = _filled(scripts.get(script_id, ()), scripts, stored)
    return Script(language=chosen, sentences=tuple(text.replace("{languages}", named) for text in sentences))


def _filled(
    sentences: Iterable[str], scripts: Mapping[ScriptId, tuple[str, ...]], stored: Collection[Stored]
) -> Iterator[str]:
    """`sentences` with those of what is kept in place of {stored}."""
    for sentence in sentences:
        if sentence != "{stored}":
            yield sentence
        else:
            for stored_id in _stored_ids(stored):
                yield from scripts[stored_id]


def _stored_ids(stored: Collection[Stored]) -> list[ScriptId]:
    """Which sentences say what is kept; the identity chain and the audit log hold nothing that was said."""
    ids = [script_id for kind, script_id in _STORED.items() if kind in stored]
    return ids or ["stored_nothing"]


def _language_list(language: str, languages: Sequence[str]) -> str:
    words = LANGUAGE_WORDS.get(language.split("-")[0], LANGUAGE_WORDS[FALLBACK])
    return words.list(languages)
