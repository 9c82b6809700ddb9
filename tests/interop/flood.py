"""Throw junk at a node: `python -m tests.interop.flood ADDRESS PORT COUNT SEED [DATAGRAMS PER SECOND]`."""

from __future__ import annotations

import random
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from evse_pi.matter.channel.secure_channel import SecureChannelOpcode
from evse_pi.matter.wire.message import MessageHeader, ProtocolHeader
from tests.component.fuzz.codecs import seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

OPENERS = {SecureChannelOpcode.PBKDF_PARAM_REQUEST: "param_request", SecureChannelOpcode.SIGMA1: "sigma1"}


def datagrams(chance: random.Random, count: int) -> Iterator[Any]:
    """Yield noise, random secure messages, and handshakes whole or mutated under ever new node ids."""
    originals = seeds()
    for _ in range(count):
        kind = chance.randrange(4)
        if kind == 0:
            yield chance.randbytes(chance.randrange(200))
            continue
        if kind == 1:
            header = MessageHeader(chance.randrange(1, 1 << 16), chance.getrandbits(32))
            yield header.encode() + chance.randbytes(chance.randrange(16, 400))
            continue
        opcode = chance.choice(list(OPENERS))
        header = MessageHeader(0, chance.getrandbits(32), source_node_id=chance.getrandbits(64))
        protocol = ProtocolHeader(
            is_initiator=True, opcode=opcode, exchange_id=chance.getrandbits(16), protocol_id=0, needs_ack=True
        )
        payload = bytearray(chance.choice(originals[OPENERS[opcode]]))
        if kind == 2:
            for _ in range(chance.randrange(1, 5)):
                payload[chance.randrange(len(payload))] = chance.getrandbits(8)
            del payload[chance.randrange(len(payload)) :]
        yield header.encode() + protocol.encode() + payload


def main() -> None:
    address, port, count, seed = sys.argv[1], *(int(one) for one in sys.argv[2:5])
    per_second = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number, datagram in enumerate(datagrams(random.Random(seed), count)):
            sock.sendto(datagram, (address, port))
            if per_second and number % 50 == 0:
                time.sleep(50 / per_second)


if __name__ == "__main__":
    main()
