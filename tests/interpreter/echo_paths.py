"""Rooms that give our own voice back, and what a canceller makes of it: the echo matrix of tests and benchmark.

An interpreter speaks English to somebody who speaks Spanish, in a room whose loudspeaker reaches the microphone by a
synthetic path. Both voices are espeak-ng's; a microphone's own noise is always there.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from duplex_model.contract import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm
from interpreter.ears.echo import Cleaned, EchoCanceller
from interpreter.ears.voice_activity import VoiceActivity
from interpreter.ears.voice_model import VoiceModel
from tests.browser import stimuli
from webrtc import timescale

DELAYS_S = (0.06, 0.15, 0.3, 0.6)
LEVELS_DB = (-10, -20, -30, -40)
DURATION_S = 12.0
NOISE_DBFS = -70.0
START_S = 5000.0  # monotonic
GRIDS_APART_S = 0.0131  # frames are captured that much after the tick at which others are sent

OURS = (
    "The doctor would like to know since when your knee has been hurting.",
    "Please take fifteen milligrams twice a day with food.",
    "Does it hurt more at night, or when you climb stairs?",
    "I will examine it now, tell me if something hurts.",
)
THEIRS = (
    "Me duele la rodilla izquierda desde hace tres días.",
    "Sobre todo cuando subo las escaleras, doctora.",
    "No, de noche no me duele tanto.",
    "Tomo una pastilla para la tensión cada mañana.",
)

Flags = NDArray[np.bool_]


class Room(enum.Enum):
    """What happens to our voice on its way, besides delay and level."""

    CLEAN = "clean"
    REVERBERANT = "RT60 0.5 s"
    LOSSY = "5 % loss"


@dataclass(frozen=True, kw_only=True)
class Path:
    """From our sender to their microphone."""

    delay_s: float
    level_db: float
    room: Room = Room.CLEAN


MATRIX = tuple(
    Path(delay_s=delay_s, level_db=level_db, room=room)
    for room, level_db, delay_s in product(Room, LEVELS_DB, DELAYS_S)
)


@dataclass(frozen=True, kw_only=True)
class Slips:
    """A buffer on the way takes pieces out of the sound, or puts some in, to keep its delay: every 0.5 to 2 s."""

    shortest_s: float
    longest_s: float

    most: int = 1
    """So many frames in a row, at most, have one in the same direction."""

    told: bool = True
    """Our receive buffer does it, and the frames' times tell; else the listener's does, and nobody knows."""

    seed: int = 0

    def schedule(self, frames: int) -> dict[int, tuple[int, timescale.Splice]]:
        """Frame -> +1 where a piece is taken out of it, -1 where one is put in; and where."""
        chance = np.random.default_rng(self.seed)
        shortest, longest = (round(s * SAMPLE_RATE_HZ) for s in (self.shortest_s, self.longest_s))
        schedule, number, direction = {}, 0, 1
        while (number := number + int(chance.integers(6, 26))) < frames:
            direction = -direction  # a delay has limits
            for _ in range(int(chance.integers(min(2, self.most), self.most + 1))):
                period = int(chance.integers(shortest, longest + 1))
                at = int(chance.integers(FRAME_SAMPLES - 2 * longest))
                schedule[number] = direction, timescale.Splice(at=at, period=period, correlation=1.0)
                number += 1
        return schedule

    def applied(self, media: Pcm) -> tuple[Pcm, list[int]]:
        """What comes out of the buffer, a few frames shorter, and where in `media` each frame is said to begin."""
        schedule = self.schedule(len(media) // FRAME_SAMPLES)
        frames: list[Pcm] = []
        places: list[int] = []
        head, rest = 0, media[:0]
        for number in range(len(media) // FRAME_SAMPLES - 10):
            direction, splice = schedule.get(number, (0, None))
            wanted = FRAME_SAMPLES + (splice.period if splice is not None and direction > 0 else 0)
            take = max(0, wanted - len(rest))
            rest, head = np.concatenate((rest, media[head : head + take])), head + take
            if splice is not None:
                rest = (timescale.remove if direction > 0 else timescale.insert)(rest, splice)
            places.append(head - len(rest) if self.told else number * FRAME_SAMPLES)
            frames.append(rest[:FRAME_SAMPLES])
            rest = rest[FRAME_SAMPLES:]
        return np.concatenate(frames), places


@cache
def talk(texts: Sequence[str], voice: str, duration_s: float = DURATION_S, seed: int = 0) -> Pcm:
    """Somebody who speaks most of the time: peaks at half of full scale, some -22 dBFS while speaking."""
    chance = np.random.default_rng(seed)
    parts = [np.zeros(round(0.3 * SAMPLE_RATE_HZ), dtype=np.float32)]
    for text in list(texts) * 10:
        speech = stimuli.speak(text, voice, SAMPLE_RATE_HZ)
        pause = np.zeros(round(chance.uniform(0.2, 0.9) * SAMPLE_RATE_HZ), dtype=np.float32)
        parts += [0.5 * speech / np.abs(speech).max(), pause]
        if sum(map(len, parts)) >= duration_s * SAMPLE_RATE_HZ:
            break
    return np.concatenate(parts)[: round(duration_s / FRAME_S) * FRAME_SAMPLES]


def ours(duration_s: float = DURATION_S) -> Pcm:
    return talk(OURS, "en+m3", duration_s)


def theirs(duration_s: float = DURATION_S) -> Pcm:
    return talk(THEIRS, "es+f2", duration_s, seed=2)


def noise(samples: int, dbfs: float = NOISE_DBFS, seed: int = 1) -> Pcm:
    return np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), samples).astype(np.float32)


def returned(sent: Pcm, path: Path) -> Pcm:
    """What comes back of `sent`, as long as it."""
    sound = sent.astype(np.float64)
    if path.room is Room.REVERBERANT:
        sound = _convolved(sound, _impulse_response())
    if path.room is Room.LOSSY:
        sound = _with_losses(sound)
    delay = round((path.delay_s - GRIDS_APART_S) * SAMPLE_RATE_HZ)
    echo = np.concatenate((np.zeros(delay), sound))[: len(sent)]
    return (echo * 10 ** (path.level_db / 20)).astype(np.float32)


def _impulse_response(rt60_s: float = 0.5, direct_to_tail_db: float = 3.0) -> NDArray[np.float64]:
    """Of a small room: the direct sound, then noise that dies away; of energy 1."""
    times_s = np.arange(round(rt60_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tail = np.random.default_rng(3).normal(size=len(times_s)) * 10 ** (-3 * times_s / rt60_s)
    tail[times_s < 0.002] = 0.0
    response = tail * 10 ** (-direct_to_tail_db / 20) / np.linalg.norm(tail)
    response[0] = 1.0
    return response / np.linalg.norm(response)


def _convolved(sound: NDArray[np.float64], response: NDArray[np.float64]) -> NDArray[np.float64]:
    size = 1 << (len(sound) + len(response)).bit_length()
    return np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(response, size), size)[: len(sound)]


def _with_losses(sound: NDArray[np.float64], share: float = 0.05) -> NDArray[np.float64]:
    """Packets of 20 ms lost on the way to the loudspeaker, and concealed by the one before, dying away."""
    packets = sound.reshape(-1, 480).copy()
    lost = np.random.default_rng(5).random(len(packets)) < share
    lost[0] = False
    for number in np.flatnonzero(lost):
        packets[number] = packets[number - 1][::-1] * np.linspace(1, 0, 480)
    return packets.reshape(-1)


def cleaned(sent: Pcm, near: Pcm, places: Sequence[int] | None = None) -> list[Cleaned]:
    """A call through the canceller, frame by frame: `near` is captured `GRIDS_APART_S` later than `sent` is sent.

    Args:
        sent: [N] from `START_S` on.
        near: [M], frames of the microphone.
        places: where in the time of `sent` each frame of `near` is said to begin; one after the other unless told.
    """
    canceller = EchoCanceller()
    frames = []
    sending = 0
    for number in range(len(near) // FRAME_SAMPLES):
        place = number * FRAME_SAMPLES if places is None else places[number]
        # What is captured now was sent before now: the frame after it is on its way already.
        while sending < min(place + FRAME_SAMPLES, len(sent)):
            canceller.sent(sent[sending : sending + FRAME_SAMPLES], START_S + sending / SAMPLE_RATE_HZ)
            sending += FRAME_SAMPLES
        part = slice(number * FRAME_SAMPLES, (number + 1) * FRAME_SAMPLES)
        frames.append(canceller.clean(near[part], START_S + place / SAMPLE_RATE_HZ + GRIDS_APART_S))
    return frames


def joined(frames: Sequence[Cleaned]) -> Pcm:
    return np.concatenate([frame.pcm for frame in frames])


def voiced(pcm: Pcm, model: VoiceModel) -> Flags:
    """[N] frames of `pcm` in which somebody is heard to speak."""
    activity = VoiceActivity(model)
    frames = pcm.reshape(-1, FRAME_SAMPLES)
    return np.array([activity.advance(frame, number * FRAME_S).active for number, frame in enumerate(frames)])


def level_dbfs(pcm: NDArray[np.floating]) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One cell of the matrix, twice: in a silent room, and while the person speaks."""

    path: Path
    loop_gain_db: float
    """Level of what a session hears of us relative to what we sent, after 2 s, in the silent room."""

    raw_frames: int
    """Frames with our voice in the microphone, as a detector of voices hears them, in the silent room."""

    leaked_frames: int
    """Such frames that a session hears in the silent room before the gate is up."""

    passed_frames: int
    """Such frames that a session hears afterwards."""

    passed_beside_frames: int
    """Frames that a session hears speech in after the gate is up, though the person has paused."""

    lost_percent: float
    """Of the frames in which the person alone would have been heard to speak: not heard so beside our voice."""


