"""The neural engine: one thread owns the device and follows the tick grid; sessions join and leave at any time."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future

from duplex_model.batch_model import BatchModel
from duplex_model.batcher import Batcher, EngineOptions
from duplex_model.contract import Capabilities, Prompt, Session, TickGrid
from duplex_model.errors import EngineDied, SessionClosed
from duplex_model.load import Load

logger = logging.getLogger(__name__)


class NeuralEngine:
    """See `Engine`. All it does is in `Batcher`; here is the thread, and how it ends."""

    def __init__(self, model: BatchModel, *, grid: TickGrid, options: EngineOptions | None = None) -> None:
        """Starts the thread; from now on `model` is its own.

        Args:
            model: every lane clear.
            grid: the tick grid meetings follow.
            options: how time is shared.
        """
        self._grid = grid
        self._batcher = Batcher(model, grid=grid, options=options or EngineOptions(), now_s=time.monotonic)
        self._thread = threading.Thread(target=self._run, name="duplex-model-engine", daemon=True)
        self._thread.start()

    @property
    def capabilities(self) -> Capabilities:
        """See `Engine.capabilities`."""
        return self._batcher.capabilities

    @property
    def grid(self) -> TickGrid:
        """See `Engine.grid`."""
        return self._grid

    @property
    def sessions_open(self) -> int:
        """See `Engine.sessions_open`. A failed session gives its lane back at once."""
        return self._batcher.sessions_open

    @property
    def load(self) -> Load:
        """How busy it is."""
        return self._batcher.load

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        """See `Engine.open`. The future may also fail with `EngineFull`: no time was spare for the prompt."""
        return self._batcher.open(prompt, seed)

    def close(self) -> None:
        """See `Engine.close`."""
        self._batcher.end(SessionClosed("the engine was closed"))
        if threading.current_thread() is not self._thread:  # a callback of ours may be the one to close us
            self._thread.join()

    def _run(self) -> None:
        reason = "its thread failed"
        try:
            while not self._batcher.ended:
                self._batcher.wait(self._batcher.turn())
        except (RuntimeError, MemoryError) as error:
            # Out of memory, a kernel that failed: after these a device may hold anything.
            reason = f"{type(error).__name__}: {error}"
            logger.critical("the device is lost", exc_info=error)
        finally:
            self._batcher.abandon(EngineDied(f"the engine died, {reason}"))
