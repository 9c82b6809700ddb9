"""`lock.py PYTHON MACHINE`: write the hash lock of everything that a release for that Python and machine has in it.

`lock.py 3.11 x86_64` asks the package index once for the newest versions that pyproject.toml allows, and writes each
with the SHA-256 of the file that was chosen. A build takes nothing else (packaging/build.py). spidev has no wheel, so
its source archive is locked, and built.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCKS = Path(__file__).parent / "locks"
FROM_SOURCE = "spidev"
BUILD_TOOLS = ["setuptools>=77", "wheel"]
GLIBC = ("2_36", "2_34", "2_31", "2_28", "2_17")
"""Of wheels: Debian 12 has the first, and an older one fits, too."""


def lock_file(python: str, machine: str) -> Path:
    """Return where the lock for this Python and machine lies."""
    return LOCKS / f"cp{python.replace('.', '')}-{machine}.txt"


def main(arguments: list[str]) -> int:
    """Write the locks; what the index says is on stderr."""
    python, machine = arguments
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["pi"]]
    wheels = [each for each in wanted if not each.startswith(FROM_SOURCE)]
    sources = [each for each in wanted if each.startswith(FROM_SOURCE)]
    target = ["--python-version", python, "--only-binary", ":all:", "--target", "/nonexistent"]
    for glibc in GLIBC:
        target += ["--platform", f"manylinux_{glibc}_{machine}"]
    target += ["--platform", f"manylinux2014_{machine}", "--platform", "any"]
    lines = [*_resolved(wheels, target), *_resolved(sources, ["--no-deps", "--no-binary", ":all:"])]
    lock_file(python, machine).write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    (LOCKS / "build.txt").write_text("".join(f"{line}\n" for line in _resolved(BUILD_TOOLS, [])), encoding="utf-8")
    return 0


def _resolved(wanted: list[str], options: list[str]) -> list[str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    done = subprocess.run([*command, *options, *wanted], check=True, stdout=subprocess.PIPE)
    chosen = json.loads(done.stdout)["install"]
    return [
        f"{each['metadata']['name'].lower()}=={each['metadata']['version']} "
        f"--hash=sha256:{each['download_info']['archive_info']['hashes']['sha256']}"
        for each in chosen
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
