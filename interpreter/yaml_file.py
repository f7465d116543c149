"""YAML to frozen dataclasses, at the edge: whatever is wrong with a file is said with its line.

A file is parsed to nodes that know their lines and never to Python objects of its choice; aliases are refused,
since nested ones unfold a small file into a huge one. The dataclasses are the schema: their types, `Literal`s, ranges
and `Check`s say what is expected, and what a dataclass itself refuses with a `ValueError` is said with its line.
"""

from __future__ import annotations

import difflib
import re
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from interpreter.errors import ConfigError

MAX_FILE_BYTES = 1_000_000

_Schema = TypeVar("_Schema")

_BEYOND_UNICODE = (ValueError, OverflowError)
"""What PyYAML lets pass of an escape such as `"\\UFFFFFFFF"`."""

_START = yaml.Mark("", 0, 0, 0, None, 0)

_WORDS: Mapping[Any, str] = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Path: "a path",
}
_TAGS: Mapping[Any, frozenset[str]] = {
    str: frozenset({"tag:yaml.org,2002:str"}),
    bool: frozenset({"tag:yaml.org,2002:bool"}),
    int: frozenset({"tag:yaml.org,2002:int"}),
    float: frozenset({"tag:yaml.org,2002:float", "tag:yaml.org,2002:int"}),
    Path: frozenset({"tag:yaml.org,2002:str"}),
}
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "bool", "int", "float", "null"))


@dataclass(frozen=True)
class Check:
    """What a value must fulfil beyond its type: `Annotated[str, Check(...)]`."""

    wrong: Callable[[Any], str | None]
    """Gives what was expected, in words, when a value is not it."""


class Spelt(ABC):
    """A value written as one word, such as `80ms`; its class reads it."""

    @classmethod
    @abstractmethod
    def read(cls, text: str) -> Self:
        """The value that `text` spells.

        Raises:
            ValueError: what was expected, in words.
        """


def ranged(default: Any, low: float, high: float) -> Any:
    """A field whose number must lie in [low, high]."""
    return field(default=default, metadata={"low": low, "high": high})


