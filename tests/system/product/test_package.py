"""The Debian package in a clean Debian 12: built there, installed without a network, upgraded, cut, removed.

The Debian and the packages are kept between runs (`.chroot`). Each test works on a layer of its own above it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.system.product.installation import ROOT, packaged

pytestmark = pytest.mark.nightly  # a Debian and two packages take ten minutes the first time: make package-test
CACHE = Path(__file__).parent / ".chroot"
SUITE = "bookworm"
OLD, NEW = "1.0.0", "1.0.1"
BUILT_FROM = ("pyproject.toml", "packaging", "systemd", "docs")
WITHIN_S = 900.0


def run(*command: Any, **options: Any) -> Any:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=WITHIN_S, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def debian() -> Any:
    """A Debian of its own, and both versions of the package in its folder `out`."""
    if os.geteuid() or not all(map(shutil.which, ("mmdebstrap", "unshare"))):
        pytest.skip("a Debian of its own needs root, mmdebstrap and unshare")
    folder = CACHE / SUITE
    if not (CACHE / "whole").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir()
        run(ROOT / "packaging/chroot.sh", SUITE, folder)
        (CACHE / "whole").touch()
    files = [*packaged(), *(path for name in BUILT_FROM for path in sorted((ROOT / name).rglob("*")) if path.is_file())]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stamp = CACHE / "made-from"
    if not stamp.exists() or stamp.read_text() != digest:
        build(folder)
        stamp.write_text(digest)
    return folder


def build(folder: Any) -> None:
    for name in ("source", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
    for name in (*BUILT_FROM, "README.md", "LICENSE", "evse_pi", "hal", "boards"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / "source" / name)
    run("openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "out/key.pem")
    for version in (OLD, NEW):
        command = ["/source/packaging/build.sh", "--out", "/out", "--version", version, "--key", "/out/key.pem"]
        run(ROOT / "packaging/chroot.sh", "--run", folder, *command)


@pytest.fixture
def machine(debian: Any, tmp_path: Path) -> Any:
    """Run a script as root of that Debian, without a network; what it changes lasts for the test."""
    for name in ("up", "work", "all"):
        (tmp_path / name).mkdir()
    layers = f"lowerdir={debian},upperdir={tmp_path / 'up'},workdir={tmp_path / 'work'}"

    def inside(script: Any, check: Any = True) -> Any:
        outer = f"""
            mount -t overlay none -o {layers} {tmp_path / "all"} && cd {tmp_path / "all"} &&
            mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs run && exec chroot . bash -c "$1"
        """
        apart = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        command = [*apart, "bash", "-c", outer, "bash", textwrap.dedent(script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    inside.whole = tmp_path / "up"  # type: ignore[attr-defined]
    return inside


@pytest.fixture(scope="module")
def architecture(debian: Any) -> Any:
    return run("dpkg", "--print-architecture").strip()


@pytest.fixture(scope="module")
def deb(debian: Any, architecture: Any) -> Any:
    return {version: f"/out/evse-pi_{version}_{architecture}.deb" for version in (OLD, NEW)}


CURRENT = "readlink /opt/evse-pi/current; evse-pi version"


def test_what_the_package_says_of_itself(debian: Any, deb: Any, architecture: Any) -> None:
    told = run("dpkg-deb", "--field", f"{debian}{deb[OLD]}")
    fields = dict(re.findall(r"(?m)^([\w-]+): (.*)$", told))
    assert (fields["Package"], fields["Version"], fields["Architecture"]) == ("evse-pi", OLD, architecture)
    assert "python3 (>= 3.11), python3 (<< 3.12~)" in fields["Depends"]
    listed = run("dpkg-deb", "--contents", f"{debian}{deb[OLD]}").splitlines()
    assert {line.split()[1] for line in listed} == {"root/root"}
    paths = {line.split()[5] for line in listed}
    assert not [path for path in paths if path.startswith(("./etc/", "./usr/local/", "./var/", "./tmp/", "./home/"))]
    assert {f"./usr/lib/systemd/system/evse-pi-{name}.service" for name in ("safety", "node", "installer@")} <= paths
    assert not [line for line in listed if (line[0] == "-" and line[5] == "w") or (line[8] == "w" and line[0] == "-")]


def test_no_path_of_the_building_machine_is_left_in_it(debian: Any, deb: Any, tmp_path: Path) -> None:
    run("dpkg-deb", "--raw-extract", f"{debian}{deb[OLD]}", tmp_path / "tree")
    search = ["grep", "-rlE", "evse-pi-build-|file:///tmp/|/source/packaging", tmp_path / "tree"]
    assert subprocess.run([str(word) for word in search], capture_output=True, text=True, check=False).stdout == ""
    scripts = [path for path in (tmp_path / "tree/opt/evse-pi/package/bin").iterdir() if not path.is_symlink()]
    starts = {path.read_text().splitlines()[0] for path in scripts if path.read_bytes()[:2] == b"#!"}
    assert starts == {f"#!/opt/evse-pi/releases/{OLD}/bin/python"}


def test_the_bill_of_materials_has_every_wheel_of_the_lock(debian: Any, deb: Any) -> None:
    bill = json.loads(Path(f"{debian}{deb[OLD]}").with_suffix(".cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    lock = (ROOT / "packaging/locks/cp311-x86_64.txt").read_text()
    locked = re.findall(r"(?m)^([\w-]+)==(\S+) --hash=sha256:(\w+)", lock)
    listed = {each["name"]: each for each in bill["components"]}
    assert {name: version for name, version, _ in locked} == {name: each["version"] for name, each in listed.items()}
    for name, _, digest in locked:
        if name != "spidev":  # built from its source, whose digest the lock has
            assert listed[name]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert bill["metadata"]["component"]["name"] == "evse-pi"


def test_the_signature_is_that_of_the_key(debian: Any, deb: Any, tmp_path: Path) -> None:
    file = f"{debian}{deb[OLD]}"
    run("openssl", "pkey", "-in", debian / "out/key.pem", "-pubout", "-out", tmp_path / "public.pem")
    verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", tmp_path / "public.pem", "-rawin"]
    run(*verify, "-in", file, "-sigfile", f"{file}.sig")


def test_it_is_installed_without_a_network_and_runs(machine: Any, deb: Any) -> None:
    done = machine(f"""
        set -e
        dpkg --install {deb[OLD]}
        {CURRENT}
        dpkg --verify evse-pi
        getent passwd evse-safety evse-node | cut -d: -f7 | sort -u
        id -nG evse-safety
        ls -l /usr/bin/evse-pi /etc/systemd/system/multi-user.target.wants
        evse-pi --help > /dev/null
        systemd-analyze verify --man=no evse-pi-safety.service evse-pi-node.service
    """)
    lines = done.stdout.splitlines()
    assert f"releases/{OLD}" in lines
    assert f"evse-pi {OLD}, Python 3.11" in done.stdout
    assert "/usr/sbin/nologin" in lines
    assert "evse-pi evse-link gpio spi" in lines
    assert "evse-pi-safety.service ->" in done.stdout


def test_a_second_time_changes_nothing_that_is_in_force(machine: Any, deb: Any) -> None:
    done = machine(f"""
        set -e
        dpkg --install {deb[OLD]} >/dev/null
        echo EVSE_PI_BOARD=simulated > /etc/evse-pi/environment
        dpkg --install {deb[OLD]} >/dev/null
        {CURRENT}; cat /etc/evse-pi/environment; ls /opt/evse-pi /opt/evse-pi/releases
    """)
    assert done.stdout.split("\n", 2)[0] == f"releases/{OLD}"
    assert "EVSE_PI_BOARD=simulated" in done.stdout
    assert done.stdout.split()[-5:] == ["current", "package", "releases", "/opt/evse-pi/releases:", OLD]


def test_an_upgrade_keeps_the_former_release_and_disturbs_no_process_of_it(machine: Any, deb: Any) -> None:
    done = machine(f"""
        set -e
        dpkg --install {deb[OLD]} >/dev/null
        mkfifo /go
        python=$(sed -n '1s/^#!//p' /opt/evse-pi/current/bin/evse-pi-node)  # as the unit's program has it
        $python -I -c '
