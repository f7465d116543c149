from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from duplex_model.quantizer import SplitResidualVectorQuantizer
from duplex_model.spectral import SpectralCodec
from duplex_model.training import codec as codec_training
from duplex_model.training import codec_refine
from duplex_model.training.codec import TOY, CodecTrainer, Run, start_small, train
from duplex_model.training.codec_learning import pool as codec_pool
from duplex_model.training.codec_learning.evaluate import mel_l1, silence
from duplex_model.training.codec_learning.losses import PowerSpectrum, SpectralLoss, phone_loss
from duplex_model.training.codec_learning.pool import (
    HOP_SAMPLES,
    HOPS_PER_FRAME,
    Pool,
    crops,
    passage,
    to_pcm,
)
from duplex_model.training.codec_learning.quantizer import FRESH_USE, TrainedChain
from duplex_model.training.codec_refine import Refining, heard_error, refine
from duplex_model.training.corpus import load_codec
from duplex_model.training.speech.tts import OWN_VOICES, PHONES, SpeakingVoice, Timed, Utterance

QUICK = replace(TOY, batch=2, frames=8, threads=1)
TONES_HZ = (0, 200, 500, 1100)


@pytest.fixture(autouse=True)
def _gradients(_inference: None) -> Iterator[None]:
    with torch.enable_grad():
        yield


def tone_pool(seconds: int) -> Pool:
    """Phone n, 80 ms to 200 ms at a time, sounds as tone n; what is heard has noise on it."""
    rng = random.Random(0)
    clean, phones = [], []
    while len(phones) < 100 * seconds:
        phone, hops = rng.randrange(len(TONES_HZ)), rng.randint(8, 20)
        times_s = np.arange(hops * HOP_SAMPLES) / 24_000
        clean.append(0.2 * np.sin(2 * np.pi * TONES_HZ[phone] * times_s))
        phones += [phone] * hops
    pcm = np.concatenate(clean)
    noise = 0.01 * np.random.default_rng(0).standard_normal(len(pcm))
    clean_int, heard_int = ((32767 * x).astype(np.int16) for x in (pcm, pcm + noise))
    return Pool(clean=clean_int, heard=heard_int, phones=np.array(phones, np.uint8))


def quantizer() -> SplitResidualVectorQuantizer:
    torch.manual_seed(0)
    return SplitResidualVectorQuantizer(TOY.codec)


