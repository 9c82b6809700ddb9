"""The secure channel over a network that loses, repeats and reorders."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evse_pi.matter.channel.exchange import ExchangeTimeout, Message
from tests.support.channel_device import NODE_ID, PASSCODE, VERIFIER, ChannelDevice, pair
from tests.support.datagram_pipe import Network
from tests.support.matter_authority import Authority, CountingEntropy
from tests.support.matter_initiator import MatterInitiator, Member
from tests.support.virtual_loop import run

AUTHORITY = Authority(seed="lossy", with_icac=True)
MEMBER = Member.of(AUTHORITY, 0x1111, CountingEntropy("member"))


async def operate(network: Network, requests: int) -> ChannelDevice:
    """Commission, connect, resume and make requests, one after the other and several at once."""
    device = ChannelDevice(network.endpoint("device"))
    client = MatterInitiator(network.endpoint("client"), "device", entropy=CountingEntropy("client"))
    async with device, client:
        device.pase.open(VERIFIER)
        device.join(AUTHORITY)
        sessions = [await client.pase(PASSCODE)]
        sessions += [await client.case(MEMBER, NODE_ID) for _ in range(2)]
        assert client.was_resumed
        for session in sessions:
            for number in range(requests):
                payload = bytes((session.local_id & 0xFF, number))
                assert (await client.request(session, 2, payload)).payload == payload
        many = [bytes((number,)) for number in range(4)]
        answers = await asyncio.gather(*(client.request(sessions[-1], 2, payload) for payload in many))
        assert [answer.payload for answer in answers] == many
        await asyncio.sleep(30)
        assert client.stack.exchange_count == device.stack.exchange_count == 0
    return device


@pytest.mark.parametrize("seed", range(8))
def test_every_operation_completes_with_a_tenth_lost_each_way_and_some_repeated_and_reordered(seed: int) -> None:
    network = Network(seed=seed, loss=0.1, duplication=0.1, reordering=0.2)
    device = run(operate(network, requests=20))
    handled = [message.payload for message in device.handled]
    assert len(handled) == len(set(handled)) == 64
    assert len(device.established) == 3
    assert network.lost > len(network.sent) // 20


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.4),
    duplication=st.floats(0, 0.5),
    reordering=st.floats(0, 1.0),
)
def test_nothing_is_handled_twice_whatever_the_network_does(
    seed: int, loss: float, duplication: float, reordering: float
) -> None:
    """Where more than a tenth is lost a request may time out, but then it fails and is not half done."""

    async def main() -> None:
        network = Network(seed=seed, duplication=duplication, reordering=reordering)
        device = ChannelDevice(network.endpoint("device"))
        client = MatterInitiator(network.endpoint("client"), "device", entropy=CountingEntropy("client"))
        async with device, client:
            here, _ = pair(client.stack, "client", device.stack, "device")
            network.loss = loss
            wanted = [bytes((number,)) for number in range(12)]
            requests = (client.request(here, 2, payload) for payload in wanted)
            answers = await asyncio.gather(*requests, return_exceptions=True)
            answered = [answer.payload for answer in answers if not isinstance(answer, BaseException)]
            assert all(isinstance(answer, Message | ExchangeTimeout) for answer in answers)
            handled = [message.payload for message in device.handled]
            assert len(handled) == len(set(handled))
            assert set(answered) <= set(handled)
            await asyncio.sleep(60)
            assert client.stack.exchange_count == device.stack.exchange_count == 0

    run(main())
