"""A line of a room's chat as a command of the one table, in English or Spanish words. Pure.

    !interp language español      language, tag español
    !interp idioma inglés         the same
    !interp más despacio Ana      slower, about Ana

The table is `command_table`, what a command may be given is checked by `commands`; here are only the words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from interpreter.commands.arguments import Choice, Languages, Switch, Text
from interpreter.commands.commands import (
    ALL_WORD,
    CHAT_PREFIX,
    MAX_CHAT_CHARACTERS,
    ME_WORD,
    PARTICIPANT,
    Actor,
    Invocation,
    find_command,
    invoke,
    permitted,
    shown,
)
from interpreter.commands.table import COMMANDS, ArgumentSpec, CommandSpec
from interpreter.errors import BadArgument, UnknownCommand
from interpreter.languages import folded

_SPANISH: Mapping[str, str] = {
    "optout": "excluirme, no procesar",
    "optin": "incluirme, procesar",
    "language": "idioma, lengua",
    "repeat": "repetir, repite, repita",
    "human": "humano, humana, persona, interprete humano",
    "stop": "parar, para, pare, alto",
    "start": "empezar, empieza, comenzar",
    "balance": "equilibrio",
    "original-only": "solo original",
    "captions": "subtitulos",
    "who": "quien, quienes",
    "stored": "guardado, que se guarda",
    "help": "ayuda",
    "pause": "pausa, pausar",
    "resume": "continuar, continua, reanudar, seguir",
    "mode": "modo",
    "role": "papel, rol",
    "voice": "voz",
    "hold": "retener",
    "release": "soltar",
    "mute": "silenciar",
    "unmute": "escuchar",
    "ask-repeat": "pedir repeticion",
    "slower": "mas despacio, despacio, mas lento",
    "swap": "intercambiar, cambiar",
    "handover": "ceder",
    "handback": "retomar",
    "halt": "detener",
    "mute-direction": "silenciar direccion",
    "unmute-direction": "oir direccion",
    "duck": "atenuar",
    "priority": "prioridad",
    "notice": "aviso",
    "glossary-add": "glosario",
    "close": "cerrar, terminar",
    "note": "nota",
}
"""Command -> how it is called in Spanish, folded; a name of several words may also be typed with hyphens."""

_SPANISH_VALUES: Mapping[str, str] = {
    "consecutivo": "consecutive",
    "consecutiva": "consecutive",
    "simultaneo": "simultaneous",
    "simultanea": "simultaneous",
    "subtitulos": "captions",
    "si": "on",
    "encendido": "on",
    "encendidos": "on",
    "no": "off",
    "apagado": "off",
    "apagados": "off",
}
"""Choices and switches."""

_PEOPLE_WORDS: Mapping[str, str] = {
    "yo": ME_WORD,
    "mi": ME_WORD,
    "todos": ALL_WORD,
    "todas": ALL_WORD,
    "everybody": ALL_WORD,
}
"""Keywords that say whom a command is about."""

_NAMES: Mapping[tuple[str, ...], tuple[str, str]] = {
    **{tuple(name.split("-")): (name, "en") for name in COMMANDS},
    **{tuple(name.split()): (command, "es") for command, names in _SPANISH.items() for name in names.split(", ")},
    **{(name.replace(" ", "-"),): (command, "es") for command, names in _SPANISH.items() for name in names.split(", ")},
    **{(name,): (name, "en") for name in COMMANDS},
}  # fmt: skip
"""Words, folded -> command, and the language they are in. English wins where both have a word."""

_LONGEST = max(map(len, _NAMES))
_ARROW = re.compile(r"\s*(?:->|→|>)\s*")


def is_command(text: str) -> bool:
    """Whether a line of chat asks something of the interpreter, rightly or not."""
    first = text.split(maxsplit=1)
    return bool(first) and first[0].lower() == CHAT_PREFIX


def parse_chat(text: str, actor: Actor, people: Mapping[str, str]) -> Invocation | None:
    """The command in a line of chat; None for a line that is none.

    Args:
        text: the line, such as `!interp language español`; the prefix alone asks for help.
        actor: who wrote it.
        people: id -> name of everybody in the meeting.

    Raises:
        CommandError: see `commands.invoke`.
    """
    if not is_command(text):
        return None
    line = text.split(maxsplit=1)[1:]
    if line and len(line[0]) > MAX_CHAT_CHARACTERS:
        raise BadArgument(
            f"expected at most {MAX_CHAT_CHARACTERS} characters in a command, got {len(line[0])}"
        )
    name, language, rest = _command(line[0].strip() if line else "help", actor)
    given = _chat_arguments(find_command(name, actor), rest, people)
    return replace(invoke(name, given, actor, people), language=language)


def named_in(text: str) -> tuple[str, str | None]:
    """The name in the table of the command that a line asks for, and the language it was typed in.

    An empty name, and None, where that is not known: the table's own words are typed in every language.
    """
    match = _longest_name(text.split()[1:])
    name, language = ("", "en") if match is None else match[0]
    return name, None if language == "en" else language


def _command(line: str, actor: Actor) -> tuple[str, str | None, str]:
    """The command's name in the table, the language it was typed in if that tells something, and what follows."""
    match = _longest_name(line.split(maxsplit=_LONGEST)[:_LONGEST])
    if match is None:
        raise UnknownCommand(_unknown(line.split(maxsplit=1)[0], actor))
    (name, language), count = match
    rest = line.split(maxsplit=count)[count:]
    return name, None if language == "en" else language, rest[0].strip() if rest else ""


