"""What the charging planner keeps for a restart, and its one stored copy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.history_rows import setting_row
from evse_pi.charging.modes import ChargeMode
from evse_pi.charging.random_delay import DelayCause, RandomDelay
from evse_pi.charging.schedule import TargetProgress
from evse_pi.charging.settings import LONGEST_WINDOW_S, target_of
from evse_pi.charging.stored_fields import HIGHEST_NUMBER, StoredFields, UnknownRecord
from evse_pi.core.country import USUAL_RANDOM_DELAY_S
from evse_pi.core.states import LimitSource

if TYPE_CHECKING:
    from evse_pi.charging.history_rows import Row

PLAN = "plan"
"""The name of the setting that holds it."""


@dataclass(frozen=True, slots=True)
class PersistedPlan:
    """What a restart of the node continues from. Instants mean something within one boot of the machine only.

    `holds` says that the plan holds charging back.
    """

    kernel_boot_id: str
    window_s: int = USUAL_RANDOM_DELAY_S
    progress: TargetProgress | None = None
    delay: RandomDelay | None = None
    mode: ChargeMode = ChargeMode.MANUAL
    holds: bool = False

    def changed_to(self, mode: ChargeMode) -> PersistedPlan:
        """Return what is kept in another mode: what was charged for a target counts on, what had begun does not."""
        if mode is self.mode:
            return self
        progress = None if self.progress is None else replace(self.progress, start_s=None, goal_s=None)
        return replace(self, mode=mode, progress=progress)


UNREADABLE = PersistedPlan(kernel_boot_id="")
"""What stands for a plan that cannot be read: one from before a power cut, so that the random delay begins."""


def held_back(kept: PersistedPlan, mode: ChargeMode, now_ns: int) -> tuple[LimitRequest, ...]:
    """Return the requests with which a box that starts waits until the planner has seen it.

    An energy manager has to ask again after every start, so in solar mode nothing is charged with until it does.
    """
    requests = []
    if mode is ChargeMode.TIME_OF_USE and (kept.holds or kept.mode is not mode):
        requests.append(LimitRequest(LimitSource.SCHEDULE, permitted=False))
    if kept.delay is not None and kept.delay.running(now_ns):
        requests.append(LimitRequest(LimitSource.RANDOM_DELAY, permitted=False, until_ns=kept.delay.until_ns))
    if mode is ChargeMode.SOLAR:
        requests.append(LimitRequest(LimitSource.POWER_ADJUSTMENT, permitted=False))
    return tuple(requests)


def plan_row(kept: PersistedPlan) -> Row:
    """Return what is kept as the row that stores it."""
    delay = kept.delay
    fields = asdict(replace(kept, delay=None)) | {
        "delay": None if delay is None else {"cause": delay.cause.name, "until_ns": delay.until_ns},
        "mode": kept.mode.name,
    }
    return setting_row(PLAN, fields)


def plan_of(stored: Any) -> PersistedPlan:
    """Return what is stored. Raises: UnknownRecord."""
    fields = StoredFields(stored)
    progress, delay = fields.optional_record("progress"), fields.optional_record("delay")
    return PersistedPlan(
        fields.text("kernel_boot_id"),
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
