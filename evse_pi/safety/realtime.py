"""Makes the kernel prefer this process, and says what it refused."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PRIORITY = 50  # above every ordinary task and below the kernel's own threads
THREAD_STACK = 256 * 1024  # of the threads that wait for edges; the default of 8 MiB each would be locked whole
_LOCK_WHEN_TOUCHED = 1 | 2 | 4  # MCL_CURRENT, _FUTURE, _ONFAULT: the self-test touches what a tick needs
_PTHREAD_ATTR_SIZE = 128  # 56 bytes on x86-64, 64 on aarch64


def shrink_thread_stacks() -> None:
    """Let threads that libraries start from now on have small stacks; a C library that cannot is left as it is."""
    libc = ctypes.CDLL(None)
    set_default = getattr(libc, "pthread_setattr_default_np", None)
    if set_default is None:
        return
    attributes = ctypes.create_string_buffer(_PTHREAD_ATTR_SIZE)
    libc.pthread_attr_init(attributes)
    libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(THREAD_STACK))
    set_default(attributes)
    libc.pthread_attr_destroy(attributes)


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
    if libc.mlockall(_LOCK_WHEN_TOUCHED) == 0:
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
