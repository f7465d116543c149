"""Who may come to the console, and as what: tokens for calls, tickets for WebSockets. Pure: time is an argument.

A token is long-lived and travels in a header alone. A ticket is good once and for a short while: it may travel where
headers of one's own cannot, in the opening of a WebSocket.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.identity.audit import token_hash

TICKET_S = 30.0
MAX_TICKETS = 256
"""Not redeemed; beyond it the oldest are forgotten."""

MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One token, and whose it is."""

    name: str
    """For the others at a console, and the audit log."""

    standing: Standing
    token: str = field(repr=False)

    @property
    def actor(self) -> Actor:
        """Whoever holds it, as commands know them."""
        return Actor(name=self.name, standing=self.standing, token_hash=token_hash(self.token))


class Access:
    """The tokens of a console, and the tickets that were given out.

    Args:
        passes: tokens of `MIN_TOKEN_CHARACTERS` at least, each once.
        new_ticket: makes an unguessable one.
    """

    def __init__(
        self, passes: Sequence[Pass], new_ticket: Callable[[], str] = lambda: secrets.token_urlsafe(24)
    ) -> None:
        self._passes = tuple(passes)
        self._new_ticket = new_ticket
        self._tickets: OrderedDict[str, tuple[Pass, float]] = OrderedDict()

    def holder(self, token: str) -> Pass | None:
        """Whose token it is; None where it is nobody's. How long that takes tells nothing of how much was right."""
        given = token.encode(errors="replace")
        found = None
        for one in self._passes:
            if hmac.compare_digest(one.token.encode(), given):
                found = one
        return found

    def issue(self, holder: Pass, now_s: float) -> str:
        """A ticket for somebody, good until `TICKET_S` from now."""
        self._forget(now_s)
        ticket = self._new_ticket()
        self._tickets[ticket] = (holder, now_s + TICKET_S)
        while len(self._tickets) > MAX_TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def redeem(self, ticket: str, now_s: float) -> Pass | None:
        """Whose ticket it is, which is then used up; None for one that is unknown, used or too old."""
        self._forget(now_s)
        found = self._tickets.pop(ticket, None)
        return None if found is None else found[0]

    def _forget(self, now_s: float) -> None:
        while self._tickets and next(iter(self._tickets.values()))[1] < now_s:
            self._tickets.popitem(last=False)
