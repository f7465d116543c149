"""Whether a run was as its scenario expects: one verdict for each expectation and invariant, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from interpreter.floor.floor import FloorEventKind
from interpreter.record.transcript import Mark
from interpreter.roles.role import ScriptId
from scenarios.replay import Replayed
from scenarios.run_log import HeardWord, RunLog, mix_sound, rendering_sound
from scenarios.scenario_checks import rendered_languages
from scenarios.scenario_file import Expectation, Scenario
from scenarios.scores.alignment import align
from scenarios.told import scripts_told
from scenarios.voicing import Span
from scenarios.wording import faults_of_words
from webrtc.room import SAMPLE_RATE_HZ, Pcm

SLACK_S = 0.1
"""A frame and a little: what a moment may lie beside its limit for being heard in whole frames."""

SILENT_S = 0.35
"""A rendering that is silent for so long has stopped: longer than the pauses between its words."""

CLIPPED = 0.999
OWN_SHARE = 0.3
"""Of what is said for somebody, that may be found again in what they hear: voices are somewhat alike by chance."""

TO_ALL: tuple[ScriptId, ...] = (
    "opening",
    "reminder",
    "closing",
    "paused",
    "resumed",
    "human_requested",
    "captions_only",
)
"""Scripts that everybody is told."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one expectation or invariant came to."""

    name: str
    """Such as `p1: begin_within`."""

    wrong: tuple[str, ...] = ()
    """What is wrong, in words; nothing where it is as expected."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong


def judge(scenario: Scenario, run: Replayed) -> list[Verdict]:
    """One verdict for each expectation and each invariant, in the order of the file."""
    verdicts = [_expected(scenario, run, one) for one in scenario.expect]
    return [*verdicts, *_invariants(scenario, run)]


def _expected(scenario: Scenario, run: Replayed, one: Expectation) -> Verdict:
    wrong: list[str] = []
    if one.checks_rendering:
        wrong += _rendered(scenario, run, one)
    for check in (_yields, _resumes, _ignored_backchannel, _silent, _announced, _human, _refused):
        wrong += check(scenario, run, one)
    return Verdict(name=one.of, wrong=tuple(wrong))


# What is rendered ---------------------------------------------------------------------------------------------------


def _rendered(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    item = scenario.item(one.of)
    said = next((utterance for utterance in run.log.utterances if utterance.id == one.of), None)
    if said is None:
        yield f"expected {one.of} to be said, got nothing"
        return
    listeners = [one.to] if one.to else list(scenario.listeners(item))
    languages = dict.fromkeys(scenario.participants[name].primary_language for name in listeners)
    for language in languages:
        words = words_of_utterance(run.log, item.by or "", language, one.of)
        heard = [word for word in words if Mark.CAPTIONS_ONLY not in word.marks]
        if not words:
            yield f"expected a rendering in {language}, got none"
            continue
        if one.captions_only and heard:
            yield f"expected captions only in {language}, got sound at {heard[0].start_s:.2f} s"
        if not one.captions_only and not heard:
            yield f"expected a rendering to hear in {language}, got captions only"
        yield from _timed(one, said.span, heard or words)
        if one.checks_words:
            text = " ".join(word.text for word in last_telling(words))
            yield from (f"{language}: {fault}" for fault in faults_of_words(one, text, language))


def _timed(one: Expectation, said: Span, words: Sequence[HeardWord]) -> Iterator[str]:
    begun_s, ended_s = words[0].start_s, words[-1].end_s
    counted_s = said.start_s if one.counted_from == "start" else said.end_s
    if one.begin_within is not None and begun_s - counted_s > one.begin_within.s + SLACK_S:
        yield f"expected it to begin within {one.begin_within.s:g} s, got {begun_s - counted_s:.2f} s"
    if one.not_before == "end" and begun_s < said.end_s - SLACK_S:
        yield f"expected it to begin after the turn, got {said.end_s - begun_s:.2f} s before its end"
    if one.end_within is not None and ended_s - said.end_s > one.end_within.s + SLACK_S:
        yield f"expected it to end within {one.end_within.s:g} s, got {ended_s - said.end_s:.2f} s"


def words_of_utterance(log: RunLog, speaker: str, language: str, utterance_id: str) -> list[HeardWord]:
    """What was said for an utterance, in order of time; found by its text where no word names what it renders."""
    rendering = log.rendering(speaker, language)
    if rendering is None:
        return []
    return [one.word for one in align(log, rendering).by_utterance.get(utterance_id, ())]


def last_telling(words: Sequence[HeardWord]) -> Sequence[HeardWord]:
    """What was said, without what was cut and then said again from its start."""
    first = words[0]
    again = [
        n
        for n, word in enumerate(words)
        if n and word.source_word == first.source_word and word.text == first.text
    ]
    # The same word may begin two phrases; only one that starts it all over again goes back in the source.
    restarts = [n for n in again if (words[n - 1].source_word or 0) > (first.source_word or 0)]
    return words[restarts[-1] :] if restarts else words


# What is done -------------------------------------------------------------------------------------------------------


def _yields(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.yields is None:
        return
    start_s, listener = run.moments.starts[one.of], scenario.item(one.of).by or ""
    sounding = [
        span for span in spurts_to(run.log, scenario, listener) if span.start_s < start_s < span.end_s
    ]
    if not sounding:
        yield f"expected a rendering to {listener} at {start_s:.2f} s to give way, got none"
        return
    late_s = max(span.end_s for span in sounding) - start_s
    if late_s > one.yields.s + SLACK_S:
        yield f"expected it to stop within {one.yields.s:g} s, got {late_s:.2f} s"


def _resumes(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.resumes_within is None:
        return
    end_s = run.moments.ends[one.of]
    for language in rendered_languages(scenario, scenario.item(one.of)):
        told_s = run.moments.rendering_ends.get((one.of, language))
        if told_s is None or told_s > end_s + one.resumes_within.s + SLACK_S:
            when = "never" if told_s is None else f"{told_s - end_s:.2f} s"
            yield f"expected it to be said to its end within {one.resumes_within.s:g} s, got {when}"


def _ignored_backchannel(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.ignored_backchannel is None:
        return
    start_s, listener = run.moments.starts[one.of], scenario.item(one.of).by or ""
    sounding = [
        span for span in spurts_to(run.log, scenario, listener) if span.start_s < start_s < span.end_s
    ]
    if not sounding:
        yield f"expected a rendering to {listener} at {start_s:.2f} s, got none"
    until_s = start_s + one.ignored_backchannel.s + SLACK_S
    cuts = [
        moment
        for moment in run.log.floor or ()
        if moment.kind is FloorEventKind.CUT and moment.by == listener and start_s <= moment.at_s <= until_s
    ]
    if cuts:
        yield f"expected the rendering to go on, got it cut {cuts[0].at_s - start_s:.2f} s after the backchannel began"


def _silent(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.silence is None:
        return
    from_s = run.moments.ends[one.of] + one.silence.within.s + SLACK_S
    until_s = from_s + one.silence.hold.s - SLACK_S
    listeners = [one.to] if one.to else list(scenario.participants)
    for listener in listeners:
        for span in spurts_to(run.log, scenario, listener):
            if span.end_s > from_s and span.start_s < until_s:
                yield (
                    f"expected silence for {listener} from {from_s:.2f} to {until_s:.2f} s, got a rendering from "
                    f"{span.start_s:.2f} to {span.end_s:.2f} s"
                )
                return


def _announced(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.announcement is None:
        return
    from_s = run.moments.ends[one.of]
    listeners = [one.to] if one.to else list(scenario.participants)
    for listener in listeners:
        language = scenario.participants[listener].primary_language
        ends = [
            end_s
            for end_s in told(run, one.announcement.script, listener, language)
            if from_s - SLACK_S <= end_s <= from_s + one.announcement.within.s + SLACK_S
        ]
        if not ends:
            yield (
                f"expected {one.announcement.script} to be said to {listener} within "
                f"{one.announcement.within.s:g} s, got nothing"
            )


def _human(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if one.human_asked and (
        run.human_asked_s is None or run.human_asked_s < run.moments.starts[one.of] - SLACK_S
    ):
        yield "expected a human interpreter to be asked for, got no such thing"


def _refused(scenario: Scenario, run: Replayed, one: Expectation) -> Iterator[str]:
    if not one.refused:
        return
    at_s = run.moments.starts[one.of]
    if not any(given.refused and abs(given.at_s - at_s) < SLACK_S for given in run.log.commands):
        yield "expected the command to be refused, got it carried out"


# What holds over the whole run --------------------------------------------------------------------------------------


def _invariants(scenario: Scenario, run: Replayed) -> Iterator[Verdict]:
    invariants = scenario.invariants
    checks: list[tuple[str, bool, Callable[[Scenario, Replayed], Iterator[str]]]] = [
        ("disclosure", invariants.disclosure is not None, _disclosed),
        ("reminded_every", invariants.reminded_every is not None, _reminded),
        ("nobody_hears_own_language", invariants.nobody_hears_own_language, _no_echo),
        ("both_sides_told", invariants.both_sides_told, _both_told),
        ("no_clipping", invariants.no_clipping, _not_clipped),
        ("max_drift", invariants.max_drift is not None, _no_drift),
    ]
    for name, wanted, check in checks:
        if wanted:
            yield Verdict(name=name, wrong=tuple(check(scenario, run)))


def _disclosed(scenario: Scenario, run: Replayed) -> Iterator[str]:
    wanted = scenario.invariants.disclosure
    assert wanted is not None
    opening = run.role.disclosure.opening
    for language in wanted.languages:
        people = [name for name, one in scenario.participants.items() if one.primary_language == language]
        ends = [end_s for name in people for end_s in told(run, opening, name, language)]
        if not ends or min(ends) > wanted.within.s + SLACK_S:
            when = f"{min(ends):.1f} s" if ends else "nothing"
            yield f"expected people to be told in {language} within {wanted.within.s:g} s, got {when}"


def _reminded(scenario: Scenario, run: Replayed) -> Iterator[str]:
    wanted = scenario.invariants.reminded_every
    assert wanted is not None
    for name, person in scenario.participants.items():
        opening = told(run, run.role.disclosure.opening, name, person.primary_language)
        begun = opening or [0.0]  # without an opening, nobody has been told since the beginning
        times = sorted([*begun, *told(run, "reminder", name, person.primary_language), run.log.duration_s])
        gaps = [b - a for a, b in zip(times, times[1:], strict=False)]
        if gaps and max(gaps) > wanted.s + 15.0:  # a reminder waits for a pause, and takes its time
            yield f"expected {name} to be reminded every {wanted.s:g} s, got nothing for {max(gaps):.0f} s"


def _no_echo(scenario: Scenario, run: Replayed) -> Iterator[str]:
    for name, person in scenario.participants.items():
        mixed = run.log.sounds.get(mix_sound(name))
        for language in scenario.languages:
            own = run.log.sounds.get(rendering_sound(name, language))
            if mixed is None or own is None or language == person.primary_language:
                continue
            if _share_of(own, mixed) > OWN_SHARE:
                yield f"expected {name} not to hear their own rendering in {language}, got it"


def _share_of(wanted: Pcm, mixed: Pcm) -> float:
    """How much of `wanted` is in `mixed`, where it sounds: its projection, at any lag of up to 20 ms."""
    length = min(len(wanted), len(mixed))
    energy = float(np.dot(wanted[:length], wanted[:length]))
    if energy == 0.0:
        return 0.0
    most = SAMPLE_RATE_HZ // 50
    size = 1 << int(np.ceil(np.log2(2 * length)))
    products = np.fft.irfft(
        np.fft.rfft(mixed[:length], size) * np.conj(np.fft.rfft(wanted[:length], size)), size
    )
    return float(np.max(np.abs(products[:most]))) / energy


def _both_told(scenario: Scenario, run: Replayed) -> Iterator[str]:
    for script_id in TO_ALL:
        languages = {
            person.primary_language
            for name, person in scenario.participants.items()
            if told(run, script_id, name, person.primary_language)
        }
        present = set(scenario.languages)
        if languages and languages != present:
            yield f"expected {script_id} in {', '.join(sorted(present))}, got it in {', '.join(sorted(languages))}"


def _not_clipped(scenario: Scenario, run: Replayed) -> Iterator[str]:
    for name in scenario.participants:
        mixed = run.log.sounds.get(mix_sound(name))
        if mixed is not None and mixed.size and float(np.abs(mixed).max()) >= CLIPPED:
            yield f"expected what {name} hears to stay below full scale, got it there"


def _no_drift(scenario: Scenario, run: Replayed) -> Iterator[str]:
    wanted = scenario.invariants.max_drift
    assert wanted is not None
    lags = []
    for utterance in run.log.utterances:
        for language in scenario.languages:
            words = words_of_utterance(run.log, utterance.speaker_id, language, utterance.id)
            if words:
                lags.append(words[0].start_s - utterance.span.start_s)
    third = len(lags) // 3
    if third == 0:
        yield f"expected renderings enough to compare, got {len(lags)}"
        return
    drift_s = float(np.median(lags[-third:]) - np.median(lags[:third]))
    if drift_s > wanted.s + SLACK_S:
        yield f"expected a drift of at most {wanted.s:g} s, got {drift_s:.2f} s"


# Words and sounds ---------------------------------------------------------------------------------------------------


def told(run: Replayed, script_id: ScriptId, listener: str, language: str) -> list[float]:
    """When somebody had been told a script whole: the times of its last sounds."""
    mine = [one for one in run.log.announcements if one.listener_id == listener]
    texts = [one.text for one in mine]
    return [
        one.span.end_s
        for n, one in enumerate(mine, start=1)
        if script_id in scripts_told(run.role, language, texts[:n])
    ]


def spurts_to(log: RunLog, scenario: Scenario, listener: str) -> list[Span]:
    """When somebody hears the interpreter render: stretches with no pause of `SILENT_S`."""
    language = scenario.participants[listener].primary_language
    spans = sorted(
        (
            span
            for rendering in log.renderings
            if rendering.language_out == language and listener in rendering.listener_ids
            for span in rendering.spurts
        ),
        key=lambda span: span.start_s,
    )
    joined: list[Span] = []
    for span in spans:
        if joined and span.start_s - joined[-1].end_s < SILENT_S:
            joined[-1] = Span(start_s=joined[-1].start_s, end_s=max(joined[-1].end_s, span.end_s))
        else:
            joined.append(span)
    return joined
