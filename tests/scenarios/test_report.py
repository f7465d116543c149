"""Pages of a report: whole in one file, well-formed, and harmless whatever people, files and engines say."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from interpreter.floor.floor import FloorEventKind
from scenarios.judge import Verdict
from scenarios.outcome import Outcome
from scenarios.report.lanes import timeline
from scenarios.report.pages import index_page, opus, scenario_page
from scenarios.report.tables import score_table, verdict_table, wanted_of
from scenarios.run_log import FloorMoment, RunLog, mix_sound, original_sound, rendering_sound
from scenarios.scenario_file import Bounds, Scenario
from scenarios.schema import PACKAGED, load_scenario, load_scenarios
from scenarios.scores.score import Score
from tests.scenarios.runs import run, small, told, tone, words
from webrtc.room import Pcm

HOSTILE = '<script>alert("x")</script>\'"&<img src=x onerror=alert(1)>'
VOID = {"meta", "input", "br"}
EMPTY_SVG = {"line", "rect", "path", "use"}


class Page(HTMLParser):
    """What a browser makes of a page; an error where elements are not closed as they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in EMPTY_SVG | VOID
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_run() -> RunLog:
    log = run(words("Tome quince miligramos.", 4.0), announcements=told("paused", 8.0)).log
    rendering = replace(
        log.renderings[0],
        words=(replace(log.renderings[0].words[0], text=HOSTILE), *log.renderings[0].words[1:]),
    )
    moments = [
        FloorMoment(kind=kind, at_s=at_s, speaker_id="doctor", language_out="es", by=HOSTILE, onset_s=at_s)
        for kind, at_s in ((FloorEventKind.DUCKED, 5.0), (FloorEventKind.CUT, 6.0))
    ]
    return replace(
        log,
        renderings=(rendering,),
        announcements=tuple(replace(one, text=HOSTILE) for one in log.announcements),
        floor=tuple(moments),
        sounds={
            original_sound("doctor"): tone(3.0, 0.1),
            rendering_sound("doctor", "es"): tone(3.0, 0.1),
            mix_sound("patient"): np.zeros(24_000, dtype=np.float32),
        },
    )


OUTCOME = Outcome(
    id="small",
    title=HOSTILE,
    tags=("gate",),
    duration_s=30.0,
    verdicts=(Verdict(name="d1", wrong=(HOSTILE,)), Verdict(name="p1")),
    scores=(
        Score(name="lag.p50", value=2.5, unit="s", n=4, low=2.0, high=3.0, note=HOSTILE),
        Score(name="lag.p95", value=None, unit="s", n=0, note="no case"),
    ),
)


def page() -> str:
    scenario = replace(small(more="thresholds: {lag.p50: {max: 2.0}}\n"), title=HOSTILE, about=HOSTILE)
    before = {"lag.p50": Score(name="lag.p50", value=1.25, unit="s", n=4)}
    return scenario_page(scenario, OUTCOME, hostile_run(), before)


def test_a_page_is_well_formed_and_says_hostile_texts_as_they_are() -> None:
    seen = Page(page())
    assert "script" not in seen.tags
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert seen.text.count(HOSTILE) >= 6  # title, about, what is wrong twice, note, word, notice
    assert f"cut by {HOSTILE}" in seen.text


def test_a_page_shows_figures_with_limits_and_the_run_before() -> None:
    seen = re.sub(r"<[^>]+>", "|", page())
    assert re.search(r"lag\.p50\|+2\.5 s\|+2 to 3\|+4\|+at most 2\|+1\.25 s\|", seen)
    assert re.search(r"lag\.p95\|+–\|+0\|+no case\|", seen)


def test_a_page_needs_nothing_but_itself() -> None:
    for html in (page(), index_page([OUTCOME], {"commit": "abc"}, OUTCOME.scores)):
        seen = Page(html)
        assert "link" not in seen.tags
        leads_out = [
            (name, value[:40])
            for name, value in seen.attributes
            if name in {"src", "href", "action", "srcset", "poster", "data"}
            and not value.startswith("data:audio/ogg;base64,")
            and value not in {"small/report.html", "#drawing", "#names"}
        ]
        assert not leads_out
        assert "@import" not in html
        assert "url(" not in html


