"""Taking an installation away again, whole or broken off: on copies of the machine's folders."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
INSTALLED = "/opt/evse-pi /etc/evse-pi /var/lib/evse-pi /var/lib/evse-pi-safety /usr/local/bin/evse-pi"
SHARED = ("/etc", "/opt", "/usr/lib/systemd/system", "/usr/local", "/var/lib")
CONFIG = "dtparam=audio=on\n\n[cm4]\notg_mode=1\n\n[all]\n"
CMDLINE = "console=serial0,115200 console=tty1 root=PARTUUID=4a3b2c1d-02 rootwait\n"


def overlays() -> str:
    """Return the shell commands that put a layer over each of the machine's folders; no box is installed in it."""
    made = ["mount -t tmpfs none /mnt"]
    for number, folder in enumerate(SHARED):
        layers = f"lowerdir={folder},upperdir=/mnt/{number}/up,workdir=/mnt/{number}/work"
        made += [f"mkdir -p /mnt/{number}/up /mnt/{number}/work", f"mount -t overlay none -o {layers} {folder}"]
    return "\n".join(["set -e", *made, f"rm -rf {INSTALLED}"])


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    """Run a shell script as root of a machine with systemctl and user commands that only keep a record."""
    if os.geteuid() or shutil.which("unshare") is None:
        pytest.skip("layers over the machine's folders need root and unshare")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, status in (("systemctl", 1), ("apt-get", 0), ("userdel", 0), ("groupdel", 0), ("id", 0), ("getent", 0)):
        answer = "echo 0" if name == "id" else ":"
        program = programs / name
        program.write_text(f'#!/bin/sh\n{answer}\necho "{name} $*" >> {tmp_path}/called\nexit {status}\n')
        program.chmod(0o755)
    pi = tmp_path / "pi"
    (pi / "boot/firmware").mkdir(parents=True)
    (pi / "proc/device-tree").mkdir(parents=True)
    (pi / "proc/device-tree/model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.5\0")
    config = pi / "boot/firmware/config.txt"
    config.write_text(CONFIG)
    config.with_name("cmdline.txt").write_text(CMDLINE)

    def run(script: Any) -> Any:
        environment = {
            **os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "EVSE_PI_MACHINE": str(pi),
            "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        whole = overlays() + "\n" + textwrap.dedent(script).replace("DEVICE", f"bash {ROOT}/systemd/device.sh")
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", whole], env=environment, capture_output=True, text=True, check=False
        )

    probe = run("true")
    if probe.returncode:
        pytest.skip(f"no layers here: {probe.stderr.strip()}")
    run.pi, run.config, run.called = pi, config, tmp_path / "called"  # type: ignore[attr-defined]
    return run


LEFT = """
    for path in /opt/evse-pi /etc/systemd/system/evse-pi-* /etc/tmpfiles.d/evse-pi.conf /usr/local/bin/evse-pi \\
        /etc/evse-pi /var/lib/evse-pi /var/lib/evse-pi-safety; do [ ! -e "$path" ] || echo "left $path"; done
"""


def left(done: Any) -> Any:
    return [line.removeprefix("left ") for line in done.stdout.splitlines() if line.startswith("left ")]


def write_boot_settings(machine: Any) -> None:
    command = [sys.executable, "-m", "boards.boot_lines", "write", "--root", machine.pi, "--board", "reference"]
    subprocess.run(command, check=True, cwd=ROOT)


def test_an_installation_that_was_broken_off_goes_though_systemd_knows_nothing_of_it(machine: Any) -> None:
    write_boot_settings(machine)
    assert "gpio=17=op,dl" in machine.config.read_text()
    assert "serial0" not in machine.config.with_name("cmdline.txt").read_text()
    done = machine(f"mkdir -p /opt/evse-pi/bin; touch /opt/evse-pi/bin/python; DEVICE uninstall; {LEFT}")
    assert done.returncode == 0, done.stderr
    assert left(done) == []
    assert machine.config.read_text() == CONFIG
    assert machine.config.with_name("cmdline.txt").read_text() == CMDLINE
    assert "that failed; going on" in done.stderr


WHOLE = """
    mkdir -p /opt/evse-pi/bin /etc/evse-pi /var/lib/evse-pi /var/lib/evse-pi-safety
    touch /etc/evse-pi/installation.toml /etc/tmpfiles.d/evse-pi.conf /etc/systemd/system/evse-pi-node.service
    ln -s /opt/evse-pi/bin/evse-pi /usr/local/bin/evse-pi
"""


def test_settings_records_and_their_users_stay_and_that_is_told(machine: Any) -> None:
    done = machine(f"{WHOLE}\nDEVICE uninstall; {LEFT}")
    assert left(done) == ["/etc/evse-pi", "/var/lib/evse-pi", "/var/lib/evse-pi-safety"]
    assert "with them the users and groups that own them" in done.stdout
    assert "userdel" not in machine.called.read_text()


