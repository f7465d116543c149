"""What the interpreter said, window by window, as signed lines: one chain per direction, all in one sealed file.

    meeting ── passport ── window(chain 1) ── window(chain 2) ── window(1, final) ── passport ── ... ── end
                              prev: meeting      prev: meeting      prev: window(1)

Every line comes `after` the one before it in the file; every record of a direction names its `prev`, so that whoever
was sent one direction's lines alone can check them too. A window is 25 frames of the media clock, whatever is said,
cut or held in it. Pure: frames are counted by whoever mixes, and the wall clock is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from duplex_model.contract import FRAME_SAMPLES, Pcm
from interpreter.directions import Direction
from interpreter.errors import IdentityError
from interpreter.identity.chain import Sealer
from interpreter.identity.encoding import Json, to_base64url
from interpreter.identity.heads import ATTESTATION_KIND, END_KIND, PASSPORT_KIND, SALT_BYTES, VERSION
from interpreter.identity.keys import IdentityKey, key_set
from interpreter.identity.passport import (
    LIFETIME_S,
    RENEW_S,
    DirectionClaim,
    Passport,
    RoleClaim,
    in_order,
    issue,
)
from interpreter.identity.records import WINDOW_FRAMES, WINDOW_KIND, Counters, Window, WindowRecord, record_of
from interpreter.pcm16 import to_s16le

LINGER_S = 2.0
"""A direction that is no longer served may fade out, or come back, for so long before its chain ends."""

_SILENT_FRAME = bytes(2 * FRAME_SAMPLES)


def text_digest(salt: bytes, chain: int, seq: int, text: str) -> str:
    """What stands for a window's text: HMAC-SHA256 under the meeting's salt, in hexadecimal.

    Bound to the window, so that the same words twice do not look the same; without the salt the few words of a window
    cannot be found by trying.
    """
    return hmac.new(salt, f"{chain}/{seq}/{text}".encode(errors="replace"), hashlib.sha256).hexdigest()


class DirectionAttestor:
    """Cuts one direction's rendering into windows.

    Args:
        chain: its number.
        direction: whose rendering it is.
        first_frame: media-clock number of the first frame it will be given.
        salt: of the meeting, `SALT_BYTES`, for texts.
    """

    def __init__(self, *, chain: int, direction: Direction, first_frame: int, salt: bytes) -> None:
        self._chain = chain
        self._direction = direction
        self._salt = salt
        self._seq = 0
        self._t0 = first_frame
        self._next = first_frame
        self._hash = hashlib.sha256()
        self._text: list[str] = []
        self._counters = Counters()

    def add(
        self, frame_index: int, pcm: Pcm, text: str = "", counters: Counters | None = None
    ) -> tuple[Window, ...]:
        """Takes the rendering of one frame; gives the windows that it completes, mostly none.

        Frames that were left out before it, because no mix was made of them, count as silence.

        Args:
            frame_index: on the media clock, higher than the one before.
            pcm: [1920], after the floor's gain, before the mix.
            text: what began to sound in it.
            counters: what happened in it.

        Raises:
            IdentityError: the frame was attested already.
        """
        if frame_index < self._next:
            raise IdentityError(f"expected frame {self._next} or a later one, got {frame_index}")
        windows = [window for _ in range(frame_index - self._next) for window in self._take(_SILENT_FRAME)]
        self._text.append(text)
        if counters is not None:
            self._counters += counters
        return (*windows, *self._take(to_s16le(pcm)))

    def finish(self) -> Window:
        """The last window, of what came since the one before it: maybe nothing. Nothing may be added any more."""
        return self._window(final=True)

    def _take(self, samples: bytes) -> tuple[Window, ...]:
        assert len(samples) == len(_SILENT_FRAME), "expected a frame of 1920 samples"
        self._hash.update(samples)
        self._next += 1
        return (self._window(final=False),) if self._next - self._t0 == WINDOW_FRAMES else ()

    def _window(self, *, final: bool) -> Window:
        window = Window(
            chain=self._chain,
            direction=self._direction,
            seq=self._seq,
            t0=self._t0,
            t1=self._next,
            pcm_sha256=self._hash.hexdigest(),
            text_hmac=text_digest(self._salt, self._chain, self._seq, "".join(self._text)),
            counters=self._counters,
            final=final,
        )
        self._seq += 1
        self._t0 = self._next
        self._hash = hashlib.sha256()
        self._text.clear()
        self._counters = Counters()
        return window


@dataclass(frozen=True, kw_only=True)
class AttestationSettings:
    """What stays the same for a meeting."""

    meeting_id: str
    """Unique for the key; passports are numbered below it."""

    issuer: str
    """See `Passport`."""

    subject: str
    room: str
    first_frame: int
    """Media-clock number of the meeting's first frame, with which every recording of it begins."""

    salt: bytes
    """`SALT_BYTES`, secret and random, for `text_digest`."""

    publish_salt: bool = False
    """Write the salt into the file: only where the meeting's content is stored anyway."""

    scope: tuple[str, ...] = ("interpret", "speak")
    dtls_fingerprint: str | None = None

    def __post_init__(self) -> None:
        """Refuses a salt that could be found by trying, or that no reader would take."""
        assert len(self.salt) == SALT_BYTES, f"expected {SALT_BYTES} bytes of salt, got {len(self.salt)}"


