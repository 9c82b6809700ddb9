"""What one tick saw and decided, as a record of fixed size: enough to take the same step again elsewhere.

    0                                                         271     275
    number, life, instants | inputs | outcome | demand         crc32

A record that was caught half written fails its checksum, so that a reader never waits for the writer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.io_records import CoilReading, Inputs, LoadVoltages, PilotReading, PilotSupply
from evse_pi.core.machine import Phase
from evse_pi.core.records import Demand, decode_demand, encode_demand
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import DutyPpm, Milliamps, Millivolts, Ohms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.core.machine import MachineState

DEMAND_BYTES = 96  # the longest demand has 76
_FORM = struct.Struct(f"<IHqii BiiiHHiB3i3ii BBBBBiQQiqqB6iB BBBBBIBBBBIBIQB B{DEMAND_BYTES}s")
_CHECK = struct.Struct("<I")
FRAME_BYTES = _FORM.size + _CHECK.size
COLUMNS = [
    "number", "life", "at_ns", "late_us", "took_us", "pilot_known", "high_mv", "low_mv", "spread_mv", "high_count",
    "low_count", "high_ppm", "lowest_count", "lowest1_mv", "lowest2_mv", "lowest3_mv", "positive_mv",
    "positive_after_mv", "negative_mv", "measured_duty_ppm", "mirror_closed", "load_live", "rcd_tripped",
    "emergency_stop", "locked", "proximity_ohms", "failures", "alarms", "coil_node_mv", "coil_read_ns", "coil_fed_ns",
    "load_phases",
    "load1_before_mv", "load2_before_mv", "load3_before_mv", "load1_after_mv", "load2_after_mv", "load3_after_mv",
    "weld_output_closed", "phase", "evse_state", "pilot_state", "close_ordered", "pilot_mode", "duty_ppm", "lock",
    "rcd_test", "rcd_reset", "weld_output", "offered_ma", "limit_source", "limit_ma", "faults", "reason",
    "demand_bytes", "demand",
]  # fmt: skip
_PILOT, _HIGH, _LOW, _SHARE, _SUPPLY, _DUTY = 1, 2, 4, 8, 16, 32
_MODES, _PHASES = tuple(PilotMode), tuple(Phase)
_MODE_INDEX = {mode: index for index, mode in enumerate(_MODES)}
_PHASE_INDEX = {phase: index for index, phase in enumerate(_PHASES)}
_THREE: tuple[bool | None, ...] = (None, False, True)
_THREE_INDEX = {None: 0, False: 1, True: 2}
_NO_PILOT = (0,) * 15
_NO_LOAD = (0,) * 7
_FIRST_OF_LOAD = COLUMNS.index("load_phases")
_FIRST_OF_OUTCOME = COLUMNS.index("phase")


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What one step decided, as far as it leaves the machine."""

    phase: Phase
    evse_state: EvseState
    pilot_state: PilotState
    close_ordered: bool
    pilot_mode: PilotMode
    duty_ppm: DutyPpm
    lock: bool | None
    rcd_test: bool
    rcd_reset: bool
    weld_output: bool
    offered_ma: Milliamps
    limit_source: LimitSource
    limit_ma: Milliamps
    faults: frozenset[Fault]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Frame:
    """One tick. `life` counts starts of the process; `late_us` is since the deadline, `took_us` until it had acted."""

    number: int
    life: int
    late_us: int
    took_us: int
    inputs: Inputs
    outcome: TickOutcome


class FrameError(ValueError):
    """These numbers are no frame."""


def outcome_of(state: MachineState) -> TickOutcome:
    """Return what the step that led to `state` decided."""
    return _outcome(_outcome_values(state))


def fault_bits(faults: frozenset[Fault]) -> int:
    """Return one bit a fault."""
    return sum(1 << fault for fault in faults) if faults else 0


class FrameWriter:
    """Turns ticks into records; a demand is encoded once, however many ticks it lasts."""

    def __init__(self) -> None:
        self._demand: Demand | None = None
        self._encoded = b""

    def encode(self, number: int, life: int, times_us: tuple[int, int], inputs: Inputs, state: MachineState) -> bytes:
        """Return the record of one tick. Raises: struct.error, ValueError for a value that no device can show."""
        if inputs.demand is not self._demand:
            self._encoded = b"" if inputs.demand is None else encode_demand(inputs.demand)
            self._demand = inputs.demand
        body = _FORM.pack(
            number,
            life,
            inputs.now_ns,
            *times_us,
            *_pilot_values(inputs.pilot),
            _THREE_INDEX[inputs.mirror_closed],
            _THREE_INDEX[inputs.load_live],
            inputs.rcd_tripped,
            inputs.emergency_stop,
            _THREE_INDEX[inputs.locked],
            -1 if inputs.proximity_ohms is None else inputs.proximity_ohms,
            fault_bits(inputs.failures),
            fault_bits(inputs.alarms),
            *_coil_values(inputs.coil),
            *_load_values(inputs.load),
            _THREE_INDEX[inputs.weld_output_closed],
            *_outcome_values(state),
            len(self._encoded),
            self._encoded,
        )
        return body + _CHECK.pack(crc32(body))


def values_of(record: bytes | memoryview) -> list[Any] | None:
    """Return the columns of a record, None of one that is empty or half written."""
    body = bytes(record[: _FORM.size])
    (check,) = _CHECK.unpack_from(record, _FORM.size)
    if check != crc32(body):
        return None
    values = list(_FORM.unpack(body))
    return values if values[0] else None


