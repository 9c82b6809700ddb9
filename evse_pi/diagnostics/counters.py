"""What wears out, counted over all runs of both processes, and the contactor's release time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.api import diagnosis as api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.core.records import Snapshot
    from evse_pi.recorder.frame import Frame

KEPT_RELEASES = 200
HIGHEST_COUNT = (1 << 64) - 1  # a safety_run_id is 64 bits long
TREND_OF = 10  # releases at either end of the trend
RESOLUTION_US = 10_000  # one tick


@dataclass(frozen=True, slots=True)
class Release:
    """One opening: from the driven output to the mirror contact that says open, to the tick of 10 ms."""

    unix_s: int | None
    took_us: int


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals; the first group says how far the present run of the safety process has been counted."""

    safety_run_id: int = 0
    counted_cycles: int = 0
    counted_openings: int = 0

    contactor_cycles: int = 0
    openings_under_load: int = 0
    safety_starts: int = 0
    safety_unclean_ends: int = 0
    node_starts: int = 0
    machine_starts: int = 0
    kernel_boot_id: str = ""
    ring_unclean: int = 0
    releases: tuple[Release, ...] = ()

    def started(self, kernel_boot_id: str) -> Counters:
        """Return the counters after a start of the node process."""
        new = kernel_boot_id != self.kernel_boot_id
        return replace(
            self,
            node_starts=self.node_starts + 1,
            machine_starts=self.machine_starts + new,
            kernel_boot_id=kernel_boot_id,
            ring_unclean=0 if new else self.ring_unclean,
        )

    def after_snapshot(self, snapshot: Snapshot) -> Counters:
        """Return the counters after a snapshot; a run of the safety process that sent none is not counted."""
        new = snapshot.safety_run_id != self.safety_run_id
        known_cycles = 0 if new else self.counted_cycles
        known_openings = 0 if new else self.counted_openings
        cycles, openings = snapshot.contactor_cycles, snapshot.openings_under_load
        if not new and (cycles, openings) == (known_cycles, known_openings):
            return self
        return replace(
            self,
            safety_run_id=snapshot.safety_run_id,
            counted_cycles=cycles,
            counted_openings=openings,
            contactor_cycles=self.contactor_cycles + max(cycles - known_cycles, 0),
            openings_under_load=self.openings_under_load + max(openings - known_openings, 0),
            safety_starts=self.safety_starts + new,
        )

    def ended(self, ring_unclean: int) -> Counters:
        """Return the counters when the ring knows of `ring_unclean` lives that ended without a word."""
        more = max(ring_unclean - self.ring_unclean, 0)
        if ring_unclean == self.ring_unclean:
            return self
        return replace(self, ring_unclean=ring_unclean, safety_unclean_ends=self.safety_unclean_ends + more)

    def released(self, took_us: int, unix_s: int | None) -> Counters:
        """Return the counters after one measured opening."""
        return replace(self, releases=(*self.releases[1 - KEPT_RELEASES :], Release(unix_s, took_us)))


_COUNTS = frozenset(Counters.__dataclass_fields__) - {"kernel_boot_id", "releases"}
_FORMER_NAMES = {"boot_id": "safety_run_id", "machine_boot": "kernel_boot_id"}
"""Names in counters that version 0.1.0 stored."""


def saved(counters: Counters) -> dict[str, Any]:
    """Return the counters as what JSON can hold."""
    return {**asdict(counters), "releases": [[each.unix_s, each.took_us] for each in counters.releases]}


def recalled(values: Any) -> Counters:
    """Return the counters that were saved; what cannot be read, or an older version did not count, begins at 0."""
    if not isinstance(values, dict):
        return Counters()
    values = {_FORMER_NAMES.get(name, name): value for name, value in values.items()}
    releases = values.get("releases")
    kept = [_release(each) for each in releases] if isinstance(releases, list) else []
    counts = {
        name: value
        for name, value in values.items()
        if name in _COUNTS and type(value) is int and 0 <= value <= HIGHEST_COUNT
    }
    boot = values.get("kernel_boot_id")
    return Counters(
        **counts,
        kernel_boot_id=boot if isinstance(boot, str) else "",
        releases=tuple(each for each in kept if each is not None)[-KEPT_RELEASES:],
    )


def _release(stored: Any) -> Release | None:
    match stored:
        case [int() | None as unix_s, int(took_us)] if 0 <= took_us <= HIGHEST_COUNT:
            return Release(unix_s, took_us)
    return None


def view(counters: Counters, promised_ms: int | None) -> api.WearCounters:
    """Return the counters for people and scripts; `promised_ms` is the release time that the board file states."""
    return api.WearCounters(
        contactor_cycles=counters.contactor_cycles,
        openings_under_load=counters.openings_under_load,
        release=_trend(counters.releases, promised_ms),
        safety_starts=counters.safety_starts,
        safety_unclean_ends=counters.safety_unclean_ends,
        node_starts=counters.node_starts,
        machine_starts=counters.machine_starts,
    )


def _trend(releases: tuple[Release, ...], promised_ms: int | None) -> api.ReleaseTrend | None:
    if not releases:
        return None
    return api.ReleaseTrend(
        measured=len(releases),
        first_us=_middle([each.took_us for each in releases[:TREND_OF]]),
        last_us=_middle([each.took_us for each in releases[-TREND_OF:]]),
        longest_us=max(each.took_us for each in releases),
        resolution_us=RESOLUTION_US,
        promised_us=None if promised_ms is None else promised_ms * 1000,
    )


def release_us(frames: Sequence[Frame], after_ns: int) -> tuple[int, int] | None:
    """Return when the first opening after `after_ns` was, and how long its mirror contact took; None of none."""
    before: Frame | None = None
    opened_ns: int | None = None
    at_ns = 0
    for frame in frames:
        inputs, outcome = frame.inputs, frame.outcome
        if opened_ns is not None and inputs.mirror_closed is False:
            return at_ns, (inputs.now_ns - opened_ns) // 1000
        if opened_ns is not None and outcome.close_ordered:
            opened_ns = None
        was_closed = before is not None and before.outcome.close_ordered and before.inputs.mirror_closed is True
        if was_closed and not outcome.close_ordered and inputs.now_ns > after_ns:
            at_ns, opened_ns = inputs.now_ns, inputs.now_ns + frame.took_us * 1000
        before = frame
    return None


def _middle(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]
