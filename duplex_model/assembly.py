"""A checkpoint's files -> a running engine; `build` is what `EngineSpec(kind="neural", options)` calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from duplex_model.attention import ATTENTIONS, DecodeAttention, find_decode_attention
from duplex_model.batcher import EngineOptions
from duplex_model.catalogue import DEFAULT_VOICES, aside_lanes, capabilities
from duplex_model.checkpoint import SafetensorsFile, Shards, build_codec, load_codec, load_lm
from duplex_model.config import CheckpointConfig
from duplex_model.contract import LongCalls, TickGrid
from duplex_model.engine import NeuralEngine
from duplex_model.errors import CheckpointError, SpecError
from duplex_model.fields import Fields
from duplex_model.fingerprint import file_hash, fingerprint
from duplex_model.generator import Generator
from duplex_model.lanes import MAX_LANES
from duplex_model.lm import RQTransformer
from duplex_model.long_call import plans_for
from duplex_model.neural import PREFIX_BYTES, NeuralModel
from duplex_model.prompter import HybridPrompter
from duplex_model.published_voices import import_published
from duplex_model.source import CheckpointFiles, find_files, parse_source
from duplex_model.spec import Report
from duplex_model.streaming import StreamingState
from duplex_model.text import TextTokenizer
from duplex_model.voice_library import cache_folder, list_voices, user_folder

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

CPU_LANES = 2
"""Unless told otherwise: every step costs the time of all lanes, and a conversation of two people takes two."""

_RESERVE_BYTES = 2 << 30
"""Device memory left for workspaces and fragmentation, beside the prefix cache."""


@dataclass(frozen=True, kw_only=True)
class NeuralOptions:
    """How a checkpoint is run."""

    lanes: int
    device: torch.device
    dtype: torch.dtype
    int8: bool = False
    window_frames: int | None = None
    """Frames attended to; None for as many as the checkpoint was trained on."""

    long_calls: LongCalls | None = None
    """None for what suits the checkpoint."""

    renewals: bool = False
    """Room to renew calls also where `long_calls` needs none, so that a session may choose to be renewed."""

    voices: tuple[Path, ...] = ()
    """Folders of voices known by name, the first to have a name first; they need not exist."""

    cuda_graph: bool = False
    attention: str = "eager"
    """One of `ATTENTIONS`. No GPU has run `triton` yet."""

    engine: EngineOptions = field(default_factory=EngineOptions)


@dataclass(frozen=True)
class Footprint:
    """Device memory a model takes."""

    weights: int
    lane: int
    aside: int
    """Lanes outside the batch: one in which sessions begin, room for a prompt, and one to renew lanes."""

    def check(self, lanes: int, free: int) -> None:
        """`SpecError`, with what would fit, unless `free` bytes are enough for `lanes` lanes."""
        left = free - self.weights - self.aside * self.lane - PREFIX_BYTES - _RESERVE_BYTES
        if left >= lanes * self.lane:
            return
        gib = 2**30
        needs = f"{self.weights / gib:.1f} GiB of weights and {self.lane / gib:.2f} GiB a lane"
        fits = max(left // self.lane, 0)
        advice = (
            f"set lanes to {fits} or fewer" if fits else "use a smaller checkpoint, int8 or a larger device"
        )
        raise SpecError(f"expected room for {needs}, got {free / gib:.1f} GiB free: {advice}")


def build(options: Mapping[str, object], grid: TickGrid, report: Report) -> NeuralEngine:
    """The engine of `EngineSpec(kind="neural", options)`.

    Options: `checkpoint` (as `source` spells them), `lanes` (8, on a CPU 2), `device` (`cpu`, `cuda`, `cuda:1`),
    `dtype`, `int8`, `window_frames`, `long_calls` (`sinks`, `refresh`, `restart`), `renewals` (sessions may choose
    among these even if the engine needs no lane to renew calls in), `voices` (a folder, before the user's own and those
    of the checkpoint), `cuda_graph`, `attention` (`eager`, or `triton` to read only the filled part of each session's
    ring), `gather_ms`, `paced` (true; false where time waits for the answers), `backlog_frames`, `admit_below`,
    `threads` (of a CPU, 1).

    Raises:
        SpecError: wrong options, or a device that is too small or not there.
        CheckpointError: the files cannot be had or are not those of the checkpoint.
    """
    fields = Fields(options, "neural options", SpecError)
    source = parse_source(fields.text("checkpoint"))
    chosen = _read_options(fields)
    threads = fields.integer("threads", 1, 256, 1)
    fields.end()
    # Threads of OpenMP spin while they wait for one another: with one busy neighbour on two cores a step of 9 ms took
    # 550 ms. They also change the last bits of a sum, so their number is fixed and not the machine's.
    torch.set_num_threads(threads)
    report(0.0, f"looking for {source.config.name} in {source.where}, licence {source.config.licence}")
    files = find_files(source, report=lambda done, words: report(done / 2, words))
    chosen = replace(chosen, voices=(*chosen.voices, user_folder(), *_published_voices(files)))
    return assemble(
        files.config, files, chosen, grid=grid, report=lambda done, words: report((1 + done) / 2, words)
    )


def _published_voices(files: CheckpointFiles) -> tuple[Path, ...]:
    if files.voices is None:
        return ()
    return (import_published(files.voices, files.config.lm, cache_folder()),)


def assemble(
    config: CheckpointConfig,
    files: CheckpointFiles,
    options: NeuralOptions,
    *,
    grid: TickGrid,
    report: Report,
) -> NeuralEngine:
    """The engine of a checkpoint whose files are here; takes as long as reading them.

    Raises:
        SpecError: the device is too small.
        CheckpointError: the files are not those of `config`.
    """
    model = load_model(config, files, options, report=report)
    return NeuralEngine(model, grid=grid, options=options.engine)


def load_model(
    config: CheckpointConfig, files: CheckpointFiles, options: NeuralOptions, *, report: Report
) -> NeuralModel:
    """As `assemble`, without an engine: for a caller who steps it at a pace of its own."""
    attend = _decode_attention(options.attention, config)
    if options.device.type == "cuda":
        footprint(config, options).check(options.lanes, torch.cuda.mem_get_info(options.device)[0])
    tokenizer = TextTokenizer(files.text, config.lm.text_card, unsure=config.generation.unsure_token)
    report(0.1, "reading the codec")
    with _tensors(files.codec, options.device) as source:
        codec = load_codec(config.codec_config, source)
    report(0.2, "reading the language model")
    with _tensors(files.lm, options.device) as source:
        lm = load_lm(
            config, source, dtype=options.dtype, int8=options.int8, window_frames=options.window_frames
        )
    lm.transformer.decode_attention = attend
    report(0.9, "making room for the lanes")
    voices = (*options.voices, *([] if files.voice_folder is None else [files.voice_folder]))
    generator = Generator(lm, options.lanes, config.generation)
    can = capabilities(config, lanes=options.lanes, window_frames=lm.config.temporal.context)
    model = NeuralModel(
        codec,
        generator,
        capabilities=replace(
            can,
            fingerprint=fingerprint((*files.lm, *files.codec, files.text)),
            voices={name: file_hash(path) for name, path in list_voices(voices).items()},
        ),
        prompter=HybridPrompter(
            config, lm.config, codec, tokenizer, voices, default_voice=_default_voice(config, files, voices)
        ),
        vocabulary=tokenizer,
        long_calls=plans_for(
            options.long_calls or config.long_calls,
            renewals=renews(config, options),
            trained_frames=config.trained_frames,
            window_frames=lm.config.temporal.context,
        ),
        ends_source=config.ends_source,
        silence=None if config.codec is None else config.prompt_codes.silence,
        cuda_graph=options.cuda_graph,
    )
    report(1.0, f"{config.name} is ready for {options.lanes} sessions")
    return model


def _default_voice(config: CheckpointConfig, files: CheckpointFiles, folders: Sequence[Path]) -> str:
    """The published default where it is here, else the first that comes with the checkpoint, else none."""
    published = DEFAULT_VOICES.get(config.name, "")
    if published in list_voices(folders):
        return published
    own = () if files.voice_folder is None else (files.voice_folder,)
    return next(iter(list_voices(own)), "")


@contextmanager
def _tensors(paths: Sequence[Path], device: torch.device) -> Iterator[Shards]:
    """What is in a file or its shards; what is wrong with it is told with the name of the first."""
    with ExitStack() as stack:
        files = [stack.enter_context(SafetensorsFile(path, device)) for path in paths]
        try:
            yield Shards(files)
        except CheckpointError as error:
            raise CheckpointError(f"{paths[0]}: {error}") from error


def renews(config: CheckpointConfig, options: NeuralOptions) -> bool:
    """Whether there is a lane to renew calls in, and so a choice for sessions."""
    return options.renewals or (options.long_calls or config.long_calls) is not LongCalls.SINKS


def footprint(config: CheckpointConfig, options: NeuralOptions) -> Footprint:
    """What `config` would take on a device, from its shapes alone."""
    window = min(options.window_frames or config.window_frames, config.lm.temporal.context)
    windowed = replace(config.lm, temporal=replace(config.lm.temporal, context=window))
    with torch.device("meta"):
        lm = RQTransformer(windowed, sinks=True).to(options.dtype)
        codec = build_codec(config.codec_config)
    rows = 1 if config.generation.guidance == 1 else 2
    weights = sum(parameter.numel() * parameter.element_size() for parameter in lm.parameters())
    lane = rows * StreamingState(lm, 1).bytes_per_lane + StreamingState(codec, 1).bytes_per_lane
    codec_weights = sum(p.numel() * p.element_size() for p in codec.parameters())
    return Footprint(
        weights=(weights // 2 if options.int8 else weights) + codec_weights,
        lane=lane,
        aside=aside_lanes(renews=renews(config, options)),
    )


def _read_options(fields: Fields) -> NeuralOptions:
    device = _device(fields.text("device", "cuda" if torch.cuda.is_available() else "cpu"))
    dtype = fields.text("dtype", "bfloat16" if device.type == "cuda" else "float32")
    if dtype not in DTYPES:
        raise SpecError(f"expected a dtype of {', '.join(DTYPES)}, got {dtype}")
    int8, cuda_graph = fields.flag("int8", False), fields.flag("cuda_graph", False)
    if int8 and dtype == "float32":
        raise SpecError("expected dtype bfloat16 or float16 with int8, got float32")
    if cuda_graph and device.type != "cuda":
        raise SpecError(f"expected a CUDA device for cuda_graph, got {device}")
    attention = fields.text("attention", "eager")
    if attention not in ATTENTIONS:
        raise SpecError(f"expected an attention of {', '.join(ATTENTIONS)}, got {attention}")
    if attention == "triton" and device.type != "cuda":
        raise SpecError(f"expected a CUDA device for attention triton, got {device}")
    long_calls = fields.text("long_calls", "") or None
    if long_calls not in (None, *(method.value for method in LongCalls)):
        raise SpecError(f"expected long_calls sinks, refresh or restart, got {long_calls}")
    return NeuralOptions(
        lanes=fields.integer("lanes", 1, MAX_LANES, 8 if device.type == "cuda" else CPU_LANES),
        device=device,
        dtype=DTYPES[dtype],
        int8=int8,
        window_frames=fields.integer("window_frames", 2, 1 << 20) if fields.has("window_frames") else None,
        long_calls=None if long_calls is None else LongCalls(long_calls),
        renewals=fields.flag("renewals", False),
        voices=(Path(fields.text("voices")),) if fields.has("voices") else (),
        cuda_graph=cuda_graph,
        attention=attention,
        engine=EngineOptions(
            gather_s=fields.number("gather_ms", 0.0, 80.0, 10.0) / 1000,
            paced=fields.flag("paced", True),
            backlog_frames=fields.integer("backlog_frames", 1, 1000, 12),
            admit_below=fields.number("admit_below", 0.0, 1.0) if fields.has("admit_below") else None,
        ),
    )


def _decode_attention(name: str, config: CheckpointConfig) -> DecodeAttention | None:
    try:
        return find_decode_attention(name, config.lm.temporal)
    except ValueError as error:
        raise SpecError(str(error)) from error


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SpecError(f"expected a device such as cpu or cuda:0, got {name!r}") from error
    if device.type not in ("cpu", "cuda"):
        raise SpecError(f"expected a device of kind cpu or cuda, got {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SpecError(f"expected the device {name}, got {torch.cuda.device_count()} CUDA devices: use cpu")
    return device
