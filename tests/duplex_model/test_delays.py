from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from duplex_model.config import TO_SAMPLE, LMConfig
from duplex_model.delays import TokenTable, delayed
from duplex_model.streaming import StreamingState
from tests.duplex_model.small import small_lm


def table_config(delay: int) -> LMConfig:
    return replace(small_lm("moshiko-7b"), own_codebooks=3, heard_codebooks=2, acoustic_delay=delay)


def test_the_drawn_example() -> None:
    config = replace(table_config(1), own_codebooks=2, heard_codebooks=1, text_card=90, card=80)
    frames = torch.tensor([[11, 12, 13], [21, 22, 23], [31, 32, 33], [41, 42, 43]])
    assert delayed(config, frames).tolist() == [
        [90, 11, 12, 13, TO_SAMPLE],
        [80, 21, 22, 23, TO_SAMPLE],
        [80, 80, 31, 32, 33],
        [80, 41, 42, 43, TO_SAMPLE],
    ]


class SimulatedTable:
    """The definition itself: a dict from (stream, position) to a token."""

    def __init__(self, config: LMConfig) -> None:
        self.config = config
        self.tokens: dict[tuple[int, int], int] = {}
        self.position = 0

    def give(self, frame: int, first: int, tokens: list[int]) -> None:
        for stream, token in enumerate(tokens, start=first):
            if token != TO_SAMPLE:
                self.tokens[stream, frame + self.config.delays[stream]] = token

    def column(self, ahead: int) -> list[int]:
        at = self.position + ahead
        return [
            self.config.initial_tokens[stream] if at <= delay else self.tokens.get((stream, at), TO_SAMPLE)
            for stream, delay in enumerate(self.config.delays)
        ]


@settings(deadline=None, max_examples=40)
@given(delay=st.integers(0, 3), data=st.data())
def test_the_ring_is_the_table(delay: int, data: st.DataObject) -> None:
    config = table_config(delay)
    table = TokenTable(config)
    state = StreamingState(table, lanes=2)
    lanes = [SimulatedTable(config), SimulatedTable(config)]
    token = st.integers(0, 30)
    maybe = st.one_of(st.just(TO_SAMPLE), token)
    for _ in range(data.draw(st.integers(1, 12))):
        executing = data.draw(st.lists(st.booleans(), min_size=2, max_size=2))
        heard = data.draw(st.lists(st.lists(token, min_size=2, max_size=2), min_size=2, max_size=2))
        given_tokens = data.draw(st.lists(st.lists(maybe, min_size=4, max_size=4), min_size=2, max_size=2))
        sampled = data.draw(st.lists(st.lists(token, min_size=4, max_size=4), min_size=2, max_size=2))
        state.executing.copy_(torch.tensor(executing))
        table.begin_step(state)
        position = state[table]["position"]
        table.give(state, position, 4, torch.tensor(heard))
        table.give(state, position + 1, 0, torch.tensor(given_tokens))
        for i, lane in enumerate(lanes):
            if executing[i]:
                lane.give(lane.position, 4, heard[i])
                lane.give(lane.position + 1, 0, given_tokens[i])
                assert table.column(state)[i].tolist() == lane.column(0)
                assert table.column(state, ahead=1)[i].tolist() == lane.column(1)
        known = table.column(state, ahead=1)[:, :4]
        table.set_next(state, torch.where(known == TO_SAMPLE, torch.tensor(sampled), known))
        frame = table.whole_frame(state)
        for i, lane in enumerate(lanes):
            if executing[i]:
                for stream, entry in enumerate(lane.column(1)[:4]):
                    lane.tokens[stream, lane.position + 1] = (
                        sampled[i][stream] if entry == TO_SAMPLE else entry
                    )
                newest = lane.position + 1 - delay
                expected = [lane.tokens.get((k, newest + config.delays[k])) for k in range(4)]
                assert bool(frame.valid[i]) == (newest >= 1)
                assert newest < 1 or frame.tokens[i].tolist() == expected
                lane.position += 1
            else:
                assert not frame.valid[i]
        table.end_step(state)
        assert state[table]["position"].tolist() == [lane.position for lane in lanes]


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_the_first_heard_frame_is_covered_by_initial_tokens(delay: int) -> None:
    config = table_config(delay)
    table = TokenTable(config)
    state = StreamingState(table, lanes=1)
    table.begin_step(state)
    table.give(state, state[table]["position"], 4, torch.tensor([[7, 7]]))
    assert table.column(state)[0].tolist() == list(config.initial_tokens)
