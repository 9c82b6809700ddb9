"""The two records between the node process and the safety process, and their wire form.

    byte 0..1   2      3     4..5     6..
         magic  version kind  length   fields, little endian, in the order of the tables below

A record of another version, with a field outside its range or with bytes to spare is refused whole.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import Milliamps, Millivolts

if TYPE_CHECKING:
    from collections.abc import Callable

    from hal.units import CentiCelsius, DutyPpm

MAX_CURRENT_MA = 80_000  # the highest that a duty cycle can offer
MAX_TRANSITIONS = 16
MAX_EVIDENCE = len(Check)
_NO_OFFSET = _UNSEEN = Millivolts(0)


class Request(IntFlag):
    """One-time orders inside a demand; each is carried out once per new `request_number`."""

    NONE = 0
    SELF_TEST = 1
    CLEAR_USER = 2  # clears faults whose rule is BY_USER
    CLEAR_INSTALLER = 4  # clears faults whose rule is BY_INSTALLER
    RESTART_WAKE_UP = 8
    RELOAD_INSTALLATION = 16


@dataclass(frozen=True, slots=True)
class MeterSample:
    """What the safety process judges of the meter: per phase that it measures, L1 first; what it lacks is not there."""

    at_ns: int
    voltage_mv: tuple[Millivolts, ...]
    current_ma: tuple[Milliamps, ...]


@dataclass(frozen=True, slots=True)
class TemperatureSample:
    """The hottest sensor of the box."""

    at_ns: int
    centi_celsius: CentiCelsius


@dataclass(frozen=True, slots=True)
class Demand:
    """What the node asks for, and until when; unless it is renewed, the box stops.

    Units: instants in ns of CLOCK_MONOTONIC. `limit_source` owns `offered_current_ma`; `identify` blinks the LED.
    """

    number: int
    permitted: bool
    offered_current_ma: Milliamps
    limit_source: LimitSource
    valid_until_ns: int
    meter: MeterSample | None = None
    temperature: TemperatureSample | None = None
    request: Request = Request.NONE
    request_number: int = 0
    identify: bool = False


@dataclass(frozen=True, slots=True)
class Transition:
    """The box after one change that must be reported; numbers rise by one."""

    number: int
    at_ns: int
    evse_state: EvseState
    pilot_state: PilotState
    close_ordered: bool
    offered_current_ma: Milliamps
    faults: frozenset[Fault]
    reason: Reason


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the safety process says of itself: on change, else every second.

    `safety_run_id` changes with every start of the safety process. `close_ordered` is what the contactor was told,
    `mirror_closed` what its mirror contact says; `transitions` are the last 16, oldest first, so that a
    lost datagram loses none; `evidence` is what the last self-test measured. `reason_until_ns` is 0 when the reason has
    no known end. `cable_ma` is that of the fixed or of the plugged cable, 0 without one. `gain_uv_per_code` and
    `offset_mv` made the voltages of codes. `positive_mv` and `negative_mv` are the rails of the pilot's generator, 0 on
    a board that does not see them. `node_run` is the run of the node that is listened to, `invitation` the number under
    which the next one may begin.
    """

    safety_run_id: int
    number: int
    at_ns: int
    evse_state: EvseState
    pilot_state: PilotState
    high_mv: Millivolts
    low_mv: Millivolts
    pilot_mode: PilotMode
    duty_ppm: DutyPpm
    offered_current_ma: Milliamps
    limit_source: LimitSource
    limit_ma: Milliamps
    cable_ma: Milliamps
    close_ordered: bool
    mirror_closed: bool | None
    load_live: bool | None
    locked: bool | None
    permitted: bool
    faults: frozenset[Fault]
    reason: Reason
    reason_until_ns: int
    self_test_passed: bool
    self_test_running: bool
    demand_number: int
    request_number: int
    ticks: int
    lateness_p999_ns: int
    lateness_max_ns: int
    reaction_p999_ns: int
    contactor_cycles: int
    openings_under_load: int
    transitions: tuple[Transition, ...]
    evidence: tuple[Evidence, ...] = ()
    gain_uv_per_code: int = 0
    offset_mv: Millivolts = _NO_OFFSET
    positive_mv: Millivolts = _UNSEEN
    negative_mv: Millivolts = _UNSEEN
    node_run: int = 0
    invitation: int = 0


