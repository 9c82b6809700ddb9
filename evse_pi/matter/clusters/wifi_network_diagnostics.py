"""WiFiNetworkDiagnostics: what the kernel tells of the air without asking the driver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature
from evse_pi.matter.wire.chip_objects import WiFiNetworkDiagnostics

if TYPE_CHECKING:
    from evse_pi.matter.identity.accessor import Accessor

_PROC_NET_WIRELESS = Path("/proc/net/wireless")
_LEVEL_COLUMN = 3
_SILENT_DBM = -256  # the wireless extensions' word for no measurement

SCHEMA = ClusterSchema(
    WiFiNetworkDiagnostics,
    revision=1,
    diagnostics=True,
    features=(Feature("PKTCNT", "PacketCounts", "X"), Feature("ERRCNT", "ErrorCounts", "X")),
    attributes=(
        Attribute("BSSID", "octets", "R V", "X", "M", "6 to 6", None),
        Attribute("SecurityType", "enum8", "R V", "X", default=None),
        Attribute("WiFiVersion", "enum8", "R V", "X", default=None),
        Attribute("ChannelNumber", "uint16", "R V", "X", default=None),
        Attribute("RSSI", "int8", "R V", "X C", "M", "-120 to 0", None),
    ),
    commands=(Command("ResetCounts", "O", "ERRCNT"),),
)


class WiFiNetworkDiagnosticsServer(ClusterServer):
    """The signal of one interface; access point and channel are the system's business and unknown here."""

    schema = SCHEMA

    def __init__(self, interface: str, table: Path = _PROC_NET_WIRELESS, **state: Any) -> None:
        super().__init__(**state)
        self._interface = interface
        self._table = table

    def read_rssi(self, _accessor: Accessor | None) -> int | None:
        """Return the signal in dBm, null while not associated."""
        try:
            lines = self._table.read_text().splitlines()
        except OSError:
            return None
        for line in lines:
            words = line.split()
            if words and words[0] == f"{self._interface}:" and len(words) > _LEVEL_COLUMN:
                level = int(float(words[_LEVEL_COLUMN]))
                return None if level == _SILENT_DBM else max(-120, min(0, level))
        return None
