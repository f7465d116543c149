"""Counts what was compared with the independent implementation, for the one line at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

COMPARED: Counter[tuple[str, str]] = Counter()
EQUAL: Counter[tuple[str, str]] = Counter()


@contextmanager
def compared(variant: str, check: str) -> Iterator[None]:
    """Counts one comparison, as equal if the block raises nothing."""
    COMPARED[variant, check] += 1
    yield
    EQUAL[variant, check] += 1


def summary() -> str:
    variants = {variant for variant, _ in COMPARED}
    checks = {check for _, check in COMPARED}
    return (
        f"parity: {len(variants)} variants x {len(checks)} checks, "
        f"{COMPARED.total()} compared, {EQUAL.total()} equal"
    )
