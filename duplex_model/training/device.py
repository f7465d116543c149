"""Where training computes: a GPU where there is one, or the CPU."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

_T = TypeVar("_T")


def default_device() -> str:
    """`cuda` where PyTorch can use a GPU, or `cpu`."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--device` to a command."""
    parser.add_argument(
        "--device", default=default_device(), help="cpu or cuda (default: a GPU where there is one)"
    )


def autocast(device: torch.device, enabled: bool = True) -> torch.autocast:
    """Products in bfloat16 on `device`; float32 again within, where not `enabled`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """`tensor` on `device`; a GPU copies it while it goes on with what it was told before."""
    if tensor.device.type == device.type:
        return tensor
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def ahead(items: Iterator[_T], count: int) -> Iterator[_T]:
    """`items` as they are, made by a thread of its own up to `count` before they are asked for."""
    thread = ThreadPoolExecutor(1)
    made = deque(thread.submit(_next, items) for _ in range(count))
    try:
        while one := made.popleft().result():
            made.append(thread.submit(_next, items))
            yield one[0]
    finally:
        thread.shutdown(cancel_futures=True)


def _next(items: Iterator[_T]) -> tuple[_T] | None:
    for item in items:
        return (item,)
    return None
