"""What a board is: the frozen values that a board file stands for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from hal.units import Millivolts

if TYPE_CHECKING:
    from hal.gpio import Pull
    from hal.linear_scale import LinearScale
    from hal.mcp3xxx import AdcChip
    from hal.units import Milliamps, Ohms


class TemperatureChip(Enum):
    """Thermometers with a driver in hal/sensors."""

    TMP102 = "tmp102"
    LM75 = "lm75"
    MCP9808 = "mcp9808"


class MeterModel(Enum):
    """Energy meters with a register table in hal/meters; version 1 of the SDM72D-M has totals only."""

    SDM120 = "sdm120"
    SDM230 = "sdm230"
    SDM630 = "sdm630"
    SDM72D_M = "sdm72d_m"
    SDM72D_M_V1 = "sdm72d_m_v1"


MEASURED_PHASES = {
    MeterModel.SDM120: 1,
    MeterModel.SDM230: 1,
    MeterModel.SDM630: 3,
    MeterModel.SDM72D_M: 3,
    MeterModel.SDM72D_M_V1: 3,
}
"""Through how many phases each model counts."""
TOTALS_ONLY = (MeterModel.SDM72D_M_V1,)
"""Models that tell neither voltage nor current: nothing compares those with the offer or with the supply."""


class Parity(Enum):
    """Parity of a serial line."""

    NONE = "N"
    EVEN = "E"
    ODD = "O"


HEADER = "header"
"""The port of a meter at the header's UART, GPIO 14 and 15, whatever this model of Pi calls it."""
OPEN_WITHIN_MS = 100
"""From the vehicle's change to parted contacts. Source: IEC 61851-1 Table A.6, sequences 3.1 and 8."""
PULSE_MARGIN_MS = 5
"""What a pulse must be ahead of the earliest moment at which the gate lets go. Source: docs/boards/reference.md."""
TICK_MS = 10
"""How often the safety process looks, and feeds the watchdog."""
UNSEEN_WELD = "nothing sees one welded pole: couplers need a second one for a way back, and there is no mirror contact"
UNSEEN_SUPPLY = "nothing sees the pilot's +12 V and -12 V: a sagging rail makes a plug without a vehicle look like one"


@dataclass(frozen=True, slots=True)
class NotFitted:
    """A device that a wallbox should have and this board lacks, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class InputPin:
    """One input line; `active_high` says which level means what the section is named after."""

    pin: int
    active_high: bool
    pull: Pull


@dataclass(frozen=True, slots=True)
class OutputPin:
    """One output line."""

    pin: int
    active_high: bool


@dataclass(frozen=True, slots=True)
class ContactorFailSafe:
    """What holds the contactor open when the software cannot, one text per case."""

    boot: str
    process_dies: str
    process_hangs: str
    power_lost: str


@dataclass(frozen=True, slots=True)
class PilotAdcSpec:
    """The converter that sees the control pilot; `scale` is for the far side of the input stage."""

    chip: AdcChip
    bus: int
    device: int
    channel: int
    speed_hz: int
    scale: LinearScale


@dataclass(frozen=True, slots=True)
class ConverterInput:
    """A further channel of the pilot's converter, and what its codes mean ahead of the input stage."""

    channel: int
    scale: LinearScale


@dataclass(frozen=True, slots=True)
class PilotSupplySpec:
    """The generator's two rails as the converter sees them, and how far from 0 V each must read."""

    positive: ConverterInput
    negative: ConverterInput
    window_mv: tuple[Millivolts, Millivolts]


@dataclass(frozen=True, slots=True)
class LoadSenseSpec:
    """Each phase of the load side against PE, as the pilot's converter sees it, L1 first."""

    phases: tuple[ConverterInput, ...]

    @property
    def channels(self) -> tuple[int, ...]:
        """Return the channels, L1 first."""
        return tuple(phase.channel for phase in self.phases)


