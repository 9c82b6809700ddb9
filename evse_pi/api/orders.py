"""What may be ordered: the owner's permission and limit, one-time orders to the safety process."""

from enum import Enum
from typing import Annotated, NamedTuple

from evse_pi.api.protocol import Command, Nothing
from evse_pi.api.refusal import Allowed
from evse_pi.core.fault_kinds import Fault
from evse_pi.core.states import LimitSource
from hal.units import Milliamps


class Keep(Enum):
    """Leaves a setting as it is."""

    KEEP = "keep"


class SetOwner(NamedTuple):
    """What the owner sets; a limit of null is none, another one is from 6000 mA up to the rating of the board."""

    permitted: bool | Keep = Keep.KEEP
    limit_ma: Milliamps | Keep | None = Keep.KEEP


class OwnerAnswer(NamedTuple):
    """What the owner has set now; `stored` says that it will outlast a power cut, `not_stored_because` why not."""

    permitted: bool
    limit_ma: Milliamps | None
    stored: bool
    not_stored_because: str | None = None


class StartAnswer(NamedTuple):
    """Which delays were skipped, and who still lets the charge wait."""

    skipped: frozenset[LimitSource]
    held_up_by: frozenset[LimitSource]


class Role(Enum):
    """As who a fault is acknowledged."""

    USER = "user"
    INSTALLER = "installer"


class ClearanceProof(NamedTuple):
    """The proof that an installer's clear was ordered by a process that may read the key of the seal."""

    at_ns: Annotated[int, Allowed(0, (1 << 63) - 1)]
    digest: Annotated[int, Allowed(0, (1 << 64) - 1)]


class ClearFaults(NamedTuple):
    """As who; only root may as installer, with a proof where the box was set up."""

    role: Role = Role.USER
    clearance: ClearanceProof | None = None


class ClearAnswer(NamedTuple):
    """The faults that are left."""

    faults: tuple[Fault, ...]


class Ordered(NamedTuple):
    """The safety process has received the order."""

    ordered: bool = True


class VersionAnswer(NamedTuple):
    """The version of the software, and of this contract."""

    version: str
    api: int


SET: Command[SetOwner, OwnerAnswer] = Command("set", SetOwner, OwnerAnswer, "Set what the owner permits, up to what.")
PERMIT: Command[Nothing, OwnerAnswer] = Command("permit", Nothing, OwnerAnswer, "Permit charging, as the owner.")
STOP: Command[Nothing, OwnerAnswer] = Command(
    "stop", Nothing, OwnerAnswer, "Stop charging softly, and permit none until `permit`."
)
START: Command[Nothing, StartAnswer] = Command(
    "start", Nothing, StartAnswer, "Skip the random delay and the planned start."
)
CLEAR: Command[ClearFaults, ClearAnswer] = Command(
    "clear", ClearFaults, ClearAnswer, "Acknowledge faults whose cause is gone."
)
SELF_TEST: Command[Nothing, Ordered] = Command("selftest", Nothing, Ordered, "Let the box test itself.")
WAKE: Command[Nothing, Ordered] = Command("wake", Nothing, Ordered, "Try to wake a vehicle that ignores the offer.")
RELOAD: Command[Nothing, Ordered] = Command(
    "reload", Nothing, Ordered, "Read the installer's file again.", installer=True
)
VERSION: Command[Nothing, VersionAnswer] = Command("version", Nothing, VersionAnswer, "The version of the software.")
