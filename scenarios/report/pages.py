"""The pages of a report: HTML that needs no other file and no network, and is readable in print."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

import soundfile  # type: ignore[import-untyped]

from scenarios.outcome import Outcome, Result
from scenarios.report.lanes import LEGEND, timeline
from scenarios.report.tables import score_table, table, verdict_table
from scenarios.run_log import RunLog
from scenarios.scenario_file import Scenario
from scenarios.scores.score import Score
from webrtc.room import SAMPLE_RATE_HZ, Pcm

OPUS_LEVEL = 0.94
"""libsndfile's compression level: some 16 kbit/s for speech, and less than 24 even for tones, which take the most."""

_SOUND_WORDS = {"mix": "Heard by {}", "original": "Voice of {}", "rendering": "Said for {}"}
_HEADS = (("Scenario", False), ("Result", False), ("What was wrong", False), ("Seconds", True))


def scenario_page(scenario: Scenario, outcome: Outcome, run: RunLog, before: Mapping[str, Score]) -> str:
    """The page of one scenario.

    Args:
        scenario: what was replayed.
        outcome: what came of it.
        run: the log, with its sounds.
        before: the figures of an earlier run by name; empty where there is none.
    """
    result = outcome.result.value
    wrong = "".join(f"<li>{escape(words)}</li>" for words in outcome.wrong)
    body = (
        f"<h1>{escape(scenario.title)}</h1>"
        f'<p><span class="badge {result}">{result}</span> <span class="soft">{escape(scenario.id)}, '
        f"{outcome.duration_s:.1f} s, catches {escape(scenario.catches.value if scenario.catches else 'nothing')}"
        f"</span></p>"
        f"<p>{escape(scenario.about or '')}</p>"
        + (f'<ul class="wrong">{wrong}</ul>' if wrong else "")
        + f"<h2>Timeline</h2>{LEGEND}{timeline(run)}"
        + f'<h2 class="sounds-head">Sound</h2><div class="sounds">{"".join(_sounds(run))}</div>'
        + f"<h2>Expectations</h2>{verdict_table(scenario, outcome)}"
        + f"<h2>Figures</h2>{score_table(outcome.scores, before, scenario.thresholds)}"
    )
    return _page(f"{scenario.id}: {result}", body)


def index_page(
    outcomes: Sequence[Outcome],
    about: Mapping[str, object],
    scores: Sequence[Score] = (),
    before: Mapping[str, Score] | None = None,
) -> str:
    """The page that leads to all others, which lie in folders named like their scenarios.

    Args:
        outcomes: of all scenarios.
        about: what the runs depend on beside their scenarios.
        scores: of all runs together; empty where there is none that says anything.
        before: those of an earlier replay by name.
    """
    counts = {result: sum(one.result is result for one in outcomes) for result in Result}
    summary = ", ".join(
        f'<span class="{result.value}">{n} {result.value}</span>' for result, n in counts.items() if n
    )
    results = "".join(f'<option value="{one.value}">{one.value}</option>' for one in Result)
    tags = "".join(
        f'<option value="{escape(tag, quote=True)}">{escape(tag)}</option>'
        for tag in sorted({tag for one in outcomes for tag in one.tags})
    )
    facts = "".join(
        f"<div><dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in sorted(about.items())
    )
    body = (
        f'<h1>Scenarios</h1><p>{summary}</p><dl class="soft">{facts}</dl>'
        f'<form><label>Result <select name="result"><option value="">any</option>{results}</select></label>'
        f'<label>Tag <select name="tag"><option value="">any</option>{tags}</select></label>'
        f'<label>Words <input name="words" type="search"></label><span id="count" role="status"></span></form>'
        f"{table('Scenarios', _HEADS, map(_row, outcomes))}"
        + (f"<h2>Figures of all runs together</h2>{score_table(scores, before or {})}" if scores else "")
    )
    return _page("Scenarios", body, script=_file("filter.js"))


def _row(one: Outcome) -> str:
    result = one.result.value
    wrong = [one.invalid] if one.invalid else one.wrong
    link = (
        escape(one.title)
        if one.invalid
        else f'<a href="{escape(one.id)}/report.html">{escape(one.title)}</a>'
    )
    return (
        f'<tr data-result="{result}" data-tags="{escape(" ".join(one.tags), quote=True)}">'
        f'<td>{link}<br><span class="soft">{escape(one.id)}</span></td><td><span class="badge {result}">{result}</span>'
        f"</td><td>{'<br>'.join(escape(words) for words in wrong)}</td>"
        f'<td class="number">{one.duration_s:.1f}</td></tr>'
    )


def _sounds(run: RunLog) -> Iterable[str]:
    for name in sorted(run.sounds):
        kind, _, whose = name.partition("/")
        words = _SOUND_WORDS[kind].format(whose.replace("/", ", in "))
        pcm = run.sounds[name]
        if pcm.size and pcm.any():
            data = base64.b64encode(opus(pcm)).decode()
            yield (
                f'<figure style="margin:0"><figcaption>{escape(words)}</figcaption>'
                f'<audio controls preload="none" src="data:audio/ogg;base64,{data}"></audio></figure>'
            )


def opus(pcm: Pcm) -> bytes:
    """An Ogg Opus file of pcm [T], 24 kHz."""
    file = io.BytesIO()
    soundfile.write(file, pcm, SAMPLE_RATE_HZ, format="OGG", subtype="OPUS", compression_level=OPUS_LEVEL)
    return file.getvalue()


def _page(title: str, body: str, *, script: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_file('style.css')}</style></head><body><main>{body}</main>"
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
