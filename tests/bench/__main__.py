"""Every benchmark, one after the other: `make bench`. Some: `python -m tests.bench --only NAME ...`."""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests import netns

netns.enter()  # before anything starts a thread

from tests.bench import (  # noqa: E402
    checkpoint,
    console,
    console_page,
    cpu_per_participant,
    echo,
    engine_process,
    floor,
    jitsi,
    jitsi_guest,
    machine,
    mouth_to_ear,
    receive_path,
)

NEURAL = "neural"
MEASURED = (
    receive_path,
    engine_process,
    cpu_per_participant,
    mouth_to_ear,
    checkpoint,
    echo,
    floor,
    jitsi,
    jitsi_guest,
    console,
    console_page,
)
BENCHMARKS = {module.__name__.rpartition(".")[2]: module for module in MEASURED}

parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
parser.add_argument(
    "--only", nargs="+", choices=[*BENCHMARKS, NEURAL], default=[*BENCHMARKS, NEURAL], metavar="NAME",
    help=f"of {', '.join([*BENCHMARKS, NEURAL])}",
)  # fmt: skip
chosen = parser.parse_args().only

print(machine.describe())
for name, benchmark in BENCHMARKS.items():
    if name in chosen:
        print(f"\n## {(benchmark.__doc__ or '').splitlines()[0]}\n", flush=True)
        benchmark.main()
if NEURAL in chosen:
    print("\n## The neural engine with a small random model on this machine's CPU.\n", flush=True)
    subprocess.run([sys.executable, "-m", "duplex_model.bench", "--quick", "--device", "cpu"], check=True)
