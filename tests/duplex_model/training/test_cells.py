from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from duplex_model.contract import FRAME_SAMPLES
from duplex_model.training.evaluation.cells import Cell, Kind, Planner, Stock, stock_of
from duplex_model.training.grammar import Register, load_grammar
from duplex_model.training.split import held_out, held_out_productions, held_out_voices, is_training
from tests.duplex_model.training.composing import synthesise


@pytest.fixture(scope="module")
def stock() -> Stock:
    real = stock_of(load_grammar("core"), seed=0)
    materials = replace(real.materials, synthesise=synthesise, augment=lambda pcm, generator, strength: pcm)
    return replace(real, materials=materials)


@pytest.fixture(scope="module")
def cells(stock: Stock) -> dict[str, Cell]:
    return {name: make() for name, make in Planner(stock, 8).cells().items()}


def test_cells_are_called_what_they_are(cells: dict[str, Cell]) -> None:
    assert len(cells) > 40
    for name, cell in cells.items():
        assert cell.name == name
        assert cell.cases


def test_every_question_is_asked_in_both_directions(cells: dict[str, Cell]) -> None:
    for kind in Kind:
        asked = {cell.language_in for cell in cells.values() if cell.kind is kind}
        assert asked == {"en", "es"}, kind


def test_no_sentence_was_trained_on(cells: dict[str, Cell]) -> None:
    turns = [turn for cell in cells.values() for case in cell.cases for turn in case.turns]
    pairs = [turn.pair for turn in turns if turn.pair is not None]
    assert len(pairs) > 200
    assert not any(map(is_training, pairs))


def test_held_out_combinations_are_of_trained_productions_and_the_others_are_not(
    cells: dict[str, Cell],
) -> None:
    for name, cell in cells.items():
        productions = {case.production for case in cell.cases if case.turns}
        if name.startswith("held-out productions"):
            assert productions <= held_out_productions()
        if name.startswith(("held-out combinations", "held-out voices", "flite", "noise")):
            assert not productions & held_out_productions()
            assert all(held_out(turn.pair) for case in cell.cases for turn in case.turns if turn.pair)


def test_held_out_voices_were_never_trained_on_nor_are_they_our_own(stock: Stock) -> None:
    own = {voice.variant for languages in stock.materials.own_voices.values() for voice in languages.values()}
    for language, voices in stock.held_out_voices.items():
        variants = {voice.variant for voice in voices}
        assert variants
        assert variants <= held_out_voices() - own
        assert not variants & {voice.variant for voice in stock.materials.source_voices[language]}


def test_every_notice_of_the_service_is_said_once_in_each_language(
    stock: Stock, cells: dict[str, Cell]
) -> None:
    for heard, said in (("es", "en"), ("en", "es")):
        cell = cells[f"service notices, simultaneous, {heard}-{said}"]
        texts = [case.trial.notice for case in cell.cases]
        assert len(set(texts)) == len(texts) > 25
        assert set(texts) == {
            pair.text(said)
            for pair in stock.materials.closed
            if pair.production in ("closed.notice", "closed.repeat")
        }


def test_sentences_of_a_cell_are_different(cells: dict[str, Cell]) -> None:
    for cell in cells.values():
        if cell.kind is Kind.TRANSLATION:
            texts = [turn.text for case in cell.cases for turn in case.turns]
            assert len(set(texts)) >= len(texts) - 1  # two registers may share an English sentence


def test_informal_spanish_is_asked_for_where_it_is_expected(cells: dict[str, Cell]) -> None:
    seen = set()
    for cell in cells.values():
        if cell.kind is not Kind.TRANSLATION or cell.language_out != "es":
            continue
        for case in cell.cases:
            registers = {turn.pair.register for turn in case.turns if turn.pair is not None}
            informal = Register.INFORMAL in registers
            assert informal == (
                "informal" in case.trial.prompt.role_text.lower() or " tú" in case.trial.prompt.role_text
            )
            seen.add(informal)
    assert seen == {True, False}


def test_what_is_heard_is_as_long_as_its_trial_and_ends_silent(cells: dict[str, Cell]) -> None:
    for cell in cells.values():
        for case in cell.cases:
            heard = case.trial.heard
            assert len(heard) % FRAME_SAMPLES == 0
            if case.turns:
                ended = int(case.turns[-1].end_s * 24_000)
                assert np.abs(heard[ended + FRAME_SAMPLES :]).max() == 0
                assert len(heard) - ended > 2 * 24_000
                assert np.abs(heard[:ended]).max() > 0.05


def test_an_interruption_leaves_time_to_see_whether_it_worked(cells: dict[str, Cell]) -> None:
    for cell in cells.values():
        for case in cell.cases:
            cue = case.trial.cue
            if cell.kind is Kind.INTERRUPTION:
                assert cue is not None
                assert cue.interrupts
                assert cue.not_after_frame is not None
                assert cue.not_before_frame < cue.not_after_frame
            elif cell.kind in (Kind.BACKCHANNEL, Kind.RESUMPTION):
                assert cue is not None
                assert cue.heard is not None
                assert cue.tail_frames * 0.08 > 2
            else:
                assert cue is None


def test_the_same_seed_makes_the_same_trials_and_another_others(stock: Stock, cells: dict[str, Cell]) -> None:
    name = "held-out combinations, simultaneous, es-en"
    again = Planner(stock, 8).cells()[name]()
    other = Planner(replace(stock, seed=1), 8).cells()[name]()
    texts = [[case.turns[0].text for case in cell.cases] for cell in (cells[name], again, other)]
    assert texts[0] == texts[1] != texts[2]
    assert np.array_equal(cells[name].cases[0].trial.heard, again.cases[0].trial.heard)
