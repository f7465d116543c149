"""Two browsers, Spanish and English, and the checkpoint that comes with the package: who heard and read what, when."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from duplex_model.catalogue import text_for
from duplex_model.shipped import DEFAULT, NONE_SHIPPED, shipped_folder
from duplex_model.spec import EngineSpec
from duplex_model.training.evaluation.scores import word_errors, words_of
from duplex_model.training.grammar import Pair, load_grammar
from duplex_model.training.split import held_out, held_out_productions
from interpreter.__main__ import main
from interpreter.meeting.settings import MeetingSettings
from interpreter.metrics import Stage
from interpreter.record.record import RecordSettings
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import HostedMeeting, hosted_meeting, join, kept_time, wait_until
from tests.journey import SessionTap
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, Pcm

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow, pytest.mark.timeout(400)]

VOICES = {"es": "es-419", "en": "en-us"}
LEAD_S = 10.0
"""Quiet at the start of the microphones' files, while both join."""

TURN_S = 8.0
"""From the beginning of one sentence to that of the other's."""

TURNS = 3  # of each
CONTENT_LETTERS = 5
"""Words so long carry content: "penicillin", "right", "weeks"; the short ones are said in every sentence."""

EXCERPT_S = 0.5
ALIKE = 0.6
"""Of an excerpt and the place where it is heard, through Opus and with the speaker's own voice ducked under it."""


@pytest.fixture(autouse=True)
def _shipped() -> None:
    if shipped_folder(DEFAULT) is None:
        if os.environ.get("CI"):
            pytest.fail(f"in CI the default checkpoint must be there: {NONE_SHIPPED}")
        pytest.skip(NONE_SHIPPED)


def new_pairs(count: int) -> list[Pair]:
    """Sentences that nothing was trained on: held out by their words, of structures that were trained."""
    grammar, rng = load_grammar("core"), random.Random(4)
    sampled = iter(lambda: grammar.sample(rng), None)
    apart = held_out_productions()
    fresh = (pair for pair in sampled if held_out(pair) and pair.production not in apart)
    return [next(fresh) for _ in range(count)]


@asynccontextmanager
async def visit(
    hosted: HostedMeeting, folder: Path, patient: list[str], doctor: list[str]
) -> AsyncIterator[tuple[Participant, Participant]]:
    """Ana, the patient, and Ben, the doctor, who speak in turn."""
    ana_voice, ben_voice = folder / "ana.wav", folder / "ben.wav"
    stimuli.turns_file(ana_voice, patient, VOICES["es"], first_s=LEAD_S, every_s=2 * TURN_S)
    stimuli.turns_file(ben_voice, doctor, VOICES["en"], first_s=LEAD_S + TURN_S, every_s=2 * TURN_S)
    async with participant(ben_voice) as ben, participant(ana_voice) as ana:
        await join(ben, hosted.link, "Ben", "en")
        await join(ana, hosted.link, "Ana", "es")
        for person in (ana, ben):
            await person.record("heard")
        yield ana, ben


