"""What goes into one step of the machine and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evse_pi.core.states import PilotMode
from hal.units import DutyPpm

if TYPE_CHECKING:
    from evse_pi.core.faults import Fault
    from evse_pi.core.records import Demand
    from hal.units import Millivolts, Ohms


@dataclass(frozen=True, slots=True)
class PilotSupply:
    """The generator's rails ahead of its source resistor: the positive one before and after the window, and -12 V."""

    positive_mv: Millivolts
    positive_after_mv: Millivolts
    negative_mv: Millivolts


@dataclass(frozen=True, slots=True)
class LoadVoltages:
    """The phases of the load side against PE right before and right after the pilot's window, in mV, L1 first."""

    before_mv: tuple[Millivolts, ...]
    after_mv: tuple[Millivolts, ...]


@dataclass(frozen=True, slots=True)
class PilotReading:
    """The two plateaus of one window; a plateau with too few samples to be believed is None.

    Units: medians in mV at the vehicle side of the source resistor; `spread_mv` is how far the believed samples of
    the high plateau scatter; `high_ppm` is the share of samples above the split, to compare with the duty, None where
    peak detectors cannot know it; `low_samples_mv` are the lowest samples of a low plateau that is None; `supply` is
    None on a board that does not see its rails; `duty_ppm` is for how much of three whole periods the line was high,
    None where the instants of the samples are not known.
    """

    high_mv: Millivolts | None
    low_mv: Millivolts | None
    spread_mv: Millivolts
    high_count: int
    low_count: int
    high_ppm: int | None
    low_samples_mv: tuple[Millivolts, ...] = ()
    supply: PilotSupply | None = None
    duty_ppm: int | None = None


@dataclass(frozen=True, slots=True)
class CoilReading:
    """The node between the contactor's coil and its return switch, when it was read, and the gate's last pulse."""

    node_mv: Millivolts
    at_ns: int
    fed_ns: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything that one tick saw.

    `pilot` is None when the window could not be read; an optional device that the board lacks reads None. `demand` is
    the newest one ever received, not only one that came in this tick; None when there is none, or to let go softly.
    `load_live` is what couplers say of the load side, `load` the voltages on a board that sees each of its phases,
    `weld_output_closed` what the second contact of the weld output's relay says. `failures` are the drivers that raised
    in this tick, `alarms` what the loop found out about itself.
    """

    now_ns: int
    pilot: PilotReading | None
    demand: Demand | None
    mirror_closed: bool | None = None
    load_live: bool | None = None
    rcd_tripped: bool = False
    emergency_stop: bool = False
    proximity_ohms: Ohms | None = None
    locked: bool | None = None
    failures: frozenset[Fault] = field(default_factory=frozenset)
    alarms: frozenset[Fault] = field(default_factory=frozenset)
    load: LoadVoltages | None = None
    weld_output_closed: bool | None = None
    coil: CoilReading | None = None


@dataclass(frozen=True, slots=True)
class PilotOutput:
    """What the generator shall do; `duty_ppm` counts only in mode PWM."""

    mode: PilotMode
    duty_ppm: DutyPpm


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the drivers shall do now. `lock` is True towards locked, False towards unlocked, None motor off.

    A closed contactor needs both switches of its coil: `coil_returned` and, on a board with a gate, pulses, `gate_fed`.
    One alone proves that the other is open.
    """

    close_ordered: bool
    pilot: PilotOutput
    lock: bool | None = None
    rcd_test: bool = False
    rcd_reset: bool = False
    weld_output: bool = False
    coil_returned: bool = False
    gate_fed: bool = False


SAFE_OUTPUTS = Outputs(close_ordered=False, pilot=PilotOutput(PilotMode.LOW, DutyPpm(0)))
"""What is driven before the first decision and after the last."""
