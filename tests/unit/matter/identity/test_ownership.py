"""Fabrics, group keys, access control, resumption and the fail-safe as they work together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from evse_pi.matter.identity.accessor import Accessor, AuthMode
from evse_pi.matter.identity.acl import AclEntry, ChangeType, Privilege
from evse_pi.matter.identity.failsafe import FailSafeBusy
from evse_pi.matter.identity.group_keys import EpochKey, GroupKeySet
from evse_pi.matter.identity.issuance import NocRefused, NocStatus
from evse_pi.matter.identity.ownership import Ownership
from evse_pi.matter.identity.resumption import MAX_RECORDS_PER_FABRIC, ResumptionRecord
from evse_pi.matter.storage import DamagedRecord, MemoryStore
from evse_pi.matter.wire.status_code import MatterStatus, StatusCode
from evse_pi.sim.harness.virtual_clock import VirtualClock
from tests.support.matter_authority import (
    Authority,
    CountingEntropy,
    encode_certificate,
    public_key_of_request,
)

if TYPE_CHECKING:
    from evse_pi.matter.identity.fabric import Fabric

COMMISSIONER = Accessor(AuthMode.PASE)
PASE_SESSION = object()
ADMIN_NODE = 112233
NODE_ID = 0x1234


def administrator(fabric: Fabric) -> Accessor:
    return Accessor(AuthMode.CASE, fabric.index, ADMIN_NODE)


@dataclass
class Bench:
    """A node's ownership and the store under it; `restart` is what a power cut leaves."""

    store: MemoryStore
    ownership: Ownership

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.restart()

    def restart(self) -> Ownership:
        self.ownership = Ownership.load(self.store, VirtualClock(unix_s=None), CountingEntropy("bench"))
        return self.ownership

    def begin(self, authority: Authority, accessor: Accessor = COMMISSIONER, node_id: int = NODE_ID) -> Fabric:
        own = self.ownership
        own.failsafe.arm(60, accessor.fabric_index, PASE_SESSION)
        request = own.issuance.request_certificate(accessor, for_update=False)
        own.issuance.add_root(accessor, authority.root)
        return own.issuance.add_noc(
            accessor,
            noc=authority.issue(node_id, public_key_of_request(request)),
            icac=authority.icac,
            ipk=authority.ipk,
            case_admin_subject=ADMIN_NODE,
            admin_vendor_id=0xFFF1,
        )

    def join(self, authority: Authority) -> Fabric:
        fabric = self.begin(authority)
        self.ownership.failsafe.commit()
        return fabric


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_committed_fabric_is_there_after_a_restart(bench: Bench) -> None:
    authority = Authority(with_icac=True)
    fabric = bench.join(authority)
    again = bench.restart().fabrics.get(fabric.index)
    assert again is not None
    assert (again.fabric_id, again.node_id, again.noc, again.icac) == (0xFAB1, NODE_ID, fabric.noc, authority.icac)
    assert again.root_certificate == authority.root
    assert again.compressed_id == authority.compressed_id
    assert again.operational_ipks == (authority.operational_ipk,)
    assert again.operational_key.public_key == fabric.operational_key.public_key
    assert bench.ownership.access_control.entries(fabric.index) == (
        AclEntry(Privilege.ADMINISTER, AuthMode.CASE, (ADMIN_NODE,), None, fabric.index),
    )


async def test_a_power_cut_before_commissioning_is_complete_leaves_nothing(bench: Bench) -> None:
    fabric = bench.begin(Authority())
    bench.ownership.resumption.put(ResumptionRecord(bytes(16), bytes(32), fabric.index, ADMIN_NODE))
    bench.ownership.resumption.flush()
    assert bench.store.keys("fabric/")
    assert len(bench.restart().fabrics) == 0
    assert bench.store.keys("fabric/") == []
    assert bench.ownership.access_control.entries(fabric.index) == ()


async def test_a_power_cut_in_a_second_commissioning_keeps_the_first_fabric(bench: Bench) -> None:
    first = bench.join(Authority())
    bench.begin(Authority(seed="second"))
    assert [fabric.index for fabric in bench.restart().fabrics] == [first.index]


