"""The interaction model server: takes each request message, answers it whatever happens."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from evse_pi.matter.channel.exchange import RESPONSE_TIMEOUT_S, Exchange, ExchangeTimeout, Message
from evse_pi.matter.identity.accessor import AuthMode
from evse_pi.matter.interaction.invoke import invoke
from evse_pi.matter.interaction.keeping import keeping
from evse_pi.matter.interaction.messages import (
    InteractionOpcode,
    ReadRequest,
    command_status,
    decode_invoke,
    decode_read,
    decode_subscribe,
    decode_timed,
    decode_write,
    encode_invoke_response,
    encode_status,
    encode_write_response,
)
from evse_pi.matter.interaction.report import ReportRefused, attribute_reports, event_reports, pack, send_report
from evse_pi.matter.interaction.subscribe import SubscriptionTable
from evse_pi.matter.interaction.write import WriteAction, WriteLocks
from evse_pi.matter.model.request import PeerRequest
from evse_pi.matter.wire.message import MAX_PAYLOAD_BYTES
from evse_pi.matter.wire.status_code import DecodeError, MatterStatus, StatusCode

if TYPE_CHECKING:
    from evse_pi.matter.channel.stack import MessageStack
    from evse_pi.matter.environment import Entropy
    from evse_pi.matter.interaction.messages import Path, WriteRequest
    from evse_pi.matter.model.endpoint import Node

log = logging.getLogger(__name__)


LATE_ACTION_S = 5.0  # an action that comes after its window is still told so, and then nothing waits for it


class InteractionHandler:
    """Serves protocol 1 on a node."""

    def __init__(self, node: Node, stack: MessageStack, entropy: Entropy) -> None:
        self.subscriptions = SubscriptionTable(node, stack, entropy)
        self._memory = self.subscriptions.memory
        self._node = node
        self._locks = WriteLocks()

    async def __call__(self, exchange: Exchange, message: Message) -> None:
        """Serve the exchange that `message` opens."""
        if exchange.accessor.auth_mode is AuthMode.NONE:
            return
        try:
            await self._serve(exchange, message)
        except ExchangeTimeout:
            raise
        except ReportRefused as refused:
            log.debug("report refused session=%s: %s", exchange.session, refused)
        except MatterStatus as refusal:
            log.debug("refused session=%s: %s", exchange.session, refusal)
            await exchange.send(InteractionOpcode.STATUS_RESPONSE, encode_status(refusal.status))
        except DecodeError as error:
            log.debug("malformed session=%s: %s", exchange.session, error)
            await exchange.send(InteractionOpcode.STATUS_RESPONSE, encode_status(StatusCode.INVALID_ACTION))
        except Exception:
            log.exception("interaction failed session=%s opcode=0x%02X", exchange.session, message.opcode)
            await exchange.send(InteractionOpcode.STATUS_RESPONSE, encode_status(StatusCode.FAILURE))

    async def _serve(self, exchange: Exchange, message: Message) -> None:
        match message.opcode:
            case InteractionOpcode.READ_REQUEST:
                await self._read(exchange, decode_read(message.payload))
            case InteractionOpcode.SUBSCRIBE_REQUEST:
                await self.subscriptions.subscribe(exchange, decode_subscribe(message.payload))
            case InteractionOpcode.WRITE_REQUEST:
                await self._write(exchange, message, timed=False)
            case InteractionOpcode.INVOKE_REQUEST:
                await self._invoke(exchange, message, timed=False)
            case InteractionOpcode.TIMED_REQUEST:
                await self._timed(exchange, message)
            case InteractionOpcode.STATUS_RESPONSE:
                log.debug("stray status session=%s", exchange.session)
            case InteractionOpcode.REPORT_DATA:
                raise MatterStatus(StatusCode.INVALID_SUBSCRIPTION, "this node subscribes to nothing")
            case _:
                raise MatterStatus(StatusCode.INVALID_ACTION, f"opcode 0x{message.opcode:02X}")

    async def _read(self, exchange: Exchange, request: ReadRequest) -> None:
        accessor = exchange.accessor
        attributes, _ = attribute_reports(self._node, request, accessor)
        events, _ = event_reports(self._node, request.events, accessor, request.event_min)
        payloads = pack(attributes, events, subscription_id=None, suppress_response=True)
        with self._memory.holding(exchange.session, payloads):
            await send_report(exchange, payloads, confirmed=False)

    async def _write(self, exchange: Exchange, message: Message, *, timed: bool) -> None:
        request = PeerRequest(exchange.accessor, exchange.session)
        action = WriteAction(self._node, request, self._locks, timed=timed)
        try:
            while True:
                write = decode_write(message.payload)
                _check_timed(promised=write.timed, timed=timed)
                if write.more and write.suppress_response:
                    raise MatterStatus(StatusCode.INVALID_ACTION, "a chunked write wants its responses")
                answers = await self._stored(action, write)
                if not write.suppress_response:
                    await exchange.send(InteractionOpcode.WRITE_RESPONSE, encode_write_response(answers))
                if not write.more:
                    break
                message = await exchange.receive()
                if message.opcode != InteractionOpcode.WRITE_REQUEST:
                    raise MatterStatus(StatusCode.INVALID_ACTION, "the rest of the write is missing")
        finally:
            action.close()
        _after(request)

    async def _stored(self, action: WriteAction, write: WriteRequest) -> list[tuple[Path, MatterStatus | None]]:
        """Return the answers to one message of a write; where it is not stored, none of them is success."""
        answers: list[tuple[Path, MatterStatus | None]] = []
        try:
            async with keeping(self._node.store):
                answers = action.process(write)
        except MatterStatus as refusal:
            if not answers:
                raise
            return [(path, answer or refusal) for path, answer in answers]
        return answers

    async def _invoke(self, exchange: Exchange, message: Message, *, timed: bool) -> None:
        invocation = decode_invoke(message.payload)
        _check_timed(promised=invocation.timed, timed=timed)
        request = PeerRequest(exchange.accessor, exchange.session)
        response = await invoke(self._node, invocation, request, timed=timed)
        try:
            if not invocation.suppress_response:
                payload = encode_invoke_response(response)
                if len(payload) > MAX_PAYLOAD_BYTES:
                    (command,) = invocation.commands
                    too_long = MatterStatus(StatusCode.RESOURCE_EXHAUSTED, "the response fits no message")
                    payload = encode_invoke_response(command_status(command.path, too_long, command.reference))
                await exchange.send(InteractionOpcode.INVOKE_RESPONSE, payload)
        finally:
            _after(request)

    async def _timed(self, exchange: Exchange, message: Message) -> None:
        timeout_ms = decode_timed(message.payload)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        await exchange.send(InteractionOpcode.STATUS_RESPONSE, encode_status(StatusCode.SUCCESS))
        action = await exchange.receive(min(timeout_ms / 1000 + LATE_ACTION_S, RESPONSE_TIMEOUT_S))
        if action.opcode not in (InteractionOpcode.WRITE_REQUEST, InteractionOpcode.INVOKE_REQUEST):
            raise MatterStatus(StatusCode.INVALID_ACTION, "a timed request is followed by a write or an invoke")
        if loop.time() > deadline:
            raise MatterStatus(StatusCode.TIMEOUT, f"the action came more than {timeout_ms} ms after the timed request")
        if action.opcode == InteractionOpcode.WRITE_REQUEST:
            await self._write(exchange, action, timed=True)
        else:
            await self._invoke(exchange, action, timed=True)


def _check_timed(*, promised: bool, timed: bool) -> None:
    if promised != timed:
        raise MatterStatus(StatusCode.TIMED_REQUEST_MISMATCH, f"timedRequest={promised}, preceded by one: {timed}")


def _after(request: PeerRequest) -> None:
    """Do what had to wait for the answer."""
    for action in request.after_response:
        action()
