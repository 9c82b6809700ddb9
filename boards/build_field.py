"""From a BoardSpec to the slow devices of the node process, each opened by its own bus thread, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from boards.spec import HEADER, MeterModel, TemperatureChip
from hal.meters.eastron import EastronMeter
from hal.meters.modbus_rtu import ModbusRtu
from hal.meters.sdm72d_m import SDM72D_M, SDM72D_M_V1
from hal.meters.sdm120 import SDM120
from hal.meters.sdm230 import SDM230
from hal.meters.sdm630 import SDM630
from hal.pi_models import header_uart, this_model
from hal.sensors.lm75 import Lm75
from hal.sensors.mcp9808 import Mcp9808
from hal.sensors.tmp102 import Tmp102

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.spec import BoardSpec, MeterSpec, TemperatureSpec
    from hal.interfaces import Meter, TemperatureSensor

TABLES = {
    MeterModel.SDM120: SDM120,
    MeterModel.SDM230: SDM230,
    MeterModel.SDM630: SDM630,
    MeterModel.SDM72D_M: SDM72D_M,
    MeterModel.SDM72D_M_V1: SDM72D_M_V1,
}
SENSORS: dict[TemperatureChip, type[Tmp102 | Lm75 | Mcp9808]] = {
    TemperatureChip.TMP102: Tmp102,
    TemperatureChip.LM75: Lm75,
    TemperatureChip.MCP9808: Mcp9808,
}


@dataclass(frozen=True, slots=True)
class MeterSlot:
    """A meter that can be opened; whatever shares `bus` must share a thread."""

    bus: str
    open: Callable[[], Meter]


@dataclass(frozen=True, slots=True)
class Thermometer:
    """A temperature sensor that can be opened, and what it watches."""

    place: str
    bus: str
    open: Callable[[], TemperatureSensor]


@dataclass(frozen=True, slots=True)
class FieldHardware:
    """The slow devices. Opening one may fail with HalError and be tried again; nothing is open yet."""

    meter: MeterSlot | None
    thermometers: tuple[Thermometer, ...]


def build_field(spec: BoardSpec, *, meter: MeterSpec | None = None) -> FieldHardware:
    """Return the board's slow devices, with `meter` of the installation in place of the board's own."""
    chosen = meter or spec.meter
    return FieldHardware(
        meter=_meter(chosen) if chosen else None,
        thermometers=tuple(_thermometer(sensor) for sensor in spec.temperature),
    )


def port_of(meter: MeterSpec) -> str:
    """Return the serial device of a meter; the header's UART is another one on each kind of Pi."""
    return header_uart(this_model()) if meter.port == HEADER else meter.port


def _meter(spec: MeterSpec) -> MeterSlot:
    port = port_of(spec)

    def open_meter() -> Meter:
        table = TABLES[spec.model] if spec.neutral else TABLES[spec.model].without_neutral()
        line = ModbusRtu(port, spec.baud, spec.parity.value)
        return EastronMeter(line, spec.unit, table, inverted=spec.current_inverted)

    return MeterSlot(port, open_meter)


def _thermometer(spec: TemperatureSpec) -> Thermometer:
    def open_sensor() -> TemperatureSensor:
        return SENSORS[spec.chip](spec.bus, spec.address)

    return Thermometer(spec.place, f"/dev/i2c-{spec.bus}", open_sensor)
