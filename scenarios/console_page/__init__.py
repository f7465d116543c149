"""The console's page of scenarios: what there are, replays in a process of their own, and their reports."""

from scenarios.console_page.page import open_page

__all__ = ["open_page"]