def test_sounds_are_in_the_page_and_silent_ones_are_left_out() -> None:
    sources = [value for name, value in Page(page()).attributes if name == "src"]
    assert len(sources) == 2
    assert all(base64.b64decode(value.partition(",")[2]).startswith(b"OggS") for value in sources)


def noise() -> Pcm:
    return np.asarray(0.2 * np.random.default_rng(0).standard_normal(240_000), dtype=np.float32)


@pytest.mark.parametrize("pcm", [tone(10.0, 0.3), noise()], ids=["a tone", "noise, the hardest"])
def test_sounds_take_at_most_24_kbit_a_second(pcm: Pcm) -> None:
    assert 8 * len(opus(pcm)) / (len(pcm) / 24_000) <= 24_000


def test_the_index_leads_to_every_page_that_there_is() -> None:
    invalid = replace(OUTCOME, id="ugly", title="Ugly", invalid="no end", verdicts=())
    html = index_page([OUTCOME, invalid], {"host": HOSTILE})
    seen = Page(html)
    assert [value for name, value in seen.attributes if name == "href"] == ["small/report.html"]
    assert seen.tags.count("script") == 1  # ours, which filters
    assert HOSTILE in seen.text
    assert "no end" in seen.text
    assert [value for name, value in seen.attributes if name == "data-result"] == ["failed", "invalid"]


def test_the_index_has_the_figures_of_all_runs_together_beside_earlier_ones() -> None:
    before = {"lag.p50": Score(name="lag.p50", value=1.25, unit="s", n=4)}
    seen = re.sub(r"<[^>]+>", "|", index_page([OUTCOME], {}, OUTCOME.scores, before))
    assert re.search(r"Figures of all runs together\|.*lag\.p50\|+2\.5 s\|+2 to 3\|+4\|+1\.25 s\|", seen)
    assert "Figures" not in index_page([OUTCOME], {}), "of no run there are none"


def test_figures_are_written_for_people() -> None:
    scores = (
        Score(name="recall", value=0.8125, unit="share", n=16, low=0.57, high=0.934),
        Score(name="clipped", value=3.0, unit="count", n=3),
        Score(name="yaal", value=10_412.4, unit="ms", n=2),
    )
    limits = {"recall": Bounds(min=0.9), "yaal": Bounds(min=0.0, max=2000.0)}
    seen = re.sub(r"(<[^>]+>)+", "|", score_table(scores, {}, limits))
    assert "|recall|81.25 %|57 to 93.4|16|at least 90|" in seen
    assert "|clipped|3|3|" in seen
    assert "|yaal|10412 ms|2|0 to 2000|" in seen
    assert "Before" not in seen


def test_expectations_are_written_as_in_their_file() -> None:
    scenario = load_scenario(PACKAGED / "clinician-interrupts-es-en.yaml")
    verdicts = tuple(Verdict(name=one.of) for one in scenario.expect)
    seen = re.sub(r"(<[^>]+>)+", "|", verdict_table(scenario, replace(OUTCOME, verdicts=verdicts)))
    assert (
        "|d1|doctor: Perdone, ¿tiene alergia al pescado?|begin within 3 s; says fish, allergic; yields 1.2 s|as"
        in seen
    )


@pytest.mark.parametrize("scenario", load_scenarios([PACKAGED]), ids=lambda scenario: scenario.id)
def test_every_expectation_of_the_package_can_be_read(scenario: Scenario) -> None:
    for one in scenario.expect:
        said = wanted_of(one)
        assert said
        assert "=" not in said
        assert "None" not in said


def test_words_do_not_lie_on_one_another() -> None:
    quick = words("Tome quince miligramos de prednisona cada mañana, y nada más.", 4.0, each_s=0.3)
    *_, lane = timeline(run(quick).log).split("<g transform")
    rows: dict[str, float] = {}
    for x, y, text in re.findall(r'<text x="([0-9.]+)" y="([0-9]+)">([^<]+)</text>', lane):
        assert float(x) >= rows.get(y, 0.0), text
        rows[y] = float(x) + 6.0 * len(text)
    assert len(rows) == 3
