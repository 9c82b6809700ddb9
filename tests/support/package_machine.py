"""A machine in a folder, on which dpkg runs the package's scripts; what they call is played and written down."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "packaging/deb"
STANDS_IN = '#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n'
PLACES = ("/opt/evse-pi", "/etc/evse-pi", "/run/systemd", "/run/evse-pi", "/var/lib/evse-pi", "/boot/firmware")
CALLED = ("systemd-sysusers", "systemd-tmpfiles", "systemctl", "sync", "python3", "getent", "userdel", "groupdel")


class PackageMachine:
    """A machine onto which dpkg has unpacked the package; `configure` and `remove` are the rest of what dpkg does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.base, self.calls = folder, folder / "opt/evse-pi", folder / "calls"
        for name in ("bin", "etc", "run/systemd/system", "var/lib"):
            (folder / name).mkdir(parents=True)
        for name in CALLED:
            self._program(folder / "bin" / name)
        self.calls.write_text("")
        self.unpack()

    def _program(self, path: Path, text: str = STANDS_IN) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def unpack(self) -> None:
        """Put the package's environment where dpkg owns it; its Python finds no charge and stands in for the rest."""
        shutil.rmtree(self.base / "package", ignore_errors=True)
        self._program(self.base / "package/bin/python", f'{STANDS_IN}case "$*" in *--charging) exit 1 ;; esac\n')

    def configure(self, version: str, former: str = "", **environment: str) -> str:
        """Return what the script says when `version` is configured over `former`; it must end well."""
        self.calls.write_text("")
        return self._run("postinst", "configure", former, version=version, **environment)

    def remove(self, version: str, *, purge: bool = False) -> None:
        """Remove the package as `dpkg --remove` does, and with `purge` its settings as well."""
        self._run("prerm", "remove", version=version)
        shutil.rmtree(self.base / "package")
        self._run("postrm", "remove", version=version)
        if purge:
            self._run("postrm", "purge", version=version)

    def _run(self, script: str, *arguments: str, version: str, **environment: str) -> str:
        text = (SCRIPTS / script).read_text().replace("@VERSION@", version)
        for place in PLACES:
            text = text.replace(place, f"{self.folder}{place}")
        done = subprocess.run(
            ["sh", "-c", text, script, *arguments], capture_output=True, text=True, check=False,
            env={"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "CALLS": str(self.calls), **environment},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stderr

    @property
    def current(self) -> str:
        """The release in force."""
        return (self.base / "current").readlink().name

    @property
    def called(self) -> list[str]:
        """What was called since the last configuration began."""
        return self.calls.read_text().splitlines()

    def files(self) -> set[str]:
        """Return what is there beside what the machine itself has, as absolute paths of the machine."""
        own = ("/bin", "/etc", "/run", "/var", "/opt", "/calls")
        found = {f"/{path.relative_to(self.folder)}" for path in self.folder.rglob("*")}
        machines = {"/run/systemd", "/run/systemd/system", "/var/lib"}
        return {path for path in found if path not in own and path not in machines and not path.startswith("/bin/")}
