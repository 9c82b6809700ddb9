"""The wire form of demand and snapshot: there and back, and whatever else arrives."""

from __future__ import annotations

import struct
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evse_pi.core.evidence import Check, Evidence
from evse_pi.core.faults import Fault
from evse_pi.core.records import (
    Demand,
    MeterSample,
    RecordDecodeError,
    Request,
    Snapshot,
    TemperatureSample,
    Transition,
    decode_demand,
    decode_snapshot,
    encode_demand,
    encode_snapshot,
)
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import CentiCelsius, Milliamps, Millivolts

u32, instants, currents = st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1), st.integers(0, 80_000)
i32 = st.integers(-(2**31), 2**31 - 1)
u64, millivolts, answers = st.integers(0, 2**64 - 1), st.integers(-50_000, 50_000), st.sampled_from([None, False, True])
fault_sets = st.frozensets(st.sampled_from(Fault))
three = st.tuples
volts, amps = st.integers(0, 1_000_000), st.integers(-1_000_000, 1_000_000)
demands = st.builds(
    Demand,
    number=u32,
    permitted=st.booleans(),
    offered_current_ma=currents,
    limit_source=st.sampled_from(LimitSource),
    valid_until_ns=instants,
    meter=st.none() | st.builds(MeterSample, instants, three(volts, volts, volts), three(amps, amps, amps)),
    temperature=st.none() | st.builds(TemperatureSample, instants, st.integers(-100_00, 300_00)),
    request=st.integers(0, sum(Request)).map(Request),
    request_number=u32,
    identify=st.booleans(),
)
shown = {
    "at_ns": instants,
    "evse_state": st.sampled_from(EvseState),
    "pilot_state": st.sampled_from(PilotState),
    "close_ordered": st.booleans(),
    "offered_current_ma": currents,
    "faults": fault_sets,
    "reason": st.sampled_from(Reason),
}


@st.composite
def snapshots(draw: Any) -> Snapshot:
    first = draw(st.integers(1, 2**32 - 17))
    transitions = [
        draw(st.builds(Transition, number=st.just(first + index), **shown)) for index in range(draw(st.integers(0, 16)))
    ]
    evidence = draw(st.lists(st.builds(Evidence, st.sampled_from(Check), instants, i32, i32, i32), max_size=8))
    return draw(
        st.builds(
            Snapshot,
            safety_run_id=u64,
            number=u32,
            high_mv=millivolts,
            low_mv=millivolts,
            pilot_mode=st.sampled_from(PilotMode),
            duty_ppm=st.integers(0, 1_000_000),
            limit_source=st.sampled_from(LimitSource),
            limit_ma=currents,
            cable_ma=currents,
            mirror_closed=answers,
            load_live=answers,
            locked=answers,
            permitted=st.booleans(),
            reason_until_ns=instants,
            self_test_passed=st.booleans(),
            self_test_running=st.booleans(),
            demand_number=u32,
            request_number=u32,
            ticks=u64,
            lateness_p999_ns=instants,
            lateness_max_ns=instants,
            reaction_p999_ns=instants,
            contactor_cycles=u32,
            openings_under_load=u32,
            transitions=st.just(tuple(transitions)),
            evidence=st.just(tuple(evidence)),
            **shown,
        )
    )


@given(demands)
def test_a_demand_comes_back_as_it_went(demand: Any) -> None:
    assert decode_demand(encode_demand(demand)) == demand


@given(snapshots())
def test_a_snapshot_comes_back_as_it_went_and_is_smaller_than_2_kib(snapshot: Any) -> None:
    datagram = encode_snapshot(snapshot)
    assert len(datagram) < 2_048
    back = decode_snapshot(datagram)
    assert back == snapshot
    for field in fields(Snapshot):
        assert type(getattr(back, field.name)) is type(getattr(snapshot, field.name))


@pytest.mark.parametrize("decode", [decode_demand, decode_snapshot])
@given(datagram=st.binary(max_size=2_100))
@example(b"")
@example(b"EP")
def test_random_bytes_are_refused_and_raise_nothing_else(decode: Any, datagram: Any) -> None:
    with pytest.raises(RecordDecodeError):
        decode(datagram)


