"""Puts the package and what installs it on the boot partition of a fresh card, beside what Raspberry Pi Imager wrote.

cloud-init of Raspberry Pi OS trixie reads `user-data` and `network-config` there at the first boot. Ours are added to
them; what was there stays beside as NAME.before-evse-pi, and `--undo` puts it back. Repeating it changes nothing.
Sources: docs.cloud-init.io, "Cloud config", "runcmd", "power_state_change"; netplan.readthedocs.io, "wifis".
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
FOLDER = "evse-pi"
"""On the boot partition, which the running system has at /boot/firmware."""
BEFORE = ".before-evse-pi"
HEADER = "#cloud-config"
MARK = "# evse-pi was added by image/prepare.sh; what was here before lies beside as NAME.before-evse-pi"
COMMAND = ["sh", f"/boot/firmware/{FOLDER}/first-boot.sh"]
RESTART = {"mode": "reboot", "message": "evse-pi is installed", "condition": "test -e /run/evse-pi-first-boot"}
PACKAGE = re.compile(r"evse-pi_[0-9][A-Za-z0-9.+~-]*_arm64\.deb")
AR = b"!<arch>\n"
SPARE_BYTES = 8 << 20
"""What stays free on the boot partition: a new kernel's files are written there by updates."""


class Refused(Exception):  # noqa: N818 (it is an answer)
    """The card is not changed; the text says why."""


