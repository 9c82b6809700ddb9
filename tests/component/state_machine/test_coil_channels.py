"""Either switch of the contactor's coil fails alone and in silence: seen, named, and nothing closes on it again.

What must be seen, and within what time: docs/boards/reference.md, the table of the coil's node and the FMEA.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import pytest

from boards.loader import load_board
from boards.spec import ProvenBy, WatchdogSpec
from evse_pi.core.evidence import Check
from evse_pi.core.faults import Fault
from evse_pi.core.installation_limits import Purpose
from evse_pi.core.records import Request
from evse_pi.core.states import EvseState, Reason
from evse_pi.installation.files import SIMULATED_INSTALLATION, ratings
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings
from evse_pi.sim.signals import Drive
from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from boards.spec import BoardSpec

pytestmark = pytest.mark.hazard("H-09")

MS = 1_000_000
S = 1_000 * MS
SIMULATED = load_board("simulated")
REFERENCE = load_board("reference")
MIRROR_ONLY = replace(SIMULATED, coil_node=None, contactor=replace(SIMULATED.contactor, channel_proof=ProvenBy.MIRROR))
BOARDS = {"coil node": SIMULATED, "reference board": REFERENCE, "mirror alone": MIRROR_ONLY}
MIRROR_REFERENCE = replace(
    REFERENCE, coil_node=None, contactor=replace(REFERENCE.contactor, channel_proof=ProvenBy.MIRROR)
)
LONG_GATE_MS = 4_000


def long_gate() -> BoardSpec:
    """Return a board for the bench whose gate holds for seconds."""
    gate = MIRROR_ONLY.watchdog
    assert isinstance(gate, WatchdogSpec)
    slow = replace(gate, hold_min_ms=3_000, hold_max_ms=LONG_GATE_MS, bench_only="its gate holds for seconds")
    return replace(MIRROR_ONLY, watchdog=slow)


LONG_GATE = long_gate()
BENCH = replace(SIMULATED_INSTALLATION, purpose=Purpose.BENCH.value)


def offering(board: BoardSpec, *, seed: int = 1, offered_ma: int = 32_000) -> VirtualBox:
    """Return a box whose vehicle is plugged in and does not ask yet, its contacts at rest."""
    box = VirtualBox(
        VirtualBoxSettings(board, installation=BENCH if board is LONG_GATE else SIMULATED_INSTALLATION, seed=seed)
    )
    box.wait_for_state(EvseState.A, 6 * S)
    box.node.permit(box.clock.now_ns, offered_ma=offered_ma)
    box.do("plug_in", cable_ma=32_000)
    box.wait_for_state(EvseState.B2, 12 * S)
    box.wait(10 * S)
    return box


def charging(board: BoardSpec, *, seed: int = 1, offered_ma: int = 32_000) -> VirtualBox:
    box = offering(board, seed=seed, offered_ma=offered_ma)
    box.do("close_s2")
    box.wait_for(lambda: box.energised, 3 * S)
    box.wait(2 * S)
    return box


@lru_cache
def shared(name: str, how: str) -> VirtualBox:
    """Return a box to be used in forks only."""
    more = {"long gate": LONG_GATE, "mirror, reference board": MIRROR_REFERENCE}
    return {"offering": offering, "charging": charging}[how]({**BOARDS, **more}[name])


def named(box: VirtualBox) -> Check | None:
    """Return the switch that the box holds for broken."""
    found = box.loop.state.watch.coil.found if box.loop else None
    return None if found is None else found.check


def ask(box: VirtualBox, within_ns: int = 4 * S) -> bool:
    """Let the vehicle ask, and return whether a pole ever conducted."""
    closings = box.plant.contactor.closings
    box.do("close_s2")
    box.wait(within_ns)
    return box.plant.contactor.closings > closings


@pytest.mark.parametrize("board", list(BOARDS))
def test_no_pulse_reaches_the_gate_of_an_open_contactor_but_in_the_proof(board: str) -> None:
    def case() -> tuple[int, int]:
        box = shared(board, "offering")
        edges: list[int] = []
        drive = box.plant.drive

        def counting(line: Drive, active: bool, now_ns: int) -> None:
            if line is Drive.WATCHDOG and active:
                edges.append(now_ns)
            drive(line, active, now_ns)

        box.plant.drive = counting  # type: ignore[method-assign]
        box.wait(10 * S)
        idle = len(edges)
        asked_ns = box.clock.now_ns
        box.do("close_s2")
        box.wait_for(lambda: box.energised, 3 * S)
        return idle, min(edges) - asked_ns

    idle, first_ns = in_a_fork(case)
    assert idle == 0
    assert first_ns > 300 * MS  # the standard's 500 ms of a steady C, less the proof


@pytest.mark.parametrize("offered_ma", [6_000, 32_000])
@pytest.mark.parametrize("board", list(BOARDS))
def test_a_sound_box_proves_both_switches_within_the_time_that_c_is_watched_anyway(board: str, offered_ma: int) -> None:
    box = offering(BOARDS[board], offered_ma=offered_ma)
    coils: list[tuple[bool, bool, str]] = []
    box.watchers.append(
        lambda: coils.append((box.plant.coil.state.gate, box.plant.coil.state.returned, box.plant.contactor.coil.name))
    )
    asked_ns = box.clock.now_ns
    box.do("close_s2")
    took_ns = box.wait_for(lambda: box.energised, 3 * S)
    assert box.clock.now_ns - asked_ns == took_ns < 600 * MS  # of the 3 s of sequence 4
    alone = {(gate, returned) for gate, returned, coil in coils if coil == "OFF"}
    assert {(False, True), (True, False)} <= alone
    assert not box.faults


@pytest.mark.parametrize("board", list(BOARDS))
@pytest.mark.parametrize(
    ("verb", "how", "node", "mirror"),
    [
        ("break_gate", "shorted", Check.GATE_OPENS, Check.GATE_ALONE),
        ("break_gate", "open", Check.GATE_CLOSES, None),
        ("break_return", "shorted", None, Check.RETURN_ALONE),  # the node cannot tell it from a lost supply
        ("break_return", "open", Check.RETURN_CLOSES, None),
    ],
)
def test_a_switch_that_failed_in_rest_closes_nothing(
    verb: str, how: str, node: Check | None, mirror: Check | None, board: str
) -> None:
    def case() -> tuple[bool, Check | None, frozenset[Fault]]:
        box = shared(board, "offering")
        box.do(verb, how=how)
        box.wait(S)
        moved = ask(box)
        return moved, named(box), box.faults

    moved, check, faults = in_a_fork(case)
    if board == "mirror alone":
        assert check is mirror
        assert moved is (mirror is not None)  # by the proof itself, at the moment at which closing is permitted
        assert faults == ({Fault.CONTACTOR_CHANNEL} if mirror else {Fault.CONTACTOR_FAILED_TO_CLOSE})
        return
    assert not moved
    assert check is node
    assert faults == ({Fault.CONTACTOR_CHANNEL} if node else {Fault.SUPPLY_24V})


@pytest.mark.parametrize("board", ["coil node", "reference board"])
@pytest.mark.parametrize(
    ("verb", "how", "check"),
    [
        ("break_gate", "shorted", Check.GATE_OPENS),
        ("break_return", "shorted", Check.RETURN_OPENS),
        ("break_return", "open", Check.RETURN_CLOSES),
    ],
)
def test_a_switch_that_fails_while_a_vehicle_charges_is_named_at_the_opening(
    verb: str, how: str, check: Check, board: str
) -> None:
    def case() -> tuple[int, Check | None, frozenset[Fault]]:
        box = shared(board, "charging")
        box.do(verb, how=how)
        box.wait(S)
        left_ns = box.clock.now_ns
        box.do("open_s2")
        box.wait_for(lambda: not box.energised, S)
        took_ns = box.clock.now_ns - left_ns
        box.wait(2 * S)
        return took_ns, named(box), box.faults

    took_ns, found, faults = in_a_fork(case)
    assert took_ns <= 100 * MS  # the other switch opens in time
    assert found is check
    assert faults == {Fault.CONTACTOR_CHANNEL}


@pytest.mark.parametrize("board", ["coil node", "reference board"])
@pytest.mark.parametrize(("ms", "check"), [(25, Check.GATE_HOLD_SHORTEST), (90, Check.GATE_HOLD_LONGEST)])
def test_a_gate_that_holds_too_long_or_too_short_is_measured_at_the_opening(ms: int, check: Check, board: str) -> None:
    def case() -> tuple[Check | None, frozenset[Fault]]:
        box = shared(board, "charging")
        box.do("stretch_gate", ms=ms)
        box.wait(S)
        box.do("open_s2")
        box.wait(S)
        return named(box), box.faults

    found, faults = in_a_fork(case)
    assert faults == {Fault.CONTACTOR_CHANNEL}
    assert found in {check, Check.GATE_OPENS}


@pytest.mark.parametrize("board", ["coil node", "reference board"])
@pytest.mark.parametrize("end", ["least", "most"])
def test_a_hold_within_its_limits_is_measured_and_no_fault(end: str, board: str) -> None:
    def case() -> tuple[tuple[int, int] | None, frozenset[Fault]]:
        box = shared(board, "charging")
        gate = BOARDS[board].watchdog
        hold_ms = gate.hold_min_ms if end == "least" else gate.hold_max_ms  # type: ignore[union-attr]
        box.do("stretch_gate", ms=hold_ms)
        box.wait(S)
        box.do("open_s2")
        box.wait(S)
        seen = box.loop.state.watch.coil.gate.seen_ns if box.loop else None
        assert seen is not None
        assert seen[1] - MS <= hold_ms * MS <= seen[0] + MS
        return seen, box.faults

    _, faults = in_a_fork(case)
    assert not faults


@pytest.mark.parametrize("hold_ms", [None, 58, 42])
@pytest.mark.parametrize("ask_again_ms", [30, 70, 200])
def test_a_vehicle_that_toggles_s2_makes_no_switch_look_broken(ask_again_ms: int, hold_ms: int | None) -> None:
    def case() -> frozenset[Fault]:
        box = shared("reference board", "offering")
        box.do("stretch_gate", ms=hold_ms)
        for shown_ms in range(330, 560, 10):
            box.do("close_s2")
            box.wait(shown_ms * MS)
            box.do("open_s2")
            box.wait(ask_again_ms * MS)
        return box.faults

    assert not in_a_fork(case)


def closed_unordered(box: VirtualBox) -> list[int]:
    """Return a list of the instants at which a pole conducts from now on though none was told to, kept up to date."""
    found: list[int] = []

    def look() -> None:
        assert box.loop is not None
        contactor = box.loop.state.watch.contactor
        let_go_ns = contactor.ordered_ns + ratings(box.settings.board).contactor_release_ns
        if any(box.plant.contactor.closed) and not contactor.closed and box.clock.now_ns > let_go_ns:
            found.append(box.clock.now_ns)

    box.watchers.append(look)
    return found


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize("board", ["mirror alone", "mirror, reference board"])
def test_a_proof_that_noise_breaks_off_closes_nothing_when_it_begins_again(board: str) -> None:
    """A gate holds for up to `hold_max_ms` after its last pulse: the return switch alone closes the poles then."""

    def case(shown_ms: int) -> tuple[list[int], frozenset[Fault], bool]:
        box = shared(board, "offering")
        gate = box.settings.board.watchdog
        assert isinstance(gate, WatchdogSpec)
        box.do("stretch_gate", ms=gate.hold_max_ms)
        box.do("close_s2")
        box.wait(shown_ms * MS)
        found = closed_unordered(box)
        box.do("disturb_pilot", noise_v=1.5)
        box.wait(30 * MS)
        box.do("disturb_pilot")
        box.wait(3 * S)
        return found, box.faults, box.energised

    for shown_ms in range(410, 530, 10):
        result = in_a_fork(partial(case, shown_ms))
        assert result == ([], frozenset(), True), shown_ms


@pytest.mark.hazard("H-02")
@pytest.mark.parametrize("asks_ms", [420, 450, 480, 510])
def test_a_vehicle_that_asks_again_while_a_long_gate_holds_closes_nothing_by_the_proof(asks_ms: int) -> None:
    def case() -> tuple[list[int], frozenset[Fault], bool]:
        box = shared("long gate", "offering")
        box.do("stretch_gate", ms=LONG_GATE_MS)
        found = closed_unordered(box)
        for _ in range(3):
            box.do("close_s2")
            box.wait(asks_ms * MS)
            box.do("open_s2")
            box.wait(100 * MS)
        return found, box.faults, ask(box, 6 * S)

    assert in_a_fork(case) == ([], frozenset(), True)


@pytest.mark.hazard("H-02")
def test_a_vehicle_that_asks_again_after_an_opening_finds_a_long_gate_let_go_first() -> None:
    def case() -> tuple[list[int], frozenset[Fault], bool]:
        box = shared("long gate", "charging")
        box.do("stretch_gate", ms=LONG_GATE_MS)
        box.wait(12 * S)
        box.do("open_s2")
        box.wait_for(lambda: not box.energised, S)
        found = closed_unordered(box)
        box.wait(S)
        return found, box.faults, ask(box, 6 * S)

    assert in_a_fork(case) == ([], frozenset(), True)


@pytest.mark.hazard("H-05")
@pytest.mark.parametrize("board", ["coil node", "reference board"])
def test_a_latch_that_is_cut_from_the_coil_fails_the_residual_current_device_s_test(board: str) -> None:
    box = VirtualBox(VirtualBoxSettings(BOARDS[board]))
    box.wait_for_state(EvseState.A, 6 * S)
    box.do("cut_latch")
    box.do("plug_in", cable_ma=32_000)
    box.do("auto")
    box.wait(15 * S)
    assert box.faults == {Fault.RCD_TEST_FAILED}
    assert not box.plant.contactor.closings
    assert box.loop is not None
    evidence = box.loop.state.watch.evidence(ratings(BOARDS[board]))
    failed = [each.check for each in evidence if not each.passed]
    assert failed == [Check.RCD_CUTS_COIL]


@pytest.mark.parametrize("mv", [0, 16_000, 19_000, 31_000])
def test_a_coil_supply_outside_its_limits_is_told_as_such_and_clears_by_itself(mv: int) -> None:
    def case() -> tuple[bool, frozenset[Fault], bool]:
        box = shared("coil node", "offering")
        box.do("supply_coil", mv=mv)
        box.wait(S)
        moved, faults = ask(box), box.faults
        box.do("supply_coil")
        box.wait_for(lambda: not box.faults, 6 * S)
        box.do("open_s2")
        box.wait_for_state(EvseState.B2, 15 * S)
        return moved, faults, ask(box)

    moved, faults, closed_again = in_a_fork(case)
    assert not moved
    assert faults == {Fault.SUPPLY_24V}
    assert closed_again


@pytest.mark.parametrize("mv", [0, 8_000, 13_000, 16_000, 17_900])
@pytest.mark.parametrize("for_ms", [40, 200, 5_000])
def test_a_supply_that_fails_under_a_closed_contactor_is_no_broken_switch(for_ms: int, mv: int) -> None:
    def case() -> tuple[frozenset[Fault], bool]:
        box = shared("coil node", "charging")
        seen: set[Fault] = set()
        box.watchers.append(lambda: seen.update(box.faults))
        box.do("supply_coil", mv=mv)
        box.wait(for_ms * MS)
        box.do("supply_coil")
        box.wait_for(lambda: box.evse_state is EvseState.B2 and not box.faults, 30 * S)
        box.wait(10 * S)
        return frozenset(seen), ask(box)

    seen, closed_again = in_a_fork(case)
    assert seen <= {Fault.SUPPLY_24V}
    assert closed_again


def test_an_emergency_stop_in_the_coil_s_supply_is_no_missing_supply() -> None:
    def case() -> frozenset[Fault]:
        box = shared("coil node", "charging")
        box.do("press_stop")
        box.wait(5 * S)
        return box.faults

    assert in_a_fork(case) == {Fault.EMERGENCY_STOP}


def test_a_broken_winding_is_found_before_a_close_is_tried() -> None:
    def case() -> tuple[bool, frozenset[Fault]]:
        box = shared("coil node", "offering")
        box.do("break_coil")
        return ask(box), box.faults

    assert in_a_fork(case) == (False, {Fault.SUPPLY_24V})


@pytest.mark.parametrize("seed", range(6))
def test_hundreds_of_closes_of_a_sound_box_show_no_fault(seed: int) -> None:
    board = replace(REFERENCE, contactor=replace(REFERENCE.contactor, min_off_ms=5_000))
    box = charging(board, seed=seed)
    seen: set[Fault] = set()
    box.watchers.append(lambda: seen.update(box.faults))
    for stop in range(10):
        box.do("open_s2")
        box.wait((2_500 + 137 * stop) * MS)
        box.do("close_s2")
        box.wait_for(lambda: box.energised, 8 * S)
        box.wait((200 + 313 * stop) * MS)
    assert not seen


def test_the_installer_clears_and_the_next_proof_decides_again() -> None:
    def case(mended: bool) -> tuple[bool, frozenset[Fault]]:
        box = shared("coil node", "charging")
        box.do("break_gate", how="shorted")
        box.do("open_s2")
        box.wait(S)
        assert Fault.CONTACTOR_CHANNEL in box.faults
        if mended:
            box.do("break_gate")
        box.node.order(box.clock.now_ns, Request.CLEAR_INSTALLER)
        box.wait(12 * S)
        closed = ask(box)
        return closed, box.faults

    assert in_a_fork(lambda: case(True)) == (True, frozenset())
    assert in_a_fork(lambda: case(False)) == (False, {Fault.CONTACTOR_CHANNEL})


CAUSES: dict[str, Callable[[VirtualBox], None]] = {
    "unplugged": lambda box: box.do("unplug"),
    "let go": lambda box: box.do("open_s2"),
    "residual current": lambda box: box.do("leak", dc_ma=200.0),
    "emergency stop": lambda box: box.do("press_stop"),
    "short": lambda box: box.do("short_pilot"),
    "revoked": lambda box: box.node.permit(box.clock.now_ns, permitted=False),
}


@pytest.mark.parametrize("cause", list(CAUSES))
@pytest.mark.parametrize("seed", range(3))
def test_no_way_to_open_makes_a_switch_look_broken(seed: int, cause: str) -> None:
    box = charging(REFERENCE, seed=seed, offered_ma=6_000 if seed else 32_000)
    seen: set[Fault] = set()
    box.watchers.append(lambda: seen.update(box.faults))
    CAUSES[cause](box)
    box.wait_for(lambda: not box.energised, 8 * S)
    box.wait(3 * S)
    assert not seen & {Fault.CONTACTOR_CHANNEL, Fault.SUPPLY_24V, Fault.CONTACTOR_WELDED}
    assert box.loop is not None
    assert box.loop.state.status.reason is not Reason.CHARGING


def test_a_mirror_contact_that_sticks_open_while_a_vehicle_charges_is_no_lost_supply() -> None:
    """The load side stays live, so the contacts are closed: the mirror contact is wrong, not the coil's supply."""

    def case() -> frozenset[Fault]:
        box = shared("coil node", "charging")
        seen: set[Fault] = set()
        box.watchers.append(lambda: seen.update(box.faults))
        box.do("stick_mirror", closed=False)
        box.wait(2 * S)
        return frozenset(seen)

    assert in_a_fork(case) == {Fault.CONTACTOR_FAILED_TO_CLOSE}


@pytest.mark.parametrize(("mv", "well"), [(20_400, True), (20_300, False)])
def test_the_least_supply_with_which_a_contactor_pulls_in_is_enough(mv: int, well: bool) -> None:
    """0.85 of 24 V, ends included. Source: IEC 60947-4-1 clause 8.2.1.2, limits of operation."""
    box = offering(SIMULATED)
    box.do("supply_coil", mv=mv)
    box.do("close_s2")
    box.wait(4 * S)
    assert box.energised is well
    assert (Fault.SUPPLY_24V in box.faults) is not well
