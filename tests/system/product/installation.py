"""What users get: this project built into a wheel and installed with the extra `pi` alone, beside nothing of the tests.

The environment is kept between runs. Its dependencies are installed again when pyproject.toml or the Python changed,
the wheel when any file that goes into it changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
CACHE = ROOT / "tests/system/product/.installed"
PACKAGES = ("evse_pi", "hal", "boards")
BUILD_FILES = ("pyproject.toml", "README.md")
INSTALL_WITHIN_S = 600.0


@dataclass(frozen=True)
class Installation:
    """An environment with the product in it."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    @property
    def program(self) -> Path:
        """The command as users type it."""
        return self.folder / "bin/evse-pi"

    @property
    def environment(self) -> dict[str, str]:
        """What its processes get of this one's environment: nothing that leads to the tests' packages."""
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/")}

    def run(self, *arguments: str, cwd: Path) -> str:
        """Return what its interpreter prints. Raises: CalledProcessError."""
        command = [str(self.python), *arguments]
        return subprocess.run(command, cwd=cwd, env=self.environment, check=True, capture_output=True, text=True).stdout


def install(python: str = sys.executable) -> Installation:
    """Return the product installed for `python`, made where it is not there or not of today's files."""
    version = json.loads(_output(python, "-c", "import json, sys; print(json.dumps(sys.version))"))
    installed = Installation(CACHE / hashlib.sha256(f"{python} {version}".encode()).hexdigest()[:12])
    base = _digest([ROOT / name for name in BUILD_FILES])
    whole = _digest([*(ROOT / name for name in BUILD_FILES), *packaged()])
    stamp = installed.folder / "made-from"
    made = stamp.read_text().split() if stamp.exists() else ["", ""]
    if made != [base, whole]:
        stamp.unlink(missing_ok=True)
        if made[0] != base:
            shutil.rmtree(installed.folder, ignore_errors=True)
            _output(python, "-m", "venv", str(installed.folder))
        wheel = build(installed.folder)
        again = [] if made[0] != base else ["--force-reinstall", "--no-deps"]
        _pip(installed.python, "install", *again, f"{wheel}[pi]")
        stamp.write_text(f"{base} {whole}\n")
    return installed


def build(folder: Path) -> Path:
    """Return the wheel, built below `folder` from a copy: setuptools keeps files that the source has no more."""
    copy, wheels = folder / "source", folder / "wheels"
    for path in (copy, wheels):
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
    for name in BUILD_FILES:
        shutil.copy(ROOT / name, copy)
    for path in packaged():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    _pip(folder / "bin/python", "wheel", "--no-deps", "--wheel-dir", str(wheels), str(copy))
    shutil.rmtree(copy)
    (wheel,) = wheels.glob("*.whl")
    return wheel


def packaged() -> list[Path]:
    """Return the files of the packages."""
    found = (path for name in PACKAGES for path in (ROOT / name).rglob("*"))
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _pip(python: Path, *arguments: str) -> None:
    _output(str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd="/", check=False, capture_output=True, text=True, timeout=INSTALL_WITHIN_S)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
