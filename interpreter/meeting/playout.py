"""From what there is to hear in a tick to whoever hears it, as the room lets itself be spoken to. Sans-IO.

To each listener goes their own mix, which is also what may come back from their loudspeaker. What is on a channel is
heard by everybody, so any of it may come back from anybody. Of single renderings that somebody requested nobody here
knows who hears them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.meeting.attendees import Attendees
from interpreter.mixing.mixdown import MixState, Sounds, mix_tick
from interpreter.mixing.mixing import Ducking
from interpreter.mixing.routing import Routes
from interpreter.mixing.unsent import Mixed, Unsent
from webrtc.room import Listening, Room


class Playout:
    """Mixes and plays a meeting, tick after tick.

    Args:
        room: where it is heard.
        attendees: who is in it.
    """

    def __init__(self, room: Room, attendees: Attendees) -> None:
        self._room = room
        self._attendees = attendees
        self._state = MixState()
        self._unsent = Unsent()

    def play(self, tick: int, at_s: float, routes: Routes, sounds: Sounds, ducking: Ducking) -> None:
        """Has a tick heard.

        Args:
            tick: after the one that was played before.
            at_s: when its first packet is sent.
            routes: who hears what.
            sounds: what there is to hear.
            ducking: see `mix_tick`.
        """
        self._unsent.add(
            Mixed(tick=tick, at_s=at_s, before=self._state, routes=routes, sounds=sounds, ducking=ducking)
        )
        self._state, mixes = mix_tick(self._state, routes, sounds, ducking)
        match self._room.listening:
            case Listening.PER_LISTENER:
                self._play_to_listeners(tick, mixes, at_s)
            case Listening.FLOOR:
                self._play_channels(tick, mixes, at_s)
            case Listening.REQUESTED:
                for key, pcm in mixes.items():
                    self._play(key, tick, pcm, at_s)

    def cut_short(self, now_s: float) -> None:
        """Takes what the interpreter says out of everything that was not sent yet."""
        state, mixes = self._unsent.without_interpreter(now_s)
        self._state = state or self._state
        for tick, heard in mixes.items():
            for key, pcm in heard.items():
                outgoing = self._room.outgoing(key)
                if outgoing is not None:
                    outgoing.replace(tick, pcm)

    def _play_to_listeners(self, tick: int, mixes: Mapping[str, Pcm], at_s: float) -> None:
        for who, pcm in mixes.items():
            if self._attendees.takes_part(who):
                with self._attendees.isolating(who):
                    if self._play(who, tick, pcm, at_s):
                        self._attendees.sent(who, pcm, at_s)

    def _play_channels(self, tick: int, mixes: Mapping[str, Pcm], at_s: float) -> None:
        published = np.zeros(FRAME_SAMPLES, dtype=np.float32)
        for language, pcm in mixes.items():
            if self._play(language, tick, pcm, at_s):
                published += pcm
        self._attendees.sent_to_all(published, at_s)

    def _play(self, key: str, tick: int, pcm: Pcm, at_s: float) -> bool:
        """Plays what is heard by `key`; whether the room has a way to it."""
        outgoing = self._room.outgoing(key)
        if outgoing is None:
            return False
        outgoing.play(tick, pcm, at_s)
        return True
