"""The jitter buffer: RTP packets in as they come, 80 ms of pcm out at every tick.

Sans-IO: arrival times and ticks are arguments, the decoder is handed in. Playout is mapped to time, not to packets:
at a tick the next 80 ms of the media timeline are due, whatever has or has not arrived. So a muted or discontinuous
sender becomes silence of the right length, the end of a talk spurt is never held back, and lost packets cost exactly
their own duration.

**Delay.** A packet that took the base transit (see `transit`) is due `delay` after its arrival, or up to 60 ms later
when the frame it belongs to is still filling:

    sender's media     |--- p1 ---|--- p2 ---|--- p3 ---|--- p4 ---|--- p5 ---|
                                  :          :          :          :
    arrivals               base   p1         p2         p3         p4         p5
                           ---->                                   |<-delay->|
    pulled at this tick        [ p1 ....................... p4 ]             T

Packets come whole, so a frame that ends inside a packet waits for all of it. Frames are therefore laid to end with a
packet; since four packets make a frame they all do. The ideal delay is the shortest one of at least the target that
ends with a packet: target <= ideal < target + 20 ms. On a clean network the target is 20 ms plus the little jitter
there is, so the packet after a lost one is usually there too, with its copy of it.

**Steering.** Drift and jitter move the delay away from the ideal. It is let be until the last packet has 12 ms less
than the target, or all have 6 ms more than the grid explains; then it is led back to 8 ms above the ideal at most:
  - freely, where the sender is silent;
  - by going back over what was invented at the end of the last frame, so that late speech is played late, not lost;
  - by one pitch period per frame (see `timescale`); this is also what absorbs the drift of the sender's clock;
  - at once, when the consumer itself has missed several ticks.

**Loss.** A hole is filled from the next packet's error correction where it has any, otherwise by libopus's
concealment, which fades; after 120 ms (60 ms where nothing says that anything was sent) silence follows.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from webrtc import timescale
from webrtc.opus import OpusPacketError, parse_packet
from webrtc.packets import AudioPacket, MediaTimeline, PacketStore, PlacedPacket
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE_HZ, IncomingFrame, Pcm
from webrtc.transit import TransitEstimator

CODEC_DELAY_S = 0.0065  # an Opus encoder looks ahead so far, unless in its restricted low-delay mode
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
TOO_SHORT_SAMPLES = SAMPLE_RATE_HZ * 12 // 1000  # the last packet may have so much less than the target
TOO_LONG_SAMPLES = SAMPLE_RATE_HZ * 6 // 1000  # beyond what the packet grid needs
CLOSE_SAMPLES = SAMPLE_RATE_HZ * 8 // 1000  # steering ends so little above the ideal
SURE_SAMPLES = SAMPLE_RATE_HZ * 20 // 1000  # this far off, the best place there is will do
SURE_FRAMES = 12  # and so it will after a second of waiting for a better one
SKIP_SAMPLES = SAMPLE_RATE_HZ * 240 // 1000  # three ticks missed: no splicing brings that back in time
LOSS_LIMIT_SAMPLES = SAMPLE_RATE_HZ * 120 // 1000
UNKNOWN_LIMIT_SAMPLES = SAMPLE_RATE_HZ * 60 // 1000
CONCEAL_STEP_SAMPLES = SAMPLE_RATE_HZ * 25 // 10_000  # libopus conceals in steps of 2.5 ms
_FOREVER_SAMPLES = 2**62  # of silence, before the first packet
_CORRELATION_WANTED = 0.9
_CORRELATION_SURE = 0.2


class AudioDecoder(Protocol):
    """What the buffer needs of a decoder; `webrtc.opus.OpusDecoder` is one."""

    def decode(self, payload: bytes) -> Pcm:
        """The packet's pcm; `OpusPacketError` where there is none in it."""
        ...

    def recover(self, next_payload: bytes, samples: int) -> Pcm:
        """The `samples` before `next_payload`, from its error correction."""
        ...

    def conceal(self, samples: int) -> Pcm:
        """`samples` invented, a multiple of 2.5 ms."""
        ...

    def reset(self) -> None:
        """Forgets the stream heard so far."""
        ...


class Mark(enum.IntEnum):
    """Where a sample came from."""

    MEDIA = 0
    RECOVERED = 1
    CONCEALED = 2
    SILENCE = 3


