"""Loopback: an engine that says what it heard. For the preflight, and for measuring the path around a model."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, SAMPLE_RATE_HZ, Capabilities, Engine, Pcm, TickGrid
from duplex_model.errors import SpecError, Unsupported
from duplex_model.fields import Fields
from duplex_model.lanes import MAX_LANES, LaneEngine, Later, Now, Said
from duplex_model.sound import fade_out
from duplex_model.spec import Report

MAX_DELAY_MS = 10_000.0


class LoopbackEngine(LaneEngine):
    """Every session says what it heard, `delay_ms` later than at once.

    With no delay the answer to a frame is that frame. It serves any direction, and renders none of them.
    """

    def __init__(
        self,
        *,
        lanes: int = 16,
        delay_ms: float = 0.0,
        grid: TickGrid,
        now: Now = time.monotonic,
        later: Later | None = None,
    ) -> None:
        """Takes the number of lanes and the delay; the rest as in `LaneEngine`.

        Raises:
            SpecError: lanes outside 1…4096 or delay outside 0…10 000 ms.
        """
        options = Fields({"lanes": lanes, "delay_ms": delay_ms}, "loopback engine", SpecError)
        lanes = options.integer("lanes", 1, MAX_LANES)
        delay_ms = options.number("delay_ms", 0.0, MAX_DELAY_MS)
        delay_samples = round(delay_ms * SAMPLE_RATE_HZ / 1000)
        capabilities = Capabilities(
            checkpoint=f"loopback/{delay_samples}",
            licence="ours",
            languages={"*": frozenset({"*"})},
            translates=False,
            lanes=lanes,
            domain="says what it hears; for checking the audio path",
        )
        super().__init__(
            capabilities, lambda prompt, seed: _DelayLine(delay_samples), grid=grid, now=now, later=later
        )


def build(options: Mapping[str, object], grid: TickGrid, report: Report) -> Engine:
    """The engine of `EngineSpec(kind="loopback", options)`; options `lanes` and `delay_ms`."""
    fields = Fields(options, "loopback options", SpecError)
    lanes = fields.integer("lanes", 1, MAX_LANES, 16)
    delay_ms = fields.number("delay_ms", 0.0, MAX_DELAY_MS, 0.0)
    fields.end()
    report(1.0, "loopback needs no checkpoint")
    return LoopbackEngine(lanes=lanes, delay_ms=delay_ms, grid=grid)


class _DelayLine:
    """A lane that holds the last `samples` heard and not yet said."""

    def __init__(self, samples: int) -> None:
        self._held: Pcm = np.zeros(samples, dtype=np.float32)

    def step(self, frame: Pcm) -> Said:
        """The oldest 80 ms of what is held and heard."""
        line = np.concatenate((self._held, frame))
        self._held = line[FRAME_SAMPLES:]
        return Said(pcm=line[:FRAME_SAMPLES])

    def say(self, notice: int, text: str, now: bool) -> tuple[int, ...]:
        """Not reached: the engine's capabilities refuse it first."""
        raise Unsupported("expected an engine that can say a text, got loopback")

    def interrupt(self) -> tuple[int, ...]:
        """Fades and forgets what is held; what is heard from now on comes out as before."""
        fading = fade_out(self._held)
        self._held = np.zeros_like(self._held)
        self._held[: len(fading)] = fading
        return ()

    def state(self) -> bytes:
        """Little-endian float32."""
        return self._held.astype("<f4").tobytes()

    def restore(self, state: bytes) -> None:
        """Takes what another lane of the same delay held."""
        if len(state) != 4 * len(self._held):
            raise Unsupported(f"expected a loopback state of {4 * len(self._held)} bytes, got {len(state)}")
        self._held = np.frombuffer(state, dtype="<f4").astype(np.float32)
