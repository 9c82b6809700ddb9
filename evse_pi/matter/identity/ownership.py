"""Everything about who owns the node, loaded from the store and wired together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from evse_pi.matter.identity.acl import AccessControl
from evse_pi.matter.identity.fabric import FABRIC_CAPACITY, Fabric, FabricTable
from evse_pi.matter.identity.failsafe import FailSafe
from evse_pi.matter.identity.group_keys import GroupKeyStore
from evse_pi.matter.identity.issuance import Issuance
from evse_pi.matter.identity.resumption import ResumptionStore

if TYPE_CHECKING:
    from evse_pi.matter.environment import Entropy, WallClock
    from evse_pi.matter.storage import KeyValueStore


@dataclass(frozen=True, slots=True)
class Ownership:
    """Fabrics and all that hangs on them; when a fabric goes, the rest goes with it."""

    fabrics: FabricTable
    group_keys: GroupKeyStore
    access_control: AccessControl
    resumption: ResumptionStore
    failsafe: FailSafe
    issuance: Issuance

    @classmethod
    def load(
        cls, store: KeyValueStore, wall_clock: WallClock, entropy: Entropy, *, capacity: int = FABRIC_CAPACITY
    ) -> Self:
        """Return what `store` holds, after taking back a commissioning that was cut off.

        Raises: DamagedRecord for a fabric, its keys or its access control list that cannot be read.
        """
        group_keys = GroupKeyStore(store)
        fabrics = FabricTable(store, group_keys, capacity=capacity)
        access_control = AccessControl(store)
        resumption = ResumptionStore(store)
        failsafe = FailSafe(fabrics)
        issuance = Issuance(
            failsafe=failsafe,
            fabrics=fabrics,
            access_control=access_control,
            wall_clock=wall_clock,
            entropy=entropy,
        )

        def forget(fabric: Fabric) -> None:
            access_control.forget(fabric.index)
            resumption.remove_fabric(fabric.index)
            failsafe.fabric_removed(fabric.index)

        for fabric in fabrics:
            access_control.entries(fabric.index)  # a list that cannot be read keeps the node from starting without it
        fabrics.on_removed.append(forget)
        fabrics.on_reissued.append(lambda fabric: resumption.remove_fabric(fabric.index))
        return cls(fabrics, group_keys, access_control, resumption, failsafe, issuance)
