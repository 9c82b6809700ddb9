"""What the EVSE cluster keeps beside its attributes, and its form in the store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from evse_pi.device.energy_evse_rules import NOTHING_GRANTED, NOTHING_TOLD, Grant, Told, Transfer
from evse_pi.energy.targets import DaySchedule, Target


@dataclass(frozen=True, slots=True)
class Kept:
    """What a restart continues from: the last commands, what peers were told by events, the charging targets."""

    grant: Grant = NOTHING_GRANTED
    told: Told = NOTHING_TOLD
    targets: tuple[DaySchedule, ...] = ()


def encode(kept: Kept) -> bytes:
    """Return the record of `kept`."""
    return json.dumps(asdict(kept), separators=(",", ":")).encode()


def decode(record: bytes) -> Kept:
    """Return what `record` holds. Raises: ValueError when it is no record of this kind."""
    try:
        fields = json.loads(record)
        transfer = fields["told"]["transfer"]
        told = Told(fields["told"]["session"], None if transfer is None else Transfer(**transfer))
        return Kept(Grant(**fields["grant"]), told, tuple(_schedule(each) for each in fields["targets"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no record of the EVSE: {error!r}") from error


def _schedule(fields: dict[str, Any]) -> DaySchedule:
    return DaySchedule(fields["days"], tuple(Target(**each) for each in fields["targets"]))
