"""Two browsers in rooms with loudspeakers: of what we sent them, nothing reaches a session by way of the microphone.

Each page plays its mix into the track that it sends, through WebAudio, later and quieter; our voices are espeak-ng's,
in the other's language, and go on whoever talks. First both are silent, then both talk over us all the time.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path as File

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from duplex_model.contract import FRAME_S
from duplex_model.spec import EngineSpec
from interpreter.ears.voice_model import VoiceModel
from tests.browser import stimuli
from tests.browser.chromium import Participant, participant
from tests.browser.hosted import HostedMeeting, hosted_meeting, join, kept_time, path_alone, wait_until
from tests.browser.stimuli import MICROPHONE_RATE_HZ, Pcm
from tests.interpreter import echo_paths
from tests.interpreter.echo_paths import HANG_FRAMES, SPEAKING_DBFS, Path, level_dbfs, talk, voiced
from tests.journey import PeerTap
from webrtc.room import FRAME_SAMPLES, SAMPLE_RATE_HZ, IncomingFrame

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow]

OURS = {
    "es": (
        "A la doctora le gustaría saber desde cuándo le duele la rodilla.",
        "Tome quince miligramos dos veces al día, con las comidas.",
        "¿Le duele más por la noche o al subir escaleras?",
        "Ahora se la voy a examinar; dígame si algo le molesta.",
    ),
    "en": (
        "My left knee has been hurting for three days.",
        "Above all when I climb the stairs, doctor.",
        "No, it does not hurt so much at night.",
        "I take a tablet for my blood pressure every morning.",
    ),
}
"""What the interpreter says, by the listener's language."""

THEIRS = {"es": echo_paths.THEIRS, "en": echo_paths.OURS}
OUR_VOICES = {"es": "es+m3", "en": "en+m3"}
THEIR_VOICES = {"es": "es+f2", "en": "en+f2"}

BEGINS_FRAMES = 15  # from the opening of a session to our first word: both microphones are here by then
ALONE_FRAMES = 65
TALK_FRAMES = 65
LOOP_S = 12.0  # of a microphone

Cells = Mapping[str, Path | None]
"""The room of each language's person; None with headphones."""

HEADPHONES: Cells = {"es": None, "en": None}
ASSERTED: Cells = {"es": Path(delay_s=0.15, level_db=-20), "en": Path(delay_s=0.06, level_db=-30)}
REPORTED: Cells = {"es": Path(delay_s=0.15, level_db=-10), "en": Path(delay_s=0.6, level_db=-20)}
CELLS = {"headphones": HEADPHONES, "asserted": ASSERTED, "reported": REPORTED}

SETTLED_FRAMES = 25  # 2 s from the first sound of an echo
FOUND_FRAMES = 6
"""An echo is known so long after its first sound."""

HEARABLE_DBFS = -65.0  # of an echo
JUDGED_AFTER_FRAMES = 12  # from opening a microphone until its voice is here for certain
EXCERPT_FRAMES = 6
LATEST_FRAMES = EXCERPT_FRAMES + 15  # in which the echo of an excerpt is looked for
ALIKE = 0.6
"""Of what we sent and its echo, through two codecs. A single frame that slips through is less."""

MOVED_S = 0.002
"""A path that is as much longer or shorter as before has moved: the browser plays a little slower or faster, whenever
packets come late, and nothing but the sound tells us."""

STEADY_S = 0.01
"""A microphone's frames that follow one another within it were not stretched, shortened or concealed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One person's sound in the server, tick by tick: [N, 1920] each."""

    sent: Pcm
    """Their mix, at the tick it is of."""

    pulled: Pcm
    heard: Pcm
    """By their session."""

    opened: int
    """Their microphone was closed before this tick."""

    in_time: bool
    """The machine had time for us, and for the browser to send and play without holes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one person's sound."""

    in_time: bool
    raw_frames: int
    """With our voice in the microphone, as a detector of voices hears them, while nobody spoke."""

    lost_frames: int
    """In which the person is heard to speak, but not by their session."""

    spoken_frames: int


