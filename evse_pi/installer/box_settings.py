"""Where installers change a box: who they are is asked, what they change is checked, recorded, sealed and written."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from evse_pi.api.refusal import Allowed, AtFault
from evse_pi.api.texts.catalogue import tr
from evse_pi.clearance import make_clearance
from evse_pi.core.installation_limits import InstallationError
from evse_pi.installation.board_choice import BOARD_VARIABLE, ENVIRONMENT_FILE, chosen_board
from evse_pi.installation.files import (
    CALIBRATION_FILE,
    INSTALLATION,
    ConfigError,
    check_house,
    ratings,
    read_calibration,
    read_installation,
    read_proven,
    write_atomically,
    write_calibration,
    write_installation,
)
from evse_pi.installation.seal import SealError, make_key, read_key
from evse_pi.installer.audit import AUDIT_FILE, AuditLog, AuditRef, append, read_trail
from evse_pi.installer.audit_entries import (
    CLEAR,
    PIN,
    Author,
    CalibrationChange,
    CalibrationDropped,
    CapacityChange,
    RefusedWish,
    Restored,
    SetUp,
    Undone,
)
from evse_pi.installer.pin import Pin, PinError, PinTooEarlyError
from evse_pi.installer.refusals import REFUSALS_FILE, fold

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from boards.spec import BoardSpec
    from evse_pi.charging.clock import Clock
    from evse_pi.clearance import Clearance
    from evse_pi.core.installation_limits import Installation
    from evse_pi.installer.audit_entries import Change
    from evse_pi.installer.calibration import Result
    from hal.linear_scale import LinearScale
    from hal.units import Milliamps

SAFETY_USER = "evse-safety"  # as in systemd/evse-pi.sysusers.conf
FOLDER_MODE = 0o755


class ChangeRefused(Exception):  # noqa: N818 (it is an answer)
    """The installer's wish is not carried out; the text says who or what limits it, `at` which field is at fault."""

    def __init__(self, text: str, at: AtFault | None = None) -> None:
        super().__init__(text)
        self.at = at


class TooEarly(ChangeRefused):
    """The PIN was not even compared: an attempt that tells nothing, and is not put on record."""


@dataclass(frozen=True, slots=True)
class Who:
    """Whose change it is, and by which right: root, owner (of a box of one's own) or PIN."""

    name: str
    right: str


