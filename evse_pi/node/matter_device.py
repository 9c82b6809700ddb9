"""The box as a Matter device: puts node and endpoints together, brings them up, and tells how that stands.

The data model comes up first and without a network, because it holds who may charge; the network is tried again until
it is there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from evse_pi.api.commissioning import Codes
from evse_pi.api.matter_status import FabricSummary, MatterDeviceStatus, Window
from evse_pi.api.refusal import Allowed, AtFault, Refusal
from evse_pi.api.texts import english as words
from evse_pi.api.texts.catalogue import tr
from evse_pi.device import endpoints
from evse_pi.device.charge_point_view import EVSE_ENDPOINT
from evse_pi.installation.files import ConfigError
from evse_pi.installer.product import read_product
from evse_pi.installer.provisioning import FOLDER
from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.clusters.time_synchronization import SynchronizedClock
from evse_pi.matter.discovery.host_interfaces import HostInterface, network_interfaces
from evse_pi.matter.discovery.mdns import Advertiser
from evse_pi.matter.discovery.onboarding import (
    MAX_DISCRIMINATOR,
    OnboardingPayload,
    manual_code,
    qr_code,
    random_passcode,
)
from evse_pi.matter.environment import SystemEntropy, SystemWallClock
from evse_pi.matter.identity.attestation import FileCredentials
from evse_pi.matter.identity.damage import damaged_fabrics, delete_fabrics
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.matter.node import SESSION_PARAMETERS, MatterNode, NodeDependencies, Setup
from evse_pi.matter.storage import DamagedRecord, decoding
from evse_pi.matter.wire import tlv
from evse_pi.node import machine_mark
from evse_pi.node.box_status import PRODUCT_VERSION
from evse_pi.node.event_triggers import EventTriggers
from evse_pi.node.simulator_control import SimulatorControl
from hal.clock_trust import ClockTrust, SystemTime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping
    from pathlib import Path

    from evse_pi.device.energy_evse import EnergyEvseServer
    from evse_pi.device.equipment import Equipment
    from evse_pi.matter.clusters.basic_information import Product
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.identity.attestation import CredentialProvider
    from evse_pi.matter.storage import KeyValueStore
    from evse_pi.node.charge_point_adapter import ChargePointAdapter
    from evse_pi.node.matter_options import MatterOptions

log = logging.getLogger(__name__)

RETRY_S = 10.0
STOP_WITHIN_S = 2.0  # goodbyes to controllers; the service manager waits longer
PASE_ITERATIONS = 1000  # the verifier is made at each start; the passcode has 27 random bits whatever it costs
_SETUP_KEY = "setup"


class LateTransport:
    """UDP whose port is taken only when the node starts, so that a taken port fails the start alone."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._udp: UdpTransport | None = None

    def start(self, receiver: Callable[[bytes, Hashable], None]) -> None:
        """Take the port and deliver every datagram. Raises: OSError when the port is taken."""
        self._udp = UdpTransport(self._port)
        self._udp.start(receiver)

    def send(self, datagram: bytes, address: Any) -> bool:
        """Send a datagram; False before the start."""
        return self._udp is not None and self._udp.send(datagram, address)

    def close(self) -> None:
        """Free the port."""
        if self._udp is not None:
            self._udp.close()
            self._udp = None


