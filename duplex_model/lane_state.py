"""A lane's tensors <-> the bytes of a safetensors file, piece by piece.

A lane may be a gigabyte, so its copy to the host is spread over the spare time of several ticks. Reading gives
tensors and cannot run code, whoever wrote the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from duplex_model.errors import Unsupported

_DTYPES = {
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGNMENT = 8


def pack(tensors: Mapping[str, Tensor]) -> Iterator[bytes]:
    """The header, then every tensor in the order of the header; each `next` copies one tensor to the host."""
    header: dict[str, object] = {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    yield len(text).to_bytes(8, "little") + text
    for tensor in tensors.values():
        yield tensor.cpu().reshape(-1).view(torch.uint8).numpy().tobytes()


def unpack(state: bytes) -> dict[str, Tensor]:
    """The tensors, in the host's memory.

    Raises:
        Unsupported: no bytes of `pack`.
    """
    try:
        return safetensors.torch.load(state)
    except SafetensorError as error:
        raise Unsupported(f"expected the state of a session: {error}") from error
