"""How the box stands with Matter controllers."""

from enum import Enum
from typing import NamedTuple


class Window(Enum):
    """A commissioning window that is open: for the codes of this box, or for a controller's own code."""

    BASIC = "basic"
    ENHANCED = "enhanced"


class FabricSummary(NamedTuple):
    """A controller that owns the box; the identifiers are 16 hex digits."""

    fabric: int
    label: str
    vendor_id: int
    fabric_id: str
    node_id: str


class MatterDeviceStatus(NamedTuple):
    """How the Matter device stands; `trouble` says why it does not run."""

    running: bool
    trouble: str | None
    commissioned: bool
    window: Window | None
    fabrics: tuple[FabricSummary, ...]
    port: int
    test_credentials: bool