class RecordDecodeError(ValueError):
    """These bytes are no record of this version; the only exception that decoding raises."""


MAGIC = b"EP"
_HEADER = struct.Struct("<2sBBH")
_DEMAND_KIND, _SNAPSHOT_KIND = 1, 2
VERSIONS = {_DEMAND_KIND: 5, _SNAPSHOT_KIND: 5}
_UNSIGNED_32 = (1 << 32) - 1
_SIGNED_64 = (1 << 63) - 1
_ALL_FAULTS = sum(1 << fault for fault in Fault)
_ALL_REQUESTS = sum(Request)
_MAX_METER = 1_000_000  # mV and mA; reversed current transformers count backwards
_MAX_PILOT_MV = 50_000
_TEMPERATURES = (-100_00, 300_00)
_MODES = tuple(PilotMode)
_THREE = (None, False, True)


@dataclass(frozen=True, slots=True)
class _Field:
    """One field: its name, its struct code, its range, and how a value becomes an integer and comes back."""

    name: str
    code: str
    lowest: int
    highest: int
    write: Callable[[Any], int] = int
    read: Callable[[int], Any] = int


def _instant(name: str) -> _Field:
    return _Field(name, "q", 0, _SIGNED_64)


def _number(name: str) -> _Field:
    return _Field(name, "I", 0, _UNSIGNED_32)


def _flag(name: str) -> _Field:
    return _Field(name, "B", 0, 1, int, bool)


def _member(name: str, kind: type[EvseState | PilotState | LimitSource | Reason | Check]) -> _Field:
    return _Field(name, "B", min(kind), max(kind), int, kind)


def _answer(name: str) -> _Field:
    return _Field(name, "B", 0, 2, _THREE.index, _THREE.__getitem__)


def _faults(name: str) -> _Field:
    return _Field(name, "Q", 0, _ALL_FAULTS, _fault_bits, _fault_set)


def _current(name: str) -> _Field:
    return _Field(name, "I", 0, MAX_CURRENT_MA)


def _fault_bits(faults: frozenset[Fault]) -> int:
    return sum(1 << fault for fault in faults)


def _fault_set(bits: int) -> frozenset[Fault]:
    return frozenset(fault for fault in Fault if bits >> fault & 1)


_DEMAND = (
    _number("number"),
    _flag("permitted"),
    _current("offered_current_ma"),
    _member("limit_source", LimitSource),
    _instant("valid_until_ns"),
    _Field("request", "B", 0, _ALL_REQUESTS, int, Request),
    _number("request_number"),
    _flag("identify"),
)
_PHASES = 3
_METER = (
    _instant("at_ns"),
    *(_Field(f"phases of {quantity}", "B", 0, _PHASES) for quantity in ("voltage_mv", "current_ma")),
    *(_Field(f"voltage_mv L{phase}", "i", 0, _MAX_METER) for phase in (1, 2, 3)),
    *(_Field(f"current_ma L{phase}", "i", -_MAX_METER, _MAX_METER) for phase in (1, 2, 3)),
)
_TEMPERATURE = (_instant("at_ns"), _Field("centi_celsius", "i", *_TEMPERATURES))
_TRANSITION = (
    _number("number"),
    _instant("at_ns"),
    _member("evse_state", EvseState),
    _member("pilot_state", PilotState),
    _flag("close_ordered"),
    _current("offered_current_ma"),
    _faults("faults"),
    _member("reason", Reason),
)
_EVIDENCE = (
    _member("check", Check),
    _instant("at_ns"),
    *(_Field(name, "i", -(1 << 31), (1 << 31) - 1) for name in ("measured", "lowest", "highest")),
)
_SNAPSHOT = (
    _Field("safety_run_id", "Q", 0, (1 << 64) - 1),
    _number("number"),
    _instant("at_ns"),
    _member("evse_state", EvseState),
    _member("pilot_state", PilotState),
    _Field("high_mv", "i", -_MAX_PILOT_MV, _MAX_PILOT_MV),
    _Field("low_mv", "i", -_MAX_PILOT_MV, _MAX_PILOT_MV),
    _Field("pilot_mode", "B", 0, len(_MODES) - 1, _MODES.index, _MODES.__getitem__),
    _Field("duty_ppm", "I", 0, 1_000_000),
    _current("offered_current_ma"),
    _member("limit_source", LimitSource),
    _current("limit_ma"),
    _current("cable_ma"),
    _flag("close_ordered"),
    _answer("mirror_closed"),
    _answer("load_live"),
    _answer("locked"),
    _flag("permitted"),
    _faults("faults"),
    _member("reason", Reason),
    _instant("reason_until_ns"),
    _flag("self_test_passed"),
    _flag("self_test_running"),
    _number("demand_number"),
    _number("request_number"),
    _Field("ticks", "Q", 0, (1 << 64) - 1),
    _instant("lateness_p999_ns"),
    _instant("lateness_max_ns"),
    _instant("reaction_p999_ns"),
    _number("contactor_cycles"),
    _number("openings_under_load"),
    _Field("gain_uv_per_code", "i", -(1 << 31), (1 << 31) - 1),
    _Field("offset_mv", "i", -_MAX_PILOT_MV, _MAX_PILOT_MV),
    _Field("positive_mv", "i", -_MAX_PILOT_MV, _MAX_PILOT_MV),
    _Field("negative_mv", "i", -_MAX_PILOT_MV, _MAX_PILOT_MV),
    _Field("node_run", "Q", 0, (1 << 64) - 1),
    _Field("invitation", "Q", 0, (1 << 64) - 1),
)