import evse_pi, sys
open("/go").read()
import evse_pi.node.matter_device, evse_pi.safety.safe_off
print("still", evse_pi.__file__)' &
        dpkg --install {deb[NEW]}
        echo > /go; wait
        {CURRENT}; readlink /opt/evse-pi/former
        /opt/evse-pi/former/bin/evse-pi version
    """)
    assert f"still /opt/evse-pi/releases/{OLD}/lib" in done.stdout
    assert f"releases/{NEW}\nevse-pi {NEW}" in done.stdout
    assert done.stdout.splitlines()[-2:][0] == f"releases/{OLD}"
    assert f"evse-pi {OLD}," in done.stdout.splitlines()[-1]


def test_a_release_that_does_not_work_here_changes_nothing_and_is_finished_later(machine: Any, deb: Any) -> None:
    done = machine(f"""
        dpkg --install {deb[OLD]} >/dev/null 2>&1
        echo EVSE_PI_BOARD=wallbux > /etc/evse-pi/environment
        dpkg --install {deb[NEW]} && echo accepted
        {CURRENT}; ls /opt/evse-pi/releases
        echo EVSE_PI_BOARD=reference > /etc/evse-pi/environment
        dpkg --configure --pending >/dev/null; {CURRENT}
    """)
    assert "board 'wallbux' is unknown" in done.stderr
    assert f"release {NEW} does not work on this machine and does not come in force" in done.stderr
    assert "accepted" not in done.stdout
    told = done.stdout.splitlines()
    first = told.index(f"releases/{OLD}")
    assert told[first + 1].startswith(f"evse-pi {OLD},")
    assert told[first + 2] == OLD
    assert told[first + 3] == f"releases/{NEW}"


def test_a_cut_ahead_of_any_step_leaves_a_release_that_runs_and_can_be_finished(machine: Any, deb: Any) -> None:
    """The maintainer script ends before its n-th command that changes files; then the machine starts again."""
    done = machine(f"""
        dpkg --install {deb[OLD]} >/dev/null 2>&1
        dpkg --unpack {deb[NEW]} >/dev/null 2>&1
        cp -a /opt/evse-pi /whole
        cat > /cutting <<'EOF'
        cut() {{
            case "$BASH_COMMAND" in cp*|mv*|ln*|rm*|sync*) count=$((count+1)); [ $count -lt $at ] || kill -9 $$ ;; esac
        }}
        count=0; set -T; trap cut DEBUG
        . /var/lib/dpkg/info/evse-pi.postinst
        EOF
        for at in $(seq 1 30); do
            rm -rf /opt/evse-pi; cp -al /whole /opt/evse-pi
            at=$at bash /cutting configure {OLD} >/dev/null 2>&1
            ended=$?
            echo "cut $at $ended $(readlink -e /opt/evse-pi/current) $(evse-pi version)"
            [ $ended -ne 0 ] || break
            [ $((at % 3)) -ne 0 ] || {{
                sh /var/lib/dpkg/info/evse-pi.postinst configure {OLD} >/dev/null 2>&1
                echo "done $(readlink -e /opt/evse-pi/current) $(evse-pi version)"
            }}
        done
    """)
    cuts = re.findall(r"cut (\d+) (\d+) /opt/evse-pi/releases/(\S+) evse-pi (\S+),", done.stdout)
    assert len(cuts) == len([line for line in done.stdout.splitlines() if line.startswith("cut ")])
    assert len(cuts) > 6
    assert all(link == told for _, _, link, told in cuts)
    assert {link for _, _, link, _ in cuts} == {OLD, NEW}
    assert cuts[-1][1] == "0"
    finished = [line for line in done.stdout.splitlines() if line.startswith("done ")]
    assert finished
    assert all(f"releases/{NEW} evse-pi {NEW}," in line for line in finished)


FILES = "find / -xdev -not -path '/proc*' -not -path '/dev/*' -not -path '/run*' -not -path '/tmp*' | sort"
OF_DEBIAN = ("/var/lib/dpkg", "/var/log", "/var/cache", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow",
             "/var/lib/systemd")  # fmt: skip


def listed(text: Any) -> Any:
    """Return the paths of a machine; dpkg takes an empty /opt away with the last package in it."""
    return {path for path in text.split() if not path.startswith(OF_DEBIAN) and path != "/opt"}


def test_a_removal_leaves_what_it_says_and_a_purge_leaves_nothing(machine: Any, deb: Any) -> None:
    before = listed(machine(FILES).stdout)
    used = "touch /etc/evse-pi/installation.toml; mkdir -p /var/lib/evse-pi /var/lib/evse-pi-safety"
    removed = machine(f"set -e; dpkg -i {deb[OLD]} {deb[NEW]} >/dev/null; {used}; dpkg --remove evse-pi >&2; {FILES}")
    assert listed(removed.stdout) - before == {
        "/etc/evse-pi", "/etc/evse-pi/boards", "/etc/evse-pi/environment", "/etc/evse-pi/installation.toml",
        "/var/lib/evse-pi", "/var/lib/evse-pi-safety",
    }  # fmt: skip
    assert "the users that own them stay" in removed.stderr
    assert before <= listed(removed.stdout)
    purged = machine(f"dpkg --purge evse-pi >&2; getent passwd evse-safety evse-node; {FILES}")
    assert listed(purged.stdout) == before


def test_an_installation_from_before_the_package_is_not_written_over(machine: Any, deb: Any) -> None:
    done = machine(f"mkdir -p /opt/evse-pi/bin; cp /bin/true /opt/evse-pi/bin/python; dpkg --install {deb[OLD]}", False)
    assert done.returncode != 0
    assert "first, with its settings kept: sudo ./install.sh uninstall" in done.stderr
