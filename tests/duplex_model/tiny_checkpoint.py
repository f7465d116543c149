"""A folder with everything a checkpoint has, tiny and random: as published, or with `--spectral` as one of our own."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from sentencepiece import SentencePieceTrainer

from duplex_model.checkpoint import file_lm_config, shapes_of
from duplex_model.codec import prompt_codes_of
from duplex_model.config import (
    CHECKPOINTS,
    CheckpointConfig,
    GenerationConfig,
    MimiConfig,
    SamplingConfig,
    SpectralConfig,
)
from duplex_model.contract import SayCapability
from duplex_model.description import write_description
from duplex_model.lm import RQTransformer
from duplex_model.mimi import Mimi
from duplex_model.source import VOICES_FOLDER, CheckpointFiles, find_files, parse_source
from duplex_model.spectral import SpectralCodec
from duplex_model.voice import SpokenVoice, save_voice
from tests.duplex_model.small import SMALL_MIMI, randomise, small_lm

CARD = 2048  # real codes, as the prompt of the family is spelt in them
TEXT_CARD = 34
CONTEXT_FRAMES = 160
CORPUS = [
    "good morning doctor",
    "my head hurts since yesterday",
    "take one tablet in the morning",
    "how long does it hurt",
]


def tiny_config() -> CheckpointConfig:
    """PersonaPlex in miniature; it claims to serve English and Spanish, and says noise."""
    published = CHECKPOINTS["personaplex-7b"]
    small = small_lm(published.name)
    lm = replace(
        small, card=CARD, text_card=TEXT_CARD, temporal=replace(small.temporal, context=CONTEXT_FRAMES)
    )
    sampling = SamplingConfig(temperature=0.8, top_k=20)
    return replace(
        published,
        name="tiny",
        licence="Apache-2.0",
        languages={"en": frozenset({"en", "es"}), "es": frozenset({"en"})},
        lm=lm,
        codec=replace(SMALL_MIMI, codebooks=8, trained_codebooks=8, card=CARD),
        generation=GenerationConfig(text=sampling, audio=sampling),
        domain="random weights, for tests",
    )


SPECTRAL = SpectralConfig(
    codebooks=4,
    card=32,
    codebook_width=8,
    width=16,
    hidden=24,
    mel_bands=20,
    encoder_fast_blocks=1,
    encoder_slow_blocks=1,
    decoder_slow_blocks=1,
    decoder_fast_blocks=1,
)
UNSURE, UNSURE_TOKEN = "<unsure>", 5
VOICES = ("ana", "bruno")


def spectral_codec() -> SpectralCodec:
    """The codec of `spectral_config`, equal at every call."""
    codec = SpectralCodec(SPECTRAL)
    computed = {name: t.clone() for name, t in codec.named_buffers() if not name.endswith("centroids")}
    randomise(codec, seed=2)
    codec.load_state_dict(computed, strict=False)
    return codec.eval()


def spectral_config() -> CheckpointConfig:
    """A checkpoint of our own in miniature: its codec, its prompt codes, roles for directions, abstaining."""
    small = small_lm("personaplex-7b")
    schedule = (0, *(1,) * (SPECTRAL.codebooks - 1))
    lm = replace(
        small,
        card=SPECTRAL.card,
        text_card=TEXT_CARD,
        own_codebooks=SPECTRAL.codebooks,
        heard_codebooks=SPECTRAL.codebooks,
        temporal=replace(small.temporal, context=CONTEXT_FRAMES),
        depth=replace(small.depth, schedule=schedule),
    )
    sampling = SamplingConfig(temperature=0.8, top_k=20)
    return CheckpointConfig(
        name="tiny-spectral",
        repository="",
        licence="Apache-2.0",
        lm=lm,
        languages={"es": frozenset({"en", "es"}), "en": frozenset({"es"})},
        translates=True,
        trained_frames=CONTEXT_FRAMES,
        codec_file="codec.safetensors",
        text_file="tokenizer.model",
        codec=SPECTRAL,
        prompt_codes=prompt_codes_of(spectral_codec()),
        generation=GenerationConfig(text=sampling, audio=sampling, unsure_token=UNSURE_TOKEN),
        role_text=True,
        voice_prompt=True,
        say=SayCapability.TRAINED,
        direction_roles={
            "es-en": {"simultaneous": "good", "consecutive": "how long"},
            "en-es": {"simultaneous": "morning"},
            "es-es": {"transcription": "doctor"},
        },
        demonstration={"en": "demonstration: random weights", "es": "demostración: pesos al azar"},
        domain="random weights, for tests",
    )


def write_spectral_checkpoint(folder: Path, config: CheckpointConfig) -> CheckpointFiles:
    """Writes a checkpoint of our own, with two voices."""
    lm = RQTransformer(config.lm)
    randomise(lm, seed=1, gain=1.5)
    save_file({name: lm.get_parameter(name) for name in shapes_of(lm)}, folder / config.lm_file)
    codec = {name: tensor.half() for name, tensor in spectral_codec().state_dict().items()}
    save_file(codec, folder / config.codec_file)
    (folder / config.text_file).write_bytes(_vocabulary(UNSURE))
    (folder / VOICES_FOLDER).mkdir()
    for number, name in enumerate(VOICES):
        codes = torch.full((SPECTRAL.codebooks, 25), number, dtype=torch.int64)
        save_voice(SpokenVoice(codes), folder / VOICES_FOLDER / f"{name}.safetensors")
    write_description(folder, config)
    return find_files(parse_source(str(folder)), report=lambda done, words: None)


def write_tiny_checkpoint(folder: Path, config: CheckpointConfig) -> CheckpointFiles:
    """Writes its three files under their published names."""
    lm = RQTransformer(file_lm_config(config))
    randomise(lm, seed=1, gain=1.5)
    save_file({name: lm.get_parameter(name) for name in shapes_of(lm)}, folder / config.lm_file)
    mimi = Mimi(config.codec_config)
    randomise(mimi, seed=2)
    save_file(_published_mimi(mimi, config.codec_config), folder / config.codec_file)
    (folder / config.text_file).write_bytes(_vocabulary())
    write_description(folder, config)
    return find_files(parse_source(str(folder)), report=lambda done, words: None)


def _published_mimi(mimi: Mimi, config: MimiConfig) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {
        name.replace(".feed_forward.linear", ".linear"): tensor for name, tensor in mimi.named_parameters()
    }
    generator = torch.Generator().manual_seed(3)
    for level in range(config.trained_codebooks):
        path = "rvq_first.vq.layers.0" if level == 0 else f"rvq_rest.vq.layers.{level - 1}"
        centroids = torch.randn(config.card, config.codebook_width, generator=generator)
        tensors[f"quantizer.{path}._codebook.embedding_sum"] = centroids
        tensors[f"quantizer.{path}._codebook.cluster_usage"] = torch.ones(config.card)
    return tensors


def _vocabulary(*pieces: str) -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 8),
        model_writer=model,
        vocab_size=TEXT_CARD,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=3,
        user_defined_symbols=["<system>", *pieces] if pieces else [],
        minloglevel=2,
    )
    return model.getvalue()


if __name__ == "__main__":  # python -m tests.duplex_model.tiny_checkpoint FOLDER [--spectral]
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    if "--spectral" in sys.argv[2:]:
        write_spectral_checkpoint(place, spectral_config())
    else:
        write_tiny_checkpoint(place, tiny_config())
