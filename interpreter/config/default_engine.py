"""The engine of a configuration that names none: the checkpoint that comes with the package, if one does."""

from __future__ import annotations

from dataclasses import replace

from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from interpreter.config.config import EngineConfig

LOOPBACK_INSTEAD = (
    f"{NONE_SHIPPED} The loopback engine repeats what it hears and interprets nothing; "
    "--checkpoint NAME runs a model, `interpreter models` lists them."
)


def chosen_engine(engine: EngineConfig) -> EngineConfig:
    """`engine` with its kind: its own, else that of the shipped checkpoint, else loopback."""
    if engine.kind is not None:
        return engine
    if shipped_folder(DEFAULT) is None:
        return replace(engine, kind="loopback")
    return replace(engine, kind="neural", options={"checkpoint": DEFAULT, **engine.options})


def remarks_on(engine: EngineConfig) -> list[str]:
    """What whoever starts a meeting must know of the choice."""
    return [LOOPBACK_INSTEAD] if engine.kind is None and chosen_engine(engine).kind == "loopback" else []
