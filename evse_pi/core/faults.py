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
    mrec: str | None = None
    clear_delay_ns: int = 0
    retest: bool = False


def _driver(fault_state: FaultState = FaultState.OTHER) -> FaultRow:
    return FaultRow(Severity.OPEN, Clear.WHEN_GONE, fault_state, clear_delay_ns=30 * SECOND, retest=True)


# The order is the rank: of several active faults the first one is published.
FAULTS: dict[Fault, FaultRow] = {
    Fault.EMERGENCY_STOP: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.EMERGENCY_STOP,
        mrec="CX008",
    ),
    Fault.CONTACTOR_WELDED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.CONTACT_WET_FAILURE,
        mrec="CX017",
        retest=True,
    ),
    Fault.CONTACTOR_CHANNEL: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.OTHER,
        mrec="CX017",
        retest=True,
    ),
    Fault.CONTACTOR_DRIVE_FAILED: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
        mrec="CX017",
    ),
    Fault.RCD_TRIPPED: FaultRow(
        Severity.OPEN,
        Clear.BY_USER,
        FaultState.GROUND_FAULT,
        mrec="CX002",
    ),
    Fault.RCD_TRIPS_REPEATED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.GROUND_FAULT,
        mrec="CX002",
    ),
    Fault.RCD_TEST_FAILED: FaultRow(
        Severity.OPEN,
        Clear.BY_INSTALLER,
        FaultState.GROUND_FAULT,
        mrec="CX002",
        retest=True,
    ),
    Fault.OVERCURRENT: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.OVER_CURRENT,
        mrec="CX004",
    ),
    Fault.OVER_TEMPERATURE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE | Clear.BY_INSTALLER,
        FaultState.OVER_TEMPERATURE,
        mrec="CX003",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.CONTACTOR_FAILED_TO_CLOSE: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG | Clear.BY_USER,
        FaultState.CONTACT_DRY_FAILURE,
        mrec="CX017",
        retest=True,
    ),
    Fault.SUPPLY_24V: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        clear_delay_ns=5 * SECOND,
    ),
    Fault.PILOT_SHORT: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.PILOT_SHORT_CIRCUIT,
        mrec="CX014",
    ),
    Fault.PILOT_DIODE: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.PILOT_SHORT_CIRCUIT,
        mrec="CX014",
    ),
    Fault.PILOT_OUT_OF_BAND: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.OTHER,
        mrec="CX014",
    ),
    Fault.PILOT_SUPPLY: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        mrec="CX014",
        clear_delay_ns=5 * SECOND,
        retest=True,
    ),
    Fault.PILOT_GENERATOR: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        mrec="CX014",
        clear_delay_ns=10 * SECOND,
        retest=True,
    ),
    Fault.PILOT_DUTY: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.OTHER,
        mrec="CX014",
        retest=True,
    ),
    Fault.PILOT_UNCERTAIN: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        mrec="CX014",
        clear_delay_ns=SECOND,
    ),
    Fault.CABLE_REMOVED: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.EV_DISCONNECTED,
        mrec="CX026",
    ),
    Fault.PROXIMITY_INVALID: FaultRow(
        Severity.OPEN,
        Clear.ON_UNPLUG,
        FaultState.OTHER,
        mrec="CX023",
    ),
    Fault.VENTILATION_REQUIRED: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        mrec="CX010",
        clear_delay_ns=10 * SECOND,
    ),
    Fault.LIVE_NEUTRAL_SWAP: FaultRow(
        Severity.STOP,
        Clear.BY_INSTALLER,
        FaultState.LIVE_NEUTRAL_SWAP,
    ),
    Fault.OVERVOLTAGE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.OVER_VOLTAGE,
        mrec="CX005",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.UNDERVOLTAGE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.UNDER_VOLTAGE,
        mrec="CX006",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.POWER_QUALITY: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.POWER_QUALITY,
        mrec="CX015",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.SUPPLY_LOST: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.POWER_LOSS,
        mrec="CX015",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.PHASE_LOST: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.POWER_QUALITY,
        mrec="CX015",
        clear_delay_ns=60 * SECOND,
    ),
    Fault.LOCK_FAILED: FaultRow(
        Severity.STOP,
        Clear.BY_USER,
        FaultState.OTHER,
        mrec="CX001",
    ),
    Fault.METER_STALE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.METER_FAILURE,
    ),
    Fault.TEMPERATURE_STALE: FaultRow(
        Severity.STOP,
        Clear.WHEN_GONE,
        FaultState.OTHER,
    ),
    Fault.SELF_TEST_FAILED: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
    ),
    Fault.TIMING_BUDGET: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
        clear_delay_ns=60 * SECOND,
    ),
    Fault.OUTPUTS_PERSIST: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
    ),
    Fault.INSTALLATION_INVALID: FaultRow(
        Severity.OPEN,
        Clear.WHEN_GONE,
        FaultState.OTHER,
    ),
    Fault.PILOT_ADC_FAILED: _driver(),
    Fault.PILOT_PWM_FAILED: _driver(),
    Fault.RCD_DRIVE_FAILED: _driver(FaultState.GROUND_FAULT),
    Fault.VOLTAGE_SENSE_FAILED: _driver(),
    Fault.EMERGENCY_STOP_READ_FAILED: _driver(FaultState.EMERGENCY_STOP),
    Fault.PROXIMITY_READ_FAILED: _driver(),
    Fault.LOCK_DRIVE_FAILED: _driver(),
    Fault.WATCHDOG_DRIVE_FAILED: _driver(),
    Fault.WELD_OUTPUT_FAILED: _driver(),
    Fault.INTERNAL: FaultRow(
        Severity.OPEN,
        Clear.RESTART,
        FaultState.OTHER,
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

    @property
    def clears_by_itself_ns(self) -> int | None:
        """When the last fault will clear if no condition comes back; None where one lasts or needs more than time."""
        ends_ns = 0
        for entry in self.entries:
            row = FAULTS[entry.fault]
            if entry.gone_ns is None or Clear.WHEN_GONE not in row.clear:
                return None
            ends_ns = max(ends_ns, entry.gone_ns + row.clear_delay_ns)
        return ends_ns

    def advance(
        self,
        now_ns: int,
        present: frozenset[Fault],
        clearing: Clear,
        released: frozenset[Fault],
        held: frozenset[Fault] = NO_FAULTS,
    ) -> FaultBook:
        """Return the book after one tick in which the conditions `present` held.

        `clearing` are the ways of clearing that are open in this tick, `released` are faults that their own policy
        lets go, `held` those that do not clear yet though their condition may be gone. A fault whose condition lasts
        never clears.
        """
        if not present and not self.entries:
            return self
        entries = tuple(
            entry
            for entry in (_aged(entry, now_ns, present) for entry in self.entries)
            if entry.fault in held or not _clears(entry, now_ns, clearing, released)
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
