"""`interpreter verify FILE`: what a sealed file is worth, in words and as an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from duplex_model.contract import FRAME_S
from interpreter.errors import IdentityError
from interpreter.identity.chain import MAX_LINE_BYTES
from interpreter.identity.encoding import shown
from interpreter.identity.keys import load_key_set
from interpreter.identity.recordings import Recordings
from interpreter.identity.sound import SoundVerdict
from interpreter.identity.verify import ChainState, Report, Verdict, verify

EXIT_CODES = {Verdict.VERIFIED: 0, Verdict.FAILED: 1, Verdict.INCOMPLETE: 3}
"""2 is argparse's."""


def add_verify(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "verify",
        help="check an attestation or audit file",
        description="Checks that a meeting's attestation or audit log is as it was written, line by line, and who "
        "signed it. Exits with 0 when it is whole and unaltered, 1 when something in it was altered, removed, added "
        "or moved, 3 when it is unaltered as far as it goes but its end is missing.",
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="attestation or audit log, one record a line")
    parser.add_argument(
        "--audio",
        type=Path,
        nargs="+",
        default=[],
        metavar="WAV",
        help="recordings of the meeting's renderings, all that sound: one file each, or channels of one",
    )
    parser.add_argument(
        "--jwks",
        type=Path,
        metavar="FILE",
        help="keys you trust (JWK set); without it the file vouches for itself",
    )
    parser.set_defaults(execute=_verify)


def _verify(arguments: argparse.Namespace) -> int:
    trusted = load_key_set(arguments.jwks) if arguments.jwks else None
    with ExitStack() as stack:
        try:
            file = stack.enter_context(arguments.file.open("rb"))
            tracks = stack.enter_context(Recordings(arguments.audio)) if arguments.audio else None
            report = verify(read_lines(file), trusted, tracks)
        except OSError as error:
            raise IdentityError(
                f"expected a readable file, got {arguments.file}: {error.strerror}"
            ) from error
    sys.stdout.writelines(f"{line}\n" for line in words_of(report, arguments.jwks))
    return EXIT_CODES[report.verdict]


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file with their newlines; one that is too long for a sealed line ends it, cut but with one."""
    while line := file.readline(MAX_LINE_BYTES):
        too_long = len(line) == MAX_LINE_BYTES and not line.endswith(b"\n")
        yield line + b"\n" if too_long else line
        if too_long:
            return


def words_of(report: Report, jwks: Path | None = None) -> Iterator[str]:
    """A report for people; every text out of the file is shown in ASCII, so that no terminal acts on it."""
    yield from _head_words(report, jwks)
    for tenure in report.tenures:
        passport = tenure.passport
        operator = f", operator {shown(passport.operator)}" if passport.operator is not None else ""
        role = f"{shown(passport.role.name)} {passport.role.checksum[:8]}"
        yield f"From line {tenure.line}: role {role}{operator}"
    first_frame = report.head.first_frame if report.head else 0
    for chain in report.chains:
        yield _chain_words(chain, first_frame)
    for direction, sound in report.sound.items():
        name = f"{shown(direction.speaker_id)} {shown(direction.language_in)}>{shown(direction.language_out)}"
        yield f"Sound of {name}: {_sound_words(sound, first_frame)}"
    for name in report.unclaimed:
        yield f"Sound of {name}: no rendering that this file attests, so nothing is said of it"
    for fault in report.faults:
        yield f"Line {fault.line}: {fault.words}"
    if report.faults_total > len(report.faults):
        yield f"and {report.faults_total - len(report.faults)} more faults"
    if report.cut_line is not None:
        yield f"Line {report.cut_line}: it is there in part only"
    elif not report.ended:
        yield "The last line, which would say that the file is whole, is missing"
    yield f"Verdict: {report.verdict.value}"


def _head_words(report: Report, jwks: Path | None) -> Iterator[str]:
    head = report.head
    if head is None:
        yield "Its first line, which names the meeting and the key, is not there as it was written"
        return
    if head.passport is None:
        yield f"Audit log of meeting {shown(head.meeting_id)}, {report.events} events"
    else:
        room, bot = shown(head.passport.room), shown(head.passport.subject)
        yield f"Attestation of meeting {shown(head.meeting_id)}, room {room}"
        yield f"Interpreter {bot} of {shown(head.passport.issuer)}"
        yield f"Salt of the texts' hashes: {'in the file' if head.salt else 'kept out of the file'}"
    key = head.key.thumbprint
    if report.trusted:
        yield f"Trust: key {key}, which is in {jwks or 'the key set given'}"
    else:
        yield f"Trust: key {key}, on the file's own word, which shows that it is whole and not whose it is; see --jwks"


def _chain_words(chain: ChainState, first_frame: int) -> str:
    direction = chain.direction
    name = f"{shown(direction.speaker_id)} {shown(direction.language_in)}>{shown(direction.language_out)}"
    span = f"{_time(chain.t0 - first_frame)} to {_time(chain.t1 - first_frame)}"
    counters = chain.counters
    counted = (
        f"{counters.yields} yields, {counters.cuts} cuts, {counters.resumes} resumes, "
        f"{counters.operator_actions} operator actions"
    )
    words = {
        Verdict.VERIFIED: "verified",
        Verdict.INCOMPLETE: "incomplete: its last record is missing",
        Verdict.FAILED: f"failed at line {chain.fault.line if chain.fault else 0}",
    }[chain.verdict]
    role = f", role {chain.role[:8]}" if chain.role else ""
    return f"{name}{role}: {chain.records} records, {span}, {counted}: {words}"


def _sound_words(sound: SoundVerdict, first_frame: int) -> str:
    if sound.track is None:
        return (
            "failed: no track that was given is this rendering" if sound.mismatches else "silent throughout"
        )
    if not sound.mismatches:
        return f"verified: {sound.track}, {sound.windows} windows"
    spans = ", ".join(
        f"{_time(t0 - first_frame)} to {_time(t1 - first_frame)}" for t0, t1 in sound.first_mismatches
    )
    more = "" if sound.mismatches == len(sound.first_mismatches) else f" and {sound.mismatches} in all"
    return f"failed: {sound.track} differs at {spans}{more}"


def _time(frames: int) -> str:
    """Frames since the meeting's first one, as h:mm:ss.ss."""
    seconds = frames * FRAME_S
    return f"{int(seconds) // 3_600}:{int(seconds) // 60 % 60:02}:{seconds % 60:05.2f}"
