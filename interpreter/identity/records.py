"""A window of a direction's rendering, and the record that spells it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from interpreter.directions import Direction
from interpreter.errors import IdentityError
from interpreter.identity.chain import DIGEST
from interpreter.identity.encoding import Json, integer_in, members, text_in
from interpreter.identity.passport import CHECKSUM

WINDOW_FRAMES = 25
"""2.0 s."""

WINDOW_KIND = "window"
_MEMBERS = "after kind chain speaker language_in language_out seq t0 t1 pcm text counters final prev passport role at"


@dataclass(frozen=True, kw_only=True)
class Counters:
    """How often something happened to a direction's rendering."""

    yields: int = 0
    """It gave way to a listener."""

    cuts: int = 0
    """Some of it was never heard."""

    resumes: int = 0
    """What had been cut or held was taken up again."""

    operator_actions: int = 0
    """A host or operator acted on it."""

    def __add__(self, other: Counters) -> Counters:
        """Both."""
        return Counters(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Window:
    """What was said in one direction from one frame to another."""

    chain: int
    """Number of the chain in its file, from 0; a direction that begins anew gets another."""

    direction: Direction
    seq: int
    """Number of the window in its chain, from 0."""

    t0: int
    """Media-clock number of the first frame."""

    t1: int
    """That of the first frame after it; `WINDOW_FRAMES` later, less in a final window only."""

    pcm_sha256: str
    """Of the 16-bit samples (`to_s16le`) of all its frames, in hexadecimal."""

    text_hmac: str
    """`text_digest` of the text begun in it."""

    counters: Counters
    final: bool
    """The chain ends here."""


@dataclass(frozen=True, kw_only=True)
class WindowRecord:
    """A window, and what its record says beside it."""

    window: Window
    prev: str
    """Digest of the line before it in its chain; for the first, of the file's first line."""

    token_id: str
    """Of the passport in force."""

    role: str
    """Checksum of the role that spoke: the one the passport gives the direction, or its own."""

    at_s: int
    """Wall clock when it was sealed, Unix seconds."""


def record_of(one: WindowRecord) -> dict[str, Json]:
    """How a window is written."""
    window = one.window
    record: dict[str, Json] = {
        "chain": window.chain,
        "speaker": window.direction.speaker_id,
        "language_in": window.direction.language_in,
        "language_out": window.direction.language_out,
        "seq": window.seq,
        "t0": window.t0,
        "t1": window.t1,
        "pcm": window.pcm_sha256,
        "text": window.text_hmac,
        "counters": asdict(window.counters),
        "final": window.final,
        "prev": one.prev,
        "passport": one.token_id,
        "role": one.role,
        "at": one.at_s,
    }
    return record | {"count": window.seq + 1} if window.final else record


def read_window(record: Mapping[str, Any]) -> WindowRecord:
    """What a window's record says.

    Raises:
        IdentityError: it is not what `record_of` writes.
    """
    final = record.get("final")
    if not isinstance(final, bool):
        raise IdentityError("expected true or false as `final`, got something else")
    members(dict(record), f"{_MEMBERS} count" if final else _MEMBERS)
    seq, t0 = integer_in(record, "seq"), integer_in(record, "t0")
    if final:
        integer_in(record, "count", seq + 1, seq + 1)
    shortest, longest = (0, WINDOW_FRAMES - 1) if final else (WINDOW_FRAMES, WINDOW_FRAMES)
    window = Window(
        chain=integer_in(record, "chain"),
        direction=Direction(*(text_in(record, name) for name in ("speaker", "language_in", "language_out"))),
        seq=seq,
        t0=t0,
        t1=integer_in(record, "t1", t0 + shortest, t0 + longest),
        pcm_sha256=text_in(record, "pcm", pattern=DIGEST),
        text_hmac=text_in(record, "text", pattern=DIGEST),
        counters=_counters(record["counters"]),
        final=final,
    )
    return WindowRecord(
        window=window,
        prev=text_in(record, "prev", pattern=DIGEST),
        token_id=text_in(record, "passport"),
        role=text_in(record, "role", pattern=CHECKSUM),
        at_s=integer_in(record, "at"),
    )


def _counters(value: Json) -> Counters:
    names = [f.name for f in fields(Counters)]
    counters = members(value, " ".join(names))
    return Counters(**{name: integer_in(counters, name) for name in names})
