"""The mains contactor as a mechanism: coil, armature, main contacts that bounce and weld, mirror contact."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from evse_pi.sim.agenda import Agenda


class Coil(Enum):
    """How strongly the coil is fed."""

    OFF = 0
    HOLD = 1  # enough to keep the armature, not to pull it in
    FULL = 2


@dataclass(frozen=True, slots=True)
class ContactorSettings:
    """Mechanical times; a bounce time of 0 is a contactor that does not bounce."""

    pull_in_ns: int = 18_000_000
    release_ns: int = 12_000_000
    bounce_ns: int = 2_000_000
    bounces: int = 2


class PowerContactor:
    """One contactor with a pole per phase; the mirror contact follows the main contacts mechanically."""

    def __init__(
        self,
        settings: ContactorSettings,
        poles: int,
        agenda: Agenda,
        rng: random.Random,
        changed: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.coil = Coil.OFF
        self.welded: frozenset[int] = frozenset()
        self.neutral_welded = False
        self.dry = False
        self.mirror_stuck: bool | None = None
        self.closings = 0
        self._poles = range(poles)
        self._armature = False
        self._agenda = agenda
        self._rng = rng
        self._changed = changed

    @property
    def closed(self) -> tuple[bool, ...]:
        """Return which poles conduct."""
        moved = self._armature and not self.dry
        return tuple(moved or pole in self.welded for pole in self._poles)

    @property
    def neutral_closed(self) -> bool:
        """Return whether the neutral's pole conducts."""
        return (self._armature and not self.dry) or self.neutral_welded

    @property
    def mirror(self) -> bool:
        """Return whether the mirror contact reports closed main contacts, of which one is enough."""
        return any(self.closed) or self.neutral_closed if self.mirror_stuck is None else self.mirror_stuck

    def feed(self, coil: Coil) -> None:
        """Feed the coil; the armature follows after its time, and hold alone pulls nothing in."""
        if coil is self.coil:
            return
        before, self.coil = self.coil, coil
        if coil is Coil.OFF:
            self._forget_bounces()
            self._agenda.cancel("contactor.pull_in")
            self._agenda.after("contactor.release", self.settings.release_ns, self._part)
        elif self._agenda.pending("contactor.release"):
            self._agenda.cancel("contactor.release")
        elif coil is Coil.FULL and not self._armature:
            self._agenda.after("contactor.pull_in", self.settings.pull_in_ns, self._pull_in)
        elif coil is Coil.HOLD and before is Coil.FULL and not self._armature:
            self._agenda.cancel("contactor.pull_in")

    def _pull_in(self) -> None:
        self._armature = True
        self.closings += 1
        bounces = self.settings.bounces if self.settings.bounce_ns else 0
        instants = sorted(self._rng.randrange(1, self.settings.bounce_ns) for _ in range(2 * bounces))
        for index, delay_ns in enumerate(instants):
            move = self._touch if index % 2 else self._part
            self._agenda.after(f"contactor.bounce.{index}", delay_ns, move)
        self._changed()

    def _touch(self) -> None:
        self._armature = True
        self._changed()

    def _part(self) -> None:
        self._armature = False
        self._changed()

    def _forget_bounces(self) -> None:
        for index in range(2 * self.settings.bounces):
            self._agenda.cancel(f"contactor.bounce.{index}")
