"""Prompt -> columns of the token table, with a checkpoint's vocabulary, voices and codec."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import torch

from duplex_model.codec import Codec
from duplex_model.config import CheckpointConfig, LMConfig
from duplex_model.contract import FRAME_SAMPLES, Pcm, Prompt
from duplex_model.errors import PromptError
from duplex_model.neural import Columns
from duplex_model.prompt import PromptColumns, hybrid_prompt, no_prompt
from duplex_model.role import role_of
from duplex_model.streaming import StreamingState
from duplex_model.text import TextTokenizer
from duplex_model.voice import TENSOR_SUFFIXES, SpokenVoice, Voice, read_recording, read_tensors
from duplex_model.voice_library import find_voice

_VOICES_KEPT = 64


class HybridPrompter:
    """See `Prompter`. Text and files are read in the caller's thread, the codec runs in pieces in the device's."""

    def __init__(
        self,
        config: CheckpointConfig,
        lm: LMConfig,
        codec: Codec,
        tokenizer: TextTokenizer,
        voices: Sequence[Path],
        default_voice: str = "",
    ) -> None:
        """Takes the parts of one checkpoint.

        Args:
            config: what it can be told.
            lm: its language model, with the window it attends to.
            codec: on the device.
            tokenizer: its vocabulary.
            voices: folders of the voices known by name.
            default_voice: name of the one for prompts that name none; empty for none.
        """
        self._config = config
        self._lm = lm
        self._codec = codec
        self._tokenizer = tokenizer
        self._voices = voices
        self._default_voice = default_voice
        self._read: dict[tuple[Path, int], Voice | Pcm] = {}

    def __call__(self, prompt: Prompt) -> Columns:
        """See `Prompter`."""
        name = self._config.name
        if prompt.role_text and not self._config.role_text:
            raise PromptError(f"expected no role text, as {name} takes none, got {prompt.role_text[:40]!r}")
        if prompt.voice and not self._config.voice_prompt:
            raise PromptError(f"expected no voice, as {name} takes none, got {prompt.voice!r}")
        if not self._config.role_text and not self._config.voice_prompt:
            return self._without()
        role = self._tokenizer.encode(role_of(self._config, prompt))
        self._columns(None, role)  # too long a text is refused at once
        voice = prompt.voice or self._default_voice
        return self._hybrid(self._voice(voice) if voice else None, role)

    def _columns(self, voice: Voice | None, role: list[int]) -> PromptColumns:
        return hybrid_prompt(
            self._lm,
            voice,
            role,
            window_frames=self._lm.temporal.context,
            codes=self._config.prompt_codes,
        )

    def _without(self) -> Columns:
        yield from ()
        return no_prompt(self._lm)

    def _hybrid(self, voice: Voice | Pcm | None, role: list[int]) -> Columns:
        ready = voice if voice is None or isinstance(voice, Voice) else (yield from self._encode(voice))
        return self._columns(ready, role)

    def _voice(self, voice: str) -> Voice | Pcm:
        """A voice ready to use, or the recording [1920 n] it will be made of."""
        path = find_voice(voice, self._voices)
        key = (path, path.stat().st_mtime_ns)
        ready = self._read.get(key)
        if ready is None:
            recorded = path.suffix not in TENSOR_SUFFIXES
            ready = read_recording(path) if recorded else read_tensors(path, self._lm)
            if len(self._read) >= _VOICES_KEPT:
                self._read.clear()
            self._read[key] = ready  # a thread that read it at the same time has the same
        return ready

    @torch.no_grad()
    def _encode_frame(self, frame: Pcm, state: StreamingState) -> torch.Tensor:
        pcm = torch.from_numpy(frame).to(state.executing.device)
        return self._codec.encode(pcm[None, None], state)[0, : self._lm.own_codebooks].cpu()

    def _encode(self, pcm: Pcm) -> Generator[None, None, SpokenVoice]:
        """The codes of a recording, one frame a piece."""
        state = StreamingState(self._codec, lanes=1)
        codes = []
        for frame in pcm.reshape(-1, FRAME_SAMPLES):
            codes.append(self._encode_frame(frame, state))
            yield
        return SpokenVoice(torch.cat(codes, dim=-1))
