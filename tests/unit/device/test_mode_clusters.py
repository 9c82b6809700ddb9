"""The mode clusters: what is on the list, what ChangeToMode answers, what survives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evse_pi.charging.modes import ChargeMode
from evse_pi.device.device_energy_management_mode import DeviceEnergyManagementModeServer
from evse_pi.device.energy_evse_mode import EnergyEvseModeServer
from evse_pi.matter.storage import MemoryStore
from evse_pi.matter.wire.chip_objects import DeviceEnergyManagement, DeviceEnergyManagementMode, EnergyEvseMode
from tests.support.device_bench import DeviceBench
from tests.support.played_box import PlayedBox

SERVERS = ((EnergyEvseModeServer, EnergyEvseMode), (DeviceEnergyManagementModeServer, DeviceEnergyManagementMode))
OptOut = DeviceEnergyManagement.Enums.OptOutStateEnum


@pytest.mark.parametrize(("kind", "chip"), SERVERS)
def test_the_cluster_is_that_of_the_pinned_version(kind: Any, chip: Any) -> None:
    cluster = kind.cluster
    assert (cluster.revision, cluster.feature_map) == (2, 0)
    assert sorted(key for key in cluster.attributes if key < 0xF000) == [0, 1]
    assert [command.name for command in cluster.commands.values()] == ["ChangeToMode"]


def made(kind: Any) -> Any:
    return kind(PlayedBox().adapter) if kind is EnergyEvseModeServer else kind()


@pytest.mark.parametrize(("kind", "chip"), SERVERS)
def test_modes_have_unique_numbers_and_labels_and_a_tag_of_the_cluster(kind: Any, chip: Any) -> None:
    options = made(kind).state.supported_modes
    assert len({option.mode for option in options}) == len({option.label for option in options}) == len(options)
    for option in options:
        assert any(tag.value >= 0x4000 for tag in option.modeTags)
        assert len(option.label) <= 64


def test_one_mode_is_manual() -> None:
    options = made(EnergyEvseModeServer).state.supported_modes
    tags = [[tag.value for tag in option.modeTags] for option in options]
    assert tags == [[0x4000], [0x4001], [0x4002]]


@pytest.mark.parametrize(("kind", "chip"), SERVERS)
@pytest.mark.parametrize(("number", "status"), [(0, 0), (1, 0), (2, 0), (77, 1), (255, 1)])
async def test_every_answer_of_change_to_mode(kind: Any, chip: Any, number: int, status: int) -> None:
    bench = await DeviceBench().start()
    server = bench.mode if kind is EnergyEvseModeServer else bench.allowed
    before = server.state.current_mode
    answer = server.change_to_mode(chip.Commands.ChangeToMode(number))
    assert answer.status == status
    assert bool(answer.statusText) == (status != 0)
    assert server.state.current_mode == (number if status == 0 else before)


async def test_the_modes_survive_a_restart() -> None:
    bench = await DeviceBench().start()
    bench.choose(ChargeMode.SOLAR)
    bench.allowed.select(OptOut.kGridOptOut)
    again = await bench.restart(power_cut=True)
    assert again.charger.view().settings.mode is ChargeMode.SOLAR
    assert again.allowed.opt_out == OptOut.kGridOptOut
    assert again.management.state.opt_out_state == OptOut.kGridOptOut


async def test_the_charge_point_alone_keeps_the_mode_of_charging() -> None:
    bench = await DeviceBench().start()
    bench.choose(ChargeMode.SOLAR)
    assert bench.store.keys("state/1/0000009d") == []
    bench.charger.apply(replace(bench.charger.view().settings, mode=ChargeMode.TIME_OF_USE))
    bench.charger.settle(tell=True)
    assert bench.mode.state.current_mode == 1
    bench.mode.reset()
    assert (bench.mode.state.current_mode, bench.charger.view().settings.mode) == (0, ChargeMode.MANUAL)


async def test_a_stored_mode_that_no_longer_exists_is_dropped() -> None:
    store = MemoryStore()
    bench = await DeviceBench(store=store).start()
    bench.allowed.select(OptOut.kGridOptOut)
    record = store.get("state/1/0000009f/0001")
    assert record is not None
    with store.transaction() as transaction:
        transaction.put("state/1/0000009f/0001", record.replace(b"\x02", b"\x09"))
    again = await DeviceBench(store=store).start()
    assert again.allowed.opt_out == OptOut.kOptOut, "the first on the list"


@pytest.mark.parametrize("opt_out", [OptOut.kNoOptOut, OptOut.kLocalOptOut, OptOut.kGridOptOut, OptOut.kOptOut])
async def test_what_the_user_allows_follows_from_the_mode(opt_out: Any) -> None:
    bench = await DeviceBench().start()
    bench.allowed.select(opt_out)
    assert bench.management.state.opt_out_state == opt_out
    tags = bench.allowed.tags
    assert (0x4002 in tags) == (opt_out in (OptOut.kNoOptOut, OptOut.kGridOptOut))
    assert (0x4003 in tags) == (opt_out in (OptOut.kNoOptOut, OptOut.kLocalOptOut))
