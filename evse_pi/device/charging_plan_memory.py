"""What the charging planner keeps for a restart, and its form in the store.

It loads nothing of Matter's clusters: a box that starts must know what waits before it offers anything.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.schedule import TargetProgress
from evse_pi.charging.targets import Target
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.states import LimitSource

if TYPE_CHECKING:
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

KEY = "charging-plan"


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """What a restart of the node continues from. Instants mean something in the same life of the machine only."""

    machine_boot: str
    window_s: int = USUAL_RANDOM_DELAY_S
    pursuit: TargetProgress | None = None
    delay: RandomDelay | None = None
    mode: ChargeMode = ChargeMode.MANUAL

    def changed_to(self, mode: ChargeMode) -> KeptPlan:
        """Return what is kept in another mode: what was charged for a target counts on, what had begun does not."""
        if mode is self.mode:
            return self
        pursuit = None if self.pursuit is None else replace(self.pursuit, start_s=None, goal_s=None)
        return replace(self, mode=mode, pursuit=pursuit)


def held_back(kept: KeptPlan | None, machine_boot: str) -> tuple[LimitSource, ...]:
    """Return in whose name a box that starts must wait until the planner speaks."""
    if kept is None:
        return ()
    power_returned = kept.machine_boot != machine_boot
    waits = kept.pursuit is not None and kept.pursuit.goal_s is None
    held = {
        LimitSource.SCHEDULE: kept.mode is ChargeMode.TIME_OF_USE and waits,
        LimitSource.RANDOM_DELAY: power_returned and kept.window_s > 1,
        LimitSource.POWER_ADJUSTMENT: power_returned and kept.mode is ChargeMode.SOLAR,
    }
    return tuple(source for source, holds in held.items() if holds)


def encode(kept: KeptPlan) -> bytes:
    """Return the record of `kept`."""
    delay = kept.delay
    fields = asdict(replace(kept, delay=None)) | {
        "delay": None if delay is None else {"cause": delay.cause.name, "until_ns": delay.until_ns},
        "mode": kept.mode.name,
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def recalled(store: KeyValueStore) -> KeptPlan | None:
    """Return what was stored, None where nothing is or nobody can read it."""
    record = store.get(KEY)
    if record is None:
        return None
    try:
        fields = json.loads(record)
        pursuit, delay = fields["pursuit"], fields["delay"]
        return KeptPlan(
            str(fields["machine_boot"]),
            int(fields["window_s"]),
            None if pursuit is None else TargetProgress(**(pursuit | {"target": Target(**pursuit["target"])})),
            None if delay is None else RandomDelay(DelayCause[delay["cause"]], int(delay["until_ns"])),
            ChargeMode[fields["mode"]],
        )
    except (ValueError, KeyError, TypeError) as error:
        log.warning("the stored charging plan cannot be read and is dropped: %r", error)
        return None
