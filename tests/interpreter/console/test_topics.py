"""Topics: a snapshot, numbered deltas, nothing for nobody."""

from __future__ import annotations

from dataclasses import dataclass, field

from interpreter.console.deltas import Set
from interpreter.console.outbox import Outbox
from interpreter.console.protocol import Closed, Delta, Gone, Heartbeat, Levels, ServerMessage, Snapshot
from interpreter.console.snapshot import Note, Notes, RoomLevels
from interpreter.console.topics import Topics


@dataclass(eq=False)
class Page:
    messages: list[ServerMessage] = field(default_factory=list)

    def deliver(self, message: ServerMessage) -> None:
        self.messages.append(message)


@dataclass
class Source:
    state: object | None
    asked: int = 0

    def __call__(self) -> object | None:
        self.asked += 1
        return self.state


def notes(*texts: str) -> Notes:
    return Notes(notes=tuple(Note(n=n, at=0.0, by="Eva", text=text) for n, text in enumerate(texts)))


def test_a_follower_gets_a_snapshot_then_deltas_that_count_up() -> None:
    topics, page, source = Topics(), Page(), Source(notes())
    topics.follow(page, "notes/1", source)
    assert page.messages == [Snapshot(topic="notes/1", seq=0, state=notes())]
    for n, state in enumerate((notes("a"), notes("a", "b")), start=1):
        source.state = state
        topics.refresh()
        delta = page.messages[-1]
        assert isinstance(delta, Delta)
        assert (delta.seq, len(delta.ops)) == (n, 1)
    topics.refresh()
    assert len(page.messages) == 3, "nothing changed"
    assert topics.sequence_numbers(page) == {"notes/1": 2}


def test_whoever_comes_later_goes_on_from_there_with_the_others() -> None:
    topics, first, second, source = Topics(), Page(), Page(), Source({"x": 1})
    topics.follow(first, "house", source)
    source.state = {"x": 2}
    topics.refresh()
    topics.follow(second, "house", source)
    assert second.messages == [Snapshot(topic="house", seq=1, state={"x": 2})]
    source.state = {"x": 3}
    topics.refresh(["house", "unknown"])
    assert first.messages[-1] == second.messages[-1] == Delta(topic="house", seq=2, ops=(Set(("x",), 3),))
    topics.follow(first, "house", source)
    assert first.messages[-1] == Snapshot(topic="house", seq=2, state={"x": 3})


def test_what_is_not_there_is_gone_and_what_ceases_goes() -> None:
    topics, page, source = Topics(), Page(), Source(None)
    topics.follow(page, "room/1", source)
    assert page.messages == [Gone(topic="room/1")]
    assert topics.sequence_numbers(page) == {}
    source.state = {"x": 1}
    topics.follow(page, "room/1", source)
    source.state = None
    topics.refresh()
    topics.refresh()
    assert page.messages[2:] == [Gone(topic="room/1")]


def test_what_nobody_follows_costs_nothing() -> None:
    topics, page, other, source = Topics(), Page(), Page(), Source({"x": 1})
    topics.follow(page, "house", source)
    topics.follow(other, "house", source)
    topics.leave(page, ["house", "unknown"])
    source.state = {"x": 2}
    topics.refresh()
    assert len(page.messages) == 1
    assert len(other.messages) == 2
    topics.leave(other)
    asked = source.asked
    topics.refresh()
    assert source.asked == asked
    topics.follow(page, "house", source)
    assert page.messages[-1] == Snapshot(topic="house", seq=0, state={"x": 2})


def levels(at_s: float) -> Levels:
    return Levels(room="1", levels=RoomLevels(at_s=at_s))


def test_levels_and_heartbeats_that_wait_are_replaced() -> None:
    outbox = Outbox()
    for at_s in (1.0, 2.0):
        outbox.put(levels(at_s))
        outbox.put(Heartbeat(at=at_s, topics={}))
    outbox.put(Gone(topic="house"))
    assert [outbox.take() for _ in range(4)] == [
        levels(2.0),
        Heartbeat(at=2.0, topics={}),
        Gone(topic="house"),
        None,
    ]


def test_a_page_that_does_not_read_is_found_out_and_still_told() -> None:
    outbox = Outbox(capacity=2)
    assert outbox.put(Gone(topic="a"))
    assert outbox.put(Gone(topic="b"))
    assert not outbox.put(Gone(topic="c"))
    assert outbox.put(levels(1.0))
    outbox.put_last(Closed(code="too-slow", message="x"))
    assert len(outbox) == 4
    taken = [outbox.take() for _ in range(4)]
    assert taken[-1] == Closed(code="too-slow", message="x")
