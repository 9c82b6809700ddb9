"""What the installer's service does for those who are not root and know the installer PIN."""

from typing import Annotated, NamedTuple

from evse_pi.api.protocol import Command
from evse_pi.api.refusal import Allowed, Secret
from evse_pi.core.fault_kinds import Fault
from hal.units import Milliamps


class ByPin(NamedTuple):
    """Who asks, for the record, and the PIN."""

    name: str
    pin: Annotated[str, Secret()]


class SetCapacity(NamedTuple):
    """What the circuit may carry; `phases` of null stay as they are."""

    current_ma: Annotated[Milliamps, Allowed(1, 80_000, "mA")]
    phases: int | None
    name: str
    pin: Annotated[str, Secret()]


class Right(NamedTuple):
    """By which right it was done."""

    right: str


class Cleared(NamedTuple):
    """By which right it was ordered, and the faults that are left: their cause stands, or another must clear them."""

    right: str
    faults: tuple[Fault, ...]


class CapacitySet(NamedTuple):
    """What the circuit may carry now, who set it, and whether the running box has taken it."""

    circuit_capacity_ma: Milliamps
    former_ma: Milliamps
    phases: int
    by: str
    right: str
    state: str


CHECK_PIN: Command[ByPin, Right] = Command("check_pin", ByPin, Right, "Check the PIN, and change nothing.")
SET_CAPACITY: Command[SetCapacity, CapacitySet] = Command(
    "set_capacity", SetCapacity, CapacitySet, "Set what the circuit may carry."
)
CLEAR_AS_INSTALLER: Command[ByPin, Cleared] = Command(
    "clear_as_installer", ByPin, Cleared, "Have the box clear what only the installer may acknowledge."
)
