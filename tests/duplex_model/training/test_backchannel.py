"""The detector of backchannels in training: what it is trained on, and that what is saved is what was trained."""

from __future__ import annotations

import random
from math import inf
from pathlib import Path

import numpy as np
import pytest
import torch

from duplex_model.training import backchannel, backchannel_rules
from duplex_model.training.backchannel import answers, save
from duplex_model.training.backchannels.net import BackchannelNet, NetSize, log_mel
from duplex_model.training.backchannels.speech import BEFORE_S, LONGEST_S, Speaking
from duplex_model.training.backchannels.texts import Texts, closed_lists, held_out_texts, held_out_variants
from duplex_model.training.grammar import load_grammar
from duplex_model.training.grammar.pair import Language
from duplex_model.training.speech.phones import PHONES
from duplex_model.training.speech.speaking_voices import source_voices
from duplex_model.training.split import normal_form, text_held_out
from interpreter.ears.backchannel_model import BackchannelModel
from interpreter.floor.backchannels import is_backchannel
from scenarios.speech import VOICES, Speaker
from scenarios.stimuli import clip_set
from scenarios.timeline import Kind
from tests.interpreter.floor_clips import LANGUAGES

LISTS = Path(__file__).parents[3] / "interpreter" / "floor" / "backchannels.yaml"


def texts(language: Language, *, for_validation: bool = False) -> Texts:
    return Texts(closed_lists(LISTS)[language], load_grammar("core"), language, for_validation=for_validation)


