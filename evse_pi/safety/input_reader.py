"""Reads every device once; what cannot be read is named, never guessed."""

from __future__ import annotations

import time
from array import array
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from evse_pi.core.faults import Fault
from evse_pi.core.io_records import CoilReading, Inputs, LoadVoltages, PilotSupply
from evse_pi.core.pilot import measure
from hal.errors import BadReading, HalError
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.build_safety import SafetyHardware
    from boards.spec import LoadSenseSpec, PilotSupplySpec
    from evse_pi.core.io_records import PilotReading
    from evse_pi.core.records import Demand
    from evse_pi.safety.loop_timing import LoopTiming
    from hal.interfaces import PilotWindow
    from hal.linear_scale import LinearScale

RETRY_WITHIN_NS = 5 * MILLISECOND  # a window takes 4 to 7 ms, and two of them 12 at most
MAX_REPEATS = 5
"""Equal windows in a row that are still chance: a quiet line with one noisy code in 96 makes six once in 300 years."""

Value = TypeVar("Value")


class InputReader:
    """Turns the devices of the box into the inputs of one step.

    `window` is the last look at the pilot, `pilot_scale` makes voltages of its codes and may be replaced between ticks,
    `fed_ns` is when the gate of the contactor's coil got its last pulse.
    """

    def __init__(
        self,
        hardware: SafetyHardware,
        pilot_scale: LinearScale,
        timing: LoopTiming,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._hardware = hardware
        self._clock = clock
        self.pilot_scale = pilot_scale
        self._timing = timing
        self._failures: set[Fault] = set()
        self.fed_ns = 0
        self.window: PilotWindow | None = None
        self._codes = array("H")
        self._repeats = 0
        self._load: LoadVoltages | None = None

    def read(self, now_ns: int, demand: Demand | None, failures: frozenset[Fault], alarms: frozenset[Fault]) -> Inputs:
        """Return what this tick sees; `failures` grow by every driver that raises, whose reading is then absent."""
        devices = self._hardware
        sense, rcd, proximity = devices.voltage_sense, devices.rcd, devices.proximity
        stop, lock, weld = devices.emergency_stop, devices.lock, devices.weld_output
        self._failures = set(failures)
        self._load = None
        pilot = self._try(Fault.PILOT_ADC_FAILED, self._read_pilot, None)
        if pilot is None:
            self._timing.lose_window()
        return Inputs(
            now_ns=now_ns,
            pilot=pilot,
            demand=demand,
            mirror_closed=self._try(Fault.CONTACTOR_DRIVE_FAILED, devices.contactor.read_closed, None),
            load_live=self._try(Fault.VOLTAGE_SENSE_FAILED, sense.read_live, None) if sense else None,
            rcd_tripped=self._try(Fault.RCD_DRIVE_FAILED, rcd.read_tripped, False, tries=1) if rcd else False,
            emergency_stop=self._try(Fault.EMERGENCY_STOP_READ_FAILED, stop.read_pressed, False) if stop else False,
            proximity_ohms=self._try(Fault.PROXIMITY_READ_FAILED, proximity.read_ohms, None) if proximity else None,
            locked=self._try(Fault.LOCK_DRIVE_FAILED, lock.read_locked, None) if lock else None,
            load=self._load,
            weld_output_closed=self._try(Fault.WELD_OUTPUT_FAILED, weld.read_closed, None) if weld else None,
            failures=frozenset(self._failures),  # after the last read
            alarms=alarms,
            coil=None if pilot is None else self._coil(),
        )

    def _coil(self) -> CoilReading | None:
        """Return the node behind the contactor's coil as the last window's transfers read it."""
        node, window = self._hardware.coil_node, self.window
        if node is None or window is None or node.channel not in window.after:
            return None
        return CoilReading(node.scale.millivolts(window.after[node.channel]), window.ended_ns, self.fed_ns)

    def _read_pilot(self) -> PilotReading:
        window = self._hardware.pilot_adc.read_window()
        self._timing.add_window(window)
        self.window = window
        same = window.codes == self._codes and max(window.codes) > min(window.codes)
        self._repeats = self._repeats + 1 if same else 0
        self._codes = window.codes
        if self._repeats >= MAX_REPEATS:
            raise BadReading(f"pilot converter: {self._repeats + 1} windows in a row are equal, noise included")
        self._load = _load(window, self._hardware.load_sense) if self._hardware.load_sense else None
        reading = measure(window, self.pilot_scale)
        rails = self._hardware.pilot_supply
        return replace(reading, supply=_supply(window, rails)) if rails else reading

    def _try(self, failure: Fault, read: Callable[[], Value], nothing: Value, tries: int = 2) -> Value:
        """Return what `read` says, tried once more in this very tick: a disturbed transfer is no broken device.

        What took long is not tried again: the next tick must not be late for it. Nor is a residual current device,
        whose failed read may have taken an edge with it.
        """
        begun_ns = self._clock()
        for _ in range(tries):
            try:
                return read()
            except HalError:
                if self._clock() - begun_ns > RETRY_WITHIN_NS:
                    break
        self._failures.add(failure)
        return nothing


def _supply(window: PilotWindow, rails: PilotSupplySpec) -> PilotSupply | None:
    """Return the generator's rails round a window, None where a converter left them out."""
    positive, negative = rails.positive, rails.negative
    if positive.channel not in window.before or not {positive.channel, negative.channel} <= window.after.keys():
        return None
    return PilotSupply(
        positive.scale.millivolts(window.before[positive.channel]),
        positive.scale.millivolts(window.after[positive.channel]),
        negative.scale.millivolts(window.after[negative.channel]),
    )


def _load(window: PilotWindow, sense: LoadSenseSpec) -> LoadVoltages | None:
    """Return the phases of the load side round a window, None where a converter left one out."""
    channels = sense.channels
    if not window.before.keys() >= set(channels) or not window.after.keys() >= set(channels):
        return None
    return LoadVoltages(
        tuple([phase.scale.millivolts(window.before[phase.channel]) for phase in sense.phases]),
        tuple([phase.scale.millivolts(window.after[phase.channel]) for phase in sense.phases]),
    )
