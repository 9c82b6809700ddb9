"""The installer's files, read strictly and written so that a power cut leaves the old or the new one, never half."""

from __future__ import annotations

import os
import tomllib
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from boards.rules import PILOT_SPAN_MV
from boards.spec import MEASURED_PHASES, TOTALS_ONLY, MeterModel, MeterSpec, NotFitted, Parity, PilotSupplySpec
from evse_pi.core.board_ratings import BoardRatings, CoilChannels
from evse_pi.core.installation_limits import (
    BOARD_METER,
    NO_METER,
    Earthing,
    Installation,
    InstallationError,
    RcdType,
    fitted,
)
from evse_pi.core.installation_rules import problems, read_entries
from evse_pi.core.machine_settings import MachineSettings
from evse_pi.installation.seal import SealError, check_seal, read_key, sealed
from evse_pi.paths import INSTALLATION_NAME, SYSTEM_SETTINGS
from hal.linear_scale import LinearScale
from hal.units import MILLISECOND, Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from boards.spec import BoardSpec

INSTALLATION = SYSTEM_SETTINGS / INSTALLATION_NAME
INSTALLATION_MODE = 0o644  # every user may read what the installer decided, only root may change it
CALIBRATION_FILE = "calibration.toml"
SIMULATED_INSTALLATION = Installation(
    circuit_capacity_ma=Milliamps(32_000),
    phases=3,
    country="DE",
    rcd_type=RcdType.B.value,
    earthing=Earthing.TN.value,
)
"""What stands in for the installer of a simulated box."""
MAX_CORRECTION_MV = 1_500
"""How far a calibration may move what a board file says, anywhere on the pilot: two states are 3 V apart."""
_HEADER = "# Written by `evse-pi`; currents in mA, voltages in mV. The safety process reads this file itself.\n"


class ConfigError(ValueError):
    """A file cannot be used; `problems` has one line each, with file, key, value and what is allowed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def ratings(board: BoardSpec) -> BoardRatings:
    """Return what the state machine must know of `board`; one without a proximity contact has a fixed cable."""
    contactor, supply, couplers, load = board.contactor, board.pilot_supply, board.voltage_sense, board.load_sense
    sees = None if isinstance(board.rcd, NotFitted) else board.rcd.detects
    return BoardRatings(
        rated_current_ma=board.rated_current_ma,
        phases=board.phases,
        contactor_pull_in_ns=contactor.pull_in_ms * MILLISECOND,
        contactor_release_ns=contactor.release_ms * MILLISECOND,
        contactor_min_off_ns=contactor.min_off_ms * MILLISECOND,
        tethered_cable_ma=None if board.proximity else board.rated_current_ma,
        mirror_fitted=contactor.mirror is not None,
        load_sense_fitted=couplers is not None or load is not None,
        load_phases=len(load.phases) if load else 0,
        load_hold_ns=couplers.hold_ms * MILLISECOND if couplers else 0,
        rcd_fitted=not isinstance(board.rcd, NotFitted),
        lock_fitted=board.lock is not None,
        emergency_stop_fitted=board.emergency_stop is not None,
        meter_fitted=board.meter is not None,
        temperature_fitted=bool(board.temperature),
        pilot_supply_mv=supply.window_mv if isinstance(supply, PilotSupplySpec) else None,
        bench_only=board.bench_only,
        coil_channels=_coil_channels(board),
        weld_output_fitted=board.weld_output is not None,
        open_within_ns=board.open_within_ms * MILLISECOND,
        late_limit_ns=board.late_limit_ms * MILLISECOND,
        rcd_dc_ma=(sees.dc_ma or None) if sees else None,
        rcd_ac_ma=(sees.ac_ma or None) if sees else None,
        north_american=board.north_america is not None,
    )


def _coil_channels(board: BoardSpec) -> CoilChannels | None:
    """Return what proves the two switches of the coil; a board without a gate has but one."""
    gate, node = board.watchdog, board.coil_node
    if isinstance(gate, NotFitted):
        return None
    return CoilChannels(
        hold_min_ns=gate.hold_min_ms * MILLISECOND,
        hold_max_ns=gate.hold_max_ms * MILLISECOND,
        arm_ns=gate.arm_ms * MILLISECOND,
        supply_mv=node.window_mv if node else None,
    )


def read_installation(path: Path, board: BoardRatings) -> Installation:
    """Return what the installer set in `path`, checked against `board`; its seal is for the safety process.

    Raises: ConfigError.
    """
    return _installation(path, _content(path), board)


def read_proven(path: Path, board: BoardSpec) -> tuple[MachineSettings, LinearScale]:
    """Return what the safety process works with, all of it as the installer sealed it.

    Raises: ConfigError. Hazard: H-17 wrong board or installation data.
    """
    rated, content = ratings(board), _content(path)
    _prove(path, content)
    installation = _installation(path, content, rated)
    machine = MachineSettings(fitted(rated, installation, board_meter=board.meter is not None), installation)
    return machine, read_calibration(path.with_name(CALIBRATION_FILE), board) or board.pilot_adc.scale


def meter_of(board: BoardSpec, installation: Installation) -> MeterSpec | None:
    """Return the meter that is fitted, the board's own where the installer named none."""
    if installation.meter_model == BOARD_METER:
        own = board.meter
        turned = own is not None and own.current_inverted is not installation.meter_inverted
        return own and replace(own, current_inverted=turned, neutral=installation.neutral)
    if installation.meter_model == NO_METER:
        return None
    model, port, unit, baud, parity, inverted, neutral = installation.meter
    return MeterSpec(MeterModel(model), port, unit, baud, Parity(parity), inverted, neutral)


