"""`build.py --out FOLDER`: one Debian package with its own environment, for this machine and its system's Python.

Everything in it comes from the hash lock of this Python and machine (packaging/locks) and from this checkout; nothing
is installed on the machine that builds, and no right of root is needed. Beside the package lies what it consists of
(CycloneDX) and, with `--key`, a detached Ed25519 signature.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from sbom import write_bill

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
SOURCES = ("pyproject.toml", "README.md", "evse_pi", "hal", "boards")
DOCUMENTS = ("ARCHITECTURE", "SAFETY", "PI", "INSTALLING", "DIAGNOSTICS", "COMMANDS", "SECURITY")
PACKAGE = Path("opt/evse-pi/package")
"""What dpkg owns; the maintainer script links it to RELEASES/version, which outlives an upgrade."""
RELEASES = "/opt/evse-pi/releases"
UNITS = Path("usr/lib/systemd/system")
PLACES = {
    "evse-pi-safety.service": UNITS / "evse-pi-safety.service",
    "evse-pi-node.service": UNITS / "evse-pi-node.service",
    "evse-pi-restore.service": UNITS / "evse-pi-restore.service",
    "evse-pi-installer.socket": UNITS / "evse-pi-installer.socket",
    "evse-pi-installer@.service": UNITS / "evse-pi-installer@.service",
    "evse-pi-watchdog.conf": Path("usr/lib/systemd/system.conf.d/evse-pi.conf"),
    "evse-pi-journal.conf": Path("usr/lib/systemd/journald.conf.d/evse-pi.conf"),
    "evse-pi.tmpfiles.conf": Path("usr/lib/tmpfiles.d/evse-pi.conf"),
    "evse-pi.sysusers.conf": Path("usr/lib/sysusers.d/evse-pi.conf"),
}
COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/evse-pi", "zsh": "usr/share/zsh/vendor-completions/_evse-pi",
    "fish": "usr/share/fish/vendor_completions.d/evse-pi.fish",
}  # fmt: skip
CONTROL = """\
Package: evse-pi
Version: {version}
Architecture: {architecture}
Maintainer: The evse-pi project <evse-pi@example.invalid>
Section: misc
Priority: optional
Installed-Size: {size}
Depends: python3 (>= {python}), python3 (<< {next_python}~), libc6 (>= {libc}), systemd (>= 252)
Description: EV wallbox on a Raspberry Pi, with a Matter Energy EVSE
 Reads the IEC 61851-1 control pilot, drives the contactor and serves the Energy EVSE cluster on a Matter device. The
 package brings its own Python environment and touches no other; a running charge is not ended by its installation.
"""


class BuildError(Exception):
    """The package cannot be built here; the message says why."""


def main(arguments: list[str]) -> int:
    """Build and return an exit status; what is wrong is on stderr."""
    parser = argparse.ArgumentParser(
        prog="packaging/build.sh", description="Build the Debian package of this checkout."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder of what is built (%(default)s)")
    parser.add_argument("--version", help="for a build between releases (the one of pyproject.toml)")
    parser.add_argument("--key", type=Path, help="Ed25519 private key in PEM that signs the package (unsigned)")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="evse-pi-build-") as work:
            package = build(Path(work), given.out.resolve(), given.version, given.key)
    except (BuildError, subprocess.CalledProcessError, OSError) as error:
        sys.stderr.write(f"evse-pi: {error}\n")
        return 1
    sys.stdout.write(f"{package}\n")
    return 0


def build(work: Path, out: Path, version: str | None, key: Path | None) -> Path:
    """Return the package, built below `work`."""
    lock = lock_of_this_machine()
    source, version = _copy(work / "source", version)
    tools = work / "tools/bin/python"
    _run(sys.executable, "-m", "venv", str(work / "tools"))
    _pip(tools, "install", "--require-hashes", "--requirement", str(HERE / "locks/build.txt"))
    wheels = work / "wheels"
    _pip(tools, "wheel", "--require-hashes", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels),
         "--requirement", str(lock))  # fmt: skip
    _pip(tools, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
    tree = work / "tree"
    environment = _environment(tools, wheels, tree, version)
    _share(tree, environment, wheels, version, key)
    out.mkdir(parents=True, exist_ok=True)
    package = _pack(tree, out, version)
    bill = tree / "usr/share/doc/evse-pi/sbom.cdx.json"
    shutil.copy(bill, package.with_suffix(".cdx.json"))
    if key is not None:
        _run(str(tools.parent / "python"), str(HERE / "sign.py"), str(key), str(package), path=_library(environment))
    return package


def lock_of_this_machine() -> Path:
    """Return the hash lock. Raises: BuildError where there is none, or where the Python is not the system's."""
    major, minor = sys.version_info[:2]
    lock = HERE / f"locks/cp{major}{minor}-{platform.machine()}.txt"
    if not lock.is_file():
        raise BuildError(
            f"{lock} is missing; make it with: python3 packaging/lock.py {major}.{minor} {platform.machine()}"
        )
    if Path(sys.base_prefix) != Path("/usr"):
        raise BuildError(f"{sys.base_prefix} is not the system's Python, which the package needs; use /usr/bin/python3")
    return lock


