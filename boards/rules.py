"""What must hold between the values of a board, each of them right in itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boards.spec import MEASURED_PHASES, OPEN_WITHIN_MS, TICK_MS, NotFitted, PilotSupplySpec, ProvenBy, RcdSpec
from hal.pi_models import HEADER_UART_PINS, MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from boards.spec import BoardSpec, ConverterInput, PilotAdcSpec
    from hal.linear_scale import LinearScale

PILOT_SPAN_MV = 13_000
"""The converter must see more than the ±12.6 V of a healthy generator, or a faulty one looks healthy."""
MAINS_SPAN_MV = 357_000
"""The peak of 230 V and 10 %: a load sense that clips earlier sees a voltage that stands where none does."""
REACTION_MS = 50
"""What the software may need from the vehicle's change to the line's change."""
SOCKET_MA = 63_000
"""The highest coded rating of a loose cable, and of a socket for it. Source: IEC 61851-1 Annex B, IEC 62196-2."""

SPI_PINS = {0: (9, 10, 11), 1: (19, 20, 21)}
SPI_SELECTS = {0: (8, 7), 1: (18, 17, 16)}
I2C_PINS = {1: (2, 3)}
UART_PORTS = ("header", "/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")
PWM_PINS = sorted(set.intersection(*(set(model.pwm) for model in MODELS)))


def check(spec: BoardSpec) -> Iterator[str]:
    """Yield one line for every rule that `spec` breaks."""
    yield from _pins(spec)
    yield from _adc(spec)
    yield from _pilot_supply(spec)
    yield from _load_sense(spec)
    yield from _contactor(spec)
    yield from _watchdog(spec)
    yield from _socket(spec)
    yield from _residual_current(spec)
    yield from _channel_proof(spec)
    if spec.pilot_pwm.pin not in PWM_PINS:
        allowed = ", ".join(map(str, PWM_PINS))
        yield f"pilot_pwm.pin = {spec.pilot_pwm.pin} is refused; the PWM block reaches GPIO {allowed}"
    if spec.phases == 2:
        yield "board.phases = 2 is refused; must be 1 or 3"
    if spec.meter and MEASURED_PHASES[spec.meter.model] < spec.phases:
        fit = ", ".join(model.value for model, phases in MEASURED_PHASES.items() if phases == spec.phases)
        yield f"meter.model = {spec.meter.model.value!r} is refused; a board of {spec.phases} phases needs {fit}"


def _adc(spec: BoardSpec) -> Iterator[str]:
    adc = spec.pilot_adc
    if adc.speed_hz > adc.chip.max_speed_hz:
        yield f"pilot_adc.speed_hz = {adc.speed_hz} is refused; {adc.chip.value} allows {adc.chip.max_speed_hz}"
    owner: dict[int, str] = {}
    for key, channel in _channels(spec):
        if channel >= adc.chip.channels:
            yield f"{key} = {channel} is refused; {adc.chip.value} has channels 0..{adc.chip.channels - 1}"
        elif channel in owner:
            yield f"{key} = {channel} is refused; it already is {owner[channel]}"
        owner.setdefault(channel, key)
    ends = _span(adc, adc.scale)
    if ends[0] > -PILOT_SPAN_MV or ends[1] < PILOT_SPAN_MV:
        yield (
            f"pilot_adc.gain_uv_per_code, offset_mv see {ends[0]}..{ends[1]} mV; "
            f"must see at least {-PILOT_SPAN_MV}..{PILOT_SPAN_MV} mV"
        )


def _pilot_supply(spec: BoardSpec) -> Iterator[str]:
    supply = spec.pilot_supply
    if not isinstance(supply, PilotSupplySpec):
        return
    for name, line, sign in (("positive", supply.positive, 1), ("negative", supply.negative, -1)):
        ends = _span(spec.pilot_adc, line.scale)
        dead_mv, high_mv = 0, sign * PILOT_SPAN_MV
        if not (ends[0] <= min(dead_mv, high_mv) and max(dead_mv, high_mv) <= ends[1]):
            yield (
                f"pilot_supply.{name}.gain_uv_per_code, offset_mv see {ends[0]}..{ends[1]} mV; "
                f"must see at least {min(dead_mv, high_mv)}..{max(dead_mv, high_mv)} mV"
            )


def _load_sense(spec: BoardSpec) -> Iterator[str]:
    sense = spec.load_sense
    if sense is None:
        return
    if len(sense.phases) != spec.phases:
        yield f"load_sense has {len(sense.phases)} phases; the contactor switches {spec.phases}, and each must be seen"
    if spec.voltage_sense:
        yield "voltage_sense is refused beside load_sense; couplers cannot say which phase is live"
    for name, line in _load_phases(spec):
        ends = _span(spec.pilot_adc, line.scale)
        if ends[0] > -MAINS_SPAN_MV or ends[1] < MAINS_SPAN_MV:
            yield (
                f"load_sense.{name}.gain_uv_per_code, offset_mv see {ends[0]}..{ends[1]} mV; "
                f"must see at least {-MAINS_SPAN_MV}..{MAINS_SPAN_MV} mV"
            )


def _load_phases(spec: BoardSpec) -> Iterator[tuple[str, ConverterInput]]:
    return ((f"l{place}", line) for place, line in enumerate(spec.load_sense.phases if spec.load_sense else (), 1))


def _span(adc: PilotAdcSpec, scale: LinearScale) -> tuple[int, int]:
    """Return the least and the greatest voltage that the converter can tell behind an input stage."""
    low, high = sorted((scale.millivolts(0), scale.millivolts(adc.chip.full_scale)))
    return low, high


def _channels(spec: BoardSpec) -> Iterator[tuple[str, int]]:
    yield "pilot_adc.channel", spec.pilot_adc.channel
    if spec.proximity:
        yield "proximity.channel", spec.proximity.channel
    if isinstance(spec.pilot_supply, PilotSupplySpec):
        yield "pilot_supply.positive.channel", spec.pilot_supply.positive.channel
        yield "pilot_supply.negative.channel", spec.pilot_supply.negative.channel
    for name, line in _load_phases(spec):
        yield f"load_sense.{name}.channel", line.channel
    if spec.coil_node:
        yield "coil_node.channel", spec.coil_node.channel


def _contactor(spec: BoardSpec) -> Iterator[str]:
    contactor = spec.contactor
    if contactor.mirror is None and spec.voltage_sense is None and spec.load_sense is None:
        yield "contactor.mirror, load_sense and voltage_sense are missing; one of them must show a welded contactor"
    allowed = OPEN_WITHIN_MS - REACTION_MS
    if contactor.release_ms > allowed:
        yield (
            f"contactor.release_ms = {contactor.release_ms} is refused; at most {allowed}, "
            f"so that the contacts part within {OPEN_WITHIN_MS} ms"
        )
    boost = contactor.economiser
    if boost and boost.boost_ms < contactor.pull_in_ms:
        yield f"contactor.economiser.boost_ms = {boost.boost_ms} is refused; at least pull_in_ms {contactor.pull_in_ms}"


def _watchdog(spec: BoardSpec) -> Iterator[str]:
    gate = spec.watchdog
    if isinstance(gate, NotFitted):
        return
    if gate.hold_min_ms > gate.hold_max_ms:
        yield f"watchdog.hold_min_ms = {gate.hold_min_ms} is refused; at most hold_max_ms {gate.hold_max_ms}"
    allowed = OPEN_WITHIN_MS - TICK_MS - spec.contactor.release_ms
    slow = spec.contactor.release_ms > OPEN_WITHIN_MS - REACTION_MS  # which is told already
    if gate.hold_max_ms > allowed and not gate.bench_only and not slow:
        yield (
            f"watchdog.hold_max_ms = {gate.hold_max_ms} is refused; at most {allowed} with contactor.release_ms "
            f"{spec.contactor.release_ms}, so that a process that hangs opens within {OPEN_WITHIN_MS} ms; "
            "a board for the bench alone gives watchdog.bench_only"
        )


def _socket(spec: BoardSpec) -> Iterator[str]:
    """Yield what is wrong with a board that has a socket, which is one that reads the coding of a loose cable."""
    if spec.proximity is None:
        return
    if spec.lock is None:
        yield (
            "lock is missing with a proximity contact: nothing holds the plug of a loose cable under load; must be "
            "a table, or leave out proximity for a fixed cable"
        )
    if spec.rated_current_ma > SOCKET_MA:
        yield (
            f"board.rated_current_ma = {spec.rated_current_ma} is refused with a proximity contact; at most "
            f"{SOCKET_MA}, the highest rating that a loose cable has, or leave out proximity for a fixed cable"
        )


def _residual_current(spec: BoardSpec) -> Iterator[str]:
    """Yield what is wrong with what a residual current device is said to see."""
    if not isinstance(spec.rcd, RcdSpec):
        if spec.north_america:
            yield "rcd.not_fitted is refused with north_america; its ccid_ma needs a device on the board"
        return
    sees = spec.rcd.detects
    if not sees.dc_ma and not sees.ac_ma:
        yield "rcd.detects.dc_ma, ac_ma = 0 are refused; one must be above 0, or say not_fitted in place of the device"
    if spec.north_america and not 0 < sees.ac_ma <= spec.north_america.ccid_ma:
        yield (
            f"rcd.detects.ac_ma = {sees.ac_ma} is refused with north_america.ccid_ma = "
            f"{spec.north_america.ccid_ma}; must be 1..{spec.north_america.ccid_ma}"
        )


def _channel_proof(spec: BoardSpec) -> Iterator[str]:
    """Yield what is wrong with the proof of the coil's two switches. Hazard: H-09."""
    proof, node, gate = spec.contactor.channel_proof, spec.coil_node, spec.watchdog
    if isinstance(gate, NotFitted):
        if proof is not ProvenBy.NOTHING or node is not None:
            yield "contactor.channel_proof, coil_node are refused; without a watchdog the coil has one switch alone"
        return
    if gate.rearms_by_itself:
        yield (
            "watchdog.rearms_by_itself = true is refused; a process that hangs would have its contactor closed again "
            "and again: fit a circuit that only a new edge arms"
        )
    wanted = ProvenBy.MIRROR if node is None else ProvenBy.COIL_NODE
    if proof is not wanted:
        fitted = "without" if node is None else "with"
        yield f'contactor.channel_proof = "{proof.value}" does not fit; say "{wanted.value}" {fitted} a table coil_node'
    if wanted is ProvenBy.MIRROR and spec.contactor.mirror is None:
        yield "contactor.mirror is missing; without it and without [coil_node] nothing can prove the two switches"
    if node is not None:
        ends, needed = _span(spec.pilot_adc, node.scale), node.window_mv[1]
        if ends[0] > 0 or ends[1] < needed:
            yield f"coil_node.gain_uv_per_code, offset_mv see {ends[0]}..{ends[1]} mV; must see at least 0..{needed} mV"


