from __future__ import annotations

import pytest
import torch
from torch import Tensor

from duplex_model.config import SpectralConfig
from duplex_model.spectral import HEARING_FLOOR, Analysis, SpectralCodec, Synthesis, mel_filters
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import randomise

SMALL = SpectralConfig(
    codebooks=4,
    card=32,
    codebook_width=8,
    width=16,
    hidden=24,
    encoder_fast_blocks=2,
    encoder_slow_blocks=2,
    decoder_slow_blocks=1,
    decoder_fast_blocks=2,
)
FRAMES = 9


@pytest.fixture
def codec() -> SpectralCodec:
    codec = SpectralCodec(SMALL).eval()
    fixed = {name: tensor.clone() for name, tensor in codec.state_dict().items() if _is_fixed(name)}
    randomise(codec, seed=0)
    codec.load_state_dict(fixed, strict=False)
    return codec.requires_grad_(False)


def lively(lanes: int, frames: int) -> Tensor:
    """Tones that change in pitch and loudness every 40 ms: pcm [lanes, 1, 1920 frames]."""
    generator = torch.Generator().manual_seed(1)
    pitch_hz = 100 * 80 ** torch.rand(lanes, 2 * frames, 1, generator=generator)
    level = 10 ** (-4 * torch.rand(lanes, 2 * frames, 1, generator=generator))
    tones = level * torch.sin(2 * torch.pi * pitch_hz * torch.arange(960) / 24_000)
    return tones.flatten(1)[:, None]


def _is_fixed(name: str) -> bool:
    return name.endswith((".window", ".filters"))


def pieces_of(x: Tensor, lengths: list[int]) -> tuple[Tensor, ...]:
    return x.split(lengths, dim=-1)


@pytest.mark.parametrize("lengths", [[1] * FRAMES, [FRAMES], [2, 3, 4], [5, 1, 3]])
def test_pieces_equal_the_whole_at_every_cut(codec: SpectralCodec, lengths: list[int]) -> None:
    pcm = lively(2, FRAMES)
    codes = codec.encode(pcm)
    assert codes.shape == (2, 4, FRAMES)
    assert codes.dtype == torch.int64
    assert codes.unique().numel() > 10
    state = StreamingState(codec, lanes=2)
    heard = pieces_of(pcm, [1920 * length for length in lengths])
    assert torch.equal(torch.cat([codec.encode(piece, state) for piece in heard], dim=-1), codes)
    whole = codec.decode(codes)
    assert whole.shape == pcm.shape
    spoken = torch.cat([codec.decode(piece, state) for piece in pieces_of(codes, lengths)], dim=-1)
    torch.testing.assert_close(spoken, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_lanes_step_and_reset_on_their_own(codec: SpectralCodec) -> None:
    pcm = lively(2, FRAMES)
    codes = codec.encode(pcm)
    frames = pcm.split(1920, dim=-1)
    state = StreamingState(codec, lanes=2)
    for step in range(FRAMES):
        state.executing.copy_(torch.tensor([True, step % 2 == 0]))
        got = codec.encode(torch.cat([frames[step][:1], frames[step // 2][1:]]), state)
        assert torch.equal(got[0, :, 0], codes[0, :, step])
        if step % 2 == 0:
            assert torch.equal(got[1, :, 0], codes[1, :, step // 2])
    state.reset_lane(0)
    state.executing.fill_(True)
    again = codec.encode(pcm[..., :1920].flip(0), state)
    assert torch.equal(again[0], codec.encode(pcm[1:, :, :1920])[0])


def test_what_is_not_finite_is_noticed_in_its_lane_and_forgotten(codec: SpectralCodec) -> None:
    state = StreamingState(codec, lanes=2)
    pcm = 0.1 * torch.randn(2, 1, 1920)
    codec.encode(pcm, state)
    assert codec.heard_is_finite(state).tolist() == [True, True]
    broken = pcm.clone()
    broken[1, 0, -1] = torch.nan
    codec.encode(broken, state)
    assert codec.heard_is_finite(state).tolist() == [True, False]
    state.reset_lane(1)
    codec.encode(pcm, state)
    assert codec.heard_is_finite(state).tolist() == [True, True]


def test_silence_comes_down_to_one_column_whatever_was_said_before(codec: SpectralCodec) -> None:
    # Memory: a spectrum, 6 steps of each fast block, 2 frames of each slow one.
    remembered_frames = 1 + 2 * 6 // 4 + 2 * 2
    silence = torch.zeros(2, 1, 12 * 1920)
    codes = codec.encode(torch.cat([lively(2, 5), silence], dim=-1))[..., 5:]
    at_rest = codes[..., remembered_frames:]
    assert torch.equal(at_rest, at_rest[:1, :, :1].expand_as(at_rest))


def test_nothing_is_heard_in_silence_and_hardly_more_below_the_floor() -> None:
    analysis = Analysis(SMALL)
    assert not analysis(torch.zeros(1, 1920)).any()
    noise = torch.randn(1, 4 * 1920)
    faint, loud = (analysis(level * noise)[:, 4:] for level in (0.1 * HEARING_FLOOR**0.5, 1.0))
    assert float(faint.max()) < 0.05
    assert float(loud.mean()) == pytest.approx(4.0, abs=0.3)


def test_spectra_add_up_to_the_sound_they_were_taken_of() -> None:
    config = SpectralConfig()
    pcm = 0.1 * torch.randn(1, 4 * 1920)
    delay = config.delay_samples
    frames = torch.nn.functional.pad(pcm, (delay, 0)).unfold(-1, 960, 240)
    spectra = torch.fft.rfft(frames * torch.hann_window(960))
    said = Synthesis(config)(torch.cat([spectra.abs().log(), spectra.angle()], dim=-1))
    torch.testing.assert_close(said[:, delay:], pcm[:, :-delay], rtol=0, atol=1e-5)


def test_every_band_hears_some_bin() -> None:
    for bands, samples in ((80, 2048), (80, 960), (24, 256)):
        filters = mel_filters(bands, samples)
        torch.testing.assert_close(filters.sum(dim=0), torch.ones(bands))
        assert (filters.argmax(dim=0).diff() >= 0).all()


def test_pcm_must_be_whole_frames(codec: SpectralCodec) -> None:
    with pytest.raises(ValueError, match="expected a multiple of 1920, got 1919"):
        codec.encode(torch.zeros(1, 1, 1919))


@pytest.mark.slow
def test_the_size_that_fits_one_shard() -> None:
    with torch.device("meta"):
        codec = SpectralCodec(SpectralConfig())
    assert codec.config.frame_samples == 1920
    assert codec.config.delay_samples == 720
    assert 2 * sum(tensor.numel() for tensor in codec.state_dict().values()) <= 15 * 2**20
