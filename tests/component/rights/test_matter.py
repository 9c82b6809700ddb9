"""Each privilege at every attribute, command and event of the wallbox: asked by a controller over a secure session.

What must come of it is the data model's, not ours: `tests/data/matter_model.json` names its source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, AclTarget, Privilege
from evse_pi.matter.wire.status_code import StatusCode
from tests.support.matter_authority import Authority
from tests.support.matter_bench import ADMIN_NODE_ID, NODE_ID, Bench
from tests.support.matter_initiator import MatterInitiator, Member
from tests.support.matter_model import BY_ID
from tests.support.virtual_loop import virtual_time
from tests.support.wallbox_device import elements, servers, wallbox_bench

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evse_pi.matter.channel.peer_session import PeerSession

RANK = ("none", "view", "operate", "manage", "administer")
"""Each grants those before it. Source: Matter core 6.6.2.4."""
REFUSED, UNWRITABLE, NEEDS_TIMED = (
    StatusCode.UNSUPPORTED_ACCESS,
    StatusCode.UNSUPPORTED_WRITE,
    StatusCode.NEEDS_TIMED_INTERACTION,
)
WINDOW_MS = 5_000
CHUNK = 9


async def holder(bench: Bench, privilege: str) -> tuple[MatterInitiator, PeerSession]:
    """Return a member of the fabric that has this privilege and no other."""
    _, _ = await bench.commission()
    number = 0xB0B0 + RANK.index(privilege)
    controller = await bench.controller(f"holder of {privilege}")
    if privilege != "none":
        access = bench.node.ownership.access_control
        entry = AclEntry(Privilege[privilege.upper()], AuthMode.CASE, (number,), None, 1)
        access.replace(1, [*access.entries(1), entry], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
    return controller, await controller.case(Member.of(Authority(), number, controller.entropy), NODE_ID)


def attributes(bench: Bench) -> Iterator[tuple[tuple[int, int, int], dict[str, Any]]]:
    """Yield the path of every attribute with what the model says of it."""
    for endpoint, server in servers(bench):
        told = elements("attributes", server.cluster.id)
        for attribute in server.cluster.attributes:
            yield (endpoint, server.cluster.id, attribute), told[attribute]


def may(privilege: str, needed: str | None) -> bool:
    return needed is not None and RANK.index(privilege) >= RANK.index(needed)


@virtual_time
async def test_every_element_of_the_device_is_in_the_model() -> None:
    async with wallbox_bench() as bench:
        found = list(servers(bench))
        assert len(found) > 20
        for _, server in found:
            assert server.cluster.id in BY_ID, server.name
            for kind, own in (
                ("attributes", server.cluster.attributes),
                ("commands", server.cluster.commands),
                ("events", server.cluster.events),
            ):
                assert set(own) <= set(elements(kind, server.cluster.id)), (server.name, kind)


@pytest.mark.parametrize("privilege", RANK)
@virtual_time
async def test_what_each_privilege_reads(privilege: str) -> None:
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, privilege)
        every = dict(attributes(bench))
        paths = list(every)
        for first in range(0, len(paths), CHUNK):
            some = paths[first : first + CHUNK]
            report = await controller.read(session, *some)
            for path in some:
                if may(privilege, every[path].get("read")):
                    assert path in report.attributes, path
                else:
                    assert report.statuses.get(path) == REFUSED, path
        readable = {path for path, told in every.items() if may(privilege, told.get("read"))}
        assert set((await controller.read(session, (None, None, None))).attributes) == readable


@pytest.mark.parametrize("privilege", RANK)
@virtual_time
async def test_what_each_privilege_writes(privilege: str) -> None:
    """Each attribute is written with a value of no type that it could have: what is allowed is refused for that."""
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, privilege)
        tried = 0
        for path, told in attributes(bench):
            timed_ms = WINDOW_MS if told.get("timed") else None
            ((_, status),) = await controller.write(session, (path, {77: {78: True}}), timed_ms=timed_ms)
            if privilege == "none":
                assert status == REFUSED, path
            elif "write" not in told:
                assert status == UNWRITABLE, path
            elif may(privilege, told["write"]):
                assert status not in (REFUSED, UNWRITABLE, StatusCode.SUCCESS), path
                tried += 1
            else:
                assert status == REFUSED, path
        assert bool(tried) is (privilege in ("manage", "administer", "operate"))


@pytest.mark.parametrize("privilege", RANK)
@virtual_time
async def test_what_each_privilege_invokes(privilege: str) -> None:
    """Each command is sent with a field that no command has: what is allowed comes as far as its own rules."""
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, privilege)
        for endpoint, server in list(servers(bench)):
            told = elements("commands", server.cluster.id)
            for command in server.cluster.commands:
                timed = told[command].get("timed", False)
                path = endpoint, server.cluster.id, command
                asked = await controller.invoke(session, *path, {99: True}, timed_ms=WINDOW_MS if timed else None)
                assert (asked.status == REFUSED) is not may(privilege, told[command]["invoke"]), (server.name, command)
                if timed and may(privilege, told[command]["invoke"]):
                    assert (await controller.invoke(session, *path)).status == NEEDS_TIMED, (server.name, command)


@pytest.mark.parametrize("privilege", RANK)
@virtual_time
async def test_which_events_each_privilege_receives(privilege: str) -> None:
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, privilege)
        for endpoint, server in list(servers(bench)):
            told = elements("events", server.cluster.id)
            for event in server.cluster.events:
                report = await controller.read(session, events=[(endpoint, server.cluster.id, event)])
                refused = [int(each[1][0]) for each in report.event_statuses]
                allowed = may(privilege, told[event]["read"])
                assert refused == ([] if allowed else [REFUSED]), (server.name, event)


BASE = {"read": "view", "event": "view", "write": "view", "invoke": "operate"}
"""What a peer has to hold before it learns whether something exists.

