"""Every screen, in both themes and on a phone: no violation that axe knows, and pictures for docs/console.md.

`UPDATE_SCREENSHOTS=1` writes the pictures, `UPDATE_SCREENSHOTS=DIR` those of every screen and look into DIR.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.async_playwright import Axe

from tests.browser.console.stage import MAX, PHONE, WIDE, Operator, house, operator
from tests.browser.console.visit import two_people

pytestmark = [pytest.mark.browser, pytest.mark.media, pytest.mark.slow, pytest.mark.timeout(300)]

IMAGES = Path(__file__).parents[3] / "docs/images/console"
PICTURES = {"rooms-light", "room-light", "system-light", "sign-in-light", "room-dark", "room-phone"}
# WCAG 2.2 AA, and what axe calls best practice.
OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


async def looks_right(eva: Operator, screen: str, look: str) -> None:
    results = await Axe().run(eva.page, options=OPTIONS)
    violations = [
        f"{one['id']}: {node['html'][:200]}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]
    assert violations == [], f"{screen}, {look}"
    excess = await eva.page.evaluate(
        "() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
    )
    assert excess <= 0, f"{screen}, {look}: nobody should have to scroll sideways"
    wanted, name = os.environ.get("UPDATE_SCREENSHOTS"), f"{screen}-{look}"
    if wanted and (wanted != "1" or name in PICTURES):
        await eva.page.evaluate("() => scrollTo(0, 0)")
        folder = IMAGES if wanted == "1" else Path(wanted)
        write(folder / f"{name}.png", await eva.page.screenshot(full_page=look != "phone"))


def write(path: Path, png: bytes) -> None:
    """A page needs few colours, which makes its picture half as large."""
    from PIL import Image  # comes with matplotlib; only for who makes the pictures

    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(255, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


@pytest.mark.parametrize(
    ("look", "scheme", "size"),
    [("light", "light", WIDE), ("dark", "dark", WIDE), ("phone", "light", PHONE)],
)
async def test_every_screen(
    tmp_path: Path, look: str, scheme: Literal["light", "dark"], size: tuple[int, int]
) -> None:
    async with (
        house() as home,
        two_people(home.link, tmp_path),
        operator(home, MAX, size=size, scheme=scheme) as eva,
    ):
        await eva.sees("2 people")
        await looks_right(eva, "rooms", look)
        await eva.into_room()
        await eva.lamp("ON AIR")
        await eva.keep_note("Ana hears badly on the left")
        await eva.sees("MISMATCH", 60_000)
        await looks_right(eva, "room", look)
        await eva.page.get_by_role("button", name="Hand over to a human").click()
        await eva.page.get_by_role("dialog").wait_for()
        await looks_right(eva, "confirm", look)
        await eva.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        await eva.page.get_by_role("link", name="System").click()
        await eva.sees("Signs as")
        await looks_right(eva, "system", look)
        await eva.page.get_by_label("Page language").select_option("es")
        await eva.page.get_by_role("heading", name="Sistema").wait_for()
        await looks_right(eva, "system-es", look)
        await eva.page.get_by_role("link", name="Salas").click()
        await eva.page.locator(".room-cards").get_by_role("link").first.click()
        await eva.sees("NO COINCIDE")
        await looks_right(eva, "room-es", look)
        await eva.page.get_by_role("button", name="Salir").click()
        await eva.page.get_by_role("heading", name="Consola del intérprete").wait_for()
        await looks_right(eva, "sign-in-es", look)
        await eva.page.get_by_label("Idioma de la página").select_option("en")
        await eva.page.get_by_role("heading", name="Interpreter console").wait_for()
        assert await eva.page.get_by_text("Max").count() == 0, "nothing of a meeting is left"
        await looks_right(eva, "sign-in", look)
