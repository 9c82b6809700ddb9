"""`boot_config.py write FILE LINE...`, `boot_config.py remove FILE`: this project's lines in the firmware's config.txt.

They stand in one marked block at the end of the file, under [all], which `write` replaces and `remove` takes out. A
line that the file has already counts only where it holds for every model: one below [pi4] says nothing about a Pi 5.
Source: raspberrypi.com/documentation/computers/config_txt.html, "Conditional filters".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BEGIN = "# evse-pi begin: written by evse-pi's installer, which replaces and removes this block"
END = "# evse-pi end"
FORMER = "# evse-pi"
"""What earlier versions wrote above their lines, without an end."""
FORMER_LINES = frozenset(
    {
        "[all]", "dtparam=spi=on", "dtparam=i2c_arm=on", "dtoverlay=pwm,pin=18,func=2", "dtparam=strict_gpiod",
        "dtparam=audio=off", "enable_uart=1", "dtoverlay=disable-bt", "dtparam=watchdog=on", "gpio=17=op,dl",
    }
)  # fmt: skip


def without_block(text: str) -> str:
    """Return the file's text without what this project wrote into it."""
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


def in_force(text: str) -> frozenset[str]:
    """Return the lines that hold whatever the model is."""
    found, everywhere = set(), True
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            everywhere = line == "[all]"
        elif everywhere:
            found.add(line)
    return frozenset(found)


def with_block(text: str, lines: list[str]) -> str:
    """Return the file's text with a block of those `lines` that are not in force without it."""
    rest = without_block(text)
    missing = [line for line in lines if line not in in_force(rest)]
    if not missing:
        return rest
    return "\n".join([rest + ("\n" if rest else "") + BEGIN, "[all]", *missing, END, ""])


def main(arguments: list[str]) -> int:
    """Change the file and return an exit status; what is wrong is on stderr."""
    action, path, lines = arguments[0], Path(arguments[1]), arguments[2:]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            before = file.read()
        after = with_block(before, lines) if action == "write" else without_block(before)
        if after != before:
            fresh = path.with_name(f"{path.name}.evse-pi")
            with fresh.open("w", encoding="utf-8", newline="") as file:
                file.write(after)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"evse-pi: {path}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
