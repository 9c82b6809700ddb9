"""A new release from a signed package: judged before anything changes, watched after it, and taken back by itself.

Steps, each of which leaves a release that starts when the power goes: signature, package, contactor open, a copy of the
database, installation (the package's own script switches the link only to a release that loads), restart, a watch of
60 s. Whatever the watch does not like, the former release comes back, with the copy where the new one had changed the
form of the database, and a mark beside the refused one keeps the package's script from switching to it again.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evse_pi.api.client import BoxError, ask
from evse_pi.api.status import STATUS, SelfTestStatus
from evse_pi.api.texts.catalogue import tr
from evse_pi.api.texts.trouble_texts import permission_doubt
from evse_pi.api.troubles import DoubtKind, PermissionDoubt
from evse_pi.installation.folder_exchange import sync_folder
from evse_pi.paths import CONTROL_SOCKET, DATABASE, SYSTEM_RELEASES, SYSTEM_RUN, SYSTEM_SETTINGS, SYSTEM_STATE
from evse_pi.run.restart import RESTART_LATER, UNITS, WHY_NOT, charging
from evse_pi.storage.forbid import forbid_charging

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evse_pi.api.status import Status

KEYS = (SYSTEM_SETTINGS / "release-key.pem", SYSTEM_RELEASES / "current/share/release-key.pem")
"""Whose signatures count: the one that an administrator put there, and the one that the installed release came with."""
SIGNATURE_SUFFIX = ".sig"
COPY = "evse.db.before-update"
REFUSED_SUFFIX = ".refused"
"""Of the mark beside a release that was taken back; packaging/deb/postinst honours it."""
INSTALL = ("env", "EVSE_PI_RESTART=no", "dpkg", "--install")
"""The package's script leaves the restart to the update, which watches what follows."""
NOT_RUNNING = 3
"""What `systemctl is-active` ends with for a unit that is not active. Source: systemctl(1), LSB."""
HEALTHY_WITHIN_S = 180.0
HEALTHY_FOR_S = 60.0
POLL_S = 1.0
TELL_EVERY_S = 60.0
TAKEN_BACK = PermissionDoubt(DoubtKind.UPDATE_TAKEN_BACK)
"""Why the copy forbids: since it was made, a person may have ordered a stop to the release that was taken back."""
SILENT_FOR_S = 30.0
"""A node that died sends no demand: its lease of 15 s ends, the vehicle has 6 s, then the contactor is open."""


class UpdateError(Exception):
    """The update was refused and nothing was changed; the message says why."""


class UnfinishedUpdateError(UpdateError):
    """Something was changed, and the new release is not in force as it should be; the message says what is."""


