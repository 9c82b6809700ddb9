"""A box whose every process is the installed product's, driven by the installed command as its user drives it."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.interop.namespaces import DEVICE_IPV4
from tests.interop.wallbox import Wallbox

if TYPE_CHECKING:
    from tests.interop.namespaces import Namespaces
    from tests.system.product.installation import Installation

FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
ANSWER_WITHIN_S = 60.0


class InstalledBox(Wallbox):
    """The box with its page, and a passcode that it made itself."""

    def __init__(self, namespaces: Namespaces, folder: Path, installed: Installation) -> None:
        super().__init__(namespaces, folder, 0)
        self.installed = installed
        self.program = (str(installed.program),)
        self.cwd = folder
        self.environment = installed.environment

    def options(self) -> list[str]:
        """Return what a user adds: nothing, but for a network that is no real one."""
        return ["--interface=eth0"]

    def evse_pi(self, *arguments: str) -> str:
        """Return what the installed command prints. Raises: CalledProcessError."""
        command = [*self.program, "--state-dir", str(self.paths.state_dir), *arguments]
        return subprocess.run(
            command, cwd=self.cwd, env=self.environment, check=True, capture_output=True, text=True,
            timeout=ANSWER_WITHIN_S,
        ).stdout  # fmt: skip

    def asked(self, *arguments: str) -> Any:
        """Return what it prints as JSON."""
        return json.loads(self.evse_pi(*arguments, "--json"))

    def page(self, path: str) -> str:
        """Return a page as a browser at the other end of the cable gets it."""
        url = f"http://{DEVICE_IPV4}:8080{path}"
        inside = self.namespaces.inside(self.namespaces.controller, "python3", "-c", FETCH, url)
        return subprocess.run(inside, check=True, capture_output=True, text=True, timeout=ANSWER_WITHIN_S).stdout

    def processes(self) -> dict[int, list[str]]:
        """Return the command lines of all its processes."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = [os.fsdecode(word) for word in entry.read_bytes().split(b"\0")]
                if any(str(self.paths.state_dir) in word for word in words[1:]):
                    found[int(entry.parent.name)] = words
        return found