class MatterDevice:
    """One Matter device around the box. Nothing that fails here reaches the box: `trouble` says what does."""

    def __init__(
        self,
        options: MatterOptions,
        equipment: Equipment,
        key_values: Callable[[], Awaitable[KeyValueStore]],
        state_dir: Path,
        charger: ChargePointAdapter,
        *,
        retry_s: float = RETRY_S,
        mark: Callable[[], bytes | None] = machine_mark.machine_mark,
    ) -> None:
        """Keep what is needed; nothing is read before `run`. In `state_dir` lie the vendor's credentials.

        `mark` tells this machine from others, or does not.
        """
        self.trouble: str | None = None
        self.running = False
        self._options = options
        self._equipment = equipment
        self._retry_s = retry_s
        self._key_values = key_values
        self._credentials_folder = state_dir / FOLDER
        self._charger = charger
        self._entropy: Entropy = SystemEntropy()
        self._node: MatterNode | None = None
        self._evse: EnergyEvseServer | None = None
        self._payload: OnboardingPayload | None = None
        self._test_credentials = True
        self._mark = mark()
        self._store: KeyValueStore | None = None
        self._made_elsewhere = False
        self._renewed = asyncio.Event()

    async def run(self) -> None:
        """Be a Matter device until cancelled; whatever fails is tried again."""
        try:
            while True:
                await self._come_up()
                await self._renewed.wait()
                self._renewed.clear()
                await self._stop()
        finally:
            await self._stop()

    async def _come_up(self) -> None:
        while not self.running:
            start = asyncio.create_task(self._start(), name="matter start")
            try:
                await asyncio.wait({start})
            finally:
                start.cancel()
                await asyncio.gather(start, return_exceptions=True)
            self._judge(start)
            if not self.running:
                await asyncio.sleep(self._retry_s)

    async def _start(self) -> None:
        """Bring up the endpoints, then the network. Raises: whatever keeps it from doing so."""
        if self._node is None or self._evse is None:
            self._build(await self._key_values())
        assert self._node is not None  # noqa: S101 (just built)
        await self._node.start()

    def _judge(self, start: asyncio.Task[None]) -> None:
        """Note how a start ended; endpoints that did not come up are built again next time."""
        error = start.exception()
        if error is None:
            self.running, self.trouble = True, None
            self.refresh()
            return
        expected = isinstance(error, (OSError, ConfigError, ValueError))
        if self.trouble is None:
            log.warning("matter does not run: %s", error, exc_info=None if expected else error)
        self.trouble = f"{type(error).__name__}: {error}"
        if self._node is not None and EVSE_ENDPOINT in self._node.tree.endpoints:
            self.refresh()
        else:
            self._discard()

    def _build(self, store: KeyValueStore) -> None:
        options, self._store = self._options, store
        self._made_elsewhere = machine_mark.made_elsewhere(store, self._mark)
        product = read_product(self._credentials_folder, PRODUCT_VERSION)
        setup, self._payload = _setup(store, self._entropy, options, product)
        system = SystemTime()
        clock = SynchronizedClock(
            SystemWallClock(lambda unix_s: system.trust(unix_s) is not ClockTrust.UNKNOWN),
            self._charger.tell_time,
            is_synchronized=lambda: system.trust(time.time()) is ClockTrust.SYNCHRONIZED,
        )
        around = endpoints.DeviceDependencies(self._charger, clock, self._equipment)
        endpoint, self._evse = endpoints.wallbox(around, options.features)
        self._node = node = MatterNode(
            product, setup, self._node_dependencies(store, clock, product), [endpoint], enable_key=options.enable_key
        )
        node.ownership.failsafe.on_committed.append(lambda _context: self.refresh())
        node.ownership.fabrics.on_removed.append(lambda _fabric: self.refresh())
        if options.enable_key is not None and options.simulator is not None:
            triggers = EventTriggers(SimulatorControl(options.simulator), self._charger, self._evse)
            node.general_diagnostics.on_trigger(triggers.handle)

    def _node_dependencies(self, store: KeyValueStore, clock: SynchronizedClock, product: Product) -> NodeDependencies:
        names = self._options.interfaces or None

        def interfaces() -> tuple[HostInterface, ...]:
            return network_interfaces(names)

        discovery = Advertiser(
            port=self._options.port, parameters=SESSION_PARAMETERS, entropy=self._entropy, interfaces=interfaces
        )
        credentials = self._credentials(store, product)
        transport = LateTransport(self._options.port)
        return NodeDependencies(store, transport, discovery, credentials, self._entropy, clock, interfaces)

    def _credentials(self, store: KeyValueStore, product: Product) -> CredentialProvider:
        """Return the vendor's credentials where there are any, else ones that say of themselves that they are tests."""
        folder = self._credentials_folder
        self._test_credentials = not folder.is_dir()
        if self._test_credentials:
            return TestCredentials.load(
                store, product.vendor_id, product.product_id, product.device_type, self._entropy
            )
        credentials = FileCredentials(
            folder, vendor_id=product.vendor_id, product_id=product.product_id, device_type=product.device_type
        )
        self._test_credentials = credentials.for_tests
        return credentials

    def _discard(self) -> None:
        self._node = self._evse = None

    async def _stop(self) -> None:
        self.running = False
        if self._node is not None:
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self._node.stop()
            except TimeoutError:
                log.warning("matter was ended before all controllers had their last reports")
        self._discard()

    # Who decides.

    @property
    def commissioned(self) -> bool:
        """Whether a controller owns the box: a fabric is there, and its commissioning is complete."""
        if self._node is None:
            return False
        context = self._node.ownership.failsafe.context
        pending = None if context is None else context.added_fabric
        return any(fabric.index != pending for fabric in self._node.ownership.fabrics)

    @property
    def ready(self) -> bool:
        """Whether the endpoints are up, with or without a network."""
        return self._node is not None and EVSE_ENDPOINT in self._node.tree.endpoints

    def refresh(self) -> None:
        """Tell the charge point who decides."""
        if self._evse is not None and self.ready:
            self._charger.commission(commissioned=self.commissioned)

    # Commissioning.

    def describe(self) -> MatterDeviceStatus:
        """Return how the device stands with its controllers."""
        node = self._node
        window = None if node is None else node.window.current
        return MatterDeviceStatus(
            running=self.running,
            trouble=self.trouble,
            commissioned=self.commissioned,
            window=None if window is None else Window[window.mode.name],
            fabrics=() if node is None else tuple(_fabric(fabric) for fabric in node.ownership.fabrics),
            port=self._options.port,
            test_credentials=self._test_credentials,
        )

    def codes(self) -> Codes:
        """Return what a person scans or types.

        Raises: Refusal while the device has not come up.
        """
        if self._payload is None:
            raise Refusal(tr("the Matter device has not come up yet"))
        return Codes(
            qr=qr_code(self._payload),
            manual=manual_code(self._payload),
            discriminator=self._payload.discriminator,
            passcode=self._payload.passcode,
        )

    def open_window(self) -> None:
        """Let in a commissioner with the passcode for 15 minutes. Raises: Refusal while the device does not run."""
        self._up().open_commissioning_window()

    def remove(self, fabric_index: int) -> None:
        """Leave one fabric. Raises: Refusal when there is none of that number, or the device does not run."""
        node = self._up()
        if node.ownership.fabrics.get(fabric_index) is None:
            raise _unknown_fabric(fabric_index, tuple(str(fabric.index) for fabric in node.ownership.fabrics))
        node.leave(fabric_index)

    def factory_reset(self) -> None:
        """Leave all fabrics and forget what controllers set. Raises: Refusal while the device does not run."""
        self._up().factory_reset()

    @property
    def identity_made_elsewhere(self) -> bool:
        """Whether the identity was made on another machine, and no person has decided whose it is."""
        return self._made_elsewhere

    def make_new_identity(self) -> None:
        """Leave all fabrics and make passcode, discriminator and test credentials again.

        Raises: Refusal while the device does not run.
        """
        self._up().factory_reset()
        if self._store is not None:
            machine_mark.forget(self._store)
        self._payload = None
        self.running = False
        self._renewed.set()

    def keep_identity(self) -> None:
        """Take the identity as this machine's. Raises: Refusal while the device does not run."""
        self._up()
        if self._store is not None:
            machine_mark.keep(self._store, self._mark)
        self._made_elsewhere = False

    async def damage(self) -> Mapping[int, str]:
        """Return what is wrong with each fabric that cannot be read, whether or not it runs. Raises: OSError."""
        return damaged_fabrics(await self._key_values())

    async def reset_damaged(self) -> tuple[int, ...]:
        """Delete the fabrics that cannot be read and return their numbers; the device comes up by itself then.

        Raises: OSError.
        """
        store = await self._key_values()
        indexes = tuple(damaged_fabrics(store))
        if indexes:
            log.warning("damaged fabrics deleted fabrics=%s", " ".join(map(str, indexes)))
            delete_fabrics(store, indexes)
        return indexes

    def _up(self) -> MatterNode:
        if self._node is None or not self.running:
            trouble = self.trouble or words.MATTER_IS_STARTING
            raise Refusal(tr("the Matter device does not run: {trouble}").format(trouble=trouble))
        return self._node


