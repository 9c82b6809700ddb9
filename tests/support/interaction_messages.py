"""Interaction model messages as raw TLV, as a controller writes and reads them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evse_pi.matter.wire import tlv
from evse_pi.matter.wire.message import PROTOCOL_INTERACTION_MODEL
from evse_pi.matter.wire.tlv import TLVList, uint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evse_pi.matter.channel.exchange import Message

STATUS_RESPONSE, READ_REQUEST, SUBSCRIBE_REQUEST, SUBSCRIBE_RESPONSE, REPORT_DATA = range(1, 6)
WRITE_REQUEST, WRITE_RESPONSE, INVOKE_REQUEST, INVOKE_RESPONSE, TIMED_REQUEST = range(6, 11)
REVISION = {255: uint(12)}

AttributePath = tuple[int | None, int | None, int | None]


class InteractionError(Exception):
    """The device answered with a StatusResponse, or with an opcode that does not belong here."""

    def __init__(self, opcode: int, status: int | None) -> None:
        super().__init__(f"opcode=0x{opcode:02X} status={status if status is None else hex(status)}")
        self.opcode = opcode
        self.status = status


@dataclass(slots=True)
class Report:
    """What ReportData messages said, chunks and list appends put together."""

    subscription_id: int | None = None
    attributes: dict[tuple[int, int, int], Any] = field(default_factory=dict)
    versions: dict[tuple[int, int], int] = field(default_factory=dict)
    statuses: dict[tuple[int | None, int | None, int | None], int] = field(default_factory=dict)
    events: list[dict[int, Any]] = field(default_factory=list)
    event_statuses: list[dict[int, Any]] = field(default_factory=list)
    chunks: int = 0

    def add(self, report: dict[int, Any]) -> None:
        self.chunks += 1
        if 0 in report:
            self.subscription_id = int(report[0])
        for item in report.get(1, ()):
            if 1 in item:
                self._add_data(item[1])
            else:
                path = dict(iter(item[0][0]))
                self.statuses[path.get(2), path.get(3), path.get(4)] = int(item[0][1][0])
        for item in report.get(2, ()):
            (self.events if 1 in item else self.event_statuses).append(item[1] if 1 in item else item[0])

    def _add_data(self, data: dict[int, Any]) -> None:
        path = dict(iter(data[1]))
        key = int(path[2]), int(path[3]), int(path[4])
        self.versions[key[:2]] = int(data[0])
        if 5 in path:
            assert path[5] is None, f"list index {path[5]} in a report"
            self.attributes[key].append(data[2])
        else:
            self.attributes[key] = data[2]


@dataclass(frozen=True, slots=True)
class InvokeResult:
    """What an InvokeResponse says of one command."""

    status: int
    cluster_status: int | None = None
    command: int | None = None
    fields: dict[int, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Subscription:
    """A subscription and the reports that came after the priming one."""

    subscription_id: int
    max_interval_s: int
    priming: Report
    reports: asyncio.Queue[Report] = field(default_factory=asyncio.Queue)

    async def next_report(self, timeout_s: float = 3700.0) -> Report:
        async with asyncio.timeout(timeout_s):
            return await self.reports.get()


def attribute_path(endpoint: int | None, cluster: int | None, attribute: int | None) -> TLVList:
    """Return an AttributePathIB."""
    parts = ((2, endpoint), (3, cluster), (4, attribute))
    return TLVList([(tag, uint(value)) for tag, value in parts if value is not None])


def event_path(endpoint: int | None, cluster: int | None, event: int | None, *, urgent: bool = False) -> TLVList:
    """Return an EventPathIB."""
    parts: list[tuple[int | None, Any]] = [
        (tag, uint(value)) for tag, value in ((1, endpoint), (2, cluster), (3, event)) if value is not None
    ]
    return TLVList([*parts, (4, True)] if urgent else parts)


def requested(first_tag: int, paths: Sequence[AttributePath], options: dict[str, Any]) -> dict[int, Any]:
    """Return the fields of a read or subscribe request from attributeRequests on."""
    fields: dict[int, Any] = {}
    if paths:
        fields[first_tag] = [attribute_path(*path) for path in paths]
    if "events" in options:
        fields[first_tag + 1] = [path if isinstance(path, TLVList) else event_path(*path) for path in options["events"]]
    if "event_min" in options:
        fields[first_tag + 2] = [{1: uint(options["event_min"])}]
    if "versions" in options:
        filters = [
            {0: TLVList([(1, uint(endpoint)), (2, uint(cluster))]), 1: uint(version)}
            for (endpoint, cluster), version in options["versions"].items()
        ]
        fields[8 if first_tag else 4] = filters
    return fields


def fields_of(message: Message, opcode: int) -> dict[int, Any]:
    if message.protocol != PROTOCOL_INTERACTION_MODEL or message.opcode != opcode:
        raise InteractionError(message.opcode, status_of(message))
    fields: dict[int, Any] = tlv.decode(message.payload)
    return fields


def status_of(message: Message) -> int | None:
    if message.protocol == PROTOCOL_INTERACTION_MODEL and message.opcode == STATUS_RESPONSE:
        return int(tlv.decode(message.payload)[0])
    return None
