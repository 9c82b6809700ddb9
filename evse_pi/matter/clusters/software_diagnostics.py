"""SoftwareDiagnostics: memory of the process."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature
from evse_pi.matter.wire.chip_objects import SoftwareDiagnostics

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor

_STATM = Path("/proc/self/statm")
_RESIDENT_FIELD = 1

SCHEMA = ClusterSchema(
    SoftwareDiagnostics,
    revision=1,
    diagnostics=True,
    features=(Feature("WTRMRK", "Watermarks"),),
    attributes=(
        Attribute("CurrentHeapFree", "uint64", "R V", "", "O"),
        Attribute("CurrentHeapUsed", "uint64", "R V", "", "O"),
        Attribute("CurrentHeapHighWatermark", "uint64", "R V", "", "WTRMRK"),
    ),
    commands=(Command("ResetWatermarks", "M", "WTRMRK"),),
)


class SoftwareDiagnosticsServer(ClusterServer, enable=("CurrentHeapUsed",)):
    """Resident memory stands for the heap, which an interpreter does not tell apart."""

    schema = SCHEMA

    def __init__(self, statm: Path = _STATM, **state: Any) -> None:
        super().__init__(**state)
        self._statm = statm

    def read_current_heap_used(self, _accessor: Accessor | None) -> int:
        """Return the resident octets of this process."""
        return int(self._statm.read_text().split()[_RESIDENT_FIELD]) * resource.getpagesize()
