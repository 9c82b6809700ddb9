"""The units and the package's scripts: what they do in which order, and how a box that cannot start slows down."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from evse_pi.charging.demand_arbiter import LEASE_NS
from evse_pi.safety.startup import SETTLED_S
from hal.units import SECOND

ROOT = Path(__file__).parents[3]


def settings(unit: str) -> dict[str, str]:
    lines = (ROOT / "systemd" / unit).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def steps(script: str) -> list[str]:
    return [line.strip() for line in (ROOT / "packaging/deb" / script).read_text().splitlines()]


def position(lines: list[str], start: str) -> int:
    (found,) = [number for number, line in enumerate(lines) if line.startswith(start)]
    return found


def test_users_and_folders_are_there_before_anything_starts_without_a_reboot() -> None:
    """Of an upgrade with another entry: systemd-tmpfiles-setup runs at boot only (tmpfiles.d(5))."""
    lines = steps("postinst")
    made = [position(lines, start) for start in ("systemd-sysusers", "systemd-tmpfiles --create", "systemctl enable")]
    assert made == sorted(made)


def test_the_release_is_judged_before_the_link_goes_over_to_it_and_the_former_one_is_noted_first() -> None:
    lines = steps("postinst")
    order = ("cp -al", 'if ! "$release.new/bin/python" -I -m evse_pi.run.health', 'mv -T "$base/former.new"',
             'mv -T "$base/current.new"', "for other in")  # fmt: skip
    assert (found := [position(lines, start) for start in order]) == sorted(found)


def test_no_maintainer_script_stops_or_restarts_a_process_but_by_what_asks_the_box_first() -> None:
    touching = re.compile(r"systemctl.* (stop|restart|try-restart|kill|isolate)|deb-systemd-invoke|kill ")
    found = {
        (script, line)
        for script in ("preinst", "postinst", "prerm", "postrm")
        for line in steps(script)
        if touching.search(line)
    }
    assert {script for script, _ in found} == {"prerm"}
    lines = steps("prerm")
    asked = position(lines, 'if [ -x "$base/current/bin/python" ]')
    assert "evse_pi.run.restart --charging" in lines[asked]
    assert all(lines.index(line) > asked for _, line in found)


def test_the_service_users_have_no_shell_and_no_home() -> None:
    users = [
        line.split() for line in (ROOT / "systemd/evse-pi.sysusers.conf").read_text().splitlines() if line[:2] == "u "
    ]
    assert [words[1] for words in users] == ["evse-safety", "evse-node"]
    assert all(words[-2:] == ["/nonexistent", "/usr/sbin/nologin"] for words in users)


def test_the_start_may_take_as_long_as_it_waits_for_the_machine_s_devices() -> None:
    assert int(settings("evse-pi-safety.service")["TimeoutStartSec"]) > SETTLED_S


@pytest.mark.parametrize("name", ["safety", "node"])
def test_a_process_keeps_to_the_release_that_it_was_started_from(name: str) -> None:
    """The program names its release's own interpreter; the one below `current` would change with the link."""
    assert settings(f"evse-pi-{name}.service")["ExecStart"].startswith(f"/opt/evse-pi/current/bin/evse-pi-{name} ")


def test_a_node_that_sends_no_demands_is_restarted_after_its_lease_has_run_out() -> None:
    node = settings("evse-pi-node.service")
    assert node["Type"] == "notify"
    assert int(node["WatchdogSec"]) * SECOND > LEASE_NS


@pytest.mark.parametrize("unit", ["evse-pi-safety.service", "evse-pi-node.service"])
def test_a_unit_that_cannot_start_slows_down_and_waits_for_a_person_where_only_one_can_help(unit: str) -> None:
    unit_settings = settings(unit)
    assert unit_settings["Restart"] == "always"
    assert unit_settings["StartLimitIntervalSec"] == "0"
    assert int(unit_settings["RestartSteps"]) > 0
    assert int(unit_settings["RestartSec"]) < int(unit_settings["RestartMaxDelaySec"]) <= 60
    assert int(unit_settings["RestartPreventExitStatus"]) == os.EX_CONFIG


def test_the_node_may_ask_whether_the_clock_is_synchronized_and_set_none() -> None:
    """ProtectClock and ~@privileged refuse the system call that asks, too, so it is allowed after them.

    The first of several filters decides whether the list allows or refuses. Source: systemd.exec(5).
    """
    node = settings("evse-pi-node.service")
    assert "ProtectClock" not in node
    text = (ROOT / "systemd/evse-pi-node.service").read_text()
    filters = [line.partition("=")[2] for line in text.splitlines() if line.startswith("SystemCallFilter=")]
    assert filters == ["@system-service", "~@privileged @resources", "adjtimex clock_adjtime"]
    assert node["CapabilityBoundingSet"] == ""