@dataclass(frozen=True, kw_only=True)
class JitterStats:
    """One stream's receive path since it began."""

    received: int
    """Packets, duplicates included."""

    duplicates: int
    malformed: int
    """Payloads that are not Opus, or that libopus refused."""

    late: int
    """Packets that came after their time and could not be played any more."""

    lost: int
    """Packets that never came, as far as sequence numbers tell."""

    skipped: int
    """Packets dropped because nobody pulled: before the first frame, or while several ticks were missed."""

    reanchors: int
    """Jumps of the sender's clock, sequence or SSRC."""

    concealed_samples: int
    recovered_samples: int
    spliced_samples: int
    """Samples removed or inserted to steer the delay, in speech."""

    frames: int
    """Frames pulled since the first packet."""

    delay_ms: float
    """Delay of the last frame as drawn above."""

    target_ms: float


@runtime_checkable
class HasJitterStats(Protocol):
    """Incoming audio that can tell of its receive path."""

    def stats(self) -> JitterStats:
        """A snapshot of it."""
        ...


class JitterBuffer:
    """One stream's packets, waiting as briefly as the network allows. Single-threaded."""

    def __init__(self, decoder: AudioDecoder) -> None:
        self._decoder = decoder
        self._transit = TransitEstimator()
        self._timeline = MediaTimeline(self._transit)
        self._store = PacketStore()
        self._played: PlacedPacket | None = None  # the last packet decoded
        self._packet_samples = PACKET_SAMPLES
        self._boundary = 0  # a place where a packet ends; packets end every `_grid` samples from there
        self._grid, self._residual = _grid_of(PACKET_SAMPLES)
        self._started = False
        self._steering = False
        self._waited_frames = 0  # since the last splice, for a good place for the next
        self._last_arrival_s = 0.0

        # Decoded samples that wait for the next frame, with one mark each. The first is at `_head - len(_pcm)`.
        self._pcm: Pcm = np.zeros(0, dtype=np.float32)
        self._marks: NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self._head = 0
        self._last_sample = 0.0  # before the head: of the samples that wait, or of the last frame
        self._last_mark = Mark.SILENCE
        self._heard_sample, self._heard_mark = 0.0, Mark.SILENCE  # the last frame's last
        self._step_ahead = False  # the next sample does not continue the last one's waveform
        self._invented_run = 0  # samples concealed since the last decoded one
        self._unheard_run = 0  # samples played since the last decoded one: what going back may replay

        self._received = self._duplicates = self._malformed = self._late = self._skipped = 0
        self._concealed = self._recovered = self._spliced = self._frames = 0
        self._delay_samples = 0

    def add(self, packet: AudioPacket, arrival_s: float) -> None:
        """Takes a packet that arrived at `arrival_s` (monotonic); anything may be in it."""
        self._received += 1
        if self._store.is_duplicate(packet):
            self._duplicates += 1
            return
        try:
            info = parse_packet(packet.payload)
        except OpusPacketError:
            self._malformed += 1
            return
        self._last_arrival_s = max(self._last_arrival_s, arrival_s)
        placed = self._timeline.place(packet, info, self._last_arrival_s)
        self._boundary = placed.end
        self._grid, self._residual = _grid_of(info.samples)
        if self._started and placed.end <= self._position - self._unheard_run:
            self._late += 1
        else:
            self._store.add(placed)

    def pull(self, now_s: float) -> IncomingFrame:
        """The frame due at `now_s`; see `IncomingAudio.pull`.

        Its `captured_at_s` takes the undisturbed network for instantaneous: one side alone cannot tell how long a
        packet travels at best, only how much longer others take.
        """
        base_s = self._transit.base_s
        if base_s is None:
            silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
            return IncomingFrame(pcm=silence, captured_at_s=now_s - FRAME_S, silent=True)
        due = round((now_s - base_s) * SAMPLE_RATE_HZ)
        self._steer(due, round(self._transit.target_s(now_s) * SAMPLE_RATE_HZ))
        self._delay_samples = due - self._position - FRAME_SAMPLES
        captured_at_s = base_s + self._position / SAMPLE_RATE_HZ - CODEC_DELAY_S
        while len(self._pcm) < FRAME_SAMPLES:
            self._extend(FRAME_SAMPLES - len(self._pcm))
        return self._cut_frame(captured_at_s)

    def stats(self) -> JitterStats:
        """A snapshot."""
        return JitterStats(
            received=self._received,
            duplicates=self._duplicates,
            malformed=self._malformed,
            late=self._late,
            lost=max(0, self._timeline.expected - self._received + self._duplicates),
            skipped=self._skipped + self._store.overflow,
            reanchors=self._timeline.epoch,
            concealed_samples=self._concealed,
            recovered_samples=self._recovered,
            spliced_samples=self._spliced,
            frames=self._frames,
            delay_ms=_ms(self._delay_samples),
            target_ms=1000 * self._transit.target_s(self._last_arrival_s),
        )

    # Steering: `_position` is the only thing that decides delay.

    @property
    def _position(self) -> int:
        """Timeline position of the next sample to be played."""
        return self._head - len(self._pcm)

    def _steer(self, due: int, target: int) -> None:
        """Brings the delay nearer to its ideal where that cannot be heard; both arguments in samples."""
        delay = due - FRAME_SAMPLES - self._position
        error = delay - self._ideal_delay(due, target)
        slack = delay - self._residual - (self._boundary + delay - due) % self._grid - target
        too_long = delay > target + self._residual + self._grid + TOO_LONG_SAMPLES
        if slack < -TOO_SHORT_SAMPLES or too_long:
            self._steering = True
        elif 0 <= error <= CLOSE_SAMPLES:
            self._steering = False
        if not self._started:
            self._started, self._unheard_run = True, _FOREVER_SAMPLES
            self._skip_to(self._position + error)
        elif error > SKIP_SAMPLES:
            self._skip_to(self._position + error)
        elif self._last_mark is Mark.SILENCE:
            aligned = (self._boundary + delay - due) % self._grid == 0
            self._move_in_silence(0 if aligned and not self._steering else error)
        elif self._steering and error < 0 and self._unheard_run:
            back = min(self._unheard_run, -error)
            self._unheard_run -= back
            self._move_to(self._position - back)
        elif self._steering:
            self._splice(error)

    def _ideal_delay(self, due: int, target: int) -> int:
        """The shortest delay of at least `target` at which frames end on the packet grid."""
        shortest = target + self._residual
        return shortest + (due - shortest - self._boundary) % self._grid

    def _move_to(self, position: int) -> None:
        """Continues at `position`; what was decoded and not played is forgotten."""
        self._head = position
        self._pcm, self._marks = self._pcm[:0], self._marks[:0]
        self._last_sample, self._last_mark = self._heard_sample, self._heard_mark
        self._step_ahead = self._last_mark is not Mark.SILENCE

    def _skip_to(self, position: int) -> None:
        """Continues at `position` without the packets before it."""
        self._steering = False
        self._move_to(position)
        self._skipped += self._drop_past()

    def _move_in_silence(self, error: int) -> None:
        """Shortens or lengthens a pause, without touching the speech around it."""
        self._steering = False
        first = self._store.first()
        if error < 0:
            back = min(self._unheard_run, -error)
            self._unheard_run -= back
            self._head -= back
        elif first is None:
            self._head += error
        elif first.start > self._head:
            self._head = min(self._head + error, first.start)

    def _splice(self, error: int) -> None:
        """Removes (error > 0: too late) or inserts one pitch period, where the waveform allows it."""
        wanted = FRAME_SAMPLES + (timescale.MAX_PERIOD_SAMPLES if error > 0 else 0)
        while len(self._pcm) < wanted and self._extend_by_media():
            pass
        splice = timescale.find_splice(self._pcm, error if error > 0 else timescale.MAX_PERIOD_SAMPLES)
        if splice is None or splice.correlation < _correlation_needed(abs(error), self._waited_frames):
            self._waited_frames += 1
            return
        if error < 0:
            self._pcm = timescale.insert(self._pcm, splice)
            self._marks = timescale.insert_marks(self._marks, splice)
        elif len(self._pcm) - splice.period >= FRAME_SAMPLES:
            self._pcm = timescale.remove(self._pcm, splice)
            self._marks = timescale.remove_marks(self._marks, splice)
        else:
            return
        self._spliced += splice.period
        self._waited_frames = 0

    # Filling: each call appends one piece at `_head`.

    def _extend(self, need: int) -> None:
        """Appends the next piece: a packet's media, or something in place of what is not there."""
        if self._extend_by_media():
            return
        first = self._store.first()
        if first is None:
            self._extend_into_nothing(need)
        else:
            self._extend_to(first, need)

    def _extend_by_media(self) -> bool:
        """Decodes the packet that begins at the head, if it is there."""
        self._late += self._drop_past()
        first = self._store.first()
        if first is None or first.start > self._head:
            return False
        self._store.pop()
        if self._played is not None and self._played.epoch != first.epoch:
            self._decoder.reset()
        self._played, self._packet_samples = first, first.info.samples
        overlap = self._head - first.start
        try:
            pcm = self._decoder.decode(first.payload)
        except OpusPacketError:
            self._malformed += 1
            self._conceal(first.info.samples - overlap)
            return True
        self._append(pcm[overlap:], Mark.MEDIA, step=overlap > 0)
        return True

    def _drop_past(self) -> int:
        """Drops the packets that end at the head or before; how many they were."""
        dropped = 0
        while (first := self._store.first()) is not None and first.end <= self._head:
            self._store.pop()
            dropped += 1
        return dropped

    def _extend_to(self, first: PlacedPacket, need: int) -> None:
        """Fills part of the hole before `first`: recovered, concealed or silent."""
        hole = first.start - self._head
        lost = min(hole, first.missing_since(self._played) * self._packet_samples)
        fec = first.info.fec_samples if lost == hole else 0
        if lost and hole <= fec and self._recover(first, hole):
            return
        unrecoverable = hole - fec if fec < hole else hole
        if lost and self._invented_run < LOSS_LIMIT_SAMPLES:
            self._conceal(min(unrecoverable, self._packet_samples))
        else:
            self._append_silence(min(unrecoverable, need))

    def _recover(self, first: PlacedPacket, hole: int) -> bool:
        """Fills the whole hole from `first`'s error correction; False where libopus finds that corrupt."""
        samples = first.info.fec_samples
        try:
            pcm = self._decoder.recover(first.payload, samples)
        except OpusPacketError:
            return False
        self._append(pcm[samples - hole :], Mark.RECOVERED, step=hole < samples)
        return True

    def _extend_into_nothing(self, need: int) -> None:
        """Nothing has come for now: loss, lateness or the end of a spurt, nobody can tell which."""
        if self._last_mark is not Mark.SILENCE and self._invented_run < UNKNOWN_LIMIT_SAMPLES:
            self._conceal(min(need, self._packet_samples))
        else:
            self._append_silence(need)

    def _conceal(self, samples: int) -> None:
        whole = -(-samples // CONCEAL_STEP_SAMPLES) * CONCEAL_STEP_SAMPLES
        self._append(self._decoder.conceal(whole)[:samples], Mark.CONCEALED)
        self._invented_run += samples

    def _append_silence(self, samples: int) -> None:
        fade = self._last_mark is not Mark.SILENCE
        self._append(np.zeros(samples, dtype=np.float32), Mark.SILENCE, step=fade)

    def _append(self, pcm: Pcm, mark: Mark, *, step: bool = False) -> None:
        assert len(pcm), "every piece must bring the head forward"
        if step or self._step_ahead:
            pcm = timescale.bridge_step(self._last_sample, pcm)
        if mark in (Mark.MEDIA, Mark.RECOVERED):
            self._invented_run = 0
        self._step_ahead = False
        self._pcm = np.concatenate((self._pcm, pcm))
        self._marks = np.concatenate((self._marks, np.full(len(pcm), mark, dtype=np.uint8)))
        self._head += len(pcm)
        self._last_sample, self._last_mark = float(pcm[-1]), mark

    def _cut_frame(self, captured_at_s: float) -> IncomingFrame:
        pcm, marks = self._pcm[:FRAME_SAMPLES], self._marks[:FRAME_SAMPLES]
        self._pcm, self._marks = self._pcm[FRAME_SAMPLES:], self._marks[FRAME_SAMPLES:]
        heard = np.flatnonzero(marks <= Mark.RECOVERED)
        self._unheard_run = (
            FRAME_SAMPLES - 1 - int(heard[-1]) if len(heard) else self._unheard_run + FRAME_SAMPLES
        )
        concealed = int(np.count_nonzero(marks == Mark.CONCEALED))
        recovered = int(np.count_nonzero(marks == Mark.RECOVERED))
        self._heard_sample, self._heard_mark = float(pcm[-1]), Mark(marks[-1])
        self._concealed += concealed
        self._recovered += recovered
        self._frames += 1
        return IncomingFrame(
            pcm=pcm,
            captured_at_s=captured_at_s,
            concealed_samples=concealed,
            recovered_samples=recovered,
            silent=bool(np.all(marks == Mark.SILENCE)),
        )


def _grid_of(packet_samples: int) -> tuple[int, int]:
    """Grid on which frame ends repeat among packets of this length, and what of the last packet overhangs at worst.

    Packets of 10, 20 and 40 ms divide a frame: once it ends with a packet, every frame does, and nothing overhangs.
    With 60 ms packets the ends fall on a grid of 20 ms, and up to 40 ms of a packet are not needed yet.
    """
    grid = math.gcd(packet_samples, FRAME_SAMPLES)
    return grid, packet_samples - grid


def _correlation_needed(error: int, waited_frames: int) -> float:
    """How alike two periods must be for a splice: the less, the further the delay is off and the longer already."""
    urgency = error / SURE_SAMPLES + waited_frames / SURE_FRAMES
    if urgency >= 1:
        return -1.0
    return _CORRELATION_WANTED - (_CORRELATION_WANTED - _CORRELATION_SURE) * urgency


def _ms(samples: int) -> float:
    return 1000 * samples / SAMPLE_RATE_HZ
