"""A card that Raspberry Pi Imager has written gets what installs the box, keeps all that Imager set, and can be undone.

The files below are what rpi-imager 2 writes, line by line, as its source has it (raspberrypi/rpi-imager at cb3e5143,
src/customization_generator.cpp, generateCloudInitUserData and generateCloudInitNetworkConfig).
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
HEAD = """#cloud-config
manage_resolv_conf: false

hostname: wallbox
manage_etc_hosts: true
packages:
- avahi-daemon

apt:
  preserve_sources_list: true
  conf: |
    Acquire {
      Check-Date "false";
    };

timezone: Europe/Berlin
keyboard:
  model: pc105
  layout: "de"
"""
PASSWORD = """users:
- name: jo
  groups: users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo
  shell: /bin/bash
  lock_passwd: false
  passwd: "$5$saltsalt$Nb0tqSJm1kPWM6k0fkdXNEoBDk2uaqR4aBOyIjkTfH1"

enable_ssh: true
ssh_pwauth: true
rpi:
  interfaces:
    serial: true
"""
KEY = """users:
- name: jo
  groups: users,adm,dialout,audio,netdev,video,plugdev,cdrom,games,input,gpio,spi,i2c,render,sudo
  shell: /bin/bash
  lock_passwd: true
  ssh_authorized_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJy jo@home
  sudo: ALL=(ALL) NOPASSWD:ALL

enable_ssh: true
ssh_pwauth: false
"""
RADIO = """
runcmd:
  - [ rfkill, unblock, wifi ]
  - [ sh, -c, "for f in /var/lib/systemd/rfkill/*:wlan; do echo 0 > \\"$f\\"; done" ]
"""
WIRED = """network:
  version: 2
  ethernets:
    eth0:
      dhcp4: true
      dhcp6: true
      optional: true
"""
WIRELESS = """  wifis:
    wlan0:
      dhcp4: true
      regulatory-domain: "DE"
      access-points:
        "Home \\"net\\"":
          password: "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
      optional: true
"""
NOT_CUSTOMISED = """#cloud-config

