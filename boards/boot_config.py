"""The firmware's config.txt and cmdline.txt: what is in force there, and this project's own block in it.

`python3 boot_config.py remove FOLDER` takes out what was written, and needs nothing but the standard library.

The block stands at the end of config.txt, under [all], and is replaced and removed whole. What was taken out of
cmdline.txt is noted in it and put back with it. Source of the format: raspberrypi.com/documentation,
computers/config_txt.html, "Conditional filters" and "gpio", and the firmware's overlays/README.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

CONFIG, CMDLINE = "config.txt", "cmdline.txt"
BEGIN = "# evse-pi begin: written by evse-pi's installer, which replaces and removes this block"
END = "# evse-pi end"
TAKEN = "# evse-pi took from cmdline.txt: "
FORMER = "# evse-pi"
"""What earlier versions wrote above their lines, without an end."""
FORMER_LINES = frozenset(
    {
        "[all]", "dtparam=spi=on", "dtparam=i2c_arm=on", "dtoverlay=pwm,pin=18,func=2", "dtparam=strict_gpiod",
        "dtparam=audio=off", "enable_uart=1", "dtoverlay=disable-bt", "dtparam=watchdog=on", "gpio=17=op,dl",
    }
)  # fmt: skip
ALIASES = {"i2c": "i2c_arm", "i2c1": "i2c_arm"}
"""Parameters with two names, on every model of the table. Source: overlays/README, the base DTB."""
IN_SCOPE = {"vc4-kms-v3d": ("audio",), "vc4-fkms-v3d": ("audio",)}
"""Overlays with a parameter that the base has too: below them it is theirs. Source: overlays/README."""
OFF = ("off", "no", "false", "n", "0")
LEVELS, PULLS = ("dl", "dh"), ("pu", "pd", "pn", "np")


class Model(NamedTuple):
    """What decides whether a section of config.txt is meant for this machine."""

    filters: frozenset[str]
    board_type: frozenset[int]


Setting = tuple[str, ...]
"""One setting in a form in which two lines that mean the same are equal: kind, name, value."""


def in_force(text: str, model: Model, *, doubtful: bool = False) -> dict[Setting, str]:
    """Return the settings that hold on `model`, each with its value; what comes later wins.

    Sections whose condition is not known here (a GPIO's level, a display, a serial number) count only if `doubtful`.
    """
    return {
        name: value
        for line in _applying(text, model, doubtful=doubtful)
        for name, value in settings_of(line.text, line.overlay)
    }


def missing(text: str, lines: Sequence[str], model: Model) -> list[str]:
    """Return those of `lines` that config.txt's text does not bring into force on `model`, whatever else is true."""
    sure, perhaps = in_force(text, model), in_force(text, model, doubtful=True)
    return [
        line
        for line in lines
        if any(sure.get(name) != value or perhaps.get(name) != value for name, value in settings_of(line))
    ]


def settings_of(line: str, overlay: str = "") -> Iterator[tuple[Setting, str]]:
    """Yield what one line sets; `overlay` is the one in whose scope it stands."""
    key, _, value = line.partition("=")
    if key == "gpio":
        yield from _pin_settings(value)
    elif key == "dtparam":
        for each in value.split(","):
            name, _, given = each.partition("=")
            name = ALIASES.get(name, name)
            owner = overlay if name in IN_SCOPE.get(overlay, ()) else ""
            yield ("dtparam", owner, name), "off" if given in OFF else "on" if given in ("", *_ON) else given
    elif key == "dtoverlay" and value:
        name, _, parameters = value.partition(",")
        yield ("dtoverlay", name), ",".join(sorted(parameters.split(",")))
    elif key and value:
        yield (key,), value


_ON = ("on", "yes", "true", "y", "1")


def _pin_settings(value: str) -> Iterator[tuple[Setting, str]]:
    """Yield function, level and pull of each pin of `17,22-25=op,dl`."""
    pins, _, options = value.partition("=")
    for pin in _pins(pins):
        for option in options.split(","):
            kind = "level" if option in LEVELS else "pull" if option in PULLS else "function"
            yield ("gpio", str(pin), kind), option


def _pins(text: str) -> Iterator[int]:
    for part in text.split(","):
        low, _, high = part.partition("-")
        if low.isdigit() and (high.isdigit() or not high):
            yield from range(int(low), int(high or low) + 1)


class _Line(NamedTuple):
    text: str
    overlay: str


def _applying(text: str, model: Model, *, doubtful: bool) -> Iterator[_Line]:
    """Yield the settings of the sections that hold, each with the overlay that it follows.

    Filters of one kind replace each other, those of several kinds must all hold, [all] ends every one of them.
    """
    conditions: dict[str, bool] = {}
    overlay = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#") or not line:
            continue
        if line.startswith("[") and line.endswith("]"):
            kind, holds = _condition(line[1:-1].lower(), model, doubtful=doubtful)
            conditions = {} if kind == "all" else {**conditions, kind: holds}
        elif all(conditions.values()):
            if line.startswith("dtoverlay="):
                overlay = line.removeprefix("dtoverlay=").partition(",")[0]
            yield _Line(line, overlay)


def _condition(name: str, model: Model, *, doubtful: bool) -> tuple[str, bool]:
    """Return which kind of filter this is, and whether it holds."""
    if name == "all":
        return "all", True
    if name == "none":
        return "none", False
    if name.startswith("board-type="):
        return "model", _number(name.removeprefix("board-type=")) in model.board_type
    if re.fullmatch(r"(pi|cm)\d+\w*\+?", name):
        return "model", name in model.filters
    return name.partition("=")[0].partition(":")[0], doubtful


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return -1


def without_block(text: str) -> str:
    """Return the file's text without what this project wrote into it. Raises: ValueError when the block has no end."""
    kept: list[str] = []
    inside: str | None = None
    for line in text.splitlines(keepends=True):
        bare = line.strip()
        if inside == FORMER and bare not in FORMER_LINES:
            inside = None
        if bare in (BEGIN, FORMER):
            inside = bare
        elif inside is None:
            kept.append(line)
        elif inside == BEGIN and bare == END:
            inside = None
    if inside == BEGIN:
        raise ValueError(f"a block that begins with {BEGIN!r} has no line {END!r}")
    return "".join(kept).rstrip("\n") + "\n" if kept else ""


def with_block(text: str, lines: Sequence[str], model: Model, taken: Sequence[str] = ()) -> str:
    """Return the file's text with a block of those `lines` that are not in force on `model` without it.

    Parameters come before overlays, in whose scope they might mean another thing. `taken` is noted for the removal.
    """
    rest = without_block(text)
    wanted = missing(rest, lines, model)
    if not wanted and not taken:
        return rest
    wanted.sort(key=lambda line: line.startswith("dtoverlay="))
    scope = ["dtoverlay="] if wanted else []
    note = [TAKEN + " ".join(taken)] if taken else []
    return "\n".join([rest + ("\n" if rest else "") + BEGIN, *note, "[all]", *scope, *wanted, END, ""])


def taken_of(text: str) -> list[str]:
    """Return the words that this project took out of cmdline.txt, as its block in config.txt's text notes them."""
    notes = [line.removeprefix(TAKEN) for line in text.splitlines() if line.startswith(TAKEN)]
    return [word for note in notes for word in note.split()]


def consoles_on(cmdline: str, devices: Collection[str]) -> list[str]:
    """Return the words of the kernel's command line that put a console or a debugger on one of `devices`."""
    return [
        word
        for word in cmdline.split()
        if (at := re.fullmatch(r"(?:console|kgdboc|kgdb)=([^,]+)(?:,.*)?", word)) and f"/dev/{at[1]}" in devices
    ]


def without_words(cmdline: str, words: Collection[str]) -> str:
    """Return the command line without `words`."""
    return " ".join(word for word in cmdline.split() if word not in words) + "\n"


def with_words(cmdline: str, words: Sequence[str]) -> str:
    """Return the command line with those of `words` that it lacks, ahead of all: the last console is /dev/console."""
    return " ".join([*(word for word in words if word not in cmdline.split()), *cmdline.split()]) + "\n"


def read_text(path: Path) -> str:
    """Return the file's text with its own line ends. Raises: OSError, ValueError."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the file's place, whole or not at all, unless it is there already. Raises: OSError."""
    if path.exists() and read_text(path) == text:
        return
    fresh = path.with_name(f"{path.name}.evse-pi")
    with fresh.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove(folder: Path) -> None:
    """Take out the block, and put back what it notes, first. Raises: OSError, ValueError."""
    config, cmdline = folder / CONFIG, folder / CMDLINE
    before = read_text(config)
    after = without_block(before)
    if (taken := taken_of(before)) and cmdline.exists():
        replace_text(cmdline, with_words(read_text(cmdline), taken))
    replace_text(config, after)


def main(arguments: Sequence[str]) -> int:
    """Take the block out of a folder's files and return an exit status; what is wrong is on stderr."""
    if len(arguments) != 2 or arguments[0] != "remove":
        sys.stderr.write("usage: boot_config.py remove FOLDER\n")
        return 2
    try:
        remove(Path(arguments[1]))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"evse-pi: {arguments[1]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
