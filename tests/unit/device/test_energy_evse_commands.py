"""Every command in every state of supply, fault and pilot: its status, what it changes, and the events it brings.

Source: Matter Application Cluster Specification 1.4.2, Energy EVSE; statuses as the reference application answers.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.charging.settings import SETTINGS, settings_of
from evse_pi.core.faults import FAULTS, Fault
from evse_pi.core.states import FaultState, LimitSource, MatterState, PilotState, SupplyState
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.evse_bench import NOW_S, EvseBench

if TYPE_CHECKING:
    from collections.abc import Callable

Supply = SupplyState
DISABLED, CHARGING, DISCHARGING, BOTH = (
    Supply.DISABLED,
    Supply.CHARGING_ENABLED,
    Supply.DISCHARGING_ENABLED,
    Supply.ENABLED,
)
TESTING = Supply.DISABLED_DIAGNOSTICS
OK, REFUSED, WRONG = StatusCode.SUCCESS, StatusCode.FAILURE, StatusCode.CONSTRAINT_ERROR
COMMANDS: dict[str, Callable[[EvseBench], StatusCode]] = {
    "disable": lambda bench: bench.disable(),
    "enable": lambda bench: bench.enable(NOW_S + 600, 6_000, 16_000),
    "enable for good": lambda bench: bench.enable(None, 6_000, 16_000),
    "enable until the past": lambda bench: bench.enable(NOW_S - 1, 6_000, 16_000),
    "enable until 0": lambda bench: bench.enable(0, 6_000, 16_000),
    "enable minimum above maximum": lambda bench: bench.enable(None, 16_000, 6_000),
    "enable discharging": lambda bench: discharge(bench, None),
    "enable discharging until the past": lambda bench: discharge(bench, NOW_S - 1),
    "start diagnostics": lambda bench: bench.status(bench.server.start_diagnostics),
    "set targets": lambda bench: bench.targets((1, [(60, 80, None)])),
    "get targets": lambda bench: bench.status(bench.server.get_targets),
    "clear targets": lambda bench: bench.status(bench.server.clear_targets),
}
# Command: its answer and SupplyState after it, from each SupplyState before it (a fault apart).
OUTCOMES: dict[str, dict[Supply, tuple[StatusCode, Supply]]] = {
    "disable": {
        DISABLED: (OK, DISABLED),
        CHARGING: (OK, DISABLED),
        DISCHARGING: (OK, DISABLED),
        BOTH: (OK, DISABLED),
        TESTING: (REFUSED, TESTING),
    },
    "enable": {
        DISABLED: (OK, CHARGING),
        CHARGING: (OK, CHARGING),
        DISCHARGING: (OK, BOTH),
        BOTH: (OK, BOTH),
        TESTING: (REFUSED, TESTING),
    },
    "enable until the past": {
        DISABLED: (OK, DISABLED),
        CHARGING: (OK, DISABLED),
        DISCHARGING: (OK, DISCHARGING),
        BOTH: (OK, DISCHARGING),
        TESTING: (REFUSED, TESTING),
    },
    "enable minimum above maximum": {each: (WRONG, each) for each in (DISABLED, CHARGING, DISCHARGING, BOTH, TESTING)},
    "enable discharging": {
        DISABLED: (OK, DISCHARGING),
        CHARGING: (OK, BOTH),
        DISCHARGING: (OK, DISCHARGING),
        BOTH: (OK, BOTH),
        TESTING: (REFUSED, TESTING),
    },
    "enable discharging until the past": {
        DISABLED: (OK, DISABLED),
        CHARGING: (OK, CHARGING),
        DISCHARGING: (OK, DISABLED),
        BOTH: (OK, CHARGING),
        TESTING: (REFUSED, TESTING),
    },
    "start diagnostics": {
        DISABLED: (OK, TESTING),
        CHARGING: (REFUSED, CHARGING),
        DISCHARGING: (REFUSED, DISCHARGING),
        BOTH: (REFUSED, BOTH),
        TESTING: (REFUSED, TESTING),
    },
    "set targets": {each: (OK, each) for each in (DISABLED, CHARGING, DISCHARGING, BOTH, TESTING)},
}
OUTCOMES["enable for good"] = OUTCOMES["enable"]
OUTCOMES["enable until 0"] = OUTCOMES["enable until the past"]
OUTCOMES["get targets"] = OUTCOMES["clear targets"] = OUTCOMES["set targets"]
# With a fault: the answer, and whether what was permitted is still permitted when the fault is gone.
FAULTY: dict[str, tuple[StatusCode, bool]] = {
    "disable": (REFUSED, False),
    "enable": (REFUSED, True),
    "enable for good": (REFUSED, True),
    "enable until the past": (REFUSED, True),
    "enable until 0": (REFUSED, True),
    "enable minimum above maximum": (WRONG, True),
    "enable discharging": (REFUSED, True),
    "enable discharging until the past": (REFUSED, True),
    "start diagnostics": (REFUSED, True),
    "set targets": (OK, True),
    "get targets": (OK, True),
    "clear targets": (OK, True),
}
PILOTS: dict[str, tuple[PilotState, bool, MatterState | None]] = {
    "unplugged": (PilotState.A, False, MatterState.NOT_PLUGGED_IN),
    "no demand": (PilotState.B, False, MatterState.PLUGGED_IN_NO_DEMAND),
    "demand": (PilotState.C, False, MatterState.PLUGGED_IN_DEMAND),
    "demand with ventilation": (PilotState.D, False, MatterState.PLUGGED_IN_DEMAND),
    "charging": (PilotState.C, True, MatterState.PLUGGED_IN_CHARGING),
    "shorted": (PilotState.E, False, None),
    "unreadable": (PilotState.INVALID, False, None),
    "held by the box": (PilotState.F, False, MatterState.NOT_PLUGGED_IN),
}
# One fault for each FaultState that a fault can have.
BY_FAULT_STATE = {FAULTS[fault].fault_state: fault for fault in reversed(FAULTS)}


def discharge(bench: EvseBench, until: int | None) -> StatusCode:
    request = EnergyEvse.Commands.EnableDischarging(until, 10_000)
    return bench.status(lambda: bench.server.enable_discharging(request))


async def bench_in(supply: Supply, pilot: str, fault: Fault | None) -> EvseBench:
    """Return a cluster with this supply, whose box is as `pilot` says, with a fault or without."""
    bench = await EvseBench(features=("SOC", "V2X")).start()
    if supply in (CHARGING, BOTH):
        bench.enable(None, 6_000, 32_000)
    if supply in (DISCHARGING, BOTH):
        discharge(bench, None)
    if supply is TESTING:
        bench.server.start_diagnostics()
        bench.charger.test(running=True, passed=False)
    state, closed, _ = PILOTS[pilot]
    bench.charger.pilot(state, closed=closed, offered_ma=16_000 if closed else 0)
    if fault is not None:
        bench.charger.fault(fault)
    bench.heard.clear()
    return bench


def told(bench: EvseBench) -> list[Any]:
    state = bench.state
    return [state.state, state.supply_state, state.fault_state]


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_without_a_fault(command: str) -> None:
    for supply, pilot in itertools.product(OUTCOMES[command], PILOTS):
        bench = await bench_in(supply, pilot, None)
        where = f"{command} in {supply.name}, {pilot}"
        assert told(bench) == [PILOTS[pilot][2], supply, FaultState.NO_ERROR], where
        status, after = OUTCOMES[command][supply]
        assert COMMANDS[command](bench) is status, where
        assert told(bench) == [PILOTS[pilot][2], after, FaultState.NO_ERROR], where
        assert bench.names == [], f"{where}: State and events follow the contactor, not the command"
        await bench.node.close()


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_during_a_fault(command: str) -> None:
    status, still = FAULTY[command]
    for supply, pilot, fault_state in itertools.product(OUTCOMES[command], PILOTS, BY_FAULT_STATE):
        bench = await bench_in(supply, pilot, BY_FAULT_STATE[fault_state])
        where = f"{command} in {supply.name}, {pilot}, {fault_state.name}"
        faulty = [MatterState.FAULT, Supply.DISABLED_ERROR, fault_state]
        assert told(bench) == faulty, where
        assert COMMANDS[command](bench) is status, where
        assert told(bench) == faulty, where
        stopped = pilot == "charging" and (not still or supply in (DISABLED, DISCHARGING, TESTING))
        assert set(bench.names) <= ({"energy_transfer_stopped"} if stopped else set()), where
        bench.charger.fault()
        after = supply if still or supply is TESTING else DISABLED
        assert bench.state.supply_state == after, where
        assert bench.names[0] == "fault", where
        await bench.node.close()


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_refused_command_changes_nothing_but_a_stop(command: str) -> None:
    for supply, fault in itertools.product(OUTCOMES[command], (None, Fault.RCD_TRIPPED)):
        bench = await bench_in(supply, "demand", fault)
        before, stored = bench.charger.permission.settings, dict(bench.store._values)
        row = bench.charger.writer.settings.get(SETTINGS)
        status = COMMANDS[command](bench)
        if status is OK:
            continue
        if command == "disable":
            assert bench.charger.permission.settings == before.disabled()
            assert settings_of(bench.charger.writer.settings[SETTINGS]) == before.disabled()
        else:
            assert bench.charger.permission.settings == before
            assert bench.store._values == stored
            assert bench.charger.writer.settings.get(SETTINGS) == row
        await bench.node.close()


# A disk that does not answer.


def on_the_card(evse: EvseBench) -> int | None:
    return settings_of(evse.charger.writer.settings[SETTINGS]).charging_until_s


async def waiting(evse: EvseBench) -> asyncio.Task[None]:
    """Return an EnableCharging for good that waits for its disk."""
    evse.charger.writer.answer = asyncio.get_running_loop().create_future()
    enabling = asyncio.create_task(evse.server.enable_charging(EnergyEvse.Commands.EnableCharging(None, 6_000, 16_000)))
    await asyncio.sleep(0)
    assert not enabling.done()
    return enabling


def answer(evse: EvseBench, *, taken: bool) -> None:
    assert evse.charger.writer.answer is not None
    evse.charger.writer.answer.set_result(taken)


@pytest.mark.hazard("H-18")
async def test_charging_is_permitted_once_the_permission_is_stored_and_not_before() -> None:
    evse = await EvseBench().start()
    enabling = await waiting(evse)
    assert evse.state.supply_state == SupplyState.DISABLED
    assert evse.charger.asks[LimitSource.ENABLE_CHARGING].permitted is False
    answer(evse, taken=True)
    await enabling
    assert evse.state.supply_state == SupplyState.CHARGING_ENABLED
    assert on_the_card(evse) is None


@pytest.mark.hazard("H-18")
async def test_a_permission_that_the_disk_does_not_take_is_refused_and_stays_out_of_the_store() -> None:
    evse = await EvseBench().start()
    enabling = await waiting(evse)
    answer(evse, taken=False)
    with pytest.raises(MatterStatus, match="nothing has changed"):
        await enabling
    assert evse.state.supply_state == SupplyState.DISABLED
    assert on_the_card(evse) == 0, "once the disk takes something again, it is no permission"


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("stop", ["disable", "reset"])
async def test_a_stop_does_not_wait_and_wins_over_a_permission_that_waits(stop: str) -> None:
    evse = await EvseBench().start()
    enabling = await waiting(evse)
    getattr(evse.server, stop)()
    assert on_the_card(evse) == 0, "what the stop is answered for is in the store then"
    answer(evse, taken=True)
    with pytest.raises(MatterStatus, match="another command"):
        await enabling
    assert evse.state.supply_state == SupplyState.DISABLED
    assert on_the_card(evse) == 0


@pytest.mark.hazard("H-18")
async def test_a_fault_that_comes_while_a_permission_is_stored_refuses_it() -> None:
    evse = await EvseBench().start()
    enabling = await waiting(evse)
    evse.charger.fault(Fault.RCD_TRIPPED)
    answer(evse, taken=True)
    with pytest.raises(MatterStatus, match="a fault is present"):
        await enabling
    assert on_the_card(evse) == 0
    evse.charger.fault()
    assert evse.state.supply_state == SupplyState.DISABLED


async def test_a_permission_that_is_broken_off_while_it_waits_is_none() -> None:
    evse = await EvseBench().start()
    enabling = await waiting(evse)
    enabling.cancel()
    await asyncio.gather(enabling, return_exceptions=True)
    assert on_the_card(evse) == 0
    assert evse.state.supply_state == SupplyState.DISABLED
