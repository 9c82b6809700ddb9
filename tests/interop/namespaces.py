"""Two network namespaces joined by a cable: the device's side and the controller's side, cut off from the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass

DEVICE_IPV4, CONTROLLER_IPV4 = "10.99.0.1", "10.99.0.2"
DEVICE_IPV6, CONTROLLER_IPV6 = "fd99::1", "fd99::2"


class NamespacesUnavailable(Exception):  # noqa: N818 (a fact, not an error)
    """The machine cannot make network namespaces; the message says why, in one line."""


@dataclass(frozen=True)
class Namespaces:
    """The names of both namespaces; each has one end of the cable as `eth0`."""

    device: str
    controller: str

    def inside(self, name: str, *command: str) -> list[str]:
        """Return the command line that runs `command` inside one of the two."""
        return ["ip", "netns", "exec", name, *command]


def make_namespaces(purpose: str = "evse") -> Namespaces:
    """Make both namespaces with the cable plugged in; their names begin with `purpose`.

    Raises: NamespacesUnavailable.
    """
    if shutil.which("ip") is None:
        raise NamespacesUnavailable("the command ip (package iproute2) is missing")
    if os.geteuid() != 0:
        raise NamespacesUnavailable("network namespaces need root")
    pair = Namespaces(f"{purpose}-device-{os.getpid()}", f"{purpose}-controller-{os.getpid()}")
    try:
        for name in (pair.device, pair.controller):
            _ip("netns", "add", name)
        cable = f"link add eth0 netns {pair.device} type veth peer name eth0 netns {pair.controller}"
        _ip(*cable.split())
        for name, ipv4, ipv6 in (
            (pair.device, DEVICE_IPV4, DEVICE_IPV6),
            (pair.controller, CONTROLLER_IPV4, CONTROLLER_IPV6),
        ):
            _ip("-n", name, "link", "set", "lo", "up")
            # Without this the link-local address is tentative for a second, as it is where /proc is read-only.
            _ip("netns", "exec", name, "sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad || true")
            _ip("-n", name, "addr", "add", f"{ipv4}/24", "dev", "eth0")
            _ip("-n", name, "addr", "add", f"{ipv6}/64", "dev", "eth0", "nodad")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "route", "add", "224.0.0.0/4", "dev", "eth0")
    except subprocess.CalledProcessError as error:
        remove_namespaces(pair)
        reason = (error.stderr or "").strip().splitlines() or [str(error)]
        raise NamespacesUnavailable(f"network namespaces cannot be made: {reason[0]}") from error
    return pair


def remove_namespaces(pair: Namespaces) -> None:
    """Remove both; the cable goes with them."""
    for name in (pair.device, pair.controller):
        subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
