"""What controllers permit, on a disk that answers late, refuses, or is overtaken by what happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from evse_pi.charging.controller_permission import ControllerPermission, NotStored
from evse_pi.charging.demand_arbiter import DemandArbiter, LimitRequest
from evse_pi.charging.evse_status import Permission
from evse_pi.charging.settings import SETTINGS, ChargingSettings, settings_of
from evse_pi.core.states import LimitSource
from evse_pi.sim.harness.virtual_clock import UNIX_S, VirtualClock
from tests.support.node_box import HandWriter

ENABLED = ChargingSettings(charging_until_s=None, maximum_ma=16_000)


class Bench:
    def __init__(self, settings: ChargingSettings = ENABLED, *, commissioned: bool = True) -> None:
        self.clock, self.arbiter, self.writer = VirtualClock(), DemandArbiter(), HandWriter()
        self.permission = ControllerPermission(
            self.clock, self.arbiter, self.writer, settings, commissioned=commissioned
        )
        self.permission.capacity_ma = 32_000
        self.permission.advance()

    @property
    def stored(self) -> ChargingSettings:
        return settings_of(self.writer.settings[SETTINGS])

    def permitted(self) -> bool:
        return self.arbiter.compose(self.clock.monotonic_ns()).permitted

    async def waiting(self, settings: ChargingSettings) -> asyncio.Task[None]:
        self.writer.answer = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self.permission.apply_stored(lambda _settings: settings))
        await asyncio.sleep(0)
        assert not task.done()
        return task


@pytest.mark.hazard("H-18")
async def test_a_stop_is_in_force_before_the_disk_has_answered() -> None:
    bench = Bench()
    bench.writer.trouble = "full"
    bench.permission.apply(ENABLED.disabled())
    assert not bench.permitted()
    assert bench.stored == ENABLED.disabled()


@pytest.mark.hazard("H-18")
async def test_what_is_refused_leaves_the_settings_in_force_on_the_disk() -> None:
    bench = Bench(ENABLED.disabled())
    bench.writer.trouble = "full"
    with pytest.raises(NotStored, match="nothing has changed"):
        await bench.permission.apply_stored(lambda settings: settings.enabled())
    assert not bench.permitted()
    assert bench.stored == ENABLED.disabled()


async def test_a_permission_that_expires_while_another_change_is_stored_stays_expired_and_stored_so() -> None:
    bench = Bench(replace(ENABLED, charging_until_s=UNIX_S + 10))
    bench.writer.answer = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(bench.permission.apply_stored(lambda settings: replace(settings, window_s=60)))
    await asyncio.sleep(0)
    bench.clock.advance_s(10)
    bench.permission.advance()
    assert not bench.permitted()
    bench.writer.answer.set_result(True)
    await task
    assert not bench.permitted()
    assert (bench.stored.charging_until_s, bench.stored.window_s) == (0, 60)
    assert bench.stored == bench.permission.settings


@pytest.mark.hazard("H-18")
async def test_of_two_commands_that_wait_the_later_holds_and_the_earlier_fails() -> None:
    bench = Bench(ENABLED.disabled())
    first = await bench.waiting(ENABLED)
    answer = bench.writer.answer
    second = asyncio.create_task(bench.permission.apply_stored(lambda settings: replace(settings, window_s=60)))
    await asyncio.sleep(0)
    assert answer is not None
    answer.set_result(True)
    with pytest.raises(NotStored, match="another command"):
        await first
    await second
    assert not bench.permitted()
    assert bench.stored == replace(ENABLED.disabled(), window_s=60) == bench.permission.settings


async def test_while_the_owner_decides_settings_only_stay_stored() -> None:
    bench = Bench(replace(ENABLED, charging_until_s=UNIX_S - 1), commissioned=False)
    assert bench.permission.now == Permission(charging=True, commissioned=False)
    assert bench.arbiter.request_of(LimitSource.ENABLE_CHARGING) is None
    bench.arbiter.put(LimitRequest(LimitSource.OWNER, permitted=False))
    assert not bench.permission.now.charging
    assert bench.writer.number == 0
    bench.permission.commission(commissioned=True)
    assert bench.permission.now == Permission(charging=False)
    assert bench.stored.charging_until_s == 0, "it has expired"


def test_requests_are_told_when_they_change_and_not_otherwise() -> None:
    bench, told = Bench(replace(ENABLED, charging_until_s=UNIX_S + 60)), []
    bench.permission.on_request = lambda: told.append(bench.clock.now_ns)
    for _ in range(3):
        bench.clock.advance_s(1)
        bench.permission.advance()
    assert told == []
    bench.permission.capacity_ma = 20_000
    bench.permission.advance()
    assert len(told) == 1, "the user's maximum follows the circuit"
    bench.permission.want_self_test()
    assert len(told) == 2, "nothing is offered meanwhile"
    assert not bench.permitted()


@pytest.mark.hazard("H-10")
def test_what_is_over_is_in_force_nowhere_though_no_tick_has_taken_it_back() -> None:
    until = replace(ENABLED, charging_until_s=UNIX_S + 10, discharging_until_s=UNIX_S + 10, discharge_maximum_ma=9_000)
    bench = Bench(until)
    bench.clock.advance_s(9)
    assert bench.permission.in_force == until
    bench.clock.advance_s(1)
    now, settings = bench.permission.now, bench.permission.in_force
    assert (now.charging, now.discharging) == (False, False)
    assert (settings.charging_until_s, settings.discharging_until_s, settings.discharge_maximum_ma) == (0, 0, 0)
    assert bench.permission.settings == until, "only a tick stores it"
