"""Measures one Matter device at ADDRESS PORT from inside the controller's namespace and prints JSON.

`python -m bench.matter_client ADDRESS PORT PASSCODE`: the project's own initiator, the same for every device,
commissions it and times handshakes, reads, commands and reports in seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import TYPE_CHECKING

from evse_pi.matter.channel.transport import UdpTransport
from evse_pi.matter.environment import SystemEntropy
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, GENERAL_COMMISSIONING, NODE_ID, add_fabric
from tests.support.matter_initiator import MatterInitiator, Member

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ON_OFF, TOGGLE = 6, 2
HANDSHAKES, READS, WILDCARDS, COMMANDS, REPORTS = 40, 500, 20, 200, 50


async def timed(count: int, step: Callable[[], Awaitable[object]]) -> list[float]:
    """Return how long each of `count` steps took."""
    durations = []
    for _ in range(count):
        started = time.perf_counter()
        await step()
        durations.append(time.perf_counter() - started)
    return durations


async def measure(controller: MatterInitiator, passcode: int) -> dict[str, list[float]]:
    """Return the durations of every step by its name."""
    authority = Authority(with_icac=True)
    member = Member.of(authority, ADMIN_NODE_ID, SystemEntropy())
    started = time.perf_counter()
    pase = await controller.pase(passcode)
    pase_s = time.perf_counter() - started
    await add_fabric(controller, pase, authority)
    case = await controller.case(member, NODE_ID)
    await controller.invoke(case, 0, GENERAL_COMMISSIONING, 4)
    results = {"pase": [pase_s], "commissioning_without_discovery": [time.perf_counter() - started]}

    async def handshake(*, resume: bool) -> None:
        session = await controller.case(member, NODE_ID, resume=resume)
        assert controller.was_resumed == resume
        controller.stack.sessions.close(session, notify=True)

    results["case_full"] = await timed(HANDSHAKES, lambda: handshake(resume=False))
    results["case_resumed"] = await timed(HANDSHAKES, lambda: handshake(resume=True))
    case = await controller.case(member, NODE_ID)
    results["read"] = await timed(READS, lambda: controller.read(case, (1, ON_OFF, 0)))
    results["wildcard_read"] = await timed(WILDCARDS, lambda: controller.read(case, (None, None, None)))
    results["command"] = await timed(COMMANDS, lambda: controller.invoke(case, 1, ON_OFF, TOGGLE))
    everything = await controller.read(case, (None, None, None))
    results["attributes"] = [float(len(everything.attributes))]
    subscription = await controller.subscribe(case, (1, ON_OFF, 0), min_s=0, max_s=60)

    async def change() -> None:
        await controller.invoke(case, 1, ON_OFF, TOGGLE)
        await subscription.next_report(10)

    results["report_after_command"] = await timed(REPORTS, change)
    return results


async def main() -> None:
    address, port, passcode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    async with MatterInitiator(UdpTransport(0), (address, port, 0, 0)) as controller:
        print(json.dumps(await measure(controller, passcode)))


if __name__ == "__main__":
    asyncio.run(main())
