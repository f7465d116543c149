"""How fast the engine is on this machine: `python -m duplex_model.bench [--quick]`; the last line is JSON.

Weights are random: speed does not depend on them. Next to each figure stands its floor, the time this machine needs
to move the bytes that the figure cannot do without, at the bandwidth measured here; the ratio of both is what is
left to gain. A floor counts every weight once a step, and of a lane's state what is filled: all of it at full context.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from duplex_model.attention import ATTENTIONS, find_decode_attention
from duplex_model.config import CHECKPOINTS, DepthConfig, GenerationConfig, LMConfig, MimiConfig
from duplex_model.contract import FRAME_S, FRAME_SAMPLES, Capabilities, Pcm, Prompt, TickGrid
from duplex_model.delays import delayed
from duplex_model.engine import NeuralEngine
from duplex_model.generator import Generator
from duplex_model.lm import RQTransformer, TokenEmbedding
from duplex_model.load import percentile
from duplex_model.mimi import Mimi
from duplex_model.neural import Columns, NeuralModel
from duplex_model.prefill import PIECE_COLUMNS
from duplex_model.prompt import PromptColumns
from duplex_model.streaming import HoldsModules

_Model = TypeVar("_Model", bound=nn.Module)

PROMPT_COLUMNS = 130
"""A voice of 4 s, two pauses and a role text of 68 tokens."""

_PREFIX_BYTES = 16 << 30  # room for a prompt of a whole context
_WARM_UP_STEPS = 3
_YOUNG = 0.25
_YOUNG_STEPS = 50
_LIVE_S = 4.0


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is measured."""

    name: str
    lm: LMConfig
    mimi: MimiConfig
    dtype: torch.dtype
    lanes: Sequence[int]
    attention: str = "eager"
    """One of `ATTENTIONS`."""


@dataclass(frozen=True)
class Figure:
    """A measurement beside the least it could be."""

    measured: float
    floor: float

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.measured / self.floor


@dataclass(frozen=True, kw_only=True)
class Row:
    """One size at one number of lanes."""

    size: str
    dtype: str
    attention: str
    lanes: int
    context_frames: int
    young_tick_p50_ms: Figure
    """While every call has filled a quarter of the context; the other ticks are at full context."""

    tick_p50_ms: Figure
    tick_p99_ms: Figure
    tick_max_ms: Figure
    join_cold_ms: Figure
    join_cached_ms: Figure
    session_mib: Figure
    keeps_real_time: bool
    """p99 of ticks within 80 ms."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """Every lane but one spoken to on the machine's clock, while a session joins the last, prompt not cached."""

    size: str
    attention: str
    lanes: int
    seconds: float
    frames: int
    late_frames: int
    dropped_frames: int
    join_ms: float


def small_size(lanes: Sequence[int]) -> Size:
    """PersonaPlex's structure, narrow enough for any CPU."""
    full = CHECKPOINTS["personaplex-7b"]
    temporal = replace(full.lm.temporal, width=256, layers=4, heads=4, hidden=704, context=250)
    depth = DepthConfig(width=128, layers=2, heads=4, hidden=352, schedule=full.lm.depth.schedule)
    shared = MimiConfig(codebooks=8)
    codec = replace(shared.transformer, width=64, layers=2, heads=4, hidden=256)
    mimi = replace(shared, filters=8, width=64, codebook_width=32, trained_codebooks=8, transformer=codec)
    lm = replace(full.lm, temporal=temporal, depth=depth, text_card=4000)
    return Size(name="small", lm=lm, mimi=mimi, dtype=torch.float32, lanes=lanes)


def full_size(name: str, dtype: torch.dtype, lanes: Sequence[int]) -> Size:
    """A published checkpoint's true shape, attending to its whole context."""
    config = CHECKPOINTS[name]
    mimi = config.codec_config
    assert isinstance(mimi, MimiConfig)
    return Size(name=name, lm=config.lm, mimi=mimi, dtype=dtype, lanes=lanes)


def random_model(size: Size, lanes: int, device: torch.device, *, cuda_graph: bool) -> NeuralModel:
    """`size` with random weights."""
    with torch.device("meta"):
        lm, mimi = RQTransformer(size.lm, sinks=True).to(size.dtype), Mimi(size.mimi)
    generator = Generator(_randomise(lm, device), lanes, GenerationConfig())
    lm.transformer.decode_attention = find_decode_attention(size.attention, size.lm.temporal)
    anything = {"*": frozenset({"*"})}
    capabilities = Capabilities(
        checkpoint=size.name, licence="ours", languages=anything, translates=False, lanes=lanes
    )
    return NeuralModel(
        _randomise(mimi, device),
        generator,
        capabilities=capabilities,
        prompter=_RandomPrompter(size.lm),
        vocabulary=_NoWords(),
        prefix_bytes=_PREFIX_BYTES,
        cuda_graph=cuda_graph,
    )


