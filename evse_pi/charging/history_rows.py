"""What the box remembers, as rows of the database and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evse_pi.charging.session import SavedSession, Session
from evse_pi.charging.stored_fields import LONGEST_NS, StoredFields, UnknownRecord, member_of, parsed
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, Reason
from hal.units import SECOND, Milliamps, Millivolts, MilliwattHours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evse_pi.core.records import Transition

Value = int | str | bytes | None
VALUES = "matter_values"
"""The table of Matter's values by name."""
_INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write; it replaces the row of the same table whose first column is equal, or deletes it."""

    table: str
    values: Mapping[str, Value]
    deletes: bool = False

    @property
    def key(self) -> tuple[str, Value]:
        """What identifies the row in the whole database."""
        return self.table, next(iter(self.values.values()))


DATED: Mapping[str, tuple[tuple[str, str], ...]] = {
    "session": (("started_ns", "started_unix_s"), ("ended_ns", "ended_unix_s")),
    "fault": (("set_ns", "set_unix_s"), ("cleared_ns", "cleared_unix_s")),
    "transition": (("at_ns", "unix_s"),),
}
"""The instants of each table, and where they stand on the calendar."""
STEP_S = 5
"""A clock that is off by less is as right as it was; a time server's corrections are smaller."""


def redated(row: Row, epoch_s: int) -> Row:
    """Return a row of this boot with its instants on the calendar, now that the clock is right.

    Units: `epoch_s` is when the monotonic clock stood at 0, in s since 1970. Earlier instants are of an earlier boot.
    """
    values = dict(row.values)
    for name, unix_name in DATED[row.table]:
        at_ns, unix_s = values[name], values[unix_name]
        if isinstance(at_ns, int) and at_ns >= 0:
            right_s = epoch_s + at_ns // SECOND
            if not isinstance(unix_s, int) or abs(right_s - unix_s) >= STEP_S:
                values[unix_name] = right_s
    return Row(row.table, values)


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault from beginning to end, with the readings of its beginning; `current_ma` is that of the worst phase.

    `readings` is everything that the tick which set it saw, None where the black box does not know it.
    """

    number: int
    fault: Fault
    kernel_boot_id: str
    set_ns: int
    set_unix_s: int | None
    evse_state: EvseState
    close_ordered: bool
    high_mv: Millivolts
    low_mv: Millivolts
    current_ma: Milliamps | None = None
    cleared_ns: int | None = None
    cleared_unix_s: int | None = None
    readings: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """One transition of the box that changed its state, its contactor or its faults."""

    number: int
    at_ns: int
    unix_s: int | None
    kernel_boot_id: str
    evse_state: EvseState
    close_ordered: bool
    offered_ma: Milliamps
    faults: frozenset[Fault]
    reason: Reason


def setting_row(name: str, value: Any) -> Row:
    """Return a setting as a row."""
    return Row("setting", {"name": name, "value": json.dumps(value, separators=(",", ":"))})


def value_row(key: str, value: bytes | None) -> Row:
    """Return one of Matter's values as a row, or that it is gone."""
    return Row(VALUES, {"key": key, "value": value}, deletes=value is None)


def session_row(saved: SavedSession) -> Row:
    """Return a session as a row."""
    session = saved.session
    return Row(
        "session",
        {
            "number": session.number,
            "started_ns": session.started_ns,
            "started_unix_s": session.started_unix_s,
            "ended_ns": session.ended_ns,
            "ended_unix_s": session.ended_unix_s,
            "energy_mwh": session.energy_mwh,
            "estimated": int(session.estimated),
            "charging_ns": session.charging_ns,
            "closed_since_ns": session.closed_since_ns,
            "outage": int(session.outage),
            "machine_boot": saved.kernel_boot_id,
            "saved_ns": saved.saved_ns,
            "register_mwh": saved.register_mwh,
        },
    )


