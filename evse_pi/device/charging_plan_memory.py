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
from evse_pi.charging.settings import LONGEST_WINDOW_S, target_of
from evse_pi.charging.stored_fields import HIGHEST_NUMBER, StoredFields, UnknownRecord, parsed
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.states import LimitSource

if TYPE_CHECKING:
    from evse_pi.matter.storage import KeyValueStore

log = logging.getLogger(__name__)

KEY = "charging-plan"


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """What a restart of the node continues from. Instants mean something within one boot of the machine only.

    `holds` says that the plan holds charging back.
    """

    kernel_boot_id: str
    window_s: int = USUAL_RANDOM_DELAY_S
    progress: TargetProgress | None = None
    delay: RandomDelay | None = None
    mode: ChargeMode = ChargeMode.MANUAL
    holds: bool = False

    def changed_to(self, mode: ChargeMode) -> KeptPlan:
        """Return what is kept in another mode: what was charged for a target counts on, what had begun does not."""
        if mode is self.mode:
            return self
        progress = None if self.progress is None else replace(self.progress, start_s=None, goal_s=None)
        return replace(self, mode=mode, progress=progress)


UNREADABLE = KeptPlan(kernel_boot_id="")
"""What stands for a plan that cannot be read: one from before a power cut, so that the random delay begins."""


def held_back(kept: KeptPlan | None, kernel_boot_id: str, now_ns: int) -> dict[LimitSource, int | None]:
    """Return in whose name a box that starts must wait until the planner speaks, and until when at most.

    An energy manager has to ask again after every start, so in solar mode nothing is charged with until it does.
    """
    if kept is None:
        return {}
    power_returned = kept.kernel_boot_id != kernel_boot_id
    delay = None if power_returned else kept.delay
    held: dict[LimitSource, int | None] = {}
    if kept.mode is ChargeMode.TIME_OF_USE and kept.holds:
        held[LimitSource.SCHEDULE] = None
    if power_returned and kept.window_s > 1:
        held[LimitSource.RANDOM_DELAY] = None
    if delay is not None and delay.running(now_ns):
        held[LimitSource.RANDOM_DELAY] = delay.until_ns
    if kept.mode is ChargeMode.SOLAR:
        held[LimitSource.POWER_ADJUSTMENT] = None
    return held


def encode(kept: KeptPlan) -> bytes:
    """Return the record of `kept`."""
    delay = kept.delay
    fields = asdict(replace(kept, delay=None)) | {
        "delay": None if delay is None else {"cause": delay.cause.name, "until_ns": delay.until_ns},
        "mode": kept.mode.name,
    }
    # The names that earlier releases stored: a release that is taken back must be able to read the record.
    fields["machine_boot"], fields["pursuit"] = fields.pop("kernel_boot_id"), fields.pop("progress")
    return json.dumps(fields, separators=(",", ":")).encode()


def recalled(store: KeyValueStore) -> KeptPlan | None:
    """Return what was stored, None where nothing is, and `UNREADABLE` where it cannot be read."""
    record = store.get(KEY)
    try:
        return None if record is None else _decoded(StoredFields(parsed(record)))
    except UnknownRecord as error:
        log.warning("the stored charging plan cannot be read and is dropped: %s", error)
        return UNREADABLE


def _decoded(fields: StoredFields) -> KeptPlan:
    progress, delay = fields.optional_record("pursuit"), fields.optional_record("delay")
    return KeptPlan(
        fields.text("machine_boot"),
        fields.integer("window_s", 0, LONGEST_WINDOW_S),
        None if progress is None else _progress(progress),
        None if delay is None else RandomDelay(delay.member("cause", DelayCause), delay.instant_ns("until_ns")),
        fields.member("mode", ChargeMode),
        fields.boolean("holds"),
    )


def _progress(fields: StoredFields) -> TargetProgress:
    due_s = fields.optional_unix_s("due_s")
    if due_s is None:
        raise UnknownRecord("due_s: missing")
    return TargetProgress(
        session=fields.integer("session"),
        due_s=due_s,
        target=target_of(fields.record("target")),
        base_mwh=fields.integer("base_mwh", -HIGHEST_NUMBER),
        start_s=fields.optional_unix_s("start_s"),
        goal_s=fields.optional_unix_s("goal_s"),
    )
