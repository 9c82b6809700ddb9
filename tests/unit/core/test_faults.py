"""The book of active faults, without a machine round it."""

from __future__ import annotations

from evse_pi.core.faults import FAULTS, NO_FAULTS, OPENING, Clear, Entry, Fault, FaultBook, Severity, latched, worst

S = 1_000_000_000
NOTHING = Clear.RESTART


def only(fault: Fault) -> frozenset[Fault]:
    return frozenset({fault})


def test_an_empty_book_without_conditions_stays_the_same_object() -> None:
    book = FaultBook()
    assert book.advance(1, NO_FAULTS, NOTHING, NO_FAULTS) is book


def test_a_book_that_does_not_change_stays_the_same_object() -> None:
    book = FaultBook().advance(1, only(Fault.INTERNAL), NOTHING, NO_FAULTS)
    assert book.advance(2, only(Fault.INTERNAL), NOTHING, NO_FAULTS) is book


def test_a_fault_keeps_its_beginning_though_its_condition_comes_and_goes() -> None:
    book = FaultBook().advance(1, only(Fault.OVERCURRENT), NOTHING, NO_FAULTS)
    book = book.advance(2, NO_FAULTS, NOTHING, NO_FAULTS)
    assert book.entries == (Entry(Fault.OVERCURRENT, 1, 2),)
    book = book.advance(3, only(Fault.OVERCURRENT), NOTHING, NO_FAULTS)
    assert book.entries == (Entry(Fault.OVERCURRENT, 1, None),)


def test_the_delay_begins_again_when_the_condition_returns() -> None:
    present = only(Fault.OVER_TEMPERATURE)
    book = FaultBook().advance(0, present, NOTHING, NO_FAULTS)
    book = book.advance(1 * S, NO_FAULTS, NOTHING, NO_FAULTS)
    book = book.advance(59 * S, present, NOTHING, NO_FAULTS)
    book = book.advance(60 * S, NO_FAULTS, NOTHING, NO_FAULTS)
    assert book.advance(119 * S, NO_FAULTS, NOTHING, NO_FAULTS).active == present
    assert not book.advance(120 * S, NO_FAULTS, NOTHING, NO_FAULTS).active


def test_a_box_that_was_too_hot_and_is_cool_can_be_cleared_at_once() -> None:
    hot = only(Fault.OVER_TEMPERATURE)
    book = FaultBook().advance(0, hot, NOTHING, NO_FAULTS)
    assert book.advance(1 * S, hot, Clear.BY_INSTALLER, NO_FAULTS).active == hot
    cool = book.advance(2 * S, NO_FAULTS, NOTHING, NO_FAULTS)
    assert cool.advance(3 * S, NO_FAULTS, Clear.BY_USER, NO_FAULTS).active == hot
    assert not cool.advance(3 * S, NO_FAULTS, Clear.BY_INSTALLER, NO_FAULTS).active


def test_only_faults_that_open_make_the_book_opening() -> None:
    for fault, row in FAULTS.items():
        book = FaultBook().advance(0, only(fault), NOTHING, NO_FAULTS)
        assert book.opening is (row.severity is Severity.OPEN) is (fault in OPENING)


def test_a_released_fault_goes_at_once_but_not_while_its_condition_lasts() -> None:
    released = only(Fault.RCD_TRIPPED)
    book = FaultBook().advance(0, released, NOTHING, NO_FAULTS)
    assert book.advance(1, released, NOTHING, released) is book
    assert not book.advance(1, NO_FAULTS, NOTHING, released).active


def test_faults_of_an_earlier_run_wait_for_their_rule() -> None:
    book = latched([Fault.RCD_TRIPPED, Fault.RCD_TRIPPED, Fault.METER_STALE], 0)
    assert book.active == {Fault.RCD_TRIPPED, Fault.METER_STALE}
    assert book.opening
    book = book.advance(1, NO_FAULTS, NOTHING, NO_FAULTS)
    assert book.active == {Fault.RCD_TRIPPED}
    assert not book.advance(2, NO_FAULTS, Clear.BY_USER, NO_FAULTS).active


def test_every_fault_has_exactly_one_row_and_a_rank() -> None:
    assert set(FAULTS) == set(Fault)
    assert worst([]) is None
    assert worst([Fault.INTERNAL, Fault.EMERGENCY_STOP, Fault.METER_STALE]) is Fault.EMERGENCY_STOP
    assert worst([Fault.METER_STALE, Fault.CONTACTOR_WELDED]) is Fault.CONTACTOR_WELDED