def _pins(spec: BoardSpec) -> Iterator[str]:
    owner: dict[int, str] = {}
    for key, pin in _used(spec):
        if pin in owner:
            yield f"{key} = {pin} is refused; GPIO {pin} already is {owner[pin]}"
        else:
            owner[pin] = key


def _used(spec: BoardSpec) -> Iterator[tuple[str, int]]:
    """Yield every pin with its key, those of the buses first."""
    adc = spec.pilot_adc
    for pin in (*SPI_PINS.get(adc.bus, ()), *SPI_SELECTS.get(adc.bus, ())[adc.device : adc.device + 1]):
        yield f"pin of SPI bus {adc.bus}", pin
    for bus in sorted({sensor.bus for sensor in spec.temperature}):
        for pin in I2C_PINS.get(bus, ()):
            yield f"pin of I2C bus {bus}", pin
    if spec.meter and spec.meter.port in UART_PORTS:
        for pin in HEADER_UART_PINS:
            yield f"pin of {spec.meter.port}", pin
    yield "pilot_pwm.pin", spec.pilot_pwm.pin
    yield from _outputs(spec)
    yield from _inputs(spec)


def line_pins(spec: BoardSpec) -> tuple[int, ...]:
    """Return the pins that are lines of the board's own, and no bus's."""
    return (spec.pilot_pwm.pin, *(pin for _, pin in _outputs(spec)), *(pin for _, pin in _inputs(spec)))


