"""The codes of test event triggers, the client of the simulator, and what becomes of a trigger that cannot be done."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evse_pi.api.client import BoxError, BoxNotRunning
from evse_pi.charging.settings import NOTHING_SET
from evse_pi.core.states import SupplyState
from evse_pi.matter.model.event_source import Change
from evse_pi.matter.model.observable import Observable
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from evse_pi.node.event_triggers import Code, EventTriggers, code_of
from evse_pi.node.simulator_control import SimulatorControl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

BASIC, PLUG_IN, ASK, HEAT, DIAGNOSED = (0x0099_0000_0000_0000 | code for code in (0x00, 0x02, 0x04, 0x11, 0x20))


@given(code=st.sampled_from(Code), endpoint=st.integers(0, 0xFFFF))
def test_a_code_is_known_at_the_evse_and_at_endpoint_0_alone(code: Code, endpoint: int) -> None:
    assert code_of(0x0099 << 48 | endpoint << 32 | code) is (code if endpoint in (0, 1) else None)


@given(st.integers(0, 2**64 - 1))
def test_any_other_number_is_no_trigger_of_the_evse(number: int) -> None:
    known = number >> 48 == 0x0099 and number & 0xFFFF_FFFF in set(Code) and number >> 32 & 0xFFFF in (0, 1)
    assert (code_of(number) is not None) is known


class Plant:
    """A simulator's control socket that answers what it was told to."""

    def __init__(self, answer: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answer = answer
        self._serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.current_task())
        try:
            while line := await reader.readline():
                request = json.loads(line)
                self.asked.append(request)
                answer = self._answer(request)
                if answer is None:
                    break
                writer.write(json.dumps(answer).encode() + b"\n")
        finally:
            writer.close()
            await writer.wait_closed()

    async def end(self) -> None:
        """Wait until every connection is closed; a server waits for its listening socket alone before Python 3.12."""
        for task in self._serving:
            if task is not None:
                await task


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Callable[[Plant], Any]]:
    servers, plants = [], []

    async def listen(plant: Plant) -> SimulatorControl:
        servers.append(await asyncio.start_unix_server(plant.serve, tmp_path / "plant.sock"))
        plants.append(plant)
        return SimulatorControl(tmp_path / "plant.sock")

    yield listen
    for server in servers:
        server.close()
        await server.wait_closed()
    for plant in plants:
        await plant.end()


def triggers(simulator: SimulatorControl, settle_s: float = 9.0) -> tuple[EventTriggers, Observable[Change]]:
    """Return triggers at an EVSE that never moves, and its SupplyState."""
    supply: Observable[Change] = Observable("supply")
    nothing: Any = SimpleNamespace(faults=frozenset(), temperature=None, settings=NOTHING_SET)
    charger: Any = SimpleNamespace(view=lambda: nothing)
    state = SimpleNamespace(state=0, supply_state=SupplyState.DISABLED_DIAGNOSTICS)
    evse: Any = SimpleNamespace(state=state, events=SimpleNamespace(supply_state_changed=supply))
    return EventTriggers(simulator, charger, evse, settle_s=settle_s), supply


async def test_a_verb_goes_out_as_one_line_and_a_refusal_comes_back_in_its_words(listening: Any) -> None:
    plant = Plant(
        lambda request: (
            {"ok": False, "error": "verb 'fly'"}
            if request["verb"] == "fly"
            else {"ok": True, "result": {"acted_ns": 1}}
        )
    )
    simulator = await listening(plant)
    await simulator.verb("plug_in", cable_ma=32_000)
    assert plant.asked == [{"command": "verb", "verb": "plug_in", "args": {"cable_ma": 32_000}}]
    with pytest.raises(BoxError, match="verb 'fly'"):
        await simulator.verb("fly")


async def test_a_simulator_that_hangs_up_or_is_not_there_is_told(listening: Any, tmp_path: Path) -> None:
    simulator = await listening(Plant(lambda _request: None))
    with pytest.raises(BoxError, match="closed the connection"):
        await simulator.state()
    with pytest.raises(BoxNotRunning):
        await SimulatorControl(tmp_path / "nowhere").state()


async def test_what_is_not_the_evses_is_left_to_others(tmp_path: Path) -> None:
    one, _ = triggers(SimulatorControl(tmp_path / "nowhere"))
    assert await one.handle(0x0098_0000_0000_0000) is False


@pytest.mark.parametrize(
    ("code", "vehicle", "words"),
    [
        (ASK, {"plugged": False}, "DEMAND: no vehicle is plugged in"),
        (HEAT, {}, "OVER_TEMPERATURE: the board has no thermometer"),
        (DIAGNOSED, {}, "DIAGNOSTICS_COMPLETE: the box did not settle in 0.05 s"),
    ],
)
async def test_a_trigger_that_cannot_be_done_fails_and_says_why(
    listening: Any, code: int, vehicle: dict[str, Any], words: str
) -> None:
    simulator = await listening(Plant(lambda _request: {"ok": True, "result": {"state": {"vehicle": vehicle}}}))
    one, _ = triggers(simulator, settle_s=0.05)
    with pytest.raises(MatterStatus, match=words) as caught:
        await one.handle(code)
    assert caught.value.status is StatusCode.FAILURE


async def test_without_its_simulator_a_trigger_fails(tmp_path: Path) -> None:
    one, _ = triggers(SimulatorControl(tmp_path / "nowhere"))
    with pytest.raises(MatterStatus, match=r"PLUGGED_IN: .*No such file") as caught:
        await one.handle(PLUG_IN)
    assert caught.value.status is StatusCode.FAILURE


async def test_the_self_test_is_slow_in_a_certification_run_alone(listening: Any) -> None:
    plant = Plant(lambda request: {"ok": request["verb"] != "repair", "error": "enough"})
    one, supply = triggers(await listening(plant))
    begins = Change(SupplyState.DISABLED, SupplyState.DISABLED_DIAGNOSTICS)
    supply.emit(begins)
    with pytest.raises(MatterStatus):
        await one.handle(BASIC)
    assert [request["verb"] for request in plant.asked] == ["unplug", "repair"]
    supply.emit(begins)
    supply.emit(Change(SupplyState.DISABLED_DIAGNOSTICS, SupplyState.DISABLED))
    while len(plant.asked) < 4:  # noqa: ASYNC110 (the plant sends no notice)
        await asyncio.sleep(0.001)
    assert [request["args"]["on"] for request in plant.asked[2:]] == [True, False]