def _longest_name(words: Sequence[str]) -> tuple[tuple[str, str], int] | None:
    """What the first words name, and how many they are."""
    keys = [folded(word).strip("¿?¡!.,").replace("_", "-") for word in words[:_LONGEST]]
    for count in range(len(keys), 0, -1):
        if found := _NAMES.get(tuple(keys[:count])):
            return found, count
    return None


def _unknown(name: str, actor: Actor) -> str:
    """What to say of a word that is no command."""
    mine = {spec.name for spec in permitted(actor)}
    words = {" ".join(key): one for key, one in _NAMES.items() if one[0] in mine}
    near = difflib.get_close_matches(folded(name), words, n=4)
    close: dict[tuple[str, str], str] = {}
    for word in near:
        if words[word][1] == words[near[0]][1]:  # one language, and one word of each command
            close.setdefault(words[word], word)
    hint = f" (did you mean {' or '.join(f'`{one}`' for one in list(close.values())[:2])}?)" if close else ""
    return f"expected a command, got {shown(name)}{hint}; `{CHAT_PREFIX} help` tells which there are"


def _chat_arguments(spec: CommandSpec, rest: str, people: Mapping[str, str]) -> Mapping[str, object]:
    """The words after a command's name, by argument; what is left at the end says whom it is about."""
    if spec.arguments and isinstance(spec.arguments[0].kind, Languages):
        rest = _ARROW.sub(">", rest, count=1)
    words = rest.split()
    given: dict[str, object] = {}
    texts = [argument for argument in spec.arguments if isinstance(argument.kind, Text)]
    for argument in spec.arguments:
        if words and argument not in texts:
            count = _words_of(argument, words)
            given[argument.name] = _value(argument, " ".join(words[:count]))
            words = words[count:]
    left = " ".join(words)
    if texts:
        parts = left.split("=", len(texts) - 1) if left else []
        return {**given, **{argument.name: part for argument, part in zip(texts, parts, strict=False)}}
    if left and spec.subject is None:
        raise BadArgument(f"expected no more for `{spec.name}`, got {shown(left)}")
    return {**given, PARTICIPANT: _whom(left, people)} if left else given


def _value(argument: ArgumentSpec, text: str) -> str:
    """The value as the table has it."""
    if isinstance(argument.kind, Choice | Switch):
        return _SPANISH_VALUES.get(folded(text), text)
    return text


def _whom(text: str, people: Mapping[str, str]) -> str:
    """`me`, `all` or whoever is meant; a person who is called so comes first."""
    if text in people or folded(text) in {folded(name) for name in people.values()}:
        return text
    return _PEOPLE_WORDS.get(folded(text), text)


def _words_of(argument: ArgumentSpec, words: Sequence[str]) -> int:
    """How many of `words` the argument takes: two where they make one value, such as `-15 dB`, else one."""
    try:
        argument.kind.read(" ".join(words[:2]))
    except ValueError:
        return 1
    return len(words[:2])