def _unknown_fabric(asked: int, known: tuple[str, ...]) -> Refusal:
    at = AtFault("fabric", asked, Allowed(words=known))
    if not known:
        return Refusal(tr("fabric: {asked} is unknown; there are none").format(asked=asked), at)
    told = tr("fabric: {asked} is unknown; one of {known}")
    return Refusal(told.format(asked=asked, known=", ".join(known)), at)


def _setup(
    store: KeyValueStore, entropy: Entropy, options: MatterOptions, product: Product
) -> tuple[Setup, OnboardingPayload]:
    """Return what is printed on the device: as the options say, else as stored, else made now and stored."""
    record = store.get(_SETUP_KEY)
    discriminator, passcode, salt = _kept_setup(record)
    if options.discriminator is not None:
        discriminator = options.discriminator
    if options.passcode is not None:
        passcode = options.passcode
    discriminator = entropy.below(MAX_DISCRIMINATOR + 1) if discriminator is None else discriminator
    passcode = random_passcode(entropy) if passcode is None else passcode
    salt = salt or entropy.octets(32)
    encoded = tlv.encode({0: tlv.uint(discriminator), 1: tlv.uint(passcode), 2: salt})
    if encoded != record:
        with store.transaction() as transaction:
            transaction.put(_SETUP_KEY, encoded)
    verifier = PaseVerifier.from_passcode(passcode, salt, PASE_ITERATIONS)
    payload = OnboardingPayload(product.vendor_id, product.product_id, discriminator, passcode)
    return Setup(discriminator, verifier), payload


def _kept_setup(record: bytes | None) -> tuple[int | None, int | None, bytes | None]:
    """Return discriminator, passcode and salt as stored, None for each where they are not or cannot be read."""
    if record is None:
        return None, None, None
    try:
        with decoding(_SETUP_KEY):
            match tlv.decode(record):
                case {0: int(discriminator), 1: int(passcode), 2: bytes(salt)}:
                    OnboardingPayload(0xFFF1, 0x8000, discriminator, passcode)
                    return int(discriminator), int(passcode), salt  # of TLV's own kinds before
    except DamagedRecord as error:
        log.warning("set-up code is made again, the printed one is void: %s", error)
    return None, None, None


def _fabric(fabric: Any) -> FabricSummary:
    return FabricSummary(
        fabric=fabric.index,
        label=fabric.label,
        vendor_id=fabric.admin_vendor_id,
        fabric_id=f"{fabric.fabric_id:016X}",
        node_id=f"{fabric.node_id:016X}",
    )
