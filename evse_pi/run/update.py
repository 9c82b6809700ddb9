"""A new release from a signed package: judged before anything changes, watched after it, and taken back by itself.

Steps, each of which leaves a release that starts when the power goes: signature, package, contactor open, a copy of the
database, installation (the package's own script switches the link only to a release that loads), restart, a watch of
60 s. Whatever the watch does not like, the former release comes back, with the copy where the new one had changed the
form of the database.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, ask
from evse_pi.api.status import STATUS, SelfTest
from evse_pi.installation.exchange import sync_folder
from evse_pi.paths import CONTROL_SOCKET, DATABASE, SYSTEM_RUN, SYSTEM_STATE
from evse_pi.run.restart import UNITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evse_pi.api.status import Status

BASE = Path("/opt/evse-pi")
KEYS = (Path("/etc/evse-pi/release-key.pem"), BASE / "current/share/release-key.pem")
"""Whose signatures count: the one that an administrator put there, and the one that the installed release came with."""
SIGNATURE_SUFFIX = ".sig"
COPY = "evse.db.before-update"
HEALTHY_WITHIN_S = 180.0
HEALTHY_FOR_S = 60.0
POLL_S = 1.0


class UpdateError(Exception):
    """The update was refused or taken back; the message says why and what is in force."""


def verify(package: Path, keys: Sequence[Path] = KEYS) -> None:
    """Accept a package that one of `keys` has signed. Raises: UpdateError, OSError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    present = [path for path in keys if path.is_file()]
    if not present:
        raise UpdateError(f"no release key is here; put the maker's public key into {keys[0]}")
    file = package.with_name(package.name + SIGNATURE_SUFFIX)
    if not file.is_file():
        raise UpdateError(f"{file} is missing: the package is not signed")
    signature, content = file.read_bytes(), package.read_bytes()
    for path in present:
        try:
            key = load_pem_public_key(path.read_bytes())
        except ValueError as error:
            raise UpdateError(f"{path}: not a public key in PEM") from error
        if not isinstance(key, Ed25519PublicKey):
            raise UpdateError(f"{path}: not an Ed25519 key")
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        return
    raise UpdateError(f"{package}: its signature is of none of {', '.join(map(str, present))}")


@dataclass(frozen=True, slots=True)
class Machine:
    """The installed box, and how it is changed; tests put others in the place of what would change this machine."""

    base: Path = BASE
    state_dir: Path = SYSTEM_STATE
    control_socket: Path = SYSTEM_RUN / CONTROL_SOCKET
    run: Callable[[Sequence[str]], int] = lambda command: subprocess.run(command, check=False).returncode
    ask: Callable[[Path], Status] = lambda socket: ask(socket, STATUS)
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def status(self) -> Status | None:
        """Return what the box says, None where it does not answer."""
        try:
            return self.ask(self.control_socket)
        except (BoxError, OSError):
            return None

    @property
    def current(self) -> str:
        """The release that is in force, as the link names it. Raises: OSError."""
        return str((self.base / "current").readlink())


def update(package: Path, machine: Machine, tell: Callable[[str], None]) -> None:
    """Install a verified package and watch it. Raises: UpdateError when the former release is, or stays, in force."""
    before = machine.status()
    if closed(before):
        raise UpdateError("a vehicle charges; nothing was changed. First: evse-pi stop")
    former = machine.current
    copy = back_up(machine.state_dir)
    tell(f"the database is kept as {copy}" if copy else "there is no database yet")
    if machine.run(["dpkg", "--install", str(package)]) or machine.current == former:
        raise UpdateError(f"the package was not installed; {former} stays in force")
    tell(f"{machine.current} is installed; the processes restart")
    if closed(machine.status()):
        raise UpdateError("a vehicle began to charge; the new release is in force after a restart of the units")
    machine.run(["systemctl", "restart", *UNITS])
    matter = before is not None and before.matter is not None and before.matter.running
    trouble = watch(machine, matter=matter)
    if trouble is None:
        return
    tell(f"{machine.current} is not healthy ({trouble}); {former} comes back")
    go_back(machine, former, copy)
    raise UpdateError(f"{trouble}; {former} is in force again")


def closed(status: Status | None) -> bool:
    """Return whether the contactor is, or is to be, closed, as far as the box says."""
    contactor = None if status is None else status.contactor
    return contactor is not None and (contactor.close_ordered or contactor.mirror_closed is True)


def watch(machine: Machine, *, matter: bool) -> str | None:
    """Return why the box is not healthy for 60 s, None when it is; `matter` says that it must be a Matter device."""
    deadline = machine.now() + HEALTHY_WITHIN_S
    since: float | None = None
    while True:
        problem = trouble_of(machine.status(), matter=matter, settled=since is not None)
        if problem is None:
            since = machine.now() if since is None else since
            if machine.now() - since >= HEALTHY_FOR_S:
                return None
        elif since is not None or machine.now() >= deadline:
            return problem
        machine.sleep(POLL_S)


def trouble_of(status: Status | None, *, matter: bool, settled: bool) -> str | None:
    """Return what is wrong with a box that shall be healthy; one that is `settled` may be testing itself again."""
    if status is None:
        return "the node process does not answer"
    if not status.safety.connected:
        return "the safety process does not answer"
    accepted = (SelfTest.PASSED, SelfTest.RUNNING) if settled else (SelfTest.PASSED,)
    if status.safety.self_test not in accepted:
        return "the self-test has not passed"
    if matter and (status.matter is None or not status.matter.running):
        return "Matter does not run"
    return None


def back_up(state_dir: Path) -> Path | None:
    """Return a whole, durable copy of the database beside it, None without one. Raises: OSError, sqlite3.Error."""
    database, copy = state_dir / DATABASE, state_dir / COPY
    if not database.exists():
        return None
    fresh = copy.with_name(f"{copy.name}.new")
    fresh.unlink(missing_ok=True)
    source = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(fresh)) as target:
        source.backup(target)
    owner = database.stat()
    fresh.chmod(owner.st_mode & 0o777)
    os.chown(fresh, owner.st_uid, owner.st_gid)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(copy)
    return copy


def go_back(machine: Machine, former: str, copy: Path | None) -> None:
    """Put the former release in force, and the database's copy where the new one had changed its form."""
    while closed(machine.status()):
        machine.sleep(POLL_S)
    machine.run(["systemctl", "stop", *reversed(UNITS)])
    fresh = machine.base / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(former)
    fresh.replace(machine.base / "current")
    database = machine.state_dir / DATABASE
    if copy is not None and _form(copy) != _form(database):
        _restore(database, copy)
    machine.run(["systemctl", "start", *UNITS])


def _restore(database: Path, copy: Path) -> None:
    """Put a copy of `copy` in the database's place in one step; what was there stays beside it."""
    kept, fresh = database.with_name(f"{DATABASE}.after-update"), database.with_name(f"{DATABASE}.new")
    kept.unlink(missing_ok=True)
    kept.hardlink_to(database)
    shutil.copy2(copy, fresh)
    owner = copy.stat()
    os.chown(fresh, owner.st_uid, owner.st_gid)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    fresh.replace(database)
    sync_folder(database.parent)


def _form(database: Path) -> int | None:
    """Return the number of the database's form, None where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            return int(number)
    except sqlite3.Error:
        return None
