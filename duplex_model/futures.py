"""Futures of work that has begun: whoever waits may give up, the work cannot be recalled."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def begun() -> Future[T]:
    """A future that is running, so that cancelling it has no effect and answering it never races with that.

    A frame once fed is stepped: `asyncio.wait_for` around it may time out, and the answer is then dropped.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()
    return future


def done(value: T) -> Future[T]:
    """A future already answered with `value`."""
    future: Future[T] = begun()
    future.set_result(value)
    return future
