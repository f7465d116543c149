"""YAML to `Config`; see `yaml_file` for how a file is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from interpreter.config.config import Config
from interpreter.roles.library import SUFFIX
from interpreter.yaml_file import MAX_FILE_BYTES as MAX_FILE_BYTES
from interpreter.yaml_file import parse_yaml, read_yaml


def load_config(path: Path) -> Config:
    """The configuration in the YAML file at `path`; paths in it are relative to its folder.

    Raises:
        ConfigError: names the file, the line, what was expected and what came.
    """
    return _with_role_files(read_yaml(path, Config), path.parent)


def parse_config(text: str, *, name: str, folder: Path) -> Config:
    """The configuration that `text` spells; an empty one is all defaults.

    Args:
        text: YAML.
        name: of the file, for messages.
        folder: what paths are relative to.

    Raises:
        ConfigError: see `load_config`.
    """
    return _with_role_files(parse_yaml(text, Config, name=name, folder=folder), folder)


def _with_role_files(config: Config, folder: Path) -> Config:
    """`config` with the paths among its roles, which are names or paths, relative to `folder` as well."""

    def placed(role: str) -> str:
        return str(folder / Path(role).expanduser()) if role.endswith(SUFFIX) else role

    room, meeting, jitsi, join = config.room, config.meeting, config.jitsi, config.join
    people = tuple(replace(one, role=one.role and placed(one.role)) for one in room.people)
    roles = tuple(replace(one, role=placed(one.role)) for one in meeting.roles)
    meetings = tuple(replace(one, role=one.role and placed(one.role)) for one in jitsi.meetings)
    guests = tuple(replace(one, role=one.role and placed(one.role)) for one in join.people)
    return replace(
        config,
        room=replace(room, people=people),
        meeting=replace(meeting, role=placed(meeting.role), roles=roles),
        jitsi=replace(jitsi, meetings=meetings),
        join=replace(join, people=guests),
    )