async def test_a_visit_is_interpreted_both_ways(tmp_path: Path, measured: Callable[[str], None]) -> None:
    pairs = new_pairs(2 * TURNS)
    patient, doctor = pairs[:TURNS], pairs[TURNS:]
    kept = tmp_path / "kept"
    settings = MeetingSettings(record=RecordSettings(keep="text", folder=kept))
    spec = EngineSpec(kind="neural", options={"checkpoint": DEFAULT, "lanes": 2})
    spoken_s = LEAD_S + 2 * TURNS * TURN_S
    async with (
        hosted_meeting(spec, settings=settings, ready_within_s=90) as hosted,
        visit(hosted, tmp_path, [p.es for p in patient], [p.en for p in doctor]) as (ana, ben),
    ):
        await wait_until(ben, lambda: {"en", "es"} <= languages_out(hosted), 30)
        frames = round(spoken_s * SAMPLE_RATE_HZ / FRAME_SAMPLES)
        await wait_until(
            ben,
            lambda: frames_into(hosted, "en") >= frames,
            2 * spoken_s + 60,
            lambda: str([(tap.prompt.language_out, len(tap.said.frames)) for tap in hosted.engine.sessions]),
        )
        into = {language: session_into(hosted, language) for language in ("en", "es")}
        heard = {"en": await hears(ben, spoken_s), "es": await hears(ana, spoken_s)}
        read = {"en": await captions_of(ben, "en"), "es": await captions_of(ana, "es")}
        others = [*await captions_of(ana, "en"), *await captions_of(ben, "es")]
        for person, language in ((ana, "es"), (ben, "en")):
            label = text_for(language, hosted.engine.capabilities.demonstration)
            assert await person.page.locator("#notices").get_by_text(label).is_visible()
            own = await captions_of(person, language, "as-self")
            assert any("AI interpreter" in text or "inteligencia artificial" in text for text in own), own
        steps = hosted.meeting.metrics.snapshot().stages[Stage.ENGINE_STEP]
        in_time = kept_time(hosted)

    report(measured, patient, read["en"], "en")
    report(measured, doctor, read["es"], "es")
    measured(f"step p50 {steps.p50_ms:.0f} ms, p99 {steps.p99_ms:.0f} ms")
    [meeting] = kept.iterdir()
    for cue in transcript(meeting):
        measured(
            f"{cue['start_s']:6.1f} s  {cue['speaker']} in {cue['language']} ({cue['kind']}): {cue['text']}"
        )
    assert main(["verify", str(meeting / "attest.jsonl")]) == 0
    assert main(["verify", str(meeting / "audit.jsonl")]) == 0
    assert others == [], "nobody reads a rendering into another language"
    if not in_time:
        measured("too busy to judge what was understood")
        return
    for language, said, sentences in (("en", patient, "en"), ("es", doctor, "es")):
        texts = [getattr(pair, sentences) for pair in said]
        content = {
            word for text in texts for word in words_of(text, language) if len(word) >= CONTENT_LETTERS
        }
        assert content & set(words_of(" ".join(read[language]), language)), read[language]
        excerpts = loudest(np.concatenate(into[language].said.frames), 5)
        other = "es" if language == "en" else "en"
        assert max(stimuli.likeness(one, heard[language]) for one in excerpts) > ALIKE
        assert max(stimuli.likeness(one, heard[other]) for one in excerpts) < ALIKE, "not to whom it renders"


def languages_out(hosted: HostedMeeting) -> set[str]:
    return {tap.prompt.language_out for tap in hosted.engine.sessions}


def session_into(hosted: HostedMeeting, language: str) -> SessionTap:
    """The one that interprets: sessions for notices are opened and refused beside it."""
    into = (tap for tap in hosted.engine.sessions if tap.prompt.language_out == language)
    return max(into, key=lambda tap: len(tap.heard.frames))


def frames_into(hosted: HostedMeeting, language: str) -> int:
    """How much was said in a language by all its sessions: on a busy machine one may replace another."""
    return sum(len(tap.said.frames) for tap in hosted.engine.sessions if tap.prompt.language_out == language)


async def hears(person: Participant, last_s: float) -> Pcm:
    """What a page played, at our rate."""
    recording = await person.recording("heard", last_s)
    return np.asarray(soxr.resample(recording.pcm, stimuli.MICROPHONE_RATE_HZ, SAMPLE_RATE_HZ))


async def captions_of(person: Participant, language: str, kind: str = "rendering") -> list[str]:
    """What a page shows in `language`, in order."""
    shown = person.page.locator(f"#captions-scroll .caption.{kind} .text[lang={language}]")
    return await shown.all_text_contents()


def transcript(folder: Path) -> list[dict[str, Any]]:
    """Everything that was written down, in order of time."""
    cues: list[dict[str, Any]] = []
    for path in folder.glob("transcript.*.jsonl"):
        head, *lines = path.read_text(encoding="utf-8").splitlines()
        cues += [{"language": json.loads(head)["language"], **json.loads(line)} for line in lines]
    return sorted(cues, key=lambda cue: float(cue["start_s"]))


def loudest(pcm: Pcm, count: int) -> list[Pcm]:
    """The loudest excerpts of `pcm`."""
    size = round(EXCERPT_S * SAMPLE_RATE_HZ)
    pieces = pcm[: len(pcm) // size * size].reshape(-1, size)
    return [pieces[index] for index in np.argsort(-np.sum(pieces**2, axis=1))[:count]]


def report(measured: Callable[[str], None], pairs: list[Pair], captions: list[str], language: str) -> None:
    expected, read = " ".join(getattr(pair, language) for pair in pairs), " ".join(captions)
    errors = word_errors(expected, read, "en" if language == "en" else "es")
    measured(f"{errors.edits} word errors in {errors.length} words of {len(pairs)} sentences into {language}")
    measured(f"expected: {expected}")
    measured(f"read: {read}")