def meter_tells_totals_only(board: BoardSpec, installation: Installation) -> bool:
    """Return whether the meter that is fitted tells no voltage and no current."""
    meter = meter_of(board, installation)
    return meter is not None and meter.model in TOTALS_ONLY


def check_house(installation: Installation, board: BoardRatings) -> None:
    """Find out whether an installation may be used: all that core checks, and that its meter fits.

    Raises: InstallationError for the first problem.
    """
    for problem in house_problems(installation, board):
        raise problem


def house_problems(installation: Installation, board: BoardRatings) -> Iterator[InstallationError]:
    """Yield everything that keeps an installation from being used, as `check_house`."""
    yield from problems(installation, board)
    models = (BOARD_METER, NO_METER, *(model.value for model in MeterModel))
    if installation.meter_model not in models:
        problem = f"{installation.meter_model!r} is not allowed; one of {', '.join(models)}"
        yield InstallationError("meter_model", problem.replace("{", "{{").replace("}", "}}"))
    elif installation.meter_model not in (BOARD_METER, NO_METER):
        yield from _phases_of_meter(installation)


def _phases_of_meter(installation: Installation) -> Iterator[InstallationError]:
    """Refuse a meter that neither watches nor counts a phase of the circuit."""
    measured, phases = MEASURED_PHASES[MeterModel(installation.meter_model)], installation.phases
    if measured < phases:
        fit = ", ".join(model.value for model, seen in MEASURED_PHASES.items() if seen >= phases)
        problem = (
            f"{installation.meter_model!r} is not allowed on {{}} phases, of which it would watch and count "
            f"{measured}; one of {fit}, {NO_METER}"
        )
        yield InstallationError("meter_model", problem, phases)


def equipped(board: BoardSpec, path: Path) -> BoardSpec:
    """Return `board` with the meter that the installer fitted; as it is while the installer's file cannot be used."""
    try:
        return replace(board, meter=meter_of(board, read_installation(path, ratings(board))))
    except ConfigError:
        return board


