"""How the box stands with Matter controllers, and how they are let in and thrown out."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, NamedTuple

from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Allowed


class Window(Enum):
    """A commissioning window that is open: for the codes of this box, or for a controller's own code."""

    BASIC = "basic"
    ENHANCED = "enhanced"


class Fabric(NamedTuple):
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
    fabrics: tuple[Fabric, ...]
    port: int
    test_credentials: bool


class Codes(NamedTuple):
    """What a person scans or types to let a controller in."""

    qr: str
    manual: str
    discriminator: int
    passcode: int


class CommissionAction(Enum):
    """What is to be done; SHOW shows the codes as long as there are no controllers."""

    SHOW = "show"
    CODES = "codes"
    OPEN = "open"
    REMOVE = "remove"
    FACTORY_RESET = "factory-reset"
    NEW_IDENTITY = "new-identity"
    KEEP_IDENTITY = "keep-identity"


class Commission(NamedTuple):
    """What is to be done; `fabric` is the one to remove. Source: Matter Core 1.4, 7.19.2.14, fabric-idx."""

    action: CommissionAction = CommissionAction.SHOW
    fabric: Annotated[int, Allowed(1, 254)] | None = None


class CommissionAnswer(NamedTuple):
    """How the Matter device stands afterwards, with the codes where they were asked for."""

    running: bool
    trouble: str | None
    commissioned: bool
    window: Window | None
    fabrics: tuple[Fabric, ...]
    port: int
    test_credentials: bool
    codes: Codes | None = None


COMMISSION: Command[Commission, CommissionAnswer] = Command(
    "commission", Commission, CommissionAnswer, "Show, let in or throw out Matter controllers."
)
