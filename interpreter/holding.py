"""What the commands that hold meetings share: signals, the goodbye, the account at the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from interpreter.clock import Clock
from interpreter.config.engines import Say, first_of
from interpreter.meeting.meeting import Meeting
from interpreter.record.cost import CostSnapshot

GOODBYE_S = 12.0
"""Longest time for the closing notice to be read to everybody."""

PREPARING_AFTER_S = 1.0
"""Notices that are still to be prepared by then are worth a line."""


async def tell_preparing(meeting: Meeting, clock: Clock, say: Say) -> None:
    """Says that notices are being prepared, if that takes a while; never returns."""
    await clock.sleep_until(clock.now_s() + PREPARING_AFTER_S)
    if meeting.notices_left:
        say(f"Preparing {meeting.notices_left} spoken notices, which nobody needs to wait for.")
    await asyncio.Event().wait()


async def take_leave(meeting: Meeting, hurry: asyncio.Event) -> None:
    """Has everybody hear the closing notice, for as long as nobody hurries and the meeting lives."""
    await first_of(meeting.say_goodbye(GOODBYE_S), hurry.wait(), meeting.ended())


def bill(account: CostSnapshot) -> list[str]:
    """A meeting's account, in words."""
    load = f", {account.load:.0%} of the time" if account.load is not None else ""
    lines = [
        f"interpreted {account.interpreted_s / 60:.1f} minutes of {account.elapsed_s / 60:.1f}; "
        f"the engine was busy for {account.engine_s:.1f} s{load}"
    ]
    if account.money is not None and account.money_held is not None:
        shared, held = account.money_per_minute, account.money_held_per_minute
        each = f", {shared:.4f} to {held:.4f} for an interpreted minute" if shared is not None else ""
        lines.append(
            f"cost {account.money:.4f} {account.currency} where others use the rest of the device, "
            f"{account.money_held:.4f} where nobody does{each}"
        )
    return lines


@dataclass(frozen=True)
class Asked:
    """What signals ask of the command."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """To end the meeting with its closing notice."""

    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """To end it without."""

    restart: asyncio.Event = field(default_factory=asyncio.Event)
    """It was not a person at the terminal who asked first: another process may take up the meeting."""


@contextmanager
def stop_signals() -> Iterator[Asked]:
    """Follows SIGINT and SIGTERM: the first asks to stop, the second to hurry, and a third SIGINT interrupts."""
    loop = asyncio.get_running_loop()
    asked = Asked()

    def on_signal(number: signal.Signals) -> None:
        if not asked.stop.is_set():
            asked.stop.set()
            if number is signal.SIGTERM:
                asked.restart.set()
            return
        asked.hurry.set()
        loop.remove_signal_handler(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield asked
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
