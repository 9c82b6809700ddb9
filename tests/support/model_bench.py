"""A data model without a network: a node of one endpoint, and a cluster that has something of everything."""

from __future__ import annotations

from typing import Any

from evse_pi.matter.clusters.descriptor import DescriptorServer
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Event, Feature, Field, Struct
from evse_pi.matter.model.endpoint import Endpoint, Node
from evse_pi.matter.model.event_log import EventLog
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import CountingEntropy

ROOT = DeviceType(0x0016, 3)
LAMP = DeviceType(0x0100, 3)

CHARGER = ClusterSchema(
    EnergyEvse,
    revision=3,
    features=(
        Feature("PREF", "ChargingPreferences", "M"),
        Feature("SOC", "SoCReporting", "P"),
        Feature("RFID", "Rfid", "O"),
        Feature("V2X", "V2x", "P"),
    ),
    attributes=(
        Attribute("State", "enum8", "R V", "X", default=None),
        Attribute("SupplyState", "enum8"),
        Attribute("CircuitCapacity", "amperage-ma", "R V", "N", "M", "min 0", 0),
        Attribute("UserMaximumChargeCurrent", "amperage-ma", "RW VM", "N", "O", "min 0", 80_000),
        Attribute("RandomizationDelayWindow", "elapsed-s", "RW VM", "N", "O", "max 86400", 600),
        Attribute("StateOfCharge", "percent", "R V", "X", "SOC", default=None),
        Attribute("SessionID", "uint32", "R V", "X N", default=None),
        Attribute("SessionDuration", "elapsed-s", "R V", "X N Q", default=None),
        Attribute("SessionEnergyDischarged", "energy-mwh", "R V", "X N Q", "V2X", default=None),
    ),
    commands=(
        Command("Disable", "O T"),
        Command(
            "EnableCharging",
            "O T",
            fields=(
                Field("minimumChargeCurrent", constraint="min 0"),
                Field("maximumChargeCurrent", constraint="min 0"),
            ),
        ),
        Command("EnableDischarging", "O T", "V2X"),
        Command("StartDiagnostics", "O T", "O"),
        Command("GetTargets", "O T", "PREF"),
    ),
    events=(
        Event("EVConnected", "info"),
        Event("Fault", "critical"),
        Event("RFID", "info", conformance="RFID"),
    ),
    structs=(Struct("ChargingTargetStruct", (Field("targetTimeMinutesPastMidnight", "uint16", "max 1439"),)),),
)


class Charger(ClusterServer):
    """A cluster with state, commands and events, and no charger behind it."""

    schema = CHARGER

    def disable(self) -> None:
        self.state.supply_state = 0

    def enable_charging(self, request: Any) -> None:
        self.state.supply_state = 1
        if request.minimumChargeCurrent > request.maximumChargeCurrent:
            raise MatterStatus(StatusCode.CONSTRAINT_ERROR, "minimum above maximum")
        self.events.ev_connected.emit(sessionID=7)

    def get_targets(self) -> Any:
        return EnergyEvse.Commands.GetTargetsResponse(chargingTargetSchedules=())


class Permissive:
    """Allows what is not on its list of refusals."""

    def __init__(self) -> None:
        self.refused: set[int] = set()

    def allows(self, accessor: Any, privilege: Any, endpoint: int, cluster: int, device_types: Any) -> bool:
        return int(privilege) not in self.refused


def model_node(store: Any = None, access: Any = None) -> Node:
    store = store or MemoryStore()
    return Node(
        store=store,
        entropy=CountingEntropy("model"),
        event_log=EventLog(store, VirtualClock(unix_s=1_770_000_000)),
        access=access or Permissive(),
        descriptor=DescriptorServer,
    )


async def attached(server: ClusterServer, *others: ClusterServer, node: Node | None = None) -> Node:
    """Return a node whose endpoint 1 has these servers."""
    node = node or model_node()
    await node.add(Endpoint(0, [ROOT], []))
    await node.add(Endpoint(1, [LAMP], [server, *others]))
    return node
