"""Where broken rules are collected, for a test to look at."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


class Violations(list[str]):
    """Sentences, oldest first, each once. A test ends with `assert server.violations == []`."""

    def report(self, text: str) -> None:
        """One more."""
        if text not in self:
            logger.warning("violation: %s", text)
            self.append(text)

    def about(self, text: str) -> list[str]:
        """Those that contain a text."""
        return [violation for violation in self if text in violation]
