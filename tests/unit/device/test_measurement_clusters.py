"""Power, energy, temperature and mains: what is shown, what is null, what is told and how often."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from evse_pi.charging.session import Session
from evse_pi.device.electrical_energy_measurement import ElectricalEnergyMeasurementServer
from evse_pi.device.electrical_power_measurement import power_measurement
from evse_pi.device.measurement_accuracy import METERS, Quantity, power_accuracies
from evse_pi.device.power_source import PowerSourceServer
from evse_pi.device.power_topology import PowerTopologyServer
from evse_pi.device.temperature_measurement import TemperatureMeasurementServer
from evse_pi.matter.storage import MemoryStore
from evse_pi.sim.harness.virtual_clock import VirtualClock
from hal.interfaces import MeterReading
from hal.meters.sdm72d_m import SDM72D_M, SDM72D_M_V1
from hal.meters.sdm120 import SDM120
from hal.meters.sdm230 import SDM230
from hal.meters.sdm630 import SDM630
from hal.units import CentiCelsius, Milliamps, Millihertz, Millivolts, MilliwattHours, Milliwatts
from tests.support.evse_bench import NOW_S
from tests.support.model_bench import attached, model_node
from tests.support.shown_views import IDLE, ShownViews

KWH = 1_000_000
THREE_PHASES = MeterReading(
    voltage_mv=(Millivolts(229_000), Millivolts(230_000), Millivolts(231_000)),
    current_ma=(Milliamps(16_000), Milliamps(15_900), Milliamps(16_100)),
    power_mw=(Milliwatts(3_660_000), Milliwatts(3_657_000), Milliwatts(3_719_000)),
    total_power_mw=Milliwatts(11_036_000),
    energy_mwh=MilliwattHours(7 * KWH),
    frequency_mhz=Millihertz(49_980),
    read_ns=0,
)
ATTRIBUTES = ("active_power", "voltage", "active_current", "rms_voltage", "rms_current", "frequency")


async def power(reading: MeterReading | None, model: str | None = "sdm72d_m", **view: Any) -> Any:
    power_mw = None if reading is None else reading.total_power_mw
    charger = ShownViews(replace(IDLE, meter=reading, **({"power_mw": power_mw} | view)))
    server = power_measurement(charger, None if model is None else METERS[model])  # type: ignore[arg-type]
    await attached(server)
    return server


def ids(server: Any) -> list[int]:
    return sorted(key for key in server.cluster.attributes if key < 0xF000)


async def test_a_meter_shows_all_that_it_reads() -> None:
    server = await power(THREE_PHASES)
    shown = [getattr(server.state, name) for name in ATTRIBUTES]
    assert shown == [11_036_000, 230_000, 47_982, 230_000, 48_000, 49_980]
    assert (server.cluster.revision, server.cluster.feature_map, ids(server)) == (3, 2, [0, 1, 2, 4, 5, 8, 11, 12, 14])


async def test_a_stale_meter_shows_nothing() -> None:
    server = await power(None)
    assert [getattr(server.state, name) for name in ATTRIBUTES] == [None] * 6


async def test_a_phase_that_is_not_connected_does_not_lower_the_voltage() -> None:
    one = replace(THREE_PHASES, voltage_mv=(Millivolts(230_000), Millivolts(0), Millivolts(0)))
    assert (await power(one)).state.voltage == 230_000


async def test_what_no_accuracy_is_known_of_is_not_shown() -> None:
    low = replace(THREE_PHASES, voltage_mv=(Millivolts(120_000),) * 3, frequency_mhz=Millihertz(30_000))
    state = (await power(low)).state
    assert (state.voltage, state.rms_voltage, state.active_current, state.frequency) == (None, None, None, None)
    assert (state.active_power, state.rms_current) == (11_036_000, 48_000)


async def test_a_meter_with_totals_only_has_no_attributes_that_it_cannot_fill() -> None:
    totals = replace(THREE_PHASES, voltage_mv=(), current_ma=(), power_mw=(), frequency_mhz=None)
    server = await power(totals, "sdm72d_m_v1")
    assert ids(server) == [0, 1, 2, 8]
    assert server.state.active_power == 11_036_000


async def test_without_a_meter_the_power_is_marked_as_an_estimate() -> None:
    server = await power(None, None, power_mw=Milliwatts(11_040_000), power_estimated=True, meter_fitted=False)
    assert ids(server) == [0, 1, 2, 8]
    assert server.state.active_power == 11_040_000
    (accuracy,) = server.state.accuracy
    assert accuracy.measured is False
    assert accuracy.accuracyRanges[0].percentMax == 10_000


@pytest.mark.parametrize("model", [*METERS, None])
async def test_every_quantity_that_is_shown_has_an_accuracy_without_gaps(model: str | None) -> None:
    server = await power(None, model)
    accuracies = server.state.accuracy
    assert server.state.number_of_measurement_types == len(accuracies)
    names = {Quantity.kVoltage: 4, Quantity.kActiveCurrent: 5, Quantity.kActivePower: 8, Quantity.kRMSVoltage: 11,
             Quantity.kRMSCurrent: 12, Quantity.kFrequency: 14}  # fmt: skip
    assert sorted(names[one.measurementType] for one in accuracies) == [key for key in ids(server) if key > 2]
    for one in accuracies:
        ranges = one.accuracyRanges
        assert (ranges[0].rangeMin, ranges[-1].rangeMax) == (one.minMeasuredValue, one.maxMeasuredValue)
        assert all(below.rangeMax + 1 == above.rangeMin for below, above in pairwise(ranges))
        assert all((each.percentMax is None) != (each.fixedMax is None) for each in ranges)


@pytest.mark.parametrize(
    ("model", "voltage", "power", "current", "frequency"),
    [
        ("sdm120", {"fixedMax": 1_380}, {"fixedMax": 124_200}, {"fixedMax": 225}, {"fixedMax": 120}),
        ("sdm230", {"fixedMax": 1_380}, {"fixedMax": 276_000}, {"fixedMax": 500}, {"fixedMax": 120}),
        ("sdm630", {"fixedMax": 1_445}, {"fixedMax": 867_000}, {"fixedMax": 1_500}, {"fixedMax": 120}),
        ("sdm72d_m", {"percentMax": 50}, {"percentMax": 100}, {"percentMax": 50}, {"percentMax": 20}),
    ],
)
async def test_each_meter_promises_what_its_maker_does(
    model: str, voltage: dict[str, int], power: dict[str, int], current: dict[str, int], frequency: dict[str, int]
) -> None:
    accuracies = {one.measurementType: one.accuracyRanges[-1] for one in power_accuracies(METERS[model], 0)}
    expected = {
        Quantity.kVoltage: voltage,
        Quantity.kActivePower: power,
        Quantity.kRMSCurrent: current,
        Quantity.kFrequency: frequency,
    }
    for quantity, by in expected.items():
        found = accuracies[quantity]
        kinds = {"fixedMax": found.fixedMax, "percentMax": found.percentMax}
        assert {kind: value for kind, value in kinds.items() if value is not None} == by, quantity


async def test_a_current_made_of_power_and_voltage_is_as_bad_as_both() -> None:
    meter = METERS["sdm120"]
    accuracy = next(
        one for one in power_accuracies(meter, 0) if one.measurementType == Quantity.kActiveCurrent
    ).accuracyRanges[0]
    worst_mw = meter.max_power_mw // 100
    for voltage_mv in meter.voltage_mv:
        off_by_ma = worst_mw * 1000 // voltage_mv
        assert off_by_ma <= accuracy.fixedMax
    assert accuracy.fixedMax == 45_000 * 236 // 10_000


def test_every_meter_that_can_be_fitted_has_its_figures() -> None:
    tables = (SDM120, SDM230, SDM630, SDM72D_M, SDM72D_M_V1)
    assert {table.model for table in tables} == set(METERS)
    for table in tables:
        meter = METERS[table.model]
        assert meter.phases == (max(len(table.voltage), 1) if meter.by_phase else 3)
        assert meter.max_current_ma <= table.overload_ma


async def test_power_is_reported_once_a_second_at_most() -> None:
    charger = ShownViews(replace(IDLE, meter=THREE_PHASES, power_mw=Milliwatts(1)))
    server = power_measurement(charger, METERS["sdm72d_m"])  # type: ignore[arg-type]
    node = await attached(server)
    reports: list[Any] = []
    node.changes.on(reports.append)
    for power_mw in range(2, 50):
        charger.become(power_mw=Milliwatts(power_mw))
    assert len(reports) <= 1
    assert server.state.active_power == 49


class EnergyBench:
    """The energy cluster with its box and its clock."""

    def __init__(self, store: MemoryStore | None = None, charger: ShownViews | None = None) -> None:
        self.charger = charger or ShownViews()
        self.clock = VirtualClock()
        self.store = store or MemoryStore()
        self.told: list[int] = []
        self.reports = 0

    async def start(self, meter: str | None = "sdm120") -> EnergyBench:
        accuracy = None if meter is None else METERS[meter]
        self.server: Any = ElectricalEnergyMeasurementServer(self.charger, self.clock, accuracy)  # type: ignore[arg-type]
        self.node = await attached(self.server, node=model_node(self.store))
        self.server.events.cumulative_energy_measured.on(lambda event: self.told.append(event.energyImported.energy))
        self.node.changes.on(lambda _: setattr(self, "reports", self.reports + 1))
        return self

    def session(self, number: int, energy_mwh: int) -> None:
        self.charger.become(session=Session(number, 0, energy_mwh=MilliwattHours(energy_mwh)), current_may_flow=True)

    def end(self) -> None:
        view = self.charger.view()
        assert view.session is not None
        self.charger.become(session=None, last_session=view.session.ended(view.now_ns, None), current_may_flow=False)

    @property
    def energy_mwh(self) -> int:
        return int(self.server.state.cumulative_energy_imported.energy)


async def test_the_total_is_the_sum_of_all_sessions() -> None:
    bench = await EnergyBench().start()
    assert bench.energy_mwh == 0
    for number in (1, 2, 3):
        bench.session(number, 4 * KWH)
        assert bench.energy_mwh == (number - 1) * 4 * KWH + 4 * KWH
        bench.end()
        assert bench.energy_mwh == number * 4 * KWH


async def test_the_total_survives_a_restart_with_and_without_a_session() -> None:
    bench = await EnergyBench().start()
    bench.session(1, 4 * KWH)
    bench.end()
    bench.session(2, 3 * KWH)
    again = await EnergyBench(bench.store, ShownViews(bench.charger.view())).start()
    assert again.energy_mwh == 7 * KWH
    again.end()
    third = await EnergyBench(bench.store, ShownViews(again.charger.view())).start()
    assert third.energy_mwh == 7 * KWH


async def test_a_session_that_ended_while_the_process_was_away_is_counted_once() -> None:
    bench = await EnergyBench().start()
    bench.session(1, 4 * KWH)
    await bench.node.close()
    bench.end()
    for _ in range(2):
        bench = await EnergyBench(bench.store, ShownViews(bench.charger.view())).start()
        assert bench.energy_mwh == 4 * KWH


async def test_the_event_comes_once_a_minute_while_energy_flows_and_at_its_end() -> None:
    bench = await EnergyBench().start()
    bench.session(1, 0)
    for _ in range(150):
        bench.charger.spend(1, 1_000)
    assert bench.told == [1_000, 61_000, 121_000]
    bench.charger.become(current_may_flow=False)
    assert bench.told[-1] == 150_000
    for _ in range(150):
        bench.charger.spend(1)
    assert len(bench.told) == 4


async def test_nothing_is_reported_while_nothing_flows_and_little_while_it_does() -> None:
    bench = await EnergyBench().start()
    for _ in range(20):
        bench.charger.spend(1)
    assert bench.reports == 0
    bench.session(1, 0)
    for _ in range(20):
        bench.charger.spend(1, 1_000)
    assert bench.reports <= 1


async def test_a_measurement_is_dated_or_counted_from_the_start_of_the_machine() -> None:
    bench = await EnergyBench().start()
    bench.session(1, 5)
    shown = bench.server.state.cumulative_energy_imported
    assert (shown.endTimestamp, shown.endSystime) == (NOW_S, None)
    bench.clock.set_unix_s(None)
    bench.session(1, 6)
    shown = bench.server.state.cumulative_energy_imported
    assert (shown.endTimestamp, shown.endSystime) == (None, 1_000_000)


@pytest.mark.parametrize(("meter", "is_measured", "percent"), [("sdm120", True, 100), (None, False, 10_000)])
async def test_the_accuracy_of_the_energy_says_whether_it_is_measured(
    meter: str | None, is_measured: bool, percent: int
) -> None:
    bench = await EnergyBench().start(meter)
    accuracy = bench.server.state.accuracy
    assert (accuracy.measurementType, accuracy.measured) == (Quantity.kElectricalEnergy, is_measured)
    assert accuracy.accuracyRanges[0].percentMax == percent
    cluster = bench.server.cluster
    assert (cluster.revision, cluster.feature_map, ids(bench.server)) == (1, 0b101, [0, 1])


async def test_a_torn_total_is_dropped() -> None:
    store = MemoryStore({"charged-energy/1": b"[17"})
    assert (await EnergyBench(store).start()).energy_mwh == 0


async def test_the_temperature_moves_by_half_degrees_and_is_null_without_a_sensor() -> None:
    charger = ShownViews()
    server = TemperatureMeasurementServer(charger)  # type: ignore[arg-type]
    await attached(server)
    shown = []
    for value in (None, 2_500, 2_549, 2_550, 2_501, 2_500, None, -4_001, 12_500):
        charger.become(temperature=None if value is None else CentiCelsius(value))
        shown.append(server.state.measured_value)
    assert shown == [None, 2_500, 2_500, 2_550, 2_550, 2_500, None, None, 12_500]
    assert (server.cluster.revision, server.cluster.feature_map, ids(server)) == (4, 0, [0, 1, 2])
    assert (server.state.min_measured_value, server.state.max_measured_value) == (-4_000, 12_500)


async def test_the_mains_feed_the_endpoint_and_the_node_is_what_is_measured() -> None:
    source, topology = PowerSourceServer(), PowerTopologyServer()
    await attached(source, topology)
    assert (source.cluster.revision, source.cluster.feature_map, ids(source)) == (3, 1, [0, 1, 2, 5, 31])
    assert (source.state.status, source.state.wired_current_type, source.state.endpoint_list) == (1, 0, (1,))
    assert (topology.cluster.revision, topology.cluster.feature_map, ids(topology)) == (1, 1, [])
