"""Further pages of the console, which other packages bring: what one has to be, and where they are found.

    [project.entry-points."interpreter.console_pages"]
    scenarios = "scenarios.console_page:open_page"

The name is the page's, and the beginning of its addresses. The entry is a function of no arguments that gives a `Page`.
In the browser a page is an ES module which defines the custom element `<NAME-page>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Protocol

from interpreter.commands.commands import Actor
from interpreter.commands.table import Standing
from interpreter.console.deltas import Json

PAGES_GROUP = "interpreter.console_pages"


@dataclass(frozen=True, kw_only=True)
class PageAnswer:
    """What came of an action."""

    accepted: bool
    text: str
    """For people; never markup."""

    language: str = "en"
    result: Mapping[str, Json] | None = None


class Page(AbstractAsyncContextManager["Page"], Protocol):
    """A page; entered while the console is served, all on its event loop."""

    @property
    def titles(self) -> Mapping[str, str]:
        """Language -> its name; English at least."""
        ...

    @property
    def static(self) -> Path:
        """A folder served below `/pages/NAME/`, with `page.js` in it."""
        ...

    @property
    def actions(self) -> Mapping[str, Standing]:
        """Action -> least standing for it; names are lower-case words joined by hyphens."""
        ...

    @property
    def sees(self) -> Standing:
        """Least standing to see its state and files."""
        ...

    def state(self) -> object:
        """What it shows, as in `snapshot`: frozen dataclasses, mappings, tuples, texts, numbers; read each second."""
        ...

    async def act(self, action: str, arguments: Mapping[str, Json], actor: Actor) -> PageAnswer:
        """Does one of `actions`.

        Args:
            action: which; whether `actor` may do it was checked.
            arguments: JSON as it came, untrusted.
            actor: who asks.

        Raises:
            BadArgument: the arguments are not as expected.
        """
        ...

    def file(self, path: str) -> Path | None:
        """A file of its own making, such as a report; None where there is none.

        Args:
            path: as in the address, untrusted: the page makes sure that it leads to nothing else.
        """
        ...


def found_pages(entries: Iterable[EntryPoint]) -> dict[str, Page]:
    """The pages that are installed, by name."""
    return {entry.name: entry.load()() for entry in sorted(entries, key=lambda one: one.name)}
