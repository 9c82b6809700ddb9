"""A chronicle that is cut off, restarted and robbed of datagrams tells the same as one that heard everything."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.metering import EnergyCounter
from evse_pi.charging.startup_state import StartupState
from evse_pi.core.faults import Fault
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.recall import load_startup_state
from hal.units import SECOND, Milliwatts
from tests.support.node_box import NOTHING, RATINGS, FakeSafety, HandWriter, meter_reading

FAULTS = (NOTHING, frozenset((Fault.RCD_TRIPPED,)), frozenset((Fault.RCD_TRIPPED, Fault.METER_STALE)))
moves = st.tuples(st.sampled_from("ABCE?"), st.integers(0, 2), st.integers(1, 400))


def tell(box: ChargePoint, safety: FakeSafety, *, heard: bool) -> None:
    if heard:
        box.on_snapshot(safety.snapshot())


@given(st.lists(moves, max_size=40), st.data())
@settings(deadline=None)
def test_lost_datagrams_lose_no_transition(made: list[tuple[str, int, int]], data: st.DataObject) -> None:
    """Of sixteen transitions in a row one snapshot arrives, and nothing is missing and nothing is double."""
    clock = VirtualClock()
    safety = FakeSafety(clock)
    whole, holed = (
        ChargePoint(clock, RATINGS, None, StartupState(), HandWriter()),
        ChargePoint(clock, RATINGS, None, StartupState(), HandWriter()),
    )
    unheard = 0
    for state, fault, wait_s in made:
        clock.advance_s(wait_s)
        safety.become(state, FAULTS[fault])
        whole.on_snapshot(safety.snapshot())
        unheard += 1
        heard = unheard == 16 or data.draw(st.booleans())
        tell(holed, safety, heard=heard)
        unheard = 0 if heard else unheard
    tell(holed, safety, heard=True)
    whole.on_snapshot(safety.snapshot())
    assert holed.event_recorder.cursor == whole.event_recorder.cursor
    assert holed.event_recorder.cursor.lost == 0
    assert holed.event_recorder.session == whole.event_recorder.session
    assert holed.event_recorder.last_session == whole.event_recorder.last_session
    assert {record.fault for record in holed.event_recorder.faults} == {
        record.fault for record in whole.event_recorder.faults
    }


@given(st.lists(st.tuples(moves, st.booleans()), max_size=30))
@settings(deadline=None, max_examples=40)  # each example syncs a real file
def test_restarts_of_the_node_double_and_lose_no_session(made: list[tuple[tuple[str, int, int], bool]]) -> None:
    """All rows that are noted are written here before the process dies; what is not noted is not needed."""
    clock = VirtualClock()
    safety = FakeSafety(clock)
    steady, restarted = (
        ChargePoint(clock, RATINGS, None, StartupState(), HandWriter()),
        ChargePoint(clock, RATINGS, None, StartupState(), HandWriter()),
    )
    with TemporaryDirectory() as folder, closing(Store(Path(folder) / "evse.db")) as file:
        for (state, fault, wait_s), dies in made:
            clock.advance_s(wait_s)
            safety.become(state, FAULTS[fault])
            for box in (steady, restarted):
                box.on_snapshot(safety.snapshot())
            file.write(restarted.event_recorder.write_queue.take(clock.now_ns, all_rows=True))
            if dies:
                restarted = ChargePoint(clock, RATINGS, None, load_startup_state(file, clock.unix_s()), HandWriter())
        compare(steady, restarted, file)


def compare(steady: ChargePoint, restarted: ChargePoint, file: Store) -> None:
    assert restarted.event_recorder.session == steady.event_recorder.session
    numbers = [saved.session.number for saved in file.sessions(1000)]
    assert numbers == sorted(set(numbers), reverse=True)
    assert {record.fault for record in restarted.event_recorder.faults} == {
        record.fault for record in steady.event_recorder.faults
    }
    moments = [record.at_ns for record in file.transitions(1000)]
    assert len(moments) == len(set(moments))
    opened = [record.fault for record in file.faults(1000) if record.cleared_ns is None]
    assert len(opened) == len(set(opened))


steps = st.lists(st.tuples(st.integers(0, 22_000_000), st.integers(1, 20), st.sampled_from("....r^")), max_size=60)


@given(steps)
def test_energy_is_never_negative_and_never_more_than_the_circuit_carries(made: list[tuple[int, int, str]]) -> None:
    """r is a meter that begins at 0 again, ^ one that shows another's register."""
    counter, register, now_s, flowed = EnergyCounter(), 5_000_000, 0, 0
    replaced_s = 0
    for power_mw, wait_s, event in made:
        now_s += wait_s
        grown = power_mw * wait_s // 3600
        flowed += grown
        register = {"r": 0, "^": register + 10**9}.get(event, register + grown)
        replaced_s += wait_s * (event != ".")
        before = counter
        counter = counter.accept(meter_reading(now_s * SECOND, register, power_mw), Milliwatts(22_000_000))
        assert counter.total_mwh >= before.total_mwh
    slack = 22_000_000 * 5 // 4 * replaced_s // 3600 + 20_000 * len(made)
    assert counter.total_mwh <= flowed + slack
