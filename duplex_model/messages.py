"""What an engine and its process say to each other, as dataclasses; `wire` frames them.

A request that wants an answer carries an `id`, and gets exactly one `Output`, `Done` or `Failed` with the same id.
Sessions are numbered by the parent. Whatever comes in is checked field by field: a message is one of these, or
`WireError`.

A large state goes in parts, so that frames of other sessions can go between them:

    Part 7 · Part 7 · Feed 8 · Part 7 · Feed 9 · Restore 7
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar, cast, get_args

import numpy as np

from duplex_model import errors, wire
from duplex_model.contract import (
    FRAME_SAMPLES,
    Capabilities,
    LongCalls,
    Mode,
    Pcm,
    Prompt,
    SayCapability,
    StepFlag,
    StepOutput,
    StepTiming,
)
from duplex_model.errors import DuplexModelError, WireError
from duplex_model.fields import Fields

MAX_ID = 2**53
SEED_BITS = 63
PART_BYTES = 1 << 20  # a millisecond or two on the way
MAX_STATE_BYTES = 64 << 20

_Header = dict[str, object]


@dataclass(frozen=True)
class Start:
    """The first request: which engine to build, on which grid. Answered by `Progress`, then `Ready` or `Refused`."""

    kind: str
    options: Mapping[str, object]
    origin_s: float
    period_s: float


@dataclass(frozen=True)
class Open:
    """`Engine.open`."""

    id: int
    session: int
    prompt: Prompt
    seed: int


@dataclass(frozen=True)
class Feed:
    """`Session.feed`; answered by `Output`."""

    id: int
    session: int
    pcm: Pcm = field(repr=False)
    concealed: bool


@dataclass(frozen=True)
class Say:
    """`Session.say`."""

    id: int
    session: int
    text: str
    now: bool


@dataclass(frozen=True)
class Interrupt:
    """`Session.interrupt`; not answered."""

    session: int


@dataclass(frozen=True)
class EndInput:
    """`EndsInput.end_input`; not answered."""

    session: int


@dataclass(frozen=True)
class TakeSnapshot:
    """`Session.snapshot`; the state comes in `Done`."""

    id: int
    session: int


@dataclass(frozen=True)
class Restore:
    """`Session.restore`."""

    id: int
    session: int
    checkpoint: str
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class Part:
    """A part of a state; the rest is in the `Restore`, or in the `Done` of a `TakeSnapshot`, of the same id."""

    id: int
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class CloseSession:
    """`Session.close`; not answered."""

    session: int


@dataclass(frozen=True)
class Progress:
    """How far the start has come."""

    fraction: float
    text: str


@dataclass(frozen=True)
class Ready:
    """The engine is built."""

    capabilities: Capabilities


@dataclass(frozen=True)
class Refused:
    """No engine can be built from this spec."""

    text: str


@dataclass(frozen=True)
class Output:
    """Answer to `Feed`."""

    id: int
    output: StepOutput


@dataclass(frozen=True)
class Done:
    """Answer to all other requests with an id."""

    id: int
    state: bytes = field(default=b"", repr=False)
    """Of `TakeSnapshot` only."""


@dataclass(frozen=True)
class Failed:
    """Answer to a request that failed."""

    id: int
    error: DuplexModelError
    """One of `SENDABLE`."""


Request = Start | Open | Feed | Say | Interrupt | EndInput | TakeSnapshot | Part | Restore | CloseSession
Reply = Progress | Ready | Refused | Output | Part | Done | Failed

WithState = TypeVar("WithState", Restore, Done)


def in_parts(message: WithState) -> Iterator[Part | WithState]:
    """`message` as messages none of which is long, to be sent in this order.

    Raises:
        WireError: at once, when the state is larger than the other end accepts.
    """
    _check_state(len(message.state))
    return _parts(message)


def _parts(message: WithState) -> Iterator[Part | WithState]:
    rest = (len(message.state) - 1) // PART_BYTES * PART_BYTES if message.state else 0
    for begin in range(0, rest, PART_BYTES):
        yield Part(message.id, message.state[begin : begin + PART_BYTES])
    yield replace(message, state=message.state[rest:])


class StateParts:
    """Puts together what `in_parts` took apart."""

    def __init__(self) -> None:
        self._states: dict[int, bytearray] = {}

    def add(self, part: Part) -> None:
        """Keeps a part for the message it belongs to.

        Raises:
            WireError: the state grows larger than it may be.
        """
        state = self._states.setdefault(part.id, bytearray())
        _check_state(len(state) + len(part.state))
        state += part.state

    def whole(self, message: WithState) -> WithState:
        """`message` with all of its state; its parts are kept no longer."""
        begun = self._states.pop(message.id, None)
        return message if begun is None else replace(message, state=bytes(begun + message.state))


def _check_state(length: int) -> None:
    if length > MAX_STATE_BYTES:
        raise WireError(f"expected a state of at most {MAX_STATE_BYTES} bytes, got {length}")


def pack(message: Request | Reply) -> bytes:
    """The bytes of `message`.

    Raises:
        WireError: larger than the other end accepts, or a text that UTF-8 cannot carry.
    """
    header: _Header
    payload = b""
    match message:
        case Feed(pcm=pcm):
            header = {"id": message.id, "session": message.session, "concealed": message.concealed}
            payload = _pcm_bytes(pcm)
        case Restore(state=payload):
            header = {"id": message.id, "session": message.session, "checkpoint": message.checkpoint}
        case Open(prompt=prompt):
            header = {"id": message.id, "session": message.session, "seed": message.seed, **vars(prompt)}
            header["long_calls"] = None if prompt.long_calls is None else prompt.long_calls.value
        case Output(output=output):
            header = {"id": message.id, **_output_header(output)}
            payload = _pcm_bytes(output.pcm)
        case Done(state=payload) | Part(state=payload):
            header = {"id": message.id}
        case Failed(error=error):
            name = next(name for name, known in _ERRORS.items() if isinstance(error, known))
            header = {"id": message.id, "error": name, "text": str(error)}
        case Ready(capabilities=capabilities):
            header = _capabilities_header(capabilities)
        case _:
            header = {**vars(message)}
    return wire.pack({"type": type(message).__name__, **header}, payload)


def unpack_request(packed: wire.Packed) -> Request:
    """The parent's message; `WireError` when it is none."""
    return _unpack(packed, _REQUESTS)


