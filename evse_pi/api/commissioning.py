"""How Matter controllers are let in and thrown out."""

from enum import Enum
from typing import Annotated, NamedTuple

from evse_pi.api.matter_status import FabricSummary, Window
from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Allowed


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
    fabrics: tuple[FabricSummary, ...]
    port: int
    test_credentials: bool
    codes: Codes | None = None


COMMISSION: Command[Commission, CommissionAnswer] = Command(
    "commission", Commission, CommissionAnswer, "Show, let in or throw out Matter controllers."
)