@given(snapshots(), st.data())
def test_one_changed_byte_gives_a_snapshot_that_could_have_been_sent_or_is_refused(snapshot: Any, data: Any) -> None:
    datagram = bytearray(encode_snapshot(snapshot))
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_snapshot(bytes(datagram))
    except RecordDecodeError:
        return
    assert encode_snapshot(decoded) == datagram


@given(demands, st.data())
def test_one_changed_byte_gives_a_demand_that_could_have_been_sent_or_is_refused(demand: Any, data: Any) -> None:
    datagram = bytearray(encode_demand(demand))
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decoded = decode_demand(bytes(datagram))
    except RecordDecodeError:
        return
    assert encode_demand(decoded) == datagram


@given(demands, st.integers(0, 200))
def test_a_demand_that_is_cut_or_too_long_is_refused(demand: Any, cut: Any) -> None:
    datagram = encode_demand(demand)
    for wrong in (datagram[: min(cut, len(datagram) - 1)], datagram + b"\0"):
        with pytest.raises(RecordDecodeError):
            decode_demand(wrong)
        reframed = wrong[:4] + struct.pack("<H", len(wrong)) + wrong[6:]
        if len(wrong) >= 6:
            with pytest.raises(RecordDecodeError):
                decode_demand(reframed)


DEMAND = Demand(1, True, Milliamps(16_000), LimitSource.OWNER, 1)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"offered_current_ma": 80_001}, "offered_current_ma 80001"),
        ({"offered_current_ma": -1}, "offered_current_ma -1"),
        ({"number": 2**32}, "number"),
        ({"valid_until_ns": -1}, "valid_until_ns"),
        ({"temperature": TemperatureSample(0, CentiCelsius(400_00))}, "centi_celsius 40000"),
        (
            {"meter": MeterSample(0, (Millivolts(0), Millivolts(0), Millivolts(-1)), (Milliamps(0),) * 3)},
            "voltage_mv L3 -1",
        ),
    ],
)
def test_what_may_not_be_said_is_not_encoded_and_the_field_is_named(change: Any, name: Any) -> None:
    with pytest.raises(ValueError, match=name):
        encode_demand(replace(DEMAND, **change))


@given(snapshots())
def test_too_many_transitions_are_not_encoded(snapshot: Any) -> None:
    one = Transition(1, 0, EvseState.A, PilotState.A, False, Milliamps(0), frozenset(), Reason.NO_VEHICLE)
    with pytest.raises(ValueError, match="transitions 17"):
        encode_snapshot(replace(snapshot, transitions=(one,) * 17))


def test_a_gap_in_the_transitions_is_refused() -> None:
    one = Transition(1, 0, EvseState.A, PilotState.A, False, Milliamps(0), frozenset(), Reason.NO_VEHICLE)
    snapshot = Snapshot(
        *(1, 1, 0, EvseState.A, PilotState.A, 0, 0, PilotMode.HIGH, 0, 0, LimitSource.BOARD, 0, 0),  # type: ignore[arg-type]
        *(False, None, None, None, True, frozenset(), Reason.NO_VEHICLE, 0, True, False, 0, 0, 0, 0, 0, 0, 0, 0),  # type: ignore[arg-type]
        transitions=(one, replace(one, number=3)),
    )
    with pytest.raises(RecordDecodeError, match="rise by one"):
        decode_snapshot(encode_snapshot(snapshot))


def test_a_demand_is_no_snapshot() -> None:
    with pytest.raises(RecordDecodeError, match="kind 1"):
        decode_snapshot(encode_demand(DEMAND))


def test_a_number_between_two_members_of_a_closed_set_is_refused() -> None:
    datagram = bytearray(encode_demand(DEMAND))
    at = datagram.index(LimitSource.OWNER.to_bytes(1, "little"), 14)
    unknown = next(number for number in range(1, LimitSource.OWNER) if number not in set(LimitSource))
    datagram[at] = unknown
    with pytest.raises(RecordDecodeError, match=f"{unknown} is not a valid LimitSource"):
        decode_demand(bytes(datagram))


def test_an_instant_before_the_boot_is_refused_by_name() -> None:
    datagram = bytearray(encode_demand(DEMAND))
    datagram[23] |= 0x80
    with pytest.raises(RecordDecodeError, match="valid_until_ns -"):
        decode_demand(bytes(datagram))