def measure(size: Size, lanes: int, steps: int, device: torch.device, bandwidth: float, graph: bool) -> Row:
    """Joins and ticks of `size` with `lanes` lanes, all at full context.

    Args:
        size: what.
        lanes: width of the batch.
        steps: ticks measured.
        device: where.
        bandwidth: bytes per second.
        graph: replay a captured step.
    """
    model = random_model(size, lanes, device, cuda_graph=graph)
    floors = Floors(model, bandwidth)
    context = size.lm.temporal.context
    columns = _prompt_columns(size)
    _join(model, 0, columns - 1)
    cold_s, cached_s = _join(model, 0, columns), _join(model, 0, columns)
    _fill(model, round(_YOUNG * context))
    young_s = _step(model, min(steps, _YOUNG_STEPS))
    _fill(model, context - 1)
    ticks_s = _step(model, steps)
    floor_ms = 1000 * floors.tick_s()
    return Row(
        size=size.name,
        dtype=str(size.dtype).removeprefix("torch."),
        attention=size.attention,
        lanes=lanes,
        context_frames=context,
        young_tick_p50_ms=Figure(1000 * percentile(young_s, 50), 1000 * floors.tick_s(_YOUNG)),
        tick_p50_ms=Figure(1000 * percentile(ticks_s, 50), floor_ms),
        tick_p99_ms=Figure(1000 * percentile(ticks_s, 99), floor_ms),
        tick_max_ms=Figure(1000 * max(ticks_s), floor_ms),
        join_cold_ms=Figure(1000 * cold_s, 1000 * floors.cold_join_s(columns)),
        join_cached_ms=Figure(1000 * cached_s, 1000 * floors.cached_join_s),
        session_mib=Figure(model.bytes_per_lane / 2**20, keys_and_values_bytes(size) / 2**20),
        keeps_real_time=percentile(ticks_s, 99) <= FRAME_S,
    )