class _Form:
    """A fixed sequence of fields, compiled."""

    def __init__(self, fields: tuple[_Field, ...]) -> None:
        self.fields = fields
        self.struct = struct.Struct("<" + "".join(field.code for field in fields))

    def pack(self, values: tuple[Any, ...]) -> bytes:
        """Return the bytes of `values`. Raises: ValueError that names a field outside its range."""
        numbers = [field.write(value) for field, value in zip(self.fields, values, strict=True)]
        self._check(numbers, ValueError)
        return self.struct.pack(*numbers)

    def unpack(self, body: bytes, at: int) -> tuple[list[Any], int]:
        """Return the values that begin at `at`, and where the next begin. Raises: DecodeError."""
        if len(body) - at < self.struct.size:
            raise RecordDecodeError(f"{len(body)} bytes end in the middle of {self.fields[0].name}")
        numbers = self.struct.unpack_from(body, at)
        self._check(numbers, RecordDecodeError)
        try:
            return [
                field.read(number) for field, number in zip(self.fields, numbers, strict=True)
            ], at + self.struct.size
        except ValueError as error:
            raise RecordDecodeError(f"{error}") from error

    def _check(self, numbers: Any, kind: type[ValueError]) -> None:
        for field, number in zip(self.fields, numbers, strict=True):
            if not field.lowest <= number <= field.highest:
                raise kind(f"{field.name} {number}: {field.lowest} to {field.highest}")


_DEMAND_FORM, _METER_FORM, _TEMPERATURE_FORM = _Form(_DEMAND), _Form(_METER), _Form(_TEMPERATURE)
_SNAPSHOT_FORM, _TRANSITION_FORM, _EVIDENCE_FORM = _Form(_SNAPSHOT), _Form(_TRANSITION), _Form(_EVIDENCE)


METER_AT = _HEADER.size + _DEMAND_FORM.struct.size
"""Where the bytes of a demand say whether it has a sample of the meter."""


def _meter_values(meter: MeterSample) -> tuple[int, ...]:
    """Return the fields of a sample, with 0 in place of the phases that the meter lacks."""
    volts, amps = meter.voltage_mv, meter.current_ma
    spare = ((0,) * (_PHASES - len(volts)), (0,) * (_PHASES - len(amps)))
    return meter.at_ns, len(volts), len(amps), *volts, *spare[0], *amps, *spare[1]


def _meter_sample(at_ns: int, volts: int, amps: int, *values: int) -> MeterSample:
    return MeterSample(
        at_ns,
        tuple(Millivolts(each) for each in values[:volts]),
        tuple(Milliamps(each) for each in values[_PHASES : _PHASES + amps]),
    )


def encode_demand(demand: Demand) -> bytes:
    """Return the wire form of `demand`. Raises: ValueError that names a field outside its range."""
    body = _DEMAND_FORM.pack(_values(demand, _DEMAND))
    meter, heat = demand.meter, demand.temperature
    body += b"\0" if meter is None else b"\1" + _METER_FORM.pack(_meter_values(meter))
    body += b"\0" if heat is None else b"\1" + _TEMPERATURE_FORM.pack((heat.at_ns, heat.centi_celsius))
    return _framed(_DEMAND_KIND, body)


