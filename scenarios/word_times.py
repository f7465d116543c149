"""When words are said, as Full-Duplex-Bench writes it: JSON -> intervals. Pure.

    {"text": "Hello there", "chunks": [{"text": "Hello", "timestamp": [0.1, 0.4]}, ...]}     seconds

The form of the `output.json` and `transcription.json` of that benchmark (arXiv:2503.04721).
"""

from __future__ import annotations

import json

from scenarios.errors import ScenarioError
from scenarios.textgrid import Interval


def read_word_times(content: bytes) -> tuple[Interval, ...]:
    """The words of a file, in its order; those without a time are left out.

    Raises:
        ScenarioError: it is none.
    """
    try:
        chunks = json.loads(content)["chunks"]
        timed = [(chunk["text"], chunk["timestamp"]) for chunk in chunks]
        return tuple(
            Interval(start_s=float(start), end_s=float(end), text=" ".join(str(text).split()))
            for text, (start, end) in timed
            if start is not None and end is not None
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ScenarioError(f"expected the times of words as JSON, got: {error!r}") from error
