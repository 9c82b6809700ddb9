"""Reports: what attributes and events look like to a reader, packed into messages that fit."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from chip.tlv import uint

from evse_pi.matter.channel.shares import Shares
from evse_pi.matter.interaction.messages import (
    InteractionOpcode,
    Path,
    ReadRequest,
    attribute_path_block,
    attribute_refusal,
    attribute_report,
    decode_status,
    event_refusal,
    event_report,
    report_data,
)
from evse_pi.matter.interaction.paths import EVENTS, READ, PathTarget, check_read_path, expand
from evse_pi.matter.model.operations import ATTRIBUTE_DATA_TAG, attribute_element, encoded_attribute
from evse_pi.matter.model.schema_guard import member
from evse_pi.matter.wire.message import MAX_PAYLOAD_BYTES
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from evse_pi.matter.channel.exchange import Exchange
    from evse_pi.matter.channel.peer_session import PeerSession
    from evse_pi.matter.channel.shares import Holder
    from evse_pi.matter.identity.accessor import Accessor
    from evse_pi.matter.model.cluster import ClusterAttribute
    from evse_pi.matter.model.endpoint import Node
    from evse_pi.matter.model.event_log import EventRecord

MAX_PATHS = 64  # of one request; controllers that exist send up to 20
MAX_REPORTS = 8192  # of one request: a node of this kind has 300 attributes, a hostile request could ask for each often
MEMORY_UNIT_BYTES = 1 << 14
MEMORY_UNITS = 256  # 4 MiB of reports that peers have asked for and not taken yet; one message each is free
OWN_UNITS = 4  # of each group: a wildcard read of a whole node of this kind is 40 kB
MAX_UNITS_PER_GROUP = 64
MAX_UNITS_PER_PEER = 48  # more than the greatest request makes
_WRAPPER_BYTES = 24  # structure, subscription id, two arrays, two flags, revision
_BUDGET = MAX_PAYLOAD_BYTES - _WRAPPER_BYTES


class ReportRefused(Exception):  # noqa: N818 (the peer's answer)
    """The peer did not want a report; `status` is what it said."""

    def __init__(self, status: int) -> None:
        super().__init__(f"report answered with status 0x{status:02X}")
        self.status = status


class ReportMemory:
    """What reports of several messages take while their peers take their time, shared as exchanges are."""

    def __init__(self, holder: Callable[[PeerSession], Holder]) -> None:
        self._holder = holder
        self._shares = Shares(
            total=MEMORY_UNITS, own=OWN_UNITS, per_group=MAX_UNITS_PER_GROUP, per_peer=MAX_UNITS_PER_PEER
        )

    @contextmanager
    def holding(self, session: PeerSession, payloads: list[bytes]) -> Iterator[None]:
        """Count `payloads` for the block. Raises: MatterStatus where the peer's share does not reach."""
        units = -(-sum(map(len, payloads)) // MEMORY_UNIT_BYTES) if len(payloads) > 1 else 0
        holder = self._holder(session)
        if not self._shares.take(holder, units):
            raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, "reports that this peer has not taken yet fill its share")
        try:
            yield
        finally:
            self._shares.give_back(holder, units)


def attribute_reports(node: Node, request: ReadRequest, accessor: Accessor) -> tuple[list[bytes], bool]:
    """Return the AttributeReportIBs of a request, and whether any of its paths means something.

    Raises: MatterStatus when the request as a whole cannot be served.
    """
    _check_count(request)
    reports: list[bytes] = []
    valid = False
    for path in request.attributes:
        check_read_path(path)
        try:
            targets = expand(node, READ, path, accessor)
        except MatterStatus as refusal:
            reports.append(attribute_refusal(path, refusal))
            continue
        valid = valid or bool(targets)
        for target in targets:
            reports += _unless_known(target, request, accessor)
            if len(reports) > MAX_REPORTS:
                raise MatterStatus(StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_REPORTS} reports")
    return reports, valid


def _check_count(request: ReadRequest) -> None:
    count = len(request.attributes) + len(request.events)
    if count > MAX_PATHS:
        raise MatterStatus(StatusCode.PATHS_EXHAUSTED, f"{count} paths, at most {MAX_PATHS}")


def _unless_known(target: PathTarget[ClusterAttribute], request: ReadRequest, accessor: Accessor) -> list[bytes]:
    server = target.server
    known = request.data_versions.get((server.endpoint.id, server.cluster.id))
    if known == server.data_version:
        return []
    return target_report(target, accessor, fabric_filtered=request.fabric_filtered)


