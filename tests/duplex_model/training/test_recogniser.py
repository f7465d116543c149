from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_model.contract import SAMPLE_RATE_HZ, Pcm
from duplex_model.errors import CheckpointError
from duplex_model.training.evaluation.phone_reader import (
    BLANK,
    Recogniser,
    load,
    phone_errors,
    phones_of,
    save,
)
from duplex_model.training.recogniser import Heard, frames_of, learning_rate, loss_of, train
from duplex_model.training.speech.mel import MELS, log_mel, mel_filters
from duplex_model.training.speech.tts import PHONES, Timed, Utterance

TONES_HZ = {1: 300.0, 2: 700.0, 3: 1500.0, 4: 3000.0}
"""A language of four phones, each a tone."""


def spoken(phones: list[int]) -> Pcm:
    seconds = np.arange(SAMPLE_RATE_HZ * 6 // 100) / SAMPLE_RATE_HZ
    pause = np.zeros(SAMPLE_RATE_HZ // 25)
    parts = [
        part for phone in phones for part in (0.1 * np.sin(2 * np.pi * TONES_HZ[phone] * seconds), pause)
    ]
    return np.concatenate([pause, *parts]).astype(np.float32)


def sentence(rng: random.Random) -> list[int]:
    return [rng.randint(1, 4) for _ in range(rng.randint(2, 4))]


def heard(phones: list[int]) -> Heard:
    mel = log_mel(spoken(phones)).half()
    frames = torch.zeros(-(-len(mel) // 2), dtype=torch.int64)
    for index, phone in enumerate(phones):
        frames[2 + 5 * index : 5 + 5 * index] = phone
    return Heard(mel, tuple(phones), frames)


def utterances(seed: int) -> Iterator[Heard]:
    rng = random.Random(seed)
    while True:
        yield heard(sentence(rng))


def ticking(step_s: float) -> Iterator[float]:
    now_s = 0.0
    while True:
        yield now_s
        now_s += step_s


@pytest.fixture(scope="module")
def trained() -> Recogniser:
    torch.manual_seed(0)
    model = Recogniser(width=32, blocks=2)
    clock = ticking(1.0)
    train(model, utterances(1), seconds=150, report=lambda step, done, loss: None, now=lambda: next(clock))
    return model


def test_a_language_of_tones_is_learnt_and_read(trained: Recogniser) -> None:
    rng = random.Random(2)
    errors = [phone_errors(trained, spoken(phones), phones) for phones in (sentence(rng) for _ in range(20))]
    rate = sum(error.edits for error in errors) / sum(error.length for error in errors)
    assert rate < 0.1


def test_silence_has_no_phones(trained: Recogniser) -> None:
    assert trained.read(np.zeros(SAMPLE_RATE_HZ, np.float32)) == []
    assert trained.read(np.zeros(10, np.float32)) == []


def test_how_loud_it_is_matters_little(trained: Recogniser) -> None:
    phones = [1, 3, 2, 4]
    assert trained.read(spoken(phones) * 0.3) == trained.read(spoken(phones)) == phones


def test_the_rate_warms_up_and_falls_with_time() -> None:
    assert learning_rate(0.0, 0) < learning_rate(0.0, 49)
    rates = [learning_rate(done / 10, 1000) for done in range(11)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0.04 * rates[0])


def test_padding_does_not_change_a_loss_but_for_what_it_sees_of_silence() -> None:
    torch.manual_seed(0)
    model = Recogniser(width=16, blocks=1).eval()
    short, long = heard([1, 2]), heard([1] * 6)
    alone, together = loss_of(model, [short]), loss_of(model, [short, long])
    assert float(together) == pytest.approx(float((alone + loss_of(model, [long])) / 2), rel=2e-2)


def test_the_phone_of_each_frame_follows_the_times_of_the_synthesiser() -> None:
    phones = (Timed("sil", 0.0, 0.02), Timed("a", 0.02, 0.08), Timed("s", 0.08, 0.11))
    utterance = Utterance(np.zeros(2640, np.float32), (), phones)
    expected = [PHONES.index(name) for name in ("sil", "a", "a", "a", "s", "s", "sil", "sil")]
    assert frames_of(utterance, 8).tolist() == expected
    assert phones_of(utterance) == [PHONES.index("a"), PHONES.index("s")]


def test_mel_bands_cover_every_frequency_once() -> None:
    filters = mel_filters(MELS, 960)
    assert filters.shape == (MELS, 481)
    assert torch.allclose(filters[:, 40:300].sum(dim=0), torch.ones(260), atol=1e-5)


def test_log_mel_is_a_hundred_a_second_and_zero_in_silence() -> None:
    mel = log_mel(np.zeros(SAMPLE_RATE_HZ, np.float32))
    assert mel.shape == (101, MELS)
    assert float(mel.abs().max()) == 0
    loud = log_mel(np.sin(np.arange(SAMPLE_RATE_HZ) * 0.3).astype(np.float32))
    assert math.log(1e4) - 3 < float(loud.max()) < math.log(1e4) + 1


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Recogniser().eval()
    save(model, tmp_path, {"minutes": 0})
    pcm = spoken([1, 2, 3])
    again = load(tmp_path)
    with torch.no_grad():
        assert torch.allclose(model(log_mel(pcm)[None]), again(log_mel(pcm)[None]), atol=0.02)


def test_a_recogniser_of_other_phones_is_refused(tmp_path: Path) -> None:
    save(Recogniser(), tmp_path, {})
    described = json.loads((tmp_path / "recogniser.json").read_text())
    described["phones"][-1] = "click"
    (tmp_path / "recogniser.json").write_text(json.dumps(described))
    with pytest.raises(CheckpointError, match="train it anew"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="expected a recogniser"):
        load(tmp_path / "nothing")


def test_silence_is_the_first_phone() -> None:
    assert PHONES[BLANK] == "sil"
