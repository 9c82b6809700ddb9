"""The installer's commands at a box that does not run: what is set, what is refused, how it is said."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.api.exits import Exit
from evse_pi.cli.questions import HouseAnswers, questions
from evse_pi.installation.files import ratings, read_installation
from evse_pi.installer.box_settings import BoxSettings, ChangeRefused
from evse_pi.sim.harness.virtual_clock import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

EVSE_PI = [sys.executable, "-m", "evse_pi.cli"]
BOARD = load_board("simulated")


def evse_pi(box: Path, *arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
    command = [*EVSE_PI, "--state-dir", str(box), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, input=told)


def set_up(box: Path, *more: str, told: str = "") -> subprocess.CompletedProcess[str]:
    base = ("--country", "DE", "--capacity", "20A", "--name", "Jo Bloggs")
    return evse_pi(box, "setup", "--yes", *base, *more, told=told)


def installation(box: Path) -> Any:
    return read_installation(box / "installation.toml", ratings(BOARD))


def narrow(text: str) -> bool:
    return all(len(line) <= 80 for line in text.splitlines())


@pytest.fixture
def box(tmp_path: Path) -> Path:
    done = set_up(tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def test_a_scripted_setup_writes_everything_and_says_it(tmp_path: Path) -> None:
    more = "--phases 1 --cable tethered --cable-rating 20A --rcd-type b --ventilated --earthing tt --meter sdm120"
    done = set_up(tmp_path, *more.split(), "--meter-port", "/dev/ttyUSB0")
    assert done.returncode == 0, done.stderr
    now = installation(tmp_path)
    assert (now.circuit_capacity_ma, now.phases, now.tethered_cable_ma, now.rcd_type) == (20_000, 1, 20_000, "b")
    assert (now.rcd_reclosures, now.ventilated, now.meter_model, now.meter_port) == (0, True, "sdm120", "/dev/ttyUSB0")
    assert (now.earthing, now.shunt_release, now.shutters) == ("tt", False, False)
    assert "fixed cable, 20.0 A" in done.stdout
    assert narrow(done.stdout)
    assert "\x1b" not in done.stdout
    assert (tmp_path / "environment").read_text() == "EVSE_PI_BOARD=simulated\n"


def test_the_country_proposes_its_rules(tmp_path: Path) -> None:
    more = ("--open-pen", "electrode", "--shutters")
    done = evse_pi(tmp_path, "setup", "--yes", "--country", "GB", "--capacity", "32A", *more, "--json")
    facts = json.loads(done.stdout)
    assert (facts["random_delay_s"], facts["rcd_reclosures"], facts["nominal_voltage_mv"]) == (600, 0, 230_000)
    assert (facts["open_pen"], facts["earthing"], facts["shutters"]) == ("electrode", "tt", True)


def test_a_country_without_known_rules_is_left_to_its_installer(tmp_path: Path) -> None:
    done = evse_pi(tmp_path, "setup", "--yes", "--country", "HR", "--capacity", "16A")
    assert done.returncode == 0, done.stderr
    assert "HR; no rule of it is known here, its installer answers for them" in " ".join(done.stdout.split())
    assert installation(tmp_path).rcd_reclosures == 0


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--country", "DE"), 2, "--capacity is missing"),
        (("--capacity", "16A"), 2, "--country is missing"),
        (("--country", "DE", "--capacity", "16"), 2, "a number with its unit is required"),
        (("--country", "DE", "--capacity", "16A", "--phases", "4"), 2, "1<=x<=3"),
        (("--country", "Germany", "--capacity", "16A"), 1, "two capital letters"),
        (
            ("--country", "DE", "--capacity", "40A"),
            1,
            "capacity: 40.0 A is not allowed with a board of 32.0 A; 6.0 A to 32.0 A",
        ),
        (
            ("--country", "DE", "--capacity", "16A", "--voltage", "110V"),
            1,
            "voltage: 110 V is not allowed; one of 120 V, 230 V, 240 V",
        ),
        (("--country", "DE", "--capacity", "16A", "--rcd-type", "ac"), 1, "rcd_type: 'ac'"),
        (("--country", "DE", "--capacity", "16A", "--rcd-reclosures", "1"), 1, "1 is not allowed in DE; 0 to 0"),
        (("--country", "DE", "--capacity", "16A", "--rcd-retries", "1"), 1, "1 is not allowed in DE; 0 to 0"),
        (("--country", "UK", "--capacity", "16A"), 1, "country: 'UK' is not allowed (the United Kingdom is 'GB')"),
        (("--country", "XX", "--capacity", "16A"), 1, "country: 'XX' is not allowed; two capital letters"),
        (("--country", "US", "--capacity", "16A"), 1, "ccid_ma = 20, ground_monitor, frequency_hz = 60"),
        (("--country", "GB", "--capacity", "16A"), 2, "--open-pen is missing"),
        (
            ("--country", "GB", "--capacity", "16A", "--open-pen", "electrode", "--earthing", "tn"),
            1,
            "earthing: 'tn' is not allowed with open_pen 'electrode'; one of tt",
        ),
        (("--country", "GB", "--capacity", "16A", "--open-pen", "none"), 1, "open_pen: 'none' is not allowed"),
        (("--country", "FR", "--capacity", "16A"), 2, "--shutters is missing"),
        (("--country", "FR", "--capacity", "16A", "--no-shutters"), 1, "shutters: false is not allowed with a socket"),
        (("--country", "NL", "--capacity", "16A", "--no-shunt-release"), 1, "NL"),
        (("--country", "DE", "--capacity", "16A", "--earthing", "it"), 1, "earthing: 'it' is not allowed in DE"),
        (
            ("--country", "DE", "--capacity", "25A", "--phases", "1"),
            1,
            "capacity: 25.0 A is not allowed with fewer than 3 phases in DE, which may carry 20.0 A; 6.0 A to 20.0 A",
        ),
        (("--country", "DE", "--capacity", "16A", "--meter", "sdm999", "--meter-port", "/dev/x"), 1, "sdm999"),
        (("--country", "DE", "--capacity", "16A", "--cable-rating", "20A"), 1, "not allowed with a socket"),
        (("--country", "DE", "--capacity", "16A", "--board", "wallbux"), 1, "board 'wallbux' is unknown"),
        (("--country", "DE", "--capacity", "16A", "--board", "nsayer_pi_evse_hat"), 2, "--purpose is missing"),
        (
            ("--country", "DE", "--capacity", "16A", "--board", "nsayer_pi_evse_hat", "--purpose", "vehicles"),
            1,
            "purpose: 'vehicles' is not allowed on a board for the bench only",
        ),
        (
            ("--country", "DE", "--capacity", "16A", "--random-delay", "1801"),
            1,
            "random_delay: 1801 is not allowed; 0 to 1800",
        ),
    ],
)
def test_a_setup_that_cannot_be_is_refused_and_writes_nothing(
    tmp_path: Path, options: tuple[str, ...], status: int, words: str
) -> None:
    done = evse_pi(tmp_path, "setup", "--yes", *options)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "installation.toml").exists()


def test_a_setup_that_was_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    first = evse_pi(tmp_path, "setup", told="simulated\nAT\n1\n")  # and there the line broke
    assert first.returncode == 1
    assert not (tmp_path / "installation.toml").exists()
    second = evse_pi(tmp_path, "setup", told="\n\n\n\n\n\n16A\n\n\n\n\n")
    assert second.returncode == 0, second.stderr
    now = installation(tmp_path)
    assert (now.country, now.phases, now.circuit_capacity_ma) == ("AT", 1, 16_000)
    assert not (tmp_path / "setup.draft.json").exists()


def test_an_answer_that_cannot_be_is_refused_at_its_question_and_asked_again(tmp_path: Path) -> None:
    told = {
        "board": "wallbux\nsimulated\n",
        "country": "Germany\nde\n",
        "phases": "4\n3\n",
        "voltage": "110V\n230V\n",
        "earthing": "it\ntt\n",
        "cable": "rope\ntethered\n",
        "cable_rating": "5A\n20A\n",
        "capacity": "16\n32A\n16A\n",
        "rcd_type": "none\nB\n",
        "random_delay": "1801\n0\n",
        "ventilated": "perhaps\nno\n",
        "meter": "sdm999\nsdm120\nsdm630\n",
        "meter_port": "COM1\n/dev/ttyUSB0\n",
        "meter_unit": "248\n1\n",
        "meter_baud": "300\n9600\n",
        "meter_parity": "X\nn\n",
    }
    done = evse_pi(tmp_path, "setup", told="".join(told.values()))
    assert done.returncode == 0, done.stderr
    told_wrong = " ".join(done.stderr.split())
    for words in (
        "board 'wallbux' is unknown",
        "country: 'GERMANY' is not allowed; two capital letters",
        "4 is not in the range",
        "voltage: 110 V is not allowed; one of 120 V, 230 V, 240 V",
        "'rope' is not one of",
        "cable_rating: 5.0 A is not allowed; 6.0 A to 80.0 A",
        "'16': a number with its unit is required",
        "capacity: 32.0 A is not allowed with a fixed cable of 20.0 A; 6.0 A to 20.0 A",
        "rcd_type: 'none' is not allowed in DE",
        "earthing: 'it' is not allowed in DE; one of tn, tt",
        "random_delay: 1801 is not allowed; 0 to 1800",
        "'perhaps': yes or no",
        "meter: 'sdm999' is not allowed; one of board, none",
        "meter: 'sdm120' is not allowed on 3 phases, of which it would watch and count 1",
        "meter_port: 'COM1' is not allowed; a device",
        "meter_unit: 248 is not allowed; 1 to 247",
        "meter_baud: 300 is not allowed; 1200 to 115200",
        "'X' is not one of",
    ):
        assert words in told_wrong
    now = installation(tmp_path)
    assert (now.country, now.circuit_capacity_ma, now.tethered_cable_ma, now.rcd_type) == ("DE", 16_000, 20_000, "b")
    assert now.meter == ("sdm630", "/dev/ttyUSB0", 1, 9_600, "N", False, True)


def test_a_second_setup_keeps_what_it_is_not_told(box: Path) -> None:
    assert evse_pi(box, "setup", "--yes", "--rcd-type", "b").returncode == 0
    now = installation(box)
    assert (now.country, now.circuit_capacity_ma, now.rcd_type) == ("DE", 20_000, "b")


def test_capacity_is_shown_with_who_set_it(box: Path) -> None:
    shown = evse_pi(box, "capacity")
    assert shown.returncode == 0
    assert "20.0 A, 3 phase(s)" in shown.stdout
    assert "Jo Bloggs" in shown.stdout
    assert narrow(shown.stdout)
    facts = json.loads(evse_pi(box, "capacity", "show", "--json").stdout)
    assert json.loads(evse_pi(box, "capacity", "--json").stdout) == facts
    assert (facts["circuit_capacity_ma"], facts["seal"], facts["audit"]["intact"]) == (20_000, "intact", True)


def test_capacity_is_set_recorded_and_sealed(box: Path) -> None:
    done = evse_pi(box, "capacity", "set", "16A", "--phases", "1", "--name", "Ann", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["circuit_capacity_ma"], facts["former_ma"], facts["by"]) == (16_000, 20_000, "Ann")
    assert "does not run" in facts["state"]
    shown = json.loads(evse_pi(box, "capacity", "show", "--json").stdout)
    assert (shown["phases"], shown["seal"], shown["set_by"]["name"]) == (1, "intact", "Ann")


@pytest.mark.hazard("H-04")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("40A",), 1, "capacity: 40.0 A is not allowed with a board of 32.0 A"),
        (("5A",), 1, "6.0 A to 32.0 A"),
        (("5999mA",), 1, "5.999 A is not allowed"),
        (("16",), 2, "a number with its unit is required"),
        (("16V",), 2, "a number with its unit is required"),
        (("16.0001A",), 2, "a number with its unit is required"),
        (("nanA",), 2, "a number with its unit is required"),
        (("16A", "--phases", "0"), 2, "1<=x<=3"),
        (("16A", "--pin-stdin"), 1, "no installer PIN has been set"),
    ],
)
def test_a_capacity_that_cannot_be_is_refused_naming_who_limits(
    box: Path, arguments: tuple[str, ...], status: int, words: str
) -> None:
    before = (box / "installation.toml").read_bytes()
    done = evse_pi(box, "capacity", "set", *arguments)
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert (box / "installation.toml").read_bytes() == before


def test_the_fixed_cable_limits_the_capacity(tmp_path: Path) -> None:
    assert set_up(tmp_path, "--cable", "tethered", "--cable-rating", "20A").returncode == 0
    done = evse_pi(tmp_path, "capacity", "set", "25A")
    assert done.returncode == 1
    assert "with a fixed cable of 20.0 A" in done.stderr


def test_a_tampered_file_is_not_built_upon(box: Path) -> None:
    file = box / "installation.toml"
    file.write_text(file.read_text().replace("20000", "32000"))
    done = evse_pi(box, "capacity", "set", "16A")
    assert done.returncode == 1
    assert "the seal is broken" in done.stderr
    assert "BROKEN" in evse_pi(box, "capacity").stdout


def test_a_broken_record_is_shown(box: Path) -> None:
    trail = box / "audit.log"
    trail.write_text(trail.read_text().replace("Jo Bloggs", "Al Capone"))
    assert "CHAIN BROKEN" in evse_pi(box, "capacity").stdout


def test_a_pin_is_the_right_of_an_installer_and_a_wrong_one_is_on_record(box: Path) -> None:
    assert evse_pi(box, "setup", "--yes", "--set-pin-stdin", told="480213\n").returncode == 0
    assert evse_pi(box, "capacity", "set", "16A", "--pin-stdin", told="480213\n").returncode == 0
    for _ in range(3):
        done = evse_pi(box, "capacity", "set", "20A", "--pin-stdin", told="111222\n")
        assert done.returncode == 1
    assert "try again in 10 s" in done.stderr
    done = evse_pi(box, "capacity", "set", "20A", "--pin-stdin", told="480213\n")
    assert "3 wrong PINs; try again in" in done.stderr
    record = (box / "audit.log").read_text()
    assert '"right": "PIN"' in record
    assert record.count('"what": "refused"') == 3  # the fourth was refused without a look at its PIN
    assert "480213" not in record
    assert installation(box).circuit_capacity_ma == 16_000


def test_only_root_and_the_owner_of_the_folder_are_installers_without_a_pin(box: Path) -> None:
    box_settings, owner = BoxSettings(box, VirtualClock()), box.stat().st_uid
    assert box_settings.right_of(0) == "root"
    assert box_settings.right_of(owner) in ("root", "owner")
    with pytest.raises(ChangeRefused, match="only the installer may do this: use sudo, or give the installer PIN"):
        box_settings.right_of(owner + 1)


def test_calibrate_refuses_without_box_and_without_measurements(box: Path) -> None:
    done = evse_pi(box, "calibrate", "measure", "open")
    assert done.returncode == Exit.NOT_RUNNING
    assert "evse-pi run" in done.stderr
    done = evse_pi(box, "calibrate", "apply")
    assert done.returncode == 1
    assert "not measured yet: open, 6V, -12V" in done.stderr
    assert evse_pi(box, "calibrate", "measure", "5V").returncode == 2
    shown = json.loads(evse_pi(box, "calibrate", "show", "--json").stdout)
    assert (shown["gain_uv_per_code"], shown["measured"]) == (7_312, False)


def test_there_is_no_certificate_for_a_box_that_does_not_run(box: Path) -> None:
    done = evse_pi(box, "certificate")
    assert done.returncode == Exit.NOT_RUNNING
    assert "evse-pi run" in done.stderr


@pytest.mark.parametrize(("country", "phases"), [("AT", 3), ("US", 1), ("PR", 1)])
def test_one_phase_is_proposed_where_a_vehicle_takes_no_more(country: str, phases: int) -> None:
    """Source: SAE J1772, whose vehicle inlet has two contacts for the supply."""
    asked = next(question for question in questions() if question.key == "phases")
    assert asked.proposed(HouseAnswers(country=country), load_board("simulated")) == phases
