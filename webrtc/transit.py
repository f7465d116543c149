"""How long packets take, and how long they should therefore wait: the playout target, from arrival times alone.

A packet's *transit* is its arrival time minus the media time at its end. Its absolute value means nothing, since the
two clocks have different origins; its changes are jitter (fast) and clock drift (slow):

    base    the smallest transit of the last `BASE_WINDOW_S`: the undisturbed network. It follows drift by itself.
    excess  transit - base, of one packet: what the network added for this packet.
    target  how long after its arrival at base transit a packet is due:

            target = MARGIN + 95 % quantile of the excess over QUANTILE_WINDOW_S,   or the peak when that is higher,
                     at most MAX_TARGET

Several packets arriving at once behind a stalled one were delayed by one event, so they count once in the quantile:
a single stall leaves it unmoved. The *peak* answers stalls and sudden jitter: it jumps to the excess of a packet that
came later than the target, and then falls at `RELEASE_S_PER_S`. Both windows forget, so the target never ratchets.
"""

from __future__ import annotations

from collections import deque

MARGIN_S = 0.020  # one packet: the one after a loss has arrived too, with its copy of the lost one
MAX_TARGET_S = 0.140  # beyond this a conversation suffers more from delay than from the loss it avoids
BASE_WINDOW_S = 10.0  # drift of 200 ppm moves the base by 2 ms in this time
QUANTILE_WINDOW_S = 2.0
QUANTILE = 0.95
RELEASE_S_PER_S = 0.100  # from the highest peak to a clean network's target in 1.2 s
SAME_STALL_S = 0.015  # the excess of packets released by one stall falls by their spacing, 20 ms


class TransitEstimator:
    """Base, excess and target of one stream. Pure: time is passed in, nothing is read."""

    def __init__(self) -> None:
        self._minima: deque[tuple[float, float]] = (
            deque()
        )  # (arrival, transit), both increasing: base is the first
        self._recent: deque[tuple[float, float]] = deque()  # (arrival, transit) that count for the quantile
        self._previous_s = 0.0
        self._peak_s = 0.0
        self._peak_at_s = 0.0

    @property
    def base_s(self) -> float | None:
        """Smallest recent transit, or None before the first packet."""
        return self._minima[0][1] if self._minima else None

    def add(self, arrival_s: float, transit_s: float) -> None:
        """Takes one packet into account; `arrival_s` does not decrease from call to call."""
        same_stall = bool(self._recent) and transit_s < self._previous_s - SAME_STALL_S
        self._previous_s = transit_s
        while self._minima and self._minima[-1][1] >= transit_s:
            self._minima.pop()
        self._minima.append((arrival_s, transit_s))
        _forget(self._minima, arrival_s - BASE_WINDOW_S)
        if not same_stall:
            self._recent.append((arrival_s, transit_s))
        self._raise_peak(arrival_s, transit_s - self._minima[0][1])

    def target_s(self, now_s: float) -> float:
        """How long after its arrival at base transit a packet is due at `now_s`."""
        _forget(self._recent, now_s - QUANTILE_WINDOW_S)
        return min(MAX_TARGET_S, max(MARGIN_S + self._quantile_s(), self._released_peak_s(now_s)))

    def _raise_peak(self, now_s: float, excess_s: float) -> None:
        if excess_s > self.target_s(now_s):
            self._peak_s, self._peak_at_s = min(excess_s, MAX_TARGET_S), now_s

    def _released_peak_s(self, now_s: float) -> float:
        return self._peak_s - RELEASE_S_PER_S * (now_s - self._peak_at_s)

    def _quantile_s(self) -> float:
        base_s = self.base_s
        if base_s is None or not self._recent:
            return 0.0
        ordered = sorted(transit_s for _, transit_s in self._recent)
        return max(0.0, ordered[int(QUANTILE * (len(ordered) - 1))] - base_s)


def _forget(entries: deque[tuple[float, float]], before_s: float) -> None:
    """Drops what is older than `before_s`, but never the last entry: a silent sender keeps its base."""
    while len(entries) > 1 and entries[0][0] < before_s:
        entries.popleft()
