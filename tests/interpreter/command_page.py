"""The tables of commands in the documents, from the command table.

python -m tests.interpreter.command_page      writes them anew
"""

from __future__ import annotations

import re
from pathlib import Path

from interpreter.commands.commands import usage
from interpreter.commands.table import COMMANDS, CommandSpec, Standing

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    "hosts.md": (Standing.PARTICIPANT, Standing.HOST),
    "operators.md": (Standing.OPERATOR, Standing.ADMIN),
}
"""Page -> whose commands it has a table of."""

_PLACE = "<!-- commands: {standing} -->\n"
_END = "<!-- end of commands -->"


def table_of(standing: Standing) -> str:
    """Markdown rows of the commands whose least standing is `standing`."""
    specs = [spec for spec in COMMANDS.values() if spec.who is standing]
    rows = [
        f"| `{usage(spec).replace('|', chr(92) + '|')}` | {spec.summary}{_remarks(spec)} |" for spec in specs
    ]
    return "\n".join(["| command | what it does |", "|---|---|", *rows, ""])


def _remarks(spec: CommandSpec) -> str:
    others = spec.subject is not None and spec.subject.others is not None
    notes = ["Hosts may name somebody."] if others and spec.who < Standing.HOST else []
    notes += ["At the next silence."] if spec.at_silence else []
    return "".join(f" {note}" for note in notes)


def with_tables(page: str, standings: tuple[Standing, ...]) -> str:
    """`page` with what stands between its marks replaced by the tables."""
    for standing in standings:
        place = _PLACE.format(standing=standing.words)
        pattern = re.escape(place) + ".*?" + re.escape(_END)
        page, count = re.subn(pattern, lambda _: place + table_of(standing) + _END, page, flags=re.DOTALL)  # noqa: B023
        assert count == 1, f"expected one {place.strip()}, got {count}"
    return page


def main() -> None:
    for name, standings in PAGES.items():
        path = DOCS / name
        path.write_text(with_tables(path.read_text(), standings))


if __name__ == "__main__":
    main()
