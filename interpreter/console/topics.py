"""What pages follow: topics with a snapshot and numbered deltas, worked out once for all who follow them. Pure.

A topic that nobody follows costs nothing and is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from interpreter.console.deltas import difference
from interpreter.console.protocol import Delta, Gone, ServerMessage, Snapshot

Build = Callable[[], object | None]
"""Gives a topic's state as it is now; None when there is no such thing any more."""


class Reader(Protocol):
    """Somebody's connection."""

    def deliver(self, message: ServerMessage) -> None:
        """Queues a message; never blocks, never raises."""
        ...


class _Topic:
    def __init__(self, name: str, build: Build, state: object) -> None:
        self.name = name
        self.build = build
        self.state = state
        self.seq = 0
        self.readers: dict[Reader, None] = {}  # in the order of their coming

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(topic=self.name, seq=self.seq, state=self.state)


class Topics:
    """All topics that anybody follows."""

    def __init__(self) -> None:
        self._topics: dict[str, _Topic] = {}

    def follow(self, reader: Reader, name: str, build: Build) -> None:
        """Sends `reader` the topic's snapshot, and from now on its deltas; `Gone` where there is no such thing.

        Whoever follows it already gets the snapshot again.
        """
        topic = self._topics.get(name)
        if topic is None:
            state = build()
            if state is None:
                reader.deliver(Gone(topic=name))
                return
            topic = self._topics[name] = _Topic(name, build, state)
        topic.readers[reader] = None
        reader.deliver(topic.snapshot)

    def leave(self, reader: Reader, names: Iterable[str] | None = None) -> None:
        """Sends `reader` no more of these topics, by default of any."""
        for name in list(self._topics) if names is None else names:
            topic = self._topics.get(name)
            if topic is not None:
                topic.readers.pop(reader, None)
                if not topic.readers:
                    del self._topics[name]

    def refresh(self, names: Iterable[str] | None = None) -> None:
        """Sends everybody what has changed in these topics, by default in all of them."""
        for name in list(self._topics) if names is None else list(names):
            topic = self._topics.get(name)
            if topic is not None:
                self._refresh(topic)

    def sequence_numbers(self, reader: Reader) -> Mapping[str, int]:
        """Topic -> the last number, of all that `reader` follows."""
        return {name: topic.seq for name, topic in self._topics.items() if reader in topic.readers}

    def readers(self, name: str) -> tuple[Reader, ...]:
        """Everybody who follows a topic."""
        topic = self._topics.get(name)
        return () if topic is None else tuple(topic.readers)

    def _refresh(self, topic: _Topic) -> None:
        state = topic.build()
        message: ServerMessage
        if state is None:
            message = Gone(topic=topic.name)
            del self._topics[topic.name]
        else:
            ops = tuple(difference(topic.state, state))
            topic.state = state
            if not ops:
                return
            topic.seq += 1
            message = Delta(topic=topic.name, seq=topic.seq, ops=ops)
        for reader in tuple(topic.readers):
            reader.deliver(message)
