"""The node's permission, which ends by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.core.faults import NO_FAULTS, Fault
from evse_pi.core.records import MAX_CURRENT_MA, Request
from hal.units import SECOND

if TYPE_CHECKING:
    from evse_pi.core.records import Demand, MeterSample, TemperatureSample

MAX_LEASE_NS = 15 * SECOND  # counted from receipt: no demand, however dated, permits longer
STALE_NS = 15 * SECOND
GOOD_READINGS = 3
"""In a row, before a sensor that fell silent is believed again: one that answers now and then is a broken one."""
AHEAD_NS = SECOND  # a sample may be younger than the tick that judges it


@dataclass(frozen=True, slots=True)
class SensorTrust:
    """How many fresh readings came in a row since the sensor was last silent, and when the newest was taken."""

    good: int = GOOD_READINGS
    at_ns: int | None = None

    def advance(self, sample: MeterSample | TemperatureSample | None) -> SensorTrust:
        """Return the trust after a tick; `sample` is None while the sensor is silent. Before its first it lost none."""
        if sample is None:
            return self if self.at_ns is None or not self.good else SensorTrust(0, self.at_ns)
        if sample.at_ns == self.at_ns:
            return self
        return SensorTrust(min(self.good + 1, GOOD_READINGS), sample.at_ns)

    @property
    def trusted(self) -> bool:
        """Whether what it says may be acted on."""
        return self.good >= GOOD_READINGS


@dataclass(frozen=True, slots=True)
class Lease:
    """The newest demand, when it came, and since when the chain of valid demands is unbroken.

    Hazard: H-10 no controller is left that could stop charging.
    """

    demand: Demand | None = None
    received_ns: int = 0
    begun_ns: int = 0
    orders: Request = Request.NONE
    order_number: int | None = None

    def advance(self, now_ns: int, demand: Demand | None) -> Lease:
        """Return the lease after one tick that saw `demand`, the newest one ever received; None ends it.

        `orders` are the requests to carry out in this very tick. The first demand after a start only tells the number
        that requests continue from: an order given before a restart of this process is not carried out again.
        """
        if demand is None or (self.demand is not None and demand == self.demand):
            if demand is self.demand and not self.orders:
                return self
            return Lease(demand, self.received_ns, self.begun_ns, Request.NONE, self.order_number)
        begun_ns = self.begun_ns if self.valid(now_ns) else now_ns
        fresh = self.order_number is not None and demand.request_number != self.order_number
        orders = demand.request if fresh else Request.NONE
        return Lease(demand, now_ns, begun_ns, orders, demand.request_number)

    def valid(self, now_ns: int) -> bool:
        """Return whether the demand is in force now."""
        demand = self.demand
        return (
            demand is not None
            and now_ns < demand.valid_until_ns
            and now_ns - self.received_ns < MAX_LEASE_NS
            and 0 <= demand.offered_current_ma <= MAX_CURRENT_MA
        )

    def meter(self, now_ns: int) -> MeterSample | None:
        """Return the meter's sample if it is not older than 15 s."""
        sample = self.demand.meter if self.demand else None
        return sample if sample is not None and _fresh(sample.at_ns, now_ns) else None

    def temperature(self, now_ns: int) -> TemperatureSample | None:
        """Return the temperature if it is not older than 15 s."""
        sample = self.demand.temperature if self.demand else None
        return sample if sample is not None and _fresh(sample.at_ns, now_ns) else None

    def faults(self, now_ns: int, *, meter: bool, temperature: bool) -> frozenset[Fault]:
        """Return the sensors that have been silent for 15 s although demands arrive.

        `meter` and `temperature` say whether there is one whose readings may not be acted on.
        """
        if not self.valid(now_ns) or now_ns - self.begun_ns < STALE_NS:
            return NO_FAULTS
        found = NO_FAULTS
        if meter:
            found |= {Fault.METER_STALE}
        if temperature:
            found |= {Fault.TEMPERATURE_STALE}
        return found


def _fresh(at_ns: int, now_ns: int) -> bool:
    return -AHEAD_NS <= now_ns - at_ns < STALE_NS
