"""Checks a sealed file line by line: who signed it, whether it is whole, and what in it is not as it was written.

Pure: lines come in, a `Report` goes out. Nothing a file holds makes this fail: whatever is wrong is a fault with its
line. What is kept of a file does not grow with its length, but for a few numbers per direction and role.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interpreter.directions import Direction
from interpreter.errors import IdentityError
from interpreter.identity.audit import EVENT_KIND, check_event
from interpreter.identity.chain import Line, parse_line
from interpreter.identity.encoding import shown
from interpreter.identity.heads import (
    ATTESTATION_KIND,
    AUDIT_KIND,
    END_KIND,
    PASSPORT_KIND,
    Head,
    check_end,
    check_passport_line,
    read_head,
)
from interpreter.identity.keys import PublicKey
from interpreter.identity.passport import Passport
from interpreter.identity.records import WINDOW_KIND, Counters, Window, WindowRecord, read_window
from interpreter.identity.sound import SoundMatch, SoundVerdict, Tracks

MAX_CHAINS = 10_000
MAX_FAULTS = 20
"""As many are reported in words; all are counted."""

MAX_TENURES = 100


class Verdict(enum.Enum):
    """What a file is worth."""

    VERIFIED = "verified"
    INCOMPLETE = "incomplete"  # what is there is as it was written, but the end is missing
    FAILED = "failed"


@dataclass(frozen=True)
class Fault:
    """Something that is not as it was written."""

    line: int
    """Number of the line, from 1."""

    words: str


@dataclass(frozen=True, kw_only=True)
class Tenure:
    """From a line on, this role spoke and this operator answered for it."""

    line: int
    passport: Passport


@dataclass(eq=False)
class ChainState:
    """One direction's chain, as far as it was read."""

    number: int
    direction: Direction
    t0: int
    """Media-clock number of its first frame."""

    last: str
    """Digest of its last line; of the file's first one before it has any."""

    t1: int = field(init=False)
    """Number of the first frame after it."""

    role: str = ""
    """Checksum of the role that spoke; empty before its first record."""

    records: int = 0
    counters: Counters = field(default_factory=Counters)
    final: bool = False
    fault: Fault | None = None
    """The first one; what follows it is not looked at."""

    def __post_init__(self) -> None:
        self.t1 = self.t0

    @property
    def verdict(self) -> Verdict:
        """Of this chain alone."""
        if self.fault is not None:
            return Verdict.FAILED
        return Verdict.VERIFIED if self.final else Verdict.INCOMPLETE

    def add(self, record: WindowRecord, digest: str) -> None:
        """Takes the next record.

        Raises:
            IdentityError: it does not follow the one before it.
        """
        window = record.window
        if self.final:
            raise IdentityError(f"expected nothing after the end of chain {self.number}, got another record")
        if window.direction != self.direction:
            raise IdentityError(
                f"expected a record of the same direction in chain {self.number}, got another's"
            )
        if window.seq != self.records:
            raise IdentityError(f"expected record {self.records} of chain {self.number}, got {window.seq}")
        if record.prev != self.last:
            raise IdentityError(
                f"expected the record that follows in chain {self.number}, got one from elsewhere"
            )
        if window.t0 != self.t1:
            raise IdentityError(f"expected a window from frame {self.t1} on, got one from {window.t0}")
        if self.records and record.role != self.role:
            raise IdentityError(f"expected one role throughout chain {self.number}, got another")
        self.role, self.last, self.t1, self.final = record.role, digest, window.t1, window.final
        self.records += 1
        self.counters += window.counters


