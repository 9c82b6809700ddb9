"""What each privilege of Matter may do: every attribute and command of the whole device, against the data model.

The table is written by hand from the interface file of the CHIP SDK's energy management app, which lists the access of
every element (examples/energy-management-app/energy-management-common/energy-management-app.matter, commit 0016faf4,
clusters of Matter 1.4 and later), and for TimeSynchronization, PowerSource, the diagnostics and the mode of
DeviceEnergyManagement from the Matter 1.4 core and application cluster specifications. What it does not list is
the specification's default: view to read, operate to write and to invoke (Matter core 7.6).
"""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from evse_pi.device import endpoints
from evse_pi.device.equipment import Equipment
from evse_pi.matter.clusters.descriptor import DescriptorServer
from evse_pi.matter.clusters.time_synchronization import SynchronizedClock
from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AccessControl, AclEntry, Privilege
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.matter.node import MatterNode, NodeDependencies, Setup
from evse_pi.matter.storage import MemoryStore
from tests.support.datagram_pipe import Network
from tests.support.evse_bench import HandCharger
from tests.support.matter_authority import CountingEntropy, FixedWallClock
from tests.support.matter_bench import INTERFACE, NOON_US, PRODUCT, VERIFIER, RecordedDiscovery

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster import Cluster

FEATURES = ("PREF", "SOC", "PNC", "RFID", "V2X")
INTERFACES = (INTERFACE,)
ABSENT = {"WiFiNetworkDiagnostics", "UserLabel"}
"""In the table for devices that have them."""

VIEW, OPERATE, MANAGE, ADMINISTER = Privilege.VIEW, Privilege.OPERATE, Privilege.MANAGE, Privilege.ADMINISTER

READ: dict[str, dict[str, Privilege]] = {
    "AccessControl": {"ACL": ADMINISTER, "extension": ADMINISTER},
    "NetworkCommissioning": dict.fromkeys(
        ("maxNetworks", "networks", "lastNetworkingStatus", "lastNetworkID", "lastConnectErrorValue"), ADMINISTER
    ),
    "OperationalCredentials": {"NOCs": ADMINISTER},
}
WRITE: dict[str, dict[str, Privilege]] = {
    "AccessControl": {"ACL": ADMINISTER, "extension": ADMINISTER},
    "BasicInformation": {"nodeLabel": MANAGE, "location": ADMINISTER, "localConfigDisabled": MANAGE},
    "GeneralCommissioning": {"breadcrumb": ADMINISTER},
    "NetworkCommissioning": {"interfaceEnabled": ADMINISTER},
    "GroupKeyManagement": {"groupKeyMap": MANAGE},
    "EnergyEvse": dict.fromkeys(
        ("userMaximumChargeCurrent", "randomizationDelayWindow", "approximateEVEfficiency"), MANAGE
    ),
    "Identify": {"identifyTime": OPERATE},
    "UserLabel": {"labelList": MANAGE},
}
"""Every writable attribute; no other may be written by anybody."""
INVOKE: dict[str, dict[str, Privilege]] = {
    "Identify": dict.fromkeys(("Identify", "TriggerEffect"), MANAGE),
    "GeneralCommissioning": dict.fromkeys(("ArmFailSafe", "SetRegulatoryConfig", "CommissioningComplete"), ADMINISTER),
    "GeneralDiagnostics": {"TestEventTrigger": MANAGE, "TimeSnapshot": OPERATE, "PayloadTestRequest": MANAGE},
    "AdministratorCommissioning": dict.fromkeys(
        ("OpenCommissioningWindow", "OpenBasicCommissioningWindow", "RevokeCommissioning"), ADMINISTER
    ),
    "OperationalCredentials": dict.fromkeys(
        (
            "AttestationRequest", "CertificateChainRequest", "CSRRequest", "AddNOC", "UpdateNOC", "UpdateFabricLabel",
            "RemoveFabric", "AddTrustedRootCertificate", "SetVIDVerificationStatement", "SignVIDVerificationRequest",
        ),
        ADMINISTER,
    ),
    "GroupKeyManagement": dict.fromkeys(
        ("KeySetWrite", "KeySetRead", "KeySetRemove", "KeySetReadAllIndices"), ADMINISTER
    ),
    "TimeSynchronization": {"SetUTCTime": ADMINISTER},
    "SoftwareDiagnostics": {"ResetWatermarks": MANAGE},
    "EthernetNetworkDiagnostics": {"ResetCounts": MANAGE},
    "WiFiNetworkDiagnostics": {"ResetCounts": MANAGE},
    "EnergyEvse": dict.fromkeys(
        (
            "Disable", "EnableCharging", "EnableDischarging", "StartDiagnostics", "SetTargets", "GetTargets",
            "ClearTargets",
        ),
        OPERATE,
    ),
    "EnergyEvseMode": {"ChangeToMode": OPERATE},
    "DeviceEnergyManagementMode": {"ChangeToMode": OPERATE},
    "DeviceEnergyManagement": dict.fromkeys(
        (
            "PowerAdjustRequest", "CancelPowerAdjustRequest", "StartTimeAdjustRequest", "PauseRequest", "ResumeRequest",
            "ModifyForecastRequest", "RequestConstraintBasedForecast", "CancelRequest",
        ),
        OPERATE,
    ),
}  # fmt: skip
"""Every command; no other is served."""
TIMED = {
    "AdministratorCommissioning": {"OpenCommissioningWindow", "OpenBasicCommissioningWindow", "RevokeCommissioning"},
    "EnergyEvse": {
        "Disable",
        "EnableCharging",
        "EnableDischarging",
        "StartDiagnostics",
        "SetTargets",
        "GetTargets",
        "ClearTargets",
    },
}


