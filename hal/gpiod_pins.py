"""gpiozero's pins over gpiod, the kernel maintainers' own binding of the GPIO character device.

Imported where lines are opened, since it needs both libraries. A line is claimed without touching it, and direction,
level and pull then come in one request: an output never shows another level than its first one. Its first use is
`GpiodFactory`, which takes the place of gpiozero's own factories (docs/adr/0012-gpio-lines-through-gpiod.md).
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero.exc import PinFixedPull, PinInvalidFunction, PinInvalidPull, PinPWMFixedValue, PinSetInput
from gpiozero.pins.local import LocalPiFactory, LocalPiPin

from hal.errors import DeviceNotFound
from hal.line_release import DEVICES, HEADER_LABELS, chips

if TYPE_CHECKING:
    from collections.abc import Callable

CONSUMER = "evse-pi"
VENDOR_ERRORS = (gpiod.ChipClosedError, gpiod.RequestReleasedError)
"""What gpiod raises beside OSError."""
ENDS_WITHIN_S = 1.0
_PULLS = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN, "floating": Bias.DISABLED}
_EDGES = {"both": Edge.BOTH, "rising": Edge.RISING, "falling": Edge.FALLING}


class GpiodFactory(LocalPiFactory):  # type: ignore[misc]  # gpiozero has no types
    """The pins of the header, or of /dev/gpiochip`chip` where a number is named.

    Raises: DeviceNotFound where no chip is the header's, OSError where it cannot be opened.
    """

    def __init__(self, chip: int | None = None) -> None:
        super().__init__()
        self.pin_class = GpiodPin
        self.chip = _header_chip() if chip is None else gpiod.Chip(DEVICES.format(chip))

    def close(self) -> None:
        """Make every line an input without pull, and close the chip."""
        super().close()
        self.chip.close()


def _header_chip() -> gpiod.Chip:
    labels = []
    for path in chips():
        chip = gpiod.Chip(path)
        label = chip.get_info().label
        if label in HEADER_LABELS:
            return chip
        chip.close()
        labels.append(f"{path} is {label}")
    raise DeviceNotFound(f"gpiochip: none is a Raspberry Pi's header; {', '.join(labels) or 'there is none at all'}")


class GpiodPin(LocalPiPin):  # type: ignore[misc]
    """One line. It is claimed at its first use and freed, as an input without pull, when its device is closed."""

    def __init__(self, factory: GpiodFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._request: gpiod.LineRequest | None = None
        self._settings = gpiod.LineSettings()
        self._edges = "both"
        self._watch: _Watch | None = None
        self._wave: _Wave | None = None

    def close(self) -> None:
        """Free the line as an input without pull. Some kernels go on driving an output that was merely freed."""
        self.frequency = None
        self.when_changed = None
        if self._request is not None:
            try:
                self._configure(direction=Direction.INPUT, bias=Bias.DISABLED)
            finally:
                self._request.release()
                self._request = None

    def output_with_state(self, state: bool) -> None:
        """Make the line an output that shows `state` from its first moment on."""
        self._configure(direction=Direction.OUTPUT, output_value=_value(state))

    def input_with_pull(self, pull: str) -> None:
        """Make the line an input with that pull at once."""
        self._configure(direction=Direction.INPUT, bias=_bias(pull))

    # The line.

    def _line(self) -> gpiod.LineRequest:
        if self._request is None:
            self._settings = gpiod.LineSettings(direction=Direction.AS_IS)
            self._request = self._factory.chip.request_lines({self._number: self._settings}, CONSUMER)
        return self._request

    def _configure(self, **settings: Any) -> None:
        line, wanted = self._line(), gpiod.LineSettings(**settings)
        line.reconfigure_lines({self._number: wanted})
        self._settings = wanted

    def _get_function(self) -> str:
        direction = self._settings.direction
        if direction is Direction.AS_IS:
            direction = self._factory.chip.get_line_info(self._number).direction
        return "output" if direction is Direction.OUTPUT else "input"

    def _set_function(self, value: str) -> None:
        directions = {"input": Direction.INPUT, "output": Direction.OUTPUT}
        if value not in directions:
            raise PinInvalidFunction(f'invalid function "{value}" for pin {self!r}')
        self._configure(direction=directions[value])

    def _get_state(self) -> float | bool:
        if self._wave is not None:
            return self._wave.share
        if self._watch is not None:
            self._watch.check()
        return self._line().get_value(self._number) is Value.ACTIVE

    def _set_state(self, value: float) -> None:
        if self._settings.direction is not Direction.OUTPUT:
            raise PinSetInput(f"cannot set state of pin {self!r}")
        if self._wave is not None:
            self._wave.share = float(value)
        else:
            self._drive(bool(value))

    def _drive(self, state: bool) -> None:
        self._line().set_value(self._number, _value(state))

    def _get_pull(self) -> str:
        named = {bias: pull for pull, bias in _PULLS.items()}
        return named.get(self._settings.bias, "")  # what was not set here is not known

    def _set_pull(self, value: str) -> None:
        if self._settings.direction is not Direction.INPUT:
            raise PinFixedPull(f"cannot set pull on non-input pin {self!r}")
        if self.info.pull not in (value, ""):
            raise PinFixedPull(f"{self!r} has a physical pull-{self.info.pull} resistor")
        self.input_with_pull(value)

    # Oscillation.

    def _get_frequency(self) -> float | None:
        return None if self._wave is None else self._wave.frequency_hz

    def _set_frequency(self, value: float | None) -> None:
        if self._wave is not None:
            self._wave.end()
            self._wave = None
        if value:
            if self._settings.direction is not Direction.OUTPUT:
                raise PinPWMFixedValue(f"cannot start PWM on pin {self!r}")
            self._wave = _Wave(value, self._drive)

    # Edges.

    def _get_bounce(self) -> float | None:
        return self._settings.debounce_period.total_seconds() or None

    def _set_bounce(self, value: float | None) -> None:
        if value:
            self._settings.debounce_period = timedelta(seconds=value)

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        watcher, self.when_changed = self.when_changed, None
        self._edges = value
        self.when_changed = watcher

    def _enable_event_detect(self) -> None:
        self._detect(_EDGES[self._edges])
        self._watch = _Watch(self._line(), self._call_when_changed)

    def _disable_event_detect(self) -> None:
        if self._watch is not None:
            self._watch.end()
            self._watch = None
        self._detect(Edge.NONE)

    def _detect(self, edges: Edge) -> None:
        settings = self._settings
        self._configure(
            direction=Direction.INPUT,
            bias=settings.bias,
            edge_detection=edges,
            debounce_period=settings.debounce_period,
        )


class _Watch:
    """A thread that tells of each edge; `end` returns when it polls no more, since the kernel frees no polled line."""

    def __init__(self, line: gpiod.LineRequest, tell: Callable[[float, bool], None]) -> None:
        self._line = line
        self._tell = tell
        self._failure: Exception | None = None
        self._notifier = os.eventfd(0, os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="gpio edges", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Make sure that the next edge will be seen. Raises: OSError: a level alone would hide an edge that was."""
        if not self._thread.is_alive():
            raise OSError(errno.ENODEV, f"edges are watched no more: {self._failure or 'their thread has ended'}")

    def _run(self) -> None:
        try:
            self._watch()
        except (OSError, *VENDOR_ERRORS) as error:  # the chip is gone: the kernel ends the poll, and the read fails
            self._failure = error

    def _watch(self) -> None:
        poll = select.poll()
        for descriptor in (self._line.fd, self._notifier):
            poll.register(descriptor, select.POLLIN)
        while self._notifier not in (ready := dict(poll.poll())):
            for event in self._line.read_edge_events():
                self._tell(event.timestamp_ns / 1e9, event.event_type is event.Type.RISING_EDGE)
            if ready[self._line.fd] & ~select.POLLIN:
                raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def end(self) -> None:
        os.eventfd_write(self._notifier, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join(ENDS_WITHIN_S)
        if not self._thread.is_alive():
            os.close(self._notifier)


class _Wave:
    """A thread that drives a square wave whose high time is `share` of the period; it rests while that is 0."""

    def __init__(self, frequency_hz: float, drive: Callable[[bool], None]) -> None:
        self.frequency_hz = frequency_hz
        self._drive = drive
        self._share = 0.0
        self._ended = False
        self._failure: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="gpio wave", daemon=True)
        self._thread.start()

    @property
    def share(self) -> float:
        return self._share

    @share.setter
    def share(self, share: float) -> None:
        """Raises: OSError where the thread could not drive the line any more."""
        with self._changed:
            if self._failure is not None:
                raise OSError(errno.ENODEV, f"the wave has ended: {self._failure}")
            self._share = share
            self._changed.notify()
            if not share:
                self._drive(False)

    def end(self) -> None:
        with self._changed:
            self._share, self._ended = 0.0, True
            self._changed.notify()
            self._drive(False)
        self._thread.join(ENDS_WITHIN_S)

    def _run(self) -> None:
        with self._changed:
            try:
                while not self._ended:
                    if 0 < self._share < 1:
                        self._oscillate()
                    else:
                        self._drive(self._share >= 1)
                        self._changed.wait()
            except (OSError, *VENDOR_ERRORS) as error:
                self._failure = error

    def _oscillate(self) -> None:
        """Drive the wave until it is changed, to instants that no delay moves."""
        edge_at, level = time.monotonic(), True
        while True:
            self._drive(level)
            edge_at += (self._share if level else 1 - self._share) / self.frequency_hz
            if self._changed.wait(max(edge_at - time.monotonic(), 0)):
                return
            level = not level


def _value(state: object) -> Value:
    return Value.ACTIVE if state else Value.INACTIVE


def _bias(pull: str) -> Bias:
    if pull not in _PULLS:
        raise PinInvalidPull(f'invalid pull "{pull}"')
    return _PULLS[pull]
