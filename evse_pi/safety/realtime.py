"""Makes the kernel prefer this process, and says what it refused."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PRIORITY = 50  # above every ordinary task and below the kernel's own threads
_MCL_CURRENT = 1
_MCL_FUTURE = 2


def prefer_this_process(cpus: Iterable[int] = ()) -> tuple[str, ...]:
    """Run SCHED_FIFO with locked memory on `cpus` (empty: any); return one plain sentence per refusal.

    Hazard: a refusal leaves the reaction time to the load of the machine; the loop measures it and stops beyond it.
    """
    wanted = frozenset(cpus)
    refusals = [_lock_memory(), _take_priority()]
    if wanted:
        refusals.append(_pin(wanted))
    return tuple(refusal for refusal in refusals if refusal)


def _lock_memory() -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
        return ""
    return f"memory is not locked ({os.strerror(ctypes.get_errno())}): set LimitMEMLOCK=infinity in the unit"


def _take_priority() -> str:
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as error:
        return (
            f"no real-time priority ({error.strerror}): set CPUSchedulingPolicy=fifo and "
            f"CPUSchedulingPriority={PRIORITY} in the unit"
        )
    return ""


def _pin(cpus: frozenset[int]) -> str:
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        return f"not pinned to CPU {sorted(cpus)} ({error.strerror}): this machine has {os.cpu_count()}"
    return ""
