"""Ends of permissions in the two ways to count: from 1970 inside the charge point, from 2000 in Matter's attributes."""

from __future__ import annotations

from evse_pi.matter.environment import MATTER_EPOCH_UNIX_S


def unix_until_s(until: int | None) -> int | None:
    """Return an end as settings have it, in s since 1970; 0 (disabled) and None (for good) are the same in both."""
    return until + MATTER_EPOCH_UNIX_S if until else until


def matter_until_s(until_s: int | None) -> int | None:
    """Return an end as attributes have it, in s since 2000."""
    return until_s - MATTER_EPOCH_UNIX_S if until_s else until_s
