"""Every fault of the box: how hard it hits, how it clears, what it is called elsewhere, and the book of active ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.fault_kinds import NO_FAULTS as NO_FAULTS  # one module to import from, whatever of a fault is meant
from evse_pi.core.fault_kinds import Clear as Clear
from evse_pi.core.fault_kinds import Fault as Fault
from evse_pi.core.fault_kinds import Severity as Severity
from evse_pi.core.states import FaultState
from hal.units import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One line of the fault table.

    `clear_delay_ns` is how long the condition must have been gone, for WHEN_GONE. `retest` asks for a new self-test
    after the fault has cleared. `mrec` is the minimum required error code of the ChargeX consortium, where one fits.
    """

    severity: Severity
    clear: Clear
    fault_state: FaultState
    hint: str
    mrec: str | None = None
    clear_delay_ns: int = 0
    retest: bool = False


def _driver(device: str, hint: str, fault_state: FaultState = FaultState.OTHER) -> FaultRow:
    return FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        fault_state,
        f"The {device} does not answer: {hint}",
        clear_delay_ns=30 * SECOND,
        retest=True,
    )


# The order is the rank: of several active faults the first one is published.
FAULTS: dict[Fault, FaultRow] = {
    Fault.EMERGENCY_STOP: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.EMERGENCY_STOP,
        "Release the emergency stop button, then unplug the vehicle or acknowledge; if not pressed, check its wire.",
        mrec="CX008",
    ),
    Fault.CONTACTOR_WELDED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.CONTACT_WET_FAILURE,
        "Switch off the supply and replace the contactor: its contacts stayed closed, or its mirror contact is stuck.",
        mrec="CX017",
        retest=True,
    ),
    Fault.CONTACTOR_DRIVE_FAILED: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
        "The contactor's output cannot be driven: check the line in the board file and who else uses it, then restart.",
        mrec="CX017",
    ),
    Fault.RCD_TRIPPED: FaultRow(
        Severity.OPEN,
        Clear.BY_USER,
        FaultState.GROUND_FAULT,
        "Residual current flowed: look for moisture or damage in cable, plug and vehicle, then acknowledge.",
        mrec="CX002",
    ),
    Fault.RCD_TRIPS_REPEATED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.GROUND_FAULT,
        "Residual current flowed again after it was acknowledged three times: have insulation and vehicle measured.",
        mrec="CX002",
    ),
    Fault.RCD_TEST_FAILED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.GROUND_FAULT,
        "The residual current device did not trip or reset when tested: check its wiring, replace it if it repeats.",
        mrec="CX002",
        retest=True,
    ),
    Fault.OVERCURRENT: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.OVER_CURRENT,
        "The vehicle drew more than it was offered, and again at less, or far too much: read its limit, compare the "
        "meter, then unplug or acknowledge.",
        mrec="CX004",
    ),
    Fault.OVER_TEMPERATURE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE | Clear.BY_INSTALLER,
        FaultState.OVER_TEMPERATURE,
        "Let the box cool; check terminals for loose screws, and whether sun or an enclosure heats it.",
        mrec="CX003",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.CONTACTOR_FAILED_TO_CLOSE: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.CONTACT_DRY_FAILURE,
        "The contactor was told to close and no contact was seen: check coil supply, coil and mirror contact.",
        mrec="CX017",
        retest=True,
    ),
    Fault.PILOT_SHORT: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.PILOT_SHORT_CIRCUIT,
        "Control pilot and earth are connected: unplug; if it stays, look for moisture and a cut cable.",
        mrec="CX014",
    ),
    Fault.PILOT_DIODE: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.PILOT_SHORT_CIRCUIT,
        "The negative half of the pilot is loaded: no vehicle answers like this; try another vehicle, check the cable.",
        mrec="CX014",
    ),
    Fault.PILOT_OUT_OF_BAND: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.OTHER,
        "The pilot voltage fits no state: check earth and pilot contacts of cable and inlet, then unplug.",
        mrec="CX014",
    ),
    Fault.PILOT_SUPPLY: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "Measure +12 V and -12 V of the pilot's generator at its switch and look for a loose joint or a weak supply; "
        "after the third time with one vehicle it must also be unplugged.",
        mrec="CX014",
        clear_delay_ns=5 * SECOND,
        retest=True,
    ),
    Fault.PILOT_GENERATOR: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The pilot does not show what is driven: measure +12 V and -12 V of the board, check the PWM pin and overlay.",
        mrec="CX014",
        clear_delay_ns=10 * SECOND,
        retest=True,
    ),
    Fault.PILOT_UNCERTAIN: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The pilot is too noisy to be read: check the pilot's ground, its shielding and the 12 V supplies.",
        mrec="CX014",
        clear_delay_ns=SECOND,
    ),
    Fault.CABLE_REMOVED: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.EV_DISCONNECTED,
        "Proximity was lost while the vehicle was connected: the plug left the socket, or the cable is cut.",
        mrec="CX026",
    ),
    Fault.PROXIMITY_INVALID: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.OTHER,
        "The cable's coding resistor is out of range: try another cable; clean the proximity contact of the socket.",
        mrec="CX023",
    ),
    Fault.VENTILATION_REQUIRED: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The vehicle asks for ventilation, which this installation does not have: charge it elsewhere.",
        mrec="CX010",
        clear_delay_ns=10 * SECOND,
    ),
    Fault.LIVE_NEUTRAL_SWAP: FaultRow(
        Severity.STOP,
        Clear.BY_INSTALLER,
        FaultState.LIVE_NEUTRAL_SWAP,
        "Switch off the supply and correct line and neutral at the supply terminals.",
    ),
    Fault.OVERVOLTAGE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.OVER_VOLTAGE,
        "The supply voltage is too high: measure it at the terminals; a loose neutral is dangerous.",
        mrec="CX005",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.UNDERVOLTAGE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.UNDER_VOLTAGE,
        "The supply voltage is too low: check terminals and the cross-section of the supply, or lower the capacity.",
        mrec="CX006",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.POWER_QUALITY: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.POWER_QUALITY,
        "A phase is missing: check fuses and the supply terminals.",
        mrec="CX015",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.LOCK_FAILED: FaultRow(
        Severity.STOP,
        Clear.BY_USER,
        FaultState.OTHER,
        "The connector lock did not move: push the plug fully in, then acknowledge; check motor and feedback contact.",
        mrec="CX001",
    ),
    Fault.METER_STALE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.METER_FAILURE,
        "No fresh meter reading for 15 s: check the meter's bus, address and supply.",
    ),
    Fault.TEMPERATURE_STALE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "No fresh temperature for 15 s: check the temperature sensor and its bus.",
    ),
    Fault.SELF_TEST_FAILED: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The self-test could not be finished and is repeated every minute: read its evidence, correct what is missing.",
    ),
    Fault.TIMING_BUDGET: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The box reacts too slowly to be safe: end other programs on it, check real-time priority and CPU frequency.",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.OUTPUTS_PERSIST: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
        "The kernel would hold the contactor after a crash: set dtparam=strict_gpiod in config.txt and reboot.",
    ),
    Fault.INSTALLATION_INVALID: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        "The installer's settings are missing or not allowed: correct /etc/evse-pi/installation.toml.",
    ),
    Fault.PILOT_ADC_FAILED: _driver("pilot converter", "check the SPI overlay, chip select and wiring."),
    Fault.PILOT_PWM_FAILED: _driver("pilot generator", "check the PWM overlay and the pin."),
    Fault.RCD_DRIVE_FAILED: _driver("residual current device", "check its lines.", FaultState.GROUND_FAULT),
    Fault.VOLTAGE_SENSE_FAILED: _driver("voltage sense", "check its line."),
    Fault.EMERGENCY_STOP_READ_FAILED: _driver("emergency stop input", "check its line.", FaultState.EMERGENCY_STOP),
    Fault.PROXIMITY_READ_FAILED: _driver("proximity input", "check the converter and its channel."),
    Fault.LOCK_DRIVE_FAILED: _driver("connector lock", "check its lines and supply."),
    Fault.WATCHDOG_DRIVE_FAILED: _driver("hardware watchdog", "check its line."),
    Fault.INTERNAL: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
        "The software met what it did not expect and stopped: keep the report of this box and send it to us.",
    ),
}

