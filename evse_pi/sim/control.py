"""The simulator's control socket: JSON lines in, JSON lines out, for the command line, benches and tests."""

from __future__ import annotations

import errno
import json
import socket
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from evse_pi.api.protocol import answer_line, read_request, refusal_line
from evse_pi.api.refusal import Refusal
from evse_pi.sim.devices.gpio import KernelRelease  # noqa: TC001 - requests' annotations are read at run time
from evse_pi.sim.devices.shim_server import Trouble
from evse_pi.sim.meter_model import MeterFault  # noqa: TC001
from evse_pi.sim.plant_settings import invoke

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.sim.signals import SignalChange
    from evse_pi.sim.simulator import PlantSimulator

MS = 1_000_000
LONGEST_LINE = 1 << 16
SEND_BUFFER = 1 << 22  # a subscriber that is this far behind is dropped


@dataclass(frozen=True, slots=True)
class Awaited:
    """A change that a client waits for since `acted_ns`."""

    signal: str
    value: int
    acted_ns: int


class ControlSocket:
    """Accepts clients and passes changes on to them."""

    def __init__(self, path: Path, simulator: PlantSimulator) -> None:
        self._simulator = simulator
        self._clients: list[ControlClient] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listener.bind(str(path))
        self._listener.listen(16)
        simulator.server.watch(self._listener.fileno(), self._accept)
        simulator.plant.history.listeners.append(self._changed)

    def _accept(self, now_ns: int) -> None:  # noqa: ARG002 - the signature of every handler
        self._clients.append(ControlClient(self._listener.accept()[0], self._simulator, self._clients.remove))

    def _changed(self, change: SignalChange) -> None:
        for client in self._clients[:]:
            client.changed(change)


