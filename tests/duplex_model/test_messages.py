"""Messages survive the wire; anything else is refused field by field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from duplex_model import messages
from duplex_model.contract import (
    FRAME_SAMPLES,
    Capabilities,
    LongCalls,
    Prompt,
    SayCapability,
    StepFlag,
    StepOutput,
    StepTiming,
)
from duplex_model.errors import EngineDied, SessionFailed, Unsupported, WireError
from duplex_model.messages import (
    MAX_STATE_BYTES,
    PART_BYTES,
    CloseSession,
    Done,
    EndInput,
    Failed,
    Feed,
    Interrupt,
    Open,
    Output,
    Part,
    Progress,
    Ready,
    Refused,
    Reply,
    Request,
    Restore,
    Say,
    Start,
    StateParts,
    TakeSnapshot,
)
from duplex_model.wire import Packed, Unpacker

PCM = np.linspace(-1, 1, FRAME_SAMPLES, dtype=np.float32)
OUTPUT = StepOutput(
    pcm=PCM,
    text=" niño",
    timing=StepTiming(received_s=1.0, started_s=1.25, finished_s=1.5),
    flags=StepFlag.AS_SELF | StepFlag.CONCEALED,
    heard_text="",
)
CAPABILITIES = Capabilities(
    checkpoint="some",
    licence="ours",
    languages={"es": frozenset({"en", "de"}), "*": frozenset()},
    translates=True,
    lanes=8,
    say=SayCapability.UNTESTED,
    role_text=True,
    voice_prompt=True,
    context_frames=750,
    long_calls=frozenset({LongCalls.SINKS, LongCalls.RESTART}),
    domain="consultations",
    demonstration={"en": "a demonstration", "es": "una demostración"},
    transcribes=frozenset({"es"}),
    fingerprint="ab" * 32,
    voices={"ana": "cd" * 32},
)
REQUESTS: list[Request] = [
    Start("scripted", {"lanes": 3, "script": {"directions": {}}}, 12.5, 0.08),
    Open(1, 2, Prompt(role_text="You enjoy…", voice="v", language_in="es", language_out="en"), -(2**63)),
    Open(1, 2, Prompt(language_in="es", language_out="en", mode="consecutive"), 0),
    Open(1, 2, Prompt(language_in="es", language_out="en", long_calls=LongCalls.REFRESH), 7),
    Feed(3, 2, PCM, True),
    Say(4, 2, "un momento", True),
    Interrupt(2),
    EndInput(2),
    TakeSnapshot(5, 2),
    Part(6, b"\1\2"),
    Restore(6, 2, "some", b"\0\xff"),
    CloseSession(2),
]
REPLIES: list[Reply] = [
    Progress(0.5, "reading weights"),
    Ready(CAPABILITIES),
    Ready(replace(CAPABILITIES, context_frames=None)),
    Refused("no such file"),
    Part(5, b"\1"),
    Output(3, OUTPUT),
    Output(3, replace(OUTPUT, heard_text=None, flags=StepFlag.NONE)),
    Done(5, b"state"),
]
Read = Callable[[Packed], object]


def travelled(message: Request | Reply) -> Packed:
    (packed,) = Unpacker().receive(messages.pack(message))
    return packed


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda message: type(message).__name__)
def test_requests_arrive_as_sent(request_: Request) -> None:
    assert_equal(messages.unpack_request(travelled(request_)), request_)


@pytest.mark.parametrize("reply", REPLIES, ids=lambda message: type(message).__name__)
def test_replies_arrive_as_sent(reply: Reply) -> None:
    assert_equal(messages.unpack_reply(travelled(reply)), reply)


def assert_equal(one: object, other: object) -> None:
    """Equality that looks into arrays."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
    elif hasattr(one, "__dataclass_fields__"):
        for name in one.__dataclass_fields__:
            assert_equal(getattr(one, name), getattr(other, name))
    else:
        assert one == other


@pytest.mark.parametrize("error", messages.SENDABLE)
def test_errors_arrive_as_their_kind(error: type[Exception]) -> None:
    reply = messages.unpack_reply(travelled(Failed(7, error("in words"))))  # type: ignore[arg-type]
    assert isinstance(reply, Failed)
    assert type(reply.error) is error
    assert str(reply.error) == "in words"