def test_purge_leaves_nothing(machine: Any) -> None:
    done = machine(f"{WHOLE}\nDEVICE uninstall --purge; {LEFT}")
    assert done.returncode == 0, done.stderr
    assert left(done) == []
    called = machine.called.read_text()
    for command in ("userdel evse-safety", "userdel evse-node", "groupdel evse-link", "groupdel evse-pi"):
        assert command in called


def test_a_dry_run_changes_nothing(machine: Any) -> None:
    done = machine(f"{WHOLE}\nDEVICE uninstall --purge --dry-run; {LEFT}")
    assert len(left(done)) == 6
    assert machine.config.read_text() == CONFIG
    assert not any(line.startswith("systemctl") for line in machine.called.read_text().splitlines())


def test_the_coil_s_line_in_the_boot_configuration_is_that_of_the_board(machine: Any) -> None:
    done = machine(f"""
        mkdir -p /etc/evse-pi/boards
        sed 's/^pin = 17$/pin = 19/' {ROOT}/boards/reference.toml > /etc/evse-pi/boards/own.toml
        echo EVSE_PI_BOARD=own > /etc/evse-pi/environment
        DEVICE install --dry-run
    """)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("gpio=")] == ["gpio=19=op,dl"]


def test_a_board_that_cannot_be_read_ends_it_by_name(machine: Any) -> None:
    done = machine(
        "mkdir -p /etc/evse-pi; echo EVSE_PI_BOARD=wallbux > /etc/evse-pi/environment; DEVICE install --dry-run"
    )
    assert done.returncode == 1
    assert "wallbux" in done.stderr


def test_setup_before_the_first_start_sets_up_the_installed_box_and_not_one_in_root_s_home(
    machine: Any, installed: Any
) -> None:
    done = machine(f"""
        cp {ROOT}/systemd/evse-pi-safety.service /usr/lib/systemd/system/
        mkdir -p /etc/evse-pi/boards; echo EVSE_PI_BOARD=reference > /etc/evse-pi/environment
        cd / && {installed.program} setup --yes --country DE --capacity 16A
        ls /etc/evse-pi
    """)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "installation.toml" in done.stdout.split()
    assert "the box does not run" in done.stdout


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("Raspberry Pi 5 Model B Rev 1.1", "dtparam=uart0=on"),
        ("Raspberry Pi 4 Model B Rev 1.5", "dtoverlay=disable-bt"),
    ],
)
def test_a_dry_run_tells_what_this_model_needs(machine: Any, model: Any, told: Any) -> None:
    (machine.pi / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    done = machine("DEVICE install --dry-run")
    assert done.returncode == 0, done.stderr
    assert told in done.stdout.splitlines()


def test_a_machine_that_is_no_pi_is_refused_before_anything_is_changed_and_a_dry_run_says_so_too(machine: Any) -> None:
    (machine.pi / "proc/device-tree/model").write_bytes(b"Hardkernel ODROID-C4\0")
    for option in ("", "--dry-run"):
        done = machine(f"DEVICE install {option}; code=$?; {LEFT} exit $code")
        assert done.returncode == 1
        assert "'Hardkernel ODROID-C4' is not known; supported are: Raspberry Pi 3" in done.stderr
        assert left(done) == []
    assert not machine.called.exists() or "apt-get" not in machine.called.read_text()


def test_root_imports_nothing_of_a_checkout_that_another_user_may_write(machine: Any) -> None:
    done = machine(f"""
        mkdir /mnt/checkout; cp -r {ROOT}/boards {ROOT}/hal {ROOT}/packaging {ROOT}/systemd /mnt/checkout
        echo 'import os, sys; print("imported by", os.geteuid(), file=sys.stderr)' >> /mnt/checkout/boards/__init__.py
        chown -R nobody /mnt/checkout
        bash /mnt/checkout/systemd/device.sh install --dry-run || true  # the owner sees no file of the test's
        bash /mnt/checkout/systemd/device.sh uninstall
    """)
    assert done.returncode == 0, done.stderr
    assert {line for line in done.stderr.splitlines() if line.startswith("imported")} == {"imported by 65534"}


def test_a_package_is_installed_as_it_is_and_else_built_by_the_checkout_s_owner(machine: Any) -> None:
    given = machine("DEVICE install ./evse-pi_1.0.0_arm64.deb --dry-run").stdout.splitlines()
    assert [line for line in given if line.startswith("+ ")] == ["+ dpkg --install ./evse-pi_1.0.0_arm64.deb"]
    built = [line for line in machine("DEVICE install --dry-run").stdout.splitlines() if line.startswith("+ ")]
    assert built[-2].startswith(f"+ as_owner {ROOT}/packaging/build.sh --out ")
    assert built[-1].startswith("+ dpkg --install ")


def test_a_version_from_before_the_package_is_refused_before_anything_is_changed(machine: Any) -> None:
    done = machine(
        "mkdir -p /opt/evse-pi/bin; cp /bin/true /opt/evse-pi/bin/python; DEVICE install; code=$?; exit $code"
    )
    assert done.returncode == 1
    assert "a version from before the package is here; first: sudo ./install.sh uninstall" in done.stderr
    assert not machine.called.exists() or "apt-get" not in machine.called.read_text()
