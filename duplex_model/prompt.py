"""Hybrid prompt: a voice, then a role -> columns of the token table (arXiv:2602.06053 section 3.1). Pure.

    phase      own audio       text            heard audio
    voice      the voice       padding         sine
    silence    silence         padding         sine
    role       silence         the role text   sine            one text token a frame
    silence    silence         padding         sine
    (live)     sampled         sampled         the speaker

The sine and silence frames are what the model was trained with: fixed codes, not an encoding made here. Training
lays its sequences out with the same function.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from duplex_model.config import MIMI_PROMPT_CODES, TEXT_TOKENS, TO_SAMPLE, LMConfig, PromptCodes
from duplex_model.delays import delayed
from duplex_model.errors import PromptError
from duplex_model.role import ROLE_TAG as ROLE_TAG
from duplex_model.role import tagged_role as tagged_role
from duplex_model.voice import EmbeddedVoice, SpokenVoice, Voice

PAUSE_FRAMES = 6  # half a second, before and after the role text


@dataclass(frozen=True)
class PromptColumns:
    """A prompt as columns of the token table."""

    tokens: Tensor
    """int64 [streams, P + max_delay + 1] from position 0, `TO_SAMPLE` where not known; the P columns are."""

    embedded: Tensor | None = None
    """[M, D]: what the first M columns add up to, where only that is known (published voices)."""

    def positions(self, max_delay: int) -> int:
        """P, columns of the prompt itself."""
        return self.tokens.shape[1] - max_delay - 1


def no_prompt(config: LMConfig) -> PromptColumns:
    """The columns of a session that begins without a prompt."""
    return PromptColumns(delayed(config, torch.zeros(config.streams, 0, dtype=torch.int64)))


def hybrid_prompt(
    config: LMConfig,
    voice: Voice | None,
    role: Sequence[int],
    *,
    window_frames: int,
    codes: PromptCodes = MIMI_PROMPT_CODES,
) -> PromptColumns:
    """The columns of a voice and a role.

    Args:
        config: of the model.
        voice: how to sound, or None.
        role: text tokens of the tagged role text; may be empty.
        window_frames: positions the model attends to. The prompt may take half of them, as it stays in the window
            for the whole call.
        codes: silence and sine of the model's codec, at least as many as either side has codebooks.

    Raises:
        PromptError: voice and role together are longer than that.
    """
    frames = (
        spoken_frames(config, voice.codes, role, codes)
        if isinstance(voice, SpokenVoice)
        else _after_voice(config, role, codes)
    )
    columns = (
        _after_embedded(config, voice, frames)
        if isinstance(voice, EmbeddedVoice)
        else delayed(config, frames)
    )
    length = columns.shape[1] - config.acoustic_delay - 1
    if length > window_frames // 2:
        excess = length - window_frames // 2
        raise PromptError(
            f"expected a prompt of at most {window_frames // 2} frames, got {length}: "
            f"shorten the role text by {excess} tokens or the voice by {excess * 0.08:.1f} s"
        )
    return PromptColumns(columns, voice.embeddings if isinstance(voice, EmbeddedVoice) else None)


def spoken_frames(config: LMConfig, voice: Tensor, role: Sequence[int], codes: PromptCodes) -> Tensor:
    """Frames int64 [streams, P] of a prompt, not yet delayed.

    Args:
        config: of the model.
        voice: int64 [own codebooks, F], how to sound.
        role: text tokens of the tagged role text; may be empty.
        codes: silence and sine of the model's codec.
    """
    return torch.cat([_frames(config, voice, None, codes), _after_voice(config, role, codes)], dim=1)


def _after_voice(config: LMConfig, role: Sequence[int], codes: PromptCodes) -> Tensor:
    """Frames [streams, F] of the phases after the voice; without a role, one pause."""
    silence = torch.tensor(codes.silence[: config.own_codebooks])[:, None]
    pause = _frames(config, silence.expand(-1, PAUSE_FRAMES), None, codes)
    if not role:
        return pause
    return torch.cat([pause, _frames(config, silence.expand(-1, len(role)), role, codes), pause], dim=1)


def _frames(config: LMConfig, own_codes: Tensor, text: Sequence[int] | None, codes: PromptCodes) -> Tensor:
    """[streams, F]: own audio, one text token or padding a frame, and the sine."""
    count = own_codes.shape[1]
    tokens = [TEXT_TOKENS.padding] * count if text is None else list(text)
    heard = torch.tensor(codes.sine[: config.heard_codebooks])[:, None].expand(-1, count)
    frames = torch.cat([torch.tensor([tokens], dtype=torch.int64), own_codes, heard])
    assert frames.shape == (config.streams, count)
    return frames


def _after_embedded(config: LMConfig, voice: EmbeddedVoice, frames: Tensor) -> Tensor:
    """Columns where `frames` follow a voice of M embedded positions.

    The voice's own tokens are known at position M, and at M + 1 where they are delayed; frames go on from M + 1.
    """
    last = len(voice.embeddings)
    silent = frames.new_full((config.streams, last), TO_SAMPLE)
    columns = delayed(config, torch.cat([silent, frames], dim=1))
    slots = voice.columns.shape[1]
    delays = torch.tensor(config.delays)
    columns[:, last] = voice.columns[:, last % slots]
    late = delays > 0
    columns[late, last + 1] = voice.columns[late, (last + 1) % slots]
    return columns
