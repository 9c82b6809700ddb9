"""From a board file to a BoardSpec, or to one BoardError that names every problem of the file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from boards.rules import check
from boards.section import Section
from boards.spec import (
    BoardSpec,
    CoilNodeSpec,
    ContactorFailSafe,
    ContactorSpec,
    ConverterInput,
    CouplerSense,
    EconomiserSpec,
    HardwareWindow,
    InputPin,
    LoadSenseSpec,
    LockSpec,
    MeterModel,
    MeterSpec,
    NorthAmericaSpec,
    NotFitted,
    OutputPin,
    Parity,
    PilotAdcSpec,
    PilotPwmSpec,
    PilotSupplySpec,
    ProvenBy,
    ProximitySpec,
    RcdSpec,
    ResidualCurrents,
    TemperatureChip,
    TemperatureSpec,
    WatchdogSpec,
    WeldOutputSpec,
)
from hal.gpio import Pull
from hal.linear_scale import LinearScale
from hal.mcp3xxx import AdcChip
from hal.units import Milliamps, Millivolts, Ohms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

SHIPPED = Path(__file__).parent
INTEGRATOR = Path("/etc/evse-pi/boards")
REASON_LENGTH = 20
"""Characters below which a reason or a fail-safe note says nothing."""


class BoardError(ValueError):
    """A board file cannot be used; `problems` has one line each, with file, key, value and what is allowed."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def board_files(own: Path = INTEGRATOR, shipped: Path = SHIPPED) -> dict[str, Path]:
    """Return every board's file by name, the integrator's own beside the shipped ones.

    Raises: BoardError when a name stands in both folders, because then it would be unclear which one is meant.
    """
    found = {path.stem: path for path in sorted(shipped.glob("*.toml"))}
    problems = []
    for path in sorted(own.glob("*.toml")):
        if path.stem in found:
            problems.append(f"{path}: {path.stem!r} is the name of the shipped {found[path.stem]}; rename the file")
        found[path.stem] = path
    if problems:
        raise BoardError(problems)
    return found


def load_board(name: str, own: Path = INTEGRATOR, shipped: Path = SHIPPED) -> BoardSpec:
    """Return the board called `name`. Raises: BoardError."""
    files = board_files(own, shipped)
    if name not in files:
        raise BoardError([f"board {name!r} is unknown; allowed: {', '.join(sorted(files))} (from {shipped}, {own})"])
    return read_board(files[name])


def choose_board(choice: str) -> BoardSpec:
    """Return the board of a file, where `choice` ends in .toml, else the one of that name. Raises: BoardError."""
    return read_board(Path(choice)) if choice.endswith(".toml") else load_board(choice)