class ControlClient:
    """One client, which speaks the protocol of `evse_pi.api.protocol` in the loop of the emulated devices."""

    def __init__(
        self, connection: socket.socket, simulator: PlantSimulator, gone: Callable[[ControlClient], None]
    ) -> None:
        self._socket = connection
        self._simulator = simulator
        self._gone = gone
        self._received = b""
        self._subscribed: frozenset[str] | None = None  # none of the signals; an empty set is all of them
        self._awaited: Awaited | None = None
        requests: list[Callable[..., dict[str, Any] | None]] = [
            self.verb, self.verbs, self.state, self.history, self.subscribe, self.wait, self.measure, self.device,
            self.meter, self.i2c, self.release, self.lines, self.apply, self.statistics, self.stop,
        ]  # fmt: skip
        self._requests = {request.__name__: request for request in requests}
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        simulator.server.watch(connection.fileno(), self._readable)

    # Requests. One that returns None answers later.

    def verb(self, verb: str, args: dict[str, object] | None = None, at_ns: int | None = None) -> dict[str, Any]:
        """Let a verb happen to car or plant, now or at an instant of CLOCK_MONOTONIC.

        A scheduled verb whose arguments are refused then is told as {"refused": why}.
        """
        plant = self._simulator.plant
        if at_ns is None:
            now_ns = self._simulator.server.clock()
            plant.apply(verb, args or {}, now_ns)
            return {"acted_ns": now_ns}
        plant.check(verb)
        plant.agenda.at(f"script.{at_ns}.{verb}", at_ns, partial(self._apply_late, verb, args or {}, at_ns))
        return {"acted_ns": at_ns}

    def verbs(self) -> dict[str, Any]:
        """Return what can be made to happen, each with the names of its arguments, and what those may be."""
        plant = self._simulator.plant
        return {"verbs": plant.verbs(), "types": plant.argument_types()}

    def state(self) -> dict[str, Any]:
        """Return the plant's present state."""
        return {"state": self._simulator.plant.state()}

    def history(self, since_ns: int = 0, signals: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the changes after an instant as [at_ns, signal, value], of some signals or all."""
        changes = self._simulator.plant.history.changes
        chosen = [each for each in changes if each.at_ns > since_ns and (not signals or each.signal in signals)]
        return {"changes": [[*each] for each in chosen]}

    def subscribe(self, signals: tuple[str, ...] = ()) -> dict[str, Any]:
        """Send every change of some signals, or all, as {"change": [at_ns, signal, value]} from now on."""
        self._subscribed = frozenset(signals)
        return {}

    def wait(self, signal: str, value: int, timeout_ms: int = 1000) -> dict[str, Any] | None:
        """Answer when a signal has a value; `changed_ns` is null when that did not happen in time."""
        now_ns = self._simulator.server.clock()
        if self._simulator.plant.history.values.get(signal) == value:
            return {"acted_ns": now_ns, "changed_ns": now_ns, "latency_ns": 0}
        self._await(Awaited(signal, value, now_ns), timeout_ms)
        return None

    def measure(
        self, verb: str, signal: str, value: int, args: dict[str, object] | None = None, timeout_ms: int = 1000
    ) -> None:
        """Let a verb happen and answer how long after it a signal got a value."""
        if self._simulator.plant.history.values.get(signal) == value:
            raise ValueError(f"measure.value {value}: {signal} has it before {verb}")
        self._await(Awaited(signal, value, self._simulator.server.clock()), timeout_ms)
        try:
            self._simulator.plant.apply(verb, args or {}, self._simulator.server.clock())
        except ValueError:
            self._forget()
            raise

    def device(self, device: str, error: str | None = None, hang: bool = False) -> dict[str, Any]:
        """Let the calls on a device fail with an errno name, or hang; without either they work again."""
        if error is not None and not isinstance(getattr(errno, error, None), int):
            raise ValueError(f"device.error {error!r}: allowed is the name of an errno")
        code = getattr(errno, error) if error is not None else None
        self._simulator.server.cause(device, Trouble(code) if hang or code is not None else None)
        return {}

    def meter(self, fault: MeterFault | None = None) -> dict[str, Any]:
        """Spoil the meter's line in one way, as the verb `break_meter_line` does; without one it is right again."""
        if self._simulator.meter is None:
            raise ValueError("meter: this board has none")
        self._simulator.plant.energy_meter.line_fault = fault
        return {}

    def i2c(self, address: int, silent: bool = True) -> dict[str, Any]:
        """Take a chip from the bus, or put it back."""
        if address not in self._simulator.i2c.chips:
            known = ", ".join(hex(each) for each in self._simulator.i2c.chips)
            raise ValueError(f"i2c.address {address:#x}: allowed are {known}")
        (self._simulator.i2c.silent.add if silent else self._simulator.i2c.silent.discard)(address)
        return {}

    def release(self, mode: KernelRelease) -> dict[str, Any]:
        """Change what the kernel does with the outputs of a dead process."""
        self._simulator.set_release(mode)
        return {}

    def lines(self) -> dict[str, Any]:
        """Return the GPIO lines that are wired or held."""
        return {
            "lines": [
                {
                    "line": line.number,
                    "wired": line.wired,
                    "level": int(line.level),
                    "output": bool(line.flags & 8),
                    "held": line.holder is not None,
                    "consumer": line.consumer,
                }
                for line in self._simulator.gpio.lines
                if line.wired or line.holder is not None
            ]
        }

    def apply(self, line: int, level: bool | None = None) -> dict[str, Any]:
        """Apply a level from outside to a GPIO line, or take it away."""
        gpio = self._simulator.gpio
        if not 0 <= line < len(gpio.lines):
            raise ValueError(f"apply.line {line}: allowed is 0 to {len(gpio.lines) - 1}")
        gpio.apply_outside(line, level, self._simulator.server.clock())
        return {}

    def statistics(self) -> dict[str, Any]:
        """Return how much the devices were used."""
        server = self._simulator.server
        conversions = sum(getattr(device, "conversions", 0) for device in server.devices)
        return {"requests": server.requests, "conversions": conversions}

    def stop(self) -> dict[str, Any]:
        """End the simulator."""
        self._simulator.stop()
        return {}

    # Transport.

    def changed(self, change: SignalChange) -> None:
        """Pass a change on to a subscriber and to one who waits for it."""
        if self._subscribed is not None and (not self._subscribed or change.signal in self._subscribed):
            self._tell(change=change)
        awaited = self._awaited
        if awaited is not None and change.signal == awaited.signal and change.value == awaited.value:
            self._forget()
            self._arrived(awaited, change.at_ns)

    def _apply_late(self, verb: str, args: dict[str, object], at_ns: int) -> None:
        try:
            self._simulator.plant.apply(verb, args, at_ns)
        except ValueError as error:
            self._tell(refused=str(error))

    def _await(self, awaited: Awaited, timeout_ms: int) -> None:
        self._awaited = awaited
        agenda = self._simulator.server.agenda
        agenda.at(f"await.{id(self)}", awaited.acted_ns + timeout_ms * MS, self._expire)

    def _forget(self) -> None:
        self._awaited = None
        self._simulator.server.agenda.cancel(f"await.{id(self)}")

    def _expire(self) -> None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            self._arrived(awaited, None)

    def _arrived(self, awaited: Awaited, changed_ns: int | None) -> None:
        latency_ns = None if changed_ns is None else changed_ns - awaited.acted_ns
        self._send(answer_line({"acted_ns": awaited.acted_ns, "changed_ns": changed_ns, "latency_ns": latency_ns}))

    def _readable(self, now_ns: int) -> None:  # noqa: ARG002 - the signature of every handler
        try:
            data = self._socket.recv(LONGEST_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._received += data
        if not data or len(self._received) > LONGEST_LINE:
            self._close()
            return
        while b"\n" in self._received and self._socket.fileno() >= 0:
            line, self._received = self._received.split(b"\n", 1)
            self._serve(line)

    def _serve(self, line: bytes) -> None:
        try:
            name, fields = read_request(line)
            if name not in self._requests:
                known = ", ".join(sorted(self._requests))
                raise Refusal(f"command {name!r}: allowed are {known}")  # noqa: TRY301 (told as the others)
            answer = invoke(self._requests[name], fields, name)
        except Refusal as refusal:
            self._send(refusal_line(refusal))
        except ValueError as error:
            self._send(refusal_line(Refusal(str(error))))
        else:
            if answer is not None:
                self._send(answer_line(answer))

    def _tell(self, **news: Any) -> None:
        """Send what is no answer."""
        self._send(json.dumps(news).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        try:
            self._socket.sendall(line)
        except OSError:
            self._close()

    def _close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._forget()
        self._simulator.server.unwatch(self._socket.fileno())
        self._socket.close()
        self._gone(self)
