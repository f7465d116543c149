"""A visit to a doctor that is always the same: what Ana and Ben say, and an engine that is told what it hears and says.

Ana takes fifteen milligrams, and the engine says fifty.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from duplex_model.contract import Capabilities, Prompt, Session
from duplex_model.spec import EngineSpec
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import join
from tests.journey import TappedEngine

ES = {"Me duele la cabeza.": "My head hurts.", "Tomo quince miligramos.": "I take fifty milligrams."}
EN = {"Do you have a fever?": "¿Tiene fiebre?", "Take it with food.": "Tómelo con comida."}

EVERY_S = 8.0
"""Between two sentences of one person; the other one's come in between."""

SAID_AFTER_S = 1.4
"""From the beginning of a sentence to that of its rendering."""

RENDERING_HZ = 700.0
_SENTENCES = 40  # five minutes


def visit(rendering_s: float = 1.5) -> EngineSpec:
    """The engine; its renderings are a tone that lasts `rendering_s`."""
    tone = {"hz": RENDERING_HZ, "duration_s": rendering_s}
    parts = {
        "es>es": _cues(list(ES), 0.2),
        "en>en": _cues(list(EN), 0.2),
        "es>en": _cues(list(ES.values()), SAID_AFTER_S, tone),
        "en>es": _cues(list(EN.values()), SAID_AFTER_S, tone),
    }
    return EngineSpec(kind="scripted", options={"lanes": 8, "script": {"directions": parts}})


def _cues(sentences: list[str], after_s: float, sound: Mapping[str, float] | None = None) -> dict[str, Any]:
    cues: list[dict[str, Any]] = []
    for spurt in range(_SENTENCES):
        words = sentences[spurt % len(sentences)].split()
        text = [{"text": f" {word}", "at_s": round(0.24 * n, 2)} for n, word in enumerate(words)]
        cues.append({"after_speech_s": after_s, "spurt": spurt, "text": text})
        if sound is not None:
            cues[-1]["sound"] = dict(sound)
    return {"cues": cues}


class Scribe(TappedEngine):
    """Offers the script's directions into the same language as transcriptions, as checkpoints do."""

    @property
    def capabilities(self) -> Capabilities:
        can = super().capabilities
        heard = frozenset(tag for tag, into in can.languages.items() if tag in into)
        languages = {tag: into - {tag} for tag, into in can.languages.items()}
        return replace(can, languages=languages, transcribes=heard)

    def open(self, prompt: Prompt, *, seed: int) -> Future[Session]:
        told = replace(prompt, mode="simultaneous") if prompt.mode == "transcription" else prompt
        return super().open(told, seed=seed)


@asynccontextmanager
async def two_people(
    link: str, folder: Path, names: tuple[str, str] = ("Ana", "Ben")
) -> AsyncIterator[tuple[Participant, Participant]]:
    """Ana speaks Spanish and Ben English, in turn, with silences between."""
    ana_voice, ben_voice = folder / "ana.wav", folder / "ben.wav"
    stimuli.turns_file(ana_voice, list(ES), "es-419", first_s=1.0, every_s=EVERY_S)
    stimuli.turns_file(ben_voice, list(EN), "en-us", first_s=1.0 + EVERY_S / 2, every_s=EVERY_S)
    async with participant(ana_voice) as ana, participant(ben_voice) as ben:
        await join(ana, link, names[0], "es")
        await join(ben, link, names[1], "en")
        yield ana, ben