async def test_expiry_takes_back_the_added_fabric_and_tells(bench: Bench) -> None:
    removed: list[int] = []
    expired: list[int | None] = []
    bench.ownership.fabrics.on_removed.append(lambda fabric: removed.append(fabric.index))
    bench.ownership.failsafe.on_expired.append(lambda context: expired.append(context.added_fabric))
    fabric = bench.begin(Authority())
    bench.ownership.failsafe.expire()
    assert removed == expired == [fabric.index]
    assert bench.store.keys("fabric/") == []
    assert not bench.ownership.failsafe.is_armed


async def test_the_timer_expires_the_fail_safe(bench: Bench) -> None:
    expired = asyncio.Event()
    bench.ownership.failsafe.on_expired.append(lambda _: expired.set())
    loop = asyncio.get_running_loop()
    bench.ownership.failsafe.arm(60, 0, PASE_SESSION)
    timer = bench.ownership.failsafe._timer
    assert timer is not None
    assert timer.when() == pytest.approx(loop.time() + 60, abs=1)
    timer._run()
    assert expired.is_set()


async def test_arming_again_prolongs_but_never_beyond_the_cumulative_limit(bench: Bench) -> None:
    failsafe = bench.ownership.failsafe
    start = asyncio.get_running_loop().time()
    failsafe.arm(60, 0, PASE_SESSION)
    failsafe.arm(800, 0, PASE_SESSION)
    assert failsafe._timer is not None
    assert failsafe._timer.when() == pytest.approx(start + 800, abs=1)
    failsafe.arm(2000, 0, PASE_SESSION)
    assert failsafe._timer.when() == pytest.approx(start + 900, abs=1)


async def test_only_the_owner_may_arm_again_and_zero_expires(bench: Bench) -> None:
    failsafe = bench.ownership.failsafe
    fabric = bench.begin(Authority())
    with pytest.raises(FailSafeBusy):
        failsafe.arm(60, 0, PASE_SESSION)
    failsafe.arm(0, fabric.index, object())
    assert not failsafe.is_armed
    failsafe.arm(0, 0, PASE_SESSION)
    assert not failsafe.is_armed


async def test_losing_the_commissioners_session_takes_back_what_it_began(bench: Bench) -> None:
    failsafe = bench.ownership.failsafe
    failsafe.arm(60, 0, PASE_SESSION)
    failsafe.session_closed(object())
    assert failsafe.is_armed
    failsafe.session_closed(PASE_SESSION)
    assert not failsafe.is_armed
    bench.begin(Authority())
    failsafe.session_closed(PASE_SESSION)
    assert failsafe.is_armed  # the new fabric owns it and completes over CASE


async def test_destination_id_finds_the_fabric_and_its_ipk(bench: Bench) -> None:
    authority = Authority()
    bench.join(Authority(seed="other"))
    fabric = bench.join(authority)
    destination = fabric.destination_id(authority.operational_ipk, bytes(32))
    assert bench.ownership.fabrics.find_by_destination(destination, bytes(32)) == (fabric, authority.operational_ipk)
    assert bench.ownership.fabrics.find_by_destination(destination, bytes(31) + b"\x01") is None


async def test_a_rotated_ipk_is_accepted_beside_the_old_one_after_a_restart_too(bench: Bench) -> None:
    authority = Authority()
    fabric = bench.join(authority)
    new_key = bytes(range(16, 32))
    key_set = GroupKeySet(0, 0, (EpochKey(authority.ipk, 1), EpochKey(new_key, 2)))
    bench.ownership.group_keys.write(fabric.index, key_set)
    for fabrics in (bench.ownership.fabrics, bench.restart().fabrics):
        current = fabrics.get(fabric.index)
        assert current is not None
        assert current.ipk_epoch_keys == (authority.ipk, new_key)
        for ipk in current.operational_ipks:
            found = fabrics.find_by_destination(current.destination_id(ipk, bytes(32)), bytes(32))
            assert found == (current, ipk)


