"""The known checkpoints seen from outside: licences, capabilities, memory, and what this machine can run.

Architectures and sources are the table in `config`; all numbers here are computed from it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from duplex_model.config import (
    CheckpointConfig,
    CodecConfig,
    LMConfig,
    MimiConfig,
    Norm,
    SpectralConfig,
    TransformerConfig,
)
from duplex_model.contract import Capabilities, LongCalls
from duplex_model.machine import Gpu, Machine

LICENCE_LINKS: Mapping[str, str] = MappingProxyType(
    {
        "NVIDIA Open Model License": "https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/",
        "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
        "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/",
        "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
        "CC-BY-NC-SA-4.0": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    }
)
"""Licence, or each part of one joined by `and` -> its text."""

DOMAINS: Mapping[str, str] = MappingProxyType(
    {
        "personaplex-7b": "conversation in English under a role and a voice; does not translate",
        "personaplex-rl-seamless": "as personaplex-7b, trained further on pauses and turns; not for commerce",
        "moshiko-7b": "conversation in English, a male voice; does not translate",
        "moshika-7b": "conversation in English, a female voice; does not translate",
        "hibiki-2b": "simultaneous interpreting from French, in the speaker's voice",
        "hibiki-1b": "simultaneous interpreting from French, in the speaker's voice; for small devices",
        "hibiki-zero-3b": "simultaneous interpreting into English; not for commerce, licence disputed: check its page",
    }
)
"""Checkpoint -> what it was made for, in words for a host."""

CPU_PARAMETERS = 50_000_000
"""Largest language model that one core of a server steps in 80 ms: 25 M parameters took 17 to 28 ms in float32."""

DEFAULT_VOICES: Mapping[str, str] = MappingProxyType(
    {"personaplex-7b": "NATF0", "personaplex-rl-seamless": "NATF0"}  # the reference client's default
)
"""Checkpoint -> the published voice of a prompt that names none."""

OVERHEAD_BYTES = 1 << 30
"""Device context, kernels, activations: what PyTorch takes besides weights and sessions."""


class Precision(enum.Enum):
    """How the weights of a language model are kept in memory; Mimi's are always float32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"  # linear layers; the rest as bfloat16


@dataclass(frozen=True)
class Parameters:
    """Numbers of weights."""

    linear: int
    """In linear layers without bias."""

    other: int
    """In embeddings and norms."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.linear + self.other


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """What a checkpoint takes on its device."""

    weights_bytes: int
    session_bytes: int
    """Of each session, with its cache full."""

    aside: int
    """Sessions' worth of memory beside them; see `aside_lanes`."""

    def of(self, sessions: int) -> int:
        """Bytes for so many sessions at once."""
        return OVERHEAD_BYTES + self.weights_bytes + (self.aside + sessions) * self.session_bytes


class Fit(enum.Enum):
    """Whether a machine can run a checkpoint."""

    REAL_TIME = "yes"
    SLOW = "slowly"  # for trying out: not at the pace of speech
    NO = "no"


@dataclass(frozen=True)
class Verdict:
    """Whether a machine can run a checkpoint, and why."""

    fit: Fit
    reason: str
    """A sentence for a person."""

    sessions: int = 0
    """That memory has room for at once, where it fits."""


def licence_links(licence: str) -> tuple[str, ...]:
    """Where the texts of a licence are, as far as they are known; the parts of `A and B` each have one."""
    return tuple(LICENCE_LINKS[part] for part in licence.split(" and ") if part in LICENCE_LINKS)


def capabilities(config: CheckpointConfig, *, lanes: int, window_frames: int | None = None) -> Capabilities:
    """What an engine with this checkpoint can do.

    Args:
        config: of the checkpoint.
        lanes: of the engine.
        window_frames: positions it attends to, where not the default.
    """
    return Capabilities(
        checkpoint=config.name,
        licence=config.licence,
        languages=config.languages,
        translates=config.translates,
        lanes=lanes,
        say=config.say,
        role_text=config.role_text,
        voice_prompt=config.voice_prompt,
        context_frames=window_frames or config.window_frames,
        domain=domain_of(config),
        demonstration=config.demonstration,
        transcribes=frozenset(
            heard
            for heard in config.languages
            if "transcription" in config.direction_roles.get(f"{heard}-{heard}", {})
        ),
    )


