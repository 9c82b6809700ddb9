"""The box as the node sees it: what it was told, what it measured, what it demands. No I/O."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evse_pi.charging.demand_arbiter import OWNER_DEFAULT, DemandArbiter, LimitRequest
from evse_pi.charging.event_recorder import EventRecorder
from evse_pi.charging.limits import judged_limits, requested_limits
from evse_pi.charging.metering import (
    EnergyCounter,
    EnergyEstimate,
    fresh,
    meter_sample,
    offered_power_mw,
)
from evse_pi.charging.one_shot_requests import OneShotRequests
from evse_pi.charging.startup_state import owner_row
from evse_pi.charging.write_queue import PERIOD_NS
from evse_pi.core.installation_limits import DEFAULT_VOLTAGE_MV
from evse_pi.core.states import LimitSource
from hal.units import SECOND, Milliwatts

if TYPE_CHECKING:
    from evse_pi.charging.clock import Clock
    from evse_pi.charging.limits import ActingLimit
    from evse_pi.charging.startup_state import StartupState
    from evse_pi.clearance import Clearance
    from evse_pi.core.board_ratings import BoardRatings
    from evse_pi.core.installation_limits import Installation
    from evse_pi.core.records import Demand, Request, Snapshot, TemperatureSample
    from hal.interfaces import MeterReading
    from hal.units import Milliamps

HIGHEST_VOLTAGE_MV = 265_000
RESUME_NS = 2 * PERIOD_NS  # from the last save to the power cut, and from the machine's start to the meter's
SILENT_NS = 3 * SECOND  # a snapshot comes every second


class ChargePoint:
    """Puts together what safety process, meter, owner and controllers say. Hazard: H-10, H-16."""

    def __init__(
        self, clock: Clock, ratings: BoardRatings, installation: Installation | None, memory: StartupState
    ) -> None:
        self.clock = clock
        self.ratings = ratings
        self.installation = installation
        self.arbiter = DemandArbiter([memory.owner])
        self.requests = OneShotRequests()
        self.event_recorder = EventRecorder(clock, memory)
        self.snapshot: Snapshot | None = None
        self.reading: MeterReading | None = None
        self.temperature: TemperatureSample | None = None
        self.identifying = False
        self._doubt = memory.doubt
        self.counter = EnergyCounter()
        self._estimate = EnergyEstimate(at_ns=clock.monotonic_ns())
        saved = memory.session
        if saved is not None and saved.register_mwh is not None:
            same_life = saved.kernel_boot_id == clock.kernel_boot_id
            at_ns = saved.saved_ns if same_life else clock.monotonic_ns() - RESUME_NS
            self.counter = EnergyCounter(register_mwh=saved.register_mwh, at_ns=at_ns)

    def on_snapshot(self, snapshot: Snapshot) -> None:
        """Take in what the safety process says of itself."""
        self.requests.on_snapshot(snapshot)
        if not self.ratings.meter_fitted:
            self._estimated(snapshot.at_ns, self._offered_mw(snapshot))
        if self.reading is not None and not fresh(self.reading.read_ns, snapshot.at_ns):
            self.event_recorder.current_ma = None
        self.snapshot = snapshot
        self.event_recorder.on_snapshot(snapshot)

    def measure(self, reading: MeterReading) -> None:
        """Take in a reading of the meter; the same one again changes nothing."""
        if self.reading is not None and reading.read_ns <= self.reading.read_ns:
            return
        before = self.counter
        self.reading = reading
        self.counter = before.accept(reading, self._highest_mw())
        self.event_recorder.register_mwh = self.counter.register_mwh
        self.event_recorder.current_ma = max(reading.current_ma, default=None)
        grown_mwh = self.counter.total_mwh - before.total_mwh
        self.event_recorder.add_energy(grown_mwh, since_ns=before.at_ns, estimated=False)

    def tick(self) -> None:
        """Let time pass. A safety process that is silent for longer than the lease has opened the contactor."""
        now_ns = self.clock.monotonic_ns()
        if self.snapshot is not None and not self.ratings.meter_fitted and not fresh(self.snapshot.at_ns, now_ns):
            self._estimated(self.snapshot.at_ns, Milliwatts(0))
        self.event_recorder.tick()

    def demand(self) -> Demand:
        """Return the demand to send now."""
        return replace(
            self.arbiter.compose(self.clock.monotonic_ns()),
            meter=meter_sample(self.reading) if self.reading else None,
            temperature=self.temperature,
            request=self.requests.request,
            request_number=self.requests.number,
            identify=self.identifying,
        )

    def limits(self) -> tuple[ActingLimit, ...]:
        """Return every limit that acts now with its owner, those that the safety process judges first."""
        now_ns = self.clock.monotonic_ns()
        return (
            *judged_limits(self.ratings, self.installation, self.snapshot),
            *requested_limits(self.arbiter.limits(now_ns), now_ns),
        )

    @property
    def owner(self) -> LimitRequest:
        """What the owner asks."""
        return self.arbiter.ask_of(LimitSource.OWNER) or OWNER_DEFAULT

    @property
    def doubt(self) -> str | None:
        """Why charging is forbidden until a person permits it, None where what the owner wants is known."""
        return None if self.owner.permitted else self._doubt

    def set_owner(self, *, permitted: bool, limit_ma: Milliamps | None) -> bool:
        """Set what the owner permits and store it; return whether it changed. Raises: ValueError for a bad limit."""
        wanted = LimitRequest(LimitSource.OWNER, permitted, limit_ma)
        if wanted == self.owner:
            return False
        self.arbiter.put(wanted)
        self._doubt = None
        self.event_recorder.write_queue.note(owner_row(wanted), said=True)
        return True

    def order(self, request: Request, clearance: Clearance | None = None) -> None:
        """Have the safety process carry out `request` once; `clearance` proves what only the installer may order."""
        self.requests.ask(request, clearance)

    def safety_online(self) -> bool:
        """Return whether the safety process speaks."""
        return self.snapshot is not None and self.clock.monotonic_ns() - self.snapshot.at_ns < SILENT_NS

    def power_mw(self) -> tuple[Milliwatts | None, bool]:
        """Return the power that flows now, None when it is unknown, and whether it is an estimate."""
        if self.ratings.meter_fitted:
            reading = self.reading
            known = reading is not None and fresh(reading.read_ns, self.clock.monotonic_ns())
            return (reading.total_power_mw if reading is not None and known else None), False
        if self.snapshot is None or not self.safety_online():
            return None, True
        return self._offered_mw(self.snapshot), True

    def _estimated(self, now_ns: int, power_mw: Milliwatts) -> None:
        before = self._estimate
        self._estimate = before.advance(max(now_ns, before.at_ns), power_mw)
        grown_mwh = self._estimate.total_mwh - before.total_mwh
        self.event_recorder.add_energy(grown_mwh, since_ns=before.at_ns, estimated=True)

    def _offered_mw(self, snapshot: Snapshot) -> Milliwatts:
        if not snapshot.close_ordered:
            return Milliwatts(0)
        voltage_mv, phases = DEFAULT_VOLTAGE_MV, self.ratings.phases
        if self.installation is not None:
            voltage_mv, phases = self.installation.nominal_voltage_mv, self.installation.phases
        return offered_power_mw(snapshot.offered_current_ma, voltage_mv, phases)

    def _highest_mw(self) -> Milliwatts:
        return Milliwatts(self.ratings.rated_current_ma * HIGHEST_VOLTAGE_MV * self.ratings.phases // 1000)