def speaking(*, for_validation: bool = False) -> Speaking:
    return Speaking(
        {one: texts(one, for_validation=for_validation) for one in closed_lists(LISTS)},
        for_validation=for_validation,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_a_backchannel_by_the_rule_that_its_words_are_judged_by(language: Language) -> None:
    rng, drawn = random.Random(1), texts(language)
    for _ in range(200):
        material = drawn.backchannel(rng)
        assert is_backchannel(material.text, language), material.text
        assert material.backchannel_words == len(material.text.split())
        material = drawn.other(rng)
        assert not is_backchannel(material.text, language), material.text
        words = material.text.split()[: material.backchannel_words]
        assert not words or is_backchannel(" ".join(words), language), material.text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.speech
def test_what_the_floor_is_tried_with_is_never_trained_on(language: Language, speaker: Speaker) -> None:
    clips = clip_set(language, speaker.say)
    tried = {normal_form(clip.text, language) for clip in clips.interruptions}
    assert {clip.kind for clip in clips.interruptions} == {Kind.INTERRUPTION}
    assert len(tried) >= 40
    assert tried <= held_out_texts(language)
    rng, drawn = random.Random(2), texts(language)
    assert not any(normal_form(drawn.other(rng).text, language) in tried for _ in range(3_000))
    assert {voice.variant for voice in VOICES[language]} <= held_out_variants()


@pytest.mark.parametrize("language", LANGUAGES)
def test_validation_is_held_out_by_the_split_in_texts_and_voices(language: Language) -> None:
    rng = random.Random(3)
    assert all(
        text_held_out(texts(language, for_validation=True).other(rng).text, language) for _ in range(20)
    )
    assert not any(text_held_out(texts(language).other(rng).text, language) for _ in range(200))
    drawn = [speaking().draw(seed).voice.variant for seed in range(40)]
    validated = [speaking(for_validation=True).draw(seed).voice.variant for seed in range(40)]
    kept = {voice.variant for voice in source_voices(language, held_out=True)}
    assert not set(drawn) & (kept | held_out_variants())
    assert not set(validated) & (set(drawn) | held_out_variants())


def test_an_utterance_is_labelled_by_its_words() -> None:
    examples = [speaking().draw(seed) for seed in range(60)]
    for one in examples:
        words = one.material.text.split()
        assert len(one.pcm) <= round((BEFORE_S + LONGEST_S) * 24_000)
        assert one.ends_s > 0
        assert one.phones[0].start_s == pytest.approx(0.0, abs=1e-6)
        if one.material.backchannel_words == len(words):
            assert one.backchannel_until_s == inf
        elif one.material.backchannel_words == 0:
            assert one.backchannel_until_s == pytest.approx(0.0, abs=0.03), one.material.text
        else:
            assert one.backchannel_until_s > 0.1, one.material.text
    assert 20 <= sum(one.backchannel_until_s == inf for one in examples) <= 45
    assert {one.language for one in examples} == {"en", "es"}


def test_the_same_seed_gives_the_same_utterance() -> None:
    one, again = speaking().draw(11), speaking().draw(11)
    assert (one.material, one.voice, one.backchannel_until_s) == (
        again.material,
        again.voice,
        again.backchannel_until_s,
    )


def test_nothing_is_asked_where_a_backchannel_has_just_gone_on_as_something_else() -> None:
    yes, asked = answers(torch.tensor([0.6, inf, 0.0]), torch.tensor([2.0, 0.7, 2.0]))
    said_s = (np.arange(yes.shape[1]) * 480 + 1_200) / 24_000 - BEFORE_S
    for n, s in enumerate(said_s):
        assert bool(yes[0, n]) == (s <= 0.6)
        assert bool(asked[0, n]) == (0.3 < s <= 0.6 or s > 0.72)
        assert bool(yes[1, n])
        assert bool(asked[1, n]) == (0.3 < s < 0.951)
        assert not yes[2, n] or s <= 0.0


def test_the_network_in_use_is_the_one_that_was_trained(tmp_path: Path) -> None:
    torch.manual_seed(5)
    net = BackchannelNet(NetSize(width=16, blocks=2, kernel=5), 2).eval()
    save(net, ("en", "es"), -0.25, tmp_path / "net.safetensors")
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(weight.half().float())
    used = BackchannelModel(tmp_path / "net.safetensors")
    assert used.languages == ("en", "es")
    assert used.threshold == -0.25
    pcm = speaking().draw(4).pcm
    mel = log_mel(pcm)
    with torch.no_grad():
        logits, _ = net(mel[None, : len(mel) // 2 * 2])
    for windows in (2, 30, len(mel) // 2 * 2):
        judged = used.judge(used.listen(pcm[: windows * 240 + 720], used.begin()))
        assert list(judged.values()) == pytest.approx(logits[0, windows // 2 - 1].tolist(), abs=2e-3)


def test_one_pass_gives_what_every_beginning_alone_would() -> None:
    torch.manual_seed(6)
    net = BackchannelNet(NetSize(width=16, blocks=2), 2).eval()
    mel = log_mel(speaking().draw(7).pcm)[:80]
    with torch.no_grad():
        whole, phones = net(mel[None])
        assert phones.shape == (1, 40, len(PHONES))
        for windows in (2, 24, 60):
            part, _ = net(mel[None, :windows])
            assert torch.allclose(part[0], whole[0, : windows // 2], atol=1e-4)


@torch.enable_grad()
def test_a_run_at_toy_size_leaves_a_detector(tmp_path: Path) -> None:
    file = tmp_path / "toy.safetensors"
    backchannel.main(
        ["--lists", str(LISTS), "--out", str(file), "--width", "16"]
        + ["--utterances", "120", "--held-out", "60", "--steps", "40"]
    )
    assert BackchannelModel(file).languages == ("en", "es")
    assert file.stat().st_size < 500_000


@torch.enable_grad()
def test_the_simpler_rules_tell_something() -> None:
    known = backchannel_rules.ask(speaking(), range(150))
    asked = backchannel_rules.ask(speaking(for_validation=True), range(40))
    for rule in (
        backchannel_rules.length,
        backchannel_rules.level,
        backchannel_rules.spectrum,
        backchannel_rules.templates,
    ):
        scores = rule(known, asked)
        assert scores.shape == (len(asked.mel),)
        assert np.isfinite(scores).all()
    perfect = np.where(asked.is_backchannel, 1.0, 0.0)
    assert backchannel_rules.describe("oracle", perfect, asked.is_backchannel).startswith(
        "| oracle | 1.000 | 100%"
    )
