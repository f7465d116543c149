"""Plain text tables of the known models and voices, for the commands of this package and of its users."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from duplex_model.audio_file import duration_of
from duplex_model.catalogue import (
    DEFAULT_VOICES,
    Precision,
    domain_of,
    download_bytes,
    licence_links,
    memory_need,
    parameters,
    text_for,
    verdict,
)
from duplex_model.config import CHECKPOINTS, CheckpointConfig
from duplex_model.contract import FRAME_S
from duplex_model.description import read_description
from duplex_model.machine import Machine, this_machine
from duplex_model.shipped import DEFAULT, shipped_checkpoints, shipped_folder
from duplex_model.source import VOICES_FOLDER
from duplex_model.voice_library import list_voices, voice_folders

_HEAD = (
    "model", "hears", "speaks", "translates", "role", "voice", "notices", "weights", "bf16", "int8", "here",
)  # fmt: skip


def describe_models(machine: Machine | None = None) -> str:
    """The known checkpoints: what they do, what they need, whether this machine can run them, and their licences."""
    machine = machine or this_machine()
    shipped = {folder: _described_in(folder) for folder in shipped_checkpoints().values()}
    rows = [_model_row(config, machine) for config in (*shipped.values(), *CHECKPOINTS.values())]
    details = [
        *(_model_details(config, machine, folder) for folder, config in shipped.items()),
        *(_model_details(config, machine) for config in CHECKPOINTS.values()),
    ]
    return "\n\n".join(
        (
            table([_HEAD, *rows]),
            "notices: whether it can be made to say a given text. bf16, int8: memory for one session, with its "
            "cache full, and for what is computed beside sessions.\n" + _described(machine),
            *details,
            "loopback says what it hears and scripted follows a script; both need no files.",
        )
    )


def _described_in(folder: Path) -> CheckpointConfig:
    config = read_description(folder)
    assert config is not None  # a shipped folder is one with a description
    return config


def _model_row(config: CheckpointConfig, machine: Machine) -> tuple[str, ...]:
    spoken = sorted(set().union(*config.languages.values()))
    needs = (memory_need(config, precision).of(1) for precision in (Precision.BF16, Precision.INT8))
    return (
        config.name,
        " ".join(sorted(config.languages)),
        " ".join(spoken),
        _yes(config.translates),
        _yes(config.role_text),
        _yes(config.voice_prompt),
        config.say.value,
        _count(parameters(config.lm).total),
        *(f"{need / 1e9:.1f} GB" for need in needs),
        verdict(config, machine).fit.value,
    )


def _model_details(config: CheckpointConfig, machine: Machine, folder: Path | None = None) -> str:
    """What there is to know of a checkpoint, shipped in `folder` or else in its repository."""
    window_s, context_s = config.window_frames * FRAME_S, config.lm.temporal.context * FRAME_S
    label = text_for("en", config.demonstration)
    return "\n".join(
        (
            f"{config.name}: {domain_of(config)}",
            *([f"  NOTE      {label}"] if label else []),
            f"  from      {_published(config) if folder is None else _shipped(folder)}",
            f"  licence   {_licence(config.licence)}",
            f"  files     {config.lm_file}, {config.codec_file}, {config.text_file}",
            f"  attends   to the last {window_s:.0f} s, {_longer(window_s, context_s)}",
            f"  here      {verdict(config, machine).reason}",
        )
    )


def _count(weights: int) -> str:
    return f"{weights / 1e9:.2f} B" if weights >= 1e8 else f"{weights / 1e6:.0f} M"


def _licence(licence: str) -> str:
    links = " and ".join(licence_links(licence))
    return f"{licence}, {links}" if links else licence


def _published(config: CheckpointConfig) -> str:
    pinned = f"revision {config.revision}" + (", not pinned" if config.revision == "main" else "")
    gated = "; its licence must be accepted there, and HF_TOKEN set" if config.gated else ""
    return f"{config.repository} ({pinned}, {download_bytes(config) / 1e9:.1f} GB){gated}"


def _shipped(folder: Path) -> str:
    size_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    default = ", the default" if shipped_folder(DEFAULT) == folder else ""
    return f"this package{default} ({size_bytes / 1e6:.0f} MB), card {folder / 'README.md'}"


def _longer(window_s: float, context_s: float) -> str:
    if context_s > window_s:
        return f"as in training; to {context_s:.0f} s if asked to"
    return "which is all it can"


def _described(machine: Machine) -> str:
    gpus = ", ".join(f"{gpu.name} with {gpu.free_bytes / 1e9:.1f} GB free" for gpu in machine.gpus)
    return f"This machine: {gpus or machine.remark or 'no GPU'}; {machine.free_bytes / 1e9:.1f} GB of memory free."


def describe_voices(folders: Sequence[Path] | None = None) -> str:
    """The voices that can be named in a prompt, and where more come from."""
    shipped = [folder / VOICES_FOLDER for folder in shipped_checkpoints().values()]
    folders = [*voice_folders(), *shipped] if folders is None else folders
    rows = [(name, _length(path), str(path)) for name, path in list_voices(folders).items()]
    listed = table([("voice", "length", "file"), *rows]) if rows else "No voices here yet."
    defaults = ", ".join(f"{voice} for {model}" for model, voice in DEFAULT_VOICES.items())
    return (
        f"{listed}\n\nPut recordings of 2 to 20 s into {folders[0]}, or name a file.\n"
        f"Published voices appear when their model is first loaded (by default {defaults})."
    )


def _length(path: Path) -> str:
    duration_s = duration_of(path)
    return "published" if duration_s is None else f"{duration_s:.1f} s"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest entry, two spaces apart; no spaces at line ends."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(entry.ljust(width) for entry, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