def test_an_error_of_a_narrower_kind_arrives_as_the_kind_it_is() -> None:
    reply = messages.unpack_reply(travelled(Failed(7, EngineDied("gone"))))
    assert isinstance(reply, Failed)
    assert type(reply.error) is SessionFailed


@pytest.mark.parametrize(
    ("message", "read"),
    [(message, messages.unpack_request) for message in REQUESTS]
    + [(message, messages.unpack_reply) for message in [*REPLIES, Failed(1, Unsupported("no"))]],
    ids=lambda value: type(value).__name__,
)
def test_a_missing_an_unknown_or_a_wrong_field_is_refused(message: Request | Reply, read: Read) -> None:
    good = travelled(message)
    optional = {"context_frames", "heard_text"} | ({"long_calls"} if isinstance(message, Open) else set())
    for key in good.header.keys() - optional:
        with pytest.raises(WireError, match=f"{key}|expected"):
            read(Packed({name: value for name, value in good.header.items() if name != key}, good.payload))
        with pytest.raises(WireError):
            read(Packed({**good.header, key: [[]]}, good.payload))
    with pytest.raises(WireError, match="expected only the fields"):
        read(Packed({**good.header, "surplus": 1}, good.payload))


def test_a_way_with_long_calls_that_nobody_knows_is_refused() -> None:
    header = travelled(REQUESTS[1]).header
    with pytest.raises(WireError, match="expected long_calls of sinks, refresh, restart, got 'hang up'"):
        messages.unpack_request(Packed({**header, "long_calls": "hang up"}))


@pytest.mark.parametrize("payload", [b"", bytes(4 * FRAME_SAMPLES - 1), bytes(4 * FRAME_SAMPLES + 4)])
def test_pcm_of_another_length_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError, match="expected a frame of 7680 bytes"):
        messages.unpack_reply(Packed(travelled(Output(1, OUTPUT)).header, payload))
    with pytest.raises(WireError, match="expected a frame of 7680 bytes"):
        messages.unpack_request(Packed(travelled(Feed(1, 2, PCM, False)).header, payload))


def test_requests_are_not_replies() -> None:
    with pytest.raises(WireError, match="expected a message of Progress"):
        messages.unpack_reply(travelled(CloseSession(1)))


names = st.sampled_from([type(message).__name__ for message in [*REQUESTS, *REPLIES]]) | st.text(max_size=5)
keys = st.sampled_from(["id", "session", "text", "now", "flags", "error", "languages", "fraction", "say"])
anything = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
)


@given(names, st.dictionaries(keys, anything | st.dictionaries(keys, anything)), st.binary(max_size=8))
def test_any_header_is_a_message_or_an_error(name: str, header: dict[str, object], payload: bytes) -> None:
    for read in (messages.unpack_request, messages.unpack_reply):
        try:
            message = read(Packed({"type": name, **header}, payload))
        except WireError:
            continue
        assert type(message).__name__ == name


@pytest.mark.parametrize("length", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES // 2])
def test_a_state_of_any_length_arrives_whole(length: int) -> None:
    restore = Restore(6, 2, "some", np.random.default_rng(0).bytes(length))
    *parts, last = messages.in_parts(restore)
    assert isinstance(last, Restore)
    assert all(1 <= len(part.state) <= PART_BYTES for part in parts)
    received = StateParts()
    received.add(Part(7, b"of another"))
    for part in parts:
        assert isinstance(part, Part)
        received.add(part)
    assert received.whole(last) == restore
    assert received.whole(Done(7, b" session")) == Done(7, b"of another session")
    assert received.whole(Done(7)) == Done(7), "nothing is kept"


def test_a_state_that_is_too_large_is_refused_at_both_ends() -> None:
    with pytest.raises(WireError, match="a state of at most"):
        messages.in_parts(Done(1, bytes(MAX_STATE_BYTES + 1)))
    received = StateParts()
    for _ in range(MAX_STATE_BYTES // PART_BYTES):
        received.add(Part(1, bytes(PART_BYTES)))
    with pytest.raises(WireError, match="a state of at most"):
        received.add(Part(1, b"x"))
