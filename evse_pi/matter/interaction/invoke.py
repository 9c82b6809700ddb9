"""Invokes: one command, one transaction, always an answer."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from evse_pi.matter.interaction.keeping import keeping
from evse_pi.matter.interaction.messages import CommandData, InvokeRequest, command_answer, command_status
from evse_pi.matter.interaction.paths import INVOKE, PathTarget, expand
from evse_pi.matter.model.operations import invoke_handler
from evse_pi.matter.model.request import PeerRequest, serving
from evse_pi.matter.model.transaction import transaction
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.model.cluster import ClusterCommand
    from evse_pi.matter.model.endpoint import Node

log = logging.getLogger(__name__)

MAX_PATHS_PER_INVOKE = 1
"""What BasicInformation and the session parameters say; a controller sends its commands one by one."""


async def invoke(node: Node, message: InvokeRequest, request: PeerRequest, *, timed: bool) -> dict[int, Any]:
    """Return the response block of an InvokeRequest.

    Raises: MatterStatus when the message as a whole cannot be served.
    """
    if len(message.commands) != MAX_PATHS_PER_INVOKE:
        raise MatterStatus(StatusCode.INVALID_ACTION, f"{len(message.commands)} commands, allowed is 1")
    (command,) = message.commands
    if command.path.is_wildcard:
        raise MatterStatus(StatusCode.INVALID_ACTION, "a wildcard endpoint is for groups")
    try:
        (target,) = expand(node, INVOKE, command.path, request.accessor)
    except MatterStatus as refusal:
        return command_status(command.path, refusal, command.reference)
    return await _run(target, command, request, timed=timed)


async def _run(
    target: PathTarget[ClusterCommand], command: CommandData, request: PeerRequest, *, timed: bool
) -> dict[int, Any]:
    try:
        async with keeping(target.server.node.store):
            answer = await _answer(target, command, request, timed=timed)
    except MatterStatus as refusal:
        log.debug("command refused cluster=%s command=%s: %s", target.server.name, target.element.name, refusal)
        return command_status(target.path, refusal, command.reference)
    except Exception as error:
        log.exception("command failed cluster=%s command=%s", target.server.name, target.element.name)
        failure = MatterStatus(StatusCode.FAILURE, type(error).__name__)
        return command_status(target.path, failure, command.reference)
    if answer is None or target.element.response_id is None:
        return command_status(target.path, None, command.reference)
    return command_answer(target.path, target.element.response_id, answer, command.reference)


async def _answer(
    target: PathTarget[ClusterCommand], command: CommandData, request: PeerRequest, *, timed: bool
) -> Any:
    """Return the response element of a command, or None; the changes it made are in force then."""
    server, element = target.server, target.element
    if element.access.fabric_scoped and request.accessor.fabric_index == 0:
        raise MatterStatus(
            StatusCode.UNSUPPORTED_ACCESS, f"{element.name} is fabric-scoped, the requester has no fabric"
        )
    if element.access.timed and not timed:
        raise MatterStatus(StatusCode.NEEDS_TIMED_INTERACTION, element.name)
    fields = server.schema_guard.request(element, command.fields)
    with serving(request), transaction():
        answer = await invoke_handler(server, element, fields)
        return None if element.response is None else server.schema_guard.response(element, answer)
