"""A lamp on the network: the data model of evse_pi.matter shown on one small cluster.

Run it with `python -m examples.matter_lamp --store lamp.db` and commission it with the printed code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.pase import PaseVerifier
from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.clusters.basic_information import Product
from evse_pi.matter.clusters.identify import IdentifyServer
from evse_pi.matter.clusters.label import UserLabelServer
from evse_pi.matter.discovery.host_interfaces import network_interfaces
from evse_pi.matter.discovery.mdns import Advertiser
from evse_pi.matter.discovery.onboarding import OnboardingPayload, manual_code, qr_code
from evse_pi.matter.environment import SystemEntropy, SystemWallClock
from evse_pi.matter.identity.test_credentials import TestCredentials
from evse_pi.matter.model.cluster_server import ClusterServer
from evse_pi.matter.model.declaration import Attribute, ClusterSchema, Command, Feature, Field
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.node import SESSION_PARAMETERS, MatterNode, NodeDependencies, Setup
from evse_pi.matter.storage import SqliteStore
from evse_pi.matter.wire.chip_objects import OnOff

if TYPE_CHECKING:
    from collections.abc import Callable

    from evse_pi.matter.model.event_source import Change

_TIMED = (
    Field("onOffControl", "map8", "max 1"),
    Field("onTime", "uint16", "max 65534"),
    Field("offWaitTime", "uint16", "max 65534"),
)
# The specification's table, written down once.
ON_OFF = ClusterSchema(
    OnOff,
    revision=6,
    features=(
        Feature("LT", "Lighting", "[!OFFONLY]"),
        Feature("DF", "DeadFrontBehavior", "[!OFFONLY]"),
        Feature("OFFONLY", "OffOnly", "[!(LT | DF)]"),
    ),
    attributes=(
        Attribute("OnOff", "bool", "R V", "N S", default=False),
        Attribute("GlobalSceneControl", "bool", "R V", conformance="LT", default=True),
        Attribute("OnTime", "uint16", "RW VO", conformance="LT", default=0),
        Attribute("OffWaitTime", "uint16", "RW VO", conformance="LT", default=0),
        Attribute("StartUpOnOff", "enum8", "RW VM", "X N", "LT", default=None),
    ),
    commands=(
        Command("Off"),
        Command("On", conformance="!OFFONLY"),
        Command("Toggle", conformance="!OFFONLY"),
        Command("OffWithEffect", conformance="LT", fields=(Field("effectVariant", "enum8"),)),
        Command("OnWithRecallGlobalScene", conformance="LT"),
        Command("OnWithTimedOff", conformance="LT", fields=_TIMED),
    ),
)


class OnOffServer(ClusterServer):
    """The behaviour of a switch; the rules are here, for every request."""

    schema = ON_OFF

    class Internal:
        """What no peer sees: how often the lamp was switched."""

        switched = 0

    class ExtensionInterface:
        """What a lamp's maker has to add."""

        def show(self, lit: bool) -> None:
            """Make the lamp lit or dark."""

    show: Callable[[bool], None]

    def initialize(self) -> None:
        """Show what was stored, and every change from now on."""
        self.show(self.state.on_off)
        self.react_to(self.events.on_off_changed, self._show)

    def off(self) -> None:
        """Switch off."""
        self.state.on_off = False

    def on(self) -> None:
        """Switch on."""
        self.state.on_off = True

    def toggle(self) -> None:
        """Switch over."""
        self.state.on_off = not self.state.on_off

    def _show(self, change: Change) -> None:
        self.internal.switched += 1
        self.show(change.value)


class LightingServer(OnOffServer.with_features("LT")):  # type: ignore[misc] # a base made at run time
    """What the lighting feature adds."""

    def off_with_effect(self, _request: Any) -> None:
        """Switch off; this lamp has no effects."""
        self.state.global_scene_control = False
        self.state.on_off = False

    def on_with_recall_global_scene(self) -> None:
        """Switch on as before."""
        if not self.state.global_scene_control:
            self.state.global_scene_control = True
            self.state.on_off = True

    def on_with_timed_off(self, request: Any) -> None:
        """Switch on for a while, in tenths of a second."""
        accept_only_when_on = bool(request.onOffControl & 1)
        if accept_only_when_on and not self.state.on_off:
            return
        self.state.on_off = True
        self.state.on_time = max(self.state.on_time, request.onTime)
        asyncio.get_running_loop().call_later(self.state.on_time / 10, self.callback(self._time_is_over))

    def _time_is_over(self) -> None:
        self.state.on_time = 0
        self.state.on_off = False


