"""A node process of one page: renews its demand every 2 s and remembers what the safety process said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evse_pi.core.records import Demand, MeterSample, Request, TemperatureSample, decode_snapshot
from evse_pi.core.states import LimitSource
from hal.units import SECOND, CentiCelsius, Milliamps, Millivolts

if TYPE_CHECKING:
    from evse_pi.core.records import Snapshot, Transition
    from evse_pi.sim.plant import Plant

RENEW_NS = 2 * SECOND
LEASE_NS = 15 * SECOND


class ScriptedNode:
    """Asks for what the script set, over a link in memory.

    `alive` renews demands, `measures` fills them with fresh samples, `identifying` asks for the blinking light, `deaf`
    loses every snapshot.
    """

    def __init__(self, plant: Plant) -> None:
        self.alive = True
        self.permitted = True
        self.offered_ma = 32_000
        self.lease_ns = LEASE_NS
        self.measures = True
        self.identifying = False
        self.deaf = False
        self.snapshots: list[Snapshot] = []
        self.transitions: list[Transition] = []
        self._plant = plant
        self._renew_ns = 0
        self._number = 0
        self._request = Request.NONE
        self._request_number = 0
        self._mail: Demand | None = None
        self._meter = self._read_meter(0)
        self._heat = self._read_temperature(0)

    def act(self, now_ns: int) -> None:
        """Renew the demand when it is time."""
        if self.alive and now_ns >= self._renew_ns:
            self.renew(now_ns)

    def permit(self, now_ns: int, *, permitted: bool = True, offered_ma: int = 32_000) -> None:
        """Change the wish, and say so at once."""
        self.permitted, self.offered_ma = permitted, offered_ma
        self.renew(now_ns)

    def order(self, now_ns: int, request: Request) -> None:
        """Order something once."""
        self._request, self._request_number = request, self._request_number + 1
        self.renew(now_ns)

    def renew(self, now_ns: int) -> None:
        """Send the demand."""
        self._renew_ns = now_ns + RENEW_NS
        self._number += 1
        if self.measures:
            self._meter, self._heat = self._read_meter(now_ns), self._read_temperature(now_ns)
        self._mail = Demand(
            number=self._number,
            permitted=self.permitted,
            offered_current_ma=Milliamps(self.offered_ma),
            limit_source=LimitSource.OWNER,
            valid_until_ns=now_ns + self.lease_ns,
            meter=self._meter,
            temperature=self._heat,
            request=self._request,
            request_number=self._request_number,
            identify=self.identifying,
        )

    # The safety process's end of the link.

    node_run = invitation = 1  # what is sent in memory arrives once and in order

    def receive(self) -> Demand | None:
        """Return the newest demand since the last call."""
        mail, self._mail = self._mail, None
        return mail

    def send(self, datagram: bytes) -> bool:
        """Take a snapshot, and from it the transitions not yet seen."""
        if self.deaf:
            return False
        snapshot = decode_snapshot(datagram)
        known = (
            self.transitions[-1].number
            if self.snapshots and snapshot.safety_run_id == self.snapshots[-1].safety_run_id
            else 0
        )
        self.transitions += [each for each in snapshot.transitions if each.number > known]
        self.snapshots.append(snapshot)
        return True

    def _read_meter(self, now_ns: int) -> MeterSample:
        registers = self._plant.meter()
        volts = tuple(Millivolts(round(1000 * each)) for each in registers.volts)
        amps = tuple(Milliamps(round(1000 * each)) for each in registers.amps)
        return MeterSample(now_ns, volts, amps)

    def _read_temperature(self, now_ns: int) -> TemperatureSample:
        return TemperatureSample(
            now_ns, CentiCelsius(round(100 * max(map(self._plant.thermometer, self._plant.temperatures))))
        )