async def test_fabric_indexes_rest_before_they_are_used_again(bench: Bench) -> None:
    first = bench.join(Authority(seed="1"))
    second = bench.join(Authority(seed="2"))
    bench.ownership.fabrics.remove(second.index)
    third = bench.join(Authority(seed="3"))
    assert (first.index, second.index, third.index) == (1, 2, 3)
    bench.restart()
    assert bench.join(Authority(seed="4")).index == 4


async def test_the_index_wraps_and_skips_the_ones_in_use(bench: Bench) -> None:
    bench.join(Authority(seed="1"))
    bench.ownership.fabrics._last_index = 254
    assert bench.join(Authority(seed="2")).index == 2


async def test_removing_a_fabric_deletes_everything_of_it_and_nothing_else(bench: Bench) -> None:
    first, second = bench.join(Authority(seed="1")), bench.join(Authority(seed="2"))
    for fabric in (first, second):
        bench.ownership.resumption.put(ResumptionRecord(bytes((fabric.index,)) * 16, bytes(32), fabric.index, 7))
    bench.ownership.resumption.flush()
    bench.ownership.fabrics.remove(first.index)
    assert bench.store.keys(f"fabric/{first.index}/") == []
    assert bench.ownership.resumption.get(bytes((first.index,)) * 16) is None
    assert bench.ownership.access_control.entries(first.index) == ()
    again = bench.restart()
    assert [fabric.index for fabric in again.fabrics] == [second.index]
    assert again.resumption.get(bytes((second.index,)) * 16) is not None


async def test_removing_the_fabric_that_owns_the_fail_safe_disarms_it(bench: Bench) -> None:
    fabric = bench.join(Authority())
    bench.ownership.failsafe.arm(60, fabric.index, object())
    bench.ownership.fabrics.remove(fabric.index)
    assert not bench.ownership.failsafe.is_armed


async def test_the_table_is_full_at_its_capacity() -> None:
    store = MemoryStore()
    bench = Bench()
    bench.ownership = Ownership.load(store, VirtualClock(unix_s=None), CountingEntropy("full"), capacity=5)
    for seed in range(5):
        bench.join(Authority(seed=f"fabric {seed}"))
    with pytest.raises(NocRefused) as refused:
        bench.begin(Authority(seed="one too many"))
    assert refused.value.status is NocStatus.TABLE_FULL
    with pytest.raises(ValueError, match="capacity=4"):
        Ownership.load(store, VirtualClock(unix_s=None), CountingEntropy(), capacity=4)


async def test_a_label_survives_a_restart(bench: Bench) -> None:
    fabric = bench.join(Authority())
    bench.ownership.fabrics.set_label(fabric.index, "Küche")
    current = bench.restart().fabrics.get(fabric.index)
    assert current is not None
    assert current.label == "Küche"
    with pytest.raises(ValueError, match="longer than 32 bytes"):
        bench.ownership.fabrics.set_label(fabric.index, "ü" * 17)


async def test_a_verified_vendor_survives_a_restart(bench: Bench) -> None:
    fabric = bench.join(Authority())
    bench.ownership.fabrics.set_admin_vendor_id(fabric.index, 0x1049)
    current = bench.restart().fabrics.get(fabric.index)
    assert current is not None
    assert current.admin_vendor_id == 0x1049


async def test_a_peer_whose_record_is_damaged_makes_a_whole_handshake(bench: Bench) -> None:
    fabric = bench.join(Authority())
    with bench.store.transaction() as transaction:
        transaction.put(f"fabric/{fabric.index}/resumption/{ADMIN_NODE:016x}", b"not TLV")
    assert len(bench.restart().fabrics) == 1


@pytest.mark.parametrize("record", ["record", "acl", "group-keys"])
@pytest.mark.parametrize("damage", [b"", b"\x15\x18", b"\x16\x15\x18\x18", b"not TLV"])
async def test_a_damaged_record_is_named(bench: Bench, record: str, damage: bytes) -> None:
    fabric = bench.join(Authority())
    key = f"fabric/{fabric.index}/{record}"
    with bench.store.transaction() as transaction:
        transaction.put(key, damage)
    with pytest.raises(DamagedRecord, match=key):
        bench.restart()