@dataclass(eq=False)
class _Chain:
    """A direction's chain, from its first frame on."""

    attestor: DirectionAttestor
    prev: str
    """Digest of its last line; that of the file's first line before it has any."""


@dataclass(eq=False)
class _Served:
    """A direction that may be heard, or that was a moment ago."""

    claim: DirectionClaim
    chain: _Chain | None = None
    """None until its first frame, and after a change of role."""

    left_s: float | None = None
    """Wall clock when it was no longer served; None while it is."""


class MeetingAttestor:
    """Writes a meeting's attestation: hands every line, without newline, to `emit` as soon as it is sealed.

    Args:
        key: signs passports and lines.
        settings: of the meeting.
        role: that speaks at first.
        operator: who answers for it at first.
        now_s: wall clock, Unix seconds.
        emit: gets the lines in their order, the first one at once.

    Raises:
        IdentityError: a name in the settings is too long, or not text.
    """

    def __init__(
        self,
        *,
        key: IdentityKey,
        settings: AttestationSettings,
        role: RoleClaim,
        operator: str | None,
        now_s: float,
        emit: Callable[[str], object],
    ) -> None:
        self._key = key
        self._settings = settings
        self._role = role
        self._operator = operator
        self._emit = emit
        self._sealer = Sealer(key)
        self._served: dict[Direction, _Served] = {}
        self._chains = 0
        self._passports = 0
        self._changed = False
        self._passport, self._token = self._issue(now_s)
        self._first_line = self._begin(now_s)
        self._head = self._sealer.last

    @property
    def passport(self) -> Passport:
        """The one in force."""
        return self._passport

    @property
    def token(self) -> str:
        """The one in force, signed, to be shown to whoever asks."""
        return self._token

    @property
    def first_line(self) -> str:
        """What whoever joins later needs to check the lines that follow: the meeting and the key."""
        return self._first_line

    @property
    def directions(self) -> Collection[Direction]:
        """Those of which frames may be added."""
        return self._served.keys()

    def serve(self, claims: Mapping[Direction, DirectionClaim], now_s: float) -> None:
        """These directions may be heard from now on, each as its claim says.

        A direction that is claimed otherwise than before begins another chain. The chains of those that are no longer
        served end some seconds later, not before `LINGER_S`.
        """
        changed = [
            one for one, served in self._served.items() if claims.get(one, served.claim) != served.claim
        ]
        self._drop(changed, now_s)
        for direction, served in self._served.items():
            if direction in claims:
                served.left_s = None
            elif served.left_s is None:
                served.left_s = now_s
        for direction, claim in claims.items():
            if direction not in self._served:
                self._served[direction] = _Served(claim)
                self._changed = True
        self._drop_left(now_s)

    def add(
        self,
        direction: Direction,
        frame_index: int,
        pcm: Pcm,
        now_s: float,
        text: str = "",
        counters: Counters | None = None,
    ) -> None:
        """Attests one frame of one of `directions`; see `DirectionAttestor.add`."""
        served = self._served[direction]
        if served.chain is None:
            served.chain = self._new_chain(direction, frame_index)
        windows = served.chain.attestor.add(frame_index, pcm, text, counters)
        for window in windows:
            self._seal(served, served.chain, window, now_s)
        if windows:  # every two seconds is often enough
            self._drop_left(now_s)

    def change_role(self, role: RoleClaim, now_s: float) -> None:
        """Another role speaks where none is claimed for the direction: chains of the old one end there.

        Those of the new one begin with its first frames.
        """
        if role == self._role:
            return
        for served in self._served.values():
            if served.claim.role is None:
                self._finish(served, now_s)
        self._role = role
        self._changed = True
        self.renew(now_s)

    def change_operator(self, operator: str | None, now_s: float) -> None:
        """Somebody else answers for the interpreter."""
        if operator != self._operator:
            self._operator = operator
            self._changed = True
            self.renew(now_s)

    def renew(self, now_s: float) -> None:
        """Issues a new passport where the one in force grows old or says what is no longer so; call it now and then."""
        age_s = now_s - self._passport.issued_at_s
        if self._changed or not 0.0 <= age_s < RENEW_S:
            self._changed = False
            self._passport, self._token = self._issue(now_s)
            self._write(PASSPORT_KIND, {"passport": self._token})

    def end(self, now_s: float) -> None:
        """The meeting is over: every chain ends, and the file says that it is whole."""
        self._drop(list(self._served), now_s)
        self._write(END_KIND, {"at": int(now_s), "lines": self._sealer.lines})

    def _issue(self, now_s: float) -> tuple[Passport, str]:
        settings = self._settings
        passport = Passport(
            issuer=settings.issuer,
            subject=settings.subject,
            room=settings.room,
            operator=self._operator,
            role=self._role,
            directions=in_order(served.claim for served in self._served.values()),
            scope=settings.scope,
            issued_at_s=int(now_s),
            expires_at_s=int(now_s) + LIFETIME_S,
            token_id=f"{settings.meeting_id}.{self._passports}",
            key=self._key.thumbprint,
            dtls_fingerprint=settings.dtls_fingerprint,
        )
        self._passports += 1
        return passport, issue(passport, self._key)

    def _begin(self, now_s: float) -> str:
        """Writes the first line, and gives it."""
        settings = self._settings
        salt: dict[str, Json] = {"text_salt": to_base64url(settings.salt)} if settings.publish_salt else {}
        return self._write(
            ATTESTATION_KIND,
            {
                "version": VERSION,
                "meeting": settings.meeting_id,
                "at": int(now_s),
                "first_frame": settings.first_frame,
                "jwks": key_set([self._key.public]),
                "passport": self._token,
                **salt,
            },
        )

    def _new_chain(self, direction: Direction, first_frame: int) -> _Chain:
        number, self._chains = self._chains, self._chains + 1
        attestor = DirectionAttestor(
            chain=number, direction=direction, first_frame=first_frame, salt=self._settings.salt
        )
        return _Chain(attestor, prev=self._head)

    def _drop_left(self, now_s: float) -> None:
        """Ends the chains of those that were left long enough ago; also when the wall clock was set back."""
        left = [
            direction
            for direction, served in self._served.items()
            if served.left_s is not None and not 0.0 <= now_s - served.left_s < LINGER_S
        ]
        self._drop(left, now_s)

    def _drop(self, directions: Collection[Direction], now_s: float) -> None:
        for direction in directions:  # while the passport in force still lists them all
            self._finish(self._served[direction], now_s)
        for direction in directions:
            del self._served[direction]
            self._changed = True

    def _finish(self, served: _Served, now_s: float) -> None:
        chain, served.chain = served.chain, None
        if chain is not None:
            self._seal(served, chain, chain.attestor.finish(), now_s)

    def _seal(self, served: _Served, chain: _Chain, window: Window, now_s: float) -> None:
        self.renew(now_s)
        record = WindowRecord(
            window=window,
            prev=chain.prev,
            token_id=self._passport.token_id,
            role=(served.claim.role or self._role).checksum,
            at_s=int(now_s),
        )
        self._write(WINDOW_KIND, record_of(record))
        chain.prev = self._sealer.last

    def _write(self, kind: str, record: dict[str, Json]) -> str:
        line = self._sealer.seal(kind, record)
        self._emit(line)
        return line
