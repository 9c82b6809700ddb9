"""The checks of certification over a wildcard read in memory, for machines without namespaces and real controllers."""

from __future__ import annotations

from examples.matter_lamp import lamp_endpoint
from tests.support.matter_bench import Bench
from tests.support.matter_certification import EXAMPLE_LAMP_FINDINGS, by_endpoint, findings
from tests.support.virtual_loop import virtual_time


@virtual_time
async def test_certification_finds_nothing_on_a_bare_node() -> None:
    async with Bench() as bench:
        controller, session = await bench.commission()
        report = await controller.read(session, (None, None, None))
    assert findings(by_endpoint(report.attributes)) == []


@virtual_time
async def test_certification_finds_nothing_on_the_example_lamp() -> None:
    async with Bench([lamp_endpoint()]) as bench:
        controller, session = await bench.commission()
        report = await controller.read(session, (None, None, None))
    assert set(findings(by_endpoint(report.attributes))) == EXAMPLE_LAMP_FINDINGS
