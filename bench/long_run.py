"""The whole tick loop for hours of virtual time: random vehicles, offers and a hostile board, added up over runs.

Usage: python -m bench.long_run [--minutes N] [--seed N] [--state FILE] [--rate PER_HOUR]
An hour takes about 90 s of a core. Each run goes on with the next seed and adds to the state file, which is no part of
the repository. Counted are openings under load that nothing called for, contacts that close with no vehicle that asks
or on a fault, faults that were named though no part had failed (false), and parts that failed and were not named within
30 s (missed); of each the figure for 1,000 h with its 95 % upper bound (Poisson).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.pilot_windows import upper
from boards.loader import load_board
from evse_pi.core.faults import Fault
from evse_pi.core.states import EvseState
from evse_pi.installation.files import SIMULATED_INSTALLATION
from evse_pi.sim.circuit import CORNERS
from evse_pi.sim.harness.virtual_box import VirtualBox, VirtualBoxSettings

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 1_000_000
S = 1_000 * MS
HOUR = 3_600 * S
STATE = Path("~/.cache/evse-pi/long_run.json").expanduser()
COUNTED = ("closings", "openings", "sessions", "failures", "uncalled", "wrong_close", "false", "missed")
TOLD_WITHIN_NS = 30 * S

BREAKS: dict[str, tuple[dict[str, Any], frozenset[Fault]]] = {
    "supply_pilot": ({"positive_mv": 11_000}, frozenset({Fault.PILOT_SUPPLY})),
    "drift_reference": ({"ppm": 1_060_000}, frozenset({Fault.PILOT_SUPPLY})),
    "hang_multiplexer": ({"source": "pilot"}, frozenset({Fault.PILOT_SUPPLY, Fault.CONTACTOR_CHANNEL})),
    "kill_pwm_stage": ({"stuck_duty_ppm": 0}, frozenset({Fault.PILOT_GENERATOR})),
    "break_gate": ({"how": "shorted"}, frozenset({Fault.CONTACTOR_CHANNEL})),
    "supply_coil": ({"mv": 0}, frozenset({Fault.SUPPLY_24V})),
    "trip_rcd": ({}, frozenset({Fault.RCD_TRIPPED})),
    "press_stop": ({}, frozenset({Fault.EMERGENCY_STOP})),
    "stick_weld_output": ({"closed": True}, frozenset({Fault.WELD_OUTPUT_FAILED})),
}
"""What fails while nothing is plugged in, and what must name it. Source: docs/boards/reference_fmea.md."""


class Run:
    """One seed: a box and its world, until the processor time is used up."""

    def __init__(self, seed: int, failures_an_hour: float) -> None:
        self.rng = random.Random(seed)
        self.share = failures_an_hour
        self.counted = dict.fromkeys(COUNTED, 0)
        self.notes: list[str] = []
        self.broken = False
        self.calling = 0
        settings = VirtualBoxSettings(load_board("reference"), SIMULATED_INSTALLATION, seed=seed, lateness=self.late)
        self.box = VirtualBox(settings)
        self.was_closed = False
        self.known: frozenset[Fault] = frozenset()
        self.box.watchers.append(self.look)

    def late(self, rng: random.Random) -> int:
        """Most ticks are on time, one in a hundred is up to 5 ms late, one in ten thousand up to 20."""
        kind = rng.randrange(10_000)
        return rng.randrange(20 * MS) if kind == 0 else rng.randrange(5 * MS) if kind < 100 else 0

    def look(self) -> None:
        """Count what this tick did."""
        box, closed = self.box, self.box.energised
        faults = box.faults
        if closed and not self.was_closed:
            self.counted["closings"] += 1
            if self.broken or faults or box.plant.vehicle.s2 == "open":
                self.note("wrong_close")
        if self.was_closed and not closed:
            self.counted["openings"] += 1
            if not self.calling and box.plant.vehicle.s2 != "open":
                self.note("uncalled")
        fresh = faults - self.known
        if fresh and not self.broken and not self.calling:
            self.note("false", ", ".join(each.name for each in fresh))
        self.was_closed, self.known = closed, faults

    def note(self, what: str, more: str = "") -> None:
        self.counted[what] += 1
        self.notes.append(f"{what} at {self.box.clock.now_ns / S:.2f} s: {more or self.box.describe()}")

    def wait(self, least_s: float, most_s: float) -> None:
        self.box.wait(round(self.rng.uniform(least_s, most_s) * S))

    def hostile(self) -> None:
        """Draw the circuit within what is good, and noise on it."""
        rng, box = self.rng, self.box
        car = rng.choice([CORNERS["c_low"], CORNERS["c_nominal"], CORNERS["c_high"]])
        box.do("fit_resistors", b_ohm=car.b_ohm, c_ohm=car.c_ohm)
        box.do(
            "supply_pilot",
            positive_mv=rng.randrange(11_640, 12_361),
            negative_mv=-rng.randrange(11_640, 12_361),
            source_ohm=rng.randrange(979, 1_012),
        )
        box.do("disturb_pilot", noise_v=rng.uniform(0, 0.1), ripple_v=rng.uniform(0, 0.05))

    def session(self) -> None:
        """One vehicle from plug to unplug, with stops and other offers between."""
        rng, box = self.rng, self.box
        self.hostile()
        box.node.permit(box.clock.now_ns, offered_ma=rng.choice((6_000, 8_000, 16_000, 32_000)))
        box.do("draw", ma=rng.choice((6_000, 16_000, 32_000)))
        box.do("plug_in", cable_ma=32_000)
        self.counted["sessions"] += 1
        box.wait_for_state(EvseState.B2, 20 * S)
        for _ in range(rng.randrange(1, 4)):
            self.wait(1, 20)
            box.do("close_s2")
            self.wait(15, 200)
            if rng.random() < 0.3:
                box.node.permit(box.clock.now_ns, offered_ma=rng.choice((6_000, 13_000, 32_000)))
                self.wait(10, 60)
            box.do("open_s2")
            self.wait(1, 30)
        self.calling += 1
        box.do("unplug")
        self.wait(2, 5)
        self.calling -= 1
        self.wait(10, 100)

    def failure(self) -> None:
        """One part fails while nothing is plugged in; it must be named, and mended it must be forgotten."""
        box, (verb, (arguments, names)) = self.box, self.rng.choice(list(BREAKS.items()))
        self.counted["failures"] += 1
        self.broken = True
        box.do(verb, **arguments)
        end_ns = box.clock.now_ns + TOLD_WITHIN_NS
        while names.isdisjoint(box.faults) and box.clock.now_ns < end_ns:
            box.wait(10 * MS)
        if names.isdisjoint(box.faults):
            self.note("missed", verb)

    def go(self, until: Callable[[], bool]) -> None:
        """Play until `until`; after a failure comes a new box."""
        self.box.wait_for_state(EvseState.A, 8 * S)
        self.wait(12, 13)
        while not until() and not self.broken:
            self.session()
            if self.rng.random() < self.share * 300 / 3_600:
                self.failure()


def add(state: dict[str, Any], run: Run, seed: int) -> None:
    state["hours"] += run.box.clock.now_ns / HOUR
    state["seeds"] = max(state["seeds"], seed)
    for name, count in run.counted.items():
        state[name] += count
    state["notes"] = (state["notes"] + [f"seed {seed}: {note}" for note in run.notes])[-200:]


def report(state: dict[str, Any]) -> str:
    hours = state["hours"]
    lines = [
        f"{hours:.2f} h of ticks, seeds 1 to {state['seeds']}: {state['sessions']} sessions, "
        f"{state['closings']} closings, {state['failures']} failed parts",
    ]
    rows = (
        ("openings under load that nothing called for", "uncalled"),
        ("closings that should not have been", "wrong_close"),
        ("false faults", "false"),
    )
    for title, name in rows:
        bound = upper(state[name], 10**12) * 10**12 / hours * 1_000
        lines.append(f"{title}: {state[name]}, {state[name] / hours * 1_000:.1f} in 1,000 h, below {bound:.0f} (95 %)")
    failures = max(1, state["failures"])
    share = upper(state["missed"], failures)
    lines.append(f"missed: {state['missed']} of {state['failures']} failed parts, below {100 * share:.1f} % (95 %)")
    return "\n".join(lines + state["notes"][-10:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="of the processor's time")
    parser.add_argument("--seed", type=int, default=0, help="the first; without it the one after the last run's")
    parser.add_argument("--state", type=Path, default=STATE)
    parser.add_argument("--rate", type=float, default=6.0, help="failures an hour")
    options = parser.parse_args()
    state: dict[str, Any] = {"hours": 0.0, "seeds": 0, "notes": [], **dict.fromkeys(COUNTED, 0)}
    if options.state.exists():
        state.update(json.loads(options.state.read_text()))
    end_s = time.process_time() + 60 * options.minutes
    seed = options.seed or state["seeds"] + 1
    while time.process_time() < end_s:
        run = Run(seed, options.rate)
        run.go(lambda: time.process_time() >= end_s)
        add(state, run, seed)
        options.state.parent.mkdir(parents=True, exist_ok=True)
        options.state.write_text(json.dumps(state, indent=1))
        seed += 1
    print(report(state))
    return int(bool(state["uncalled"] or state["wrong_close"] or state["missed"]))


if __name__ == "__main__":
    raise SystemExit(main())