# --- UpdateNOC


def renew(bench: Bench, authority: Authority, fabric: Fabric, node_id: int = 0x9999) -> Fabric:
    accessor = administrator(fabric)
    bench.ownership.failsafe.arm(60, fabric.index, object())
    request = bench.ownership.issuance.request_certificate(accessor, for_update=True)
    noc = authority.issue(node_id, public_key_of_request(request))
    return bench.ownership.issuance.update_noc(accessor, noc=noc, icac=None)


async def test_an_updated_noc_is_used_at_once_and_kept_when_committed(bench: Bench) -> None:
    authority = Authority()
    fabric = bench.join(authority)
    reissued: list[int] = []
    bench.ownership.fabrics.on_reissued.append(lambda one: reissued.append(one.node_id))
    bench.ownership.resumption.put(ResumptionRecord(bytes(16), bytes(32), fabric.index, ADMIN_NODE))
    updated = renew(bench, authority, fabric)
    assert updated.node_id == 0x9999
    assert updated.operational_ipks == fabric.operational_ipks
    assert reissued == [0x9999]
    assert bench.ownership.resumption.get(bytes(16)) is None
    bench.ownership.failsafe.commit()
    current = bench.restart().fabrics.get(fabric.index)
    assert current is not None
    assert (current.node_id, current.noc) == (0x9999, updated.noc)


@pytest.mark.parametrize("by", ["expiry", "power cut"])
async def test_an_unconfirmed_update_is_taken_back(bench: Bench, by: str) -> None:
    authority = Authority()
    fabric = bench.join(authority)
    bench.ownership.fabrics.set_label(fabric.index, "kept")
    renew(bench, authority, fabric)
    bench.ownership.fabrics.set_label(fabric.index, "with the new NOC")
    if by == "expiry":
        bench.ownership.failsafe.expire()
    else:
        bench.restart()
    current = bench.ownership.fabrics.get(fabric.index)
    assert current is not None
    assert (current.node_id, current.noc, current.label) == (NODE_ID, fabric.noc, "kept")
    assert current.operational_key.public_key == fabric.operational_key.public_key


async def test_a_noc_update_must_keep_to_its_own_fabric(bench: Bench) -> None:
    authority = Authority()
    fabric = bench.join(authority)
    with pytest.raises(NocRefused) as refused:
        renew(bench, Authority(fabric_id=0xBAD), fabric)
    assert refused.value.status is NocStatus.INVALID_NOC
    with pytest.raises(NocRefused) as refused:
        renew(bench, Authority(seed="another root"), fabric)
    assert refused.value.status is NocStatus.INVALID_NOC


async def test_a_noc_update_over_pase_is_refused(bench: Bench) -> None:
    bench.ownership.failsafe.arm(60, 0, PASE_SESSION)
    with pytest.raises(MatterStatus) as refused:
        bench.ownership.issuance.request_certificate(COMMISSIONER, for_update=True)
    assert refused.value.status is StatusCode.INVALID_COMMAND


# --- what AddNOC and its companions refuse


async def test_nothing_is_issued_without_the_fail_safe(bench: Bench) -> None:
    issuance = bench.ownership.issuance
    stranger = Accessor(AuthMode.CASE, 3, 1)
    for call in (
        lambda: issuance.request_certificate(COMMISSIONER, for_update=False),
        lambda: issuance.add_root(COMMISSIONER, b""),
        lambda: issuance.update_noc(stranger, noc=b"", icac=None),
    ):
        with pytest.raises(MatterStatus) as refused:
            call()
        assert refused.value.status is StatusCode.FAILSAFE_REQUIRED
    bench.ownership.failsafe.arm(60, 0, PASE_SESSION)
    with pytest.raises(MatterStatus) as refused:
        issuance.request_certificate(stranger, for_update=False)
    assert refused.value.status is StatusCode.FAILSAFE_REQUIRED