def frame_of(values: Sequence[Any]) -> Frame:
    """Return the tick that the columns of a record stand for. Raises: FrameError."""
    try:
        number, life, now_ns, late_us, took_us, *rest = values
        pilot, devices = rest[: len(_NO_PILOT)], rest[len(_NO_PILOT) : len(_NO_PILOT) + 11]
        load, weld_closed = values[_FIRST_OF_LOAD : _FIRST_OF_LOAD + len(_NO_LOAD)], values[_FIRST_OF_OUTCOME - 1]
        mirror, live, tripped, stop, locked, ohms, failures, alarms, *coil = devices
        size, demand = values[-2:]
        inputs = Inputs(
            now_ns=now_ns,
            pilot=_reading(pilot),
            demand=decode_demand(demand[:size]) if size else None,
            mirror_closed=_THREE[mirror],
            load_live=_THREE[live],
            rcd_tripped=bool(tripped),
            emergency_stop=bool(stop),
            proximity_ohms=None if ohms < 0 else Ohms(ohms),
            locked=_THREE[locked],
            failures=_fault_set(failures),
            alarms=_fault_set(alarms),
            coil=CoilReading(Millivolts(coil[0]), *coil[1:]) if coil[1] else None,
            load=_load(load),
            weld_output_closed=_THREE[weld_closed],
        )
        return Frame(number, life, late_us, took_us, inputs, _outcome(values[_FIRST_OF_OUTCOME:-2]))
    except (ValueError, TypeError, IndexError) as error:
        raise FrameError(f"frame {values[:1]}: {error}") from error


def _pilot_values(reading: PilotReading | None) -> tuple[int, ...]:
    if reading is None:
        return _NO_PILOT
    high, low, share, lowest = reading.high_mv, reading.low_mv, reading.high_ppm, reading.low_samples_mv
    known = _PILOT | _HIGH * (high is not None) | _LOW * (low is not None) | _SHARE * (share is not None)
    known |= _DUTY * (reading.duty_ppm is not None)
    rails = (0, 0, 0)
    if reading.supply is not None:
        known |= _SUPPLY
        rails = (reading.supply.positive_mv, reading.supply.positive_after_mv, reading.supply.negative_mv)
    return (
        known, high or 0, low or 0, reading.spread_mv, reading.high_count, reading.low_count, share or 0,
        len(lowest), *lowest, *(0,) * (3 - len(lowest)), *rails, reading.duty_ppm or 0,
    )  # fmt: skip


def _reading(values: Sequence[int]) -> PilotReading | None:
    known, high, low, spread, high_count, low_count, share, lowest_count, *rest = values
    lowest, rails, duty = rest[:3], rest[3:6], rest[6]
    if not known & _PILOT:
        return None
    return PilotReading(
        Millivolts(high) if known & _HIGH else None,
        Millivolts(low) if known & _LOW else None,
        Millivolts(spread),
        high_count,
        low_count,
        share if known & _SHARE else None,
        tuple(Millivolts(each) for each in lowest[:lowest_count]),
        PilotSupply(*map(Millivolts, rails)) if known & _SUPPLY else None,
        duty if known & _DUTY else None,
    )


def _load_values(load: LoadVoltages | None) -> tuple[int, ...]:
    if load is None:
        return _NO_LOAD
    missing = (0,) * (3 - len(load.before_mv))
    return (len(load.before_mv), *load.before_mv, *missing, *load.after_mv, *missing)


def _load(values: Sequence[int]) -> LoadVoltages | None:
    phases, *voltages = values
    if not phases:
        return None
    before, after = voltages[:3], voltages[3:]
    return LoadVoltages(tuple(map(Millivolts, before[:phases])), tuple(map(Millivolts, after[:phases])))


def _coil_values(coil: CoilReading | None) -> tuple[int, int, int]:
    return (0, 0, 0) if coil is None else (coil.node_mv, coil.at_ns, coil.fed_ns)


def _outcome_values(state: MachineState) -> tuple[int, ...]:
    status, outputs = state.status, state.outputs
    return (
        _PHASE_INDEX[state.phase],
        status.evse_state,
        state.watch.pilot.state,
        outputs.close_ordered,
        _MODE_INDEX[outputs.pilot.mode],
        outputs.pilot.duty_ppm,
        _THREE_INDEX[outputs.lock],
        outputs.rcd_test,
        outputs.rcd_reset,
        outputs.weld_output,
        state.offer.offered_ma,
        status.limit.source,
        status.limit.current_ma,
        fault_bits(state.book.active),
        status.reason,
    )


def _outcome(values: Sequence[int]) -> TickOutcome:
    phase, evse, pilot, closed, mode, duty, lock, test, reset, weld, *told = values
    offered, source, limit, faults, reason = told
    return TickOutcome(
        _PHASES[phase],
        EvseState(evse),
        PilotState(pilot),
        bool(closed),
        _MODES[mode],
        DutyPpm(duty),
        _THREE[lock],
        bool(test),
        bool(reset),
        bool(weld),
        Milliamps(offered),
        LimitSource(source),
        Milliamps(limit),
        _fault_set(faults),
        Reason(reason),
    )


def _fault_set(bits: int) -> frozenset[Fault]:
    return frozenset(fault for fault in Fault if bits >> fault & 1) if bits else NO_FAULTS