def clusters() -> dict[str, Cluster]:
    """Return every cluster of the whole device with all features, by name."""
    around = NodeDependencies(
        MemoryStore(), Network().endpoint("device"), RecordedDiscovery(),
        TestCredentials.load(MemoryStore(), PRODUCT.vendor_id, PRODUCT.product_id, 0x050C, CountingEntropy("device")),
        CountingEntropy("device"), FixedWallClock(NOON_US), lambda: INTERFACES,
    )  # fmt: skip
    charger = HandCharger()
    dependencies = endpoints.DeviceDependencies(
        charger=charger, clock=SynchronizedClock(FixedWallClock(NOON_US)), entropy=around.entropy, store=around.store,
        zone=UTC, kernel_boot_id="boot",
        equipment=Equipment(True, True, "sdm72d_m"),
    )  # fmt: skip
    box, _ = endpoints.wallbox(dependencies, FEATURES)
    node = MatterNode(PRODUCT, Setup(3840, VERIFIER), around, [box])
    found = {server.cluster.name: server.cluster for each in node._endpoints for server in each.servers.values()}
    return {**found, "Descriptor": DescriptorServer.cluster}


CLUSTERS = asyncio.run(asyncio.to_thread(clusters))


def camel(name: str) -> str:
    return name[0].upper() + name[1:]


@pytest.mark.parametrize("name", sorted(CLUSTERS))
def test_reading_needs_what_the_specification_says(name: str) -> None:
    special = {camel(each): privilege for each, privilege in READ.get(name, {}).items()}
    for attribute in CLUSTERS[name].attributes.values():
        assert attribute.access.read == special.get(camel(attribute.name), VIEW), attribute.name


@pytest.mark.parametrize("name", sorted(CLUSTERS))
def test_writing_needs_what_the_specification_says_and_nothing_else_can_be_written(name: str) -> None:
    allowed = {camel(each): privilege for each, privilege in WRITE.get(name, {}).items()}
    writable = {
        camel(each.name): each.access.write
        for each in CLUSTERS[name].attributes.values()
        if each.access.write is not None
    }
    assert writable == {each: allowed[each] for each in writable if each in allowed}


@pytest.mark.parametrize("name", sorted(CLUSTERS))
def test_invoking_needs_what_the_specification_says_and_nothing_else_can_be_invoked(name: str) -> None:
    allowed, timed = INVOKE.get(name, {}), TIMED.get(name, set())
    for command in CLUSTERS[name].commands.values():
        assert command.name in allowed
        assert (command.access.write or command.access.read) == allowed[command.name], command.name
        assert command.access.timed == (command.name in timed), command.name


def test_every_row_of_the_table_is_of_a_cluster_that_this_device_has() -> None:
    assert {*READ, *WRITE, *INVOKE} - CLUSTERS.keys() <= ABSENT


@pytest.mark.parametrize("holder", Privilege)
def test_each_privilege_may_do_what_is_at_or_below_it(holder: Privilege) -> None:
    """View < operate < manage < administer. Source: Matter core 6.6.2.4, each grants those below it."""
    order = [VIEW, OPERATE, MANAGE, ADMINISTER]
    control = AccessControl(MemoryStore())
    administrator = Accessor(AuthMode.CASE, 1, 0xA0A0)
    control.replace(1, [AclEntry(holder, AuthMode.CASE, (7,), None, 1)], administrator)
    for wanted in order:
        may = control.allows(Accessor(AuthMode.CASE, 1, 7), wanted, 1, 0x99)
        below = order.index(holder) >= order.index(wanted) if holder in order else wanted is VIEW
        assert may is below
        assert not control.allows(Accessor(AuthMode.CASE, 2, 7), wanted, 1, 0x99), "another fabric"
        assert not control.allows(Accessor(AuthMode.CASE, 1, 8), wanted, 1, 0x99), "another node"
        assert not control.allows(Accessor(AuthMode.NONE), wanted, 1, 0x99), "the network"
