"""Attestations of small meetings, with the sound they attest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.directions import Direction
from interpreter.identity.attestation import AttestationSettings, MeetingAttestor
from interpreter.identity.keys import IdentityKey, key_from_pem
from interpreter.identity.passport import DirectionClaim, RoleClaim
from interpreter.identity.sound import FRAME_BYTES
from interpreter.pcm16 import to_s16le

KEY = key_from_pem(IdentityKey.generate().pem().decode(), "the test")
OTHER_KEY = IdentityKey.generate()
ANA_EN, BEN_ES = Direction("ana", "es", "en"), Direction("ben", "en", "es")
ROLE = RoleClaim(name="medical-consecutive", checksum="5a" * 32)
OTHER_ROLE = RoleClaim(name="captions-only", checksum="c3" * 32)
FIRST_FRAME = 700
BEGAN_S = 1_795_000_000
FRAME_S = 0.08


def claim(direction: Direction, checkpoint: str = "visit-es-en") -> DirectionClaim:
    return DirectionClaim(
        language_in=direction.language_in,
        language_out=direction.language_out,
        checkpoint=checkpoint,
        licence="Apache-2.0",
    )


def settings(**changes: object) -> AttestationSettings:
    given: dict[str, object] = {
        "meeting_id": "m7",
        "issuer": "https://interpreter.example.org",
        "subject": "bot",
        "room": "Room 4",
        "first_frame": FIRST_FRAME,
        "salt": bytes(range(32)),
        **changes,
    }
    return AttestationSettings(**given)  # type: ignore[arg-type]


def sounding(seed: int) -> Pcm:
    """One frame of noise."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, FRAME_SAMPLES).astype(np.float32)


def silence() -> Pcm:
    return np.zeros(FRAME_SAMPLES, dtype=np.float32)


@dataclass
class Written:
    """A meeting being attested, and recorded as a recorder would."""

    key: IdentityKey = KEY
    changes: Mapping[str, object] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    sound: dict[Direction, list[bytes]] = field(default_factory=dict)
    """One entry per frame since `FIRST_FRAME`."""

    def __post_init__(self) -> None:
        self.attestor = MeetingAttestor(
            key=self.key,
            settings=settings(**self.changes),
            role=ROLE,
            operator="Eva",
            now_s=BEGAN_S,
            emit=self.lines.append,
        )

    def serve(self, *directions: Direction, at_frame: int) -> None:
        self.attestor.serve({direction: claim(direction) for direction in directions}, time_of(at_frame))

    def say(
        self, direction: Direction, frames: Sequence[int], *, silent: bool = False, leap_s: float = 0.0
    ) -> None:
        for frame in frames:
            pcm = silence() if silent else sounding(10_000 * ord(direction.speaker_id[0]) + frame)
            self.attestor.add(direction, frame, pcm, time_of(frame) + leap_s, text=f" word{frame}")
            track = self.sound.setdefault(direction, [])
            track.extend([bytes(2 * FRAME_SAMPLES)] * (frame - FIRST_FRAME - len(track)))
            track.append(to_s16le(pcm))

    def end(self, at_frame: int) -> None:
        self.attestor.end(time_of(at_frame))

    @property
    def file(self) -> list[bytes]:
        return [line.encode() + b"\n" for line in self.lines]


def time_of(frame: int) -> float:
    """Wall clock at a frame."""
    return BEGAN_S + (frame - FIRST_FRAME) * FRAME_S


def tiny() -> list[bytes]:
    """The shortest file with a line of every kind: one direction, three frames."""
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 3))
    written.end(FIRST_FRAME + 3)
    return written.file


def two_directions() -> Written:
    """Ana is there from the beginning, Ben from frame 10 on; both for some windows."""
    written = Written()
    written.serve(ANA_EN, at_frame=FIRST_FRAME)
    written.say(ANA_EN, range(FIRST_FRAME, FIRST_FRAME + 10))
    written.serve(ANA_EN, BEN_ES, at_frame=FIRST_FRAME + 10)
    for frame in range(FIRST_FRAME + 10, FIRST_FRAME + 90):
        written.say(ANA_EN, [frame], silent=frame % 50 < 30)
        written.say(BEN_ES, [frame])
    written.end(FIRST_FRAME + 90)
    return written


@dataclass(frozen=True)
class InMemory:
    """Tracks that are given."""

    tracks: Mapping[str, bytes]

    @property
    def names(self) -> Sequence[str]:
        return list(self.tracks)

    def samples(self, track: int, frame: int, frames: int) -> bytes:
        data = self.tracks[self.names[track]]
        return data[frame * FRAME_BYTES : (frame + frames) * FRAME_BYTES]

    def frames(self, track: int) -> int:
        return -(-len(self.tracks[self.names[track]]) // FRAME_BYTES)