Source: Matter core 8.4.3.2, 8.7.3.2, 8.8.3.2 since 1.4, as connectedhomeip (pull requests 39415 and 39772) and
matter.js (3925 and 3928) have it.
"""
UNKNOWN: dict[str, tuple[tuple[int, int, int], Any]] = {
    "endpoint": ((9, 0x28, 0), 0x7F),
    "cluster": ((0, 0x1234, 0), 0xC3),
    "element": ((0, 0x28, 0x77), {"read": 0x86, "event": 0xC7, "write": 0x86, "invoke": 0x81}),
}


async def answered(controller: MatterInitiator, session: PeerSession, verb: str, path: tuple[int, int, int]) -> int:
    """Return the status that a concrete path is answered with."""
    if verb == "read":
        return int((await controller.read(session, path)).statuses[path])
    if verb == "event":
        ((_, status),) = [each.values() for each in (await controller.read(session, events=[path])).event_statuses]
        return int(status[0])
    if verb == "write":
        return int((await controller.write(session, (path, 1)))[0][1])
    return int((await controller.invoke(session, *path)).status)


@pytest.mark.parametrize("privilege", RANK)
@pytest.mark.parametrize("verb", BASE)
@virtual_time
async def test_who_may_nothing_learns_nothing_of_what_exists(privilege: str, verb: str) -> None:
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, privilege)
        for what, (path, statuses) in UNKNOWN.items():
            expected = statuses if isinstance(statuses, int) else statuses[verb]
            status = await answered(controller, session, verb, path)
            assert status == (expected if may(privilege, BASE[verb]) else REFUSED), what


@virtual_time
async def test_a_right_on_one_cluster_tells_nothing_of_another() -> None:
    """A guest with view on BasicInformation learns what that cluster lacks, and of no other whether it is there."""
    async with wallbox_bench() as bench:
        controller, session = await holder(bench, "none")
        access = bench.node.ownership.access_control
        target = (AclTarget(cluster=0x28, endpoint=0),)
        entry = AclEntry(Privilege.VIEW, AuthMode.CASE, (0xB0B0,), target, 1)
        access.replace(1, [*access.entries(1), entry], Accessor(AuthMode.CASE, 1, ADMIN_NODE_ID))
        assert await answered(controller, session, "read", (0, 0x28, 0x77)) == StatusCode.UNSUPPORTED_ATTRIBUTE
        for path in ((0, 0x1234, 0), (9, 0x28, 0), (1, 0x99, 0), (1, 0x99, 0x77)):
            assert await answered(controller, session, "read", path) == REFUSED, path


@virtual_time
async def test_what_belongs_to_a_fabric_is_marked_so() -> None:
    """Source: access `F` (scoped) and `S` (sensitive) of the data model."""
    async with wallbox_bench() as bench:
        for _, server in servers(bench):
            for kind, own in (
                ("attributes", server.cluster.attributes),
                ("commands", server.cluster.commands),
                ("events", server.cluster.events),
            ):
                for number, element in own.items():
                    told = elements(kind, server.cluster.id)[number].get("fabric")
                    marked = "F" if element.access.fabric_scoped else "S" if element.access.fabric_sensitive else None
                    assert marked == told, (server.name, element.name)
