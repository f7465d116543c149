from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from duplex_model.training.device import ahead, autocast, moved


def test_what_is_made_ahead_comes_in_order_and_is_made_beside() -> None:
    here = threading.get_ident()
    makers = []

    def items() -> Iterator[int]:
        for number in range(20):
            makers.append(threading.get_ident())
            yield number

    assert list(ahead(items(), 4)) == list(range(20))
    assert here not in makers


def test_no_more_is_made_ahead_than_asked_for() -> None:
    made = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield len(made)

    found = ahead(endless(), 3)
    assert next(found) == 1
    found.close()  # type: ignore[attr-defined]
    assert len(made) <= 4


def test_a_failure_while_making_ahead_is_seen_where_it_is_asked_for() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    found = ahead(failing(), 2)
    assert next(found) == 1
    with pytest.raises(ValueError, match="no more"):
        next(found)


def test_products_are_in_bfloat16_but_where_they_must_not_be() -> None:
    x, cpu = torch.randn(4, 4), torch.device("cpu")
    with autocast(cpu):
        assert (x @ x).dtype == torch.bfloat16
        with autocast(cpu, enabled=False):
            assert (x @ x).dtype == torch.float32
    assert moved(x, cpu) is x
