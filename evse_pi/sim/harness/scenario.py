"""A story of car, node and box with its deadlines, told in TOML or Python and played in virtual time.

A step either lets something happen (`car`, `node`), lets time pass (`wait_ms`) or waits until the box shows something
(`until`), which must come `within_ms` of the last thing that happened, and not before `after_ms`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evse_pi.core.faults import Fault
from evse_pi.core.records import Request
from evse_pi.sim.plant_settings import build
from hal.units import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.sim.harness.virtual_box import VirtualBox


class ScenarioError(AssertionError):
    """The box did not do what the story says."""


@dataclass(frozen=True, slots=True)
class Until:
    """What to wait for: everything that is given must hold at once.

    `energised` are the main contacts, `asked` is the line that drives them, `fault` must be active, `without` gone.
    """

    evse_state: str | None = None
    energised: bool | None = None
    asked: bool | None = None
    duty_ppm: int | None = None
    reason: str | None = None
    fault: str | None = None
    without: str | None = None
    locked: bool | None = None
    drawing: bool | None = None

    def __str__(self) -> str:
        """Return what was given, as in the file."""
        given = {name: getattr(self, name) for name in self.__slots__}
        return ", ".join(f"{name} = {value}" for name, value in given.items() if value is not None)


@dataclass(frozen=True, slots=True)
class ScenarioStep:
    """One sentence of the story."""

    car: str | None = None
    node: str | None = None
    args: dict[str, object] = field(default_factory=dict)
    wait_ms: int | None = None
    until: Until | None = None
    within_ms: int | None = None
    after_ms: int = 0

    def __post_init__(self) -> None:
        told = [name for name in ("car", "node", "wait_ms", "until") if getattr(self, name) is not None]
        if len(told) != 1:
            raise ValueError(f"step has {told or 'nothing'}; exactly one of car, node, wait_ms, until is allowed")
        if (self.until is None) is not (self.within_ms is None):
            raise ValueError("within_ms belongs to until, and until needs it")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole story; `trace` are the states that the box must have shown in the end, in order, without repeats."""

    title: str
    source: str
    steps: tuple[ScenarioStep, ...]
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """How long one `until` took, and how long it was allowed to."""

    step: ScenarioStep
    took_ms: float

    def __str__(self) -> str:
        """Return one line for a report."""
        return f"{self.step.until}: {self.took_ms:.0f} of {self.step.within_ms} ms"


def load(path: Path) -> Scenario:
    """Return the story in `path`. Raises: ValueError that names file, field and what is allowed."""
    try:
        return build(Scenario, tomllib.loads(path.read_text()), path.name)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path.name}: {error}") from error


def play(scenario: Scenario, world: VirtualBox) -> tuple[Measured, ...]:
    """Let the story happen and return how long everything took. Raises: ScenarioError at the first that is untrue."""
    verbs = _node_verbs(world)
    measured = []
    happened_ns = world.clock.now_ns
    for number, step in enumerate(scenario.steps, 1):
        if step.until is not None:
            measured.append(_await(scenario, number, step, world, happened_ns))
        elif step.wait_ms is not None:
            world.wait(step.wait_ms * MILLISECOND)
        else:
            happened_ns = world.clock.now_ns
            if step.car is not None:
                world.do(step.car, **step.args)
            else:
                verbs[step.node or ""](**step.args)
    if scenario.trace:
        _compare(scenario, world)
    return tuple(measured)


def _await(scenario: Scenario, number: int, step: ScenarioStep, world: VirtualBox, since_ns: int) -> Measured:
    where = f"{scenario.title}, step {number} {step.until}"
    deadline_ns = since_ns + (step.within_ms or 0) * MILLISECOND
    until = step.until or Until()
    try:
        world.wait_for(lambda: _holds(until, world), deadline_ns - world.clock.now_ns)
    except TimeoutError as error:
        raise ScenarioError(f"{where}: not within {step.within_ms} ms; {world.describe()}") from error
    took_ns = world.clock.now_ns - since_ns
    if took_ns < step.after_ms * MILLISECOND:
        raise ScenarioError(f"{where}: came after {took_ns / MILLISECOND} ms, before {step.after_ms} ms")
    return Measured(step, took_ns / MILLISECOND)


def _holds(until: Until, world: VirtualBox) -> bool:
    loop = world.loop
    if loop is None:
        return False
    state, plant = loop.state, world.plant
    shown = {
        "evse_state": state.status.evse_state.name,
        "energised": world.energised,
        "asked": world.asked_closed,
        "duty_ppm": plant.duty_ppm,
        "reason": state.status.reason.name,
        "locked": plant.lock.locked,
        "drawing": plant.vehicle.drawing,
    }
    wanted = {name: getattr(until, name) for name in shown}
    return (
        all(value is None or value == shown[name] for name, value in wanted.items())
        and (until.fault is None or Fault[until.fault] in state.book.active)
        and (until.without is None or Fault[until.without] not in state.book.active)
    )


def _node_verbs(world: VirtualBox) -> dict[str, Callable[..., None]]:
    """Return what a story can let the node do."""
    node, clock = world.node, world.clock

    def permit(offered_ma: int = 32_000) -> None:
        node.permit(clock.now_ns, offered_ma=offered_ma)

    def refuse() -> None:
        node.permit(clock.now_ns, permitted=False)

    def die() -> None:
        node.alive = False

    def revive() -> None:
        node.alive = True

    def order(request: str) -> None:
        node.order(clock.now_ns, Request[request])

    def go_blind() -> None:
        node.measures = False

    def kill_safety() -> None:
        world.kill()

    return {verb.__name__: verb for verb in (permit, refuse, die, revive, order, go_blind, kill_safety)}


def _compare(scenario: Scenario, world: VirtualBox) -> None:
    shown: list[str] = []
    for transition in world.node.transitions:
        name = transition.evse_state.name
        if not shown or shown[-1] != name:
            shown.append(name)
    if tuple(shown) != scenario.trace:
        raise ScenarioError(f"{scenario.title}: showed {' '.join(shown)}, the story says {' '.join(scenario.trace)}")
