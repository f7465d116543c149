"""The commands of `python -m duplex_model`: what they take, and what they do.

run      one recording through one session, for evaluation and for trying out
models   known checkpoints, what they need, and whether this machine can run them
voices   voices that a prompt can name
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import get_args

from duplex_model.audio_file import read_audio, write_wav
from duplex_model.catalogue import Precision, text_for
from duplex_model.contract import FRAME_S, Capabilities, Mode, Prompt, TickGrid
from duplex_model.errors import DuplexModelError, PromptError, SpecError, Unsupported
from duplex_model.offline import OfflineResult, choose_languages, run_offline
from duplex_model.role import tagged_role
from duplex_model.shipped import DEFAULT
from duplex_model.source import parse_source
from duplex_model.spec import EngineSpec, Report, build_engine
from duplex_model.tables import describe_models, describe_voices

MAX_INPUT_S = 3600.0
INTERPRETERS_TAIL_S = 5.0
"""A rendering ends some two seconds after what it renders, in consecutive mode the length of a turn after it."""

_MAX_SEED = 2**63 - 1
_PRECISIONS: Mapping[str, Mapping[str, object]] = {
    Precision.FP32.value: {"dtype": "float32"},
    Precision.BF16.value: {"dtype": "bfloat16"},
    Precision.FP16.value: {"dtype": "float16"},
    Precision.INT8.value: {"dtype": "bfloat16", "int8": True},
}
"""How `--precision` is spelt in the options of the neural engine."""

_FAILED = 1
_INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the exit status."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "models":
            _say(describe_models())
        elif options.command == "voices":
            _say(describe_voices())
        else:
            _say(_run(options))
    except (DuplexModelError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return _FAILED
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return _INTERRUPTED
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="python -m duplex_model", description="Full-duplex speech models, offline."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    _add_run(commands.add_parser("run", help="one recording through one session"))
    commands.add_parser("models", help="known checkpoints, and whether this machine can run them")
    commands.add_parser("voices", help="voices that can be named")
    return top


def _add_run(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--checkpoint", default=DEFAULT, metavar="NAME",
        help="a name of `models`, also NAME@REVISION, NAME=FOLDER or NAME=OWNER/REPOSITORY; or loopback (the one that "
        "comes with this package)",
    )  # fmt: skip
    run.add_argument(
        "--role-text", metavar="TEXT",
        help="who the model is, for checkpoints that take a role; without --from and --to, all that it is told",
    )  # fmt: skip
    run.add_argument("--from", dest="heard", metavar="LANGUAGE", help="language heard, such as es")
    run.add_argument("--to", dest="said", metavar="LANGUAGE", help="language spoken, such as en")
    run.add_argument(
        "--mode", choices=get_args(Mode), default="simultaneous",
        help="how to interpret, for checkpoints that can be told (simultaneous)",
    )  # fmt: skip
    run.add_argument("--voice", default="", metavar="NAME|FILE", help="a name of `voices`, or a recording")
    run.add_argument(
        "--input", required=True, type=Path, metavar="FILE", help="what is heard: any audio file"
    )
    run.add_argument("--output", required=True, type=Path, metavar="FILE", help="what is said: WAV, 24 kHz")
    run.add_argument("--text", type=Path, metavar="FILE", help="text, pieces with their times, timing: JSON")
    run.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="the same seed says the same again (0)"
    )
    run.add_argument("--device", help="cpu, cuda, cuda:1, ... (a GPU if there is one)")
    run.add_argument(
        "--precision", choices=list(_PRECISIONS), help="of the weights (bf16; on a CPU fp32)",
    )  # fmt: skip
    run.add_argument(
        "--tail-s", type=_seconds, metavar="S",
        help="silence heard after the input, told to be its end, so that an interpreter that lags can finish "
        f"({INTERPRETERS_TAIL_S:g} for checkpoints that interpret, else 0)",
    )  # fmt: skip


def _seed(text: str) -> int:
    seed = int(text)
    if not 0 <= seed <= _MAX_SEED:
        raise argparse.ArgumentTypeError(f"expected a seed from 0 to {_MAX_SEED}, got {seed}")
    return seed


def _seconds(text: str) -> float:
    seconds = float(text)
    if not math.isfinite(seconds) or not 0 <= seconds <= MAX_INPUT_S:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to {MAX_INPUT_S:g}, got {text}")
    return seconds


def _run(options: argparse.Namespace) -> str:
    """Does what `run` asks for; what to tell the user."""
    pcm = read_audio(options.input, max_s=MAX_INPUT_S, error=SpecError).resampled()
    for path in (options.output, options.text):
        if path is not None and not path.absolute().parent.is_dir():
            raise SpecError(f"expected a folder at {path.absolute().parent} for {path.name}, got nothing")
    grid = TickGrid(origin_s=time.monotonic())
    with closing(build_engine(engine_spec(options), grid=grid, report=_progress())) as engine:
        prompt = make_prompt(options, engine.capabilities)
        tail_s = tail_of(options, engine.capabilities)
        result = run_offline(engine, prompt, pcm, seed=options.seed, report=_progress(), tail_s=tail_s)
    write_wav(options.output, result.pcm)
    if options.text is not None:
        options.text.write_text(
            json.dumps(result.as_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
    return _summary(result, engine.capabilities)


def engine_spec(options: argparse.Namespace) -> EngineSpec:
    """The engine of one lane that the options of `run` name.

    Raises:
        CheckpointError: no known checkpoint.
    """
    if options.checkpoint == "loopback":
        return EngineSpec(kind="loopback", options={"lanes": 1})
    parse_source(options.checkpoint)  # so that a misspelt name is refused before PyTorch is loaded
    chosen: dict[str, object] = {"checkpoint": options.checkpoint, "lanes": 1}
    if options.device is not None:
        chosen["device"] = options.device
    if options.precision is not None:
        chosen |= _PRECISIONS[options.precision]
    return EngineSpec(kind="neural", options=chosen)


def make_prompt(options: argparse.Namespace, capabilities: Capabilities) -> Prompt:
    """The prompt that the options of `run` ask for.

    Raises:
        Unsupported: the checkpoint takes no role, or no voice.
        PromptError: it does not serve these languages, or it must be told which.
    """
    if options.role_text and not capabilities.role_text:
        raise Unsupported(f"expected no --role-text: {capabilities.checkpoint} takes none")
    if options.voice and not capabilities.voice_prompt:
        raise Unsupported(f"expected no --voice: {capabilities.checkpoint} takes none")
    heard, said = _direction(options, capabilities)
    role_text = options.role_text or ""
    return Prompt(
        role_text=role_text if options.heard or options.said else tagged_role(role_text),
        voice=options.voice,
        language_in=heard,
        language_out=said,
        mode=options.mode,
    )


def tail_of(options: argparse.Namespace, capabilities: Capabilities) -> float:
    """Seconds of silence after the recording: as told, else what the checkpoint needs to have its last word."""
    told: float | None = options.tail_s
    if told is not None:
        return told
    return INTERPRETERS_TAIL_S if capabilities.translates else 0.0


def _direction(options: argparse.Namespace, capabilities: Capabilities) -> tuple[str, str]:
    """The languages heard and spoken; of a checkpoint that can speak one language only, none need be named."""
    spoken = {language for answers in capabilities.languages.values() for language in answers}
    told: str | None = options.heard or options.said
    if told is None and not options.role_text and len(spoken) > 1:
        raise PromptError(
            f"expected --from or --to, as {capabilities.checkpoint} speaks {', '.join(sorted(spoken))}"
        )
    if told is not None and options.mode == "transcription":
        return choose_languages(capabilities, told, told)
    return choose_languages(capabilities, options.heard, options.said)


def _summary(result: OfflineResult, capabilities: Capabilities) -> str:
    speed = 1 / result.timing.real_time_factor
    label = text_for("en", capabilities.demonstration)
    terms = f"{capabilities.licence}; {label}" if label else capabilities.licence
    return (
        f"{capabilities.checkpoint} ({terms}): {result.frames * FRAME_S:.1f} s, {speed:.2g} times "
        f"as fast as speech, {result.timing.step_p50_ms:.1f} ms per frame"
    )


def _progress() -> Report:
    """One line on a terminal that is written over and over; nothing where nobody watches."""
    if not sys.stderr.isatty():
        return lambda fraction, words: None

    def report(fraction: float, words: str) -> None:
        end = "\n" if fraction >= 1 else ""
        sys.stderr.write(f"\r\x1b[K{fraction:4.0%} {words}{end}")
        sys.stderr.flush()

    return report


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
