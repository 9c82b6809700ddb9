"""The Matter node put together: sessions, identity, data model and discovery around any set of endpoints."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evse_pi.matter.channel.case import CaseResponder
from evse_pi.matter.channel.pase import PaseResponder, PaseVerifier
from evse_pi.matter.channel.peer_session import MIN_CASE_SESSIONS_PER_FABRIC, PeerSession, SessionParameters
from evse_pi.matter.channel.responder import SecureChannelResponder
from evse_pi.matter.channel.stack import MessageStack
from evse_pi.matter.clusters.access_control import AccessControlServer
from evse_pi.matter.clusters.administrator_commissioning import AdministratorCommissioningServer
from evse_pi.matter.clusters.basic_information import (
    DATA_MODEL_REVISION,
    SPECIFICATION_VERSION,
    BasicInformationServer,
    Product,
)
from evse_pi.matter.clusters.commissioning_window import MAX_TIMEOUT_S, CommissioningWindow, OpenWindow, WindowMode
from evse_pi.matter.clusters.descriptor import DescriptorServer
from evse_pi.matter.clusters.ethernet_network_diagnostics import EthernetNetworkDiagnosticsServer
from evse_pi.matter.clusters.general_commissioning import FAILSAFE_EXPIRY_S, GeneralCommissioningServer
from evse_pi.matter.clusters.general_diagnostics import GeneralDiagnosticsServer
from evse_pi.matter.clusters.group_key_management import GroupKeyManagementServer
from evse_pi.matter.clusters.network_commissioning import NetworkCommissioningServer
from evse_pi.matter.clusters.network_interface import is_wireless
from evse_pi.matter.clusters.operational_credentials import OperationalCredentialsServer
from evse_pi.matter.clusters.software_diagnostics import SoftwareDiagnosticsServer
from evse_pi.matter.clusters.time_synchronization import SynchronizedClock, TimeSynchronizationServer
from evse_pi.matter.clusters.wifi_network_diagnostics import WiFiNetworkDiagnosticsServer
from evse_pi.matter.discovery.mdns import CommissionableService, OperationalService
from evse_pi.matter.identity.acl import Privilege
from evse_pi.matter.identity.failsafe import FailSafeBusy, FailSafeContext
from evse_pi.matter.identity.ownership import Ownership
from evse_pi.matter.interaction.handler import InteractionHandler
from evse_pi.matter.interaction.messages import INTERACTION_MODEL_REVISION
from evse_pi.matter.interaction.subscribe import MAX_PER_GROUP
from evse_pi.matter.model.endpoint import ROOT_ENDPOINT, Endpoint, Node
from evse_pi.matter.model.event_log import EventLog
from evse_pi.matter.model.request import current_request
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.storage import DamagedRecord
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL, PROTOCOL_SECURE_CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evse_pi.matter.channel.transport import DatagramTransport
    from evse_pi.matter.discovery.host_interfaces import HostInterface
    from evse_pi.matter.environment import Entropy, WallClock
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.identity.attestation import CredentialProvider
    from evse_pi.matter.identity.fabric import Fabric
    from evse_pi.matter.model.cluster_server import ClusterServer
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

ROOT_NODE = DeviceType(0x0016, 3)
SESSION_PARAMETERS = SessionParameters(
    data_model_revision=DATA_MODEL_REVISION,
    interaction_model_revision=INTERACTION_MODEL_REVISION,
    specification_version=SPECIFICATION_VERSION,
)
SHUTDOWN_FLUSH_S = 1.0
_UNIQUE_ID_KEY = "unique-id"


class Discovery(Protocol):
    """How the node makes itself found; `discovery.mdns.Advertiser` is one."""

    async def start(self) -> None:
        """Begin to answer."""

    async def stop(self) -> None:
        """Say goodbye."""

    def commissionable(self, service: CommissionableService | None) -> None:
        """Advertise an open commissioning window, or that there is none."""

    def operational(self, services: Iterable[OperationalService]) -> None:
        """Advertise the node in exactly these fabrics."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is printed on the device, as far as the node needs to know it."""

    discriminator: int
    verifier: PaseVerifier


@dataclass(frozen=True, slots=True)
class NodeDependencies:
    """What a node lives on."""

    store: KeyValueStore
    transport: DatagramTransport
    discovery: Discovery
    credentials: CredentialProvider
    entropy: Entropy
    wall_clock: WallClock
    interfaces: Callable[[], Sequence[HostInterface]]


