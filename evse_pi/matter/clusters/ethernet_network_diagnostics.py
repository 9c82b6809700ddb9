"""EthernetNetworkDiagnostics: what the kernel counts on the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from evse_pi.matter.clusters.network_interface import SYS_CLASS_NET, setting, statistic
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature
from evse_pi.matter.model.watch import Watch
from evse_pi.matter.wire.chip_objects import EthernetNetworkDiagnostics

if TYPE_CHECKING:
    from pathlib import Path

    from evse_pi.matter.identity.accessor import Accessor

_Rate = EthernetNetworkDiagnostics.Enums.PHYRateEnum
_RATES = {
    "10": _Rate.kRate10M,
    "100": _Rate.kRate100M,
    "1000": _Rate.kRate1G,
    "2500": _Rate.kRate25g,
    "5000": _Rate.kRate5G,
    "10000": _Rate.kRate10G,
}
_COUNTERS = {
    "packet_rx_count": "rx_packets",
    "packet_tx_count": "tx_packets",
    "tx_err_count": "tx_errors",
    "collision_count": "collisions",
    "overrun_count": "rx_over_errors",
}

SCHEMA = ClusterSchema(
    EthernetNetworkDiagnostics,
    revision=1,
    diagnostics=True,
    features=(Feature("PKTCNT", "PacketCounts"), Feature("ERRCNT", "ErrorCounts")),
    attributes=(
        Attribute("PHYRate", "enum8", "R V", "X", "O"),
        Attribute("FullDuplex", "bool", "R V", "X", "O"),
        Attribute("PacketRxCount", "uint64", "R V", "C", "PKTCNT"),
        Attribute("PacketTxCount", "uint64", "R V", "C", "PKTCNT"),
        Attribute("TxErrCount", "uint64", "R V", "C", "ERRCNT"),
        Attribute("CollisionCount", "uint64", "R V", "C", "ERRCNT"),
        Attribute("OverrunCount", "uint64", "R V", "C", "ERRCNT"),
        Attribute("CarrierDetect", "bool", "R V", "X C", "O"),
        Attribute("TimeSinceReset", "uint64", "R V", "C", "O"),
    ),
    commands=(Command("ResetCounts", "M", "PKTCNT | ERRCNT"),),
)


class EthernetNetworkDiagnosticsServer(
    ClusterServer,
    features=("PKTCNT", "ERRCNT"),
    enable=("PHYRate", "FullDuplex", "CarrierDetect", "TimeSinceReset"),
):
    """The counters of one interface since the last reset."""

    schema = SCHEMA

    class Internal:
        """Where counting began."""

        def __init__(self) -> None:
            self.base: dict[str, int] = {}
            self.since_s = 0.0

    def __init__(self, interface: str, folder: Path = SYS_CLASS_NET, **state: Any) -> None:
        super().__init__(**state)
        self._interface = interface
        self._folder = folder
        self._watch = Watch(self, "phy_rate", "full_duplex")

    def initialize(self) -> None:
        """Count from now, and follow the link."""
        self.internal.since_s = asyncio.get_running_loop().time()
        self._watch.start()

    def close(self) -> None:
        """Follow it no more."""
        self._watch.close()

    def read_phy_rate(self, _accessor: Accessor | None) -> Any:
        """Return the link's speed, null while there is none."""
        return _RATES.get(setting(self._interface, "speed", self._folder) or "")

    def read_full_duplex(self, _accessor: Accessor | None) -> bool | None:
        """Return whether both sides may send at once."""
        duplex = setting(self._interface, "duplex", self._folder)
        return None if duplex not in ("full", "half") else duplex == "full"

    def read_carrier_detect(self, _accessor: Accessor | None) -> bool | None:
        """Return whether a cable with a live other end is plugged in."""
        carrier = setting(self._interface, "carrier", self._folder)
        return None if carrier is None else carrier == "1"

    def read_packet_rx_count(self, _accessor: Accessor | None) -> int:
        """Return the packets received."""
        return self._count("packet_rx_count")

    def read_packet_tx_count(self, _accessor: Accessor | None) -> int:
        """Return the packets sent."""
        return self._count("packet_tx_count")

    def read_tx_err_count(self, _accessor: Accessor | None) -> int:
        """Return the packets that could not be sent."""
        return self._count("tx_err_count")

    def read_collision_count(self, _accessor: Accessor | None) -> int:
        """Return the collisions."""
        return self._count("collision_count")

    def read_overrun_count(self, _accessor: Accessor | None) -> int:
        """Return the packets lost for want of room."""
        return self._count("overrun_count")

    def read_time_since_reset(self, _accessor: Accessor | None) -> int:
        """Return the seconds since counting began."""
        return int(asyncio.get_running_loop().time() - self.internal.since_s)

    def reset_counts(self) -> None:
        """Set the counters back to zero."""
        self.internal.base = {key: self._kernel(key) for key in _COUNTERS}
        self.internal.since_s = asyncio.get_running_loop().time()
        self.changed(*_COUNTERS)

    def _count(self, key: str) -> int:
        return max(0, self._kernel(key) - int(self.internal.base.get(key, 0)))

    def _kernel(self, key: str) -> int:
        return statistic(self._interface, _COUNTERS[key], self._folder) or 0
