"""Runs a plan of `plans.yaml`: from a grammar to a checkpoint, line by line, each line a command of this package.

    python -m duplex_model.training.pipeline toy --work out/toy
    python -m duplex_model.training.pipeline gpu --work out/gpu --call codec --keep out/kept

What is done is left out and what was begun goes on, so that the same command is given again after an interruption.
A plan may be cut into calls, for machines that are lent for minutes. With `--keep`, what is worth keeping of a call is
packed after every line, into parts of at most 15 MiB, since such a machine may go at any time:

    cat part-*.tar.gz | tar -xz
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

logger = logging.getLogger(__name__)

PLANS_FILE = Path(__file__).parent / "plans.yaml"
PART_BYTES = 15 << 20


@dataclass(frozen=True, kw_only=True)
class Line:
    """A command."""

    run: str
    """As typed; `{work}`, `{cpus}` and `{call}` are filled in, also below."""

    made: str | None = None
    """File in the work folder that shows that it is done."""

    resume: str | None = None
    """File in the work folder that shows that it was begun."""

    beside: bool = False
    """Whether the next line begins at once."""

    limit: float | None = None
    """Minutes after which it is stopped, and the call goes on."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """Lines that run one after the other."""

    lines: Sequence[Line]
    brings: Sequence[str] = ()
    """Files and folders in the work folder that are worth keeping."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a checkpoint is made."""

    about: str
    checkpoint: str
    """Its name."""

    calls: Mapping[str, Call] = field(default_factory=dict)
    description: Mapping[str, Any] = field(default_factory=dict)
    """Of the checkpoint, for `export`."""


class StageError(Exception):
    """A command of a plan failed."""


@cache
def load_plans() -> Mapping[str, Plan]:
    """The plans by name."""
    values = yaml.safe_load(PLANS_FILE.read_text(encoding="utf-8"))
    return {name: _plan(plan, values["description"]) for name, plan in values["plans"].items()}


def _plan(values: Mapping[str, Any], description: Mapping[str, Any]) -> Plan:
    calls = {
        name: Call(lines=[Line(**line) for line in call["lines"]], brings=call.get("brings", ()))
        for name, call in values["calls"].items()
    }
    described = {"name": values["checkpoint"], **description}
    return Plan(about=values["about"], checkpoint=values["checkpoint"], calls=calls, description=described)


def arguments_of(line: Line, call: str, work: Path) -> list[str] | None:
    """The command of a line as the system takes it; None where it is done."""
    if line.made is not None and (work / line.made.format(call=call)).exists():
        return None
    words = shlex.split(line.run)
    filled = [word.format(work=work, cpus=os.cpu_count(), call=call) for word in words]
    if filled[0] == "python":
        filled[0] = sys.executable
    if line.resume is not None and (work / line.resume.format(call=call)).exists():
        filled.append("--resume")
    return filled


def run_call(plan: Plan, call: str, work: Path, keep: Path | None = None) -> None:
    """Runs the lines of one call.

    Args:
        plan: whose call it is.
        call: its name.
        work: folder of everything that is made.
        keep: folder for what it brings, packed; or None.

    Raises:
        StageError: a command failed.
    """
    work.mkdir(parents=True, exist_ok=True)
    _write_surroundings(plan, work)
    beside: list[subprocess.Popen[bytes]] = []
    try:
        for line in plan.calls[call].lines:
            command = arguments_of(line, call, work)
            if command is None:
                logger.info("done already: %s", line.run)
            elif line.beside:
                logger.info("beside: %s", shlex.join(command))
                beside.append(subprocess.Popen(command))
            else:
                _run(command, line.limit)
            if keep is not None:
                pack(work, plan.calls[call].brings, keep)
        for process in beside:
            _check(process.args, process.wait())
    finally:
        for process in beside:
            process.kill()
            process.wait()


def _run(command: Sequence[str], limit_minutes: float | None) -> None:
    logger.info("%s", shlex.join(command))
    began_s = time.monotonic()
    try:
        done = subprocess.run(command, timeout=limit_minutes and 60 * limit_minutes, check=False)
    except subprocess.TimeoutExpired:
        logger.warning("stopped after %g minutes", limit_minutes)
        return
    logger.info("took %.0f s", time.monotonic() - began_s)
    _check(command, done.returncode)


def _check(command: object, status: int) -> None:
    if status != 0:
        raise StageError(f"expected exit status 0 of {command}, got {status}")


def _write_surroundings(plan: Plan, work: Path) -> None:
    """What `export` is given, where nobody wrote anything better: a description, and a card that tells the plan."""
    about, card = work / "about.json", work / "card.md"
    if not about.exists():
        about.write_text(json.dumps(plan.description, indent=2) + "\n", encoding="utf-8")
    if not card.exists():
        commands = "\n".join(line.run for call in plan.calls.values() for line in call.lines)
        card.write_text(f"# {plan.checkpoint}\n\n{plan.about}\n\n```\n{commands}\n```\n", encoding="utf-8")


def pack(work: Path, brings: Sequence[str], keep: Path) -> list[Path]:
    """Packs what there is of `brings` into `keep`, in parts of at most `PART_BYTES`; the parts."""
    keep.mkdir(parents=True, exist_ok=True)
    whole = keep / "part.tar.unfinished"
    with tarfile.open(whole, "w:gz") as archive:
        for name in brings:
            if (work / name).exists():
                archive.add(work / name, name)
    for old in keep.glob("part-*.tar.gz"):
        old.unlink()
    parts = []
    for number, content in enumerate(_pieces(whole)):
        parts.append(keep / f"part-{number:02d}.tar.gz")
        parts[-1].write_bytes(content)
    whole.unlink()
    return parts


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PART_BYTES):
            yield piece


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    plans = load_plans()
    parser = argparse.ArgumentParser(
        prog="python -m duplex_model.training.pipeline",
        description="\n".join(f"{name}: {plan.about}" for name, plan in plans.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("plan", choices=plans)
    parser.add_argument("--work", type=Path, required=True, help="folder of everything that is made")
    parser.add_argument("--call", help="only this one (default: all of them)")
    parser.add_argument("--keep", type=Path, help="folder for what is worth keeping, packed")
    options = parser.parse_args(arguments)
    plan = plans[options.plan]
    if options.call is not None and options.call not in plan.calls:
        parser.error(f"expected a call of {', '.join(plan.calls)}, got {options.call}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        for call in [options.call] if options.call else plan.calls:
            run_call(plan, call, options.work, options.keep)
    except StageError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
