"""What stands in the record of changes: who, when, and each kind of change, as records and as the fields of a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from evse_pi.charging.stored_fields import StoredFields, UnknownRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evse_pi.charging.clock import Clock

MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class AuditTime:
    """When something was recorded; a clock that was not known has no `unix_s`, and the machine's age tells instead."""

    unix_s: int | None
    kernel_boot_id: str
    uptime_s: int

    @classmethod
    def now(cls, clock: Clock) -> AuditTime:
        """Return the present time."""
        return cls(clock.unix_s(), clock.kernel_boot_id, clock.monotonic_ns() // 1_000_000_000)

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"unix_s": self.unix_s, "machine_boot": self.kernel_boot_id, "uptime_s": self.uptime_s}


@dataclass(frozen=True, slots=True)
class Author:
    """Who changed something, and by which right."""

    name: str
    right: str

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line; longer texts are cut."""
        return {"name": self.name[:MAX_TEXT], "right": self.right[:MAX_TEXT]}


@dataclass(frozen=True, slots=True)
class SetUp:
    """A whole installation was taken, by the names of its entries, and the choice of the board."""

    what: ClassVar = "setup"
    board: str
    installation: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"board": self.board, **self.installation}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> SetUp:
        """Return what a line tells. Raises: UnknownRecord."""
        return cls(StoredFields(told).text("board"), {name: each for name, each in told.items() if name != "board"})


@dataclass(frozen=True, slots=True)
class Restored:
    """A whole installation was taken from a backup, and the scale of the pilot where that was `calibrated`."""

    what: ClassVar = "restore"
    board: str
    calibrated: bool
    installation: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"board": self.board, "calibrated": self.calibrated, **self.installation}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Restored:
        """Return what a line tells. Raises: UnknownRecord."""
        fields = StoredFields(told)
        entries = {name: each for name, each in told.items() if name not in ("board", "calibrated")}
        return cls(fields.text("board"), fields.boolean("calibrated"), entries)


@dataclass(frozen=True, slots=True)
class CapacityChange:
    """What the circuit may carry; the phases are None where they stayed."""

    what: ClassVar = "capacity"
    from_ma: int
    to_ma: int
    from_phases: int | None = None
    to_phases: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        phases = {"from_phases": self.from_phases, "to_phases": self.to_phases} if self.to_phases else {}
        return {"from_ma": self.from_ma, "to_ma": self.to_ma, **phases}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> CapacityChange:
        """Return what a line tells. Raises: UnknownRecord."""
        fields, phases = StoredFields(told), StoredFields({"from_phases": None, "to_phases": None, **told})
        return cls(
            fields.integer("from_ma"),
            fields.integer("to_ma"),
            phases.optional_integer("from_phases"),
            phases.optional_integer("to_phases"),
        )


Scale = tuple[int, int]
"""Gain in µV per code and offset in mV."""


@dataclass(frozen=True, slots=True)
class CalibrationChange:
    """The pilot's scale was measured, with what is left over at each level in mV."""

    what: ClassVar = "calibration"
    former: Scale
    scale: Scale
    residuals_mv: Mapping[str, int]

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"from": list(self.former), "to": list(self.scale), "residuals_mv": dict(self.residuals_mv)}


@dataclass(frozen=True, slots=True)
class CalibrationDropped:
    """The scale of the board file holds again."""

    what: ClassVar = "calibration"
    scale: Scale

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"to": list(self.scale), "dropped": True}


@dataclass(frozen=True, slots=True)
class RefusedWish:
    """Something was refused, and as many refusals before it as were `folded` into this entry."""

    what: ClassVar = "refused"
    wish: str
    reason: str
    folded: int = 0

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"wish": self.wish, "reason": self.reason, **({"folded": self.folded} if self.folded else {})}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> RefusedWish:
        """Return what a line tells. Raises: UnknownRecord."""
        fields = StoredFields({"folded": 0, **told})
        return cls(fields.text("wish"), fields.text("reason"), fields.integer("folded"))


@dataclass(frozen=True, slots=True)
class Undone:
    """The change of entry number `entry` was not carried out."""

    what: ClassVar = "undone"
    entry: int
    reason: str

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return {"entry": self.entry, "reason": self.reason}

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Undone:
        """Return what a line tells. Raises: UnknownRecord."""
        return cls(StoredFields(told).integer("entry"), StoredFields(told).text("reason"))


@dataclass(frozen=True, slots=True)
class OtherChange:
    """A change that has no fields of its own, or one whose fields this version does not know."""

    what: str
    told: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return it as fields of a line."""
        return dict(self.told)


CLEAR, PIN = OtherChange("clear", {}), OtherChange("PIN", {})
Change = SetUp | Restored | CapacityChange | CalibrationChange | CalibrationDropped | RefusedWish | Undone | OtherChange


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line: its number, what was changed by whom and when, and what binds it to the line before."""

    number: int
    at: AuditTime
    author: Author
    change: Change
    former: str
    digest: str

    def fields(self) -> dict[str, Any]:
        """Return the fields of the line."""
        return {**line_of(self), "digest": self.digest}


def line_of(entry: AuditEntry) -> dict[str, Any]:
    """Return the fields over which the digest is made."""
    head = {"number": entry.number, **entry.at.fields(), **entry.author.fields(), "what": entry.change.what}
    return {**head, **entry.change.fields(), "former": entry.former}


_HEAD = ("number", "unix_s", "machine_boot", "uptime_s", "name", "right", "what", "former", "digest")


def entry_of(line: Mapping[str, Any]) -> AuditEntry:
    """Return the entry of a line. Raises: UnknownRecord where it does not say who, when and what."""
    fields = StoredFields(line)
    at = AuditTime(fields.optional_unix_s("unix_s"), fields.text("machine_boot"), fields.integer("uptime_s"))
    what, told = fields.text("what"), {name: value for name, value in line.items() if name not in _HEAD}
    author = Author(fields.text("name"), fields.text("right"))
    return AuditEntry(
        fields.integer("number"), at, author, _change(what, told), fields.text("former"), fields.text("digest")
    )


def _change(what: str, told: Mapping[str, Any]) -> Change:
    try:
        read = _READERS.get(what)
        return OtherChange(what, told) if read is None else read(told)
    except UnknownRecord:
        return OtherChange(what, told)


def _calibration(told: Mapping[str, Any]) -> CalibrationChange | CalibrationDropped:
    fields = StoredFields({"dropped": False, **told})
    if fields.boolean("dropped"):
        return CalibrationDropped(_scale(fields, "to"))
    residuals = fields.raw("residuals_mv")
    left = StoredFields(residuals)
    return CalibrationChange(
        _scale(fields, "from"), _scale(fields, "to"), {name: left.integer(name, -(1 << 31)) for name in residuals}
    )


def _scale(fields: StoredFields, name: str) -> Scale:
    values = fields.items(name)
    if len(values) != 2 or any(type(each) is not int for each in values):
        raise UnknownRecord(name)
    return values[0], values[1]


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Change]] = {
    SetUp.what: SetUp.read,
    Restored.what: Restored.read,
    CapacityChange.what: CapacityChange.read,
    CalibrationChange.what: _calibration,
    RefusedWish.what: RefusedWish.read,
    Undone.what: Undone.read,
}
