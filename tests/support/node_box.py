"""Pieces of a node for tests: a database, snapshots with any field changed, readings of a meter."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evse_pi.core.board_ratings import BoardRatings
from evse_pi.core.records import Demand, Snapshot, Transition, decode_demand
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from evse_pi.node_run import unstamped
from hal.interfaces import MeterReading
from hal.units import SECOND, DutyPpm, Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evse_pi.charging.clock import Clock
    from evse_pi.charging.history_rows import Row

RATINGS = BoardRatings(Milliamps(32_000), 3, 30_000_000, 25_000_000, meter_fitted=True)
NOTHING: frozenset[Any] = frozenset()


class HandWriter:
    """A database whose disk answers at once, unless `answer` is a future; `trouble` says why it takes nothing."""

    def __init__(self, rows: dict[tuple[str, Any], Row] | None = None) -> None:
        self.rows = dict(rows or {})
        self.number = 0
        self.trouble: str | None = None
        self.answer: asyncio.Future[bool] | None = None

    def put(self, rows: Iterable[Row]) -> int:
        self.rows |= {row.key: row for row in rows}
        self.number += 1
        return self.number

    async def written(self, _number: int) -> str | None:
        if self.answer is not None:
            return None if await asyncio.shield(self.answer) else "full"
        return self.trouble

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as the disk would hold them once it takes everything."""
        named = {key: row for (table, key), row in self.rows.items() if table == "setting"}
        return {name: json.loads(str(row.values["value"])) for name, row in named.items()}


IDLE = Snapshot(
    safety_run_id=7,
    number=1,
    at_ns=0,
    evse_state=EvseState.A,
    pilot_state=PilotState.A,
    high_mv=Millivolts(12_000),
    low_mv=Millivolts(12_000),
    pilot_mode=PilotMode.HIGH,
    duty_ppm=DutyPpm(0),
    offered_current_ma=Milliamps(0),
    limit_source=LimitSource.BOARD,
    limit_ma=Milliamps(32_000),
    cable_ma=Milliamps(32_000),
    close_ordered=False,
    mirror_closed=False,
    load_live=False,
    locked=None,
    permitted=True,
    faults=NOTHING,
    reason=Reason.NO_VEHICLE,
    reason_until_ns=0,
    self_test_passed=True,
    self_test_running=False,
    demand_number=0,
    request_number=0,
    ticks=1,
    lateness_p999_ns=0,
    lateness_max_ns=0,
    reaction_p999_ns=0,
    contactor_cycles=0,
    openings_under_load=0,
    transitions=(),
)
STATES = {
    "A": (EvseState.A, PilotState.A, False, 0, Reason.NO_VEHICLE),
    "B": (EvseState.B2, PilotState.B, False, 32_000, Reason.VEHICLE_NOT_READY),
    "C": (EvseState.C2, PilotState.C, True, 32_000, Reason.CHARGING),
    "closing": (EvseState.C2, PilotState.C, True, 32_000, Reason.STARTING),
    "E": (EvseState.E, PilotState.E, False, 0, Reason.FAULT),
    "?": (EvseState.A, PilotState.INVALID, False, 0, Reason.PILOT_UNCERTAIN),
}

EVSE_STATES = {
    PilotState.A: EvseState.A,
    PilotState.B: EvseState.B2,
    PilotState.C: EvseState.C2,
    PilotState.D: EvseState.D2,
    PilotState.E: EvseState.E,
    PilotState.F: EvseState.F,
    PilotState.INVALID: EvseState.A,
}


def decode_stamped(datagram: bytes) -> Demand:
    """Return the demand in a datagram of the node, whatever its run and number."""
    return decode_demand(unstamped(datagram)[2])


class FakeSafety:
    """What a safety process would publish while a car does this and that."""

    def __init__(self, clock: Clock, safety_run_id: int = 7) -> None:
        self.clock = clock
        self.safety_run_id = safety_run_id
        self.transitions: list[Transition] = []
        self.state = "A"
        self.faults: frozenset[Any] = NOTHING
        self.request_number = 0
        self.shown: dict[str, Any] = {}
        self._number = 0

    def show(self, **changes: Any) -> Snapshot:
        """Let fields of what is told be these from now on, as one transition; the reason follows from them."""
        self.shown |= changes
        told = self.snapshot()
        reason = Reason.FAULT if told.faults else Reason.CHARGING if told.close_ordered else Reason.VEHICLE_NOT_READY
        evse = EVSE_STATES[told.pilot_state]
        self.shown |= {"evse_state": evse, "reason": reason}
        number = len(self.transitions) + 1
        at_ns, offered_ma = self.clock.monotonic_ns(), told.offered_current_ma
        self.transitions.append(
            Transition(number, at_ns, evse, told.pilot_state, told.close_ordered, offered_ma, told.faults, reason)
        )
        return self.snapshot()

    def say(self, **changes: Any) -> Snapshot:
        """Let fields of what is told be these from now on, without a transition."""
        self.shown |= changes
        return self.snapshot()

    def become(self, state: str, faults: frozenset[Any] = NOTHING) -> Snapshot:
        self.state, self.faults = state, faults
        evse, pilot, closed, offered, reason = STATES[state]
        number = len(self.transitions) + 1
        self.transitions.append(
            Transition(number, self.clock.monotonic_ns(), evse, pilot, closed, Milliamps(offered), faults, reason)
        )
        return self.snapshot()

    def snapshot(self, **changes: Any) -> Snapshot:
        evse, pilot, closed, offered, reason = STATES[self.state]
        self._number += 1
        told = replace(
            IDLE,
            safety_run_id=self.safety_run_id,
            number=self._number,
            at_ns=self.clock.monotonic_ns(),
            evse_state=evse,
            pilot_state=pilot,
            close_ordered=closed,
            offered_current_ma=Milliamps(offered),
            faults=self.faults,
            reason=reason,
            request_number=self.request_number,
            transitions=tuple(self.transitions[-16:]),
            invitation=self.safety_run_id,
        )
        return replace(told, **{**self.shown, **changes})


def meter_reading(at_ns: int, energy_mwh: int, power_mw: int = 0, current_ma: int = 0) -> MeterReading:
    return MeterReading(
        voltage_mv=(Millivolts(230_000),) * 3,
        current_ma=(Milliamps(current_ma),) * 3,
        power_mw=(Milliwatts(power_mw // 3),) * 3,
        total_power_mw=Milliwatts(power_mw),
        energy_mwh=MilliwattHours(energy_mwh),
        frequency_mhz=Millihertz(50_000 + at_ns // SECOND % 20),
        read_ns=at_ns,
    )
