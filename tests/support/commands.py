"""Every command of `evse-pi` by its words, and running one with the list of modules that it loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from evse_pi.cli.main import evse_pi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HEAVY = frozenset(
    [
        *(
            "Crypto",
            "asyncio",
            "chip",
            "cryptography",
            "gpiod",
            "gpiozero",
            "multiprocessing",
            "rich",
            "segno",
            "serial",
        ),
        *("smbus2", "spidev", "sqlite3", "ssl", "zeroconf"),
        *("evse_pi.device", "evse_pi.matter", "evse_pi.node", "evse_pi.safety", "evse_pi.sim.plant"),
    ]
)
"""What no command loads only to be there."""
_RUNNER = """
import atexit, sys
from evse_pi.cli.main import main
atexit.register(lambda: open(sys.argv.pop(), "w").write("\\n".join(sys.modules)))
modules = sys.argv.pop(1)
sys.argv[:] = ["evse-pi", *sys.argv[1:]]
atexit.register(lambda: sys.argv.append(modules))
main()
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a command did."""

    status: int
    out: str
    err: str
    modules: frozenset[str]

    @property
    def heavy(self) -> set[str]:
        """Return the heavy modules that it loaded."""
        return {name for name in HEAVY if name in self.modules}


def every_command() -> dict[str, click.Command]:
    """Return all commands below the group, those of groups in groups too, by what is typed."""
    return dict(_below(evse_pi, ""))


def _below(group: click.Group, words: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        path = f"{words} {name}".strip()
        yield path, command
        if isinstance(command, click.Group):
            yield from _below(command, path)


def run_command(folder: Path, state_dir: Path, *arguments: str, told: str = "", **environment: str) -> Run:
    """Run one command in `folder`, for the box in `state_dir`."""
    modules = folder / ".modules"
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, str(modules), *arguments],
        capture_output=True, text=True, timeout=90, check=False, input=told, cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "EVSE_PI_STATE_DIR": str(state_dir), **environment},
    )  # fmt: skip
    return Run(done.returncode, done.stdout, done.stderr, frozenset(modules.read_text().split()))
