"""Every fault of the plant's meter, seen by the real driver and judged by the node: what is told, and what is stopped.

What the safety process does without a reading for 15 s: `tests/component/state_machine/test_deadlines.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from boards.spec import MeterModel
from evse_pi.sim.meter_model import MeterFault
from hal.units import Milliamps
from tests.support.metered_node import HOUSE, MeteredNode

CURRENTS_MA = [6_000, 30_000, 80_000]
MODELS = [MeterModel.SDM230, MeterModel.SDM630, MeterModel.SDM72D_M]  # the SDM120 is made for 45 A


@pytest.mark.parametrize("draw_ma", CURRENTS_MA)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.value)
def test_a_good_meter_is_believed_and_counts(model: MeterModel, draw_ma: int) -> None:
    node = MeteredNode(model, draw_ma=draw_ma)
    before_mwh, true_before = node.energy_mwh, node.plant.state()["energy_mwh"]
    node.wait(300)
    assert (node.told, node.blind) == ("", False)
    assert node.energy_mwh - before_mwh == pytest.approx(node.plant.state()["energy_mwh"] - true_before, rel=0.03)


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("draw_ma", CURRENTS_MA)
def test_a_meter_that_freezes_while_a_vehicle_charges_is_not_used(draw_ma: int) -> None:
    """Another current flows than the meter shows for ever."""
    node = MeteredNode(draw_ma=draw_ma)
    node.do("freeze_meter")
    node.do("draw", ma=80_000 if draw_ma < 80_000 else 6_000)
    node.wait(180)
    assert node.blind
    assert "its energy stands still" in node.told
    node.do("repair")
    node.wait(30)
    assert (node.told, node.blind) == ("", False)


@pytest.mark.hazard("H-16")
def test_a_meter_that_froze_at_0_a_before_the_vehicle_began_is_not_used() -> None:
    node = MeteredNode(draw_ma=0)
    node.wait(60)
    node.do("freeze_meter")
    node.do("draw", ma=32_000)
    node.wait(330)
    assert max(node.plant.mains.amps) == 32
    assert node.blind
    assert "no register has moved for five minutes" in node.told


@pytest.mark.parametrize("draw_ma", CURRENTS_MA)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.value)
def test_a_meter_that_is_wired_backwards_is_named_and_energy_goes_on(model: MeterModel, draw_ma: int) -> None:
    node = MeteredNode(model, draw_ma=draw_ma)
    node.do("reverse_meter")
    node.wait(20)
    begun_mwh = node.energy_mwh
    node.wait(600)
    phases = len(node.plant.mains.amps)
    hour_mwh = sum(1_000 * node.plant.mains.watts(phase) for phase in range(phases))
    assert node.energy_mwh - begun_mwh == pytest.approx(hour_mwh / 6, rel=0.01)
    assert not node.blind
    assert "wired backwards" in node.told
    assert node.box.power_mw() == (pytest.approx(hour_mwh, rel=0.01), True)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.value)
def test_a_meter_that_is_said_to_be_inverted_is_as_good_as_any(model: MeterModel) -> None:
    """Eastron's protocols have the exported energy at 0x004A."""
    node = MeteredNode(model, replace(HOUSE, meter_inverted=True))
    node.do("reverse_meter")
    node.wait(30)
    before_mwh, true_before = node.energy_mwh, sum(node.plant.meter().export_kwh)
    node.wait(300)
    counted_mwh = 1_000_000 * (sum(node.plant.meter().export_kwh) - true_before)
    assert node.energy_mwh - before_mwh == pytest.approx(counted_mwh, rel=0.01)
    assert (node.told, node.blind) == ("", False)
    power_mw, estimated = node.box.power_mw()
    assert power_mw is not None
    assert power_mw > 0
    assert not estimated


@pytest.mark.parametrize("draw_ma", CURRENTS_MA)
def test_one_phase_that_is_wired_backwards_is_named_and_energy_goes_on(draw_ma: int) -> None:
    node = MeteredNode(draw_ma=draw_ma)
    node.do("reverse_meter", phase=1)
    node.wait(20)
    begun_mwh = node.energy_mwh
    node.wait(600)
    hour_mwh = sum(1_000 * node.plant.mains.watts(phase) for phase in range(3))
    assert node.energy_mwh - begun_mwh == pytest.approx(hour_mwh / 6, rel=0.02)
    assert "L2 goes through it backwards" in node.told
    assert not node.blind


def test_a_meter_that_shows_kilowatts_is_named_and_power_and_energy_go_on() -> None:
    node = MeteredNode()
    node.do("scale_meter_power", ppm=1_000)
    node.wait(20)
    begun_mwh = node.energy_mwh
    node.wait(600)
    assert "another unit, such as kW" in node.told
    assert not node.blind
    hour_mwh = sum(1_000 * node.plant.mains.watts(phase) for phase in range(3))
    assert node.energy_mwh - begun_mwh == pytest.approx(hour_mwh / 6, rel=0.02)
    assert node.box.power_mw() == (pytest.approx(hour_mwh, rel=0.02), True)  # the power factor is 0.99