def target_report(target: PathTarget[ClusterAttribute], accessor: Accessor, *, fabric_filtered: bool) -> list[bytes]:
    """Return the report of one attribute: one block, or for a list too long an empty one and one per entry."""
    server, attribute = target.server, target.element
    path = (server.endpoint.id, server.cluster.id, attribute.id)
    try:
        data = encoded_attribute(server, attribute, accessor, fabric_filtered=fabric_filtered)
        block = attribute_report(attribute_path_block(*path), server.data_version, data)
        if len(block) <= _BUDGET:
            return [block]
        elements = attribute_element(server, attribute, accessor, fabric_filtered=fabric_filtered)
    except MatterStatus as refusal:
        return [attribute_refusal(target.path, refusal)]
    return _entry_by_entry(target, path, elements)


def _entry_by_entry(target: PathTarget[ClusterAttribute], path: tuple[int, int, int], elements: Any) -> list[bytes]:
    version = target.server.data_version
    if isinstance(elements, list):
        append = attribute_path_block(*path, append=True)
        blocks = [attribute_report(attribute_path_block(*path), version, member(ATTRIBUTE_DATA_TAG, []))]
        blocks += [attribute_report(append, version, member(ATTRIBUTE_DATA_TAG, element)) for element in elements]
        if max(map(len, blocks)) <= _BUDGET:
            return blocks
    too_long = MatterStatus(
        StatusCode.RESOURCE_EXHAUSTED, f"{target.server.name}.{target.element.name} fits no message"
    )
    return [attribute_refusal(target.path, too_long)]


def event_reports(
    node: Node, paths: Iterable[Path], accessor: Accessor, event_min: int, *, with_refusals: bool = True
) -> tuple[list[bytes], bool]:
    """Return the EventReportIBs for events from `event_min` on, and whether any of the paths means something."""
    wanted: set[tuple[int, int, int]] = set()
    reports: list[bytes] = []
    for path in paths:
        try:
            targets = expand(node, EVENTS, path, accessor)
        except MatterStatus as refusal:
            reports += [event_refusal(path, refusal)] if with_refusals else []
            continue
        wanted |= {(target.server.endpoint.id, target.server.cluster.id, target.element.id) for target in targets}
    records = node.event_log.since(event_min) if wanted else []
    reports += [_event_block(record) for record in records if _is_for(record, wanted, accessor)]
    return reports, bool(wanted)


def _is_for(record: EventRecord, wanted: set[tuple[int, int, int]], accessor: Accessor) -> bool:
    own = record.fabric_index is None or record.fabric_index == accessor.fabric_index
    return own and (record.endpoint, record.cluster, record.event) in wanted


def _event_block(record: EventRecord) -> bytes:
    time = {4: uint(record.system_ms)} if record.epoch_ms is None else {3: uint(record.epoch_ms)}
    fields = {1: uint(record.number), 2: uint(record.priority), **time}
    return event_report((record.endpoint, record.cluster, record.event), fields, record.payload)


def pack(
    attributes: list[bytes], events: list[bytes], *, subscription_id: int | None, suppress_response: bool
) -> list[bytes]:
    """Return the ReportData payloads that carry the blocks in their order, at least one."""
    groups: list[tuple[list[bytes], list[bytes]]] = [([], [])]
    size = 0
    for kind, blocks in enumerate((attributes, events)):
        for block in blocks:
            if size + len(block) > _BUDGET:
                groups.append(([], []))
                size = 0
            groups[-1][kind].append(block)
            size += len(block)
    last = len(groups) - 1
    return [
        report_data(
            subscription_id,
            *group,
            more=index < last,
            suppress_response=suppress_response and index == last,
        )
        for index, group in enumerate(groups)
    ]


async def send_report(exchange: Exchange, payloads: list[bytes], *, confirmed: bool) -> None:
    """Send the payloads one after the other, each after the peer's good answer to the one before.

    Raises: ReportRefused when an answer is not success, ExchangeTimeout when there is none. The last payload's answer
    is awaited only if `confirmed`.
    """
    for index, payload in enumerate(payloads):
        await exchange.send(InteractionOpcode.REPORT_DATA, payload)
        if index < len(payloads) - 1 or confirmed:
            await _confirmation(exchange)


async def _confirmation(exchange: Exchange) -> None:
    message = await exchange.receive()
    status = (
        decode_status(message.payload)
        if message.opcode == InteractionOpcode.STATUS_RESPONSE
        else int(StatusCode.INVALID_ACTION)
    )
    if status != StatusCode.SUCCESS:
        raise ReportRefused(status)
