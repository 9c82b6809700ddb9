"""The installer's file, read strictly and written so that a power cut leaves the old or the new one, never half."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from boards.spec import NotFitted
from evse_pi.core.installation import Installation, InstallationError, parse_installation
from evse_pi.core.settings import BoardRatings
from hal.units import MILLISECOND, Milliamps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boards.spec import BoardSpec

INSTALLATION = Path("/etc/evse-pi/installation.toml")
INSTALLATION_MODE = 0o644  # anybody may read what the installer decided, only root may change it
SIMULATED_INSTALLATION = Installation(circuit_capacity_ma=Milliamps(32_000), phases=3, country="DE")
"""What stands in for the installer of a simulated box."""
_HEADER = "# Written by `evse-pi`; currents in mA, voltages in mV. The safety process reads this file itself.\n"


class ConfigError(ValueError):
    """A file cannot be used; `problems` has one line each, with file, key, value and what is allowed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def ratings(board: BoardSpec) -> BoardRatings:
    """Return what the state machine must know of `board`; one without a proximity contact has a fixed cable."""
    contactor = board.contactor
    return BoardRatings(
        rated_current_ma=board.rated_current_ma,
        phases=board.phases,
        contactor_pull_in_ns=contactor.pull_in_ms * MILLISECOND,
        contactor_release_ns=contactor.release_ms * MILLISECOND,
        contactor_min_off_ns=contactor.min_off_ms * MILLISECOND,
        tethered_cable_ma=None if board.proximity else board.rated_current_ma,
        mirror_fitted=contactor.mirror is not None,
        load_sense_fitted=board.voltage_sense is not None,
        rcd_fitted=not isinstance(board.rcd, NotFitted),
        lock_fitted=board.lock is not None,
        emergency_stop_fitted=board.emergency_stop is not None,
        meter_fitted=board.meter is not None,
        temperature_fitted=bool(board.temperature),
    )


def read_installation(path: Path, board: BoardRatings) -> Installation:
    """Return what the installer set in `path`, checked against `board`. Raises: ConfigError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    try:
        return parse_installation(values, board)
    except InstallationError as error:
        raise ConfigError([f"{path}: {problem}" for problem in str(error).splitlines()]) from error


def write_installation(path: Path, installation: Installation) -> None:
    """Put `installation` into `path`. Raises: OSError, and then the file is what it was."""
    lines = [f"{field.name} = {_literal(getattr(installation, field.name))}\n" for field in fields(installation)]
    write_atomically(path, (_HEADER + "".join(lines)).encode(), INSTALLATION_MODE)


def write_atomically(path: Path, content: bytes, mode: int) -> None:
    """Put `content` into `path`, durable on return. Raises: OSError, and then the file is what it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _literal(value: object) -> str:
    """Return `value` as TOML; the entries of an installation are integers, booleans and two-letter texts."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'
