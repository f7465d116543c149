"""Every benchmark, one after the other: `make bench`. One alone: `python -m tests.bench.NAME`."""

from __future__ import annotations

import subprocess
import sys

from tests import netns

netns.enter()  # before anything starts a thread

from tests.bench import cpu_per_participant, engine_process, machine, mouth_to_ear, receive_path  # noqa: E402

print(machine.describe())
for benchmark in (receive_path, engine_process, cpu_per_participant, mouth_to_ear):
    print(f"\n## {(benchmark.__doc__ or '').splitlines()[0]}\n")
    benchmark.main()

print("\n## The neural engine with a small random model on this machine's CPU.\n", flush=True)
subprocess.run([sys.executable, "-m", "duplex_model.bench", "--quick", "--device", "cpu"], check=True)