def verify(package: Path, keys: Sequence[Path] = KEYS) -> None:
    """Accept a package that one of `keys` has signed. Raises: UpdateError, OSError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    present = [path for path in keys if path.is_file()]
    if not present:
        raise UpdateError(tr("no release key is here; put the maker's public key into {keys}").format(keys=keys[0]))
    file = package.with_name(package.name + SIGNATURE_SUFFIX)
    if not file.is_file():
        raise UpdateError(tr("{file} is missing: the package is not signed").format(file=file))
    signature, content = file.read_bytes(), package.read_bytes()
    for path in present:
        try:
            key = load_pem_public_key(path.read_bytes())
        except ValueError as error:
            raise UpdateError(tr("{path}: not a public key in PEM").format(path=path)) from error
        if not isinstance(key, Ed25519PublicKey):
            raise UpdateError(tr("{path}: not an Ed25519 key").format(path=path))
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        return
    raise UpdateError(
        tr("{package}: its signature is of none of {names}").format(package=package, names=", ".join(map(str, present)))
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """The installed box, and how it is changed; tests put others in the place of what would change this machine."""

    base: Path = SYSTEM_RELEASES
    state_dir: Path = SYSTEM_STATE
    control_socket: Path = SYSTEM_RUN / CONTROL_SOCKET
    run: Callable[[Sequence[str]], int] = lambda command: subprocess.run(command, check=False).returncode
    ask: Callable[[Path], Status] = lambda socket: ask(socket, STATUS)
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    version: Callable[[Path], str] = lambda package: _version(package)

    def status(self) -> Status | None:
        """Return what the box says, None where it does not answer."""
        try:
            return self.ask(self.control_socket)
        except (BoxError, OSError):
            return None

    def charging(self, status: Status | None) -> bool | None:
        """Return whether a vehicle charges, None where it is not known; without a safety process none does."""
        said = charging(status)
        if said is None and self.run(["systemctl", "is-active", "--quiet", UNITS[0]]) == NOT_RUNNING:
            return False
        return said

    @property
    def current(self) -> str:
        """The release that is in force, as the link names it. Raises: OSError."""
        return str((self.base / "current").readlink())


def update(package: Path, machine: Machine, tell: Callable[[str], None]) -> None:
    """Install a verified package and watch it. Raises: UpdateError, OSError, sqlite3.Error, and nothing was changed.

    Raises: UnfinishedUpdateError where something was; its message says which release is in force.
    """
    release, former = f"releases/{machine.version(package)}", machine.current
    if release == former:
        raise UpdateError(tr("{former} is in force already; nothing was changed").format(former=former))
    mark = _mark(machine, release)
    if mark.exists():
        raise UpdateError(
            tr("{release} was taken back on this machine; to try it again, first: sudo rm {mark}").format(
                release=release, mark=mark
            )
        )
    before = machine.status()
    now = machine.charging(before)
    if now is not False:
        first = "evse-pi stop" if now else f"sudo systemctl stop {' '.join(reversed(UNITS))}"
        raise UpdateError(
            tr("{why_not}; nothing was changed. First: {first}").format(why_not=WHY_NOT[now], first=first)
        )
    copy = back_up(machine.state_dir)
    tell(tr("the database is kept as {copy}").format(copy=copy) if copy else tr("there is no database yet"))
    matter = before is not None and before.matter is not None and before.matter.running
    try:
        _install(package, machine, former, tell)
        _judge(machine, former, copy, tell, matter=matter)
    except (OSError, sqlite3.Error) as error:
        raise UnfinishedUpdateError(
            tr("{error}; {current} is in force").format(error=error, current=machine.current)
        ) from error


def _install(package: Path, machine: Machine, former: str, tell: Callable[[str], None]) -> None:
    """Have the package's own script switch to its release, and restart the units while no vehicle charges."""
    if machine.run([*INSTALL, str(package)]) or machine.current == former:
        raise UnfinishedUpdateError(
            tr("the package was not installed whole; {former} stays in force").format(former=former)
        )
    tell(tr("{current} is installed; the processes restart").format(current=machine.current))
    now = machine.charging(machine.status())
    if now is not False:
        raise UnfinishedUpdateError(
            tr("{why_not}; {current} is in force after: {restart_later}").format(
                why_not=WHY_NOT[now], current=machine.current, restart_later=RESTART_LATER
            )
        )
    machine.run(["systemctl", "restart", *UNITS])


def _judge(machine: Machine, former: str, copy: Path | None, tell: Callable[[str], None], *, matter: bool) -> None:
    """Watch the new release, and put the former one in force again where it is not healthy."""
    trouble = watch(machine, matter=matter)
    if trouble is None:
        return
    tell(
        tr("{current} is not healthy ({trouble}); {former} comes back").format(
            current=machine.current, trouble=trouble, former=former
        )
    )
    go_back(machine, former, copy, tell)
    raise UnfinishedUpdateError(tr("{trouble}; {former} is in force again").format(trouble=trouble, former=former))


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
        return tr("the node process does not answer")
    if not status.safety.connected:
        return tr("the safety process does not answer")
    accepted = (SelfTestStatus.PASSED, SelfTestStatus.RUNNING) if settled else (SelfTestStatus.PASSED,)
    if status.safety.self_test not in accepted:
        return tr("the self-test has not passed")
    if matter and (status.matter is None or not status.matter.running):
        return tr("Matter does not run")
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
    _put_in_place(fresh, copy, database)
    return copy


