"""The roles there are: those that come with the package, and the user's own files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from interpreter.errors import ConfigError
from interpreter.roles.role import SCRIPT_IDS, Role, ScriptId, Scripts
from interpreter.yaml_file import parse_yaml, read_yaml

_HERE = Path(__file__).parent
PACKAGED = _HERE / "library"
"""Folder of the bundles that come with the package."""

SUFFIX = ".yaml"


@dataclass(frozen=True, kw_only=True)
class _ScriptFile:
    scripts: Scripts


class RoleLibrary:
    """Roles by name."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        """Takes loaded roles by name."""
        self.roles: Mapping[str, Role] = dict(sorted(roles.items()))

    def find(self, name: str) -> Role:
        """The role of that name; reads no file, so that a name may come from anybody.

        Raises:
            ConfigError: there is none; the message lists the names there are.
        """
        if name not in self.roles:
            close = difflib.get_close_matches(name, self.roles, n=1)
            hint = f" (did you mean `{close[0]}`?)" if close else ""
            raise ConfigError(f"expected one of the roles {', '.join(self.roles)}, got {name[:60]!a}{hint}")
        return self.roles[name]

    def resolve(self, text: str) -> Role:
        """The role that whoever runs the interpreter named: by name, or by the path of its file, `*.yaml`.

        Raises:
            ConfigError: there is none, or the file cannot be used.
        """
        return load_role(Path(text).expanduser()) if text.endswith(SUFFIX) else self.find(text)


def load_library(folders: Sequence[Path] = ()) -> RoleLibrary:
    """The package's roles and those of every `*.yaml` in `folders`; a folder need not be there.

    Raises:
        ConfigError: a file cannot be used, or takes a name that is taken.
    """
    roles: dict[str, Role] = {}
    files: dict[str, Path] = {}
    for folder in (PACKAGED, *folders):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            role = load_role(path)
            if role.name in roles:
                raise ConfigError(
                    f"{path}: expected a name of its own, got {role.name}, as in {files[role.name]}"
                )
            roles[role.name] = role
            files[role.name] = path
    return RoleLibrary(roles)


def load_role(path: Path) -> Role:
    """The role in the file at `path`, with every script.

    Raises:
        ConfigError: names the file, the line, what was expected and what came.
    """
    return _with_every_script(read_yaml(path, Role), str(path))


def parse_role(text: str, *, name: str) -> Role:
    """The role that `text` spells, with every script.

    Args:
        text: YAML.
        name: of the file, for messages.

    Raises:
        ConfigError: see `load_role`.
    """
    return _with_every_script(parse_yaml(text, Role, name=name, folder=_HERE), name)


def user_folder() -> Path:
    """Where people put roles of their own: `$XDG_CONFIG_HOME/meeting-interpreter/roles`."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "meeting-interpreter" / "roles"


@cache
def standard_scripts() -> Scripts:
    """What every role says where its own file says nothing else."""
    return read_yaml(_HERE / "scripts.yaml", _ScriptFile).scripts


def _with_every_script(role: Role, name: str) -> Role:
    standard = standard_scripts()
    optional = set() if role.policies.announce else {"announcement"}
    scripts: dict[str, Mapping[ScriptId, tuple[str, ...]]] = {}
    for language in sorted({*standard, *role.scripts}):
        given = {**standard.get(language, {}), **role.scripts.get(language, {})}
        missing = [script_id for script_id in SCRIPT_IDS if script_id not in {*given, *optional}]
        if missing:
            raise ConfigError(
                f"{name}: expected all `scripts` in {language}, got none for {', '.join(missing)}"
            )
        scripts[language] = {script_id: given[script_id] for script_id in SCRIPT_IDS if script_id in given}
    return replace(role, scripts=scripts)
