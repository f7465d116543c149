"""A run drawn over time, as SVG: a lane for each person and each rendering, with words, yields and notices. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from math import inf

import numpy as np

from interpreter.floor.floor import FloorEventKind
from interpreter.record.transcript import Mark
from scenarios.run_log import FloorMoment, RunLog, original_sound, rendering_sound
from webrtc.room import SAMPLE_RATE_HZ, Pcm

SECOND_PX = 64
LANE_PX = 92
HEAD_PX = 24
LEFT_PX = 8
_PEAK_S = 0.05
_WAVE_PX = 18  # half the height of a waveform
_ROWS = 3  # of words: each stands in the first in which it does not lie on the one before
_ROW_PX = 12
_LETTER_PX = 6.2
_PRINTED_S = 11  # of a strip on paper

_WORDS = {
    FloorEventKind.DUCKED: "lowered",
    FloorEventKind.RESTORED: "restored",
    FloorEventKind.CUT: "cut",
    FloorEventKind.GOES_ON: "goes on",
    FloorEventKind.LOST: "lost",
    FloorEventKind.PAUSE_WANTED: "asks for a pause",
    FloorEventKind.FULL: "full",
}


LEGEND = (
    '<p class="legend soft"><i class="voice"></i>a person <i class="rendering"></i>said for them '
    '<i class="notice"></i>the interpreter as itself <i class="ducked"></i>lowered '
    '<i class="mark"></i>what the floor did <span>[in brackets]</span> only to be read</p>'
)
"""What the colours mean."""


def timeline(run: RunLog) -> str:
    """The drawing in a box that scrolls, beside names that do not; on paper, cut into strips."""
    drawn = [*_people(run), *_renderings(run)]
    width = LEFT_PX + round(run.duration_s * SECOND_PX)
    height = HEAD_PX + LANE_PX * len(drawn)
    lanes = "".join(
        f'<g transform="translate({LEFT_PX} {HEAD_PX + LANE_PX * n})">{lane}</g>'
        for n, (_, lane) in enumerate(drawn)
    )
    names = "".join(
        f'<text class="lane" x="{LEFT_PX}" y="{HEAD_PX + LANE_PX * n + 12}">{escape(name)}</text>'
        for n, (name, _) in enumerate(drawn)
    )
    label = escape(
        f"Timeline of {run.scenario_id}: {len(drawn)} lanes, {run.duration_s:.0f} seconds", quote=True
    )
    return (
        f'<div class="lanes" role="region" tabindex="0" aria-label="Timeline, scrolls">'
        f'<svg class="names" width="1" height="{height}" aria-hidden="true"><g id="names">{names}</g></svg>'
        f'<svg role="img" aria-label="{label}" width="{width}" height="{height}">'
        f'<g id="drawing">{_grid(run.duration_s, height)}{lanes}</g></svg></div>'
        f'<div class="strips" aria-hidden="true">{_strips(width, height)}</div>'
    )


def _strips(width: int, height: int) -> str:
    strip = _PRINTED_S * SECOND_PX + LEFT_PX
    return "".join(
        f'<svg viewBox="{x} 0 {strip} {height}"><use href="#drawing"/><use href="#names" x="{x}"/></svg>'
        for x in range(0, width, _PRINTED_S * SECOND_PX)
    )


def _grid(duration_s: float, height: int) -> str:
    lines = (
        f'<line class="grid" x1="{x}" x2="{x}" y1="{HEAD_PX - 6}" y2="{height}"/>'
        f'<text x="{x + 2}" y="{HEAD_PX - 10}">{second} s</text>'
        for second in range(0, int(duration_s) + 1)
        for x in (LEFT_PX + second * SECOND_PX,)
    )
    return "".join(lines)


def _people(run: RunLog) -> Iterator[tuple[str, str]]:
    """Name of a lane, and what is in it."""
    for person in run.people:
        words = ((word.start_s, word.text) for one in run.said_by(person.id) for word in one.words)
        notices = "".join(
            _box("notice", one.span.start_s, one.span.end_s, one.text)
            for one in run.announcements
            if one.listener_id == person.id
        )
        lane = _lane("voice", run.sounds.get(original_sound(person.id)), words, notices)
        yield f"{person.id} ({person.language})", lane


def _renderings(run: RunLog) -> Iterator[tuple[str, str]]:
    for one in run.renderings:
        words = (
            (word.start_s, f"[{word.text}]" if Mark.CAPTIONS_ONLY in word.marks else word.text)
            for word in one.words
        )
        moments = [
            moment
            for moment in run.floor or ()
            if (moment.speaker_id, moment.language_out) == (one.speaker_id, one.language_out)
        ]
        sound = run.sounds.get(rendering_sound(one.speaker_id, one.language_out))
        listeners = ", ".join(one.listener_ids) or "nobody"
        yield (
            f"{one.speaker_id} in {one.language_out}, for {listeners}",
            _lane("rendering", sound, words, _floor(moments)),
        )


def _floor(moments: Iterable[FloorMoment]) -> str:
    """Marks of what happened, and boxes of when the rendering was lowered."""
    drawn: list[str] = []
    ducked_s: float | None = None
    for moment in moments:
        if moment.kind is FloorEventKind.DUCKED:
            ducked_s = moment.at_s
        elif ducked_s is not None and moment.kind in (FloorEventKind.RESTORED, FloorEventKind.CUT):
            drawn.append(_box("ducked", ducked_s, moment.at_s, "lowered"))
            ducked_s = None
        if moment.kind in (FloorEventKind.DUCKED, FloorEventKind.RESTORED):
            continue
        x = moment.at_s * SECOND_PX
        by = f" by {moment.by}" if moment.by and moment.kind is FloorEventKind.CUT else ""
        drawn.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="16" y2="56"/>'
            f'<text class="mark-text" x="{x + 3:.1f}" y="26">{escape(_WORDS[moment.kind] + by)}</text>'
        )
    return "".join(drawn)


def _box(kind: str, start_s: float, end_s: float, title: str) -> str:
    """A box with its words in it as far as they fit, and whole where a mouse rests on it."""
    x, width = start_s * SECOND_PX, max(1.0, (end_s - start_s) * SECOND_PX)
    fits = int((width - 8) / _LETTER_PX)
    words = title if len(title) <= fits else f"{title[: max(0, fits - 1)]}…"
    text = f'<text class="in-box" x="{x + 4:.1f}" y="40">{escape(words)}</text>' if fits > 2 else ""
    return (
        f'<g><title>{escape(title)}</title><rect class="{kind}" x="{x:.1f}" y="18" width="{width:.1f}" height="36"/>'
        f"{text if kind == 'notice' else ''}</g>"
    )


def _lane(kind: str, pcm: Pcm | None, words: Iterable[tuple[float, str]], marks: str) -> str:
    free = [-inf] * _ROWS  # up to where each row is taken
    texts = []
    for at_s, text in words:
        x = at_s * SECOND_PX
        row = next((n for n in range(_ROWS) if free[n] <= x), free.index(min(free)))
        x = max(x, free[row])
        free[row] = x + _LETTER_PX * (len(text) + 1)
        texts.append(f'<text x="{x:.1f}" y="{63 + _ROW_PX * row}">{escape(text)}</text>')
    wave = "" if pcm is None else f'<path class="{kind}" d="{_wave(pcm)}"/>'
    return f"{marks}{wave}{''.join(texts)}"


def _wave(pcm: Pcm) -> str:
    """The outline of the peaks, around the middle of the lane; nothing where it is silent."""
    step = round(_PEAK_S * SAMPLE_RATE_HZ)
    whole = pcm[: len(pcm) // step * step].reshape(-1, step)
    peaks = np.abs(whole).max(axis=1) if whole.size else np.zeros(0, dtype=np.float32)
    # A square root, so that soft speech is seen beside loud.
    heights = _WAVE_PX * np.sqrt(np.minimum(peaks, 1.0))
    px = _PEAK_S * SECOND_PX
    bars = (
        f"M{n * px:.1f} {36 - height:.1f}h{px:.1f}v{2 * height:.1f}h-{px:.1f}z"
        for n, height in enumerate(heights.tolist())
        if height >= 0.5
    )
    return "".join(bars)