def text_for(language: str, texts: Mapping[str, str]) -> str:
    """The text in `language`, else the English one, else the first; empty where there is none."""
    return texts.get(language) or texts.get("en") or next(iter(texts.values()), "")


def domain_of(config: CheckpointConfig) -> str:
    """What a checkpoint was made for, in words for a host; empty where nobody says."""
    return config.domain or DOMAINS.get(config.name, "")


def parameters(lm: LMConfig) -> Parameters:
    """Of a language model, as it is loaded: without depth steps that stay on disk."""
    width, depth = lm.temporal.width, lm.depth
    codebooks = lm.own_codebooks + lm.heard_codebooks
    tables = codebooks * (lm.card + 1) + lm.text_card + 1
    linear = _transformer_linear(lm.temporal) + width * lm.text_card + _depth_linear(lm)
    norms = (2 * lm.temporal.layers + 1) * _norm(lm.temporal.norm, width) + 2 * depth.layers * depth.width
    if depth.output_norms:
        norms += lm.own_codebooks * _norm(Norm.LAYER, depth.width)
    depth_tables = (lm.own_codebooks - 1) * (lm.card + 1) + lm.text_card + 1
    condition = (32 * 16 + 16 * width + width) if lm.description else 0
    other = tables * width + norms + depth_tables * (depth.embedding_rank or depth.width) + condition
    return Parameters(linear, other)


def _transformer_linear(config: TransformerConfig) -> int:
    kv_width = config.kv_heads * config.head_width
    attention = config.width * (2 * config.width + 2 * kv_width)
    return config.layers * (attention + (3 if config.gated else 2) * config.width * config.hidden)


def _depth_linear(lm: LMConfig) -> int:
    depth = lm.depth
    layer = 4 * depth.width**2 + 3 * depth.width * depth.hidden
    of_sets = depth.weight_sets * (lm.temporal.width * depth.width + depth.layers * layer)
    low_rank = lm.own_codebooks * depth.width * depth.embedding_rank if depth.embedding_rank else 0
    return of_sets + low_rank + lm.own_codebooks * lm.card * depth.width


def _norm(norm: Norm, width: int) -> int:
    return 2 * width if norm is Norm.LAYER else width


def aside_lanes(*, renews: bool) -> int:
    """Lanes outside the batch: one in which sessions begin, one for a prompt on its way, and one to renew calls in."""
    return 3 if renews else 2


def memory_need(config: CheckpointConfig, precision: Precision) -> MemoryNeed:
    """What a checkpoint takes: every weight once, and the caches of the default window and of Mimi for each session."""
    count = parameters(config.lm)
    activation_bytes = 4 if precision is Precision.FP32 else 2
    linear_bytes = 1 if precision is Precision.INT8 else activation_bytes
    passes = 1 if config.generation.guidance == 1 else 2  # guidance steps each session twice
    temporal = config.lm.temporal
    cache = 2 * temporal.layers * temporal.kv_heads * temporal.head_width * config.window_frames
    codec = config.codec_config
    return MemoryNeed(
        weights_bytes=count.linear * linear_bytes + count.other * activation_bytes + 4 * codec_weights(codec),
        session_bytes=passes * cache * activation_bytes + 4 * _codec_state(codec),
        aside=aside_lanes(renews=config.long_calls is not LongCalls.SINKS),
    )