@dataclass(frozen=True, kw_only=True)
class Returned:
    """What became of our own voice while nobody else spoke."""

    found_frames: int
    """From its first sound until it was kept back."""

    delay_s: float
    """From the tick a mix is of to the tick at which its echo is pulled."""

    moves: int
    """How often that changed."""

    level_db: float
    """Of the echo, against what was sent."""

    loop_gain_db: float
    """The same of what the session heard, after 2 s."""

    passed_frames: int
    """In which the session heard a voice once the echo was known."""

    likeness_pulled: float
    """Of the loudest excerpts of what was sent, the least alike."""

    likeness_heard: float
    """Of the same excerpts, the most alike."""


async def test_a_loudspeaker_gives_no_session_our_own_voice(
    tmp_path: File, measured: Callable[[str], None]
) -> None:
    near = {language: talk(THEIRS[language], THEIR_VOICES[language], LOOP_S) for language in THEIRS}
    tracks: dict[tuple[str, str], Track] = {}
    async with AsyncExitStack() as stack:
        people = {
            language: await stack.enter_async_context(
                participant(microphone(tmp_path / f"{language}.wav", pcm))
            )
            for language, pcm in near.items()
        }
        for name, cells in CELLS.items():
            for language, sound in (await call(people, cells, tmp_path)).items():
                tracks[name, language] = sound
    model = VoiceModel()
    outcomes = {key: outcome(sound, near[key[1]], model) for key, sound in tracks.items()}
    for (name, language), one in outcomes.items():
        path = CELLS[name][language]
        if path is None:
            assert one.raw_frames == 0, "nothing comes back from headphones"
        else:
            assert one.raw_frames > 10, "there is something to take out"
        if not one.in_time:
            measured(f"{name}, {language}: too busy to be judged")
            continue
        measured(f"{name}, {language}: {one.lost_frames} of {one.spoken_frames} frames of theirs lost")
        if path is None:
            continue
        back = returned(tracks[name, language], model)
        measured(
            f"{1000 * path.delay_s:.0f} ms, {path.level_db:.0f} dB: echo after {1000 * back.delay_s:.0f} ms, "
            f"known in {back.found_frames} frames, moved {back.moves} times, loop gain {back.loop_gain_db:.0f} dB, "
            f"{back.passed_frames} frames of ours passed of {one.raw_frames}"
        )
        if name == "asserted":
            assert back.level_db == pytest.approx(path.level_db, abs=2)
            assert back.likeness_pulled > ALIKE
            assert back.found_frames <= FOUND_FRAMES
            assert back.loop_gain_db < -20
            assert back.passed_frames == 0
            assert back.likeness_heard < ALIKE
    if all(outcomes["asserted", language].in_time for language in near):
        assert lost_percent(outcomes, "asserted") <= lost_percent(outcomes, "headphones") + 3


def lost_percent(outcomes: Mapping[tuple[str, str], Outcome], name: str) -> float:
    """Of what both said, how much no session heard."""
    both = [one for (call_name, _), one in outcomes.items() if call_name == name]
    return 100 * sum(one.lost_frames for one in both) / sum(one.spoken_frames for one in both)


