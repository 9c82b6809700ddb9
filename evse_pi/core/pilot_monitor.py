"""What is known of the vehicle and its cable, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.cable_coding import Cable, cable_for
from evse_pi.core.duty_monitor import UNJUDGED, DutyMonitor
from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.pilot import Debounce, DiodeCheck, DiodeVerdict, classify, doubt
from evse_pi.core.pilot_supply import SupplyWatch, agrees, supplied
from evse_pi.core.states import PilotState
from hal.units import MILLISECOND, SECOND, Milliamps

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotOutput, PilotReading
    from hal.units import Millivolts, Ohms

UNSEEN_NS = 30 * MILLISECOND  # three windows without C: the 100 ms of sequence 8.1 do not wait for a better one
DOUBT_NS = 500 * MILLISECOND  # plugs bounce; only a contactor that is closed cannot wait
SHORT_NS = 200 * MILLISECOND
UNDECIDED_WINDOWS = 100
GONE_NS = SECOND  # a plug that bounces ends no session
STATE_B_NS = 200 * MILLISECOND
"""For how long a vehicle at a fixed cable must have shown B before its C counts. Source: docs/adr/0016."""
CABLE_STEADY_NS = 200 * MILLISECOND
CABLE_EXPECTED_NS = SECOND  # proximity may touch later than the pilot

CONNECTED = (PilotState.B, PilotState.C, PilotState.D)
ASKING = (PilotState.C, PilotState.D)
_NOTHING_OF_A_VEHICLE = (PilotState.INVALID, PilotState.F)
_NOTHING_ACCEPTED, _NO_VERDICT, _ALL_WELL = Debounce(), DiodeCheck(), SupplyWatch()


@dataclass(frozen=True, slots=True)
class PilotMonitor:
    """What the vehicle shows: `state` since `since_ns`, last seen at `seen_ns`.

    While the generator itself holds −12 V nothing but a short can be seen of the vehicle, and the previous
    state is kept.
    `doubted` names what is wrong with the last window, None of a window to be believed. `showed_b` says that the line
    has shown B for STATE_B_NS since it last showed A, or since nothing could be seen of it.
    """

    state: PilotState = PilotState.INVALID
    since_ns: int = 0
    seen_ns: int = 0
    debounce: Debounce = _NOTHING_ACCEPTED
    diode: DiodeCheck = _NO_VERDICT
    doubted: Fault | None = None
    supply: SupplyWatch = _ALL_WELL
    duty: DutyMonitor = UNJUDGED
    showed_b: bool = False

    def advance(
        self,
        now_ns: int,
        reading: PilotReading | None,
        output: PilotOutput,
        supply_mv: tuple[Millivolts, Millivolts] | None = None,
    ) -> PilotMonitor:
        """Return what is known after one more window, taken while the generator did `output`.

        `supply_mv` is how far from 0 V the generator's rails must read, None on a board that does not see them.
        Hazard: H-02, a window on rails that are not good shows nothing at all.
        """
        doubted: Fault | None
        supply, duty, high_mv = self.supply, self.duty, None
        good = reading is None or supply_mv is None or supplied(reading, supply_mv)
        if reading is None or not good:
            doubted, seen = Fault.PILOT_ADC_FAILED if reading is None else Fault.PILOT_SUPPLY, PilotState.INVALID
            diode = self.diode if reading is None else self.diode.accept(reading, output, seen)
        else:
            doubted, high_mv = doubt(reading, output), reading.high_mv
            seen = classify(reading, output, self.debounce.state)
            diode = self.diode.accept(reading, output, seen)
        if supply_mv is not None and reading is not None:
            agreeing = agrees(reading, output, seen)
            supply = supply.advance(now_ns, good=good, agreeing=agreeing, connected=self.connected)
        if reading is not None and doubted is None and seen in CONNECTED:
            duty = duty.advance(reading, output)
        if self.state is PilotState.A and now_ns - self.since_ns >= GONE_NS:
            supply, duty = supply.unplugged(), UNJUDGED
        debounce = self.debounce.accept(seen, high_mv)
        state = self.state if debounce.state in _NOTHING_OF_A_VEHICLE else debounce.state
        if state is not self.state:
            showed_b = self.showed_b and state is not PilotState.A
            return PilotMonitor(state, now_ns, now_ns, debounce, diode, doubted, supply, duty, showed_b)
        showed_b = self.showed_b or (doubted is None and seen is PilotState.B and self._in_b(now_ns))
        seen_ns = now_ns if doubted is None and seen in (state, PilotState.F) else self.seen_ns
        if doubted is not None and now_ns - seen_ns >= DOUBT_NS and state is not PilotState.INVALID:
            state, debounce = PilotState.INVALID, _NOTHING_ACCEPTED
            return PilotMonitor(state, now_ns, seen_ns, debounce, diode, doubted, supply, duty, showed_b)
        return PilotMonitor(state, self.since_ns, seen_ns, debounce, diode, doubted, supply, duty, showed_b)

    def _in_b(self, now_ns: int) -> bool:
        return self.state is PilotState.B and now_ns - self.since_ns >= STATE_B_NS

    def forgotten(self, now_ns: int) -> PilotMonitor:
        """Return the monitor when nothing could be seen for seconds: the vehicle that is there now may be another.

        What was judged of the generator stays: it is the same one, whichever vehicle is there.
        Hazard: H-05, a vehicle that came under −12 V would get power without a test of the residual current device.
        """
        return PilotMonitor(since_ns=now_ns, seen_ns=now_ns, supply=self.supply, duty=self.duty)

    @property
    def connected(self) -> bool:
        """A vehicle is plugged in."""
        return self.state in CONNECTED

    @property
    def testable(self) -> bool:
        """The line can tell something of its generator."""
        return self.state is not PilotState.E and not self.supply.failed

    def asking(self, now_ns: int) -> bool:
        """Return whether the vehicle asks for power, and was seen to just now."""
        return self.debounce.state in ASKING and now_ns - self.seen_ns < UNSEEN_NS

    def faults(self, now_ns: int, *, closed: bool) -> frozenset[Fault]:
        """Return what is wrong with the pilot. A closed contactor allows less patience."""
        found = self.supply.faults | self.duty.faults
        if self.doubted is not None and now_ns - self.seen_ns >= (UNSEEN_NS if closed else DOUBT_NS):
            found |= {self.doubted}
        if self.diode.verdict is DiodeVerdict.MISSING:
            found |= {Fault.PILOT_DIODE}
        if self.diode.undecided >= UNDECIDED_WINDOWS:
            found |= {Fault.PILOT_UNCERTAIN}
        if self.state is PilotState.E and (closed or now_ns - self.since_ns >= SHORT_NS):
            found |= {Fault.PILOT_SHORT}
        return found


@dataclass(frozen=True, slots=True)
class CableMonitor:
    """The cable in the socket, believed once it has read the same for 200 ms.

    `least` is the lowest rating since no vehicle was there. Hazard: H-04 overload of the cable;
    until the vehicle has left, a rating can fall and never rise, whatever the contact showed in between.
    """

    accepted: Cable = Cable.NONE
    candidate: Cable = Cable.NONE
    since_ns: int = 0
    least: Cable = Cable.NONE

    def advance(self, now_ns: int, ohms: Ohms | None, *, connected: bool) -> CableMonitor:
        """Return what is known after one more reading; `connected` is True until the vehicle has surely left."""
        seen, accepted, since_ns = cable_for(ohms), self.accepted, self.since_ns
        if seen is not self.candidate:
            since_ns = now_ns
        elif now_ns - since_ns >= CABLE_STEADY_NS:
            rises = connected and self.least.rating_ma and seen.rating_ma > self.least.rating_ma
            accepted = self.least if rises else seen
        least = Cable.NONE
        if connected:
            falls = accepted.rating_ma and (not self.least.rating_ma or accepted.rating_ma < self.least.rating_ma)
            least = accepted if falls else self.least
        known = CableMonitor(accepted, seen, since_ns, least)
        return self if known == self else known

    def faults(self, now_ns: int, pilot: PilotMonitor) -> frozenset[Fault]:
        """Return what is wrong with the cable, given when the vehicle was connected."""
        if self.accepted is Cable.INVALID:
            return frozenset((Fault.PROXIMITY_INVALID,))
        if self.accepted is Cable.NONE and pilot.connected and now_ns - pilot.since_ns >= CABLE_EXPECTED_NS:
            return frozenset((Fault.CABLE_REMOVED,))
        return NO_FAULTS

    @property
    def rating_ma(self) -> Milliamps:
        """What the cable may carry, 0 without a valid one."""
        return self.accepted.rating_ma