@dataclass(frozen=True, kw_only=True)
class Report:
    """All there is to say about a file."""

    head: Head | None
    """None where the first line is not as it was written."""

    trusted: bool
    """The key is one of those that were given; else the file vouches for itself only."""

    faults: tuple[Fault, ...]
    """The first `MAX_FAULTS`."""

    faults_total: int
    cut_line: int | None
    """Number of the line that is there in part only; None for none."""

    ended: bool
    """The file says that it is whole."""

    lines: int
    events: int
    """Of an audit log."""

    chains: tuple[ChainState, ...]
    tenures: tuple[Tenure, ...]
    """The first `MAX_TENURES`."""

    sound: Mapping[Direction, SoundVerdict]
    """Empty where no recording was given."""

    unclaimed: tuple[str, ...]
    """Tracks that are no rendering this file attests, such as people's own voices."""

    @property
    def verdict(self) -> Verdict:
        """Of the whole file."""
        if self.faults_total or any(one.mismatches for one in self.sound.values()):
            return Verdict.FAILED
        whole = self.ended and self.cut_line is None and all(chain.final for chain in self.chains)
        return Verdict.VERIFIED if whole else Verdict.INCOMPLETE


def verify(
    lines: Iterable[bytes], trusted: Mapping[str, PublicKey] | None = None, tracks: Tracks | None = None
) -> Report:
    """Reads a file's lines to their end.

    Args:
        lines: with their newlines; one without is taken as cut.
        trusted: keys by thumbprint, of which one must have signed; None: the file's own word is taken for it.
        tracks: recordings of the renderings, all of them; None: sound is not compared.

    Raises:
        IdentityError: a recording cannot be read. Whatever is wrong with the lines is in the report.
    """
    reading = _Reading(trusted, tracks)
    for number, line in enumerate(lines, start=1):
        if not reading.take(number, line):
            break
    return reading.report()


