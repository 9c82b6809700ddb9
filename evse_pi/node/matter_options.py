"""How the box shall appear as a Matter device; kept apart from what does it, which takes its time to load."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boards.build_field import FieldHardware
    from boards.spec import BoardSpec
    from evse_pi.device.equipment import Equipment

MATTER_PORT = 5540
FEATURES = ("pref", "soc", "pnc", "rfid", "v2x")
ENABLE_KEY_BYTES = 16
MAX_DISCRIMINATOR = 0xFFF


@dataclass(frozen=True, slots=True)
class MatterOptions:
    """What may be chosen; without `discriminator` and `passcode` the device makes its own at its first start.

    `simulator` is the control socket of the plant that test event triggers act on; they need `enable_key` as well.
    """

    port: int = MATTER_PORT
    interfaces: tuple[str, ...] = ()
    discriminator: int | None = None
    passcode: int | None = None
    enable_key: bytes | None = None
    simulator: Path | None = None
    features: tuple[str, ...] = ()


def equipment_of(board: BoardSpec, hardware: FieldHardware) -> Equipment:
    """Return what the box has: of the board, and of the devices that the installation left it."""
    # Here alone: a command line that only checks its options must not load the device.
    from evse_pi.device.equipment import Equipment

    meter = board.meter if hardware.meter is not None else None
    return Equipment(
        status_led=board.status_led is not None,
        temperature=bool(hardware.thermometers),
        meter_model=None if meter is None else meter.model.value,
    )


class OptionError(ValueError):
    """An option says what is not allowed; the text names it."""


def check(arguments: Sequence[str]) -> None:
    """Accept arguments that the node would accept. Raises: OptionError."""
    parser = argparse.ArgumentParser(exit_on_error=False, add_help=False)
    add_arguments(parser)
    try:
        parser.parse_args(arguments)
    except argparse.ArgumentError as error:
        raise OptionError(str(error)) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a program the options."""
    group = parser.add_argument_group("Matter")
    group.add_argument("--no-matter", action="store_true", help="do not be a Matter device; the owner alone permits")
    group.add_argument("--port", type=_port, default=MATTER_PORT, help="UDP port (%(default)s)")
    group.add_argument("--interface", action="append", help="network interface, may be repeated (all)")
    group.add_argument("--discriminator", type=_discriminator, help=f"0 to {MAX_DISCRIMINATOR} (made at first start)")
    group.add_argument("--passcode", type=_passcode, help="setup passcode (made at first start)")
    group.add_argument("--enable-key", type=_enable_key, help="32 hex digits that allow test event triggers (none)")
    group.add_argument("--simulator", type=Path, help="socket of the simulated plant that they act on (none)")
    group.add_argument("--features", type=_features, default=(), help=f"some of {','.join(FEATURES)} (pref)")


def options_of(arguments: argparse.Namespace) -> MatterOptions | None:
    """Return the options that were given, None for no Matter at all."""
    if arguments.no_matter:
        return None
    return MatterOptions(
        port=arguments.port,
        interfaces=tuple(arguments.interface or ()),
        discriminator=arguments.discriminator,
        passcode=arguments.passcode,
        enable_key=arguments.enable_key,
        simulator=arguments.simulator,
        features=arguments.features,
    )


def _port(text: str) -> int:
    return _number("port", text, 1, 0xFFFF)


def _discriminator(text: str) -> int:
    return _number("discriminator", text, 0, MAX_DISCRIMINATOR)


def _number(name: str, text: str, lowest: int, highest: int) -> int:
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise _wrong(f"{name}: {text!r} is not allowed; a whole number from {lowest} to {highest}")
    return int(text)


def _passcode(text: str) -> int:
    from evse_pi.matter.discovery.onboarding import LAST_PASSCODE, validate_passcode

    passcode = _number("passcode", text, 1, LAST_PASSCODE)
    try:
        validate_passcode(passcode)
    except ValueError as error:
        raise _wrong(str(error)) from error
    return passcode


def _enable_key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != ENABLE_KEY_BYTES or not any(key):
        raise _wrong(f"enable-key: {len(text)} characters; allowed are {2 * ENABLE_KEY_BYTES} hex digits, not all 0")
    return key


def _features(text: str) -> tuple[str, ...]:
    chosen = [name.strip().lower() for name in text.split(",") if name.strip()]
    if unknown := [name for name in chosen if name not in FEATURES]:
        raise _wrong(f"features: {unknown[0]!r} is unknown; allowed are {', '.join(FEATURES)}")
    return tuple(name.upper() for name in dict.fromkeys(chosen))


def _wrong(reason: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(reason)
