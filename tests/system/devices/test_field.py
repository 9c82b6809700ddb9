"""Thermometers, meters and the ADS1115 through unmodified smbus2 and pyserial, on emulated nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from boards.spec import MeterModel
from evse_pi.sim.signals import Analog
from evse_pi.sim.wiring import ChannelWiring, I2cWiring
from tests.support.board_console import Refused, board_emulation, console, quiet_settings
from tests.support.emulation import emulation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN_ALL = (
    "field = build_field(spec); meter = field.meter.open(); "
    "sensors = {slot.place: slot.open() for slot in field.thermometers}"
)
READ = "(lambda seen: [seen.voltage_mv, seen.current_ma, seen.power_mw, seen.total_power_mw, seen.energy_mwh])"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with board_emulation(tmp_path_factory.mktemp("box") / "sim") as emulated:
        yield emulated


@pytest.fixture(scope="module")
def field(simulated: Any) -> Iterator[Any]:
    with console(simulated, prepare=OPEN_ALL) as opened:
        yield opened


@pytest.fixture
def emulated(simulated: Any) -> Iterator[Any]:
    yield simulated
    simulated.client.verb("repair")
    simulated.client.call("meter")
    for address in (0x48, 0x4F, 0x18):
        simulated.client.call("i2c", address=address, silent=False)


@pytest.mark.parametrize("celsius", [-20.5, 0.0, 25.0, 71.5, 100.0])
@pytest.mark.parametrize(("place", "step"), [("contactor terminals", 7), ("socket contacts", 50), ("enclosure", 7)])
def test_each_thermometer_reads_its_place_within_its_step(
    emulated: Any, field: Any, place: Any, step: Any, celsius: Any
) -> None:
    emulated.client.verb("set_temperature", celsius=celsius, sensor=place)
    read = field.ask(f"sensors[{place!r}].read_centi_celsius()")
    assert abs(read - 100 * celsius) <= step


@pytest.mark.parametrize(
    ("place", "address"), [("contactor terminals", 0x48), ("socket contacts", 0x4F), ("enclosure", 0x18)]
)
def test_a_thermometer_that_falls_off_the_bus_is_named_and_comes_back(
    emulated: Any, field: Any, place: Any, address: Any
) -> None:
    emulated.client.call("i2c", address=address, silent=True)
    with pytest.raises(Refused) as caught:
        field.ask(f"sensors[{place!r}].read_centi_celsius()")
    kind, text = caught.value.args
    assert kind == "DeviceNotFound"
    assert f"{address:#04x}" in text
    emulated.client.call("i2c", address=address, silent=False)
    assert isinstance(field.ask(f"sensors[{place!r}].read_centi_celsius()"), int)


def test_the_meter_is_read_completely(emulated: Any, field: Any) -> None:
    voltage, current, power, total, energy = field.ask(f"{READ}(meter.read())")
    assert voltage == [230_000] * 3
    assert current == power == [0, 0, 0]
    assert (total, energy) == (0, 0)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("silent", "BusTimeout"),
        ("bad_crc", "BadReading"),
        ("cut", "BusTimeout"),
        ("wrong_address", "BadReading"),
        ("noise", "BadReading"),
        ("not_a_number", "BadReading"),
        ("exception", "BadReading"),
        ("byte_shifted", "BadReading"),
        ("foreign_answer", "BadReading"),
        ("second_master", "BadReading"),
        ("echo", "BadReading"),
        ("flood", "BadReading"),
        ("endless", "BadReading"),
    ],
)
def test_a_spoilt_answer_is_an_error_and_the_next_good_one_is_read(
    emulated: Any, field: Any, fault: Any, kind: Any
) -> None:
    """Whatever comes without end, a call of the driver ends: what was asked here is answered."""
    emulated.client.verb("break_meter_line", how=fault)
    assert any(refusal[0] == kind and "/dev/ttyAMA0" in refusal[1] for refusal in refusals(field, 40))
    emulated.client.verb("break_meter_line")
    for _ in refusals(field, 5):  # what still was on its way
        pass
    assert field.ask(f"{READ}(meter.read())")[0] == [230_000] * 3


def refusals(field: Any, tries: Any) -> Iterator[Any]:
    """Yield how each of so many readings was refused, those that were not left out."""
    for _ in range(tries):
        try:
            field.ask("meter.read().read_ns")
        except Refused as refused:
            yield refused.args


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("no_acknowledge", "DeviceNotFound"),
        ("stuck_high", "BadReading"),
        ("lost_arbitration", "BusTimeout"),
        ("hang", "BusTimeout"),
        ("garbage", "BadReading"),
    ],
)
def test_a_broken_i2c_bus_is_named_and_comes_back(emulated: Any, field: Any, fault: Any, kind: Any) -> None:
    """What an adapter of the kernel makes of it: linux/Documentation/i2c/fault-codes.rst."""
    emulated.client.verb("break_i2c", how=fault)
    found = set()
    for _ in range(20):
        try:
            field.ask("sensors['contactor terminals'].read_centi_celsius()")
        except Refused as refused:
            found.add(refused.args[0])
            if kind in found:
                break
    assert kind in found
    emulated.client.verb("break_i2c")
    assert isinstance(field.ask("sensors['contactor terminals'].read_centi_celsius()"), int)


@pytest.mark.parametrize("fault", ["stretch", "stuck_low"])
def test_a_slow_bus_is_waited_for_and_one_that_is_held_low_reads_0_degrees(
    emulated: Any, field: Any, fault: Any
) -> None:
    emulated.client.verb("break_i2c", how=fault)
    read = field.ask("sensors['contactor terminals'].read_centi_celsius()")
    assert abs(read - (0 if fault == "stuck_low" else 25_00)) <= 110


def test_an_answer_in_two_halves_is_read(emulated: Any, field: Any) -> None:
    emulated.client.call("meter", fault="split")
    assert field.ask(f"{READ}(meter.read())")[0] == [230_000] * 3


@pytest.mark.parametrize(("volts", "refused"), [(299.0, False), (320.0, True)])
def test_a_voltage_beyond_the_meters_range_is_refused(emulated: Any, field: Any, volts: Any, refused: Any) -> None:
    emulated.client.verb("set_voltage", volts=volts)
    if refused:
        with pytest.raises(Refused, match=r"voltage.*= 320000; must be 0\.\.300000"):
            field.ask("meter.read()")
    else:
        assert field.ask(f"{READ}(meter.read())")[0] == [299_000] * 3


def test_a_lost_phase_reads_zero_volts(emulated: Any, field: Any) -> None:
    emulated.client.verb("lose_phase", phase=1)
    assert field.ask(f"{READ}(meter.read())")[0] == [230_000, 0, 230_000]


@pytest.mark.parametrize("model", MeterModel)
def test_every_model_reads_the_quantities_it_has(tmp_path: Path, model: Any) -> None:
    spec = load_board("simulated", own=tmp_path)
    phases = 1 if model in (MeterModel.SDM120, MeterModel.SDM230) else 3
    has_phases = model is not MeterModel.SDM72D_M_V1
    assert spec.meter is not None
    spec = replace(spec, phases=phases, meter=replace(spec.meter, model=model))
    prepare = (
        "from dataclasses import replace; from boards.spec import MeterModel; "
        f"meter = build_field(spec, meter=replace(spec.meter, model=MeterModel({model.value!r}))).meter.open()"
    )
    with emulation(tmp_path / "sim", quiet_settings(spec)) as emulated, console(emulated, prepare=prepare) as field:
        voltage, current, power, total, energy = field.ask(f"{READ}(meter.read())")
    assert voltage == ([230_000] * phases if has_phases else [])
    assert len(current) == len(power) == len(voltage)
    assert (total, energy) == (0, 0)


def test_ads1115_reads_both_plateaus_behind_its_peak_detectors(tmp_path: Path) -> None:
    settings = quiet_settings(load_board("simulated", own=tmp_path))
    channels = tuple(
        ChannelWiring(channel, source, zero_mv=1_500, gain_ppm=100_000)
        for channel, source in ((0, Analog.PILOT_HIGH), (1, Analog.PILOT_LOW))
    )
    chips = (*settings.wiring.i2c, I2cWiring(0x4A, "ads1115", channels=channels))
    settings = replace(settings, wiring=replace(settings.wiring, i2c=chips))
    prepare = "board = build_safety(spec)"
    with emulation(tmp_path / "sim", settings) as emulated, console(emulated, prepare=prepare) as box:
        emulated.client.verb("plug_in", cable_ma=32_000)
        box.ask("board.pilot_pwm.set_duty(266_667)")
        high_mv, low_mv = box.ask(
            "(lambda scale: (lambda seen: [seen.high_mv, seen.low_mv])("
            "__import__('hal.sensors.ads1115', fromlist=['x']).PeakDetectorPilot("
            "__import__('hal.sensors.ads1115', fromlist=['x']).Ads1115(1, 0x4A),"
            "__import__('hal.gpio', fromlist=['x']).Gpio().output(6, 'peak reset'),"
            "(0, scale), (1, scale), time.monotonic_ns).read_peaks()))"
            "(type(scale)(gain_uv_per_code=1_250, offset_mv=-15_000))"
        )
    assert high_mv == pytest.approx(9_000, abs=60)
    assert low_mv == pytest.approx(-12_000, abs=60)
