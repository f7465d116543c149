"""Says, before pip starts, what will be downloaded and which PyTorch build it takes."""

from __future__ import annotations

import platform
import sys


def announcement(torch_index: str) -> str:
    """One paragraph for the terminal."""
    if torch_index:
        torch = f"PyTorch from {torch_index}"
    elif platform.system() == "Linux":
        torch = (
            "PyTorch's default Linux build, which runs with and without an NVIDIA GPU (several GB with its CUDA "
            "packages, unless pip finds a local CPU build; for a CPU-only machine set TORCH_INDEX to PyTorch's CPU "
            "wheel index, about 800 MB)"
        )
    else:
        torch = f"PyTorch's default build for {platform.system()} (about 800 MB)"
    return (
        "Setting up .venv: aiohttp, aiortc, numpy, onnxruntime and smaller packages (about 650 MB on disk), and "
        f"{torch}. Minutes."
    )


if __name__ == "__main__":
    sys.stdout.write(announcement(sys.argv[1] if len(sys.argv) > 1 else "") + "\n")
