"""What the kernel refuses is said in one plain sentence, and what it grants is in force."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBID_ALL = """
import os, resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""


def in_a_child(code: str) -> list[str]:
    """Run in a process of its own, because the test runner must not get real-time priority."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.splitlines()


@pytest.mark.hazard("H-09")
def test_refusals_name_the_setting_of_the_unit() -> None:
    said = in_a_child(
        "from evse_pi.safety.realtime import prefer_this_process\n"
        + FORBID_ALL
        + "print(*prefer_this_process([4095]), sep='\\n')"
    )
    assert len(said) == 3
    assert "LimitMEMLOCK=infinity" in said[0]
    assert "CPUSchedulingPolicy=fifo" in said[1]
    assert "4095" in said[2]


def test_threads_that_start_later_have_small_stacks() -> None:
    code = """
import threading
from evse_pi.safety.realtime import THREAD_STACK, shrink_thread_stacks

def stack_kb():
    done, started = threading.Event(), threading.Event()
    before = mapped()
    thread = threading.Thread(target=lambda: (started.set(), done.wait()))
    thread.start()
    started.wait()
    grown = mapped() - before
    done.set()
    thread.join()
    return grown

def mapped():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmData"))

shrink_thread_stacks()
print(stack_kb() < 4_000, THREAD_STACK)
"""
    assert in_a_child(code) == ["True 262144"]