def test_every_driver_failure_opens() -> None:
    ends = ("ADC_FAILED", "PWM_FAILED", "DRIVE_FAILED", "READ_FAILED", "SENSE_FAILED", "OUTPUT_FAILED")
    drivers = [fault for fault in Fault if fault.name.endswith(ends)]
    assert len(drivers) == 10
    for fault in drivers:
        assert FAULTS[fault].severity is Severity.OPEN


INSTALLER, USER, UNPLUG, GONE = Clear.BY_INSTALLER, Clear.BY_USER, Clear.ON_UNPLUG, Clear.WHEN_GONE
WAYS_OUT = {
    INSTALLER: {
        Fault.CONTACTOR_WELDED, Fault.CONTACTOR_CHANNEL, Fault.RCD_TRIPS_REPEATED, Fault.RCD_TEST_FAILED,
        Fault.LIVE_NEUTRAL_SWAP,
    },
    USER: {Fault.RCD_TRIPPED, Fault.LOCK_FAILED},
    UNPLUG | USER: {Fault.EMERGENCY_STOP, Fault.OVERCURRENT, Fault.CONTACTOR_FAILED_TO_CLOSE},
    UNPLUG: {
        Fault.PILOT_SHORT, Fault.PILOT_DIODE, Fault.PILOT_OUT_OF_BAND, Fault.PILOT_DUTY, Fault.CABLE_REMOVED,
        Fault.PROXIMITY_INVALID,
    },
    GONE | INSTALLER: {Fault.OVER_TEMPERATURE},
    Clear.RESTART: {Fault.CONTACTOR_DRIVE_FAILED, Fault.OUTPUTS_PERSIST, Fault.INTERNAL},
}  # fmt: skip
"""Who or what ends a fault, but for those that end by themselves alone: docs/SAFETY.md, H-03, H-05, H-06, H-14.

A residual current is for a person to look at: unplugging proves nothing. Who may clear a weld is B-4 there.
"""
CLEARS_AFTER_S = {
    Fault.PILOT_SUPPLY: 5, Fault.SUPPLY_24V: 5, Fault.PILOT_GENERATOR: 10, Fault.PILOT_UNCERTAIN: 1,
    Fault.VENTILATION_REQUIRED: 10, Fault.TIMING_BUDGET: 60, Fault.OVERVOLTAGE: 60, Fault.UNDERVOLTAGE: 60,
    Fault.POWER_QUALITY: 60, Fault.SUPPLY_LOST: 60, Fault.PHASE_LOST: 60, Fault.OVER_TEMPERATURE: 60,
}  # fmt: skip
"""In seconds; of the rails, the coil's supply and the mains: docs/boards/reference.md."""
ENDS_THE_OFFER = {
    Fault.OVER_TEMPERATURE, Fault.LIVE_NEUTRAL_SWAP, Fault.OVERVOLTAGE, Fault.UNDERVOLTAGE, Fault.POWER_QUALITY,
    Fault.SUPPLY_LOST, Fault.PHASE_LOST, Fault.LOCK_FAILED, Fault.METER_STALE, Fault.TEMPERATURE_STALE,
}  # fmt: skip
"""What lets the vehicle let go first; all else opens in the same tick."""


def test_each_fault_ends_by_what_it_is_documented_to_end_by() -> None:
    told = {fault: clear for clear, faults in WAYS_OUT.items() for fault in faults}
    assert {fault: row.clear for fault, row in FAULTS.items()} == {fault: told.get(fault, GONE) for fault in Fault}


def test_a_fault_that_ends_by_itself_is_gone_for_its_time_first() -> None:
    driver = {fault: 30 for fault in Fault if fault.name.endswith(("_READ_FAILED", "_PWM_FAILED", "_ADC_FAILED"))}
    driver |= dict.fromkeys(
        (Fault.RCD_DRIVE_FAILED, Fault.VOLTAGE_SENSE_FAILED, Fault.LOCK_DRIVE_FAILED, Fault.WATCHDOG_DRIVE_FAILED,
         Fault.WELD_OUTPUT_FAILED), 30,
    )  # fmt: skip
    told = CLEARS_AFTER_S | driver
    assert {fault: row.clear_delay_ns for fault, row in FAULTS.items()} == {f: told.get(f, 0) * S for f in Fault}


def test_what_ends_the_offer_first_and_what_opens_at_once() -> None:
    assert {fault for fault, row in FAULTS.items() if row.severity is Severity.STOP} == ENDS_THE_OFFER
