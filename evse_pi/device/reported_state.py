"""What the peers of the EVSE cluster were told by events, and its form in the store: a restart continues from it.

It loads nothing of Matter's clusters: a box that starts must know it before it counts its sessions on.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.charging.stored_fields import StoredFields, UnknownRecord, parsed
from evse_pi.core.states import FaultState

if TYPE_CHECKING:
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

LONGEST_S = (1 << 32) - 1  # SessionDuration, an elapsed-s


@dataclass(frozen=True, slots=True)
class Transfer:
    """An energy transfer that was told to have started.

    A fault suspends it; `lapses_ns` is then when it ends unless the vehicle charges again, None while the fault lasts.
    """

    energy_mwh: int
    suspended: bool = False
    lapses_ns: int | None = None


@dataclass(frozen=True, slots=True)
class SessionTotals:
    """Duration and energy of a session at its last boundary. Units: s, mWh."""

    duration_s: int
    energy_mwh: int


@dataclass(frozen=True, slots=True)
class ReportedState:
    """What the peers know by events: the number of the session of the vehicle that is connected, and its transfer.

    `latest` is the highest number of a session that they were told of, 0 for none; `fault` is the FaultState, `figures`
    those of the latest session.
    """

    session: int | None = None
    transfer: Transfer | None = None
    latest: int = 0
    fault: FaultState = FaultState.NO_ERROR
    figures: SessionTotals | None = None

    def after(self, session: int | None, transfer: Transfer | None, fault: FaultState) -> ReportedState:
        """Return what they know after the events that lead to this."""
        return replace(self, session=session, transfer=transfer, latest=max(self.latest, session or 0), fault=fault)


NOTHING_REPORTED = ReportedState()


def record_key(endpoint: int) -> str:
    """Return the name of the record in the store."""
    return f"energy-evse/{endpoint}"


def encode(reported: ReportedState) -> bytes:
    """Return the record of `reported`."""
    return json.dumps(asdict(reported), separators=(",", ":")).encode()


def recall_reported(store: KeyValueStore, endpoint: int) -> ReportedState:
    """Return what the peers know; what cannot be read was never told."""
    record = store.get(record_key(endpoint))
    try:
        return NOTHING_REPORTED if record is None else decode(record)
    except UnknownRecord as error:
        log.warning("what controllers were told cannot be read: %s", error)
        return NOTHING_REPORTED


def decode(record: bytes) -> ReportedState:
    """Return what `record` holds. Raises: UnknownRecord when it is no record of this kind."""
    fields = StoredFields(parsed(record))
    transfer, figures = fields.optional_record("transfer"), fields.optional_record("figures")
    fault = fields.integer("fault")
    if fault not in set(FaultState):
        raise UnknownRecord(f"fault: {fault} is no FaultState of this version")
    return ReportedState(
        session=fields.optional_integer("session", 1),
        transfer=None if transfer is None else _transfer(transfer),
        latest=fields.integer("latest"),
        fault=FaultState(fault),
        figures=None if figures is None else _figures(figures),
    )


def _transfer(fields: StoredFields) -> Transfer:
    return Transfer(fields.integer("energy_mwh"), fields.boolean("suspended"), fields.optional_instant_ns("lapses_ns"))


def _figures(fields: StoredFields) -> SessionTotals:
    return SessionTotals(fields.integer("duration_s", 0, LONGEST_S), fields.integer("energy_mwh"))
