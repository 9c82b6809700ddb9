"""Says what the safety process sees and does: at once when it changes, else every second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evse_pi.core.faults import Fault
from evse_pi.core.records import Snapshot, encode_snapshot
from evse_pi.core.states import PilotMode
from hal.units import SECOND, Millivolts

if TYPE_CHECKING:
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.io_records import Inputs, PilotReading
    from evse_pi.core.machine import MachineState
    from evse_pi.safety.loop_interfaces import DemandLink
    from evse_pi.safety.loop_timing import LoopTiming
    from hal.linear_scale import LinearScale

REPEAT_NS = SECOND
NUMBERS = 1 << 32  # wire form: 32 bits, of which nothing depends on the order


class Publisher:
    """Composes snapshots and sends those that tell something new."""

    def __init__(self, link: DemandLink, safety_run_id: int, timing: LoopTiming) -> None:
        self._link = link
        self._safety_run_id = safety_run_id
        self._timing = timing
        self._ticks = 0
        self._last: Snapshot | None = None
        self._told: object = None
        self._repeat_ns = 0

    def publish(self, state: MachineState, inputs: Inputs, board: BoardRatings, scale: LinearScale) -> None:
        """Send a snapshot of the tick that went from `inputs` to `state`, if anything but a measurement changed."""
        self._ticks += 1
        told = (
            state.journal,
            state.status,
            state.outputs,
            state.book.active,
            state.watch.tests.stage,
            state.watch.lease.order_number,
            inputs.mirror_closed,
            state.watch.load.sense.live,
            inputs.locked,
            self._link.node_run,
        )
        if told == self._told and inputs.now_ns < self._repeat_ns:
            return
        self._told = told
        self._repeat_ns = inputs.now_ns + REPEAT_NS
        self._send(self._compose(state, inputs, board, scale))

    def send_final_snapshot(self, now_ns: int) -> None:
        """Send the last snapshot again with an open contactor and Fault.INTERNAL."""
        last = self._last
        if last is not None:
            faults = last.faults | {Fault.INTERNAL}
            self._send(replace(last, at_ns=now_ns, close_ordered=False, pilot_mode=PilotMode.LOW, faults=faults))

    def _compose(self, state: MachineState, inputs: Inputs, board: BoardRatings, scale: LinearScale) -> Snapshot:
        watch, status, outputs, timing = state.watch, state.status, state.outputs, self._timing
        high_mv, low_mv = _plateaus(inputs.pilot)
        demand, supply = watch.lease.demand, inputs.pilot.supply if inputs.pilot else None
        return Snapshot(
            safety_run_id=self._safety_run_id,
            number=0,
            at_ns=inputs.now_ns,
            evse_state=status.evse_state,
            pilot_state=watch.pilot.state,
            high_mv=high_mv,
            low_mv=low_mv,
            pilot_mode=outputs.pilot.mode,
            duty_ppm=outputs.pilot.duty_ppm,
            offered_current_ma=state.offer.offered_ma,
            limit_source=status.limit.source,
            limit_ma=status.limit.current_ma,
            cable_ma=watch.cable_ma(board),
            close_ordered=outputs.close_ordered,
            mirror_closed=inputs.mirror_closed,
            load_live=watch.load.sense.live,
            locked=inputs.locked,
            permitted=status.permitted,
            faults=state.book.active,
            reason=status.reason,
            reason_until_ns=status.reason_until_ns,
            self_test_passed=watch.tests.passed,
            self_test_running=watch.tests.running,
            demand_number=demand.number if demand else 0,
            request_number=watch.lease.order_number or 0,
            ticks=self._ticks,
            lateness_p999_ns=timing.lateness.quantile_ns(999),
            lateness_max_ns=timing.lateness.largest_ns,
            reaction_p999_ns=timing.reaction.quantile_ns(999),
            contactor_cycles=watch.contactor.cycles,
            openings_under_load=watch.contactor.openings_under_load,
            transitions=state.journal.transitions,
            evidence=watch.evidence(board),
            gain_uv_per_code=scale.gain_uv_per_code,
            offset_mv=scale.offset_mv,
            positive_mv=supply.positive_after_mv if supply else Millivolts(0),
            negative_mv=supply.negative_mv if supply else Millivolts(0),
            node_run=self._link.node_run,
            invitation=self._link.invitation,
        )

    def _send(self, snapshot: Snapshot) -> None:
        number = (self._last.number + 1) % NUMBERS if self._last else 1
        self._last = replace(snapshot, number=number)
        self._link.send(encode_snapshot(self._last))


def _plateaus(reading: PilotReading | None) -> tuple[Millivolts, Millivolts]:
    """Return both plateaus to show; a line that does not oscillate has one, an unread one shows 0 V."""
    seen = [] if reading is None else [mv for mv in (reading.high_mv, reading.low_mv) if mv is not None]
    return (seen[0], seen[-1]) if seen else (Millivolts(0), Millivolts(0))
