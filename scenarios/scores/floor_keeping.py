"""How a rendering behaves under a listener's voice, with the names and windows of tau-voice. Pure.

    listener    ....|########################|..............
                    onset                    end
    rendering   ########|__________________________|######
                    |<->|                    |<--->|
                    yield latency            resume latency

An **interruption** is yielded to when the rendering falls silent within 2.0 s of its onset. A **backchannel** is
ignored when it does not within 1.0 s. Only voices that begin while the rendering is heard count: at any other moment
there is nothing to keep.

What a floor says of itself (`RunLog.floor`) decides whether it was that voice that stopped the rendering; then no
backchannel may ever do it. Where nothing is said, any silence of half a second is a stop, and a sentence that happened
to end counts too: the note tells.

What a floor keeps for later is heard later: **held** is how long, of every word that renders something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from interpreter.floor.floor import FloorEventKind
from scenarios.run_log import FloorMoment, Rendering, RunLog, SaidUtterance
from scenarios.scores.bench_v15 import merged
from scenarios.scores.score import Score, median, not_scored, quantile, share
from scenarios.timeline import Kind
from scenarios.voicing import Span

YIELD_S = 2.0
BACKCHANNEL_S = 1.0
_SILENCE_S = 0.5
_SLACK_S = 0.05  # between a voice's first sound and the moment its detector dates it to


@dataclass(frozen=True, kw_only=True)
class Encounter:
    """A listener's voice over a rendering."""

    utterance: SaidUtterance
    rendering: Rendering
    stop_s: float | None
    """From the voice's onset to the rendering's last sound; None where it did not fall silent in the window."""

    resume_s: float | None
    """From the voice's end to the rendering's next sound; None where it had not stopped, or said no more."""


def encounters(run: RunLog, kind: Kind, window_s: float) -> tuple[Encounter, ...]:
    """All voices of a kind over renderings that their speakers were listening to."""
    return tuple(
        _encounter(run, utterance, rendering, window_s)
        for utterance in run.utterances
        if utterance.kind is kind
        for rendering in run.renderings
        if utterance.speaker_id in rendering.listener_ids
        and _running(rendering, utterance.span.start_s) is not None
    )


def floor_scores(runs: Sequence[RunLog]) -> list[Score]:
    """Yield rate and latencies of interruptions, selectivity of backchannels, and the rate of take-overs."""
    interruptions = [one for run in runs for one in encounters(run, Kind.INTERRUPTION, YIELD_S)]
    backchannels = [one for run in runs for one in encounters(run, Kind.BACKCHANNEL, BACKCHANNEL_S)]
    take_overs = [one for run in runs for one in _take_overs(run)]
    note = "stops told by silence alone" if any(run.floor is None for run in runs) else ""
    stops = [one.stop_s for one in interruptions if one.stop_s is not None]
    resumes = [one.resume_s for one in interruptions if one.resume_s is not None]
    return [
        share("floor.yield", [one.stop_s is not None for one in interruptions], note=note),
        median("floor.yield_latency.p50", stops, "s", note=note),
        quantile("floor.yield_latency.p95", stops, 0.95, "s", note=note),
        median("floor.resume_latency.p50", resumes, "s", note=note),
        quantile("floor.resume_latency.p95", resumes, 0.95, "s", note=note),
        share("floor.backchannel_selectivity", [one.stop_s is None for one in backchannels], note=note),
        share(
            "floor.take_over",
            take_overs,
            note="renderings begun over a voice that is not their speaker's",
        ),
        *_held_scores(runs),
    ]


def _held_scores(runs: Sequence[RunLog]) -> list[Score]:
    words = [word for run in runs for one in run.renderings for word in one.words if not word.as_self]
    held = [word.held_s for word in words if word.held_s is not None]
    names = {"floor.held.p50": 0.5, "floor.held.p95": 0.95, "floor.held.max": 1.0}
    if words and not held:
        return [not_scored(name, "s", "nothing tells what was held back") for name in names]
    return [quantile(name, held, q, "s") for name, q in names.items()]


def _encounter(run: RunLog, utterance: SaidUtterance, rendering: Rendering, window_s: float) -> Encounter:
    onset_s = utterance.span.start_s
    stopped_s = _stopped_at(run.floor, utterance, rendering, onset_s + window_s)
    resumed_s = None
    if stopped_s is not None:
        resumed_s = next((one.start_s for one in rendering.spurts if one.start_s > stopped_s), None)
    return Encounter(
        utterance=utterance,
        rendering=rendering,
        stop_s=None if stopped_s is None else stopped_s - onset_s,
        resume_s=None if resumed_s is None else resumed_s - utterance.span.end_s,
    )


def _stopped_at(
    floor: Sequence[FloorMoment] | None, utterance: SaidUtterance, rendering: Rendering, until_s: float
) -> float | None:
    """When the rendering fell silent for that voice, by `until_s`."""
    onset_s = utterance.span.start_s
    if floor is None:
        running = next(
            one for one in merged(rendering.spurts, _SILENCE_S) if one.start_s <= onset_s < one.end_s
        )
        return running.end_s if running.end_s <= until_s else None
    cut = next((one for one in floor if _is_cut_by(one, utterance, rendering)), None)
    if cut is None:
        return None
    running_at_cut = _running(rendering, cut.at_s)
    stopped_s = cut.at_s if running_at_cut is None else running_at_cut.end_s
    return stopped_s if stopped_s <= until_s or utterance.kind is Kind.BACKCHANNEL else None


def _is_cut_by(moment: FloorMoment, utterance: SaidUtterance, rendering: Rendering) -> bool:
    return (
        moment.kind is FloorEventKind.CUT
        and moment.by == utterance.speaker_id
        and (moment.speaker_id, moment.language_out) == (rendering.speaker_id, rendering.language_out)
        and utterance.span.start_s - _SLACK_S <= moment.at_s <= utterance.span.end_s + YIELD_S
    )


def _running(rendering: Rendering, at_s: float) -> Span | None:
    """The stretch of the rendering that is heard at a moment, pauses between its words included."""
    running = merged(rendering.spurts, _SILENCE_S)
    return next((one for one in running if one.start_s <= at_s < one.end_s), None)


def _take_overs(run: RunLog) -> list[bool]:
    """For every spurt of a rendering that begins anew: whether one of its listeners was talking."""
    people = {person.id: person.spurts for person in run.people}
    return [
        any(
            voice.start_s < spurt.start_s < voice.end_s
            for listener_id in rendering.listener_ids
            for voice in people.get(listener_id, ())
        )
        for rendering in run.renderings
        for spurt in merged(rendering.spurts, _SILENCE_S)
    ]
