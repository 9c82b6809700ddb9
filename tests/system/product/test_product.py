"""The product as its users get it: installed from its wheel with the extra `pi`, commissioned, and charging a car.

Whatever only the tests' environment has must not be missed: a missing package, file or library shows here and nowhere
else. The tests of this file tell one story, in their order.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.interop.evse_peer import CHARGING, CHARGING_ENABLED, EV_CONNECTED, NO_ERROR, STARTED, SUCCESS, subscribed
from tests.system.product.installation import ROOT, packaged

if TYPE_CHECKING:
    from tests.interop.controllers import ChipController
    from tests.system.product.installation import Installation
    from tests.system.product.installed_box import InstalledBox

NODE_ID = 4_711
OF_THE_TESTS = ("chip.native", "hypothesis", "pytest", "pymodbus", "selenium", "tests")
FOREIGN = """
import importlib.util, sys
def is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
print(*[name for name in sys.argv[1:] if is_there(name)])
"""
PLACES = "import boards, evse_pi, hal, sys; print(*[m.__file__ for m in (boards, evse_pi, hal)], *sys.path, sep='\\n')"


def test_nothing_of_the_tests_environment_can_be_reached(installed: Installation, tmp_path: Path) -> None:
    assert installed.run("-c", FOREIGN, *OF_THE_TESTS, cwd=tmp_path).split() == []
    paths = [Path(line) for line in installed.run("-c", PLACES, cwd=tmp_path).splitlines() if line]
    ours = (ROOT, Path(sysconfig.get_paths()["purelib"]))
    assert [place for place in paths if place.is_relative_to(ours[1])] == []
    assert [place for place in paths if place.is_relative_to(ROOT)] == [
        place for place in paths if place.is_relative_to(installed.folder)
    ]


def test_every_file_of_the_packages_is_in_the_wheel_and_no_other(installed: Installation) -> None:
    (library,) = installed.folder.glob("lib/python3*/site-packages")
    found = {
        path.relative_to(library)
        for name in ("boards", "evse_pi", "hal")
        for path in (library / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found == {path.relative_to(ROOT) for path in packaged()}


def test_a_fresh_box_runs_without_a_complaint_and_shows_its_code(box: InstalledBox) -> None:
    box.until(lambda now: bool(now["web"] and now["web"]["serving"]))
    status = box.asked("status")
    assert status["matter"]["running"], status["matter"]
    assert {notice["kind"] for notice in status["notices"]} <= {"CLOCK", "BENCH_ONLY"}, status["notices"]
    shown = box.evse_pi("commission")
    codes = box.asked("commission")["codes"]
    assert codes["qr"].startswith("MT:")
    assert codes["qr"] in shown
    assert "web page" in box.evse_pi("status")
    assert "Matter" in box.page("/codes")


def test_a_controller_is_let_in_with_that_code_and_a_car_charges(box: InstalledBox, chip: ChipController) -> None:
    chip.call("commission_with_code", NODE_ID, box.asked("commission")["codes"]["manual"])
    with subscribed(chip, NODE_ID, box.log) as peer:
        box.evse_pi("car", "plug_in", "cable_ma=32000")
        peer.event(EV_CONNECTED)
        box.forgive_a_busy_machine()
        assert peer.enable(maximum_ma=16_000) == SUCCESS
        box.evse_pi("car", "auto")
        assert peer.event(STARTED)["maximumCurrent"] == 16_000
        assert peer.states() == [CHARGING, CHARGING_ENABLED, NO_ERROR]
    status = box.until(lambda now: bool(now["session"] and now["session"]["energy_mwh"] > 0))
    assert status["contactor"]["close_ordered"]
    assert "charging" in box.evse_pi("status")
    assert "charging" in box.page("/").lower()
    assert len(box.asked("status")["matter"]["fabrics"]) == 1


@pytest.mark.parametrize("module", ["evse_pi.safety", "evse_pi.node", "evse_pi.sim"])
def test_each_process_runs_from_the_installation_alone(box: InstalledBox, module: str) -> None:
    running = {pid: words for pid, words in box.processes().items() if module in words}
    assert running
    tests_own = Path(sysconfig.get_paths()["purelib"])
    for pid, words in running.items():
        assert Path(words[0]).is_relative_to(box.installed.folder)
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        files = {Path(line.split(maxsplit=5)[5]) for line in maps if "/" in line}
        assert files
        strange = {path for path in files if path.is_relative_to(ROOT) or path.is_relative_to(tests_own)}
        assert {path for path in strange if not path.is_relative_to(box.installed.folder)} == set()