def session_of(row: Mapping[str, Any]) -> SavedSession:
    """Return the session that `row` stands for. Raises: UnknownRecord."""
    fields = StoredFields(dict(row))
    session = Session(
        number=fields.integer("number", 1),
        started_ns=fields.instant_ns("started_ns"),
        started_unix_s=fields.optional_unix_s("started_unix_s"),
        energy_mwh=MilliwattHours(fields.integer("energy_mwh")),
        estimated=fields.boolean("estimated"),
        charging_ns=fields.integer("charging_ns", 0, LONGEST_NS),
        closed_since_ns=fields.optional_instant_ns("closed_since_ns"),
        ended_ns=fields.optional_instant_ns("ended_ns"),
        ended_unix_s=fields.optional_unix_s("ended_unix_s"),
        outage=fields.boolean("outage"),
    )
    register_mwh = fields.optional_integer("register_mwh")
    return SavedSession(
        session,
        fields.text("machine_boot"),
        fields.instant_ns("saved_ns"),
        None if register_mwh is None else MilliwattHours(register_mwh),
    )


def fault_row(record: FaultRecord) -> Row:
    """Return a fault as a row."""
    return Row(
        "fault",
        {
            "number": record.number,
            "fault": record.fault.name,
            "machine_boot": record.kernel_boot_id,
            "set_ns": record.set_ns,
            "set_unix_s": record.set_unix_s,
            "cleared_ns": record.cleared_ns,
            "cleared_unix_s": record.cleared_unix_s,
            "evse_state": record.evse_state.name,
            "contactor_closed": int(record.close_ordered),
            "high_mv": record.high_mv,
            "low_mv": record.low_mv,
            "current_ma": record.current_ma,
            "readings": None if record.readings is None else json.dumps(record.readings, separators=(",", ":")),
        },
    )


def fault_of(row: Mapping[str, Any]) -> FaultRecord:
    """Return the fault that `row` stands for; readings that cannot be read are None. Raises: UnknownRecord."""
    fields = StoredFields(dict(row))
    current_ma = fields.optional_integer("current_ma", *_INT32)
    return FaultRecord(
        number=fields.integer("number", 1),
        fault=fields.member("fault", Fault),
        kernel_boot_id=fields.text("machine_boot"),
        set_ns=fields.instant_ns("set_ns"),
        set_unix_s=fields.optional_unix_s("set_unix_s"),
        evse_state=fields.member("evse_state", EvseState),
        close_ordered=fields.boolean("contactor_closed"),
        high_mv=Millivolts(fields.integer("high_mv", *_INT32)),
        low_mv=Millivolts(fields.integer("low_mv", *_INT32)),
        current_ma=None if current_ma is None else Milliamps(current_ma),
        cleared_ns=fields.optional_instant_ns("cleared_ns"),
        cleared_unix_s=fields.optional_unix_s("cleared_unix_s"),
        readings=_readings_of(row["readings"]),
    )


def _readings_of(stored: str | None) -> Mapping[str, Any] | None:
    try:
        found = None if stored is None else parsed(stored)
    except UnknownRecord:
        return None
    return found if isinstance(found, dict) else None


def transition_row(number: int, change: Transition, unix_s: int | None, kernel_boot_id: str) -> Row:
    """Return a transition as a row; `number` counts the rows, whatever the safety process's own count is."""
    return Row(
        "transition",
        {
            "number": number,
            "at_ns": change.at_ns,
            "unix_s": unix_s,
            "machine_boot": kernel_boot_id,
            "evse_state": change.evse_state.name,
            "contactor_closed": int(change.close_ordered),
            "offered_ma": change.offered_current_ma,
            "faults": " ".join(sorted(fault.name for fault in change.faults)),
            "reason": change.reason.name,
        },
    )


def transition_of(row: Mapping[str, Any]) -> TransitionRecord:
    """Return the transition that `row` stands for. Raises: UnknownRecord."""
    fields = StoredFields(dict(row))
    return TransitionRecord(
        number=fields.integer("number", 1),
        at_ns=fields.instant_ns("at_ns"),
        unix_s=fields.optional_unix_s("unix_s"),
        kernel_boot_id=fields.text("machine_boot"),
        evse_state=fields.member("evse_state", EvseState),
        close_ordered=fields.boolean("contactor_closed"),
        offered_ma=Milliamps(fields.integer("offered_ma", *_INT32)),
        faults=frozenset(member_of(Fault, name) for name in fields.text("faults").split()),
        reason=fields.member("reason", Reason),
    )
