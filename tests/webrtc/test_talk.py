"""Talks: what is sent when, with which numbers, and when a talk begins and ends. No clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import amplitude, tone
from webrtc.errors import LocalError
from webrtc.opus import OpusDecoder, parse_packet
from webrtc.room import FRAME_SAMPLES, PACKET_SAMPLES, Pcm
from webrtc.talk import HANGOVER_PACKETS, Talk, TalkEvent, TalkPacket, TalkStarted, TalkStopped

FRAME_S = 0.08
PACKET_S = 0.02
TS = 960  # of a packet
SILENCE: Pcm = np.zeros(FRAME_SAMPLES, dtype=np.float32)
SOUND = tone(500.0)


def run(
    talk: Talk, frames: dict[int, Pcm], *, at_s: float = 10.0, until_s: float | None = None
) -> list[tuple[float, TalkEvent]]:
    """Plays frames at their ticks, and takes every 5 ms; what was sent, with its time."""
    last = max(frames, default=0)
    sent = []
    for step in range(round((until_s or (last + 20) * FRAME_S) / 0.005)):
        now_s = at_s + step * 0.005
        tick, rest = divmod(step, 16)
        if rest == 0 and tick in frames:
            talk.play(tick, frames[tick], now_s + 0.01)
        sent += [(now_s, event) for event in talk.take(now_s)]
    return sent


def packets(sent: list[tuple[float, TalkEvent]]) -> list[TalkPacket]:
    return [event for _, event in sent if isinstance(event, TalkPacket)]


def kinds(sent: list[tuple[float, TalkEvent]]) -> str:
    letters = {TalkStarted: "S", TalkPacket: "p", TalkStopped: "X"}
    return "".join(letters[type(event)] for _, event in sent)


def test_silence_is_never_sent() -> None:
    talk = Talk(0.0)
    assert run(talk, dict.fromkeys(range(50), SILENCE)) == []
    assert talk.next_due_s() is None
    assert talk.idle


def test_a_talk_begins_with_its_first_sound_and_ends_with_a_pause() -> None:
    talk = Talk(0.0)
    half = np.concatenate([SILENCE[: 2 * PACKET_SAMPLES], SOUND[2 * PACKET_SAMPLES :]])
    sent = run(talk, {0: SILENCE, 1: half, 2: SOUND, **dict.fromkeys(range(3, 20), SILENCE)})
    assert kinds(sent) == "S" + (2 + 4 + HANGOVER_PACKETS) * "p" + "X"
    start, stop = sent[0][1], sent[-1][1]
    assert isinstance(start, TalkStarted)
    assert isinstance(stop, TalkStopped)
    assert start.timestamp == packets(sent)[0].timestamp
    assert stop.timestamp == packets(sent)[-1].timestamp + TS
    assert stop.duration_ms == 20 * len(packets(sent))
    assert stop.bytes_sent == sum(len(packet.payload) for packet in packets(sent))
    assert talk.idle


def test_numbers_run_on_from_talk_to_talk_and_timestamps_leave_the_pause_out() -> None:
    talk = Talk(0.0)
    frames = {n: SOUND if n in (0, 1, 40, 41) else SILENCE for n in range(60)}
    sent = packets(run(talk, frames))
    assert [packet.sequence_number for packet in sent] == list(range(len(sent)))
    first, second = sent[: len(sent) // 2], sent[len(sent) // 2 :]
    for one in (first, second):
        assert np.diff([packet.timestamp for packet in one]).tolist() == (len(one) - 1) * [TS]
    assert second[0].timestamp - first[0].timestamp == 40 * 4 * TS


def test_sequence_numbers_have_sixteen_bits() -> None:
    talk = Talk(0.0)
    talk._number = 2**16 - 2
    sent = packets(run(talk, {0: SOUND}))
    assert [packet.sequence_number for packet in sent[:4]] == [65_534, 65_535, 0, 1]


def test_packets_leave_at_their_time_and_not_before() -> None:
    talk = Talk(0.0)
    sent = run(talk, dict.fromkeys(range(10), SOUND))
    times = [now_s for now_s, event in sent if isinstance(event, TalkPacket)]
    due = [10.01 + n * PACKET_S for n in range(40)]
    assert all(0.0 <= now_s - due_s < 0.0051 for now_s, due_s in zip(times, due, strict=True))


def test_frames_that_stop_coming_end_the_talk() -> None:
    talk = Talk(0.0)
    sent = run(talk, {0: SOUND})
    assert kinds(sent) == "SppppX"
    (stopped_s, _) = sent[-1]
    assert stopped_s == pytest.approx(10.01 + 4 * PACKET_S + HANGOVER_PACKETS * PACKET_S, abs=0.006)


def test_a_frame_that_comes_late_leaves_a_gap_in_time_and_none_in_numbers() -> None:
    talk = Talk(0.0)
    talk.play(0, SOUND, 10.0)
    first = talk.take(10.08)
    talk.play(1, SOUND, 10.08)
    second = talk.take(10.08 + 0.06 + 0.11)  # 110 ms after its last packet was due
    assert second == []
    talk.play(2, SOUND, 10.25)
    third = [event for event in talk.take(10.4) if isinstance(event, TalkPacket)]
    before = [event for event in first if isinstance(event, TalkPacket)]
    assert talk.dropped >= 4
    assert third[0].sequence_number == before[-1].sequence_number + 1
    assert third[0].timestamp >= before[-1].timestamp + 5 * TS


def test_what_is_sent_is_opus_of_what_was_said() -> None:
    talk = Talk(0.0)
    decoder = OpusDecoder()
    sent = packets(run(talk, {n: tone(500.0, n) for n in range(20)}))
    payloads = [packet.payload for packet in sent]
    assert {parse_packet(payload).samples for payload in payloads} == {PACKET_SAMPLES}
    pcm = np.concatenate([decoder.decode(payload) for payload in payloads])
    assert amplitude(pcm[4 * FRAME_SAMPLES : 16 * FRAME_SAMPLES], 500.0) == pytest.approx(0.1, rel=0.2)


def test_packets_tell_how_loud_they_are() -> None:
    sent = packets(run(Talk(0.0), {0: tone(500.0, peak=1.0), 1: SOUND, 2: SILENCE, 3: SILENCE}))
    full, usual, silent = sent[1], sent[5], sent[9]
    assert full.level_dbov == -3  # a sine of full scale (RFC 6464 counts from the loudest square wave)
    assert usual.level_dbov == -23
    assert silent.level_dbov == -127


def test_it_can_be_stopped_at_once() -> None:
    talk = Talk(0.0)
    assert talk.stop() == []
    talk.play(0, SOUND, 10.0)
    talk.take(10.02)
    assert not talk.idle
    [stopped] = talk.stop()
    assert isinstance(stopped, TalkStopped)
    assert stopped.duration_ms == 40
    assert talk.take(10.1) == []
    assert talk.next_due_s() is None


def test_what_breaks_the_contract_is_refused() -> None:
    talk = Talk(0.0)
    with pytest.raises(LocalError, match=r"expected pcm \[1920\]"):
        talk.play(0, SOUND[:-1], 0.0)
    talk.play(3, SOUND, 0.0)
    with pytest.raises(LocalError, match="expected a tick after 3"):
        talk.play(3, SOUND, 0.1)


def test_what_is_never_taken_is_bounded() -> None:
    talk = Talk(0.0)
    for tick in range(1_000):
        talk.play(tick, SOUND, 10.0 + tick * FRAME_S)
    assert len(talk._queue) == 64
    assert talk.dropped == 4_000 - 64


@given(
    st.lists(st.tuples(st.sampled_from(["sound", "silence", "nothing"]), st.floats(0.0, 0.16)), max_size=40),
)
def test_talks_are_bracketed_and_nothing_goes_back_whatever_is_said(frames: list[tuple[str, float]]) -> None:
    talk = Talk(0.0)
    sent: list[TalkEvent] = []
    for tick, (kind, cushion_s) in enumerate([*frames, *60 * [("nothing", 0.0)]]):
        now_s = 50.0 + tick * FRAME_S
        if kind != "nothing":
            talk.play(tick, SOUND if kind == "sound" else SILENCE, now_s + cushion_s)
        for k in range(4):
            sent += talk.take(now_s + k * PACKET_S)
    talking, last = False, -1
    numbers = [event.sequence_number for event in sent if isinstance(event, TalkPacket)]
    assert numbers == list(range(len(numbers)))
    for event in sent:
        assert talking is not isinstance(event, TalkStarted)
        talking = not isinstance(event, TalkStopped)
        assert event.timestamp % TS == 0
        assert event.timestamp > last or not isinstance(event, TalkPacket)
        last = event.timestamp if isinstance(event, TalkPacket) else last
    assert not talking
    assert talk.idle


def test_what_waits_of_a_talk_is_replaced_from_the_next_packet_on() -> None:
    talk = Talk(0.0)
    for tick in (0, 1):
        talk.play(tick, SOUND, 10.0 + tick * FRAME_S)
    assert kinds([(10.0, event) for event in talk.take(10.03)]) == "Spp"
    for tick in (0, 1):
        talk.replace(tick, SILENCE)
    decoder, heard = OpusDecoder(), []
    for event in (*talk.take(10.07), *talk.take(10.145)):
        assert isinstance(event, TalkPacket)
        heard.append(decoder.decode(event.payload))
    assert len(heard) == 6
    assert amplitude(np.concatenate(heard[1:]), 500.0) < 0.01


def test_replacing_what_does_not_wait_changes_nothing() -> None:
    talk = Talk(0.0)
    talk.replace(0, SILENCE)
    talk.play(0, SOUND, 10.0)
    talk.replace(5, SILENCE)
    assert not talk.idle
    with pytest.raises(LocalError, match=r"expected pcm \[1920\], got \[480\]"):
        talk.replace(0, np.zeros(PACKET_SAMPLES, dtype=np.float32))
