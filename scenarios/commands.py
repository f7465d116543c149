"""`interpreter scenarios`: what scenarios there are, whether files are right, and drafts from what others recorded.

Usage:
    interpreter scenarios list
    interpreter scenarios check my-scenarios/
    interpreter scenarios import primock57 primock57/transcripts --out drafts/
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from interpreter.errors import ConfigError
from scenarios.importers.draft import Draft, draft_yaml
from scenarios.importers.full_duplex_bench import find_samples, read_sample
from scenarios.importers.mts_dialog import read_mts_dialog
from scenarios.importers.primock57 import find_consultations, read_consultation
from scenarios.importers.webvtt import read_webvtt
from scenarios.schema import PACKAGED, SUFFIX, load_scenarios

UNKNOWN_LICENCE = "unknown: ask the owner"


def add_scenarios(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand; see `interpreter.__main__.Command`."""
    parser = subparsers.add_parser("scenarios", help="list, check and import dialogues to replay")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser(
        "list", help="the scenarios of files and folders; those of the package without"
    )
    listing.add_argument("paths", nargs="*", type=Path, metavar="FILE|DIR")
    listing.set_defaults(execute=_list)
    checking = actions.add_parser("check", help="say what is wrong with scenario files, with line")
    checking.add_argument("paths", nargs="+", type=Path, metavar="FILE|DIR")
    checking.set_defaults(execute=_check)
    importing = actions.add_parser("import", help="make drafts of what others recorded (docs/scenarios.md)")
    importing.add_argument("kind", choices=sorted(_IMPORTERS))
    importing.add_argument("path", type=Path, metavar="FILE|DIR")
    importing.add_argument("--out", type=Path, required=True, help="folder for the drafts")
    importing.add_argument("--language", choices=("en", "es"), default="en", help="of all that is said")
    importing.add_argument("--licence", default=UNKNOWN_LICENCE, help="of captions: an SPDX identifier")
    importing.add_argument(
        "--no-recordings", action="store_true", help="of TextGrids: let voices of espeak-ng speak"
    )
    importing.set_defaults(execute=_import)


def _list(arguments: argparse.Namespace) -> int:
    for scenario in load_scenarios(arguments.paths or [PACKAGED]):
        catches = scenario.catches.value if scenario.catches else "draft"
        sys.stdout.write(f"{scenario.id:32} {catches:24} {scenario.title}\n")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    scenarios = load_scenarios(arguments.paths)
    drafts = sum(scenario.draft for scenario in scenarios)
    sys.stdout.write(f"{len(scenarios)} scenarios are right, {drafts} of them drafts\n")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    for draft in _IMPORTERS[arguments.kind](arguments):
        file = out / f"{draft.scenario_id}{SUFFIX}"
        if file.exists():
            raise ConfigError(f"expected no file {file}, which a draft would replace, got one")
        file.write_text(draft_yaml(draft), encoding="utf-8")
        count += 1
    if not count:
        raise ConfigError(f"expected something to import in {arguments.path}, got nothing")
    sys.stdout.write(f"{count} drafts in {out}\n")
    return 0


def _primock57(arguments: argparse.Namespace) -> Iterator[Draft]:
    for files in find_consultations(arguments.path):
        yield read_consultation(files, language=arguments.language, recorded=not arguments.no_recordings)


def _full_duplex_bench(arguments: argparse.Namespace) -> Iterator[Draft]:
    for folder in find_samples(arguments.path):
        yield read_sample(folder, language=arguments.language)


def _webvtt(arguments: argparse.Namespace) -> Iterator[Draft]:
    path: Path = arguments.path
    for file in sorted(path.rglob("*.vtt")) if path.is_dir() else [path]:
        yield read_webvtt(_text(file), name=file.stem, licence=arguments.licence, language=arguments.language)


def _mts_dialog(arguments: argparse.Namespace) -> Iterator[Draft]:
    yield from read_mts_dialog(_text(arguments.path), name=str(arguments.path), language=arguments.language)


_IMPORTERS: Mapping[str, Callable[[argparse.Namespace], Iterable[Draft]]] = {
    "full-duplex-bench": _full_duplex_bench,
    "mts-dialog": _mts_dialog,
    "primock57": _primock57,
    "webvtt": _webvtt,
}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: expected a readable file of UTF-8 text, got: {error}") from error