class MatterNode:
    """A whole node: `start` it and it can be commissioned."""

    def __init__(
        self,
        product: Product,
        setup: Setup,
        dependencies: NodeDependencies,
        endpoints: Iterable[Endpoint],
        *,
        enable_key: bytes | None = None,
        boot_reason: int = 0,
    ) -> None:
        """Put the node together; what `dependencies.store` holds of an earlier life is taken up."""
        self.product = product
        self.setup = setup
        self._dependencies = dependencies
        entropy = dependencies.entropy
        given = dependencies.wall_clock
        self.clock = given if isinstance(given, SynchronizedClock) else SynchronizedClock(given)
        self.ownership = Ownership.load(dependencies.store, self.clock, entropy)
        self.stack = MessageStack(entropy=entropy, session_parameters=SESSION_PARAMETERS)
        self.stack.is_administrator = self._administers
        self.pase = PaseResponder(self.stack)
        self.window = CommissioningWindow(self.pase)
        self.tree = Node(
            store=dependencies.store,
            entropy=entropy,
            event_log=EventLog(dependencies.store, self.clock),
            access=self.ownership.access_control,
            descriptor=DescriptorServer,
        )
        self.interaction = InteractionHandler(self.tree, self.stack, entropy)
        self.basic_information = BasicInformationServer.of(
            product, sessions_per_fabric=MIN_CASE_SESSIONS_PER_FABRIC, subscriptions_per_fabric=MAX_PER_GROUP
        )
        self.general_diagnostics = GeneralDiagnosticsServer(
            dependencies.interfaces, self.clock, enable_key=enable_key, boot_reason=boot_reason
        )
        self._endpoints = [Endpoint(ROOT_ENDPOINT, [ROOT_NODE], self._root_servers()), *endpoints]
        self._serve_protocols()
        self._follow_identity()

    async def start(self) -> None:
        """Bring up all endpoints, then the network; a node without a fabric opens its commissioning window.

        Raises: OSError where the network refuses; the endpoints are up then, and it may be called again.
        """
        for endpoint in self._endpoints:
            if endpoint.id not in self.tree.endpoints:
                await self.tree.add(endpoint)
        self._keep_fabrics()
        await self.stack.start(self._dependencies.transport)
        await self._dependencies.discovery.start()
        self._advertise_fabrics()
        self.basic_information.started()
        self.general_diagnostics.started()
        if not len(self.ownership.fabrics):
            self.open_commissioning_window()
        log.info("matter node started fabrics=%d", len(self.ownership.fabrics))

    async def stop(self) -> None:
        """Say goodbye and stop, for good; everything that must survive is in the store already."""
        if not self.tree.endpoints:
            return
        self.basic_information.shutting_down()
        await self.interaction.subscriptions.flush(SHUTDOWN_FLUSH_S)
        self.ownership.failsafe.expire()
        self.window.close()
        await self.interaction.subscriptions.close()
        for session in self.stack.sessions:
            self.stack.sessions.close(session, notify=True)
        await self.stack.stop()
        await self._dependencies.discovery.stop()
        await self.tree.close()
        self.ownership.resumption.flush()

    def open_commissioning_window(self, timeout_s: int = MAX_TIMEOUT_S) -> None:
        """Accept a commissioner that knows the device's passcode, for at most 15 minutes."""
        window = OpenWindow(WindowMode.BASIC, self.setup.discriminator, opener=None)
        self.window.open(window, self.setup.verifier, min(timeout_s, MAX_TIMEOUT_S))

    def factory_reset(self) -> None:
        """Leave all fabrics, forget what users and administrators set, and wait for a new commissioner."""
        self.ownership.failsafe.expire()
        self.window.close()
        for fabric in tuple(self.ownership.fabrics):
            self.basic_information.leaving(fabric.index)
            self.ownership.fabrics.remove(fabric.index)
        for server in self.tree.servers():
            server.reset()
        with self._dependencies.store.transaction() as transaction:
            transaction.delete(_UNIQUE_ID_KEY)
        self.basic_information.initialize()
        self.open_commissioning_window()
        log.warning("matter node reset to factory state")

    def leave(self, fabric_index: int) -> None:
        """Leave one fabric; after the last one nothing of the owners remains."""
        if len(self.ownership.fabrics) == 1:
            self.factory_reset()
            return
        self.basic_information.leaving(fabric_index)
        self.ownership.fabrics.remove(fabric_index)

    def _root_servers(self) -> list[ClusterServer]:
        around, ownership = self._dependencies, self.ownership
        return [
            self.basic_information,
            AccessControlServer(ownership),
            GeneralCommissioningServer(ownership.failsafe, self.window),
            NetworkCommissioningServer(around.interfaces),
            self.general_diagnostics,
            AdministratorCommissioningServer(ownership, self.window),
            OperationalCredentialsServer(
                ownership,
                around.credentials,
                self.clock,
                bind_fabric=self.stack.sessions.bind_fabric,
                leave=self.leave,
            ),
            GroupKeyManagementServer(ownership),
            TimeSynchronizationServer(self.clock),
            SoftwareDiagnosticsServer(),
            *_link_diagnostics(around.interfaces()),
        ]

    def _administers(self, accessor: Accessor) -> bool:
        """Return whether a peer may change who may do what; for those, room is kept in every table."""
        access = self.ownership.access_control
        try:
            return access.allows(accessor, Privilege.ADMINISTER, ROOT_ENDPOINT, AccessControlServer.cluster.id)
        except DamagedRecord:
            return False

    def _serve_protocols(self) -> None:
        case = CaseResponder(
            self.stack, fabrics=self.ownership.fabrics, resumptions=self.ownership.resumption, clock=self.clock
        )
        responder = SecureChannelResponder(self.stack.sessions, pase=self.pase, case=case)
        self.stack.serve(PROTOCOL_SECURE_CHANNEL, responder)
        self.stack.serve(PROTOCOL_INTERACTION_MODEL, self.interaction)
        self.stack.sessions.closed.append(self.ownership.failsafe.session_closed)
        self.pase.on_session(self._commissioner_came)

    def _follow_identity(self) -> None:
        fabrics, failsafe = self.ownership.fabrics, self.ownership.failsafe
        fabrics.on_added.append(lambda _fabric: self._advertise_fabrics())
        fabrics.on_updated.append(lambda _fabric: self._advertise_fabrics())
        fabrics.on_reissued.append(lambda fabric: self._close_others(fabric.index))
        fabrics.on_removed.append(self._fabric_removed)
        failsafe.on_expired.append(self._failsafe_ended)
        failsafe.on_committed.append(self._commissioned)
        self.window.changed.on(self._advertise_window)

    def _commissioner_came(self, session: PeerSession) -> None:
        """Arm the fail-safe for a commissioner that knows the passcode; another one is refused while it is armed."""
        try:
            self.ownership.failsafe.arm(FAILSAFE_EXPIRY_S, 0, session)
        except FailSafeBusy as busy:
            log.info("commissioner refused: %s", busy)
            self.stack.sessions.close(session, notify=True)

    def _commissioned(self, context: FailSafeContext) -> None:
        self.window.close()
        self._failsafe_ended(context)

    def _failsafe_ended(self, _context: FailSafeContext) -> None:
        for session in self.stack.sessions.of_pase():
            self._close(session)

    def _fabric_removed(self, fabric: Fabric) -> None:
        self._advertise_fabrics()
        self.interaction.subscriptions.drop_fabric(fabric.index)
        self.tree.event_log.forget_fabric(fabric.index)
        self._keep_fabrics()
        for session in self.stack.sessions.of_fabric(fabric.index):
            self._close(session)

    def _close_others(self, fabric_index: int) -> None:
        """Close the sessions made with a certificate that is no longer valid, but not the one that changed it."""
        request = current_request()
        for session in self.stack.sessions.of_fabric(fabric_index):
            if request is None or request.session is not session:
                self.stack.sessions.close(session, notify=False)

    def _close(self, session: PeerSession) -> None:
        """Close a session, but one that waits for an answer only after it."""
        request = current_request()
        if request is not None and request.session is session:
            request.after_response.append(lambda: self.stack.sessions.close(session, notify=False))
        else:
            self.stack.sessions.close(session, notify=False)

    def _keep_fabrics(self) -> None:
        indexes = {fabric.index for fabric in self.ownership.fabrics}
        for server in self.tree.servers():
            server.keep_fabrics(indexes)

    def _advertise_fabrics(self) -> None:
        services = [OperationalService(fabric.compressed_id, fabric.node_id) for fabric in self.ownership.fabrics]
        self._dependencies.discovery.operational(services)

    def _advertise_window(self, window: OpenWindow | None) -> None:
        if window is None:
            self._dependencies.discovery.commissionable(None)
            return
        service = CommissionableService.named(
            self._dependencies.entropy,
            discriminator=window.discriminator,
            vendor_id=self.product.vendor_id,
            product_id=self.product.product_id,
            device_type=self.product.device_type,
            device_name=self.product.product_name,
            mode=int(window.mode),
        )
        self._dependencies.discovery.commissionable(service)


def _link_diagnostics(interfaces: Sequence[HostInterface]) -> list[ClusterServer]:
    """Return the diagnostics of the first interface of each kind."""
    wireless = next((found for found in interfaces if is_wireless(found.name)), None)
    wired = next((found for found in interfaces if not is_wireless(found.name)), None)
    servers: list[ClusterServer] = []
    if wired is not None:
        servers.append(EthernetNetworkDiagnosticsServer(wired.name))
    if wireless is not None:
        servers.append(WiFiNetworkDiagnosticsServer(wireless.name))
    return servers