def _outputs(spec: BoardSpec) -> Iterator[tuple[str, int]]:
    yield "contactor.pin", spec.contactor.pin
    if spec.contactor.economiser:
        yield "contactor.economiser.boost_pin", spec.contactor.economiser.boost_pin
    if not isinstance(spec.watchdog, NotFitted):
        yield "watchdog.pin", spec.watchdog.pin
    if not isinstance(spec.rcd, NotFitted):
        yield "rcd.test.pin", spec.rcd.test.pin
        if spec.rcd.reset:
            yield "rcd.reset.pin", spec.rcd.reset.pin
    if spec.lock:
        yield "lock.lock_pin", spec.lock.lock_pin
        yield "lock.unlock_pin", spec.lock.unlock_pin
    if spec.weld_output:
        yield "weld_output.pin", spec.weld_output.pin
    if spec.status_led:
        yield "status_led.pin", spec.status_led.pin


def _inputs(spec: BoardSpec) -> Iterator[tuple[str, int]]:
    if spec.contactor.mirror:
        yield "contactor.mirror.pin", spec.contactor.mirror.pin
    if not isinstance(spec.rcd, NotFitted):
        yield "rcd.trip.pin", spec.rcd.trip.pin
    if spec.weld_output and spec.weld_output.readback:
        yield "weld_output.readback.pin", spec.weld_output.readback.pin
    if spec.lock:
        yield "lock.feedback.pin", spec.lock.feedback.pin
    if spec.voltage_sense:
        yield "voltage_sense.pin", spec.voltage_sense.line.pin
    if spec.emergency_stop:
        yield "emergency_stop.pin", spec.emergency_stop.pin
