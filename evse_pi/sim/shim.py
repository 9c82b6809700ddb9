"""Compiles the preloaded shim and says what environment lets a child process see the simulated nodes."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib import resources
from typing import TYPE_CHECKING

from evse_pi.paths import DEVICE_SOCKET, DEVICE_TREE
from evse_pi.sim.devices.tree import MODELS, REDIRECTED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMPILE = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared")


class CompilerMissingError(OSError):
    """There is no C compiler; the message names the package that has one."""


def build(cache: Path) -> Path:
    """Return the shim's library in `cache`, compiling it when this source has not been compiled there yet.

    Raises: CompilerMissingError without gcc; OSError with the compiler's words when it fails.
    """
    source = resources.files("evse_pi.sim").joinpath("simdev.c").read_bytes()
    library = cache / f"simdev-{hashlib.sha256(source).hexdigest()[:16]}-{os.uname().machine}.so"
    if library.exists():
        return library
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise CompilerMissingError("no C compiler for the simulator's shim: install the package gcc (and libc6-dev)")
    cache.mkdir(parents=True, exist_ok=True)
    fresh = library.with_suffix(f".{os.getpid()}")
    command = [compiler, *COMPILE, "-o", str(fresh), "-x", "c", "-", "-ldl", "-lpthread"]
    done = subprocess.run(command, input=source, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise OSError(f"{compiler} failed on the simulator's shim (is the package libc6-dev installed?): {said}")
    fresh.rename(library)
    return library


def environment(library: Path, folder: Path, nodes: tuple[str, ...], inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a child process of the simulator that lives in `folder`."""
    preload = " ".join(filter(None, (str(library), inherited.get("LD_PRELOAD", ""))))
    devices = tuple(model.pwm_device for model in MODELS.values())
    redirected = (*REDIRECTED, *devices, *(node for node in nodes if node.startswith("/dev/")))
    return {
        **inherited,
        "LD_PRELOAD": preload,
        "EVSE_SIM_SOCKET": str(folder / DEVICE_SOCKET),
        "EVSE_SIM_ROOT": str(folder / DEVICE_TREE),
        "EVSE_SIM_NODES": ":".join(nodes),
        "EVSE_SIM_REDIRECT": ":".join(redirected),
    }