class BoxSettings:
    """The installer's files of one box, all in `folder`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.installation_file = folder / INSTALLATION.name
        self.pin = Pin(folder, clock)
        self._clock = clock

    # Who asks.

    def right_of(self, uid: int, pin: str | None = None) -> str:
        """Return by which right `uid` may act as installer; a PIN that is given must be right, also root's.

        Raises: Refused, OSError.
        """
        if pin is not None:
            try:
                self.pin.verify(pin)
            except PinTooEarlyError as error:
                raise TooEarly(str(error)) from error
            except PinError as error:
                raise ChangeRefused(str(error)) from error
            return "PIN"
        if uid == 0:
            return "root"
        if self.folder.is_dir() and uid == self.folder.stat().st_uid:
            return "owner"
        raise ChangeRefused(tr("only the installer may do this: use sudo, or give the installer PIN"))

    def note_refusal(self, who: Who, wish: str, reason: str) -> None:
        """Put a refusal on record; many in an hour are one entry with their number."""
        with suppress(OSError):
            folded = fold(self.folder / REFUSALS_FILE, self._clock)
            if folded is not None:
                self._record(who, RefusedWish(wish, reason, folded))

    # What is so.

    def board_name(self) -> str | None:
        """Return the board that was chosen for this box."""
        return chosen_board(self.folder / ENVIRONMENT_FILE)

    def installation(self, board: BoardSpec) -> Installation:
        """Return what is set. Raises: Refused when nothing is, or what is there cannot be used."""
        self._ask_for_setup()
        try:
            return read_installation(self.installation_file, ratings(board))
        except ConfigError as error:
            raise ChangeRefused(tr("{error}; set it up with: evse-pi setup").format(error=error)) from error

    def seal_state(self, board: BoardSpec) -> str:
        """Return in a few words whether what is set is as it was sealed."""
        try:
            key = read_key(self.folder)
            read_proven(self.installation_file, board)
        except PermissionError:
            return tr("not checked: only root may read the key")
        except (OSError, ValueError) as error:
            return f"BROKEN: {error}"
        return "intact" if key else tr("not sealed: there was no setup")

    def calibration(self, board: BoardSpec) -> LinearScale | None:
        """Return the scale that was measured on this box, None for the board file's. Raises: Refused."""
        try:
            return read_calibration(self.folder / CALIBRATION_FILE, board)
        except ConfigError as error:
            if isinstance(error.__cause__, PermissionError):
                raise ChangeRefused(tr("only root may read the key of the calibration; use sudo")) from error
            raise ChangeRefused(str(error)) from error

    def trail(self) -> AuditLog:
        """Return the record of changes, compared with the marks in the sealed files. Raises: OSError."""
        marks = [self._mark_in(self.installation_file), self._mark_in(self.folder / CALIBRATION_FILE)]
        return read_trail(self.folder / AUDIT_FILE, [mark for mark in marks if mark is not None])

    def clearances(self, who: Who) -> Callable[[], Clearance | None]:
        """Put on record that `who` orders a clear, and return what proves each try of it; None for a box without a key.

        A proof is good for one order, and an order for one tick of the safety process: who tries again proves it again.
        Raises: Refused when the key cannot be read, OSError. Hazard: H-03, H-14.
        """
        try:
            key = read_key(self.folder)
        except (PermissionError, SealError) as error:
            raise ChangeRefused(
                tr("the order cannot be proven: {error}; use sudo, or give the installer PIN").format(error=error)
            ) from error
        if key is None:
            return lambda: None
        self._record(who, CLEAR)
        return lambda: make_clearance(key, self._clock.kernel_boot_id, self._clock.monotonic_ns())

    # What is changed.

    def set_up(self, board: BoardSpec, installation: Installation, who: Who) -> None:
        """Take a whole installation, and the choice of the board. Raises: Refused, OSError; then nothing changed."""
        self._check(installation, board)
        self.folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        key = make_key(self.folder, safety_uid(self.folder))
        self._calibration_survives(board)

        def write(mark: AuditRef) -> None:
            self._choose_board(board.name)
            write_installation(self.installation_file, installation, key, str(mark))

        self._change(who, SetUp(board.name, _values(installation)), write)

    def set_capacity(self, board: BoardSpec, capacity_ma: Milliamps, phases: int | None, who: Who) -> Installation:
        """Take a circuit capacity, and the number of phases where it is given; return what is set now.

        Raises: Refused, naming who limits it, OSError; then nothing changed. Hazard: H-04 overload of the circuit.
        """
        self._ask_for_setup()
        try:
            former = read_proven(self.installation_file, board)[0].installation
        except ConfigError as error:
            raise ChangeRefused(tr("{error}; set it up with: evse-pi setup").format(error=error)) from error
        wanted = replace(former, circuit_capacity_ma=capacity_ma, phases=phases or former.phases)
        self._check(wanted, board)
        key = read_key(self.folder)
        phases_changed = (former.phases, wanted.phases) if wanted.phases != former.phases else (None, None)
        change = CapacityChange(former.circuit_capacity_ma, capacity_ma, *phases_changed)
        file = self.installation_file
        self._change(who, change, lambda mark: write_installation(file, wanted, key, str(mark)))
        return wanted

    def set_calibration(self, board: BoardSpec, result: Result, who: Who) -> None:
        """Take the measured scale of the pilot's input. Raises: OSError; then nothing changed."""
        key, scale = read_key(self.folder), result.scale
        former = self.calibration(board) or board.pilot_adc.scale
        change = CalibrationChange(
            (former.gain_uv_per_code, former.offset_mv),
            (scale.gain_uv_per_code, scale.offset_mv),
            dict(result.residuals_mv),
        )
        file = self.folder / CALIBRATION_FILE
        self._change(who, change, lambda mark: write_calibration(file, board, scale, key, str(mark)))

    def drop_calibration(self, board: BoardSpec, who: Who) -> None:
        """Go back to the scale of the board file. Raises: OSError; then nothing changed."""
        scale = board.pilot_adc.scale
        change = CalibrationDropped((scale.gain_uv_per_code, scale.offset_mv))
        file = self.folder / CALIBRATION_FILE
        self._change(who, change, lambda _: file.unlink(missing_ok=True))

    def take_restored(
        self, board: BoardSpec, installation: Installation, scale: LinearScale | None, who: Who, reader_uid: int | None
    ) -> None:
        """Take what a backup says, sealed with the key in this folder, which is made where it lacks.

        Raises: ChangeRefused, OSError.
        """
        self._check(installation, board)
        key = make_key(self.folder, reader_uid)

        def write(mark: AuditRef) -> None:
            self._choose_board(board.name)
            write_installation(self.installation_file, installation, key, str(mark))
            if scale is not None:
                write_calibration(self.folder / CALIBRATION_FILE, board, scale, key, str(mark))

        self._change(who, Restored(board.name, scale is not None, _values(installation)), write)

    def choose_pin(self, pin: str, who: Who) -> None:
        """Take a new PIN. Raises: Refused, OSError; then nothing changed."""
        try:
            self.pin.choose(pin)
        except PinError as error:
            raise ChangeRefused(str(error)) from error
        self._record(who, PIN)

    def _ask_for_setup(self) -> None:
        """Find out whether there was a setup. Raises: Refused."""
        if not self.installation_file.exists():
            raise ChangeRefused(
                tr("{folder}: this box was not set up yet; set it up with: evse-pi setup").format(folder=self.folder)
            )

    def _check(self, installation: Installation, board: BoardSpec) -> None:
        try:
            check_house(installation, ratings(board))
        except InstallationError as error:
            raise ChangeRefused(str(error), _at_fault(error)) from error

    def _calibration_survives(self, board: BoardSpec) -> None:
        """Take away a calibration that is another board's: its numbers mean nothing here."""
        file = self.folder / CALIBRATION_FILE
        try:
            read_calibration(file, board)
        except ConfigError:
            file.unlink(missing_ok=True)

    def _choose_board(self, name: str) -> None:
        file = self.folder / ENVIRONMENT_FILE
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        kept = [line for line in lines if not line.startswith(f"{BOARD_VARIABLE}=")]
        write_atomically(file, "".join(f"{line}\n" for line in (*kept, f"{BOARD_VARIABLE}={name}")).encode(), 0o644)

    def _change(self, who: Who, change: Change, write: Callable[[AuditRef], None]) -> None:
        """Record a change and carry it out; one that the disk refuses is recorded as undone."""
        mark = self._record(who, change)
        try:
            write(mark)
        except OSError as error:
            with suppress(OSError):
                self._record(who, Undone(mark.number, str(error)))
            raise

    def _record(self, who: Who, change: Change) -> AuditRef:
        return append(self.folder / AUDIT_FILE, self._clock, Author(who.name, who.right), change)

    def _mark_in(self, file: Path) -> AuditRef | None:
        try:
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        marks = [AuditRef.of(line.removeprefix("# ")) for line in lines if line.startswith("# ")]
        return next((mark for mark in marks if mark is not None), None)


def safety_uid(folder: Path) -> int | None:
    """Return whom the key must be given to, where root sets up a box whose safety process is another user's."""
    if os.geteuid() != 0 or folder != INSTALLATION.parent:
        return None
    try:
        return pwd.getpwnam(SAFETY_USER).pw_uid
    except KeyError:
        return None


def _values(installation: Installation) -> dict[str, Any]:
    return {field.name: getattr(installation, field.name) for field in fields(installation)}


def _at_fault(error: InstallationError) -> AtFault:
    value = error.values[0] if error.values else None
    return AtFault(error.entry, value, Allowed(error.lowest, error.highest))