@pytest.mark.parametrize("kwh", [500.0, 2.0, -1.0])
def test_a_counter_that_jumps_or_falls_costs_no_energy_and_no_charge(kwh: float) -> None:
    node = MeteredNode()
    node.do("step_meter_energy", kwh=100.0)
    node.wait(60)
    begun_mwh, replaced = node.energy_mwh, node.box.counter.replaced
    node.do("step_meter_energy", kwh=100.0 + kwh)
    node.wait(600)
    hour_mwh = sum(1_000 * node.plant.mains.watts(phase) for phase in range(3))
    assert node.energy_mwh - begun_mwh == pytest.approx(hour_mwh / 6, rel=0.02)
    assert not node.blind
    assert node.box.counter.replaced == replaced + 1


NAMED = {
    MeterFault.SILENT: "0 of 3 bytes",
    MeterFault.BAD_CRC: "CRC of",
    MeterFault.CUT: "bytes within",
    MeterFault.WRONG_ADDRESS: "answer begins 41",
    MeterFault.NOISE: "answer begins 00ff55",
    MeterFault.NOT_A_NUMBER: "is no number",
    MeterFault.EXCEPTION: "refuses: device failure",
    MeterFault.BYTE_SHIFTED: "register",
    MeterFault.FOREIGN_ANSWER: "register",
    MeterFault.SECOND_MASTER: "second master",
    MeterFault.ECHO: "the adapter echoes",
    MeterFault.FLOOD: "second master",
    MeterFault.ENDLESS: "bytes came unasked",
}
"""What is told of each; SPLIT is no fault, a slow adapter does that."""


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("draw_ma", [0, 16_000])
@pytest.mark.parametrize("fault", MeterFault, ids=str)
def test_every_fault_of_the_line_is_named_and_none_is_taken_for_a_reading(fault: MeterFault, draw_ma: int) -> None:
    node = MeteredNode(draw_ma=draw_ma)
    node.do("break_meter_line", how=fault.value)
    told: set[str] = set()
    for _ in range(60):
        node.wait(1)
        told.add(node.told)
    right: Any = node.plant.meter()
    if fault is MeterFault.SPLIT:
        assert (node.told, node.blind) == ("", False)
        return
    assert node.blind
    assert any(NAMED[fault] in text for text in told), told
    newest = node.probe.newest
    assert newest is not None
    assert newest.value.current_ma == (Milliamps(round(1000 * right.amps[0])),) * 3
    assert max(line.most_waiting for line in node.lines) <= 4_096
    node.do("repair")
    node.wait(30)
    assert (node.told, node.blind) == ("", False)


FOREIGN_POLLS = [0x00, 0x06, 0x0C, 0x12, 0x1E, 0x34, 0x46, 0x48, 0xC8, 0x156]


@pytest.mark.hazard("H-16")
@pytest.mark.parametrize("draw_ma", [0, *CURRENTS_MA])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.value)
def test_no_frame_of_another_request_becomes_a_current_that_does_not_flow(model: MeterModel, draw_ma: int) -> None:
    """Another master reads the same meter: its answer has our unit, length and check (serkri/SmartEVSE-3#132)."""
    node = MeteredNode(model, draw_ma=draw_ma)
    newest = node.probe.newest
    assert newest is not None
    right = newest.value
    meter = node.lines[-1]._meter
    honest = type(meter).answer

    for wrong_request in range(8):
        for start in FOREIGN_POLLS:
            asked = 0

            def foreign(self: Any, frame: bytes, at: int = start, which: int = wrong_request) -> bytes:
                nonlocal asked
                asked += 1
                if asked - 1 != which:
                    return honest(self, frame)
                from evse_pi.sim.devices.modbus import crc

                body = frame[:2] + at.to_bytes(2, "big") + frame[4:6]
                return honest(self, body + crc(body))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(meter), "answer", foreign)
                node.wait(1)
            seen = node.probe.newest
            assert seen is not None
            for shown_ma, true_ma in zip(seen.value.current_ma, right.current_ma, strict=True):
                assert abs(shown_ma - true_ma) <= WRONG_BY_MA, (wrong_request, hex(start), seen.value)
            node.wait(5)


WRONG_BY_MA = 500


def test_three_lines_without_a_neutral_are_judged_between_lines() -> None:
    """3 x 230 V between lines is 133 V to the star point; Eastron's protocols have the lines' voltages at 0x00C8."""
    node = MeteredNode(house=replace(HOUSE, neutral=False))
    for phase in range(3):
        node.do("set_voltage", volts=132.8, phase=phase)
    node.wait(60)
    sample = node.box.demand().meter
    assert sample is not None
    assert all(225_000 <= each <= 231_000 for each in sample.voltage_mv)
    assert (node.told, node.blind) == ("", False)