def main(arguments: list[str]) -> int:
    """Prepare a card, or undo it, and return an exit status; what is wrong is on stderr."""
    given = _parser().parse_args(arguments)
    try:
        if given.undo:
            undo(given.bootfs)
            told = "as it was before"
        else:
            prepare(given)
            told = f"ready; at its first boot it becomes a box with the board {given.board}"
    except (Refused, OSError) as error:
        sys.stderr.write(f"evse-pi: {error}\n")
        return 1
    sys.stdout.write(f"evse-pi: {given.bootfs}: {told}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="image/prepare.sh", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("bootfs", type=Path, help="where the card's boot partition is mounted")
    parser.add_argument("--board", help="name of the board file")
    parser.add_argument("--package", type=Path, help="evse-pi_VERSION_arm64.deb (the only one in dist)")
    parser.add_argument("--wifi", metavar="SSID", help="a wireless network, where none is configured on the card")
    parser.add_argument("--country", help="two letters, which the radio needs")
    parser.add_argument("--wifi-passphrase-file", type=Path, help="its first line is the passphrase (asked)")
    parser.add_argument("--undo", action="store_true", help="put back what was there before")
    return parser


def prepare(given: argparse.Namespace) -> None:
    """Add the package, and what installs it, to a boot partition. Raises: Refused, OSError; then it is as it was."""
    bootfs: Path = given.bootfs
    _check_card(bootfs)
    board = _board(given.board)
    package = _package(given.package)
    user_data = _with_us(_document(bootfs, "user-data", HEADER))
    network = _with_wifi(_document(bootfs, "network-config", None), given) if given.wifi else None
    _check_space(bootfs, package)
    _copy(bootfs / FOLDER, package, board)
    if network is not None:
        _write(bootfs, "network-config", None, network)
    _write(bootfs, "user-data", HEADER, user_data)


def undo(bootfs: Path) -> None:
    """Put back what was there before, and take our folder away. Raises: Refused, OSError."""
    kept = [bootfs / f"{name}{BEFORE}" for name in ("user-data", "network-config")]
    present = [path for path in kept if path.is_file()]
    if not present and not (bootfs / FOLDER).is_dir():
        raise Refused(f"{bootfs}: nothing of evse-pi is there")
    for path in present:
        name = path.name.removesuffix(BEFORE)
        if _is_ours(bootfs / name) and path.stat().st_size:
            path.replace(bootfs / name)
        elif _is_ours(bootfs / name):
            (bootfs / name).unlink()  # there was none
            path.unlink()
        else:
            path.unlink()  # Imager has written the card's file again since
    if (bootfs / FOLDER).is_dir():
        shutil.rmtree(bootfs / FOLDER)


def psk(passphrase: str, ssid: str) -> str:
    """Return the key that a passphrase is for a network. Source: IEEE 802.11-2020, annex J.4.1. Raises: Refused."""
    if not 8 <= len(passphrase) <= 63 or not passphrase.isascii():
        raise Refused("a Wi-Fi passphrase has 8 to 63 ASCII characters")
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()


def _check_card(bootfs: Path) -> None:
    for name in ("config.txt", "cmdline.txt"):
        if not (bootfs / name).is_file():
            raise Refused(f"{bootfs / name} is missing; is this the boot partition of a Raspberry Pi?")
    if (bootfs / "firstrun.sh").exists() or (bootfs / "custom.toml").exists():
        raise Refused(f"{bootfs} was customised for Raspberry Pi OS bookworm; this needs trixie, which has cloud-init")
    if not (bootfs / "user-data").is_file() or not (bootfs / "meta-data").is_file():
        raise Refused(
            f"{bootfs} has no user-data and meta-data; this needs Raspberry Pi OS trixie, which has cloud-init"
        )


def _board(name: str | None) -> str:
    known = sorted(path.stem for path in (ROOT / "boards").glob("*.toml"))
    if name is None:
        raise Refused(f"--board is missing; one of {', '.join(known)}")
    if name not in known or name == "simulated":
        raise Refused(f"board {name!r} is not allowed; one of {', '.join(set(known) - {'simulated'})}")
    return name


def _package(given: Path | None) -> Path:
    if given is None:
        found = sorted((ROOT / "dist").glob("evse-pi_*_arm64.deb"))
        if len(found) != 1:
            raise Refused(f"{ROOT / 'dist'} has {len(found)} packages for arm64; name one with --package")
        given = found[0]
    if not PACKAGE.fullmatch(given.name):
        raise Refused(f"{given.name} is not named as a package for arm64 is: evse-pi_VERSION_arm64.deb")
    with given.open("rb") as file:
        if file.read(len(AR)) != AR:
            raise Refused(f"{given}: not a Debian package")
    return given


def _check_space(bootfs: Path, package: Path) -> None:
    former = sum(path.stat().st_size for path in (bootfs / FOLDER).glob("*.deb"))
    free = shutil.disk_usage(bootfs).free + former
    if free < package.stat().st_size + SPARE_BYTES:
        raise Refused(f"{bootfs} has {free >> 20} MiB free; the package and {SPARE_BYTES >> 20} MiB must fit")


def _is_ours(path: Path) -> bool:
    return path.is_file() and MARK in path.read_text(encoding="utf-8").splitlines()


def _document(bootfs: Path, name: str, header: str | None) -> dict[str, Any]:
    """Return what a file of cloud-init said before us. Raises: Refused where it cannot be added to."""
    path = bootfs / (f"{name}{BEFORE}" if _is_ours(bootfs / name) else name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if header is None:
            return {}
        raise Refused(f"{path} is missing") from None
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: {error}") from error
    if header is not None and text.splitlines()[:1] != [header]:
        raise Refused(f"{path} does not begin with {header}; another kind of user-data cannot be added to")
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"{path} is no YAML: {error}") from error
    if found is not None and not isinstance(found, dict):
        raise Refused(f"{path} is a {type(found).__name__}, not a mapping")
    return found or {}


def _with_us(document: dict[str, Any]) -> dict[str, Any]:
    commands = document.get("runcmd") or []
    if not isinstance(commands, list):
        raise Refused("user-data: runcmd is not a list")
    if "power_state" in document:
        raise Refused(
            "user-data: power_state is there already; evse-pi needs one restart of its own after the first boot"
        )
    return {**document, "runcmd": [*commands, COMMAND], "power_state": RESTART}


def _with_wifi(document: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    network = document.get("network", document)
    if not isinstance(network, dict) or network.get("version", 2) != 2:
        raise Refused("network-config: only version 2 can be added to")
    if network.get("wifis"):
        raise Refused("network-config: a wireless network is there already, and is kept; leave --wifi out")
    if not re.fullmatch("[A-Z]{2}", given.country or ""):
        raise Refused("--country is missing or not two capital letters; the radio stays off without it")
    point = {given.wifi: {"password": psk(_passphrase(given.wifi_passphrase_file), given.wifi)}}
    card = {"dhcp4": True, "regulatory-domain": given.country, "access-points": point, "optional": True}
    return {"network": {"version": 2, **network, "wifis": {"wlan0": card}}}


def _passphrase(file: Path | None) -> str:
    if file is None:
        return getpass.getpass("Wi-Fi passphrase: ")
    return file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")


def _copy(folder: Path, package: Path, board: str) -> None:
    """Put package, script and the choice of the board into our folder, with their check sums."""
    folder.mkdir(exist_ok=True)
    for other in folder.glob("*.deb"):
        if other.name != package.name:
            other.unlink()
    shutil.copyfile(package, folder / package.name)
    shutil.copyfile(HERE / "first-boot.sh", folder / "first-boot.sh")
    (folder / "environment").write_text(f"EVSE_PI_BOARD={board}\n")
    names = (package.name, "environment")
    sums = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text("".join(sums))


def _write(bootfs: Path, name: str, header: str | None, document: dict[str, Any]) -> None:
    """Write a document in place of the card's, which is kept beside; FAT has a rename, and nothing safer."""
    path, kept = bootfs / name, bootfs / f"{name}{BEFORE}"
    if not _is_ours(path):
        kept.write_bytes(path.read_bytes() if path.is_file() else b"")
    head = [header] if header else []
    text = "\n".join([*head, MARK, yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)])
    fresh = bootfs / f"{name}.new"
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