def test_the_fast_gradient_of_a_power_spectrum_is_the_true_one() -> None:
    x = torch.randn(2, 3, 16, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(PowerSpectrum.apply, (x,))


def test_spectral_loss_is_zero_for_equals_and_grows_with_the_difference() -> None:
    loss = SpectralLoss()
    wanted = 0.1 * torch.randn(2, 8000)
    assert [float(x) for x in loss(wanted, wanted)] == [0.0, 0.0]
    near, far = (loss(gain * wanted, wanted) for gain in (0.9, 0.5))
    assert 0 < near[0] < far[0]
    # Half the magnitude in every bin is a difference of ln 2.
    assert float(far[1]) == pytest.approx(np.log(2), rel=1e-2)
    assert mel_l1(0.5 * wanted, wanted) == pytest.approx(np.log(2), rel=1e-2)


def test_silent_phones_weigh_less() -> None:
    logits = torch.tensor([[2.0, 0.0], [2.0, 0.0]])
    alone = [float(phone_loss(logits[:1], torch.tensor([phone]))) for phone in (0, 1)]
    both = float(phone_loss(logits, torch.tensor([0, 1])))
    assert both == pytest.approx((0.3 * alone[0] + alone[1]) / 1.3)


def test_training_quantizes_as_run_time_does() -> None:
    served = quantizer()
    trained = TrainedChain(served.rvq_rest).eval()
    served.rvq_rest.centroids.normal_()
    latent = torch.randn(2, 5, TOY.codec.width)
    for levels in (1, 3, 7):
        got = trained(latent, levels)
        assert torch.equal(got.codes, served.rvq_rest.encode(latent.transpose(1, 2))[:, :levels])
    decoded = served.rvq_rest.output_proj(got.quantized.transpose(1, 2))
    torch.testing.assert_close(decoded, served.rvq_rest.decode(got.codes))


def test_the_gradient_goes_straight_through() -> None:
    trained = TrainedChain(quantizer().rvq_first)
    latent = torch.randn(1, 4, TOY.codec.width, requires_grad=True)
    weight = torch.randn(1, 4, TOY.codec.codebook_width)
    got = trained(latent, 1)
    (through,) = torch.autograd.grad((weight * got.quantized).sum(), latent, retain_graph=True)
    (direct,) = torch.autograd.grad((weight * got.projected).sum(), latent)
    torch.testing.assert_close(through, direct)


def test_centroids_move_to_what_falls_to_them_and_unused_ones_onto_latents() -> None:
    served = quantizer()
    trained = TrainedChain(served.rvq_first)
    points = torch.randn(3, TOY.codec.width)
    for _ in range(800):
        trained(points[torch.randint(3, (1, 40))], 1)
    targets = torch.nn.functional.linear(points, served.rvq_first.input_proj.weight[..., 0])
    nearest = torch.cdist(targets, served.rvq_first.centroids[0]).min(dim=1).values
    assert float(nearest.detach().max()) < 1e-2
    farthest = torch.cdist(served.rvq_first.centroids[0], targets).min(dim=1).values
    assert float(farthest.detach().max()) < 1e-2  # unused ones were moved onto a latent too
    assert float(trained.uses.min()) > 0
    assert float(trained.uses.max()) > 10 * FRESH_USE


def test_crops_keep_sound_and_phones_together() -> None:
    pool = tone_pool(10)
    batch = crops(pool, np.random.default_rng(0), count=4, frames=5, slots=(2, 6))
    assert batch.clean.shape == batch.heard.shape == (4, 5 * 1920)
    assert batch.phones.shape == (4, 5, 2)
    hops = batch.clean.view(4, 5, HOPS_PER_FRAME, HOP_SAMPLES)[:, :, [2, 6]]
    loud = hops.abs().amax(dim=-1) > 0.1
    assert torch.equal(loud, batch.phones > 0)
    assert not torch.equal(batch.heard, batch.clean)


def test_a_passage_labels_what_is_said_after_each_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    def say(text: str, voice: SpeakingVoice) -> Utterance:
        assert text == "words"
        tone = np.full(2400, 0.5, np.float32)
        return Utterance(
            tone, (Timed(text, 0.0, 0.1),), (Timed(PHONES[3], 0.0, 0.04), Timed(PHONES[5], 0.04, 0.1))
        )

    monkeypatch.setattr(codec_pool, "synthesise", say)
    pool = passage(
        random.Random(0), lambda rng, language: "words", lambda rng, language: OWN_VOICES["ana"]["en"]
    )
    assert len(pool.clean) == len(pool.heard) == HOP_SAMPLES * len(pool.phones) >= 60 * 24_000
    sounding = pool.clean.reshape(-1, HOP_SAMPLES).max(axis=1) > 0
    assert (sounding == (pool.phones > 0)).all()
    starts = np.flatnonzero(np.diff(sounding.astype(int)) == 1) + 1
    assert len(starts) > 20
    for start in starts:
        assert pool.phones[start : start + 10].tolist() == [3] * 4 + [5] * 6


def test_training_learns_saves_and_goes_on(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    pool = tone_pool(20)
    run = Run(QUICK, tmp_path)
    run.trainer.train()
    rng = np.random.default_rng(0)
    losses = [run.step(crops(pool, rng, count=4, frames=8, slots=QUICK.slots), share=0.0) for _ in range(60)]
    first, last = (
        {name: np.mean([float(loss[name]) for loss in part]) for name in ("mel", "spectral", "phones")}
        for part in (losses[:5], losses[-5:])
    )
    assert all(last[name] < 0.8 * first[name] for name in first), (first, last)
    run.save()

    again = Run(QUICK, tmp_path)
    again.resume()
    assert again.progress.step == 60
    for name, tensor in run.trainer.state_dict().items():
        assert torch.equal(again.trainer.state_dict()[name], tensor), name

    served = SpectralCodec(QUICK.codec)
    served.load_state_dict(load_file(tmp_path / "codec.safetensors"))
    pcm = torch.from_numpy(pool.clean[: 10 * 1920] / np.float32(32767))[None, None]
    ours = run.trainer.codec.decode(run.trainer.codec.encode(pcm))
    torch.testing.assert_close(served.decode(served.encode(pcm)), ours, rtol=0, atol=0.05)


@pytest.mark.parametrize("refined", [False, True])
def test_a_gpu_is_not_waited_for_in_a_step(refined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors without values stand for those of a GPU: whoever looks at one, or mixes it with the CPU's, fails."""
    for module in (codec_training, codec_refine):
        monkeypatch.setattr(module, "autocast", lambda device, enabled=True: nullcontext())
    elsewhere = torch.device("meta")
    batch = crops(tone_pool(10), np.random.default_rng(0), count=2, frames=8, slots=QUICK.slots).to(elsewhere)
    trainer = CodecTrainer(QUICK).to(elsewhere).train()
    refining = codec_refine.Refined(trainer.codec).to(elsewhere)
    losses = refining(batch.clean) if refined else trainer(batch, 7)
    losses["total"].backward()
    assert {loss.device for loss in losses.values()} == {elsewhere}


def test_a_whole_run_leaves_its_files(tmp_path: Path) -> None:
    pool = tone_pool(120)
    pool.save(tmp_path / "pool")
    pool.save(tmp_path / "held_out")
    results = train(replace(QUICK, minutes=0.01), tmp_path)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == results
    assert 0 <= results["held_out"]["phones_spoken"] <= 1
    assert len(results["held_out"]["codebooks"]) == 8
    assert {path.name for path in tmp_path.iterdir()} >= {"codec.safetensors", "state.pt"}


def test_silence_is_measured_after_noise() -> None:
    torch.manual_seed(0)
    codec = CodecTrainer(TOY).codec.eval()
    codec.quantizer.rvq_first.centroids.normal_()
    codec.quantizer.rvq_rest.centroids.normal_()
    measured = silence(codec)
    # Memory of this codec: a spectrum, 6 steps of its fast block, 2 frames of its slow one.
    assert measured["frames_to_rest"] <= 6
    assert len(measured["codes"]) == 8
    assert measured["level_db"] < 0


@pytest.mark.slow
def test_a_pool_of_real_speech_is_balanced_and_never_held_out_voices() -> None:
    pool = codec_pool.build_pool(seconds=60, seed=1, workers=1)
    assert 0.1 < (pool.phones == 0).mean() < 0.5
    spoken = np.abs(pool.clean.reshape(-1, HOP_SAMPLES)).max(axis=1)
    assert spoken[pool.phones > 0].mean() > 10 * spoken[pool.phones == 0].mean()
    assert len(np.unique(pool.phones)) > 0.6 * len(PHONES)
    voices = {
        codec_pool.random_voice(random.Random(seed), "en", held_out=True, own_share=0).variant
        for seed in range(50)
    }
    assert voices.isdisjoint(
        codec_pool.random_voice(random.Random(seed), "en", held_out=False).variant for seed in range(200)
    )


def test_refining_brings_the_decoder_nearer_and_leaves_every_code(tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec = SpectralCodec(QUICK.codec)
    start_small(codec)
    for chain in (codec.quantizer.rvq_first, codec.quantizer.rvq_rest):
        chain.centroids.normal_()
    pool = tone_pool(seconds=20)
    heard = to_pcm(np.asarray(pool.clean[: 40 * 1920]))[None, None]
    codes, before = codec.encode(heard), heard_error(codec, pool)
    refine(codec, pool, Refining(minutes=1 / 30, threads=1, batch=2, frames=8), tmp_path)
    assert torch.equal(codec.encode(heard), codes)
    assert heard_error(codec, pool) < before
    saved = load_codec(tmp_path)
    torch.testing.assert_close(saved.decode(codes), codec.decode(codes), atol=0.01, rtol=0.01)