def codec_weights(config: CodecConfig) -> int:
    """Weights of a codec and the codebooks in use; Mimi's are counted in the published module tree."""
    codebooks = config.codebooks * config.card * config.codebook_width
    if isinstance(config, MimiConfig):
        return 79_308_609 + codebooks
    width, step = config.width, config.hops_per_step
    projections = 2 * 2 * width * config.codebook_width
    fast, slow = _spectral_block(config, config.fast_kernel), _spectral_block(config, config.slow_kernel)
    blocks = (config.encoder_fast_blocks + config.decoder_fast_blocks) * fast
    blocks += (config.encoder_slow_blocks + config.decoder_slow_blocks) * slow
    encoder = (step * config.mel_bands + 1) * width + (config.steps_per_frame * width + 1) * width + 2 * width
    decoder = (width + 1) * (config.steps_per_frame * width + 2 * step * config.bins) + 2 * width
    return codebooks + projections + blocks + encoder + decoder


def _spectral_block(config: SpectralConfig, kernel: int) -> int:
    convolution_and_norm = (kernel + 1) * config.width + 2 * config.width
    return convolution_and_norm + 2 * config.width * config.hidden + config.hidden + config.width


def _codec_state(config: CodecConfig) -> int:
    """Numbers a session keeps in a codec.

    Of Mimi the caches of both transformers; the convolutions' buffers are less than a hundredth of them.
    """
    if isinstance(config, MimiConfig):
        transformer = config.transformer
        return 2 * 2 * transformer.layers * transformer.width * (transformer.context + 1)
    fast = (config.encoder_fast_blocks + config.decoder_fast_blocks) * (config.fast_kernel - 1)
    slow = (config.encoder_slow_blocks + config.decoder_slow_blocks) * (config.slow_kernel - 1)
    analysed = config.transform_samples - config.hop_samples
    return (fast + slow) * config.width + analysed + (config.overlap - 1) * config.hop_samples


def download_bytes(config: CheckpointConfig) -> int:
    """Size of the checkpoint's files, all depth steps included; they are published in bfloat16, Mimi in float32."""
    steps = config.depth_steps_in_file
    lm = config.lm
    if steps is not None:
        depth = replace(lm.depth, schedule=tuple(range(steps)))
        heard = lm.own_codebooks + lm.heard_codebooks - steps
        lm = replace(lm, own_codebooks=steps, heard_codebooks=heard, depth=depth)
    codec = config.codec_config
    if isinstance(codec, MimiConfig):
        codec = replace(codec, codebooks=codec.trained_codebooks)
    return 2 * parameters(lm).total + 4 * codec_weights(codec)


def verdict(config: CheckpointConfig, machine: Machine, precision: Precision = Precision.BF16) -> Verdict:
    """Whether `machine` can run the checkpoint, judged by memory, for at least one session."""
    need = memory_need(config, precision)
    gpu = max(machine.gpus, key=lambda gpu: gpu.free_bytes, default=None)
    if gpu is not None and gpu.free_bytes >= need.of(1):
        return _fits(need, gpu)
    if machine.free_bytes >= need.of(1) and parameters(config.lm).total <= CPU_PARAMETERS:
        return Verdict(Fit.REAL_TIME, "small enough for the CPU", 1)
    if machine.free_bytes >= need.of(1):
        cause = machine.remark or (_too_small(need, gpu.free_bytes, gpu.name) if gpu else "there is no GPU")
        return Verdict(Fit.SLOW, f"only on the CPU, slower than speech: {cause}", 1)
    free_bytes, name = (gpu.free_bytes, gpu.name) if gpu else (machine.free_bytes, "this machine")
    return Verdict(Fit.NO, _too_small(need, free_bytes, name))


def _fits(need: MemoryNeed, gpu: Gpu) -> Verdict:
    sessions = (gpu.free_bytes - need.of(0)) // need.session_bytes
    return Verdict(
        Fit.REAL_TIME, f"memory for {sessions} session{'s' * (sessions != 1)} on {gpu.name}", sessions
    )


def _too_small(need: MemoryNeed, free_bytes: int, name: str) -> str:
    return f"one session needs {need.of(1) / 1e9:.1f} GB, {name} has {free_bytes / 1e9:.1f} GB free"