def outcome(track: Track, near: Pcm, model: VoiceModel) -> Outcome:
    """Compares what the session heard with what the person said into a microphone that repeats `near`."""
    begins = track.opened + JUDGED_AFTER_FRAMES
    ends = track.opened + TALK_FRAMES
    pulled = joined(track.pulled[begins:ends])
    start = stimuli.found_at(pulled, np.concatenate((near, near)))
    before = JUDGED_AFTER_FRAMES * FRAME_SAMPLES  # for the detector, which has a memory
    said = np.resize(np.roll(near, before - start), before + len(pulled))
    person = voiced(said, model)[JUDGED_AFTER_FRAMES:]
    loud = levels_dbfs(said)[JUDGED_AFTER_FRAMES:] > SPEAKING_DBFS
    heard = voiced(joined(track.heard), model)[begins:ends]
    follows = track.heard[begins:ends].any(axis=1) & (heard | np.append(heard[1:], False))
    return Outcome(
        in_time=track.in_time,
        raw_frames=int(voiced(joined(track.pulled), model)[: track.opened].sum()),
        lost_frames=int((person & loud & ~follows).sum()),
        spoken_frames=int((person & loud).sum()),
    )


def returned(track: Track, model: VoiceModel) -> Returned:
    """What became of our own voice before the microphone was opened."""
    alone = slice(0, track.opened)
    sent, pulled, heard = track.sent[alone], track.pulled[alone], track.heard[alone]
    first = int(np.argmax(levels_dbfs(joined(pulled)) > HEARABLE_DBFS))
    kept_back = ~heard.any(axis=1) & (levels_dbfs(joined(pulled)) > HEARABLE_DBFS)
    up = int(np.argmax(kept_back)) if kept_back.any() else len(heard)
    delay_s = stimuli.lag_s(joined(sent), joined(pulled), SAMPLE_RATE_HZ)
    settled = slice(first + SETTLED_FRAMES, None)
    source = slice(first + SETTLED_FRAMES - round(delay_s / FRAME_S), len(sent) - round(delay_s / FRAME_S))
    sent_dbfs = level_dbfs(joined(sent[source]))
    excerpts = loudest(sent[source])
    return Returned(
        found_frames=up - first,
        delay_s=delay_s,
        moves=moves(sent, pulled),
        level_db=level_dbfs(joined(pulled[settled])) - sent_dbfs,
        loop_gain_db=level_dbfs(joined(heard[settled])) - sent_dbfs,
        passed_frames=int(voiced(joined(heard), model)[up + HANG_FRAMES :].sum()),
        likeness_pulled=min(stimuli.likeness(one, joined(pulled)) for one in excerpts),
        likeness_heard=max(stimuli.likeness(one, joined(heard[settled])) for one in excerpts),
    )


