"""What the installer sealed is believed whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards.loader import load_board
from boards.spec import MeterModel
from evse_pi.cli.setup import rows_of
from evse_pi.core.installation_limits import Installation
from evse_pi.installation.files import (
    SIMULATED_INSTALLATION,
    ConfigError,
    equipped,
    meter_of,
    meter_tells_totals_only,
    ratings,
    read_calibration,
    read_installation,
    read_proven,
    write_calibration,
    write_installation,
)
from evse_pi.installation.seal import KEY_FILE, make_key
from hal.linear_scale import LinearScale
from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from pathlib import Path

BOARD = load_board("simulated")
METERED = replace(
    SIMULATED_INSTALLATION,
    phases=1,
    circuit_capacity_ma=Milliamps(16_000),
    meter_model="sdm120",
    meter_port="/dev/ttyUSB0",
    meter_unit=7,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "installation.toml"
    write_installation(path, SIMULATED_INSTALLATION, make_key(tmp_path))
    return path


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_proven(file, BOARD)
    return str(caught.value)


def test_what_was_sealed_is_believed(file: Path) -> None:
    machine, scale = read_proven(file, BOARD)
    assert machine.installation == SIMULATED_INSTALLATION
    assert scale == BOARD.pilot_adc.scale


def test_only_its_owner_may_read_the_key_and_a_second_setup_keeps_it(file: Path) -> None:
    key = file.with_name(KEY_FILE)
    before = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o400
    assert make_key(file.parent) == before


@pytest.mark.hazard("H-17")
@given(data=st.data())
def test_any_changed_byte_breaks_the_seal(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("box")
    file = folder / "installation.toml"
    write_installation(file, SIMULATED_INSTALLATION, make_key(folder))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    assert "seal" in refusal(file)


@pytest.mark.hazard("H-17")
@given(data=st.data())
def test_a_torn_file_is_never_believed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("box")
    file = folder / "installation.toml"
    write_installation(file, SIMULATED_INSTALLATION, make_key(folder))
    content = file.read_bytes()
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert "seal" in refusal(file)


@pytest.mark.hazard("H-17")
def test_a_seal_without_its_key_and_a_file_of_another_box_are_refused(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "installation.toml").write_bytes(file.read_bytes())
    assert "seal.key is missing" in refusal(other / "installation.toml")
    make_key(other)
    assert "the seal is broken" in refusal(other / "installation.toml")
    file.with_name(KEY_FILE).chmod(0o600)
    file.with_name(KEY_FILE).write_bytes(b"short")
    assert "5 bytes; a key has 32" in refusal(file)


@pytest.mark.hazard("H-17")
def test_a_file_that_bypasses_the_seal_is_refused_once_there_is_a_key(file: Path) -> None:
    write_installation(file, replace(SIMULATED_INSTALLATION, circuit_capacity_ma=Milliamps(6_000)))
    assert "the seal is missing" in refusal(file)


def test_a_box_that_was_never_set_up_has_nothing_to_prove(tmp_path: Path) -> None:
    write_installation(tmp_path / "installation.toml", SIMULATED_INSTALLATION)
    assert read_proven(tmp_path / "installation.toml", BOARD)[0].installation == SIMULATED_INSTALLATION


def test_every_entry_survives_writing(tmp_path: Path) -> None:
    path = tmp_path / "installation.toml"
    whole = Installation(
        circuit_capacity_ma=Milliamps(16_000),
        phases=1,
        country="GB",
        earthing="tt",
        open_pen="electrode",
        shutters=True,
        ventilated=True,
        tethered_cable_ma=Milliamps(20_000),
        rcd_type="a",
        random_delay_s=600,
        meter_model="sdm630",
        meter_port="/dev/ttyUSB0",
        meter_unit=3,
        meter_baud=19_200,
        meter_parity="E",
    )
    write_installation(path, whole)
    assert read_installation(path, ratings(BOARD)) == whole


def test_the_fitted_cable_and_meter_are_what_the_machine_works_with(file: Path) -> None:
    key = make_key(file.parent)
    write_installation(file, replace(SIMULATED_INSTALLATION, tethered_cable_ma=Milliamps(32_000)), key)
    assert read_proven(file, BOARD)[0].board.tethered_cable_ma == 32_000
    assert not read_proven(file, BOARD)[0].board.proximity_fitted
    for model, fitted in (("none", False), ("board", True)):
        write_installation(file, replace(SIMULATED_INSTALLATION, meter_model=model), key)
        assert read_proven(file, BOARD)[0].board.meter_fitted is fitted
    write_installation(file, METERED, key)
    assert read_proven(file, replace(BOARD, meter=None))[0].board.meter_fitted


def test_the_node_opens_the_fitted_meter(file: Path) -> None:
    write_installation(file, METERED, make_key(file.parent))
    meter = equipped(BOARD, file).meter
    assert meter is not None
    assert (meter.model, meter.port, meter.unit) == (MeterModel.SDM120, "/dev/ttyUSB0", 7)
    assert meter_of(BOARD, replace(METERED, meter_model="none")) is None
    file.unlink()
    assert equipped(BOARD, file) == BOARD


@pytest.mark.parametrize(("board_says", "installer_says", "turned"), [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_an_inverted_meter_is_turned_against_what_the_board_says(
    board_says: int, installer_says: int, turned: int
) -> None:
    assert BOARD.meter is not None
    board = replace(BOARD, meter=replace(BOARD.meter, current_inverted=bool(board_says)))
    meter = meter_of(board, replace(SIMULATED_INSTALLATION, meter_inverted=bool(installer_says), neutral=False))
    assert meter is not None
    assert (meter.current_inverted, meter.neutral) == (bool(turned), False)


def test_what_a_meter_of_totals_does_not_watch_is_said() -> None:
    totals = replace(SIMULATED_INSTALLATION, meter_model="sdm72d_m_v1", meter_port="/dev/ttyUSB0")
    assert meter_tells_totals_only(BOARD, totals)
    assert not meter_tells_totals_only(BOARD, SIMULATED_INSTALLATION)
    assert "tells no currents and voltages" in dict(rows_of(BOARD, totals))["meter"]


@pytest.mark.hazard("H-17")
@pytest.mark.parametrize(
    ("changes", "telling"),
    [
        ({"meter_model": "sdm999", "meter_port": "/dev/x"}, ["meter_model", "sdm999", "sdm630"]),
        (
            {"meter_model": "sdm120", "meter_port": "/dev/x"},
            ["meter_model: 'sdm120' is not allowed on 3 phases", "count 1; one of sdm630, sdm72d_m, sdm72d_m_v1, none"],
        ),
        ({"neutral": False, "phases": 1}, ["neutral: false is not allowed with fewer than 3 phases"]),
        ({"meter_model": "sdm630"}, ["meter_port", "''", "/dev/ttyAMA0"]),
        ({"meter_port": "/dev/ttyUSB0"}, ["meter_port", "without a meter_model"]),
        ({"meter_model": "sdm630", "meter_port": "/dev/x", "meter_unit": 248}, ["meter_unit", "248", "247"]),
        ({"meter_model": "sdm630", "meter_port": "/dev/x", "meter_baud": 300}, ["meter_baud", "300", "1200"]),
        ({"meter_model": "sdm630", "meter_port": "/dev/x", "meter_parity": "X"}, ["meter_parity", "'X'", "N, E, O"]),
        ({"rcd_type": "ac"}, ["rcd_type", "'ac'", "a_rdc_dd"]),
        ({"rcd_type": "none"}, ["rcd_type", "not allowed in DE"]),
        ({"tethered_cable_ma": 20_000}, ["circuit_capacity_ma", "32000", "fixed cable of 20000 mA"]),
        ({"tethered_cable_ma": 5_000}, ["tethered_cable_ma", "5000", "6000"]),
        ({"random_delay_s": 1_801}, ["random_delay_s", "1801", "1800"]),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, changes: dict[str, Any], telling: list[str]) -> None:
    path = tmp_path / "installation.toml"
    write_installation(path, replace(SIMULATED_INSTALLATION, **changes))
    message = refusal(path)
    for part in telling:
        assert part in message


def test_a_board_without_residual_current_detection_needs_it_upstream(tmp_path: Path) -> None:
    blind = replace(ratings(BOARD), rcd_fitted=False, rcd_dc_ma=None)
    path = tmp_path / "installation.toml"
    write_installation(path, replace(SIMULATED_INSTALLATION, rcd_type="a"))
    with pytest.raises(ConfigError, match="must see 6 mA DC for it and sees none; one of a_rdc_dd, b"):
        read_installation(path, blind)
    write_installation(path, replace(SIMULATED_INSTALLATION, rcd_type="b"))
    assert read_installation(path, blind).rcd_type == "b"


def test_the_box_may_be_the_only_protection_where_the_country_has_it_so(tmp_path: Path) -> None:
    path = tmp_path / "installation.toml"
    write_installation(path, replace(SIMULATED_INSTALLATION, country="US", phases=1, rcd_type="none"))
    there = replace(ratings(BOARD), north_american=True, rcd_ac_ma=Milliamps(20))
    assert read_installation(path, there).rcd_type == "none"
    for less in ({"rcd_fitted": False}, {"rcd_ac_ma": 30}, {"rcd_ac_ma": None}):
        with pytest.raises(ConfigError, match="rcd_type: 'none' is not allowed in US with this board"):
            read_installation(path, replace(there, **less))


def test_a_measured_scale_is_used_and_one_that_cannot_be_is_refused(file: Path) -> None:
    own, key = file.with_name("calibration.toml"), make_key(file.parent)
    assert read_calibration(own, BOARD) is None
    good = LinearScale(7_400, Millivolts(-15_100))
    write_calibration(own, BOARD, good, key)
    assert read_proven(file, BOARD)[1] == good
    write_calibration(own, replace(BOARD, name="other"), good, key)
    assert "board = 'simulated'" in refusal(file)
    write_calibration(own, BOARD, LinearScale(7_400, Millivolts(-12_000)), key)
    assert "moves" in refusal(file)
    write_calibration(own, BOARD, LinearScale(0, Millivolts(0)), key)
    assert "gain 0" in refusal(file)
    write_calibration(own, BOARD, good, key)
    own.write_bytes(own.read_bytes().replace(b"7400", b"7300"))
    assert "the seal is broken" in refusal(file)
