"""The slow buses: one thread each, which may hang without holding up a caller."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from evse_pi.api.status import DeviceStatus
from evse_pi.api.texts import english as words
from evse_pi.core.records import TemperatureSample
from hal.errors import HalError
from hal.units import MILLISECOND, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from boards.build_field import FieldHardware
    from hal.interfaces import MeterReading
    from hal.units import CentiCelsius

log = logging.getLogger(__name__)

METER = "meter"
NO_DOUBTS: Mapping[str, str] = MappingProxyType({})
METER_PERIOD_NS = SECOND
TEMPERATURE_PERIOD_NS = 2 * SECOND
LONGEST_BACKOFF_NS = 4 * SECOND  # three attempts fit into the 15 s after which a value is stale
HUNG_NS = 5 * SECOND


class Closable(Protocol):
    """A device that can be let go."""

    def close(self) -> None:
        """Let it go."""


Device = TypeVar("Device", bound=Closable)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Sample(Generic[Value]):
    """A value and when it was taken, ns of CLOCK_MONOTONIC."""

    value: Value
    at_ns: int


class Probe(Generic[Device, Value]):
    """One device that is read again and again, and opened again after each failure.

    Its bus thread writes, everybody reads: `newest`, `trouble` and `started_ns` are each replaced as a whole.
    """

    def __init__(
        self,
        name: str,
        bus: str,
        open_device: Callable[[], Device],
        read: Callable[[Device], Value],
        period_ns: int,
    ) -> None:
        self.name = name
        self.bus = bus
        self.newest: Sample[Value] | None = None
        self.trouble: str | None = None
        self.started_ns: int | None = None
        self.errors = 0
        self.due_ns = 0
        self._open = open_device
        self._read = read
        self._period_ns = period_ns
        self._device: Device | None = None
        self._failures = 0

    def poll(self, clock: Callable[[], int]) -> bool:
        """Read once; return whether a new value is there."""
        started_ns = self.started_ns = clock()
        try:
            if self._device is None:
                self._device = self._open()
            sample = Sample(self._read(self._device), clock())
        except HalError as error:
            self._fail(str(error))
        except Exception as error:  # a mistake of one driver must not silence the other devices of its bus
            log.exception("driver failed device=%s bus=%s", self.name, self.bus)
            self._fail(f"{type(error).__name__}: {error}")
        else:
            self._succeed(sample)
        self.started_ns = None
        longest_ns = max(LONGEST_BACKOFF_NS, self._period_ns)
        self.due_ns = started_ns + min(self._period_ns << min(self._failures, 8), longest_ns)
        return self._failures == 0 and self.newest is not None and self.newest.value is not None

    def state(self, now_ns: int) -> DeviceStatus:
        """Return what the status shows of the device."""
        trouble, started_ns, newest = self.trouble, self.started_ns, self.newest
        if started_ns is not None and now_ns - started_ns > HUNG_NS:
            trouble = words.DEVICE_SILENT.format(seconds=(now_ns - started_ns) // SECOND)
        age_ms = None if newest is None else (now_ns - newest.at_ns) // MILLISECOND
        return DeviceStatus(self.name, self.bus, trouble, self.errors, age_ms)

    def close(self) -> None:
        """Let the device go; called by its bus thread only."""
        device, self._device = self._device, None
        if device is not None:
            with suppress(HalError):
                device.close()

    def _succeed(self, sample: Sample[Value]) -> None:
        if self._failures:
            log.info("device answers again device=%s bus=%s failures=%d", self.name, self.bus, self._failures)
        self._failures = 0
        self.trouble = None
        self.newest = sample

    def _fail(self, trouble: str) -> None:
        if not self._failures:
            log.warning("device failed device=%s bus=%s error=%s", self.name, self.bus, trouble)
        self._failures += 1
        self.errors += 1
        self.trouble = trouble
        self.close()


class BusThread(threading.Thread):
    """Polls the devices of one bus, each in its own time. A daemon thread: it may hang when the process ends."""

    def __init__(
        self, bus: str, probes: list[Probe[Any, Any]], clock: Callable[[], int], wake: Callable[[], None]
    ) -> None:
        super().__init__(name=f"bus {bus}", daemon=True)
        self._probes = probes
        self._clock = clock
        self._wake = wake
        self._ending = threading.Event()

    def run(self) -> None:
        """Poll until `end` is called."""
        while not self._ending.is_set():
            now_ns = self._clock()
            for probe in self._probes:
                if probe.due_ns <= now_ns and probe.poll(self._clock):
                    self._wake()
            due_ns = min(probe.due_ns for probe in self._probes)
            self._ending.wait(max(due_ns - self._clock(), MILLISECOND) / SECOND)
        for probe in self._probes:
            probe.close()

    def end(self) -> None:
        """Ask the thread to let its devices go and end, without waiting for it."""
        self._ending.set()


class FieldDevices:
    """All slow devices of a board, polled by one thread per bus.

    `wake` is called by a bus thread after each new value.
    """

    def __init__(
        self,
        hardware: FieldHardware,
        clock: Callable[[], int],
        *,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._meter: Probe[Any, MeterReading] | None = None
        if hardware.meter is not None:
            slot = hardware.meter
            self._meter = Probe(METER, slot.bus, slot.open, lambda meter: meter.read(), METER_PERIOD_NS)
        self._thermometers: list[Probe[Any, CentiCelsius]] = [
            Probe(
                f"{slot.place} thermometer",
                slot.bus,
                slot.open,
                lambda chip: chip.read_centi_celsius(),
                TEMPERATURE_PERIOD_NS,
            )
            for slot in hardware.thermometers
        ]
        probes: list[Probe[Any, Any]] = [*([self._meter] if self._meter else []), *self._thermometers]
        self._probes = probes
        buses = {probe.bus: [other for other in probes if other.bus == probe.bus] for probe in probes}
        self._threads = [BusThread(bus, shared, clock, wake) for bus, shared in buses.items()]

    def start(self) -> None:
        """Begin polling."""
        for thread in self._threads:
            thread.start()

    def end(self, patience_s: float = 1.0) -> None:
        """Stop polling; a thread that hangs in its driver is left behind."""
        for thread in self._threads:
            thread.end()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience_s)

    @property
    def meter(self) -> MeterReading | None:
        """The newest complete reading of the meter, however old."""
        sample = self._meter.newest if self._meter else None
        return sample.value if sample else None

    def temperatures(self) -> dict[str, TemperatureSample]:
        """Return the newest reading of each thermometer by its name, and nothing while one has never been read.

        Hazard: H-12 a silent sensor is not a cool one.
        """
        read = [(probe.name, probe.newest) for probe in self._thermometers]
        known = {name: TemperatureSample(newest.at_ns, newest.value) for name, newest in read if newest is not None}
        return known if len(known) == len(read) else {}

    @property
    def complete(self) -> bool:
        """Whether every sensor has been read."""
        return all(probe.newest is not None for probe in self._probes)

    def state(self, now_ns: int, doubts: Mapping[str, str] = NO_DOUBTS) -> tuple[DeviceStatus, ...]:
        """Return what the status shows of every device; `doubts` speak against what one answers, by its name."""
        told = (probe.state(now_ns) for probe in self._probes)
        return tuple(each._replace(trouble=each.trouble or doubts.get(each.device)) for each in told)
