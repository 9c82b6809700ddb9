"""What there is to know of the box now.

Units stand in the names; `in_s` and `age_ms` are from now, `unix_s` is of the calendar and None while the clock is not
known. What only the safety process knows is None while it is silent.
"""

from enum import Enum
from typing import NamedTuple

from evse_pi.api import API_VERSION
from evse_pi.api.matter_status import MatterDeviceStatus
from evse_pi.api.protocol import Command, Nothing
from evse_pi.api.readings import NO_READINGS, Readings
from evse_pi.api.session_summary import SessionSummary
from evse_pi.core.fault_kinds import Check, Clear, Fault, Severity
from evse_pi.core.states import EvseState, LimitSource, PilotMode, PilotState, Reason
from hal.units import CentiCelsius, DutyPpm, Milliamps, Millivolts, MilliwattHours, Milliwatts


class SelfTestStatus(Enum):
    """How the last self-test stands."""

    RUNNING = "running"
    PASSED = "passed"
    NOT_PASSED = "not passed"


class SelfTestEvidence(NamedTuple):
    """What the self-test measured and the band that it must lie in, in the unit of its check."""

    check: Check
    at_ns: int
    measured: int
    lowest: int
    highest: int
    passed: bool


class Safety(NamedTuple):
    """The safety process: whether it speaks, and what it says of itself; all but the first two None of a silent one.

    `safety_run_id` changes with every start of it. Lateness of ticks and reaction are those since its start.
    """

    connected: bool
    age_ms: int | None
    safety_run_id: int | None = None
    self_test: SelfTestStatus | None = None
    ticks: int | None = None
    lateness_p999_ns: int | None = None
    lateness_max_ns: int | None = None
    reaction_p999_ns: int | None = None
    evidence: tuple[SelfTestEvidence, ...] = ()
    transitions_lost: int | None = None


class Pilot(NamedTuple):
    """The control pilot: `state` is what the vehicle shows, `evse_state` what the box has made of it.

    `positive_mv` and `negative_mv` are the rails of its generator, None on a board that does not see them.
    """

    state: PilotState
    evse_state: EvseState
    high_mv: Millivolts
    low_mv: Millivolts
    mode: PilotMode
    duty_ppm: DutyPpm
    gain_uv_per_code: int
    offset_mv: Millivolts
    positive_mv: Millivolts | None = None
    negative_mv: Millivolts | None = None


class ContactorStatus(NamedTuple):
    """The contactor: what is ordered, what its mirror contact says, and whether its load side is live; None unfitted.

    `openings_under_load` are those while the vehicle still asked for power.
    """

    close_ordered: bool
    mirror_closed: bool | None
    load_live: bool | None
    cycles: int
    openings_under_load: int


class Wait(NamedTuple):
    """What the box does, or waits for, and in how many seconds that ends where it is known."""

    reason: Reason
    text: str
    in_s: int | None


class LimitStatus(NamedTuple):
    """One limit with its owner and its end. `limit_ma` None is no limit of its own.

    `judged` says that the safety process judges it, `counts` is false once its time is over, and `wins` marks the one
    that the box follows now, which only the safety process knows.
    """

    source: LimitSource
    limit_ma: Milliamps | None
    text: str
    judged: bool
    permitted: bool
    wins: bool
    in_s: int | None = None
    counts: bool = True


class ActiveFault(NamedTuple):
    """A fault that is active, with what to do about it; any of `clears` ends it, none of them only a restart."""

    fault: Fault
    title: str
    severity: Severity
    hint: str
    clears: tuple[Clear, ...]
    since_unix_s: int | None
    number: int
    readings: Readings = NO_READINGS


class MeterStatus(NamedTuple):
    """Power and what the meter shows, per phase with L1 first; all but the first three None without a reading.

    `estimated` says that the power follows from the offer; `registers_replaced` counts exchanged meters.
    """

    fitted: bool
    power_mw: Milliwatts | None
    estimated: bool
    age_ms: int | None = None
    stale: bool | None = None
    voltage_mv: tuple[Millivolts, ...] | None = None
    current_ma: tuple[Milliamps, ...] | None = None
    phase_power_mw: tuple[Milliwatts, ...] | None = None
    energy_mwh: MilliwattHours | None = None
    frequency_mhz: int | None = None
    registers_replaced: int | None = None


class Owner(NamedTuple):
    """What the owner has set."""

    permitted: bool
    limit_ma: Milliamps | None


class Board(NamedTuple):
    """Which board the box has."""

    name: str
    title: str


class DeviceStatus(NamedTuple):
    """A slow device of the node: meter or thermometer; `trouble` says what is wrong with it."""

    device: str
    bus: str
    trouble: str | None
    errors: int
    age_ms: int | None


class NoticeKind(Enum):
    """What a notice is about."""

    STORAGE = "storage"
    INSTALLATION = "the installer's file"
    PERMISSION = "a permission that was lost"
    BENCH_ONLY = "a board that is not for the mains"
    CLOCK = "the clock"
    BOOT = "a boot setting"
    MATTER = "the Matter device"
    IDENTITY = "a Matter identity of another machine"
    CHARGING_PLAN = "the charging plan"
    WEB = "the web page"
    DEVICE = "a slow device"
    RECORDINGS = "recordings of faults"
    RESTARTED = "a restart of the safety process"


class Notice(NamedTuple):
    """Something that people must know and that stops no charge."""

    kind: NoticeKind
    text: str


class WebPage(NamedTuple):
    """How the web page stands."""

    serving: bool
    address: str
    trouble: str | None


class Order(Enum):
    """A one-time order to the safety process."""

    SELF_TEST = "test yourself"
    CLEAR_USER = "clear what a user may acknowledge"
    CLEAR_INSTALLER = "clear what the installer may acknowledge"
    RESTART_WAKE_UP = "wake the vehicle"
    RELOAD_INSTALLATION = "read the installer's file"


class Status(NamedTuple):
    """The box. `limit` is the one that it follows, `permitted` what the demand says, `cable_ma` None without a cable.

    `matter_absence` says why there is no Matter device, `safety_refusal` why the safety process could not start.
    """

    unix_s: int | None
    safety: Safety
    pilot: Pilot | None
    contactor: ContactorStatus | None
    offered_current_ma: Milliamps | None
    permitted: bool | None
    cable_ma: Milliamps | None
    locked: bool | None
    reason: Wait | None
    limit: LimitStatus | None
    limits: tuple[LimitStatus, ...]
    faults: tuple[ActiveFault, ...]
    meter: MeterStatus
    session: SessionSummary | None
    temperature_centi_celsius: CentiCelsius | None
    owner: Owner
    orders_outstanding: tuple[Order, ...]
    board: Board
    version: str
    matter: MatterDeviceStatus | None = None
    matter_absence: str | None = None
    web: WebPage | None = None
    devices: tuple[DeviceStatus, ...] = ()
    notices: tuple[Notice, ...] = ()
    safety_refusal: str | None = None
    api: int = API_VERSION


STATUS: Command[Nothing, Status] = Command("status", Nothing, Status, "Everything that the box says of itself now.")
WATCH: Command[Nothing, Status] = Command(
    "watch", Nothing, Status, "The status, again with every change, at least every second.", streams=True
)
LIMITS: Command[Nothing, tuple[LimitStatus, ...]] = Command(
    "limits", Nothing, tuple[LimitStatus, ...], "Every limit with its owner and its end."
)
