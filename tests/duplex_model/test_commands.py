from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from duplex_model import shipped
from duplex_model.commands import INTERPRETERS_TAIL_S, engine_spec, main, make_prompt, parser, tail_of
from duplex_model.config import CHECKPOINTS
from duplex_model.contract import FRAME_SAMPLES, TickGrid
from duplex_model.loopback import LoopbackEngine
from duplex_model.machine import Gpu, Machine
from duplex_model.tables import describe_models, describe_voices, table

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """1.5 s of a stereo tone at 44.1 kHz, louder on the left."""
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(66_150) / 44_100)
    soundfile.write(tmp_path / "in.wav", np.stack([tone, tone / 2], axis=1), 44_100)
    return tmp_path / "in.wav"


def arguments(recording: Path, *more: str, checkpoint: str = "loopback") -> list[str]:
    folder = recording.parent
    return [
        "run", "--checkpoint", checkpoint, "--input", str(recording), "--output", str(folder / "out.wav"),
        "--text", str(folder / "out.json"), *more,
    ]  # fmt: skip


def test_a_run_as_a_program(recording: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "duplex_model", *arguments(recording, "--seed", "7", "--tail-s", "0.5")],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loopback/0 (ours): 2.0 s, ")
    pcm, rate_hz = soundfile.read(recording.parent / "out.wav")
    assert rate_hz == 24_000
    assert len(pcm) == 25 * FRAME_SAMPLES
    spectrum = np.abs(np.fft.rfft(pcm[:36_000]))
    assert spectrum.argmax() * 24_000 / 36_000 == pytest.approx(440, abs=1)
    assert np.abs(pcm[2_000:34_000]).max() == pytest.approx(0.3, abs=0.01)
    written = json.loads((recording.parent / "out.json").read_text())
    assert (written["text"], written["pieces"], written["frames"]) == ("", [], 25)
    assert written["timing"]["real_time_factor"] > 0


def test_a_run_in_this_process_says_nothing_but_its_result(
    recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(recording)) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1
    assert said.err == ""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--role-text", "You are kind."], "expected no --role-text: loopback/0 takes none"),
        (["--voice", "NATF0"], "expected no --voice: loopback/0 takes none"),
        (["--input", "/no/such.wav"], "expected an audio file at /no/such.wav, got nothing"),
        (["--output", "/no/such/out.wav"], "expected a folder at /no/such for out.wav, got nothing"),
        (["--text", "/no/such/out.json"], "expected a folder at /no/such for out.json, got nothing"),
        (["--checkpoint", "gpt-7"], "expected a checkpoint of personaplex-7b"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_line(
    recording: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert main(arguments(recording, *more)) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (recording.parent / "out.wav").exists()


@pytest.mark.parametrize(
    "more",
    [["--seed", "-1"], ["--seed", "x"], ["--tail-s", "nan"], ["--tail-s", "-1"], ["--precision", "int4"]],
)
def test_arguments_that_cannot_be(
    recording: Path, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    with pytest.raises(SystemExit) as exited:
        main(arguments(recording, *more))
    assert exited.value.code == 2
    assert more[0] in capsys.readouterr().err


def test_a_known_checkpoint_is_asked_of_the_neural_engine(recording: Path) -> None:
    line = arguments(recording, "--device", "cuda:1", "--precision", "int8", checkpoint="hibiki-2b@v1")
    spec = engine_spec(parser().parse_args(line))
    assert spec.kind == "neural"
    assert spec.options == {
        "lanes": 1, "checkpoint": "hibiki-2b@v1", "device": "cuda:1", "dtype": "bfloat16", "int8": True,
    }  # fmt: skip
    plain = engine_spec(parser().parse_args(arguments(recording, checkpoint="hibiki-2b")))
    assert plain.options == {"lanes": 1, "checkpoint": "hibiki-2b"}
    json.dumps(dict(spec.options))


def test_a_prompt_has_what_was_asked(recording: Path) -> None:
    with_role = parser().parse_args(arguments(recording, "--role-text", "Be kind.", "--voice", "NATF0"))
    capabilities = LoopbackEngine(lanes=1, grid=TickGrid(origin_s=0.0)).capabilities
    able = replace(capabilities, role_text=True, voice_prompt=True)
    prompt = make_prompt(with_role, able)
    assert (prompt.role_text, prompt.voice, prompt.language_in) == (
        "<system> Be kind. <system>",
        "NATF0",
        "en",
    )
    both = make_prompt(
        parser().parse_args(arguments(recording, "--role-text", "Be kind.", "--from", "es")), able
    )
    assert (both.role_text, both.language_in, both.mode) == ("Be kind.", "es", "simultaneous")
    directed = parser().parse_args(arguments(recording, "--from", "es", "--to", "de"))
    prompt = make_prompt(directed, able)
    assert (prompt.role_text, prompt.language_in, prompt.language_out) == ("", "es", "de")


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    for name, config in CHECKPOINTS.items():
        assert f"\n{name} " in "\n" + listed
        assert f"\n{name}: " in listed
        assert config.repository in listed


def test_models_say_what_this_machine_can_run() -> None:
    gpu = Gpu("H200", 150 * 10**9, 12 * 10**9)
    listed = describe_models(Machine(free_bytes=10**9, gpus=(gpu,))).splitlines()
    assert listed[0].split()[-1] == "here"
    verdicts = {line.split()[0]: line.split()[-1] for line in listed[1 : 1 + len(CHECKPOINTS)]}
    assert verdicts["personaplex-7b"] == "no"
    assert verdicts["hibiki-2b"] == "yes"
    assert "This machine: H200 with 12.0 GB free; 1.0 GB of memory free." in listed


def test_voices_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")
    assert main(["voices"]) == 0
    assert "No voices here yet." in capsys.readouterr().out
    own = tmp_path / "data" / "meeting-interpreter" / "voices"
    imported = tmp_path / "cache" / "meeting-interpreter" / "voices" / "0123"
    for folder in (own, imported):
        folder.mkdir(parents=True)
    soundfile.write(own / "ana.wav", np.zeros(60_000), 24_000)
    (imported / "NATF0.safetensors").touch()
    listed = describe_voices().splitlines()
    assert listed[:3] == [
        "voice  length     file",
        f"NATF0  published  {imported / 'NATF0.safetensors'}",
        f"ana    2.5 s      {own / 'ana.wav'}",
    ]


def test_listing_loads_no_pytorch() -> None:
    program = "import sys, duplex_model.tables; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_tables_are_aligned() -> None:
    assert table([("a", "bb"), ("ccc", "")]) == "a    bb\nccc"


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    for line in (["--help"], ["run", "--help"]):
        with pytest.raises(SystemExit) as exited:
            main(line)
        assert exited.value.code == 0
    said = capsys.readouterr().out
    for option in ("--checkpoint", "--role-text", "--from", "--to", "--voice", "--seed", "--device"):
        assert option in said


@pytest.mark.parametrize(
    ("more", "translates", "tail_s"),
    [
        ([], True, INTERPRETERS_TAIL_S),
        ([], False, 0.0),
        (["--tail-s", "0"], True, 0.0),
        (["--tail-s", "2"], False, 2.0),
    ],
)
def test_an_interpreter_is_given_time_for_its_last_word(
    recording: Path, more: list[str], translates: bool, tail_s: float
) -> None:
    options = parser().parse_args(arguments(recording, *more))
    with closing(LoopbackEngine(lanes=1, grid=TickGrid(origin_s=0.0))) as engine:
        assert tail_of(options, replace(engine.capabilities, translates=translates)) == tail_s