SPEAKING_DBFS = -45.0
"""A frame of theirs below has no speech to lose, although a detector of voices still waits for more."""

HANG_FRAMES = 3
"""A detector of voices tells the end of a voice that much later."""


def measure(path: Path, model: VoiceModel, slips: Slips | None = None) -> Outcome:
    """Both calls of one cell; twice as long where the sound slips."""
    duration_s = DURATION_S if slips is None else 2 * DURATION_S
    sent, speech = ours(duration_s), theirs(duration_s)
    room = returned(sent, path) + noise(len(sent))
    mixture, places = room + speech, None
    if slips is not None:
        (room, places), (mixture, _), (speech, _) = (slips.applied(pcm) for pcm in (room, mixture, speech))
    alone = cleaned(sent, room, places)
    beside = cleaned(sent, mixture, places)
    heard = voiced(joined(alone), model)
    up = _gate_up(alone)
    since = round(2.0 / FRAME_S) * FRAME_SAMPLES
    person = voiced(speech + noise(len(speech)), model)
    heard_beside = voiced(joined(beside), model)
    about = np.convolve(person, np.ones(2 * HANG_FRAMES + 1), "same") > 0
    about[: _gate_up(beside) + HANG_FRAMES] = True
    speaks = person & (_levels_dbfs(speech) > SPEAKING_DBFS)
    gated = np.array([frame.gated for frame in beside])
    follows = ~gated & (heard_beside | np.append(heard_beside[1:], False))  # the canceller is 9 ms late
    return Outcome(
        path=path,
        loop_gain_db=level_dbfs(joined(alone)[since:]) - level_dbfs(sent[since:]),
        raw_frames=int(voiced(room, model).sum()),
        leaked_frames=int(heard[: up + HANG_FRAMES].sum()),
        passed_frames=int(heard[up + HANG_FRAMES :].sum()),
        passed_beside_frames=int((heard_beside & ~about).sum()),
        lost_percent=100 * float((speaks & ~follows).sum() / speaks.sum()),
    )


def _levels_dbfs(pcm: Pcm) -> NDArray[np.float64]:
    """[N], frame by frame."""
    return np.array([level_dbfs(frame) for frame in pcm.reshape(-1, FRAME_SAMPLES)])


def _gate_up(frames: Sequence[Cleaned]) -> int:
    """The first frame at which an echo is known."""
    return next((number for number, frame in enumerate(frames) if frame.delay_s is not None), len(frames))
