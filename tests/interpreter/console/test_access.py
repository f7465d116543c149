"""Tokens and tickets."""

from __future__ import annotations

from itertools import count

import pytest

from interpreter.commands.table import Standing
from interpreter.console.access import MAX_TICKETS, TICKET_S, Access, Pass
from interpreter.identity.audit import token_hash

EVA = Pass(name="Eva", standing=Standing.OPERATOR, token="eva-token-0123456789")
VERA = Pass(name="Vera", standing=Standing.VIEWER, token="vera-token-0123456789")


def access() -> Access:
    numbers = count()
    return Access([EVA, VERA], lambda: f"t{next(numbers)}")


def test_a_token_is_somebody_s_or_nobody_s() -> None:
    assert access().holder(EVA.token) is EVA
    assert access().holder(VERA.token) is VERA
    for wrong in ("", "eva", EVA.token.upper(), f"{EVA.token} ", "\ud800", "é"):
        assert access().holder(wrong) is None


def test_a_ticket_is_good_once() -> None:
    at = access()
    ticket = at.issue(EVA, 10.0)
    assert at.redeem(ticket, 10.0 + TICKET_S) is EVA
    assert at.redeem(ticket, 10.0) is None
    assert at.redeem("t9", 10.0) is None
    assert at.redeem("", 10.0) is None


def test_a_ticket_is_good_for_a_while() -> None:
    at = access()
    first, second = at.issue(EVA, 10.0), at.issue(VERA, 20.0)
    assert at.redeem(first, 10.1 + TICKET_S) is None
    assert at.redeem(second, 10.1 + TICKET_S) is VERA


def test_tickets_that_nobody_redeems_are_not_piled_up() -> None:
    at = access()
    first = at.issue(EVA, 10.0)
    for _ in range(MAX_TICKETS):
        last = at.issue(EVA, 10.0)
    assert at.redeem(first, 10.0) is None
    assert at.redeem(last, 10.0) is EVA
    assert len(at._tickets) == MAX_TICKETS - 1


def test_real_tickets_are_unguessable_and_never_the_same() -> None:
    at = Access([EVA])
    tickets = {at.issue(EVA, 0.0) for _ in range(100)}
    assert len(tickets) == 100
    assert all(len(ticket) >= 32 for ticket in tickets)


def test_a_token_is_never_shown_and_only_its_hash_is_logged() -> None:
    assert EVA.token not in repr(EVA)
    assert EVA.actor.token_hash == token_hash(EVA.token)
    assert (EVA.actor.name, EVA.actor.standing, EVA.actor.participant_id) == ("Eva", Standing.OPERATOR, None)


@pytest.mark.parametrize("token", [EVA.token, VERA.token])
def test_every_token_is_compared_whoever_comes(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return one == other

    monkeypatch.setattr("interpreter.console.access.hmac.compare_digest", compare)
    access().holder(token)
    assert len(compared) == 2