def read_board(path: Path) -> BoardSpec:
    """Return the board of one file. Raises: BoardError with all problems at once."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BoardError([f"{path}: {error}"]) from error
    return parse_board(table, path.stem, str(path))


def parse_board(table: dict[str, object], name: str, file: str) -> BoardSpec:
    """Return the board that `table` describes. Raises: BoardError with all problems at once."""
    problems: list[str] = []
    root = Section(f"{file}: ", table, problems)
    spec = read_spec(root, name)
    root.finish()
    if not problems:  # the rules compare values, so they need values that are right in themselves
        problems.extend(f"{file}: {problem}" for problem in check(spec))
    if problems:
        raise BoardError(problems)
    return spec


def read_spec(root: Section, name: str) -> BoardSpec:
    """Return the board that `root` describes; what is wrong with it is noted there."""
    board = root.table("board")
    spec = BoardSpec(
        name=name,
        title=board.text("title", at_least=3),
        phases=board.integer("phases", 1, 3),
        board_current_ma=Milliamps(board.integer("rated_current_ma", 6_000, 80_000)),
        fail_safe=_required(root, "fail_safe", _fail_safe),
        pilot_adc=_required(root, "pilot_adc", _pilot_adc),
        pilot_pwm=_required(root, "pilot_pwm", _pilot_pwm),
        contactor=_required(root, "contactor", _contactor),
        watchdog=_required(root, "watchdog", _watchdog),
        rcd=_required(root, "rcd", _rcd),
        voltage_sense=_optional(root, "voltage_sense", _coupler_sense),
        proximity=_optional(root, "proximity", _proximity),
        lock=_optional(root, "lock", _lock),
        emergency_stop=_optional(root, "emergency_stop", _input),
        status_led=_optional(root, "status_led", _output),
        temperature=tuple(_finished(section, _temperature) for section in root.tables("temperature")),
        meter=_optional(root, "meter", _meter),
        pilot_supply=_optional(root, "pilot_supply", _pilot_supply),
        weld_output=_optional(root, "weld_output", _weld_output),
        north_america=_optional(root, "north_america", _north_america),
        load_sense=_optional(root, "load_sense", _load_sense),
        coil_node=_optional(root, "coil_node", _coil_node),
    )
    board.finish()
    return spec


def _finished(section: Section, read: Callable[[Section], T]) -> T:
    value = read(section)
    section.finish()
    return value


def _required(root: Section, key: str, read: Callable[[Section], T]) -> T:
    return _finished(root.table(key), read)


def _optional(root: Section, key: str, read: Callable[[Section], T]) -> T | None:
    return _required(root, key, read) if root.has(key) else None


def _fail_safe(section: Section) -> ContactorFailSafe:
    def note(key: str) -> str:
        return section.text(key, at_least=REASON_LENGTH)

    return ContactorFailSafe(note("boot"), note("process_dies"), note("process_hangs"), note("power_lost"))


def _input(section: Section) -> InputPin:
    return InputPin(section.pin("pin"), section.flag("active_high"), section.choice("pull", Pull))


def _output(section: Section) -> OutputPin:
    return OutputPin(section.pin("pin"), section.flag("active_high"))


def _coupler_sense(section: Section) -> CouplerSense:
    return CouplerSense(_input(section), section.integer("hold_ms", 0, 500, default=100))


def _load_sense(section: Section) -> LoadSenseSpec:
    phases = [_required(section, "l1", _mains_input)]
    phases += [_required(section, key, _mains_input) for key in ("l2", "l3") if section.has(key)]
    return LoadSenseSpec(tuple(phases))


def _mains_input(section: Section) -> ConverterInput:
    return ConverterInput(section.integer("channel", 0, 7), _scale(section, 1_000_000, 1_000_000))


def _scale(section: Section, gain_uv: int = 100_000, offset_mv: int = 40_000) -> LinearScale:
    gain = section.integer("gain_uv_per_code", -gain_uv, gain_uv)
    if gain == 0:
        section.problem("gain_uv_per_code", "= 0 is refused; every code would mean the same voltage")
    return LinearScale(gain or 1, Millivolts(section.integer("offset_mv", -offset_mv, offset_mv)))


def _pilot_adc(section: Section) -> PilotAdcSpec:
    return PilotAdcSpec(
        chip=section.choice("chip", AdcChip),
        bus=section.integer("bus", 0, 6),
        device=section.integer("device", 0, 2),
        channel=section.integer("channel", 0, 7),
        speed_hz=section.integer("speed_hz", 500_000, 3_600_000),
        scale=_scale(section),
    )


def _pilot_supply(section: Section) -> PilotSupplySpec | HardwareWindow:
    if section.has("hardware_window"):
        return HardwareWindow(section.text("hardware_window", at_least=REASON_LENGTH))
    return PilotSupplySpec(
        positive=_required(section, "positive", _converter_input),
        negative=_required(section, "negative", _converter_input),
        window_mv=_supply_window(section),
    )


def _converter_input(section: Section) -> ConverterInput:
    return ConverterInput(section.integer("channel", 0, 7), _scale(section))


def _coil_node(section: Section) -> CoilNodeSpec:
    return CoilNodeSpec(
        channel=section.integer("channel", 0, 7),
        scale=_scale(section),
        supply_mv=Millivolts(section.integer("supply_mv", 10_000, 30_000)),
    )


def _supply_window(section: Section) -> tuple[Millivolts, Millivolts]:
    """Return how far from 0 V the rails must read.

    A window may be narrower than SUPPLY_WINDOW_MV, never wider: 0.1 V below, a vehicle in B reads as one in C.
    """
    low, high = SUPPLY_WINDOW_MV
    narrowest = 200
    value = section.integers("window_mv", 2, low, high, default=SUPPLY_WINDOW_MV)
    if value[1] - value[0] < narrowest:
        section.problem("window_mv", f"= {list(value)} is refused; the second must be {narrowest} above the first")
    return Millivolts(value[0]), Millivolts(value[1])


SUPPLY_WINDOW_MV = (11_500, 12_500)
"""As read, with 0.12 V of error: B of 1870 ohms behind 1030 ohms reads as C below 11.37 V, error of the pilot included.