def decode_demand(datagram: bytes) -> Demand:
    """Return the demand that `datagram` is. Raises: DecodeError."""
    body = _unframed(_DEMAND_KIND, datagram)
    values, at = _DEMAND_FORM.unpack(body, 0)
    meters, at = _repeated(_METER_FORM, body, at, 1)
    heats, at = _repeated(_TEMPERATURE_FORM, body, at, 1)
    _expect_end(body, at)
    meter = _meter_sample(*meters[0]) if meters else None
    heat = TemperatureSample(*heats[0]) if heats else None
    return Demand(**_named(_DEMAND, values), meter=meter, temperature=heat)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the wire form of `snapshot`, below 2 KiB. Raises: ValueError that names a field outside its range."""
    if len(snapshot.transitions) > MAX_TRANSITIONS or len(snapshot.evidence) > MAX_EVIDENCE:
        raise ValueError(
            f"transitions {len(snapshot.transitions)}, evidence {len(snapshot.evidence)}: "
            f"at most {MAX_TRANSITIONS} and {MAX_EVIDENCE}"
        )
    body = [_SNAPSHOT_FORM.pack(_values(snapshot, _SNAPSHOT)), bytes((len(snapshot.transitions),))]
    body += [_TRANSITION_FORM.pack(_values(transition, _TRANSITION)) for transition in snapshot.transitions]
    body.append(bytes((len(snapshot.evidence),)))
    body += [_EVIDENCE_FORM.pack(_values(evidence, _EVIDENCE)) for evidence in snapshot.evidence]
    return _framed(_SNAPSHOT_KIND, b"".join(body))


def decode_snapshot(datagram: bytes) -> Snapshot:
    """Return the snapshot that `datagram` is. Raises: DecodeError."""
    body = _unframed(_SNAPSHOT_KIND, datagram)
    values, at = _SNAPSHOT_FORM.unpack(body, 0)
    transitions, at = _repeated(_TRANSITION_FORM, body, at, MAX_TRANSITIONS)
    evidence, at = _repeated(_EVIDENCE_FORM, body, at, MAX_EVIDENCE)
    _expect_end(body, at)
    numbers = [transition[0] for transition in transitions]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers)) if numbers else []):
        raise RecordDecodeError(f"transitions {numbers}: numbers must rise by one")
    return Snapshot(
        **_named(_SNAPSHOT, values),
        transitions=tuple(Transition(*each) for each in transitions),
        evidence=tuple(Evidence(*each) for each in evidence),
    )


def _values(record: Any, fields: tuple[_Field, ...]) -> tuple[Any, ...]:
    return tuple([getattr(record, field.name) for field in fields])


def _named(fields: tuple[_Field, ...], values: list[Any]) -> dict[str, Any]:
    return {field.name: value for field, value in zip(fields, values, strict=True)}


def _framed(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(MAGIC, VERSIONS[kind], kind, _HEADER.size + len(body)) + body


def _unframed(kind: int, datagram: bytes) -> bytes:
    if len(datagram) < _HEADER.size:
        raise RecordDecodeError(f"{len(datagram)} bytes: a header has {_HEADER.size}")
    magic, version, found, length = _HEADER.unpack_from(datagram)
    wanted = (MAGIC, VERSIONS[kind], kind)
    if (magic, version, found) != wanted:
        raise RecordDecodeError(f"magic {magic!r} version {version} kind {found}: must be {wanted}")
    if length != len(datagram):
        raise RecordDecodeError(f"length {length}: {len(datagram)} bytes came")
    return datagram[_HEADER.size :]


def _repeated(form: _Form, body: bytes, at: int, most: int) -> tuple[list[list[Any]], int]:
    """Return what a count byte at `at` announces, at most `most` times `form`, and where the next begins."""
    if at >= len(body) or body[at] > most:
        raise RecordDecodeError(f"{form.fields[0].name}: count missing or above {most}")
    count, at = body[at], at + 1
    found = []
    for _ in range(count):
        values, at = form.unpack(body, at)
        found.append(values)
    return found, at


def _expect_end(body: bytes, at: int) -> None:
    if at != len(body):
        raise RecordDecodeError(f"{len(body) - at} bytes to spare")
