"""Commands: the order of checks, timed interactions, and an answer whatever the handler does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chip.tlv import uint
from chip.tlv.tlvlist import TLVList

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, Privilege
from evse_pi.matter.model.endpoint import Endpoint
from evse_pi.matter.model.tree_interface import DeviceType
from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.chip_objects import EnergyEvse
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from tests.support.matter_bench import ADMIN_NODE_ID, Bench
from tests.support.matter_initiator import INVOKE_REQUEST, TIMED_REQUEST, WRITE_REQUEST, InteractionError
from tests.support.model_bench import Charger
from tests.support.virtual_loop import virtual_time

EVSE, KEYS = 0x99, 0x3F
DISABLE, ENABLE, DIAGNOSTICS, GET_TARGETS = 1, 2, 4, 6
VALID = {0: None, 1: 6_000, 2: 16_000}


class Device(Charger.enable(commands=("StartDiagnostics",))):  # type: ignore[misc]
    """Diagnostics do whatever a test wants."""

    behaviour: Any = None

    def start_diagnostics(self) -> Any:
        self.state.supply_state = 4
        return self.behaviour()


def bench() -> tuple[Bench, Device]:
    server = Device()
    return Bench([Endpoint(1, [DeviceType(0x0100, 3)], [server])]), server


def command(cluster: int, command_id: int, fields: Any = None, *, endpoint: int | None = 1, **options: Any) -> bytes:
    location = [(0, uint(endpoint))] if endpoint is not None else []
    path = TLVList([*location, (1, uint(cluster)), (2, uint(command_id))])
    data = {0: path} | ({} if fields is None else {1: fields})
    reference = {2: uint(options["reference"])} if "reference" in options else {}
    return tlv.encode(
        {
            0: options.get("suppress", False),
            1: options.get("timed", False),
            2: [data | reference] * options.get("count", 1),
            255: uint(12),
        }
    )


@virtual_time
async def test_the_first_check_that_fails_gives_the_status() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()

        async def status(endpoint: int, cluster: int, command_id: int, fields: Any = None, timed: bool = True) -> int:
            timed_ms = 1000 if timed else None
            return (await controller.invoke(session, endpoint, cluster, command_id, fields, timed_ms=timed_ms)).status

        assert await status(9, EVSE, DISABLE) == StatusCode.UNSUPPORTED_ENDPOINT
        assert await status(1, 0x1234, DISABLE) == StatusCode.UNSUPPORTED_CLUSTER
        assert await status(1, EVSE, 3) == StatusCode.UNSUPPORTED_COMMAND
        assert await status(1, EVSE, ENABLE, VALID, timed=False) == StatusCode.NEEDS_TIMED_INTERACTION
        assert await status(1, EVSE, ENABLE, {1: 6_000, 2: 16_000}) == StatusCode.INVALID_COMMAND
        assert await status(1, EVSE, ENABLE, {**VALID, 1: "x"}) == StatusCode.INVALID_COMMAND
        assert await status(1, EVSE, ENABLE, {**VALID, 1: -1}) == StatusCode.CONSTRAINT_ERROR
        assert await status(1, EVSE, ENABLE, VALID) == StatusCode.SUCCESS
        view = AclEntry(Privilege.VIEW, AuthMode.CASE, (ADMIN_NODE_ID,), None, 1)
        device.node.ownership.access_control.replace(1, [view], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
        assert await status(1, EVSE, ENABLE, VALID, timed=False) == StatusCode.UNSUPPORTED_ACCESS


@virtual_time
async def test_a_fabric_scoped_command_needs_a_fabric() -> None:
    device, _ = bench()
    async with device:
        controller = await device.controller()
        session = await controller.pase(20202021)
        assert (await controller.invoke(session, 0, KEYS, 4)).status == StatusCode.UNSUPPORTED_ACCESS


@virtual_time
async def test_a_command_answers_with_its_response_or_its_status() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        targets = await controller.invoke(session, 1, EVSE, GET_TARGETS, timed_ms=1000)
        assert (targets.command, targets.fields) == (0, {0: []})
        assert (await controller.invoke(session, 1, EVSE, DISABLE, timed_ms=1000)).command is None


@virtual_time
async def test_a_refused_command_changes_and_reports_nothing() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        before = device.node.tree.event_log.next_number
        refused = await controller.invoke(session, 1, EVSE, ENABLE, {0: None, 1: 9, 2: 8}, timed_ms=1000)
        assert refused.status == StatusCode.CONSTRAINT_ERROR
        assert server.state.supply_state == 0
        assert device.node.tree.event_log.next_number == before


async def broken() -> None:
    await asyncio.sleep(1)
    raise ZeroDivisionError


def refused() -> None:
    raise MatterStatus(StatusCode.FAILURE, "no", cluster_status=7)


def raised() -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("behaviour", "status", "cluster_status"),
    [
        (raised, StatusCode.FAILURE, None),
        (broken, StatusCode.FAILURE, None),
        (refused, StatusCode.FAILURE, 7),
        (lambda: EnergyEvse.Commands.GetTargetsResponse(()), StatusCode.SUCCESS, None),
        (lambda: None, StatusCode.SUCCESS, None),
    ],
)
def test_whatever_a_handler_does_there_is_an_answer(behaviour: Any, status: int, cluster_status: int | None) -> None:
    @virtual_time
    async def run() -> tuple[Any, int]:
        device, server = bench()
        server.behaviour = behaviour
        async with device:
            controller, session = await device.commission()
            answer = await controller.invoke(session, 1, EVSE, DIAGNOSTICS, timed_ms=1000)
            return answer, int(server.state.supply_state)

    answer, supply_state = run()
    assert (answer.status, answer.cluster_status) == (status, cluster_status)
    assert supply_state == (4 if status == StatusCode.SUCCESS else 0)


@virtual_time
async def test_a_wrong_response_is_our_failure_and_not_sent() -> None:
    class Confused(Device):
        def get_targets(self) -> Any:
            return "targets"

    async with Bench([Endpoint(1, [DeviceType(0x0100, 3)], [Confused()])]) as device:
        controller, session = await device.commission()
        assert (await controller.invoke(session, 1, EVSE, GET_TARGETS, timed_ms=1000)).status == StatusCode.FAILURE


@virtual_time
async def test_a_response_that_fits_no_message_is_refused() -> None:
    schedule = EnergyEvse.Structs.ChargingTargetScheduleStruct
    target = EnergyEvse.Structs.ChargingTargetStruct(5, 80, 1 << 40)

    class Long(Device):
        def get_targets(self) -> Any:
            return EnergyEvse.Commands.GetTargetsResponse([schedule(1, [target] * 20)] * 7)

    async with Bench([Endpoint(1, [DeviceType(0x0100, 3)], [Long()])]) as device:
        controller, session = await device.commission()
        answer = await controller.invoke(session, 1, EVSE, GET_TARGETS, timed_ms=1000)
        assert answer.status == StatusCode.RESOURCE_EXHAUSTED


@virtual_time
async def test_several_commands_or_a_wildcard_are_an_invalid_action_and_a_reference_is_echoed() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        for payload in (
            command(EVSE, DISABLE, count=2),
            command(EVSE, DISABLE, count=0),
            command(EVSE, DISABLE, endpoint=None),
        ):
            answer = await controller.request(session, INVOKE_REQUEST, payload)
            assert int(tlv.decode(answer.payload)[0]) == StatusCode.INVALID_ACTION
        payload = command(EVSE, 3, reference=5)
        answer = await controller.request(session, INVOKE_REQUEST, payload)
        assert tlv.decode(answer.payload)[1][0][1][2] == 5


@virtual_time
async def test_a_command_that_wants_no_answer_gets_none() -> None:
    device, server = bench()
    async with device:
        controller, session = await device.commission()
        server.state.supply_state = 1
        async with controller.stack.initiate(session, 1) as exchange:
            await exchange.send(TIMED_REQUEST, tlv.encode({0: uint(500), 255: uint(12)}))
            await exchange.receive()
            await exchange.send(INVOKE_REQUEST, command(EVSE, DISABLE, timed=True, suppress=True))
        await asyncio.sleep(1)
        assert server.state.supply_state == 0


@pytest.mark.parametrize(("opens", "says"), [(True, False), (False, True)])
@pytest.mark.parametrize("opcode", [INVOKE_REQUEST, WRITE_REQUEST])
def test_a_timed_flag_that_does_not_match_is_a_mismatch(opens: bool, says: bool, opcode: int) -> None:
    @virtual_time
    async def run() -> int:
        device, _ = bench()
        async with device:
            controller, session = await device.commission()
            payload = command(EVSE, DISABLE, timed=says)
            if opcode == WRITE_REQUEST:
                payload = tlv.encode({1: says, 2: [], 255: uint(12)})
            answer = await controller.request(session, opcode, payload, timed_ms=500 if opens else None)
            return int(tlv.decode(answer.payload)[0])

    assert run() == StatusCode.TIMED_REQUEST_MISMATCH


@pytest.mark.parametrize(("wait_s", "status"), [(0.4, None), (0.6, StatusCode.TIMEOUT)])
def test_a_timed_action_has_to_come_in_time(wait_s: float, status: int | None) -> None:
    @virtual_time
    async def run() -> tuple[int, int]:
        device, server = bench()
        async with device:
            controller, session = await device.commission()
            server.state.supply_state = 1
            async with controller.stack.initiate(session, 1) as exchange:
                await exchange.send(TIMED_REQUEST, tlv.encode({0: uint(500), 255: uint(12)}))
                assert tlv.decode((await exchange.receive()).payload)[0] == 0
                await asyncio.sleep(wait_s)
                await exchange.send(INVOKE_REQUEST, command(EVSE, DISABLE, timed=True))
                answer = await exchange.receive()
            return answer.opcode, tlv.decode(answer.payload).get(0)

    opcode, found = run()
    assert (opcode, found) == ((9, False) if status is None else (1, status))


@virtual_time
async def test_only_a_write_or_a_command_follows_a_timed_request() -> None:
    device, _ = bench()
    async with device:
        controller, session = await device.commission()
        with pytest.raises(InteractionError):
            await controller.subscribe(session)
        answer = await controller.request(session, 2, tlv.encode({3: True, 255: uint(12)}), timed_ms=500)
        assert int(tlv.decode(answer.payload)[0]) == StatusCode.INVALID_ACTION
