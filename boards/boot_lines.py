"""What a board needs of the Raspberry Pi's firmware on a model of Pi: the lines of config.txt, and the free UART.

`python -m boards.boot_lines write --board NAME` brings them into the firmware's files, `check` tells what is not in
force there, `show` prints the lines. Why each line is needed: docs/PI.md.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from boards import boot_config
from boards.boot_config import CMDLINE, CONFIG, Model
from hal.pi_models import HEADER_UART_PINS, MODELS, PiModel, find_model, read_description

if TYPE_CHECKING:
    from collections.abc import Sequence

    from boards.spec import BoardSpec

FIRMWARE = Path("boot/firmware")
SPI_OVERLAYS = ("1cs", "2cs", "3cs")


class UnknownModelError(ValueError):
    """This machine is none of the models of Pi that a wallbox may have; the message names it and them."""


def coil_lines(spec: BoardSpec) -> tuple[str, ...]:
    """Return the lines that hold the coil's outputs low from the firmware on. Hazard: H-08."""
    boost = spec.contactor.economiser
    pins = (spec.contactor.pin, *((boost.boost_pin,) if boost else ()))
    return tuple(f"gpio={pin}=op,dl" for pin in pins)


def boot_lines(spec: BoardSpec, model: PiModel) -> tuple[str, ...]:
    """Return every line of config.txt that this board needs on this model."""
    pwm = model.pwm[spec.pilot_pwm.pin]
    bus = spec.pilot_adc.bus
    spi = "dtparam=spi=on" if bus == 0 else f"dtoverlay=spi{bus}-{SPI_OVERLAYS[spec.pilot_adc.device]}"
    i2c = ("dtparam=i2c_arm=on",) if any(sensor.bus == 1 for sensor in spec.temperature) else ()
    return (
        *coil_lines(spec),
        "dtparam=strict_gpiod",
        "dtparam=watchdog=on",
        spi,
        *i2c,
        *(("dtparam=audio=off",) if model.audio_uses_pwm else ()),
        *(model.uart_lines if header_is_free(spec) else ()),
        f"dtoverlay=pwm,pin={spec.pilot_pwm.pin},func={pwm.function}",
    )


def header_is_free(spec: BoardSpec) -> bool:
    """Return whether the header's UART pins are the UART's on this board, and not lines of its own."""
    from boards.rules import line_pins

    return not set(HEADER_UART_PINS) & set(line_pins(spec))


def problems(spec: BoardSpec, root: Path = Path("/")) -> list[str]:
    """Return what is not in force in the firmware's files below `root`, one line each; none where there is no Pi."""
    folder = root / FIRMWARE
    description = read_description(root)
    if description is None:
        return []
    model = find_model(description)
    if model is None:
        return [str(_unknown(description))]
    try:
        text = boot_config.read_text(folder / CONFIG)
        cmdline = boot_config.read_text(folder / CMDLINE)
    except (OSError, ValueError) as error:
        return [f"boot settings cannot be read: {error}"]
    told = [
        f"{folder / CONFIG}: {line} is not in force on a {model.name}"
        for line in boot_config.missing(text, boot_lines(spec, model), sections_of(model))
    ]
    if header_is_free(spec):
        told += [f"{folder / CMDLINE}: {word} takes the meter's UART" for word in _consoles(cmdline, model)]
    return told


def write(spec: BoardSpec, folder: Path, model: PiModel) -> None:
    """Bring the board's lines into force and the console off the meter's UART. Raises: OSError, ValueError."""
    config, cmdline = folder / CONFIG, folder / CMDLINE
    before, command = boot_config.read_text(config), boot_config.read_text(cmdline)
    consoles = _consoles(command, model) if header_is_free(spec) else []
    taken = list(dict.fromkeys([*boot_config.taken_of(before), *consoles]))
    # The note comes first: what is taken out without one could not be put back.
    after = boot_config.with_block(before, boot_lines(spec, model), sections_of(model), taken)
    boot_config.replace_text(config, after)
    if consoles:
        boot_config.replace_text(cmdline, boot_config.without_words(command, consoles))


def sections_of(model: PiModel) -> Model:
    """Return what decides which sections of config.txt are this model's."""
    return Model(model.filters, model.board_type)


def known_model(root: Path = Path("/")) -> PiModel:
    """Return this machine's model. Raises: UnknownModelError."""
    description = read_description(root)
    model = find_model(description) if description is not None else None
    if model is None:
        raise _unknown(description)
    return model


def _unknown(description: str | None) -> UnknownModelError:
    known = ", ".join(model.name for model in MODELS)
    machine = "this machine has no /proc/device-tree/model" if description is None else f"{description!r} is not known"
    return UnknownModelError(f"{machine}; supported are: {known}")


def _consoles(cmdline: str, model: PiModel) -> list[str]:
    meaning_the_header = {model.header_uart}
    if model.serial0 == model.header_uart:
        meaning_the_header |= {"/dev/serial0", "/dev/ttyS0"}  # ttyS0 is what serial0 was before Bluetooth left
    return boot_config.consoles_on(cmdline, meaning_the_header)


def main(arguments: Sequence[str]) -> int:
    """Write, check or show and return an exit status; what is wrong is on stderr."""
    from boards.loader import BoardError, load_board

    parser = argparse.ArgumentParser(prog="boards.boot_lines", description="The firmware's settings for a board.")
    parser.add_argument("action", choices=("write", "check", "show"))
    parser.add_argument("--root", type=Path, default=Path("/"), help="what stands for / (%(default)s)")
    parser.add_argument("--board", required=True, help="name of the board file")
    given = parser.parse_args(arguments)
    try:
        board = load_board(given.board)
        if given.action == "check":
            found = problems(board, given.root)
            sys.stdout.writelines(f"{problem}\n" for problem in found)
            return 1 if found else 0
        model = known_model(given.root)
        if given.action == "show":
            sys.stdout.writelines(f"{line}\n" for line in boot_lines(board, model))
        else:
            write(board, given.root / FIRMWARE, model)
    except (BoardError, OSError, ValueError) as error:
        sys.stderr.write(f"evse-pi: {error}\n")
        return os.EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