def go_back(machine: Machine, former: str, copy: Path | None, tell: Callable[[str], None]) -> None:
    """Put the former release in force, and the database's copy where the new one had changed its form.

    The copy permits no charge: it is older than what was said since, a stop among it. Hazard: H-18. A mark keeps the
    refused release from coming in force by the package's script, which knows of no watch.
    """
    wait_until_open(machine, tell)
    mark = _mark(machine, machine.current)
    mark.touch()
    sync_folder(mark.parent)
    machine.run(["systemctl", "stop", *reversed(UNITS)])
    fresh = machine.base / "current.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(former)
    fresh.replace(machine.base / "current")
    sync_folder(machine.base)
    database = machine.state_dir / DATABASE
    try:
        if copy is not None and _form(copy) != _form(database):
            _restore(database, copy)
            tell(
                tr("{permission_doubt}; charging is forbidden until: evse-pi permit").format(
                    permission_doubt=permission_doubt(TAKEN_BACK)
                )
            )
    finally:  # a database of a newer form is refused, and charging with it, but the box answers
        machine.run(["systemctl", "start", *UNITS])


def wait_until_open(machine: Machine, tell: Callable[[str], None]) -> None:
    """Return when no vehicle charges, or when the box has not answered for longer than a lease lasts.

    A vehicle may charge for hours; every minute it is told what is waited for.
    """
    silent_since = tell_at = machine.now()
    while (now := machine.charging(machine.status())) is not False:
        if machine.now() >= tell_at:
            tell(tr("{why_not}; waiting until the contactor is open").format(why_not=WHY_NOT[now]))
            tell_at = machine.now() + TELL_EVERY_S
        if now:
            silent_since = machine.now()
        elif machine.now() - silent_since >= SILENT_FOR_S:
            return
        machine.sleep(POLL_S)


def _mark(machine: Machine, release: str) -> Path:
    return machine.base / f"{release}{REFUSED_SUFFIX}"


def _restore(database: Path, copy: Path) -> None:
    """Put a copy of `copy`, forbidding charging, in the database's place in one step; what was there stays beside it.

    First the log goes into the database, so that neither is ever without the other or beside a foreign one. What of
    it SQLite cannot take gets the name that belongs to the file beside. Source: sqlite.org/wal.html.
    """
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, timeout=1.0)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept, fresh = database.with_name(f"{DATABASE}.after-update"), database.with_name(f"{DATABASE}.new")
    for suffix in ("-journal", "-wal", "-shm"):
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    shutil.copy2(copy, fresh)
    forbid_charging(fresh, TAKEN_BACK)
    for suffix in ("", "-wal"):
        beside = kept.with_name(kept.name + suffix)
        beside.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            beside.hardlink_to(database.with_name(database.name + suffix))
    sync_folder(database.parent)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    _put_in_place(fresh, database, copy)


def _put_in_place(fresh: Path, target: Path, like: Path) -> None:
    """Make `fresh`, with owner and mode of `like`, the file `target` in one step, durable on return."""
    owner = like.stat()
    fresh.chmod(owner.st_mode & 0o777)
    os.chown(fresh, owner.st_uid, owner.st_gid)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(target)
    sync_folder(target.parent)


def _form(database: Path) -> int | None:
    """Return the number of the database's form, None where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            return int(number)
    except sqlite3.Error:
        return None


def _version(package: Path) -> str:
    """Return the version that a package gives itself. Raises: UpdateError."""
    asked = ["dpkg-deb", "--field", str(package), "Version"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UpdateError(
            tr("{package}: not a Debian package: {strip}").format(package=package.name, strip=done.stderr.strip())
        )
    return done.stdout.strip()
