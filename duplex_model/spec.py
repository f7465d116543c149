"""What engine to run, as data: a kind and options that JSON can spell, so that they cross to a process of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType

from duplex_model.contract import Engine, TickGrid
from duplex_model.errors import SpecError

Report = Callable[[float, str], None]
"""How far a start has come: a fraction in [0, 1] and words for people, such as `reading weights`."""

BUILDERS: Mapping[str, str] = MappingProxyType(
    {
        "loopback": "duplex_model.loopback:build",
        "neural": "duplex_model.assembly:build",
        "scripted": "duplex_model.scripted:build",
    }
)
"""Kind -> `module:function` with the signature (options, grid, report) -> Engine; imported only when asked for."""


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """Names an engine; see the module of its kind for the options."""

    kind: str
    """A key of `BUILDERS`."""

    options: Mapping[str, object] = field(default_factory=dict)
    """Values that JSON can spell."""


def build_engine(spec: EngineSpec, *, grid: TickGrid, report: Report) -> Engine:
    """The engine, in this process; may take as long as its checkpoint takes to load.

    Args:
        spec: what to build.
        grid: the tick grid it follows.
        report: called in this thread with the progress of long starts.

    Raises:
        SpecError: unknown kind, or options its kind does not take.
    """
    target = BUILDERS.get(spec.kind)
    if target is None:
        raise SpecError(f"expected an engine kind of {', '.join(sorted(BUILDERS))}, got {spec.kind!r}")
    module, _, function = target.partition(":")
    build: Callable[[Mapping[str, object], TickGrid, Report], Engine] = getattr(
        import_module(module), function
    )
    return build(spec.options, grid, report)
