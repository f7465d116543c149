"""One way from pcm to 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interpreter.pcm16 import to_s16le


@given(st.lists(st.integers(-32_768, 32_767), max_size=50))
def test_samples_of_16_bits_come_through_unchanged(samples: list[int]) -> None:
    expected = np.array(samples, dtype="<i2")
    assert to_s16le(expected.astype(np.float32) / np.float32(32_768)) == expected.tobytes()


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (0.5 / 32_768, 0),
        (1.5 / 32_768, 2),
        (2.5 / 32_768, 2),
        (-0.5 / 32_768, 0),
        (-1.5 / 32_768, -2),
        (1.0, 32_767),
        (7.0, 32_767),
        (-1.0, -32_768),
        (-7.0, -32_768),
        (3.4e38, 32_767),
    ],
)
def test_ties_go_to_even_and_what_is_too_loud_is_clipped(sample: float, expected: int) -> None:
    assert to_s16le(np.array([sample], dtype=np.float32)) == expected.to_bytes(2, "little", signed=True)


def test_several_channels_come_interleaved() -> None:
    pcm = np.array([[1, 2], [3, 4]], dtype=np.float32) / 32_768
    assert to_s16le(pcm) == b"\1\0\2\0\3\0\4\0"
    assert to_s16le(pcm.T) == b"\1\0\3\0\2\0\4\0"


def test_a_sample_that_is_no_number_is_our_own_fault() -> None:
    with pytest.raises(AssertionError):
        to_s16le(np.array([np.nan], dtype=np.float32))
