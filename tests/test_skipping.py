"""In CI a test may be skipped for want of a GPU, and for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SKIPPED = "import pytest\n@pytest.mark.skip(reason='no such library')\ndef test_it(): pass\n"
FILES = {
    "test_skipped.py": SKIPPED,
    "test_skipped_whole.py": "import pytest\npytest.importorskip('no_such_library')\n",
    "test_for_a_gpu.py": SKIPPED.replace("@pytest", "@pytest.mark.gpu\n@pytest", 1),
    "test_xfailed.py": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False\n",
    "test_passed.py": "def test_it(): pass\n",
}


def run(folder: Path, *names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    files = [str(folder / name) for name in names]
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder)]
    inherited = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT, env=inherited | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_in_ci_only_a_missing_gpu_is_an_excuse(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    done = run(tmp_path, *FILES, CI="true")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    listed = done.stdout.partition("only tests that need a GPU may be skipped")[2]
    assert {name for name in FILES if name in listed} == {"test_skipped.py", "test_skipped_whole.py"}
    excused = run(tmp_path, "test_for_a_gpu.py", "test_xfailed.py", "test_passed.py", CI="true")
    assert excused.returncode == pytest.ExitCode.OK
    assert run(tmp_path, *FILES).returncode == pytest.ExitCode.OK
