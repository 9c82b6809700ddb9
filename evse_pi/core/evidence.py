"""What a self-test measured, and how far that is from failing."""

from __future__ import annotations

from dataclasses import dataclass

from evse_pi.core.fault_kinds import Check as Check  # noqa: TC001 (others import it from here)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One measured value and the band that it must lie in."""

    check: Check
    at_ns: int
    measured: int
    lowest: int
    highest: int

    @property
    def margin(self) -> int:
        """Distance to the nearer end of the band; negative outside of it."""
        return min(self.measured - self.lowest, self.highest - self.measured)

    @property
    def passed(self) -> bool:
        """It lies in the band."""
        return self.margin >= 0
