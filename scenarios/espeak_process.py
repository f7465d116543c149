"""A process that speaks one text with espeak-ng's library and ends. Run by path, without what is installed.

    request   stdin: a JSON object {"text", "accent", "variant", "pitch", "rate_wpm"}
    answer    stdout: one line of JSON {"rate_hz", "marks": [[sample, position or null, mnemonic or null], ...]},
              then s16 samples in the machine's byte order; a mark with a position begins a word, one with a mnemonic
              begins a phone
    refusal   exit status 2, and a sentence on stderr

The library keeps the phase of its slow variation of pitch from one text to the next, so that a text comes out
different after another one. In a process of its own it always comes out the same, and a crash in it is an error like
any other.

It also opens the sound server's library, though nothing is to be played; what that does when it meets a user for the
first time changes what uninitialised memory of espeak-ng holds, and with it the samples. So it is led nowhere.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def _main() -> int:
    os.environ["PULSE_SERVER"] = "unix:/nonexistent"
    sys.path.insert(0, str(Path(__file__).parents[1]))  # run by path, it finds nothing of ours by itself
    from duplex_model.errors import EspeakError
    from duplex_model.espeak_ng import EspeakNg

    request = json.load(sys.stdin)
    text = request.pop("text")
    try:
        engine = EspeakNg()
        samples, marks = engine.speak(text, **request)
    except EspeakError as error:
        sys.stderr.write(str(error))
        return 2
    told = [(mark.sample, mark.position, mark.mnemonic) for mark in marks]
    sys.stdout.buffer.write(json.dumps({"rate_hz": engine.rate_hz, "marks": told}).encode() + b"\n")
    sys.stdout.buffer.write(samples)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
