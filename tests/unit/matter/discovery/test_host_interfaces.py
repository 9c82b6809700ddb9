"""Which interfaces and addresses a peer is told. Source: RFC 4862 5.5.4, linux/if_addr.h, the kernel on bridges."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import ifaddr
import pytest

from evse_pi.matter.discovery import host_interfaces
from evse_pi.matter.discovery.host_interfaces import network_interfaces

if TYPE_CHECKING:
    from pathlib import Path

UP_MULTICAST = "0x1003"
OLD, NEW, LOCAL, UNPROVEN = "fd00:1::10", "fd00:2::10", "fe80::1", "fd00:3::10"


class Machine:
    """A machine's interfaces as the kernel shows them in /sys and /proc."""

    def __init__(self, folder: Path) -> None:
        self.sys, self.table = folder / "net", folder / "if_inet6"
        self.adapters: list[ifaddr.Adapter] = []
        self.table.write_text("")

    def add(self, name: str, *addresses: str, folders: tuple[str, ...] = (), flags: str = UP_MULTICAST) -> None:
        own = self.sys / name
        own.mkdir(parents=True)
        (own / "flags").write_text(flags + "\n")
        (own / "address").write_text("02:00:5e:00:10:01\n")
        for each in folders:
            (own / each).mkdir(parents=True)
        index = len(self.adapters) + 2
        ips = [ifaddr.IP((each, 0, index) if ":" in each else each, 64, name) for each in addresses]
        self.adapters.append(ifaddr.Adapter(name, name, ips, index))

    def mark(self, name: str, address: str, flags: int) -> None:
        text = socket.inet_pton(socket.AF_INET6, address).hex()
        with self.table.open("a") as table:
            table.write(f"{text} 02 40 00 {flags:02x} {name:>8}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    one = Machine(tmp_path)
    monkeypatch.setattr(host_interfaces, "_SYS", one.sys)
    monkeypatch.setattr(host_interfaces, "_IF_INET6", one.table)
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: one.adapters)
    return one


def told(names: list[str] | None = None) -> dict[str, list[str]]:
    families = {4: socket.AF_INET, 16: socket.AF_INET6}
    return {
        one.name: [socket.inet_ntop(families[len(octets)], octets) for octets in one.addresses]
        for one in network_interfaces(names)
    }


def test_an_address_that_is_deprecated_or_unproven_is_not_told(machine: Machine) -> None:
    machine.add("eth0", "192.0.2.10", OLD, NEW, LOCAL, UNPROVEN)
    for address, flags in ((OLD, 0xA0), (NEW, 0x80), (LOCAL, 0x80), (UNPROVEN, 0x40)):
        machine.mark("eth0", address, flags)
    assert told() == {"eth0": ["192.0.2.10", NEW, LOCAL]}


def test_an_interface_with_no_address_left_is_none(machine: Machine) -> None:
    machine.add("wlan0", OLD)
    machine.mark("wlan0", OLD, 0x20)
    assert told() == {}


def test_a_bridge_of_containers_and_its_ports_are_not_told(machine: Machine) -> None:
    machine.add("eth0", "192.0.2.10", folders=("device",))
    machine.add("docker0", "172.17.0.1", folders=("bridge", "brif/veth1"))
    machine.add("veth1", LOCAL, folders=("brport",))
    machine.add("br-idle", "172.18.0.1", folders=("bridge",))
    assert told() == {"eth0": ["192.0.2.10"]}
    assert told(["docker0"]) == {"docker0": ["172.17.0.1"]}  # unless it is named


def test_a_bridge_to_the_network_is_told_in_place_of_its_ports(machine: Machine) -> None:
    """Such as a Pi that is an access point: eth0 and wlan0 are ports of br0, which has the addresses."""
    machine.add("eth0", LOCAL, folders=("brport", "device"))
    machine.add("br0", "192.0.2.10", folders=("bridge", "brif/eth0"))
    assert told() == {"br0": ["192.0.2.10"]}


def test_a_machine_without_ipv6_has_its_other_addresses(machine: Machine) -> None:
    machine.table.unlink()
    machine.add("eth0", "192.0.2.10")
    assert told() == {"eth0": ["192.0.2.10"]}