async def test_a_root_is_accepted_once_and_only_if_valid(bench: Bench) -> None:
    issuance = bench.ownership.issuance
    bench.ownership.failsafe.arm(60, 0, PASE_SESSION)
    with pytest.raises(MatterStatus) as refused:
        issuance.add_root(COMMISSIONER, b"\x15\x18")
    assert refused.value.status is StatusCode.INVALID_COMMAND
    issuance.add_root(COMMISSIONER, Authority().root)
    with pytest.raises(MatterStatus) as refused:
        issuance.add_root(COMMISSIONER, Authority().root)
    assert refused.value.status is StatusCode.CONSTRAINT_ERROR


def offer(bench: Bench, noc: bytes, *, ipk: bytes = bytes(16), admin: int = ADMIN_NODE) -> Fabric:
    return bench.ownership.issuance.add_noc(
        COMMISSIONER, noc=noc, icac=None, ipk=ipk, case_admin_subject=admin, admin_vendor_id=0xFFF1
    )


async def test_each_refusal_of_a_noc_has_its_status(bench: Bench) -> None:
    authority = Authority()
    own = bench.ownership
    own.failsafe.arm(60, 0, PASE_SESSION)

    def status_of(noc: bytes, admin: int = ADMIN_NODE) -> NocStatus:
        with pytest.raises(NocRefused) as refused:
            offer(bench, noc, admin=admin)
        return refused.value.status

    assert status_of(b"") is NocStatus.MISSING_CSR
    public_key = public_key_of_request(own.issuance.request_certificate(COMMISSIONER, for_update=False))
    good = authority.issue(NODE_ID, public_key)
    assert status_of(good) is NocStatus.INVALID_NOC  # no root yet
    own.issuance.add_root(COMMISSIONER, authority.root)
    assert status_of(b"") is NocStatus.INVALID_NOC
    assert status_of(authority.issue(NODE_ID, authority.root_key.public_key)) is NocStatus.INVALID_PUBLIC_KEY
    assert status_of(Authority(seed="x").issue(NODE_ID, public_key)) is NocStatus.INVALID_NOC
    assert status_of(good, admin=0) is NocStatus.INVALID_ADMIN_SUBJECT
    assert status_of(good, admin=0xFFFF_FFFD_0001_0000) is NocStatus.INVALID_ADMIN_SUBJECT
    with pytest.raises(MatterStatus) as refused:
        offer(bench, good, ipk=bytes(15))
    assert refused.value.status is StatusCode.INVALID_COMMAND
    assert len(own.fabrics) == 0
    assert offer(bench, good, admin=0xFFFF_FFFD_0001_0001).index == 1


async def test_the_same_fabric_is_not_joined_twice(bench: Bench) -> None:
    bench.join(Authority())
    with pytest.raises(NocRefused) as refused:
        bench.begin(Authority(), node_id=0x5678)
    assert refused.value.status is NocStatus.FABRIC_CONFLICT


async def test_an_expired_noc_is_refused_when_the_time_is_known(bench: Bench) -> None:
    authority = Authority()
    bench.ownership = Ownership.load(bench.store, VirtualClock(unix_s=946_684_800 + 1000), CountingEntropy("clock"))
    own = bench.ownership
    own.failsafe.arm(60, 0, PASE_SESSION)
    public_key = public_key_of_request(own.issuance.request_certificate(COMMISSIONER, for_update=False))
    own.issuance.add_root(COMMISSIONER, authority.root)
    with pytest.raises(NocRefused, match="expired"):
        offer(bench, encode_certificate(authority.make_noc(NODE_ID, public_key, not_after=999)))


async def test_one_fail_safe_takes_one_noc(bench: Bench) -> None:
    fabric = bench.begin(Authority())
    accessor = Accessor(AuthMode.PASE, fabric.index)
    for call in (
        lambda: bench.ownership.issuance.request_certificate(accessor, for_update=False),
        lambda: bench.ownership.issuance.add_root(accessor, Authority(seed="2").root),
        lambda: bench.ownership.issuance.update_noc(accessor, noc=b"", icac=None),
    ):
        with pytest.raises(MatterStatus) as refused:
            call()
        assert refused.value.status is StatusCode.CONSTRAINT_ERROR


