"""How loud a frame is, and whether somebody is speaking. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from duplex_model import sound
from duplex_model.contract import Pcm

SILENCE_DBFS = -100.0
"""Level given for digital silence; a 16-bit sample's last bit is at -90 dBFS."""

SPEAKING_DBFS = -45.0  # a quiet voice on a headset, after the browser's gain control, is near -35 dBFS
SILENT_DBFS = -50.0  # below, so that a level at the threshold does not flicker
HANGOVER_FRAMES = 4  # 320 ms bridge the stops inside words


def level_dbfs(pcm: Pcm) -> float:
    """RMS of `pcm` relative to full scale (1.0), at least `SILENCE_DBFS`."""
    return max(SILENCE_DBFS, sound.level_dbfs(pcm))


@dataclass(frozen=True, kw_only=True)
class Meter:
    """Level of the last frame, and voice activity with hysteresis and hangover."""

    dbfs: float = SILENCE_DBFS
    speaking: bool = False
    quiet_frames: int = 0
    """Frames below `SILENT_DBFS` in a row."""

    def after(self, pcm: Pcm) -> Meter:
        """The meter one frame later."""
        dbfs = level_dbfs(pcm)
        if dbfs >= SPEAKING_DBFS:
            return Meter(dbfs=dbfs, speaking=True)
        quiet_frames = self.quiet_frames + 1 if dbfs < SILENT_DBFS else 0
        speaking = self.speaking and quiet_frames <= HANGOVER_FRAMES
        return replace(self, dbfs=dbfs, speaking=speaking, quiet_frames=quiet_frames)
