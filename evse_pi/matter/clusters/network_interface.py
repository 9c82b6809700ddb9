"""What the network clusters need to know of the machine's interfaces."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

SYS_CLASS_NET = Path("/sys/class/net")


class NetworkInterface(Protocol):
    """An interface that is up; `discovery.interfaces.Interface` is one."""

    @property
    def name(self) -> str:
        """The system's name of it."""

    @property
    def hardware_address(self) -> bytes:
        """Its MAC address or EUI-64, empty if it has none."""

    @property
    def addresses(self) -> tuple[bytes, ...]:
        """Its IPv4 (4 octets) and IPv6 (16 octets) addresses."""


def is_wireless(name: str, folder: Path = SYS_CLASS_NET) -> bool:
    """Return whether the kernel says that an interface is Wi-Fi."""
    return (folder / name / "wireless").exists() or (folder / name / "phy80211").exists()


def statistic(name: str, counter: str, folder: Path = SYS_CLASS_NET) -> int | None:
    """Return a counter of an interface, or None if the kernel does not have it."""
    text = setting(name, f"statistics/{counter}", folder)
    return int(text) if text is not None and text.isdigit() else None


def setting(name: str, file: str, folder: Path = SYS_CLASS_NET) -> str | None:
    """Return what a file of an interface says, or None; a link that is down answers `speed` with an error."""
    try:
        return (folder / name / file).read_text().strip()
    except OSError:
        return None
