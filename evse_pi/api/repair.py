"""What can be asked about damage: what was set aside or left out, and the fabrics whose records cannot be read."""

from enum import Enum
from typing import NamedTuple

from evse_pi.api.protocol import Command


class RepairAction(Enum):
    """What is to be done. RESET_FABRICS throws out the controllers whose records are damaged, and no other."""

    SHOW = "show"
    RESET_FABRICS = "reset-fabrics"


class Repair(NamedTuple):
    """What is to be done."""

    action: RepairAction = RepairAction.SHOW


class SetAside(NamedTuple):
    """A database that was damaged, kept beside the one in use under another name."""

    file: str
    octets: int
    unix_s: int


class LeftOut(NamedTuple):
    """A stored entry that this version cannot read: where it stands, and its key there."""

    table: str
    key: str


class DamagedFabric(NamedTuple):
    """A controller's fabric by its number, and what of it cannot be read."""

    fabric: int
    problem: str


class RepairAnswer(NamedTuple):
    """What is damaged, and what stays in force until a person says otherwise."""

    set_aside: tuple[SetAside, ...]
    left_out: tuple[LeftOut, ...]
    given_up: int
    damaged_fabrics: tuple[DamagedFabric, ...]
    matter_trouble: str | None
    forbidden: str | None
    reset: tuple[int, ...] = ()


REPAIR: Command[Repair, RepairAnswer] = Command(
    "repair", Repair, RepairAnswer, "Show what is damaged, and throw out controllers whose records cannot be read."
)
