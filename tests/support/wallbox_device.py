"""The whole Matter device of the wallbox with every feature, on a charger that is moved by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from evse_pi.device import endpoints
from evse_pi.device.equipment import Equipment
from evse_pi.matter.clusters.time_synchronization import SynchronizedClock
from evse_pi.matter.discovery.host_interfaces import HostInterface
from evse_pi.matter.storage import MemoryStore
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_bench import INTERFACE, NOON_US, Bench
from tests.support.matter_model import BY_ID
from tests.support.played_box import PlayedBox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.matter.model.cluster_server import ClusterServer

WIRELESS = HostInterface("wlan0", 2, bytes.fromhex("02005e001002"), (bytes((192, 0, 2, 8)),))
FEATURES = ("PREF", "SOC", "PNC", "RFID", "V2X")


class _WallboxBench(Bench):
    """A node with both kinds of network."""

    interfaces = (INTERFACE, WIRELESS)


def wallbox_bench() -> Bench:
    """Return a node with all clusters of the wallbox, which is not started yet."""
    store, charger = MemoryStore(), PlayedBox()
    charger.link_up()
    dependencies = endpoints.DeviceDependencies(
        charger=charger.adapter, clock=SynchronizedClock(VirtualClock(unix_s=NOON_US // 1_000_000)),
        equipment=Equipment(True, True, "sdm72d_m"),
    )  # fmt: skip
    box, _ = endpoints.wallbox(dependencies, FEATURES)
    with patch("evse_pi.matter.node.is_wireless", lambda name: name == WIRELESS.name):  # else the kernel is asked
        return _WallboxBench([box], store=store)


def servers(bench: Bench) -> Iterator[tuple[int, ClusterServer]]:
    """Yield every cluster that `bench` serves, with its endpoint."""
    for endpoint in bench.node.tree.endpoints.values():
        for server in endpoint.servers.values():
            yield endpoint.id, server


def elements(kind: str, cluster: int) -> dict[int, dict[str, Any]]:
    """Return the model's attributes, commands or events of a cluster by their number."""
    return {element["id"]: element for element in BY_ID[cluster][kind].values()}
