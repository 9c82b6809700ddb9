"""A whole node in memory with a controller beside it, and the steps of a commissioning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.clusters.basic_information import Product
from evse_pi.matter.discovery.host_interfaces import HostInterface
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.matter.node import MatterNode, NodeDependencies, Setup
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.tlv import uint
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.datagram_pipe import Network
from tests.support.matter_authority import Authority, CountingEntropy, public_key_of_request
from tests.support.matter_initiator import MatterInitiator, Member

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.discovery.mdns import CommissionableService, OperationalService
    from evse_pi.matter.model.endpoint import Endpoint
    from evse_pi.matter.storage import KeyValueStore

PASSCODE = 20202021
VERIFIER = PaseVerifier.from_passcode(PASSCODE, b"SPAKE2P Key Salt", 1000)
PRODUCT = Product(0xFFF1, 0x8000, "Vendor", "Product", device_type=0x0100)
INTERFACE = HostInterface("eth0", 1, bytes.fromhex("02005e001001"), (bytes((192, 0, 2, 7)), bytes(15) + b"\x01"))
NODE_ID = 0x0D0E
ADMIN_NODE_ID = 0xA0A0
NOON_US = 1_770_000_000_000_000
GENERAL_COMMISSIONING, OPERATIONAL_CREDENTIALS = 0x30, 0x3E


@dataclass
class RecordedDiscovery:
    """Remembers what is advertised."""

    window: CommissionableService | None = None
    fabrics: list[OperationalService] = field(default_factory=list)
    running: bool = False

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def commissionable(self, service: CommissionableService | None) -> None:
        self.window = service

    def operational(self, services: Iterable[OperationalService]) -> None:
        self.fabrics = list(services)


class Bench:
    """One node on a network; `async with` starts and stops it."""

    interfaces: ClassVar[tuple[HostInterface, ...]] = (INTERFACE,)

    def __init__(
        self,
        endpoints: Iterable[Endpoint] = (),
        *,
        store: KeyValueStore | None = None,
        network: Network | None = None,
        enable_key: bytes | None = None,
        clock: VirtualClock | None = None,
    ) -> None:
        self.network = network or Network()
        self.store = store or MemoryStore()
        self.clock = clock or VirtualClock(unix_s=NOON_US // 1_000_000)
        self.discovery = RecordedDiscovery()
        entropy = CountingEntropy("device")
        credentials = TestCredentials.load(self.store, PRODUCT.vendor_id, PRODUCT.product_id, 0x0100, entropy)
        around = NodeDependencies(
            self.store,
            self.network.endpoint("device"),
            self.discovery,
            credentials,
            entropy,
            self.clock,
            lambda: self.interfaces,
        )
        self.node = MatterNode(PRODUCT, Setup(3840, VERIFIER), around, endpoints, enable_key=enable_key)
        self.controllers: list[MatterInitiator] = []

    async def __aenter__(self) -> Self:
        await self.node.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for controller in self.controllers:
            await controller.stack.stop()
        await self.node.stop()

    async def controller(self, name: str = "controller") -> MatterInitiator:
        controller = MatterInitiator(self.network.endpoint(name), "device", entropy=CountingEntropy(name))
        await controller.stack.start(controller._transport)
        self.controllers.append(controller)
        return controller

    async def commission(
        self, authority: Authority | None = None, *, name: str = "controller", passcode: int = PASSCODE
    ) -> tuple[MatterInitiator, PeerSession]:
        """Return a controller with its CASE session after a whole commissioning."""
        controller = await self.controller(name)
        pase = await controller.pase(passcode)
        authority = authority or Authority()
        await add_fabric(controller, pase, authority)
        member = Member.of(authority, ADMIN_NODE_ID, controller.entropy)
        case = await controller.case(member, NODE_ID)
        done = await controller.invoke(case, 0, GENERAL_COMMISSIONING, 4)
        assert done.fields[0] == 0, done
        return controller, case


async def add_fabric(controller: MatterInitiator, pase: PeerSession, authority: Authority) -> int:
    """Join the fabric of `authority` under an armed fail-safe and return its index."""
    armed = await controller.invoke(pase, 0, GENERAL_COMMISSIONING, 0, {0: uint(60), 1: uint(1)})
    assert armed.fields[0] == 0, armed
    noc = authority.issue(NODE_ID, await requested_key(controller, pase))
    root = await controller.invoke(pase, 0, OPERATIONAL_CREDENTIALS, 11, {0: authority.root})
    assert root.status == 0, root
    fields: dict[int, Any] = {0: noc, 2: authority.ipk, 3: uint(ADMIN_NODE_ID), 4: uint(0xFFF1)}
    if authority.icac is not None:
        fields[1] = authority.icac
    added = await controller.invoke(pase, 0, OPERATIONAL_CREDENTIALS, 6, fields)
    assert added.fields[0] == 0, added
    return int(added.fields[1])


async def requested_key(controller: MatterInitiator, session: PeerSession, *, for_update: bool = False) -> bytes:
    """Return the public key of a certificate signing request that the node made."""
    from evse_pi.matter.wire import tlv

    fields: dict[int, Any] = {0: bytes(32)} | ({1: True} if for_update else {})
    answer = await controller.invoke(session, 0, OPERATIONAL_CREDENTIALS, 4, fields)
    return public_key_of_request(tlv.decode(answer.fields[0])[1])
