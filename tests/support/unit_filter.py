"""`python -m tests.support.unit_filter UNIT COMMAND...`: run COMMAND under the system call filter of one of the units.

What systemd would refuse ends the process here, so that no such call goes unseen. The names of the sets are
expanded by systemd-analyze itself, the numbers are the kernel's headers'. Source: systemd.exec(5), seccomp(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
AUDIT_ARCH_X86_64 = 0xC000_003E
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL_PROCESS, ALLOW = 0x8000_0000, 0x7FFF_0000
REFUSED = 0x0005_0000 | errno.EPERM
"""Of fchown, as the unit has it: SQLite calls it for root alone, whom tests run as, and goes on without it.

Source: sqlite.org, src/os_unix.c, robustFchown.
"""
LOAD, EQUALS, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K


def settings_of(unit: str, name: str) -> list[str]:
    """Return all values of a setting of a unit, in order."""
    lines = (ROOT / "systemd" / unit).read_text().splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{name}=")]


def allowed(unit: str) -> set[str]:
    """Return the names of the calls that a unit may make."""
    names: set[str] = set()
    for value in settings_of(unit, "SystemCallFilter"):
        members = {name for word in value.removeprefix("~").split() for name in _members(word)}
        names = names - members if value.startswith("~") else names | members
    return names


def _members(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    shown = subprocess.run(["systemd-analyze", "syscall-filter", word], capture_output=True, text=True, check=True)
    words = [line.strip() for line in shown.stdout.splitlines()[1:] if line.strip() and "#" not in line]
    return {name for each in words for name in _members(each)}


def program(names: set[str]) -> bytes:
    """Return the filter that allows these calls and ends the process at any other."""
    numbers = dict(re.findall(r"#define __NR_(\w+) (\d+)", HEADER.read_text()))
    calls = sorted(int(numbers[name]) for name in names if name in numbers)
    steps = [(LOAD, 0, 0, 4), (EQUALS, 1, 0, AUDIT_ARCH_X86_64), (RETURN, 0, 0, KILL_PROCESS), (LOAD, 0, 0, 0)]
    steps += [(EQUALS, 0, 1, int(numbers["fchown"])), (RETURN, 0, 0, REFUSED)]
    for call in calls:
        steps += [(EQUALS, 0, 1, call), (RETURN, 0, 0, ALLOW)]
    steps.append((RETURN, 0, 0, KILL_PROCESS))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def confine(unit: str) -> None:
    """Put this process, and all that it starts, under the filter of a unit. Raises: OSError."""
    code = program(allowed(unit))
    buffer = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0),
    ]
    for option, *rest in arguments:
        if libc.prctl(option, *map(ctypes.c_ulong, rest)):
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    confine(sys.argv[1])
    os.execvp(sys.argv[2], sys.argv[2:])