class _Reading:
    """A file on its way."""

    def __init__(self, trusted: Mapping[str, PublicKey] | None, tracks: Tracks | None) -> None:
        self._trusted = trusted
        self._tracks = tracks
        self._head: Head | None = None
        self._head_digest = ""
        self._passport: Passport | None = None
        self._last: str | None = None  # digest of the line before; None where that is not known
        self._faults: list[Fault] = []
        self._faults_total = 0
        self._cut_line: int | None = None
        self._ended = False
        self._lines = 0
        self._events = 0
        self._chains: dict[int, ChainState] = {}
        self._attested: dict[Direction, int] = {}  # direction -> frame up to which it is
        self._tenures: list[Tenure] = []
        self._sound: dict[Direction, SoundMatch] = {}

    def take(self, number: int, data: bytes) -> bool:
        """One line; whether it makes sense to go on."""
        if not data.endswith(b"\n"):
            self._cut_line = number
            return False
        self._lines = number
        try:
            line = parse_line(data[:-1])
            if self._head is None:
                self._begin(line)
            else:
                line.check(self._head.key)
        except IdentityError as error:
            self._fault(number, str(error))
            self._last = None
            return self._head is not None
        self._follow(number, line)
        self._last = line.digest
        return True

    def report(self) -> Report:
        """After the last line."""
        sound = {direction: match.verdict(whole=self._ended) for direction, match in self._sound.items()}
        claimed = {verdict.track for verdict in sound.values()}
        names = self._tracks.names if self._tracks is not None else ()
        return Report(
            head=self._head,
            trusted=self._trusted is not None and self._head is not None,
            faults=tuple(self._faults),
            faults_total=self._faults_total,
            cut_line=self._cut_line,
            ended=self._ended,
            lines=self._lines,
            events=self._events,
            chains=tuple(self._chains.values()),
            tenures=tuple(self._tenures),
            sound=sound,
            unclaimed=tuple(name for name in names if name not in claimed),
        )

    def _begin(self, line: Line) -> None:
        head = read_head(line)
        if self._trusted is not None and head.key.thumbprint not in self._trusted:
            raise IdentityError(f"expected a key that is trusted, got a file signed by {head.key.thumbprint}")
        if self._tracks is not None and head.passport is None:
            raise IdentityError("expected an attestation to compare recordings with, got an audit log")
        self._head, self._head_digest = head, line.digest
        if head.passport is not None:
            self._admit(1, head.passport)

    def _follow(self, number: int, line: Line) -> None:
        """A line that the file's key signed: whether it belongs here, and what it says."""
        if number == 1:
            return
        for check in (self._place, self._read):
            try:
                check(number, line)
            except IdentityError as error:
                self._fault(number, str(error))

    def _place(self, number: int, line: Line) -> None:
        if self._ended:
            raise IdentityError("expected nothing after the end, got another line")
        if self._last is not None and line.after != self._last:
            raise IdentityError("expected the line that follows the one before it, got one from elsewhere")

    def _read(self, number: int, line: Line) -> None:
        assert self._head is not None
        kinds = (self._head.kind, line.kind)
        if line.kind == END_KIND:
            check_end(line, number - 1)
            self._ended = True
        elif kinds == (AUDIT_KIND, EVENT_KIND):
            check_event(line.record)
            self._events += 1
        elif kinds == (ATTESTATION_KIND, PASSPORT_KIND):
            self._admit(number, check_passport_line(line, self._head.key))
        elif kinds == (ATTESTATION_KIND, WINDOW_KIND):
            self._window(number, line)
        else:
            raise IdentityError(f"expected a line of an {self._head.kind} file, got {shown(line.kind)}")

    def _admit(self, number: int, passport: Passport) -> None:
        before = self._passport
        self._passport = passport
        same = before and (before.role, before.operator) == (passport.role, passport.operator)
        if not same and len(self._tenures) < MAX_TENURES:
            self._tenures.append(Tenure(line=number, passport=passport))

    def _window(self, number: int, line: Line) -> None:
        record = read_window(line.record)
        chain = self._chain_of(record.window)
        if chain.fault is not None:
            return
        try:
            self._check_passport(record)
            self._check_time(chain, record.window)
            chain.add(record, line.digest)
        except IdentityError as error:
            chain.fault = self._fault(number, str(error))
            return
        self._attested[chain.direction] = chain.t1
        if self._tracks is not None:
            self._match_of(chain.direction, self._tracks).add(record.window)

    def _chain_of(self, window: Window) -> ChainState:
        if window.chain not in self._chains:
            assert self._head is not None
            if len(self._chains) >= MAX_CHAINS:
                raise IdentityError(f"expected {MAX_CHAINS} chains at most, got more")
            new = ChainState(window.chain, window.direction, window.t0, self._head_digest)
            self._chains[window.chain] = new
        return self._chains[window.chain]

    def _check_time(self, chain: ChainState, window: Window) -> None:
        """Whether a new chain begins after the meeting did, and after what its direction attested before."""
        assert self._head is not None
        earliest = self._attested.get(window.direction, self._head.first_frame)
        if chain.records == 0 and window.t0 < earliest:
            raise IdentityError(f"expected frame {earliest} or a later one, got {window.t0}")

    def _check_passport(self, record: WindowRecord) -> None:
        """Whether the passport in force is named, still holds, and lists this direction with this role."""
        passport = self._passport
        assert passport is not None
        if record.token_id != passport.token_id:
            raise IdentityError("expected the passport before it in the file, got another one's name")
        if not passport.holds_at(record.at_s):
            raise IdentityError("expected a passport that still holds, got one for another time")
        direction = record.window.direction
        listed = {
            (claim.language_in, claim.language_out, (claim.role or passport.role).checksum)
            for claim in passport.directions
        }
        if (direction.language_in, direction.language_out, record.role) not in listed:
            raise IdentityError("expected a direction and role that the passport lists, got others")

    def _match_of(self, direction: Direction, tracks: Tracks) -> SoundMatch:
        if direction not in self._sound:
            assert self._head is not None
            self._sound[direction] = SoundMatch(tracks, self._head.first_frame)
        return self._sound[direction]

    def _fault(self, number: int, words: str) -> Fault:
        fault = Fault(number, words)
        self._faults_total += 1
        if len(self._faults) < MAX_FAULTS:
            self._faults.append(fault)
        return fault