def unpack_reply(packed: wire.Packed) -> Reply:
    """The child's message; `WireError` when it is none."""
    return _unpack(packed, _REPLIES)


M = TypeVar("M")


def _unpack(packed: wire.Packed, readers: Mapping[str, Callable[[Fields, bytes], M]]) -> M:
    fields = Fields(packed.header, "message", WireError)
    name = fields.text("type")
    if name not in readers:
        raise WireError(f"expected a message of {', '.join(readers)}, got {name[:40]!r}")
    message = readers[name](fields, packed.payload)
    fields.end()
    return message


def _id(fields: Fields) -> int:
    return fields.integer("id", 0, MAX_ID)


def _session(fields: Fields) -> int:
    return fields.integer("session", 0, MAX_ID)


def _read_start(fields: Fields, payload: bytes) -> Start:
    return Start(
        fields.text("kind"),
        fields.mapping("options"),
        fields.number("origin_s", -1e12, 1e12),
        fields.number("period_s", 1e-6, 1e3),
    )


def _read_open(fields: Fields, payload: bytes) -> Open:
    prompt = Prompt(
        role_text=fields.text("role_text"),
        voice=fields.text("voice"),
        language_in=fields.text("language_in"),
        language_out=fields.text("language_out"),
        mode=_read_mode(fields),
        long_calls=_long_calls(fields.text("long_calls")) if fields.has("long_calls") else None,
    )
    limit = 2**SEED_BITS
    return Open(_id(fields), _session(fields), prompt, fields.integer("seed", -limit, limit - 1))


def _read_mode(fields: Fields) -> Mode:
    mode = fields.text("mode")
    if mode not in get_args(Mode):
        raise WireError(f"expected a mode of {', '.join(get_args(Mode))}, got {mode[:40]!r}")
    return cast(Mode, mode)


def _long_calls(name: object) -> LongCalls:
    if not isinstance(name, str) or name not in {method.value for method in LongCalls}:
        raise WireError(f"expected long_calls of {', '.join(m.value for m in LongCalls)}, got {name!r}")
    return LongCalls(name)


def _read_feed(fields: Fields, payload: bytes) -> Feed:
    return Feed(_id(fields), _session(fields), _read_pcm(payload), fields.flag("concealed"))


def _read_say(fields: Fields, payload: bytes) -> Say:
    return Say(_id(fields), _session(fields), fields.text("text"), fields.flag("now"))


def _read_restore(fields: Fields, payload: bytes) -> Restore:
    return Restore(_id(fields), _session(fields), fields.text("checkpoint"), payload)


def _read_ready(fields: Fields, payload: bytes) -> Ready:
    languages = {}
    for heard, said in fields.mapping("languages").items():
        if not isinstance(said, list) or not all(isinstance(language, str) for language in said):
            raise WireError(f"expected a list of languages for {heard!r}, got {said!r}")
        languages[heard] = frozenset(said)
    context = fields.integer("context_frames", 0, MAX_ID) if fields.has("context_frames") else None
    say = fields.text("say")
    if say not in {capability.value for capability in SayCapability}:
        raise WireError(f"expected a say capability, got {say!r}")
    capabilities = Capabilities(
        checkpoint=fields.text("checkpoint"),
        licence=fields.text("licence"),
        languages=languages,
        translates=fields.flag("translates"),
        lanes=fields.integer("lanes", 1, MAX_ID),
        say=SayCapability(say),
        role_text=fields.flag("role_text"),
        voice_prompt=fields.flag("voice_prompt"),
        context_frames=context,
        long_calls=frozenset(_long_calls(name) for name in fields.items("long_calls")),
        domain=fields.text("domain"),
        demonstration=_read_texts(fields, "demonstration"),
        transcribes=_read_names(fields, "transcribes"),
        fingerprint=fields.text("fingerprint"),
        voices=_read_texts(fields, "voices"),
    )
    return Ready(capabilities)


