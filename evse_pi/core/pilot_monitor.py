"""What is known of the vehicle and its cable, window by window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evse_pi.core.cable_coding import Cable, cable_for
from evse_pi.core.duty_monitor import UNJUDGED, DutyMonitor
from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.pilot import Debounce, DiodeCheck, DiodeVerdict, classify, doubt
from evse_pi.core.pilot_supply import SupplyWatch, agrees, supplied
from evse_pi.core.states import PilotState
from evse_pi.core.vehicle_proof import VehicleProof
from hal.units import MILLISECOND, SECOND, Milliamps

if TYPE_CHECKING:
    from evse_pi.core.io_records import PilotOutput, PilotReading
    from hal.units import Millivolts, Ohms

UNSEEN_NS = 30 * MILLISECOND  # three windows without C: the 100 ms of sequence 8.1 do not wait for a better one
DOUBT_NS = 500 * MILLISECOND  # plugs bounce; only a contactor that is closed cannot wait
SHORT_NS = 200 * MILLISECOND
UNDECIDED_WINDOWS = 100
SLOW_WINDOWS = 50
"""A line that stands in no state for longer than so many windows creeps; what was not looked at tells nothing."""
GONE_NS = SECOND  # a plug that bounces ends no session
STATE_B_NS = 200 * MILLISECOND
"""For how long a vehicle must have shown B before its C counts. Source: docs/adr/0016."""
CABLE_FIRST_NS = SECOND
"""A cable that came this long before the vehicle did not come with it. Source: docs/adr/0016."""
CABLE_STEADY_NS = 200 * MILLISECOND
CABLE_EXPECTED_NS = SECOND  # proximity may touch later than the pilot

CONNECTED = (PilotState.B, PilotState.C, PilotState.D)
ASKING = (PilotState.C, PilotState.D)
_NOTHING_OF_A_VEHICLE = (PilotState.INVALID, PilotState.F)
_NOTHING_ACCEPTED, _NO_VERDICT, _ALL_WELL, _NO_PROOF = Debounce(), DiodeCheck(), SupplyWatch(), VehicleProof()


def _unseen(reading: PilotReading | None) -> Fault | None:
    return Fault.PILOT_ADC_FAILED if reading is None else Fault.PILOT_SUPPLY


@dataclass(frozen=True, slots=True)
class PilotMonitor:
    """What the vehicle shows: `state` since `since_ns`, last seen at `seen_ns`.

    While the generator itself holds −12 V nothing but a short can be seen of the vehicle, and the previous
    state is kept.
    `doubted` names what is wrong with the last window, None of a window to be believed; `unsure` counts the windows
    since the last one that was.
    """

    state: PilotState = PilotState.INVALID
    since_ns: int = 0
    seen_ns: int = 0
    debounce: Debounce = _NOTHING_ACCEPTED
    diode: DiodeCheck = _NO_VERDICT
    doubted: Fault | None = None
    unsure: int = 0
    supply: SupplyWatch = _ALL_WELL
    duty: DutyMonitor = UNJUDGED
    proof: VehicleProof = _NO_PROOF

    def advance(
        self,
        now_ns: int,
        reading: PilotReading | None,
        output: PilotOutput,
        supply_mv: tuple[Millivolts, Millivolts] | None = None,
        *,
        cable_in: bool = True,
    ) -> PilotMonitor:
        """Return what is known after one more window, taken while the generator did `output`.

        `supply_mv` is how far from 0 V the generator's rails must read, None on a board that does not see them.
        `cable_in`: a fixed cable, or one that has been in the socket for CABLE_FIRST_NS.
        Hazard: H-02, a window on rails that are not good shows nothing at all.
        """
        supply, duty, high_mv = self.supply, self.duty, None
        good = reading is None or supply_mv is None or supplied(reading, supply_mv)
        if reading is None or not good:
            doubted, seen = _unseen(reading), PilotState.INVALID
        else:
            doubted, high_mv = doubt(reading, output), reading.high_mv
            seen = classify(reading, output, self.debounce.state)
        diode = self.diode if reading is None else self.diode.accept(reading, output, seen)
        if supply_mv is not None and reading is not None:
            supply = self._watch_supply(now_ns, reading, output, seen, good=good)
        if reading is not None and doubted is None and seen in CONNECTED:
            duty = duty.advance(reading, output)
        if self.state is PilotState.A and now_ns - self.since_ns >= GONE_NS:
            supply, duty = supply.unplugged(), UNJUDGED
        debounce = self.debounce.accept(seen, high_mv)
        state = self.state if debounce.state in _NOTHING_OF_A_VEHICLE else debounce.state
        believed = doubted is None and seen is state
        proof = self._prove(now_ns, state, high_mv if believed else None, supply, cable_in=cable_in)
        if state is not self.state:
            return PilotMonitor(state, now_ns, now_ns, debounce, diode, doubted, 0, supply, duty, proof)
        since_ns, told = self.since_ns, believed or (doubted is None and seen is PilotState.F)
        seen_ns, unsure = (now_ns, 0) if told else (self.seen_ns, min(self.unsure + 1, SLOW_WINDOWS + 1))
        if doubted is not None and now_ns - seen_ns >= DOUBT_NS and state is not PilotState.INVALID:
            state, since_ns, debounce = PilotState.INVALID, now_ns, _NOTHING_ACCEPTED
        return PilotMonitor(state, since_ns, seen_ns, debounce, diode, doubted, unsure, supply, duty, proof)

    def _watch_supply(
        self, now_ns: int, reading: PilotReading, output: PilotOutput, seen: PilotState, *, good: bool
    ) -> SupplyWatch:
        agreeing = agrees(reading, output, seen)
        supply = self.supply.advance(now_ns, good=good, agreeing=agreeing, connected=self.connected)
        return supply.compare_a(agreeing=agreeing) if seen is PilotState.A else supply

    def _prove(
        self, now_ns: int, state: PilotState, high_mv: Millivolts | None, supply: SupplyWatch, *, cable_in: bool
    ) -> VehicleProof:
        """Return the proof after a window that showed `state` at `high_mv`, None of one that is not to be believed."""
        if state is PilotState.A:
            return self.proof.without_vehicle(high_mv, supply, cable_in=cable_in)
        if high_mv is None:
            return self.proof
        slow = self.state is not PilotState.INVALID and self.unsure > SLOW_WINDOWS
        lasts = state is self.state and now_ns - self.since_ns >= STATE_B_NS
        return self.proof.advance(state, high_mv, slow=slow, lasts=lasts)

    def forgotten(self, now_ns: int) -> PilotMonitor:
        """Return the monitor when nothing could be seen for seconds: the vehicle that is there now may be another.

        What was judged of the generator stays: it is the same one, whichever vehicle is there.
        Hazard: H-05, a vehicle that came under −12 V would get power without a test of the residual current device.
        """
        proof = VehicleProof(crept=self.proof.crept)
        return PilotMonitor(since_ns=now_ns, seen_ns=now_ns, supply=self.supply, duty=self.duty, proof=proof)

    def questioned(self) -> PilotMonitor:
        """Return the monitor after something spoke against the vehicle: only after B does a request count again."""
        return replace(self, proof=replace(self.proof, showed_b=False, at_once=False))

    @property
    def asked_just_now(self) -> bool:
        """The last window is to be believed and asks for power."""
        return self.state in ASKING and self.doubted is None and self.unsure == 0

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
    `came_ns` is when the accepted cable came into an empty socket.
    """

    accepted: Cable = Cable.NONE
    candidate: Cable = Cable.NONE
    since_ns: int = 0
    least: Cable = Cable.NONE
    came_ns: int = 0

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
        came = self.accepted is Cable.NONE and accepted is not Cable.NONE
        known = CableMonitor(accepted, seen, since_ns, least, since_ns if came else self.came_ns)
        return self if known == self else known

    def in_place(self, now_ns: int) -> bool:
        """Return whether a cable has been in the socket for CABLE_FIRST_NS."""
        return self.accepted is not Cable.NONE and now_ns - self.came_ns >= CABLE_FIRST_NS

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