Source: docs/boards/reference.md.
"""


def _pilot_pwm(section: Section) -> PilotPwmSpec:
    return PilotPwmSpec(section.pin("pin"), section.flag("inverted"))


def _contactor(section: Section) -> ContactorSpec:
    reason = section.text("pin_reason", at_least=REASON_LENGTH, default="")
    spec = ContactorSpec(
        pin=section.pin("pin"),
        pull_in_ms=section.integer("pull_in_ms", 1, 500),
        release_ms=section.integer("release_ms", 1, 100),
        min_off_ms=section.integer("min_off_ms", 5_000, 600_000),
        rated_current_ma=Milliamps(section.integer("rated_current_ma", 6_000, 125_000)),
        mirror=_optional(section, "mirror", _input),
        economiser=_optional(section, "economiser", _economiser),
        channel_proof=section.choice("channel_proof", ProvenBy, default=ProvenBy.NOTHING),
    )
    _check_low_at_start(section, spec.pin, reason)
    return spec


def _weld_output(section: Section) -> WeldOutputSpec:
    reason = section.text("pin_reason", at_least=REASON_LENGTH, default="")
    spec = WeldOutputSpec(
        section.pin("pin"), section.flag("active_high", default=True), _optional(section, "readback", _input)
    )
    if spec.active_high:
        _check_low_at_start(section, spec.pin, reason)
    return spec


def _check_low_at_start(section: Section, pin: int, reason: str) -> None:
    why = HIGH_AT_START.get(pin)
    if why and not reason:
        section.problem("pin", f"= {pin} is refused: {why}; must be one of {LOW_AT_START}, or give pin_reason")


HIGH_AT_START = {
    **dict.fromkeys(range(9), "the SoC pulls GPIO 0..8 up until the kernel runs"),
    2: "GPIO 2 is I2C data, with 1.8 kΩ to 3.3 V",
    3: "GPIO 3 is the I2C clock, with 1.8 kΩ to 3.3 V",
    14: "GPIO 14 is the UART, idle high",
    15: "GPIO 15 is the UART, idle high",
}
"""Source: BCM2835 ARM Peripherals, table of alternative functions (pull at reset); Raspberry Pi schematics."""
LOW_AT_START = ", ".join(str(pin) for pin in range(28) if pin not in HIGH_AT_START)


def _economiser(section: Section) -> EconomiserSpec:
    """Return the second output, whose pin has no excuse: while the Pi starts, it alone can pull the contactor in."""
    spec = EconomiserSpec(section.pin("boost_pin"), section.integer("boost_ms", 20, 2_000))
    if why := HIGH_AT_START.get(spec.boost_pin):
        section.problem("boost_pin", f"= {spec.boost_pin} is refused: {why}; must be one of {LOW_AT_START}")
    return spec


def _not_fitted(section: Section) -> NotFitted:
    return NotFitted(section.text("not_fitted", at_least=REASON_LENGTH))


def _watchdog(section: Section) -> WatchdogSpec | NotFitted:
    if section.has("not_fitted"):
        return _not_fitted(section)
    return WatchdogSpec(
        pin=section.pin("pin"),
        hold_min_ms=section.integer("hold_min_ms", 30, 10_000),
        hold_max_ms=section.integer("hold_max_ms", 30, 10_000),
        arm_ms=section.integer("arm_ms", 1, 100),
        bench_only=section.text("bench_only", at_least=REASON_LENGTH) if section.has("bench_only") else None,
        rearms_by_itself=section.flag("rearms_by_itself"),
    )


def _rcd(section: Section) -> RcdSpec | NotFitted:
    if section.has("not_fitted"):
        return _not_fitted(section)
    return RcdSpec(
        detects=_required(section, "detects", _residual_currents),
        trip=_required(section, "trip", _input),
        test=_required(section, "test", _output),
        test_hz=section.integer("test_hz", 0, 1_000, default=0),
        reset=_optional(section, "reset", _output),
        reset_ms=section.integer("reset_ms", 1, 1_000, default=20),
    )


def _residual_currents(section: Section) -> ResidualCurrents:
    """Return what a device sees; one that trips later than the norms below protects from nothing that they name.

    Source: IEC 62955 (6 mA of smooth DC), IEC 61008-1 (30 mA AC).
    """
    return ResidualCurrents(
        dc_ma=Milliamps(section.integer("dc_ma", 0, 6)),
        ac_ma=Milliamps(section.integer("ac_ma", 0, 30)),
        standard=section.text("standard", at_least=3),
    )


def _north_america(section: Section) -> NorthAmericaSpec:
    """Return what a board for North America says of itself. Source: UL 2231, NEC article 625."""
    return NorthAmericaSpec(
        ccid_ma=Milliamps(section.integer("ccid_ma", 20, 20)),
        ground_monitor=section.text("ground_monitor", at_least=REASON_LENGTH),
        frequency_hz=section.integer("frequency_hz", 60, 60),
        load_sense_poles=section.integer("load_sense_poles", 2, 2),
    )


def _proximity(section: Section) -> ProximitySpec:
    return ProximitySpec(
        channel=section.integer("channel", 0, 7),
        scale=_scale(section),
        supply_mv=Millivolts(section.integer("supply_mv", 1_000, 12_600)),
        pull_up_ohms=Ohms(section.integer("pull_up_ohms", 100, 10_000)),
    )


def _lock(section: Section) -> LockSpec:
    return LockSpec(
        lock_pin=section.pin("lock_pin"),
        unlock_pin=section.pin("unlock_pin"),
        feedback=_required(section, "feedback", _input),
        drive_ms=section.integer("drive_ms", 100, 1_000),
    )


def _temperature(section: Section) -> TemperatureSpec:
    return TemperatureSpec(
        chip=section.choice("chip", TemperatureChip),
        bus=section.integer("bus", 0, 22),
        address=section.integer("address", 0x08, 0x77),
        place=section.text("place", at_least=3),
    )


def _meter(section: Section) -> MeterSpec:
    return MeterSpec(
        model=section.choice("model", MeterModel),
        port=section.text("port", at_least=5),
        unit=section.integer("unit", 1, 247),
        baud=section.integer("baud", 1_200, 115_200),
        parity=section.choice("parity", Parity),
        current_inverted=section.flag("current_inverted", default=False),
    )
