"""What can go wrong in `scenarios`.

    ScenarioError
    ├── RunLogError    a run, or a file that a score needs, cannot be read: not there, or not what it should be
    ├── SpeechError    a text cannot be spoken: no espeak-ng on this machine, no such voice, nothing to say
    ├── TimelineError  a timeline that cannot be: unknown or circular anchors, somebody talking over themselves
    └── Undelivered    something did not happen as the scenario says: the run is invalid

All of them are the caller's to mend.
"""

from __future__ import annotations


class ScenarioError(Exception):
    """Base of every error this package raises on purpose."""


class RunLogError(ScenarioError):
    """A run, or a file that a score needs, cannot be read; the message says where and what was expected."""


class SpeechError(ScenarioError):
    """A text cannot be spoken; the message says what was expected and what came."""


class TimelineError(ScenarioError):
    """A timeline cannot be; the message names the part."""


class Undelivered(ScenarioError):
    """What the scenario says did not happen as it is written: the run is invalid, whatever the interpreter did."""
