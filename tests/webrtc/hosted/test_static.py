"""What can be known of the page without a browser: complete translations, and contrast."""

from __future__ import annotations

import re

import pytest

from webrtc.hosted.server import STATIC

# (text or shape, ground, least contrast): WCAG 2.2 success criteria 1.4.3 and 1.4.11.
PAIRS = [
    ("text", "ground", 4.5),
    ("text", "card", 4.5),
    ("text", "accent-ground", 4.5),
    ("text", "danger-ground", 4.5),
    ("text", "warning-ground", 4.5),
    ("soft", "ground", 4.5),
    ("soft", "card", 4.5),
    ("soft", "accent-ground", 4.5),
    ("on-accent", "accent", 4.5),
    ("on-danger", "danger", 4.5),
    ("danger", "card", 4.5),
    ("edge", "card", 3.0),
    ("edge", "ground", 3.0),
    ("accent", "card", 3.0),
    ("accent", "accent-ground", 3.0),
    ("danger", "danger-ground", 3.0),
    ("warning-edge", "warning-ground", 3.0),
    ("focus", "card", 3.0),
    ("focus", "ground", 3.0),
]


def sentences() -> dict[str, dict[str, str]]:
    """Page language -> key -> sentence."""
    blocks = re.findall(r"^  (\w\w): \{\n(.*?)^  \},$", (STATIC / "strings.js").read_text(), re.M | re.S)
    return {language: dict(re.findall(r'^    (\w+): "(.*)",$', block, re.M)) for language, block in blocks}


def schemes() -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme."""
    blocks = re.findall(r":root \{(.*?)\}", (STATIC / "base.css").read_text(), re.S)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2 glossary."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_both_page_languages_say_everything() -> None:
    both = sentences()
    assert set(both) == {"en", "es"}
    assert len(both["en"]) > 60
    assert both["en"].keys() == both["es"].keys()
    for key, english in both["en"].items():
        assert re.findall(r"\{\w+\}", english) == re.findall(r"\{\w+\}", both["es"][key]), key


def test_every_sentence_the_page_names_exists_and_is_used() -> None:
    known = sentences()["en"].keys()
    page = (STATIC / "index.html").read_text()
    scripts = "".join(path.read_text() for path in STATIC.glob("*.js") if path.name != "strings.js")
    named = set(re.findall(r'data-text="(\w+)"', page))
    assert named <= known
    quoted = named | set(re.findall(r'"(\w+)"', scripts))
    assert not {key for key in known if not {key, re.sub("(Title|Text)$", "", key)} & quoted}


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_have_enough_contrast(scheme: int) -> None:
    colours = schemes()[scheme]
    too_close = {
        (one, other): round(contrast(colours[one], colours[other]), 2)
        for one, other, least in PAIRS
        if contrast(colours[one], colours[other]) < least
    }
    assert not too_close


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(src|href|import|url\(|fetch\().{0,3}https?://", text), path.name