def moves(sent: Pcm, pulled: Pcm) -> int:
    """How often the delay of an echo changed, by the excerpts of [N, 1920] that are heard again unchanged."""
    delays_s = []
    for first in range(0, len(sent) - LATEST_FRAMES, EXCERPT_FRAMES // 2):
        said = joined(sent[first : first + EXCERPT_FRAMES])
        heard = joined(pulled[first : first + LATEST_FRAMES])
        if stimuli.likeness(said, heard) > ALIKE:
            delays_s.append(stimuli.found_at(said, heard) / SAMPLE_RATE_HZ)
    return int((np.abs(np.diff(delays_s)) > MOVED_S).sum())


def joined(frames: Pcm) -> Pcm:
    return frames.reshape(-1)


def levels_dbfs(pcm: Pcm) -> NDArray[np.float64]:
    """[N], frame by frame."""
    return np.array([level_dbfs(frame) for frame in pcm.reshape(-1, FRAME_SAMPLES)])


def loudest(frames: Pcm, count: int = 3) -> list[Pcm]:
    """The loudest excerpts of [N, 1920]."""
    excerpts = frames[: len(frames) // EXCERPT_FRAMES * EXCERPT_FRAMES].reshape(
        -1, EXCERPT_FRAMES * FRAME_SAMPLES
    )
    return [excerpts[index] for index in np.argsort(-np.sum(excerpts**2, axis=1))[:count]]


def microphone(path: File, pcm: Pcm) -> File:
    """A file of `pcm`, 24 kHz, for a browser."""
    return stimuli.write(path, np.asarray(soxr.resample(pcm, SAMPLE_RATE_HZ, MICROPHONE_RATE_HZ)))


@asynccontextmanager
async def in_room(person: Participant, path: Path | None) -> AsyncIterator[Participant]:
    """A page of `person`'s browser whose loudspeaker is heard by its microphone."""
    page = await person.context.new_page()
    room = {"delayS": path.delay_s, "gain": 10 ** (path.level_db / 20)} if path else {"delayS": 0, "gain": 0}
    await page.add_init_script(f"window.testRoom = {json.dumps(room)};")
    try:
        yield Participant(page, person.context)
    finally:
        await page.close()


async def call(people: Mapping[str, Participant], cells: Cells, folder: File) -> Mapping[str, Track]:
    """A call of two people, each in their room, by their language."""
    script = {"directions": {"en>es": says("es", folder), "es>en": says("en", folder)}}
    spec = EngineSpec(kind="scripted", options={"script": script})
    async with (
        hosted_meeting(spec, settings=replace(path_alone(), cancel_echo=True)) as hosted,
        in_room(people["es"], cells["es"]) as ana,
        in_room(people["en"], cells["en"]) as ben,
    ):
        await join(ana, hosted.link, "Ana", "es")
        await join(ben, hosted.link, "Ben", "en")
        await wait_until(ben, lambda: ticks(hosted) >= BEGINS_FRAMES + ALONE_FRAMES, 60)
        opened = ticks(hosted)
        for person in (ana, ben):
            await person.page.evaluate("() => window.testHooks.openMicrophone()")
        await wait_until(ben, lambda: ticks(hosted) >= opened + TALK_FRAMES, 60)
        ana_tap, ben_tap = hosted.taps.peers
        return {"es": track(hosted, "es", ana_tap, opened), "en": track(hosted, "en", ben_tap, opened)}


def says(language: str, folder: File) -> dict[str, object]:
    """The part of a script that speaks to people of `language`."""
    seconds = FRAME_S * (ALONE_FRAMES + TALK_FRAMES + 50)
    ours = talk(OURS[language], OUR_VOICES[language], seconds)
    path = stimuli.write(folder / f"to-{language}.wav", ours, SAMPLE_RATE_HZ)
    return {"cues": [{"at_frame": BEGINS_FRAMES, "sound": {"wav": str(path)}}]}


def ticks(hosted: HostedMeeting) -> int:
    """How many frames each session has heard."""
    return min((len(tap.heard.frames) for tap in hosted.engine.sessions[-2:]), default=0)


def track(hosted: HostedMeeting, language: str, peer: PeerTap, opened: int) -> Track:
    [session] = [tap for tap in hosted.engine.sessions if tap.prompt.language_in == language]
    # What is pulled is fed at once, so both end with the same tick; a session may hear silence before there is a track.
    frames = min(len(session.heard.frames), len(peer.pulled.frames))
    grid = hosted.engine.grid
    pulled_ticks = [round((at_s - grid.origin_s) / FRAME_S) for at_s in peer.pulled.at_s[-frames:]]
    played = dict(zip(peer.play_ticks, peer.ready.frames, strict=True))
    silence = np.zeros(FRAME_SAMPLES, dtype=np.float32)
    return Track(
        sent=np.stack([played.get(tick, silence) for tick in pulled_ticks]),
        pulled=np.stack(peer.pulled.frames[-frames:]),
        heard=np.stack(session.heard.frames[-frames:]),
        opened=opened - len(session.heard.frames) + frames,
        in_time=kept_time(hosted) and steady(peer.incoming[-frames + BEGINS_FRAMES :]),
    )


def steady(frames: Sequence[IncomingFrame]) -> bool:
    """Whether a track's frames follow one another as they were sent."""
    captured_s = np.array([frame.captured_at_s for frame in frames])
    slips_s = np.abs(np.diff(captured_s) - FRAME_S)
    return bool(slips_s.max() < STEADY_S) and not any(frame.concealed_samples for frame in frames)