def _copy(folder: Path, version: str | None) -> tuple[Path, str]:
    """Return a copy of the sources and the version: setuptools writes beside what it builds, and packs stale files."""
    folder.mkdir()
    for name in SOURCES:
        whole = ROOT / name
        if whole.is_dir():
            shutil.copytree(whole, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(whole, folder)
    project = folder / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    if version is not None:
        text = re.sub(r'(?m)^version = ".*"$', f'version = "{version}"', text, count=1)
        project.write_text(text, encoding="utf-8")
    found = re.search(r'(?m)^version = "([0-9][0-9A-Za-z.+~]*)"$', text)
    if found is None:
        raise BuildError(f"version: {version or 'that of pyproject.toml'} is not allowed; digits, letters, . + ~")
    return folder, found[1]


def _environment(tools: Path, wheels: Path, tree: Path, version: str) -> Path:
    """Return the release's environment, made of the wheels alone, and of paths that are right where it will lie."""
    environment, final = tree / PACKAGE, f"{RELEASES}/{version}"
    environment.parent.mkdir(parents=True)
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    files = sorted(str(path) for path in wheels.glob("*.whl"))
    _pip(tools, "--python", str(environment / "bin/python"), "install", "--no-index", "--no-deps", "--no-compile",
         *files)  # fmt: skip
    for script in (environment / "bin").iterdir():
        if script.name.lower().startswith("activate"):
            script.unlink()
        elif not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(os.fsencode(environment), os.fsencode(final)))
    for note in environment.glob("lib/*/site-packages/*.dist-info/direct_url.json"):  # where the wheel lay
        note.unlink()
        record = note.with_name("RECORD")
        kept = [line for line in record.read_text(encoding="utf-8").splitlines(keepends=True) if note.name not in line]
        record.write_text("".join(kept), encoding="utf-8")
    settings = environment / "pyvenv.cfg"
    settings.write_text(settings.read_text(encoding="utf-8").replace(str(environment), final), encoding="utf-8")
    compiling = ("-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "-s", str(environment), "-p", final)
    # Libraries ship files of their own that do not compile for every Python; what is needed is loaded at installation.
    subprocess.run([sys.executable, *compiling, str(environment / "lib")], check=False, stdout=subprocess.DEVNULL)
    return environment


def _share(tree: Path, environment: Path, wheels: Path, version: str, key: Path | None) -> None:
    """Put everything beside the environment: units, users, documents, completions, the bill of materials."""
    for name, place in PLACES.items():
        _install(ROOT / "systemd" / name, tree / place)
    for name in DOCUMENTS:
        _install(ROOT / f"docs/{name}.md", environment / f"share/doc/evse-pi/{name}.md")
    documents = tree / "usr/share/doc/evse-pi"
    _install(ROOT / "LICENSE", documents / "copyright")
    write_bill(wheels, documents / "sbom.cdx.json", version)
    python = environment / "bin/python"
    for shell, place in COMPLETIONS.items():
        _write(tree / place, _run(str(python), "-I", str(environment / "bin/evse-pi"), "completion", shell))
    _write(tree / "usr/share/man/man1/evse-pi.1", _run(str(python), "-I", "-m", "evse_pi.cli.reference", "man"))
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/evse-pi").symlink_to("/opt/evse-pi/current/bin/evse-pi")
    if key is not None:
        public = _run(str(python), str(HERE / "sign.py"), "--public", str(key), path=_library(environment))
        _write(environment / "share/release-key.pem", public)


def _pack(tree: Path, out: Path, version: str) -> Path:
    architecture = _run("dpkg", "--print-architecture").decode().strip()
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    major, minor = sys.version_info[:2]
    control = CONTROL.format(
        version=version, architecture=architecture, size=sum(path.stat().st_size for path in files) // 1024 + 1,
        python=f"{major}.{minor}", next_python=f"{major}.{minor + 1}", libc=platform.libc_ver()[1],
    )  # fmt: skip
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)  # noqa: S324 (dpkg's)
    _write(tree / "DEBIAN/control", control.encode())
    _write(tree / "DEBIAN/md5sums", sums.encode())
    for script in ("preinst", "postinst", "prerm", "postrm"):
        text = (HERE / "deb" / script).read_text(encoding="utf-8").replace("@VERSION@", version)
        _write(tree / "DEBIAN" / script, text.encode(), 0o755)
    package = out / f"evse-pi_{version}_{architecture}.deb"
    _run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(package))
    return package


def _install(source: Path, target: Path) -> None:
    _write(target, source.read_bytes())


def _write(target: Path, content: bytes, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(mode)


def _library(environment: Path) -> Path:
    (library,) = environment.glob("lib/python3*/site-packages")
    return library


def _pip(python: Path, *arguments: str) -> None:
    _run(str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def _run(*command: str, path: Path | None = None) -> bytes:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main(sys.argv[1:]))