async def test_a_request_for_the_other_command_is_refused(bench: Bench) -> None:
    authority = Authority()
    fabric = bench.join(authority)
    accessor = administrator(fabric)
    own = bench.ownership
    own.failsafe.arm(60, fabric.index, object())
    own.issuance.request_certificate(accessor, for_update=False)
    with pytest.raises(MatterStatus) as refused:
        own.issuance.update_noc(accessor, noc=b"", icac=None)
    assert refused.value.status is StatusCode.CONSTRAINT_ERROR


# --- resumption


async def test_a_peer_has_one_record_and_a_fabric_a_bounded_number(bench: Bench) -> None:
    resumption = bench.ownership.resumption
    for node_id in range(MAX_RECORDS_PER_FABRIC + 2):
        resumption.put(ResumptionRecord(bytes((node_id,)) * 16, bytes(32), 1, node_id))
    assert resumption.get(bytes((1,)) * 16) is None
    assert resumption.get(bytes((2,)) * 16) is not None
    resumption.put(ResumptionRecord(b"\xaa" * 16, bytes(32), 1, 2))
    assert resumption.get(bytes((2,)) * 16) is None
    resumption.put(ResumptionRecord(b"\xbb" * 16, bytes(32), 1, 77))
    assert resumption.get(b"\xaa" * 16) is not None  # just renewed, so another was dropped


async def test_records_are_written_with_a_delay_and_found_after_a_restart(bench: Bench) -> None:
    fabric = bench.join(Authority())
    record = ResumptionRecord(bytes(range(16)), bytes(32), fabric.index, ADMIN_NODE, (0x10001,))
    bench.ownership.resumption.put(record)
    assert not [key for key in bench.store.keys("fabric/") if "resumption" in key]
    timer = bench.ownership.resumption._timer
    assert timer is not None
    timer._run()
    assert bench.restart().resumption.get(record.resumption_id) == record
    assert bytes(32).hex() not in repr(record)


# --- group keys


async def test_group_key_sets_are_validated_bounded_and_removed(bench: Bench) -> None:
    fabric = bench.join(Authority())
    keys = bench.ownership.group_keys
    keys.write(fabric.index, GroupKeySet(1, 0, (EpochKey(bytes(16), 5),)))
    keys.write(fabric.index, GroupKeySet(2, 0, (EpochKey(bytes(16), 5), EpochKey(bytes(16), 6))))
    assert bench.restart().group_keys.set_ids(fabric.index) == [0, 1, 2]
    keys = bench.ownership.group_keys

    def refusal(key_set: GroupKeySet) -> StatusCode:
        with pytest.raises(MatterStatus) as refused:
            keys.write(fabric.index, key_set)
        return refused.value.status

    assert refusal(GroupKeySet(3, 0, (EpochKey(bytes(16), 5),))) is StatusCode.RESOURCE_EXHAUSTED
    assert refusal(GroupKeySet(2, 0, ())) is StatusCode.INVALID_COMMAND
    assert refusal(GroupKeySet(2, 0, (EpochKey(bytes(16), 0),))) is StatusCode.INVALID_COMMAND
    assert refusal(GroupKeySet(2, 0, (EpochKey(bytes(16), 2), EpochKey(bytes(16), 2)))) is StatusCode.INVALID_COMMAND
    assert refusal(GroupKeySet(2, 0, (EpochKey(bytes(15), 2),))) is StatusCode.CONSTRAINT_ERROR
    keys.remove(fabric.index, 2)
    assert keys.read(fabric.index, 2) is None
    with pytest.raises(MatterStatus, match="NOT_FOUND"):
        keys.remove(fabric.index, 2)
    with pytest.raises(MatterStatus, match="INVALID_COMMAND"):
        keys.remove(fabric.index, 0)


async def test_change_events_of_a_new_fabric_name_the_commissioner(bench: Bench) -> None:
    changes: list[tuple[ChangeType, int, Accessor]] = []
    bench.ownership.access_control.on_changed.append(
        lambda kind, entry, accessor: changes.append((kind, entry.fabric_index, accessor))
    )
    fabric = bench.begin(Authority())
    assert changes == [(ChangeType.ADDED, fabric.index, COMMISSIONER)]
