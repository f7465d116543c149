"""A checkpoint of our own, tiny and random, from its folder to what it says."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from duplex_model import shipped
from duplex_model.assembly import CPU_LANES, NeuralOptions, assemble
from duplex_model.commands import main
from duplex_model.contract import FRAME_SAMPLES, Engine, Prompt, TickGrid
from duplex_model.engine import NeuralEngine
from duplex_model.errors import PromptError
from duplex_model.fingerprint import fingerprint
from duplex_model.source import CheckpointFiles
from duplex_model.spec import EngineSpec, build_engine
from duplex_model.tables import describe_models, describe_voices
from tests.duplex_model.tiny_checkpoint import VOICES, spectral_config, write_spectral_checkpoint

PATIENCE_S = 60.0
CONFIG = spectral_config()
INTO_ENGLISH = Prompt(language_in="es", language_out="en")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CheckpointFiles:
    folder = tmp_path_factory.mktemp("shipped") / "tiny-spectral"
    folder.mkdir()
    return write_spectral_checkpoint(folder, CONFIG)


@pytest.fixture
def as_default(files: CheckpointFiles, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the checkpoint, shipped with the package."""
    folder = files.text.parent
    monkeypatch.setattr(shipped, "FOLDER", folder.parent)
    return folder


@pytest.fixture
def engine(files: CheckpointFiles) -> Iterator[NeuralEngine]:
    options = NeuralOptions(lanes=2, device=torch.device("cpu"), dtype=torch.float32)
    grid = TickGrid(origin_s=time.monotonic())
    engine = assemble(CONFIG, files, options, grid=grid, report=lambda fraction, text: None)
    yield engine
    engine.close()


def test_an_engine_says_which_files_and_voices_speak(engine: NeuralEngine, files: CheckpointFiles) -> None:
    can = engine.capabilities
    assert can.fingerprint == fingerprint((*files.lm, *files.codec, files.text))
    assert set(can.voices) >= set(VOICES)
    assert all(len(hashed) == 64 for hashed in can.voices.values())
    assert can.transcribes == {"es"}


def said(engine: Engine, prompt: Prompt, count: int = 6) -> tuple[bytes, ...]:
    with engine.open(prompt, seed=3).result(PATIENCE_S) as session:
        noise = np.random.default_rng(0).standard_normal((count, FRAME_SAMPLES)).astype(np.float32)
        return tuple(session.feed(0.1 * frame).result(PATIENCE_S).pcm.tobytes() for frame in noise)


def test_direction_mode_persona_and_voice_all_change_what_is_said(engine: NeuralEngine) -> None:
    prompts = [
        INTO_ENGLISH,
        replace(INTO_ENGLISH, language_in="en", language_out="es"),
        replace(INTO_ENGLISH, mode="consecutive"),
        replace(INTO_ENGLISH, role_text="take one"),
        replace(INTO_ENGLISH, voice=VOICES[1]),
    ]
    assert len({said(engine, prompt) for prompt in prompts}) == len(prompts)


def test_the_first_voice_that_comes_with_it_is_the_default(engine: NeuralEngine) -> None:
    assert said(engine, INTO_ENGLISH) == said(engine, replace(INTO_ENGLISH, voice=VOICES[0]))


def test_a_tagged_role_text_needs_no_direction_of_the_checkpoint(engine: NeuralEngine) -> None:
    whole = replace(INTO_ENGLISH, role_text="<system> good <system>", mode="transcription")
    assert said(engine, whole) == said(engine, INTO_ENGLISH)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "transcription"}, "es-en simultaneous, es-en consecutive, .* got es-en transcription"),
        (
            {"role_text": "take one tablet " * 20},
            "expected a prompt of at most 80 frames, got .*: shorten the role",
        ),
        ({"voice": "carla"}, "expected a voice of ana, bruno"),
    ],
)
def test_prompts_that_cannot_be_served_are_explained(
    engine: NeuralEngine, wrong: dict[str, str], message: str
) -> None:
    with pytest.raises(PromptError, match=message):
        engine.open(replace(INTO_ENGLISH, **wrong), seed=1)  # type: ignore[arg-type]


def test_it_says_of_itself_that_it_demonstrates(engine: NeuralEngine) -> None:
    assert engine.capabilities.demonstration == CONFIG.demonstration
    assert engine.capabilities.domain == "random weights, for tests"


@pytest.mark.usefixtures("as_default")
def test_the_default_is_built_by_name_with_few_lanes_on_a_cpu() -> None:
    spec = EngineSpec(kind="neural", options={"checkpoint": "default", "device": "cpu"})
    engine = build_engine(spec, grid=TickGrid(origin_s=time.monotonic()), report=lambda done, words: None)
    assert engine.capabilities.checkpoint == "tiny-spectral"
    assert engine.capabilities.lanes == CPU_LANES
    engine.close()


@pytest.mark.usefixtures("as_default")
def test_a_run_needs_no_checkpoint_but_a_direction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "in.wav", np.zeros(30_000), 24_000)
    files = ["--input", str(tmp_path / "in.wav"), "--output", str(tmp_path / "out.wav")]
    text = ["--text", str(tmp_path / "out.json"), "--device", "cpu"]
    assert main(["run", *files, *text]) == 1
    assert "expected --from or --to, as tiny-spectral speaks en, es" in capsys.readouterr().err
    for told in (
        ["--from", "es", "--mode", "consecutive", "--voice", "bruno", "--role-text", "take one"],
        ["--role-text", "good morning doctor"],
        ["--from", "es", "--mode", "transcription"],
    ):
        assert main(["run", *files, *text, *told, "--tail-s", "0"]) == 0, capsys.readouterr().err
        assert capsys.readouterr().out.startswith(
            "tiny-spectral (Apache-2.0; demonstration: random weights): 1.3 s"
        )
        assert json.loads((tmp_path / "out.json").read_text())["frames"] == 16


def test_it_is_listed_with_domain_label_and_voices(as_default: Path) -> None:
    listed = describe_models()
    assert "tiny-spectral: random weights, for tests" in listed
    assert "NOTE      demonstration: random weights" in listed
    assert f"this package, the default (0 MB), card {as_default / 'README.md'}" in listed
    voices = describe_voices()
    assert all(f"\n{name} " in voices for name in VOICES)
