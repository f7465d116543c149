"""A small phone recogniser that judges what a speech model says aloud; `training/recogniser.py` trains it.

Its error on clean speech of the same text is the floor to compare with.

    pcm -> log-mel [T, 64] at 100 Hz -> convolutions, at 50 Hz from the first -> phones or blank, CTC (Graves 2006)
                                                                           and, in training, the phone of each 20 ms

It sees half a second to either side, so that it can hardly guess a phone from the sentence.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from duplex_model.contract import Pcm
from duplex_model.errors import CheckpointError
from duplex_model.training.evaluation.scores import Errors, count_errors
from duplex_model.training.speech.mel import MELS, WINDOW_SAMPLES, log_mel
from duplex_model.training.speech.tts import PHONES, Utterance

BLANK = 0  # the class of silence, which is nothing to be written down

_RANGE = 7.0  # nats below the loudest band that are told apart, 60 dB
_WIDTH = 128
_BLOCKS = 6
_KERNEL = 9


class _Block(nn.Module):
    """Depthwise convolution along time, then along channels, around a residual (arXiv:2201.03545)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.along_time = nn.Conv1d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, 3 * width)
        self.narrow = nn.Linear(3 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, width] -> the same."""
        near = self.along_time(x.transpose(1, 2)).transpose(1, 2)
        added: Tensor = self.narrow(F.gelu(self.wide(self.norm(near))))
        return x + added


class Recogniser(nn.Module):
    """See the module."""

    def __init__(self, classes: int = len(PHONES), width: int = _WIDTH, blocks: int = _BLOCKS) -> None:
        super().__init__()
        self.enter = nn.Conv1d(MELS, width, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.classify = nn.Linear(width, classes)
        self.align = nn.Linear(width, classes)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel [B, T, MELS] -> log-probabilities [B, ceil(T / 2), classes]; `BLANK` is no phone."""
        classes: Tensor = self.classify(self.hear(mel))
        return classes.log_softmax(dim=-1)

    def hear(self, mel: Tensor) -> Tensor:
        """Log-mel [B, T, MELS] -> [B, ceil(T / 2), width]."""
        loudest = mel.amax(dim=(1, 2), keepdim=True).clamp(min=_RANGE)
        below_loudest = (mel - loudest).clamp(min=-_RANGE)
        x = self.enter((1 + 2 * below_loudest / _RANGE).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        heard: Tensor = self.norm(x)
        return heard

    @torch.no_grad()
    def read(self, pcm: Pcm) -> list[int]:
        """The phones heard in pcm [n] at 24 kHz, as indices into `PHONES`: the most likely class of every frame."""
        if len(pcm) < WINDOW_SAMPLES:
            return []
        best = self(log_mel(pcm)[None])[0].argmax(dim=-1).tolist()
        return [
            phone for phone, before in zip(best, [BLANK, *best], strict=False) if phone not in (BLANK, before)
        ]


def phones_of(utterance: Utterance) -> list[int]:
    """The phones of an utterance without its silences, as indices into `PHONES`."""
    classes = (PHONES.index(phone.text) for phone in utterance.phones)
    return [phone for phone in classes if phone != BLANK]


def phone_errors(model: Recogniser, pcm: Pcm, phones: Sequence[int]) -> Errors:
    """Edits between the phones heard in `pcm` and those it should hold."""
    return count_errors([str(phone) for phone in phones], [str(phone) for phone in model.read(pcm)])


def save(model: Recogniser, folder: Path, remarks: dict[str, object]) -> None:
    """Writes `recogniser.safetensors`, and `recogniser.json` with the phones and how well they are read."""
    folder.mkdir(parents=True, exist_ok=True)
    half = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(half, folder / "recogniser.safetensors")
    described = {"phones": list(PHONES), **remarks}
    (folder / "recogniser.json").write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def load(folder: Path) -> Recogniser:
    """What `save` wrote.

    Raises:
        CheckpointError: not there, or of other phones.
    """
    try:
        described = json.loads((folder / "recogniser.json").read_bytes())
        tensors = load_file(folder / "recogniser.safetensors")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"expected a recogniser in {folder}, got: {error}") from error
    if described.get("phones") != list(PHONES):
        raise CheckpointError(
            f"expected the {len(PHONES)} phones of tts.PHONES in {folder}, got others: train it anew"
        )
    model = Recogniser()
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return model.requires_grad_(False).eval()