class Lamp(LightingServer.alter(on_time={"constraint": "max 36000"}).set(off_wait_time=0)):  # type: ignore[misc]
    """A lamp that is a line on the terminal; no timer beyond an hour."""

    dependencies = (IdentifyServer,)

    def show(self, lit: bool) -> None:
        """Print the lamp."""
        print("lamp on" if lit else "lamp off", flush=True)

    def initialize(self) -> None:
        """Blink while identifying."""
        super().initialize()
        self.react_to(self.peer(IdentifyServer).events.identify_time_changed, self._blink)

    def switch(self) -> None:
        """Toggle by hand: the user at the lamp needs no privilege."""
        self.as_admin(lambda: setattr(self.peer(Lamp).state, "on_off", not self.state.on_off))

    def _blink(self, change: Change) -> None:
        print(f"lamp blinks for {change.value} s", flush=True)


class Beacon(IdentifyServer.enable(commands=("TriggerEffect",))):  # type: ignore[misc]
    """Identify with the optional effects, ready before the lamp is."""

    early = True

    def trigger_effect(self, request: Any) -> None:
        """Print the effect."""
        print(f"lamp shows {request.effectIdentifier.name}", flush=True)


# The same behaviour for a cluster of the maker's own, which no controller knows.
NIGHT_LIGHT = replace(ON_OFF, identifier=0xFFF1_FC01, title="NightLight", revision=1)


class NightLight(OnOffServer.for_cluster(NIGHT_LIGHT)):  # type: ignore[misc]
    """A second, dim lamp that takes a moment to warm up and is hidden until then."""

    async def initialize(self) -> None:
        """Warm up."""
        await asyncio.sleep(0.1)
        super().initialize()

    def show(self, lit: bool) -> None:
        """Print the night light."""
        print("night light on" if lit else "night light off", flush=True)

    def close(self) -> None:
        """Go out with the node."""
        self.show(lit=False)


def lamp_endpoint(number: int = 1, *, night_light: bool = False) -> Endpoint:
    """Return the endpoint of an on/off light."""
    own = [NightLight()] if night_light else []
    return Endpoint(number, [DeviceType(0x0100, 3)], [Lamp(), Beacon(), UserLabelServer(), *own])


def arguments() -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("matter_lamp.db"), help="file that survives a restart")
    parser.add_argument("--passcode", type=int, default=20202021)
    parser.add_argument("--discriminator", type=int, default=3840)
    parser.add_argument("--port", type=int, default=5540)
    parser.add_argument("--interface", action="append", help="network interface, may be repeated; default all")
    parser.add_argument("--enable-key", type=bytes.fromhex, help="32 hex digits that allow test event triggers")
    parser.add_argument("--night-light", action="store_true", help="add a cluster that no controller knows")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def lamp_node(options: argparse.Namespace) -> MatterNode:
    """Return the node that the options describe."""
    product = Product(0xFFF1, 0x8000, "Example", "Lamp", device_type=0x0100, serial_number="LAMP-1")
    entropy, store = SystemEntropy(), SqliteStore(options.store)
    salt = store.get("setup-salt") or entropy.octets(32)
    with store.transaction() as transaction:
        transaction.put("setup-salt", salt)
    transport = UdpTransport(options.port)
    names = options.interface

    def interfaces() -> Any:
        return network_interfaces(names)

    discovery = Advertiser(port=transport.port, parameters=SESSION_PARAMETERS, entropy=entropy, interfaces=interfaces)
    credentials = TestCredentials.load(store, product.vendor_id, product.product_id, product.device_type, entropy)
    dependencies = NodeDependencies(store, transport, discovery, credentials, entropy, SystemWallClock(), interfaces)
    setup = Setup(options.discriminator, PaseVerifier.from_passcode(options.passcode, salt, 1000))
    node = MatterNode(
        product, setup, dependencies, [lamp_endpoint(night_light=options.night_light)], enable_key=options.enable_key
    )
    node.general_diagnostics.on_trigger(lambda code: code == 0x0006_0000_0000_0001)
    return node


async def serve(node: MatterNode, options: argparse.Namespace) -> None:
    """Run the node until the process is asked to end."""
    payload = OnboardingPayload(
        node.product.vendor_id, node.product.product_id, options.discriminator, options.passcode
    )
    await node.start()
    print(f"QR code {qr_code(payload)}  manual code {manual_code(payload)}", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await node.stop()


async def main() -> None:
    """Be a lamp."""
    options = arguments()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.INFO)
    await serve(lamp_node(options), options)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