class Floors:
    """Times below which no figure of a model can be, by the bytes it must move."""

    def __init__(self, model: NeuralModel, bandwidth: float) -> None:
        lanes = model.capabilities.lanes
        self._bandwidth = bandwidth
        self._temporal_bytes = weight_bytes(model.generator.lm.transformer)
        self._language_bytes = weight_bytes(model.generator.lm)
        self._tick_bytes = self._language_bytes + weight_bytes(model.codec) + lanes * model.bytes_per_lane
        lm = model.generator.lm
        self._rings_bytes = lanes * ring_bytes(lm.config, lm.text_emb.weight.dtype)

    def tick_s(self, filled: float = 1.0) -> float:
        """One step of all lanes, of whose context a share of `filled` holds keys and values."""
        return (self._tick_bytes - (1 - filled) * self._rings_bytes) / self._bandwidth

    @property
    def cached_join_s(self) -> float:
        """One step of the language model in a lane apart."""
        return self._language_bytes / self._bandwidth

    def cold_join_s(self, columns: int) -> float:
        """The temporal transformer once per piece of the prompt, then the same."""
        pieces = -(-columns // PIECE_COLUMNS)
        return pieces * self._temporal_bytes / self._bandwidth + self.cached_join_s


def weight_bytes(module: HoldsModules) -> int:
    """Bytes of the weights that a step reads whole; of a table of embeddings it reads a row."""
    tables = {table.weight for _, table in module.named_modules() if isinstance(table, TokenEmbedding)}
    weights = chain(module.parameters(), module.buffers())
    return sum(_bytes(weight) for weight in weights if weight not in tables)


def keys_and_values_bytes(size: Size) -> int:
    """Bytes of a session's keys and values at full context: what it cannot do without."""
    codec = size.mimi.transformer
    encoder_and_decoder = 2 * 2 * codec.layers * codec.context * codec.width * 4  # float32
    return ring_bytes(size.lm, size.dtype) + encoder_and_decoder


def ring_bytes(lm: LMConfig, dtype: torch.dtype) -> int:
    """Bytes of a session's keys and values in the language model at full context."""
    temporal = lm.temporal
    return 2 * temporal.layers * temporal.context * temporal.kv_heads * temporal.head_width * dtype.itemsize


def measure_bandwidth(device: torch.device) -> float:
    """Bytes read and written per second by the quickest of several large copies."""
    count = (1 << 30 if device.type == "cuda" else 1 << 26) // 4
    source, target = torch.ones(count, device=device), torch.empty(count, device=device)
    times_s = []
    for _ in range(8):
        start_s = _now_s(device)
        target.copy_(source)
        times_s.append(_now_s(device) - start_s)
    return 2 * _bytes(source) / min(times_s)


def live(size: Size, lanes: int, device: torch.device, graph: bool) -> Live:
    """A short call on the machine's clock."""
    model = random_model(size, lanes, device, cuda_graph=graph)
    grid = TickGrid(origin_s=time.monotonic())
    with closing(NeuralEngine(model, grid=grid)) as engine:
        speaking = [engine.open(_prompt(8), seed=lane).result() for lane in range(lanes - 1)]
        first = grid.next_tick(time.monotonic())
        last = first + round(_LIVE_S / grid.period_s)
        answers = []
        joined_s: list[float] = []
        for tick in range(first, last):
            time.sleep(max(grid.time_of(tick) - time.monotonic(), 0.0))
            answers += [session.feed(_noise(tick)) for session in speaking]
            if tick == (first + last) // 2:
                asked_s = time.monotonic()
                joining = engine.open(_prompt(_prompt_columns(size)), seed=lanes)
                joining.add_done_callback(lambda _: joined_s.append(time.monotonic()))
        joining.result()
        for answer in answers:
            answer.result()
        load = engine.load
    return Live(
        size=size.name,
        attention=size.attention,
        lanes=lanes,
        seconds=_LIVE_S,
        frames=len(answers),
        late_frames=load.late_frames,
        dropped_frames=load.dropped_frames,
        join_ms=1000 * (joined_s[0] - asked_s),
    )


class _RandomPrompter:
    """As many columns of random codes as the role text says."""

    def __init__(self, config: LMConfig) -> None:
        self._config = config

    def __call__(self, prompt: Prompt) -> Columns:
        count = int(prompt.role_text)
        tokens = torch.randint(self._config.card, (self._config.streams, count))
        return self._columns(tokens)

    def _columns(self, tokens: Tensor) -> Columns:
        yield from ()
        return PromptColumns(delayed(self._config, tokens))


class _NoWords:
    """Random weights say nothing that could be read."""

    def words(self, text: str) -> list[list[int]]:
        return []

    def piece(self, token: int) -> bytes:
        return b""


def _randomise(model: _Model, device: torch.device) -> _Model:
    """A model built on the meta device, on `device` with noise that keeps signals in range."""
    model.to_empty(device=device).requires_grad_(False).eval()
    for tensor in chain(model.parameters(), model.buffers()):
        fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
        tensor.normal_(std=fan_in**-0.5)
    return model


def _prompt(columns: int) -> Prompt:
    return Prompt(role_text=str(columns), language_in="en", language_out="en")


def _prompt_columns(size: Size) -> int:
    return min(PROMPT_COLUMNS, size.lm.temporal.context // 2)


def _join(model: NeuralModel, lane: int, columns: int) -> float:
    """Seconds for a session to begin in `lane` after a prompt of so many columns."""
    model.clear(lane)
    device = model.generator.device
    take_in = model.prepare(_prompt(columns), seed=lane)
    start_s = _now_s(device)
    for _ in take_in(lane):
        pass
    return _now_s(device) - start_s


def _fill(model: NeuralModel, columns: int) -> None:
    """Begins every lane anew after a prompt of so many columns."""
    for lane in range(model.capabilities.lanes):
        _join(model, lane, columns)


def _step(model: NeuralModel, steps: int) -> list[float]:
    """Seconds of each of `steps` steps of all lanes."""
    lanes = model.capabilities.lanes
    executing = np.ones(lanes, dtype=np.bool_)
    times_s = []
    for step in range(_WARM_UP_STEPS + steps):
        pcm = np.tile(_noise(step), (lanes, 1))
        start_s = time.perf_counter()
        outputs = model.step(pcm, executing)
        times_s.append(time.perf_counter() - start_s)
        assert outputs.finite.all()
    return times_s[_WARM_UP_STEPS:]


def _noise(seed: int) -> Pcm:
    return np.float32(0.1) * np.random.default_rng(seed).standard_normal(FRAME_SAMPLES, dtype=np.float32)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _now_s(device: torch.device) -> float:
    """The time at which the device has done all it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def sizes(
    device: torch.device, quick: bool, checkpoints: Sequence[str], attentions: Sequence[str]
) -> list[Size]:
    """What to measure on `device`, each checkpoint with one attention after the other."""
    if checkpoints:
        dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        lanes = (1, 2, 4, 8, 16, 32, 64, 96) if device.type == "cuda" else (1,)
        plain = [full_size(name, dtype, lanes[:3] if quick else lanes) for name in checkpoints]
    else:
        plain = [small_size((1, 4, 16) if quick else (1, 2, 4, 8, 16, 32))]
    return [replace(size, attention=attention) for size in plain for attention in attentions]


def run(arguments: argparse.Namespace) -> Iterator[Row | Live | float]:
    """Bandwidth in bytes per second, a row per size and lanes, and a live call per size, as they are measured."""
    device = torch.device(arguments.device)
    yield (bandwidth := measure_bandwidth(device))
    for size in sizes(device, arguments.quick, arguments.checkpoint, arguments.attention):
        kept = 0
        for lanes in size.lanes:
            steps = 50 if arguments.quick else 500
            try:
                row = measure(size, lanes, steps, device, bandwidth, arguments.cuda_graph)
            except torch.OutOfMemoryError:
                _write(f"{size.name} with {lanes} lanes does not fit this device\n")
                break
            kept = lanes if row.keeps_real_time else kept
            yield row
        if kept > 1:
            yield live(size, kept, device, arguments.cuda_graph)


def main(arguments: Sequence[str]) -> int:
    """Measures, shows a table, and ends with all of it as one line of JSON."""
    options = _parse(arguments)
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    calls: list[Live] = []
    bandwidth = 0.0
    with torch.no_grad():
        for result in run(options):
            _write(_shown(result) + "\n")
            match result:
                case Row():
                    rows.append(result)
                case Live():
                    calls.append(result)
                case float():
                    bandwidth = result
    _write(json.dumps(_report(options, bandwidth, rows, calls)) + "\n")
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m duplex_model.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--checkpoint", action="append", default=[], choices=list(CHECKPOINTS), help="true shape; repeatable"
    )
    parser.add_argument("--threads", type=int, default=1, help="of the CPU, as the engine's own option (1)")
    parser.add_argument("--cuda-graph", action="store_true", help="replay a captured step")
    parser.add_argument(
        "--attention",
        action="append",
        choices=ATTENTIONS,
        help="triton: kernels that read only the filled part of each ring; repeatable, to compare (default: eager)",
    )
    options = parser.parse_args(arguments)
    options.attention = options.attention or ["eager"]
    if "triton" in options.attention and not options.device.startswith("cuda"):
        parser.error(f"expected a CUDA device for attention triton, got {options.device}")
    if options.device.startswith("cuda") and not options.checkpoint:
        options.checkpoint = ["personaplex-7b", "hibiki-2b", "hibiki-1b"]
    return options


def _report(
    options: argparse.Namespace, bandwidth: float, rows: Sequence[Row], calls: Sequence[Live]
) -> dict[str, object]:
    real_time = {f"{row.size}, {row.attention}": row.lanes for row in rows if row.keeps_real_time}
    return {
        "device": _device_name(options.device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "cuda_graph": options.cuda_graph,
        "bandwidth_gb_s": round(bandwidth / 1e9, 2),
        "results": [_rounded(row) for row in rows],
        "sessions_in_real_time": real_time,
        "live": [asdict(call) | {"join_ms": round(call.join_ms, 1)} for call in calls],
    }


def _rounded(row: Row) -> dict[str, object]:
    return {
        name: {"measured": _short(value.measured), "floor": _short(value.floor), "ratio": _short(value.ratio)}
        if isinstance(value, Figure)
        else value
        for name, value in vars(row).items()
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _device_name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else "CPU"


def _shown(result: Row | Live | float) -> str:
    match result:
        case Row():
            shown = f"{result.size}, {result.attention}, {result.lanes:3} lanes:"
            for name in (
                "young_tick_p50_ms",
                "tick_p50_ms",
                "tick_p99_ms",
                "tick_max_ms",
                "join_cold_ms",
                "join_cached_ms",
                "session_mib",
            ):
                figure: Figure = getattr(result, name)
                shown += f"  {name} {figure.measured:.4g} (floor {figure.floor:.3g}, x{figure.ratio:.3g})"
            return shown
        case Live():
            return (
                f"{result.size}, {result.attention}, live: {result.lanes} lanes for {result.seconds:g} s, "
                f"{result.late_frames} of {result.frames} frames late, {result.dropped_frames} dropped, "
                f"one joined in {result.join_ms:.0f} ms"
            )
        case _:
            return f"bandwidth {result / 1e9:.1f} GB/s"


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
