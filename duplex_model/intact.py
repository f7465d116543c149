"""Whether a checkpoint's files are whole, told in a moment: by the headers alone, without PyTorch."""

from __future__ import annotations

from safetensors import SafetensorError, safe_open

from duplex_model.errors import CheckpointError
from duplex_model.source import CheckpointFiles


def check_intact(files: CheckpointFiles) -> int:
    """Reads the header of every file of tensors, whose lengths must add up to the file's; the bytes of all files.

    Raises:
        CheckpointError: names the file that was cut short, or is no file of tensors (such as a pointer of Git LFS).
    """
    voices = sorted(files.voice_folder.glob("*.safetensors")) if files.voice_folder else []
    tensors = [*files.lm, *files.codec, *voices]
    for path in tensors:
        try:
            with safe_open(str(path), framework="np"):
                pass
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"expected tensors in {path}, got: {error}; fetch it again") from error
    return sum(path.stat().st_size for path in (*tensors, files.text))
