"""Which device models would run on. `python -m duplex_model.device` prints it in one line.

Loading PyTorch takes seconds and much memory, so whoever only wants to know asks in a process of its own.
"""

from __future__ import annotations

import sys


def describe() -> str:
    """PyTorch's version, and the devices it can use, in words."""
    try:
        import torch
    except ImportError as error:
        return f"PyTorch cannot be loaded: {error}"
    if not torch.cuda.is_available():
        return f"PyTorch {torch.__version__}, no CUDA device: models run on the CPU"
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}: {', '.join(names)}"


if __name__ == "__main__":
    sys.stdout.write(describe() + "\n")