OPENING = frozenset(fault for fault, row in FAULTS.items() if row.severity is Severity.OPEN)
RETESTED = frozenset(fault for fault, row in FAULTS.items() if row.retest)
_RANK = {fault: rank for rank, fault in enumerate(FAULTS)}


def worst(faults: Iterable[Fault]) -> Fault | None:
    """Return the fault to publish when only one can be, None of none."""
    return min(faults, key=_RANK.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class Entry:
    """One active fault: since when, and since when its condition is gone (None while it lasts)."""

    fault: Fault
    since_ns: int
    gone_ns: int | None = None


@dataclass(frozen=True, slots=True)
class FaultBook:
    """The active faults. `opening` says that one of them forbids a closed contactor."""

    entries: tuple[Entry, ...] = ()
    active: frozenset[Fault] = NO_FAULTS
    opening: bool = False

    def advance(self, now_ns: int, present: frozenset[Fault], clearing: Clear, released: frozenset[Fault]) -> FaultBook:
        """Return the book after one tick in which the conditions `present` held.

        `clearing` are the ways of clearing that are open in this tick, `released` are faults that their own policy
        lets go. A fault whose condition lasts never clears.
        """
        if not present and not self.entries:
            return self
        entries = tuple(
            entry
            for entry in (_aged(entry, now_ns, present) for entry in self.entries)
            if not _clears(entry, now_ns, clearing, released)
        )
        entries += tuple(Entry(fault, now_ns) for fault in sorted(present - self.active))
        if entries == self.entries:
            return self
        active = frozenset(entry.fault for entry in entries)
        return FaultBook(entries, active, not active.isdisjoint(OPENING))


def latched(faults: Iterable[Fault], now_ns: int) -> FaultBook:
    """Return the book that a restart begins with: faults from before it, which still need their rule to clear."""
    entries = tuple(Entry(fault, now_ns, now_ns) for fault in sorted(set(faults)))
    active = frozenset(entry.fault for entry in entries)
    return FaultBook(entries, active, not active.isdisjoint(OPENING))


def _aged(entry: Entry, now_ns: int, present: frozenset[Fault]) -> Entry:
    if entry.fault in present:
        return entry if entry.gone_ns is None else Entry(entry.fault, entry.since_ns)
    return entry if entry.gone_ns is not None else Entry(entry.fault, entry.since_ns, now_ns)


def _clears(entry: Entry, now_ns: int, clearing: Clear, released: frozenset[Fault]) -> bool:
    if entry.gone_ns is None:
        return False
    if entry.fault in released:
        return True
    row = FAULTS[entry.fault]
    if Clear.WHEN_GONE in row.clear and now_ns - entry.gone_ns >= row.clear_delay_ns:
        return True
    return bool(row.clear & clearing)
