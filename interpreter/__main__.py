"""The `interpreter` command: parses, builds, runs; no logic of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Protocol, get_args

from duplex_model.contract import EngineKind
from duplex_model.errors import DuplexModelError
from duplex_model.tables import describe_models, describe_voices
from interpreter.check import check
from interpreter.config import Config, EngineConfig
from interpreter.config_file import load_config
from interpreter.errors import InterpreterError
from interpreter.run import run
from webrtc.errors import WebRTCError

COMMANDS_GROUP = "interpreter.commands"
"""Entry points of this group are `Command`s that other packages add."""

DISTRIBUTION = "meeting-interpreter"

Execute = Callable[[argparse.Namespace], int]
"""Carries out a parsed command; gives the exit code."""


class Command(Protocol):
    """A function that adds its subcommand, and sets `execute` in its defaults to an `Execute`."""

    def __call__(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Adds the subcommand."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 done, 1 failed, 2 wrongly called (by argparse), 130 interrupted while starting or closing."""
    arguments = parser_with(entry_points(group=COMMANDS_GROUP)).parse_args(argv)
    execute: Execute = arguments.execute
    try:
        return execute(arguments)
    except (InterpreterError, WebRTCError, DuplexModelError) as error:
        sys.stderr.write(f"interpreter: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def say(line: str) -> None:
    """Shows a line at once, also through a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def parser_with(commands: Iterable[EntryPoint]) -> argparse.ArgumentParser:
    """The parser of our own commands and of `commands`, which other packages add."""
    parser = argparse.ArgumentParser(
        prog="interpreter",
        description="A conversational interpreter that joins meetings: one full-duplex speech model session for "
        "every speaker and language.",
        epilog="`interpreter COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"{DISTRIBUTION} {_version()}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(subparsers)
    _add_check(subparsers)
    _add_listing(
        subparsers, "models", "known checkpoints, and whether this machine can run them", describe_models
    )
    _add_listing(subparsers, "voices", "voices that a prompt can name", describe_voices)
    for command in sorted(commands, key=lambda entry_point: entry_point.name):
        add: Command = command.load()
        add(subparsers)
    return parser


def _add_run(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="host a room and interpret in it",
        description="Hosts a room that people join with a browser, and interprets between them. Prints the link to "
        "open; Ctrl-C ends the meeting.",
    )
    _add_config_options(parser)
    parser.set_defaults(execute=_run)


def _add_check(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "check",
        help="check this machine before a meeting",
        description="Checks everything a meeting with this configuration needs, one line each: libraries, port, TLS, "
        "checkpoint, engine, a call to ourselves with its delay, models, GPU. Exits with 1 when something a meeting "
        "needs fails.",
    )
    _add_config_options(parser)
    parser.set_defaults(execute=_check)


def _add_listing(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    words: str,
    describe: Callable[[], str],
) -> None:
    def execute(arguments: argparse.Namespace) -> int:
        say(describe())
        return 0

    subparsers.add_parser(name, help=words, description=f"Lists {words}.").set_defaults(execute=execute)


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file; the options below override it"
    )
    parser.add_argument("--host", help="address to serve on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=_port, help="TCP port, 0 for any free one (default 8080)")
    parser.add_argument(
        "--tls",
        choices=("none", "self-signed", "given"),
        help="browsers on other machines need TLS for the microphone (default none)",
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="certificate, with --tls given")
    parser.add_argument("--key", type=Path, metavar="PEM", help="private key, with --tls given")
    parser.add_argument(
        "--engine",
        choices=get_args(EngineKind),
        help="what interprets (default: the checkpoint that comes with the package, else loopback)",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="NAME",
        help="run a model: a name of `interpreter models`, NAME=FOLDER, or a folder that describes itself",
    )
    parser.add_argument("--script", type=Path, metavar="JSON", help="what the scripted engine says")
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), help="what goes to standard error"
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"expected 0 to 65535, got {port}")
    return port


def _config(arguments: argparse.Namespace) -> Config:
    """The file's configuration, or the defaults, with the command line's options over it."""
    config = load_config(arguments.config) if arguments.config else Config()
    server = {name: getattr(arguments, name) for name in ("host", "port", "tls", "certificate", "key")}
    return replace(
        config,
        server=replace(config.server, **{name: value for name, value in server.items() if value is not None}),
        engine=_engine_config(config.engine, arguments),
        logging=replace(config.logging, level=arguments.log_level or config.logging.level),
    )


def _engine_config(engine: EngineConfig, arguments: argparse.Namespace) -> EngineConfig:
    kind: EngineKind | None = arguments.engine or ("neural" if arguments.checkpoint else None)
    if kind not in (None, engine.kind):
        engine = replace(engine, kind=kind, options={})  # options belong to the kind in the file
    if arguments.checkpoint is not None:
        engine = replace(engine, options={**engine.options, "checkpoint": arguments.checkpoint})
    if arguments.script is not None:
        engine = replace(engine, options={**engine.options, "script_file": str(arguments.script)})
    return engine


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    _log(config.logging.level)
    asyncio.run(run(config, say))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    _log(arguments.log_level or "warning")  # the check's own lines are the output
    return 0 if asyncio.run(check(config, say)) else 1


def _log(level: str) -> None:
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr
    )
    # ICE logs every candidate pair at INFO: other people's addresses, and nobody's news.
    logging.getLogger("aioice").setLevel(logging.WARNING)


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