def read_yaml(path: Path, schema: type[_Schema]) -> _Schema:
    """What the YAML file at `path` says; paths in it are relative to its folder.

    Args:
        path: of a file of UTF-8 text.
        schema: the dataclass it spells.

    Raises:
        ConfigError: names the file, the line, what was expected and what came.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {path.stat().st_size}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a readable file of UTF-8 text, got: {error}") from error
    return parse_yaml(text, schema, name=str(path), folder=path.parent)


def parse_yaml(text: str, schema: type[_Schema], *, name: str, folder: Path) -> _Schema:
    """What `text` says; an empty one is all defaults.

    Args:
        text: YAML.
        schema: the dataclass it spells.
        name: of the file, for messages.
        folder: what paths are relative to.

    Raises:
        ConfigError: see `read_yaml`.
    """
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        aliased = any(isinstance(event, yaml.AliasEvent) for event in events)
        node = None if aliased else yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, *_BEYOND_UNICODE) as error:
        raise ConfigError(f"{name}: expected YAML, got: {_yaml_words(error)}") from error
    if aliased:
        raise ConfigError(f"{name}: expected every value to be written out, got an alias (`*name`)")
    if node is None:
        node = yaml.MappingNode("tag:yaml.org,2002:map", [], _START, _START)
    section: _Schema = _Reader(name, folder).section(node, schema, "the file")
    return section


def _yaml_words(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return " ".join(str(error).split()) or "nesting too deep"


@dataclass(frozen=True)
class _Reader:
    """Reads nodes of one file against types."""

    name: str
    folder: Path

    def section(self, node: yaml.Node, schema: type, where: str) -> Any:
        """An instance of the dataclass `schema`."""
        known = {f.name: f for f in fields(schema)}
        hints = get_type_hints(schema, include_extras=True)
        given: dict[str, Any] = {}
        for key, child in self._pairs(node, where):
            if key.value not in known:
                raise self._error(key, _unknown(key.value, list(known), where))
            value = self._value(child, hints[key.value], f"`{key.value}`")
            self._check_range(child, known[key.value], value)
            given[key.value] = value
        for missing in (f.name for f in known.values() if _is_required(f) and f.name not in given):
            raise self._error(node, f"expected `{missing}` in {where}, got none")
        try:
            return schema(**given)
        except ValueError as error:
            raise self._error(node, str(error)) from error

    def _pairs(self, node: yaml.Node, where: str) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
            raise self._error(node, f"expected keys and values in {where}, got {_kind(node)}")
        seen: set[str] = set()
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._error(key, f"expected a word as key in {where}, got {_kind(key)}")
            if key.value in seen:
                raise self._error(key, f"expected `{key.value}` once in {where}, got it again")
            seen.add(key.value)
            yield key, child

    def _value(self, node: yaml.Node, hint: Any, where: str) -> Any:
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            if node.tag == "tag:yaml.org,2002:null":
                return None
            return self._value(node, next(a for a in get_args(hint) if a is not type(None)), where)
        if origin is Annotated:
            return self._checked(node, hint, where)
        if origin is Literal:
            return self._choice(node, get_args(hint), where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return hint(self._choice(node, tuple(member.value for member in hint), where))
        if isinstance(hint, type) and issubclass(hint, Spelt):
            return self._spelt(node, hint, where)
        if origin is tuple:
            return tuple(self._value(item, get_args(hint)[0], where) for item in self._items(node, where))
        if origin is Mapping and get_args(hint) != (str, object):
            return self._mapping(node, hint, where)
        if is_dataclass(hint):
            return self.section(node, hint, where)  # type: ignore[arg-type]
        if hint in _WORDS:
            return self._scalar(node, hint, where)
        return self._plain_mapping(node, where)

    def _checked(self, node: yaml.Node, hint: Any, where: str) -> Any:
        plain, *checks = get_args(hint)
        value = self._value(node, plain, where)
        for check in checks:
            expected = check.wrong(value)
            if expected is not None:
                raise self._error(node, f"expected {expected} for {where}, got {_kind(node)}")
        return value

    def _mapping(self, node: yaml.Node, hint: Any, where: str) -> Mapping[Any, Any]:
        key_hint, value_hint = get_args(hint)
        return {
            self._value(key, key_hint, f"a key of {where}"): self._value(
                child, value_hint, f"`{_short(key.value)}`"
            )
            for key, child in self._pairs(node, where)
        }

    def _items(self, node: yaml.Node, where: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode) or node.tag != "tag:yaml.org,2002:seq":
            raise self._error(node, f"expected a list in {where}, got {_kind(node)}")
        return list(node.value)

    def _choice(self, node: yaml.Node, choices: tuple[str, ...], where: str) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.value not in choices:
            raise self._error(node, f"expected one of {', '.join(choices)} for {where}, got {_kind(node)}")
        return str(node.value)

    def _scalar(self, node: yaml.Node, kind: Any, where: str) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag not in _TAGS[kind]:
            raise self._error(node, f"expected {_WORDS[kind]} for {where}, got {_kind(node)}")
        if not _is_unicode(node.value):
            raise self._error(node, f"expected whole characters for {where}, got half of a surrogate pair")
        if kind is Path:
            return self.folder / Path(node.value).expanduser()
        if kind in (int, float) and not _is_decimal(node):
            raise self._error(node, f"expected {_WORDS[kind]} in decimals for {where}, got {_kind(node)}")
        value = self._construct(node, where)
        return float(value) if kind is float else value

    def _spelt(self, node: yaml.Node, hint: type[Spelt], where: str) -> Spelt:
        try:
            return hint.read(node.value if isinstance(node, yaml.ScalarNode) else "")
        except ValueError as error:
            raise self._error(node, f"expected {error} for {where}, got {_kind(node)}") from error

    def _construct(self, node: yaml.ScalarNode, where: str) -> Any:
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            raise self._error(node, f"expected a value for {where}, got {_kind(node)}") from error

    def _plain_mapping(self, node: yaml.Node, where: str) -> Mapping[str, object]:
        return {key.value: self._plain(child, f"`{key.value}`") for key, child in self._pairs(node, where)}

    def _plain(self, node: yaml.Node, where: str) -> object:
        if isinstance(node, yaml.MappingNode):
            return self._plain_mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, where) for item in self._items(node, where)]
        if node.tag not in _PLAIN_TAGS or not isinstance(node, yaml.ScalarNode):
            raise self._error(node, f"expected text, a number, true or false for {where}, got {_kind(node)}")
        value: object = self._construct(node, where)
        return value

    def _check_range(self, node: yaml.Node, field: Field[Any], value: Any) -> None:
        if "low" not in field.metadata or value is None:
            return
        low, high = field.metadata["low"], field.metadata["high"]
        if not low <= value <= high:  # also refuses .nan
            raise self._error(node, f"expected {low} to {high} for `{field.name}`, got {value}")

    def _error(self, node: yaml.Node, words: str) -> ConfigError:
        return ConfigError(f"{self.name}, line {node.start_mark.line + 1}: {words}")


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _is_decimal(node: yaml.ScalarNode) -> bool:
    """Whether a number means what it looks like: YAML 1.1 reads `010` as 8 and `1:30` as 90."""
    if node.tag == "tag:yaml.org,2002:int":
        return re.fullmatch(r"[-+]?(0|[1-9][0-9_]*)", node.value) is not None
    return ":" not in node.value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _unknown(key: str, allowed: list[str], where: str) -> str:
    close = difflib.get_close_matches(key, allowed, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    return f"expected one of the keys {', '.join(allowed)} in {where}, got `{_short(key)}`{hint}"


def _kind(node: yaml.Node) -> str:
    """What a node holds, for messages."""
    if not node.tag.startswith("tag:yaml.org,2002:") or "/" in node.tag:
        return f"a value tagged `{_short(node.tag)}`"
    if isinstance(node, yaml.MappingNode):
        return "keys and values"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"`{_short(node.value)}`" if node.value else "nothing"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