def write_installation(path: Path, installation: Installation, key: bytes | None = None, note: str = "") -> None:
    """Put `installation` into `path`, sealed with `key`; `note` is one line of comment.

    Raises: OSError, and then the file is what it was.
    """
    lines = [f"{field.name} = {_literal(getattr(installation, field.name))}\n" for field in fields(installation)]
    write_atomically(path, sealed((_head(note) + "".join(lines)).encode(), key), INSTALLATION_MODE)


def read_calibration(path: Path, board: BoardSpec) -> LinearScale | None:
    """Return the measured scale of the pilot's input, None when this box was never calibrated. Raises: ConfigError."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError([f"{path}: {error}"]) from error
    _prove(path, content)
    return parse_calibration(path, content, board)


def parse_calibration(path: Path, content: bytes, board: BoardSpec) -> LinearScale:
    """Return the scale in the `content` of `path`, sealed or not. Raises: ConfigError."""
    values = _table(path, content)
    if set(values) != {"board", "gain_uv_per_code", "offset_mv"} or values["board"] != board.name:
        raise ConfigError([f"{path}: {values} is not allowed; board = {board.name!r}, gain_uv_per_code and offset_mv"])
    gain, offset = values["gain_uv_per_code"], values["offset_mv"]
    if type(gain) is not int or type(offset) is not int or gain == 0:
        raise ConfigError(
            [f"{path}: gain_uv_per_code {gain!r}, offset_mv {offset!r}: must be whole numbers, no gain 0"]
        )
    scale = LinearScale(gain, Millivolts(offset))
    problem = scale_problem(scale, board)
    if problem:
        raise ConfigError([f"{path}: {problem}"])
    return scale


def write_calibration(path: Path, board: BoardSpec, scale: LinearScale, key: bytes | None, note: str = "") -> None:
    """Put `scale` into `path`, as `write_installation`. Raises: OSError, and then the file is what it was."""
    entries = (("board", board.name), ("gain_uv_per_code", scale.gain_uv_per_code), ("offset_mv", scale.offset_mv))
    lines = "".join(f"{name} = {_literal(value)}\n" for name, value in entries)
    write_atomically(path, sealed((_head(note) + lines).encode(), key), INSTALLATION_MODE)


def scale_problem(scale: LinearScale, board: BoardSpec) -> str | None:
    """Return why `scale` cannot be that of this board's pilot input, with numbers; None when it can."""
    nominal, top = board.pilot_adc.scale, board.pilot_adc.chip.full_scale
    for level_mv in (-12_000, 0, 12_000):
        moved_mv = scale.millivolts(nominal.code(level_mv)) - level_mv
        if abs(moved_mv) > MAX_CORRECTION_MV:
            return f"moves {level_mv} mV by {moved_mv} mV; at most {MAX_CORRECTION_MV} mV either way"
    ends = sorted((scale.millivolts(0), scale.millivolts(top)))
    if ends[0] > -PILOT_SPAN_MV or ends[1] < PILOT_SPAN_MV:
        return f"sees {ends[0]} to {ends[1]} mV; must see at least {-PILOT_SPAN_MV} to {PILOT_SPAN_MV} mV"
    return None


def _head(note: str) -> str:
    return _HEADER + (f"# {note}\n" if note else "")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: {error}"]) from error


def _prove(path: Path, content: bytes) -> None:
    try:
        check_seal(content, read_key(path.parent))
    except (OSError, SealError) as error:
        raise ConfigError([f"{path}: {error}"]) from error


def _table(path: Path, content: bytes) -> Mapping[str, object]:
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from error


def _installation(path: Path, content: bytes, board: BoardRatings) -> Installation:
    installation, found = read_entries(_table(path, content))
    if installation is not None:
        found = list(house_problems(installation, board))
    if found or installation is None:
        raise ConfigError([f"{path}: {problem}" for problem in found])
    return installation


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
    """Return `value` as TOML; the entries are integers, booleans and texts without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'
