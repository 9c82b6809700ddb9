"""The machine's state and settings as plain data and back, so that a recording can begin in the middle of a life."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum, Flag
from typing import TYPE_CHECKING, Any

from evse_pi.core import (
    board_ratings,
    budgets,
    cable_coding,
    channel_proof,
    coil_node,
    contactor_monitor,
    duty_monitor,
    evidence,
    fault_kinds,
    faults,
    gate_hold,
    installation_limits,
    io_records,
    lease,
    limits,
    load_monitor,
    load_sense,
    lock_control,
    machine,
    machine_settings,
    monitors,
    overcurrent,
    pilot,
    pilot_monitor,
    pilot_supply,
    rcd_monitor,
    records,
    recurrence,
    selftest,
    states,
    supply,
    temperature,
    transition_log,
    vehicle_doubt,
    vehicle_proof,
    wakeup,
    weld_control,
    wiring_monitor,
)

if TYPE_CHECKING:
    from types import ModuleType

_MODULES = (
    board_ratings,
    budgets,
    channel_proof,
    coil_node,
    contactor_monitor,
    duty_monitor,
    evidence,
    fault_kinds,
    faults,
    gate_hold,
    installation_limits,
    transition_log,
    vehicle_doubt,
    vehicle_proof,
    lease,
    limits,
    load_monitor,
    load_sense,
    lock_control,
    machine,
    pilot_monitor,
    overcurrent,
    pilot,
    pilot_supply,
    cable_coding,
    rcd_monitor,
    records,
    recurrence,
    selftest,
    machine_settings,
    io_records,
    states,
    supply,
    temperature,
    wakeup,
    wiring_monitor,
    weld_control,
    monitors,
)


class KeyframeError(ValueError):
    """This data is no keyframe that this version of the software can read; the text names what it does not know."""


def _kinds(modules: tuple[ModuleType, ...]) -> dict[str, type]:
    found: dict[str, type] = {}
    for module in modules:
        for name, kind in vars(module).items():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and (is_dataclass(kind) or issubclass(kind, Enum)):
                found[name] = kind
    return found


_KINDS = _kinds(_MODULES)
_FORMER_NAMES = {
    "CableObservation": "CableMonitor",
    "Journal": "TransitionLog",
    "Lock": "LockControl",
    "Observation": "PilotMonitor",
    "Rcd": "RcdMonitor",
    "Status": "MachineStatus",
    "Supervision": "ContactorMonitor",
    "Watch": "Monitors",
}
"""Names in recordings that an earlier version made."""
_FORMER_FIELDS = {
    "Outputs": {"contactor_closed": "close_ordered"},
    "Transition": {"contactor_closed": "close_ordered"},
}
_ABSENT: dict[str, dict[str, Any]] = {"PilotMonitor": {"proof": vehicle_proof.VehicleProof(at_once=True)}}
"""What an earlier version recorded nothing of: it took whatever the line showed for a vehicle."""
_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in _KINDS.values() if is_dataclass(kind)
}


def to_plain(value: Any) -> Any:
    """Return `value`, made of this package's dataclasses, enumerations, tuples and sets, as what JSON can hold."""
    kind = type(value)
    if value is None or kind in (int, bool, str):
        return value
    names = _NAMES.get(kind)
    if names is not None:
        drawn: dict[str, Any] = {name: to_plain(getattr(value, name)) for name in names}
        drawn["is"] = kind.__name__
        return drawn
    if isinstance(value, Flag):
        return {"is": kind.__name__, "value": value.value}
    if isinstance(value, Enum):
        return {"is": kind.__name__, "name": value.name}
    if kind is tuple:
        return [to_plain(each) for each in value]
    if kind is frozenset:
        return {"is": "frozenset", "of": [to_plain(each) for each in sorted(value)]}
    raise KeyframeError(f"{kind.__name__}: no part of a machine")


def from_plain(drawn: Any) -> Any:
    """Return the value that `to_plain` made `drawn` of. Raises: KeyframeError."""
    if isinstance(drawn, list):
        return tuple(from_plain(each) for each in drawn)
    if not isinstance(drawn, dict):
        return drawn
    parts = dict(drawn)
    name = parts.pop("is", None)
    if name == "frozenset":
        return frozenset(from_plain(each) for each in parts.get("of", ()))
    kind = _KINDS.get(_FORMER_NAMES.get(str(name), str(name)))
    if kind is None:
        raise KeyframeError(f"{name!r}: unknown to this version")
    try:
        if issubclass(kind, Flag):
            return kind(parts["value"])
        if issubclass(kind, Enum):
            return kind[parts["name"]]
        former = _FORMER_FIELDS.get(kind.__name__, {})
        known = {former.get(key, key): from_plain(each) for key, each in parts.items()}
        return kind(**{**_ABSENT.get(kind.__name__, {}), **known})
    except (KeyError, TypeError, ValueError) as error:
        raise KeyframeError(f"{name}: {error}") from error