@dataclass(frozen=True, slots=True)
class CouplerSense:
    """Opto-couplers between the load side's conductors on one line, which show a voltage `hold_ms` after it has gone.

    One welded pole with all others open drives no current through them: they see two, and the mirror contact one.
    """

    line: InputPin
    hold_ms: int


@dataclass(frozen=True, slots=True)
class HardwareWindow:
    """A circuit in the coil's own path that lets go when the rails, or the pilot's share of them, are wrong."""

    circuit: str


@dataclass(frozen=True, slots=True)
class PilotPwmSpec:
    """The generator's pin, which the PWM block of each model of Pi drives; `inverted`: a high pin gives −12 V."""

    pin: int
    inverted: bool


class ProvenBy(Enum):
    """What shows, before every close, that each of the coil's two switches can open by itself."""

    COIL_NODE = "coil_node"
    MIRROR = "mirror"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class CoilNodeSpec:
    """A channel of the pilot's converter that sees the node between coil and return switch.

    A resistor across the supply switch must bring it to half of `supply_mv` while both switches are off.
    Source: docs/boards/reference.md. Hazard: H-09.
    """

    channel: int
    scale: LinearScale
    supply_mv: Millivolts

    @property
    def window_mv(self) -> tuple[Millivolts, Millivolts]:
        """Return between what the supply must read for a contactor that surely pulls in and stays, ends included.

        The node stands at half of it as far as two resistors are alike, which 0.2 % of it and a code grant.
        """
        step_mv = self.supply_mv * 2 // 1_000 + 2 * (self.scale.gain_uv_per_code // 1_000 + 1)
        return Millivolts(self.supply_mv * 85 // 100 - step_mv), Millivolts(self.supply_mv * 120 // 100)


@dataclass(frozen=True, slots=True)
class EconomiserSpec:
    """A second coil output that is driven only while the contactor pulls in."""

    boost_pin: int
    boost_ms: int


@dataclass(frozen=True, slots=True)
class ContactorSpec:
    """The contactor, always active high: a floating or low pin is an open contactor.

    `channel_proof` is NOTHING on a board whose coil has no second switch.
    """

    pin: int
    pull_in_ms: int
    release_ms: int
    min_off_ms: int
    rated_current_ma: Milliamps
    mirror: InputPin | None
    economiser: EconomiserSpec | None
    channel_proof: ProvenBy = ProvenBy.NOTHING


@dataclass(frozen=True, slots=True)
class WatchdogSpec:
    """The gate in the coil's supply: it holds for `hold_min_ms` to `hold_max_ms` after each rising edge of its input.

    `arm_ms` is the most that it takes from the first edge to a supplied coil. `bench_only` is why its hold may be
    longer than what a process that hangs must open within; such a board charges no vehicle unattended. A circuit that
    conducts again without an edge, `rearms_by_itself`, is refused.
    Source: docs/boards/reference.md. Hazard: H-09.
    """

    pin: int
    hold_min_ms: int
    hold_max_ms: int
    arm_ms: int
    bench_only: str | None = None
    rearms_by_itself: bool = False


@dataclass(frozen=True, slots=True)
class ResidualCurrents:
    """What a residual current monitor surely trips at, 0 for a kind of current that it does not see, and by which norm.

    What it sees decides which device must stand upstream of the box.
    """

    dc_ma: Milliamps
    ac_ma: Milliamps
    standard: str


@dataclass(frozen=True, slots=True)
class NorthAmericaSpec:
    """What a board for North America says of itself: its device for persons, its earth and its supply.

    `ground_monitor` names the circuit that opens the contactor when the equipment's earth is lost.
    """

    ccid_ma: Milliamps
    ground_monitor: str
    frequency_hz: int
    load_sense_poles: int


@dataclass(frozen=True, slots=True)
class RcdSpec:
    """The residual current monitor. `test_hz` 0 is a level; `reset` None means that it resets by itself."""

    detects: ResidualCurrents
    trip: InputPin
    test: OutputPin
    test_hz: int
    reset: OutputPin | None
    reset_ms: int


@dataclass(frozen=True, slots=True)
class WeldOutputSpec:
    """The relay that trips a switch ahead of the box while the contactor is welded; `readback` is its second contact.

    Source: the shunt release that national notes to IEC 61851-1 clause 8.1 demand, docs/boards/reference.md.
    """

    pin: int
    active_high: bool
    readback: InputPin | None


@dataclass(frozen=True, slots=True)
class ProximitySpec:
    """The proximity input: a pull-up to `supply_mv`, read by a channel of the pilot's converter."""

    channel: int
    scale: LinearScale
    supply_mv: Millivolts
    pull_up_ohms: Ohms


@dataclass(frozen=True, slots=True)
class LockSpec:
    """The motor of the connector lock and its feedback contact (active means locked)."""

    lock_pin: int
    unlock_pin: int
    feedback: InputPin
    drive_ms: int


@dataclass(frozen=True, slots=True)
class TemperatureSpec:
    """One thermometer on an I2C bus, and what it watches."""

    chip: TemperatureChip
    bus: int
    address: int
    place: str


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """The meter that the board is sold with; an installation may name another. Port "header" is the header's UART.

    `current_inverted` says that the current goes through it the other way round, `neutral` that it has a neutral.
    """

    model: MeterModel
    port: str
    unit: int
    baud: int
    parity: Parity
    current_inverted: bool = False
    neutral: bool = True


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """One wallbox's electronics. `phases` is what the contactor switches, 1 or 3."""

    name: str
    title: str
    phases: int
    board_current_ma: Milliamps
    fail_safe: ContactorFailSafe
    pilot_adc: PilotAdcSpec
    pilot_pwm: PilotPwmSpec
    contactor: ContactorSpec
    watchdog: WatchdogSpec | NotFitted
    rcd: RcdSpec | NotFitted
    voltage_sense: CouplerSense | None
    proximity: ProximitySpec | None
    lock: LockSpec | None
    emergency_stop: InputPin | None
    status_led: OutputPin | None
    temperature: tuple[TemperatureSpec, ...]
    meter: MeterSpec | None
    pilot_supply: PilotSupplySpec | HardwareWindow | None = None
    weld_output: WeldOutputSpec | None = None
    north_america: NorthAmericaSpec | None = None
    load_sense: LoadSenseSpec | None = None
    coil_node: CoilNodeSpec | None = None

    @property
    def rated_current_ma(self) -> Milliamps:
        """What board and contactor both stand."""
        return min(self.board_current_ma, self.contactor.rated_current_ma)

    @property
    def open_within_ms(self) -> int:
        """Return within what time the contacts part in every case, that of a process that hangs included.

        Only a board for the bench may need more than the norm allows.
        """
        if isinstance(self.watchdog, NotFitted):
            return OPEN_WITHIN_MS
        return max(OPEN_WITHIN_MS, self.watchdog.hold_max_ms + self.contactor.release_ms + TICK_MS)

    @property
    def late_limit_ms(self) -> int:
        """Return how late a pulse may be: later the gate may have let go, and a pulse would close it under load.

        A board without such a gate has half of what the norm allows, which a tick this late has spent alone.
        """
        if isinstance(self.watchdog, NotFitted):
            return OPEN_WITHIN_MS // 2
        return self.watchdog.hold_min_ms - PULSE_MARGIN_MS

    @property
    def bench_only(self) -> str | None:
        """Return why this board must not charge a vehicle unattended, None when it may."""
        if isinstance(self.watchdog, NotFitted):
            return self.watchdog.reason
        if self.watchdog.bench_only:
            return self.watchdog.bench_only
        if self.pilot_supply is None:
            return UNSEEN_SUPPLY
        return None if self.sees_one_pole else UNSEEN_WELD

    @property
    def sees_one_pole(self) -> bool:
        """Whether one welded pole alone is seen, by the mirror contact or by a sense of each phase. Hazard: H-03."""
        return self.contactor.mirror is not None or self.load_sense is not None
