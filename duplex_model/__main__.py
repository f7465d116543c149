"""`python -m duplex_model`: see `commands`."""

from __future__ import annotations

import sys

from duplex_model.commands import main

if __name__ == "__main__":
    sys.exit(main())