def _read_names(fields: Fields, key: str) -> frozenset[str]:
    names = fields.items(key)
    if not all(isinstance(name, str) for name in names):
        raise WireError(f"expected names in {key}, got others")
    return frozenset(name for name in names if isinstance(name, str))


def _read_texts(fields: Fields, key: str) -> Mapping[str, str]:
    texts = {name: text for name, text in fields.mapping(key).items() if isinstance(text, str)}
    if len(texts) < len(fields.mapping(key)):
        raise WireError(f"expected texts in {key}, got others")
    return texts


def _capabilities_header(capabilities: Capabilities) -> _Header:
    languages = {heard: sorted(said) for heard, said in capabilities.languages.items()}
    long_calls = sorted(method.value for method in capabilities.long_calls)
    plain = {
        "languages": languages,
        "say": capabilities.say.value,
        "long_calls": long_calls,
        "transcribes": sorted(capabilities.transcribes),
    }
    return {**vars(capabilities), **plain}


def _read_output(fields: Fields, payload: bytes) -> Output:
    flags = fields.integer("flags", 0, _ALL_FLAGS)
    timing = StepTiming(
        received_s=fields.number("received_s", -1e12, 1e12),
        started_s=fields.number("started_s", -1e12, 1e12),
        finished_s=fields.number("finished_s", -1e12, 1e12),
    )
    output = StepOutput(
        pcm=_read_pcm(payload),
        text=fields.text("text"),
        timing=timing,
        flags=StepFlag(flags),
        heard_text=fields.text("heard_text") if fields.has("heard_text") else None,
    )
    return Output(_id(fields), output)


def _output_header(output: StepOutput) -> _Header:
    remarks: _Header = {"text": output.text, "flags": output.flags.value, "heard_text": output.heard_text}
    return {**remarks, **vars(output.timing)}


def _read_failed(fields: Fields, payload: bytes) -> Failed:
    name = fields.text("error")
    if name not in _ERRORS:
        raise WireError(f"expected one of the errors {', '.join(_ERRORS)}, got {name[:40]!r}")
    return Failed(_id(fields), _ERRORS[name](fields.text("text")))


def _pcm_bytes(pcm: Pcm) -> bytes:
    return pcm.astype("<f4", copy=False).tobytes()


def _read_pcm(payload: bytes) -> Pcm:
    """[1920], writable, the caller's own."""
    if len(payload) != 4 * FRAME_SAMPLES:
        raise WireError(f"expected a frame of {4 * FRAME_SAMPLES} bytes, got {len(payload)}")
    return np.frombuffer(payload, dtype="<f4").astype(np.float32)


_ALL_FLAGS = sum(flag.value for flag in StepFlag)

SENDABLE = (
    errors.PromptError,
    errors.FrameError,
    errors.EngineFull,
    errors.Unsupported,
    errors.SessionClosed,
    errors.SessionFailed,
)
"""Errors that `Failed` can carry; subclasses arrive as one of these."""

_ERRORS: Mapping[str, type[DuplexModelError]] = MappingProxyType(
    {error.__name__: error for error in SENDABLE}
)

_REQUESTS: Mapping[str, Callable[[Fields, bytes], Request]] = MappingProxyType(
    {
        "Start": _read_start,
        "Open": _read_open,
        "Feed": _read_feed,
        "Say": _read_say,
        "Interrupt": lambda fields, payload: Interrupt(_session(fields)),
        "EndInput": lambda fields, payload: EndInput(_session(fields)),
        "TakeSnapshot": lambda fields, payload: TakeSnapshot(_id(fields), _session(fields)),
        "Part": lambda fields, payload: Part(_id(fields), payload),
        "Restore": _read_restore,
        "CloseSession": lambda fields, payload: CloseSession(_session(fields)),
    }
)

_REPLIES: Mapping[str, Callable[[Fields, bytes], Reply]] = MappingProxyType(
    {
        "Progress": lambda fields, payload: Progress(
            fields.number("fraction", 0.0, 1.0), fields.text("text")
        ),
        "Ready": _read_ready,
        "Refused": lambda fields, payload: Refused(fields.text("text")),
        "Output": _read_output,
        "Part": lambda fields, payload: Part(_id(fields), payload),
        "Done": lambda fields, payload: Done(_id(fields), payload),
        "Failed": _read_failed,
    }
)
