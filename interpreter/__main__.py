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
from interpreter.config.config import Config, EngineConfig, with_options
from interpreter.config.console import with_console_options
from interpreter.config.file import load_config
from interpreter.config.join import with_join_options
from interpreter.errors import InterpreterError
from interpreter.identity.commands import add_verify
from interpreter.join.join import join
from interpreter.record.record import Keep
from interpreter.roles.library import load_library, user_folder
from interpreter.roles.listing import describe_role, describe_roles
from interpreter.run import run
from interpreter.serve_jitsi import serve_jitsi
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
    _add_serve_jitsi(subparsers)
    _add_join(subparsers)
    _add_check(subparsers)
    _add_listing(
        subparsers, "models", "known checkpoints, and whether this machine can run them", describe_models
    )
    _add_listing(subparsers, "voices", "voices that a prompt can name", describe_voices)
    _add_roles(subparsers)
    add_verify(subparsers)
    for command in sorted(commands, key=lambda entry_point: entry_point.name):
        add: Command = command.load()
        add(subparsers)
    return parser


def _add_run(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "run",
        help="host a room and interpret in it",
        description="Hosts a room that people join with a browser, and interprets between them. Prints the link to "
        "open; Ctrl-C ends the meeting with a closing notice, a second one without.",
    )
    _add_config_options(parser)
    parser.set_defaults(execute=_run)


def _add_serve_jitsi(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "serve-jitsi",
        help="interpret in the meetings of your own Jitsi server",
        description="Serves the translation service that Jitsi's bridges call for the languages people choose in its "
        "own clients; docs/jitsi.md has the settings on the other side. The first SIGTERM or Ctrl-C lets what is being "
        "said come to an end, a second one does not.",
    )
    _add_config_options(parser)
    parser.set_defaults(execute=_serve_jitsi)


def _add_join(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "join",
        help="interpret in a Jitsi meeting elsewhere, as a guest",
        description="Joins a meeting as one participant for each language, and interprets between the people in it. "
        "People are told from one another by rules (--language, --role, or `join.people` in the file). Passwords and "
        "tokens are never given here, only where they are. Ctrl-C leaves with a closing notice, a second one without.",
    )
    parser.add_argument(
        "url", nargs="?", metavar="URL", help="https://host/[tenant/]room; needed unless the file has it"
    )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="TAG",
        help="language to interpret into; may be given several times (default: those of `room.languages`)",
    )
    parser.add_argument("--name", help="of the interpreter among the participants (default Interpreter)")
    for what, words in (("password", "the meeting's password"), ("token", "the token (JWT) of the server")):
        place = parser.add_mutually_exclusive_group()
        place.add_argument(f"--{what}-env", metavar="VAR", help=f"environment variable that holds {words}")
        place.add_argument(f"--{what}-file", type=Path, metavar="FILE", help=f"file that holds {words}")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be done: ask the server, join nothing"
    )
    _add_meeting_options(parser)
    parser.set_defaults(execute=_join)


def _add_check(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "check",
        help="check this machine before a meeting",
        description="Checks everything a meeting with this configuration needs, one line each: libraries, port, TLS, "
        "roles, identity key, folder, voice and echo processing, checkpoint, engines and the languages they speak "
        "notices in, a call to ourselves with its delay, models, GPU. Exits with 1 when something a meeting needs "
        "fails.",
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


def _add_roles(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "roles",
        help="roles the interpreter can be in",
        description="Lists the roles that come with the package and those in your own folder, or tells all of one.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="a role, or a path to its file, *.yaml")
    parser.set_defaults(execute=_roles)


def _add_config_options(parser: argparse.ArgumentParser) -> None:
    _add_server_options(parser)
    _add_meeting_options(parser)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to serve on (default 127.0.0.1: this machine only)")
    parser.add_argument("--port", type=_port, help="TCP port, 0 for any free one (default 8080)")
    parser.add_argument(
        "--tls",
        choices=("none", "self-signed", "given"),
        help="browsers on other machines need TLS for the microphone (default none)",
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="certificate, with --tls given")
    parser.add_argument("--key", type=Path, metavar="PEM", help="private key, with --tls given")


def _add_meeting_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file; the other options override it"
    )
    parser.add_argument(
        "--console-port",
        type=_port,
        metavar="PORT",
        help="TCP port of the operator console, 0 for any free one (default 8081, or any free one)",
    )
    parser.add_argument("--no-console", action="store_true", help="serve no operator console")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="NAME[=PERSON]",
        help="role in which everybody, or one person, is interpreted: a name of `interpreter roles`, or a role's file; "
        "may be given several times",
    )
    parser.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="TAG[=PERSON]",
        help="language that one person speaks, or everybody who tells none; may be given several times",
    )
    parser.add_argument(
        "--keep",
        choices=get_args(Keep),
        help="what is kept of what is said (default nothing); needs --folder",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="where meetings are kept; with nothing kept, their identity chains and audit logs",
    )
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
    names = ("host", "port", "tls", "certificate", "key")
    server = {name: getattr(arguments, name, None) for name in names}
    return replace(
        config,
        server=replace(config.server, **{name: value for name, value in server.items() if value is not None}),
        meeting=with_options(
            config.meeting,
            roles=arguments.role,
            languages=arguments.language,
            keep=arguments.keep,
            folder=arguments.folder,
        ),
        engine=_engine_config(config.engine, arguments),
        console=with_console_options(
            config.console, port=arguments.console_port, enabled=not arguments.no_console
        ),
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
    asyncio.run(run(config, say, _version()))
    return 0


def _serve_jitsi(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    _log(config.logging.level)
    asyncio.run(serve_jitsi(config, say, _version()))
    return 0


def _join(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    over = {
        name: getattr(arguments, name)
        for name in ("url", "name", "password_env", "password_file", "token_env", "token_file")
        if getattr(arguments, name) is not None
    }
    config = replace(config, join=with_join_options(config.join, over, outputs=arguments.output))
    _log(config.logging.level)
    asyncio.run(join(config, say, dry_run=arguments.dry_run, version=_version()))
    return 0


def _check(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    _log(arguments.log_level or "warning")  # the check's own lines are the output
    return 0 if asyncio.run(check(config, say)) else 1


def _roles(arguments: argparse.Namespace) -> int:
    library = load_library([user_folder()])
    name: str | None = arguments.name
    say(describe_roles(library) if name is None else describe_role(library.resolve(name)))
    return 0


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