# This is the user-data configuration file for cloud-init. By default this sets
#users:
#- name: pi
"""
CARDS = {
    "password": (HEAD + PASSWORD, WIRED),
    "key and wifi": (HEAD + KEY, WIRED + WIRELESS),
    "commands": (HEAD + PASSWORD + RADIO, WIRED),
    "not customised": (NOT_CUSTOMISED, WIRED),
}


class Card:
    """The boot partition of a card, as a folder."""

    def __init__(self, folder: Path, user_data: str, network: str) -> None:
        self.folder = folder / "bootfs"
        self.folder.mkdir()
        self.package = folder / "evse-pi_0.1.0_arm64.deb"
        self.package.write_bytes(b"!<arch>\ndebian-binary   ")
        files = {"user-data": user_data, "network-config": network, "meta-data": "instance_id: rpi-imager-1\n"}
        for name, content in {**files, "config.txt": "[all]\n", "cmdline.txt": "console=tty1\n"}.items():
            (self.folder / name).write_text(content)

    def run(self, *arguments: str, status: int = 0) -> str:
        command = [str(ROOT / "image/prepare.sh"), str(self.folder), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def prepare(self, *arguments: str, status: int = 0) -> str:
        return self.run("--board", "reference", "--package", str(self.package), *arguments, status=status)

    def yaml(self, name: str) -> Any:
        return yaml.safe_load((self.folder / name).read_text())

    def files(self) -> dict[str, bytes]:
        found = sorted(self.folder.rglob("*"))
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found if path.is_file()}


@pytest.fixture(params=CARDS)
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Card:
    return Card(tmp_path, *CARDS[request.param])


@pytest.fixture
def plain(tmp_path: Path) -> Card:
    return Card(tmp_path, *CARDS["password"])


def test_all_that_imager_set_stays_and_ours_comes_last(card: Card) -> None:
    before, network = card.yaml("user-data") or {}, (card.folder / "network-config").read_bytes()
    card.prepare()
    now = card.yaml("user-data")
    assert (card.folder / "user-data").read_text().startswith("#cloud-config\n")
    assert {key: value for key, value in now.items() if key not in ("runcmd", "power_state")} == {
        key: value for key, value in before.items() if key != "runcmd"
    }
    assert now["runcmd"] == [*before.get("runcmd", []), ["sh", "/boot/firmware/evse-pi/first-boot.sh"]]
    assert now["power_state"]["mode"] == "reboot"
    assert (card.folder / "network-config").read_bytes() == network


def test_it_may_be_repeated_and_undone(card: Card) -> None:
    before = card.files()
    card.prepare()
    once = card.files()
    card.prepare()
    assert card.files() == once
    card.run("--undo")
    assert card.files() == before
    assert "nothing of evse-pi is there" in card.run("--undo", status=1)


def test_a_card_that_imager_wrote_again_is_prepared_from_what_is_there_now(plain: Card) -> None:
    plain.prepare()
    (plain.folder / "user-data").write_text(HEAD + KEY)
    plain.prepare()
    assert plain.yaml("user-data")["ssh_pwauth"] is False
    plain.run("--undo")
    assert (plain.folder / "user-data").read_text() == HEAD + KEY


def test_wifi_is_added_with_the_key_that_the_standard_makes_of_the_passphrase(plain: Card, tmp_path: Path) -> None:
    """IEEE 802.11-2020, annex J.4.2, test vector 1: "password" at "IEEE"."""
    (tmp_path / "passphrase").write_text("password\n")
    wired = plain.yaml("network-config")["network"]["ethernets"]
    options = ("--wifi", "IEEE", "--country", "DE", "--wifi-passphrase-file", str(tmp_path / "passphrase"))
    plain.prepare(*options)
    network = plain.yaml("network-config")["network"]
    assert network["ethernets"] == wired
    assert network["wifis"]["wlan0"]["regulatory-domain"] == "DE"
    assert network["wifis"]["wlan0"]["access-points"] == {
        "IEEE": {"password": "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"}
    }
    assert b"password\n" not in b"".join(plain.files().values())
    once = plain.files()
    plain.prepare(*options)
    assert plain.files() == once
    plain.run("--undo")
    assert (plain.folder / "network-config").read_text() == WIRED


@pytest.mark.parametrize(
    ("changed", "content", "words"),
    [
        ("user-data", "#!/bin/sh\necho hello\n", "does not begin with #cloud-config"),
        ("user-data", "## template: jinja\n#cloud-config\n", "does not begin with #cloud-config"),
        ("user-data", "#cloud-config\nhostname: [\n", "is no YAML"),
        ("user-data", "#cloud-config\n- hostname\n", "is a list, not a mapping"),
        ("user-data", "#cloud-config\nruncmd: reboot\n", "runcmd is not a list"),
        ("user-data", "#cloud-config\npower_state:\n  mode: poweroff\n", "power_state is there already"),
        ("user-data", None, "needs Raspberry Pi OS trixie"),
        ("firstrun.sh", "#!/bin/bash\n", "bookworm; this needs trixie"),
        ("config.txt", None, "is this the boot partition of a Raspberry Pi?"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_by_name_and_stays(
    plain: Card, changed: str, content: str | None, words: str
) -> None:
    if content is None:
        (plain.folder / changed).unlink()
    else:
        (plain.folder / changed).write_text(content)
    before = plain.files()
    assert words in plain.prepare(status=1)
    assert plain.files() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--board", "wallbux"), "board 'wallbux' is not allowed; one of"),
        (("--board", "simulated"), "board 'simulated' is not allowed"),
        ((), "--board is missing"),
        (("--board", "reference", "--wifi", "net"), "--country is missing"),
    ],
)
def test_what_is_asked_for_is_refused_by_name(plain: Card, arguments: tuple[str, ...], words: str) -> None:
    before = plain.files()
    assert words in plain.run("--package", str(plain.package), *arguments, status=1)
    assert plain.files() == before


def test_a_wireless_network_that_is_there_is_kept(tmp_path: Path) -> None:
    card = Card(tmp_path, *CARDS["key and wifi"])
    assert "is there already, and is kept" in card.prepare("--wifi", "other", "--country", "DE", status=1)


@pytest.mark.parametrize("name", ["evse-pi_0.1.0_amd64.deb", "evse-pi.deb"])
def test_a_package_for_another_machine_is_refused(plain: Card, name: str) -> None:
    plain.package = plain.package.rename(plain.package.with_name(name))
    assert "is not named as a package for arm64 is" in plain.prepare(status=1)


def first_boot(card: Card, tmp_path: Path, *, dpkg: int = 0) -> tuple[int, list[str]]:
    """Run the script of the first boot with other commands in the place of those that change a machine."""
    script = (card.folder / "evse-pi/first-boot.sh").read_text()
    for path in ("/etc/evse-pi", "/var/log", "/run/evse-pi-first-boot", "/dev/tty1"):
        script = script.replace(path, str(tmp_path / "root") + path)
    (card.folder / "evse-pi/first-boot.sh").write_text(script)
    commands, said = tmp_path / "commands", tmp_path / "said"
    commands.mkdir(exist_ok=True)
    (tmp_path / "root/var/log").mkdir(parents=True, exist_ok=True)
    (tmp_path / "root/run").mkdir(exist_ok=True)
    (commands / "dpkg").write_text(f'#!/bin/sh\necho "dpkg $*" >> {said}\nexit {dpkg}\n')
    (commands / "dpkg").chmod(0o755)
    done = subprocess.run(
        ["sh", str(card.folder / "evse-pi/first-boot.sh")], capture_output=True, check=False,
        env={"PATH": f"{commands}:/usr/bin:/bin"},
    )  # fmt: skip
    return done.returncode, said.read_text().splitlines() if said.exists() else []


def test_the_first_boot_installs_for_the_chosen_board_and_asks_for_one_restart(plain: Card, tmp_path: Path) -> None:
    plain.prepare()
    status, said = first_boot(plain, tmp_path)
    assert (status, said) == (0, [f"dpkg --install {plain.folder}/evse-pi/evse-pi_0.1.0_arm64.deb"])
    assert (tmp_path / "root/etc/evse-pi/environment").read_text() == "EVSE_PI_BOARD=reference\n"
    assert plain.yaml("user-data")["power_state"]["condition"] == "test -e /run/evse-pi-first-boot"
    assert (tmp_path / "root/run/evse-pi-first-boot").exists()


def test_a_package_that_cannot_be_installed_asks_for_no_restart(plain: Card, tmp_path: Path) -> None:
    plain.prepare()
    status, _ = first_boot(plain, tmp_path, dpkg=1)
    assert status != 0
    assert not (tmp_path / "root/run/evse-pi-first-boot").exists()
    assert "the installation failed" in (tmp_path / "root/var/log/evse-pi-first-boot.log").read_text()


def test_a_package_that_was_damaged_on_the_card_is_not_installed(plain: Card, tmp_path: Path) -> None:
    plain.prepare()
    (plain.folder / "evse-pi" / plain.package.name).write_bytes(b"!<arch>\nanother")
    status, said = first_boot(plain, tmp_path)
    assert (status, said) == (1, [])


def test_no_secret_of_a_box_is_on_the_card(plain: Card) -> None:
    """A card that is copied must not make two boxes with one identity: each makes passcode and keys itself."""
    plain.prepare()
    ours = {name for name in plain.files() if name.startswith("evse-pi/")}
    assert ours == {f"evse-pi/{name}" for name in (plain.package.name, "first-boot.sh", "environment", "SHA256SUMS")}
