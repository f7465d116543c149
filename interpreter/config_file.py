"""YAML to `Config`, at the edge: whatever is wrong with the file is said with its line.

The file is parsed to nodes that know their lines and never to Python objects of its choice; aliases are refused,
since nested ones unfold a small file into a huge one. The dataclasses are the schema: their types, `Literal`s and
ranges say what is expected.
"""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from interpreter.config import Config
from interpreter.errors import ConfigError

MAX_FILE_BYTES = 1_000_000

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


def load_config(path: Path) -> Config:
    """The configuration in the YAML file at `path`; paths in it are relative to its folder.

    Raises:
        ConfigError: names the file, the line, what was expected and what came.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_FILE_BYTES} bytes, got {path.stat().st_size}")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a readable file of UTF-8 text, got: {error}") from error
    return parse_config(text, name=str(path), folder=path.parent)


def parse_config(text: str, *, name: str, folder: Path) -> Config:
    """The configuration that `text` spells; an empty one is all defaults.

    Args:
        text: YAML.
        name: of the file, for messages.
        folder: what paths are relative to.

    Raises:
        ConfigError: see `load_config`.
    """
    try:
        events = list(yaml.parse(text, Loader=yaml.SafeLoader))
        aliased = any(isinstance(event, yaml.AliasEvent) for event in events)
        node = None if aliased else yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{name}: expected YAML, got: {_yaml_words(error)}") from error
    if aliased:
        raise ConfigError(f"{name}: expected every value to be written out, got an alias (`*name`)")
    if node is None:
        return Config()
    config = _Reader(name, folder).section(node, Config, "the file")
    assert isinstance(config, Config)
    return config


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
        hints = get_type_hints(schema)
        given: dict[str, Any] = {}
        for key, child in self._pairs(node, where):
            if key.value not in known:
                raise self._error(key, _unknown(key.value, list(known), where))
            value = self._value(child, hints[key.value], f"`{key.value}`")
            self._check_range(child, known[key.value], value)
            given[key.value] = value
        for missing in (f.name for f in known.values() if _is_required(f) and f.name not in given):
            raise self._error(node, f"expected `{missing}` in {where}, got none")
        return schema(**given)

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
        if origin is Literal:
            return self._choice(node, get_args(hint), where)
        if origin is tuple:
            return tuple(self._value(item, get_args(hint)[0], where) for item in self._items(node, where))
        if is_dataclass(hint):
            return self.section(node, hint, where)  # type: ignore[arg-type]
        if hint in _WORDS:
            return self._scalar(node, hint, where)
        return self._plain_mapping(node, where)

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
        if kind is Path:
            return self.folder / Path(node.value).expanduser()
        value = self._construct(node, where)
        return float(value) if kind is float else value

    def _construct(self, node: yaml.ScalarNode, where: str) -> Any:
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, KeyError, OverflowError) as error:
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
        if "low" not in field.metadata:
            return
        low, high = field.metadata["low"], field.metadata["high"]
        if not low <= value <= high:  # also refuses .nan
            raise self._error(node, f"expected {low} to {high} for `{field.name}`, got {value}")

    def _error(self, node: yaml.Node, words: str) -> ConfigError:
        return ConfigError(f"{self.name}, line {node.start_mark.line + 1}: {words}")


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


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
