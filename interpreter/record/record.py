"""What is kept of a meeting, as its configuration says: identity chain, audit log, transcript, sound, account.

Without a folder nothing is written: the chain goes to the listeners' pages alone, the audit log stays in memory, and
nothing that was said outlives its caption.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from duplex_model.contract import Pcm, StepOutput
from interpreter.commands.commands import Actor, Invocation
from interpreter.commands.table import Standing
from interpreter.directions import Direction
from interpreter.floor.floor import FloorEvent, FloorEventKind, Played
from interpreter.identity.attestation import AttestationSettings, MeetingAttestor
from interpreter.identity.audit import AuditLog
from interpreter.identity.files import LineFile
from interpreter.identity.keys import IdentityKey
from interpreter.identity.passport import DirectionClaim, RoleClaim
from interpreter.identity.records import Counters
from interpreter.record.cost import CostMeter, CostSnapshot, Price
from interpreter.record.follower import Follower
from interpreter.record.recording import Recording, RecordingEvent, Track
from interpreter.record.transcript import Kind, Mark, Transcript
from interpreter.record.transcript_files import write_transcript
from webrtc.room import Stored

logger = logging.getLogger(__name__)

Keep = Literal["nothing", "text", "audio"]
"""Of what is said: nothing, the text, or the text and the sound."""

ATTESTATION_FILE = "attest.jsonl"
AUDIT_FILE = "audit.jsonl"
_SALT_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class RecordSettings:
    """What is kept, and where."""

    keep: Keep = "nothing"
    folder: Path | None = None
    """Where meetings are kept, each in a folder of its own; None keeps no files."""

    issuer: str = "meeting-interpreter"
    """Who runs the interpreter, such as its public address."""

    operator: str | None = None
    """Who answers for it at first."""

    price: Price | None = None
    key: IdentityKey = field(default_factory=IdentityKey.generate)
    """Signs what is attested."""

    def __post_init__(self) -> None:
        """Refuses to keep what has no place."""
        if self.keep != "nothing" and self.folder is None:
            raise ValueError(f"expected a folder to keep {self.keep} in, got none")

    @property
    def stored(self) -> frozenset[Stored]:
        """What people must be told is kept."""
        kinds: set[Stored] = set()
        if self.folder is not None:
            kinds |= {Stored.IDENTITY, Stored.AUDIT}
        if self.keep in ("text", "audio"):
            kinds.add(Stored.TRANSCRIPT)
        if self.keep == "audio":
            kinds.add(Stored.AUDIO)
        return frozenset(kinds)


class Record:
    """The record of one meeting.

    Args:
        settings: what is kept.
        room: its name.
        first_tick: the meeting's first, from which its media time counts.
        role: that interprets at first.
        now_s: monotonic.
        wall_s: gives the wall clock, Unix seconds.
        attest: gets every line of the identity chain.
        follower: is told of everything that is recorded, also where nothing of it is kept.

    Raises:
        OSError: the folder cannot be made.
        IdentityError: nothing can be written into it.
    """

    def __init__(
        self,
        settings: RecordSettings,
        *,
        room: str,
        first_tick: int,
        role: RoleClaim,
        now_s: float,
        wall_s: Callable[[], float],
        attest: Callable[[str], None],
        follower: Follower | None = None,
    ) -> None:
        self._follower = follower or Follower()
        self._follower.began(first_tick)
        self.keep = settings.keep
        self.stored = settings.stored
        self.thumbprint = settings.key.thumbprint
        self.meeting_id = secrets.token_hex(8)
        self.first_tick = first_tick
        self._settings = settings
        self._wall_s = wall_s
        self._attest = attest
        self._files = ExitStack()
        self.folder = None if settings.folder is None else settings.folder / self.meeting_id
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True)
        self.transcript = Transcript(keep=settings.keep != "nothing", first_tick=first_tick)
        self._recording: Recording | None = None
        if settings.keep == "audio" and self.folder is not None:
            self._recording = Recording(
                self.folder / "sound", first_tick=first_tick, on_event=self._recording_failed
            )
        self._cost = CostMeter(now_s, settings.price)
        self._attestor = MeetingAttestor(
            key=settings.key,
            settings=AttestationSettings(
                meeting_id=self.meeting_id,
                issuer=settings.issuer,
                subject=f"interpreter-{self.meeting_id}",
                room=room,
                first_frame=first_tick,
                salt=secrets.token_bytes(_SALT_BYTES),
                publish_salt=settings.keep != "nothing",
            ),
            role=role,
            operator=settings.operator,
            now_s=wall_s(),
            emit=self._to(ATTESTATION_FILE, attest),
        )
        self.audit = AuditLog(
            key=settings.key, meeting_id=self.meeting_id, now_s=wall_s(), emit=self._to(AUDIT_FILE, None)
        )
        self._last_tick = first_tick
        self._acts: Counter[Direction] = Counter()  # of hosts and operators, not attested yet

    @property
    def token(self) -> str:
        """The passport in force, signed."""
        return self._attestor.token

    def cost(self, now_s: float) -> CostSnapshot:
        """What the meeting took so far."""
        return self._cost.snapshot(now_s)

    def command(self, invocation: Invocation) -> None:
        """Somebody gave a command that is carried out."""
        self.audit.command(invocation, self._wall_s())
        self._follower.happened(
            invocation.spec.audit_event,
            actor=invocation.actor,
            participant_id=invocation.subject,
            arguments=invocation.auditable(),
        )
        if invocation.actor.standing >= Standing.HOST:
            self._acts.update(self._attestor.directions)

    def event(self, name: str, *, participant_id: str | None = None, actor: Actor | None = None) -> None:
        """Something happened that somebody may ask about later."""
        self.audit.record(name, self._wall_s(), participant_id=participant_id, actor=actor)
        self._follower.happened(name, actor=actor, participant_id=participant_id, arguments={})

    @property
    def first_line(self) -> str:
        """Of the identity chain: what whoever joins later needs to check the lines that follow."""
        return self._attestor.first_line

    def serve(self, claims: Mapping[Direction, DirectionClaim]) -> None:
        """These directions may be heard from now on, each as its claim says."""
        self._attestor.serve(claims, self._wall_s())

    def stepped(self, direction: Direction, output: StepOutput) -> None:
        """A session was stepped."""
        timing = output.timing
        self._cost.add_step(direction, timing.finished_s - timing.started_s, timing.started_s)

    def heard(self, direction: Direction, tick: int, piece: str) -> None:
        """What somebody said was written down; `direction` is from their language into itself."""
        self.transcript.add(direction, tick, piece, Kind.HEARD)
        self._follower.heard(direction, tick, piece)

    def original(self, tick: int, participant_id: str, pcm: Pcm) -> None:
        """Somebody's own voice."""
        if self._recording is not None:
            self._recording.write(Track(participant_id), tick, pcm)

    def played(self, direction: Direction, tick: int, played: Played) -> None:
        """What was said in a direction; of one that is no longer served it is the end, fading out.

        Args:
            direction: whose.
            tick: in whose mix it is heard.
            played: after the floor's gain.
        """
        self._last_tick = max(self._last_tick, tick)
        self._follower.played(direction, tick, played)
        kind = Kind.AS_SELF if played.as_self else Kind.RENDERING
        self.transcript.add(direction, tick, played.text, kind)
        if played.unspoken:
            self.transcript.add(direction, tick, played.unspoken, Kind.RENDERING, Mark.CAPTIONS_ONLY)
        if any(event.kind is FloorEventKind.CUT for event in played.events):
            self.transcript.mark(direction, Mark.CUT, first_tick=tick)
        if self._recording is not None:
            self._recording.write(Track(direction.speaker_id, direction), tick, played.pcm)
        if direction in self._attestor.directions:  # also for a while after it ended, for what fades out
            text = played.text + played.unspoken
            counters = counters_of(played.events, self._acts.pop(direction, 0))
            self._attestor.add(direction, tick, played.pcm, self._wall_s(), text, counters)
        if played.pcm.any():
            self._cost.rendered(direction, played.pcm.size / 24_000)

    def cut(self, direction: Direction, tick: int) -> None:
        """What is being said is not heard to its end."""
        self.transcript.mark(direction, Mark.CUT, first_tick=tick)

    def lost(self, direction: Direction, tick: int, text: str) -> None:
        """What was to be said and will not be."""
        self._follower.lost(direction, tick, text)
        self.transcript.add(direction, tick, text, Kind.RENDERING, Mark.CUT)

    def mark_mismatch(self, direction: Direction, first_tick: int, last_tick: int) -> None:
        """Facts differ between what was heard and said."""
        self.transcript.mark(direction, Mark.MISMATCH, first_tick=first_tick, last_tick=last_tick)

    def finish(self, direction: Direction) -> None:
        """A direction is over."""
        self.transcript.finish(direction)

    def end(self) -> None:
        """The meeting is over: both chains say so, to the pages as well."""
        now_s = self._wall_s()
        self._attestor.end(now_s)
        self.audit.end(now_s)

    def close(self, names: Mapping[str, str]) -> Sequence[Path]:
        """Writes what is kept, after `end`; waits for the disk, and may run on any thread.

        Args:
            names: participant id -> name, of everybody there was.

        Returns:
            The transcript's files.
        """
        self.transcript.finish()
        written: Sequence[Path] = ()
        if self._settings.keep != "nothing" and self.folder is not None:
            try:
                written = write_transcript(self.folder, self.transcript.cues(), names)
            except OSError:
                logger.exception("the transcript could not be written")
        if self._recording is not None:
            self._recording.close(self._last_tick + 1)
        self._files.close()
        return written

    def _to(self, name: str, also: Callable[[str], None] | None) -> Callable[[str], None]:
        """Where the lines of a file go."""
        file = None
        if self.folder is not None:
            file = self._files.enter_context(LineFile(self.folder / name))

        def emit(line: str) -> None:
            if file is not None:
                file.write(line)
            if also is not None:
                also(line)

        return emit

    def _recording_failed(self, event: RecordingEvent) -> None:
        """Runs on the recording's thread, which has logged it."""


def counters_of(events: Sequence[FloorEvent], operator_actions: int) -> Counters:
    """What the identity chain counts of a tick."""
    kinds = [event.kind for event in events]
    return Counters(
        yields=kinds.count(FloorEventKind.DUCKED),
        cuts=kinds.count(FloorEventKind.CUT),
        resumes=kinds.count(FloorEventKind.GOES_ON),
        operator_actions=operator_actions,
    )
