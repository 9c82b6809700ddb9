"""A release comes from a signed package, waits for an open contactor, and is taken back where it is not healthy."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from evse_pi.api.client import BoxError, BoxNotRunning
from evse_pi.api.exits import Exit
from evse_pi.api.status import ContactorStatus, SelfTestStatus
from evse_pi.charging.charge_point import ChargePoint
from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.settings import NOTHING_SET, settings_row
from evse_pi.charging.startup_state import owner_row
from evse_pi.cli.update import command
from evse_pi.core.installation_limits import Installation
from evse_pi.core.states import LimitSource
from evse_pi.run import update as module
from evse_pi.run.update import HEALTHY_FOR_S, TAKEN_BACK, Machine, UnfinishedUpdateError, UpdateError, update, verify
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.forbid import forbid_charging
from evse_pi.storage.recall import load_startup_state
from hal.units import Milliamps, Millivolts
from tests.support.node_box import RATINGS, HandWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evse_pi.charging.history_rows import Row

OLD, NEW = "releases/1.0.0", "releases/1.0.1"
OPEN = ContactorStatus(close_ordered=False, mirror_closed=False, load_live=False, cycles=3, openings_under_load=0)


def status(
    *,
    contactor: ContactorStatus | None = OPEN,
    connected: bool = True,
    self_test: SelfTestStatus = SelfTestStatus.PASSED,
    matter: bool = True,
) -> Any:
    return SimpleNamespace(
        contactor=contactor,
        safety=SimpleNamespace(connected=connected, self_test=self_test),
        matter=SimpleNamespace(running=matter),
    )


class Box:
    """A machine with two releases, whose box answers by the release that it was started from and how long ago."""

    def __init__(self, folder: Path) -> None:
        self.base, self.state_dir = folder / "opt", folder / "state"
        for release in (OLD, NEW):
            (self.base / release).mkdir(parents=True)
        self.state_dir.mkdir()
        (self.base / "current").symlink_to(OLD)
        self.write(form=7, row="before")
        self.running = OLD
        self.clock = 0.0
        self.commands: list[Any] = []
        self.says = lambda box, seconds: status()
        self.started_at = -1000.0
        self.dpkg = 0
        self.safety_unit_runs = True
        self.version = NEW.removeprefix("releases/")
        self.told: list[Any] = []
        self.cut_before: Any = None

    def write(self, form: int, row: str) -> None:
        with closing(sqlite3.connect(self.state_dir / "evse.db")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS rows (text)")
            database.execute("CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            database.execute("INSERT INTO rows VALUES (?)", (row,))
            database.execute(f"PRAGMA user_version = {form}")
            database.commit()

    def rows(self) -> list[str]:
        with closing(sqlite3.connect(self.state_dir / "evse.db")) as database:
            return [row for (row,) in database.execute("SELECT text FROM rows")]

    def run(self, command: Sequence[str]) -> int:
        if self.cut_before is not None and len(self.commands) >= self.cut_before:
            raise KeyboardInterrupt("the power is gone")
        if command[:2] == ["systemctl", "is-active"]:
            assert command[-1] == "evse-pi-safety.service"
            return 0 if self.safety_unit_runs else 3  # as systemctl(1) has it
        if command[0] == "env":
            self.told_the_script, *command = command[1:]
        self.commands.append(" ".join(command[:2]))
        if command[0] == "dpkg" and not self.dpkg:
            (self.base / "current").unlink()
            (self.base / "current").symlink_to(NEW)
        if command[1] in ("restart", "start"):
            self.started_at, self.running = self.clock, self.current
        return self.dpkg if command[0] == "dpkg" else 0

    def ask(self, _socket: Path) -> Any:
        said = self.says(self.running, self.clock - self.started_at)
        if said is None:
            raise BoxNotRunning("no box is running")
        return said

    def sleep(self, seconds: float) -> None:
        self.clock += seconds

    def update(self) -> None:
        machine = Machine(
            self.base, self.state_dir, self.state_dir / "s", self.run, self.ask, lambda: self.clock, self.sleep,
            lambda _package: self.version,
        )  # fmt: skip
        update(self.state_dir / "evse-pi.deb", machine, self.told.append)

    @property
    def current(self) -> str:
        return str((self.base / "current").readlink())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def test_a_healthy_release_stays_after_a_minute_of_watching(box: Box) -> None:
    box.says = lambda release, seconds: status() if release == OLD or seconds > 20 else None
    box.update()
    assert box.current == NEW
    assert box.commands == ["dpkg --install", "systemctl restart"]
    assert box.clock >= 20 + HEALTHY_FOR_S
    assert (box.state_dir / module.COPY).exists()


@pytest.mark.parametrize("contactor", [OPEN._replace(close_ordered=True), OPEN._replace(mirror_closed=True)])
def test_nothing_is_touched_while_a_vehicle_charges(box: Box, contactor: ContactorStatus) -> None:
    box.says = lambda *_: status(contactor=contactor)
    with pytest.raises(UpdateError, match="a vehicle charges; nothing was changed"):
        box.update()
    assert (box.commands, box.current) == ([], OLD)
    assert not (box.state_dir / module.COPY).exists()


def test_a_vehicle_that_came_meanwhile_is_not_disturbed(box: Box) -> None:
    charging = status(contactor=OPEN._replace(close_ordered=True))
    box.says = lambda *_: charging if box.commands else status()
    with pytest.raises(UpdateError, match=r"a vehicle charges; releases/1.0.1 is in force after: sudo systemctl"):
        box.update()
    assert box.commands == ["dpkg --install"]


def test_a_box_that_does_not_say_whether_it_charges_is_not_updated(box: Box) -> None:
    for says in (None, status(contactor=None)):
        box.says = lambda *_, said=says: said
        with pytest.raises(UpdateError, match="does not say whether a vehicle charges; nothing was changed") as refused:
            box.update()
        assert "sudo systemctl stop evse-pi-node.service evse-pi-safety.service" in str(refused.value)
    assert (box.commands, box.current) == ([], OLD)


def test_a_box_without_a_safety_process_is(box: Box) -> None:
    box.says = lambda release, _: status() if release == NEW else None
    box.safety_unit_runs = False
    box.update()
    assert box.commands == ["dpkg --install", "systemctl restart"]


def test_a_box_that_falls_silent_meanwhile_is_not_restarted(box: Box) -> None:
    box.says = lambda *_: None if box.commands else status()
    with pytest.raises(
        UnfinishedUpdateError, match=r"does not say.*; releases/1.0.1 is in force after: sudo systemctl"
    ):
        box.update()
    assert box.commands == ["dpkg --install"]


def test_the_package_s_script_leaves_the_restart_to_the_update(box: Box) -> None:
    box.update()
    assert box.told_the_script == "EVSE_PI_RESTART=no"
    script = (Path(__file__).parents[3] / "packaging/deb/postinst").read_text()
    assert 'if [ "${EVSE_PI_RESTART:-}" = no ]; then' in script


def test_the_release_in_force_is_named_as_such(box: Box) -> None:
    box.version = OLD.removeprefix("releases/")
    with pytest.raises(UpdateError, match=f"{OLD} is in force already; nothing was changed"):
        box.update()
    assert box.commands == []


def test_a_release_that_was_taken_back_bears_a_mark_and_is_refused_from_then_on(box: Box) -> None:
    box.says = lambda release, seconds: status(matter=release == OLD)
    with pytest.raises(UnfinishedUpdateError):
        box.update()
    mark = box.base / f"{NEW}.refused"
    assert mark.exists()
    done = len(box.commands)
    with pytest.raises(UpdateError, match=f"{NEW} was taken back on this machine; .* sudo rm {mark}") as refused:
        box.update()
    assert not isinstance(refused.value, UnfinishedUpdateError)
    assert len(box.commands) == done


@pytest.mark.parametrize(
    ("sick", "told"),
    [
        (lambda seconds: None if seconds < 500 else status(), "the node process does not answer"),
        (lambda seconds: status(connected=False), "the safety process does not answer"),
        (lambda seconds: status(self_test=SelfTestStatus.NOT_PASSED), "the self-test has not passed"),
        (lambda seconds: status(matter=False), "Matter does not run"),
        (lambda seconds: status() if seconds < 50 else None, "the node process does not answer"),
        (lambda seconds: status(connected=int(seconds) % 40 != 39), "the safety process does not answer"),
    ],
)
def test_a_release_that_is_not_healthy_is_taken_back(box: Box, sick: Callable[..., Any], told: str) -> None:
    box.says = lambda release, seconds: status() if release == OLD else sick(seconds)
    with pytest.raises(UnfinishedUpdateError, match=f"{told}; releases/1.0.0 is in force again"):
        box.update()
    assert box.current == OLD
    assert box.commands == ["dpkg --install", "systemctl restart", "systemctl stop", "systemctl start"]
    assert box.rows() == ["before"]


def test_a_self_test_on_request_in_that_minute_is_no_illness(box: Box) -> None:
    box.says = lambda _, seconds: status(
        self_test=SelfTestStatus.RUNNING if int(seconds) in (30, 31) else SelfTestStatus.PASSED
    )
    box.update()
    assert box.current == NEW


def test_matter_is_not_asked_of_a_box_that_had_none(box: Box) -> None:
    box.says = lambda *_: status(matter=False)
    box.update()
    assert box.current == NEW


def test_a_package_that_is_refused_leaves_the_former_release(box: Box) -> None:
    box.dpkg = 1
    with pytest.raises(UpdateError, match=f"the package was not installed whole; {OLD} stays in force"):
        box.update()
    assert (box.current, box.commands) == (OLD, ["dpkg --install"])


def test_a_database_that_the_new_release_changed_comes_back_in_its_former_form(box: Box) -> None:
    def says(release: str, _: float) -> Any:
        if release == NEW and len(box.rows()) == 1:
            box.write(form=8, row="by the new release")
        return status() if release == OLD else None

    box.says = says
    with pytest.raises(UpdateError, match="in force again"):
        box.update()
    assert box.rows() == ["before"]
    assert (box.state_dir / "evse.db.after-update").exists()


def test_a_database_of_the_same_form_keeps_what_was_written_meanwhile(box: Box) -> None:
    def says(release: str, _: float) -> Any:
        if release == NEW and len(box.rows()) == 1:
            box.write(form=7, row="a session")
        return status() if release == OLD else None

    box.says = says
    with pytest.raises(UpdateError, match="in force again"):
        box.update()
    assert box.rows() == ["before", "a session"]


def test_a_taken_back_release_waits_for_a_vehicle_that_it_lets_charge(box: Box) -> None:
    def says(release: str, seconds: float) -> Any:
        charging = release == NEW and seconds < 400
        return status(matter=release == OLD, contactor=OPEN._replace(close_ordered=charging and seconds > 30))

    box.says = says
    with pytest.raises(UpdateError, match="Matter does not run"):
        box.update()
    assert box.clock >= 400
    assert box.current == OLD
    assert box.told.count("a vehicle charges; waiting until the contactor is open") == 4  # from 180 s on, each minute


LIMIT = LimitRequest(LimitSource.OWNER, limit_ma=Milliamps(10_000))
SET = replace(NOTHING_SET.enabled(), user_maximum_ma=13_000)


def in_real_form(box: Box, *rows: Row) -> None:
    """Have the box's database be one that this release made, with `rows`."""
    (box.state_dir / "evse.db").unlink()
    store = Store(box.state_dir / "evse.db")
    assert store.write(rows)
    store.close()


def started_on(box: Box, *, commissioned: bool = False) -> tuple[ChargePoint, Store]:
    """Return the charge point that the former release starts with, and its store."""
    store, clock = Store(box.state_dir / "evse.db"), VirtualClock()
    memory = replace(load_startup_state(store, clock.unix_s()), commissioned=commissioned)
    house = Installation(Milliamps(20_000), 1, "DE", Millivolts(230_000))
    return ChargePoint(clock, RATINGS, house, memory, HandWriter()), store


def take_back_with_another_form(box: Box) -> None:
    """Update to a release that changes the database's form and lets a vehicle charge until its owner says stop."""

    def says(release: str, seconds: float) -> Any:
        database = box.state_dir / "evse.db"
        if release == OLD:
            return status()
        if seconds == 0:
            with closing(sqlite3.connect(database)) as opened:
                opened.execute("PRAGMA user_version = 99")
        if seconds == 5_000:
            with closing(sqlite3.connect(database)) as opened, opened:
                stop = owner_row(replace(LIMIT, permitted=False))
                opened.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (:name, :value)", stop.values)
        return status(matter=False, contactor=OPEN._replace(close_ordered=30 < seconds < 5_000))

    box.says = says
    with pytest.raises(UnfinishedUpdateError, match="in force again"):
        box.update()


@pytest.mark.hazard("H-18")
@pytest.mark.parametrize("commissioned", [False, True])
@pytest.mark.parametrize("rows", [(owner_row(LIMIT), settings_row(SET)), (owner_row(LIMIT),), (settings_row(SET),), ()])
def test_a_database_from_before_the_update_permits_nothing_until_a_person_does(
    box: Box, rows: tuple[Row, ...], commissioned: bool
) -> None:
    in_real_form(box, *rows)
    take_back_with_another_form(box)
    assert box.told[-1].endswith("charging is forbidden until: evse-pi permit")
    point, store = started_on(box, commissioned=commissioned)
    assert not store.trouble
    assert (point.doubt, point.demand().permitted) == (TAKEN_BACK, False)
    assert not point.permission.settings.charging(None)
    point.commission(commissioned=commissioned)
    assert not point.demand().permitted
    if owner_row(LIMIT) in rows:
        assert point.owner.limit_ma == LIMIT.limit_ma
    if settings_row(SET) in rows:
        assert point.permission.settings.user_maximum_ma == SET.user_maximum_ma
    point.set_owner_permission(permitted=True, limit_ma=point.owner.limit_ma)
    assert (point.doubt, point.demand().permitted) == (None, True)
    assert store.write(point.event_recorder.write_queue.take(point.clock.monotonic_ns(), all_rows=True))
    store.close()
    again, store = started_on(box)
    assert (again.doubt, again.demand().permitted) == (None, True)
    store.close()


@pytest.mark.hazard("H-18")
def test_a_stop_that_was_stored_stays_a_stop_that_names_no_doubt(box: Box) -> None:
    in_real_form(box, owner_row(replace(LIMIT, permitted=False)))
    point, store = started_on(box)
    assert (point.doubt, point.demand().permitted) == (None, False)
    store.close()


@pytest.mark.hazard("H-18")
def test_a_copy_that_cannot_be_made_to_forbid_is_not_put_in_place(box: Box, left_in_the_log: tuple[Path, ...]) -> None:
    database, copy = left_in_the_log
    with closing(sqlite3.connect(copy)) as opened, opened:
        opened.execute("DROP TABLE setting")
    with pytest.raises(sqlite3.Error):
        module._restore(database, copy)
    assert box.rows() == ["before", "by the new release", "in the log"]


def test_the_box_is_started_again_where_its_database_cannot_be_put_back(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(database: Path, copy: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_restore", full)
    monkeypatch.setattr(module, "_form", lambda path: path.name)
    box.says = lambda release, seconds: status(matter=release == OLD)
    with pytest.raises(UpdateError, match="No space left"):
        box.update()
    assert box.commands[-1] == "systemctl start"


@pytest.mark.hazard("H-18")
def test_what_forbids_is_in_the_file_alone_and_not_in_a_log_beside_it(box: Box) -> None:
    in_real_form(box, owner_row(LIMIT), settings_row(SET))
    forbid_charging(box.state_dir / "evse.db", TAKEN_BACK)
    modes = (box.state_dir / "evse.db").read_bytes()[18:20]
    assert modes == b"\1\1", "no log. Source: sqlite.org/fileformat.html, 1.3.3"
    (box.state_dir / "evse.db").rename(box.state_dir / "moved")
    for other in box.state_dir.glob("evse.db-*"):
        other.unlink()
    (box.state_dir / "moved").rename(box.state_dir / "evse.db")
    point, store = started_on(box)
    assert (point.doubt, point.demand().permitted) == (TAKEN_BACK, False)
    store.close()


def test_a_silent_box_that_is_taken_back_is_waited_for_as_long_as_its_lease_may_last(box: Box) -> None:
    """It answers again with a vehicle that charges, and is left alone until that is over."""

    def says(release: str, seconds: float) -> Any:
        if release == NEW and 50 <= seconds < 60:
            return None
        return status(contactor=OPEN._replace(close_ordered=release == NEW and 60 <= seconds < 100))

    box.says = says
    with pytest.raises(UnfinishedUpdateError, match="the node process does not answer"):
        box.update()
    assert box.commands[2] == "systemctl stop"
    assert box.clock >= 100


@pytest.mark.parametrize("step", range(4))
def test_a_cut_ahead_of_any_command_leaves_a_link_to_a_release_and_a_whole_database(box: Box, step: int) -> None:
    box.says = lambda release, _: status() if release == OLD else None
    box.cut_before = step
    with pytest.raises(KeyboardInterrupt):
        box.update()
    assert (box.base / "current").resolve().is_dir()
    assert box.rows() == ["before"]


@pytest.fixture
def left_in_the_log(box: Box) -> tuple[Path, Path | None]:
    """A database of a new form whose last transactions are in its log alone, as a killed process leaves it."""
    state, beside = box.state_dir, box.state_dir / "killed"
    copy = module.back_up(state)
    box.write(form=8, row="by the new release")
    beside.mkdir()
    with closing(sqlite3.connect(state / "evse.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("INSERT INTO rows VALUES ('in the log')")
        database.commit()
        for name in ("evse.db", "evse.db-wal"):
            shutil.copy(state / name, beside)
    for file in beside.iterdir():
        file.replace(state / file.name)
    beside.rmdir()
    return state / "evse.db", copy


def kept_rows(box: Box) -> list[str]:
    with closing(sqlite3.connect(box.state_dir / "evse.db.after-update")) as kept:
        return [row for (row,) in kept.execute("SELECT text FROM rows")]


def test_what_is_kept_beside_has_what_was_in_the_log(box: Box, left_in_the_log: tuple[Path, ...]) -> None:
    module._restore(*left_in_the_log)
    assert box.rows() == ["before"]
    assert kept_rows(box) == ["before", "by the new release", "in the log"]


def test_a_log_that_another_program_holds_open_is_kept_too(box: Box, left_in_the_log: tuple[Path, ...]) -> None:
    """A reader, such as a person's `sqlite3`, keeps SQLite from ending the log."""
    database, copy = left_in_the_log
    with closing(sqlite3.connect(database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM rows").fetchall()
        module._restore(database, copy)
    assert box.rows() == ["before"]
    assert (box.state_dir / "evse.db.after-update-wal").stat().st_size
    assert kept_rows(box) == ["before", "by the new release", "in the log"]


def test_one_that_cannot_be_read_is_kept_as_it_is(box: Box, left_in_the_log: tuple[Path, ...]) -> None:
    database, copy = left_in_the_log
    database.write_bytes(b"torn" * 1024)
    database.with_name("evse.db-wal").unlink()
    module._restore(database, copy)
    assert box.rows() == ["before"]
    assert (box.state_dir / "evse.db.after-update").read_bytes() == b"torn" * 1024


def cut_at(cut: int, steps: Iterator[int], real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that ends the process as the power does, if its call is the one with the number `cut`."""

    def step(*given: int | Path, **named: bool) -> Path:
        if next(steps) == cut:
            raise KeyboardInterrupt("the power is gone")
        return real(*given, **named)

    return step


def test_a_cut_ahead_of_any_change_of_a_file_leaves_one_of_the_two_databases_whole(
    box: Box, left_in_the_log: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, copy = left_in_the_log
    shutil.copytree(box.state_dir, box.base / "whole")
    changes = [(shutil, "copy2"), *((Path, name) for name in ("unlink", "hardlink_to", "replace", "chmod"))]
    ends = []
    for cut in range(1, 30):
        shutil.rmtree(box.state_dir)
        shutil.copytree(box.base / "whole", box.state_dir)
        steps = iter(range(1, 30))
        with monkeypatch.context() as patched:
            for owner, name in changes:
                patched.setattr(owner, name, cut_at(cut, steps, getattr(owner, name)))
            with suppress(KeyboardInterrupt):
                module._restore(database, copy)
        ends.append(box.rows())
        if next(steps) <= cut:
            break
    assert ends[0] == ["before", "by the new release", "in the log"]
    assert ends[-1] == ["before"]
    assert all(rows in (ends[0], ends[-1]) for rows in ends)
    assert len(ends) > 6


def test_each_file_is_on_the_disk_before_its_name_is(
    box: Box, left_in_the_log: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a name leads to after a power cut is only what fsync(2) has put there."""
    done: list[Any] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(number: Any) -> None:
        done.append(str(Path(f"/proc/self/fd/{number}").readlink()))
        real_sync(number)

    def replace(one: Any, other: Any) -> None:
        done.append((one.name, other.name))
        real_replace(one, other)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    module._restore(*left_in_the_log)
    folder = str(box.state_dir)
    assert done == [folder, f"{folder}/evse.db.new", ("evse.db.new", "evse.db"), folder]


def test_a_release_without_a_database_is_updated_too(box: Box) -> None:
    (box.state_dir / "evse.db").unlink()
    box.update()
    assert "there is no database yet" in box.told


@pytest.fixture
def signed(tmp_path: Path) -> tuple[Path, Path | None]:
    """A package with the signature of a key, and that key's public half."""
    key = Ed25519PrivateKey.generate()
    package = tmp_path / "evse-pi_1.0.1_arm64.deb"
    package.write_bytes(b"a package")
    package.with_name(f"{package.name}.sig").write_bytes(key.sign(b"a package"))
    public = tmp_path / "key.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return package, public


def test_a_package_with_the_maker_s_signature_is_accepted(signed: tuple[Path, ...], tmp_path: Path) -> None:
    package, public = signed
    verify(package, [tmp_path / "none", public])


def test_no_other_package_is(signed: tuple[Path, ...], tmp_path: Path) -> None:
    package, public = signed
    with pytest.raises(UpdateError, match="no release key is here"):
        verify(package, [tmp_path / "none"])
    package.write_bytes(b"a packagE")
    with pytest.raises(UpdateError, match="its signature is of none of"):
        verify(package, [public])
    package.with_name(f"{package.name}.sig").unlink()
    with pytest.raises(UpdateError, match="the package is not signed"):
        verify(package, [public])
    public.write_bytes(b"rubbish")
    package.with_name(f"{package.name}.sig").write_bytes(bytes(64))
    with pytest.raises(UpdateError, match="not a public key in PEM"):
        verify(package, [public])


@pytest.mark.parametrize(
    ("error", "ends_with"),
    [
        (UpdateError("a vehicle charges; nothing was changed"), None),
        (UnfinishedUpdateError("1.0.0 is back"), Exit.UNWELL),
    ],
)
def test_only_what_changed_nothing_ends_as_refused(
    monkeypatch: pytest.MonkeyPatch,
    signed: tuple[Path, ...],
    error: UnfinishedUpdateError | UpdateError,
    ends_with: Exit | None,
) -> None:
    """A script that reads 1 may try again; 3 needs a look."""

    def end(*_: Callable[..., Any] | Machine | Path) -> None:
        raise error

    monkeypatch.setattr(module, "verify", lambda _: None)
    monkeypatch.setattr(module, "update", end)
    monkeypatch.setattr("evse_pi.cli.update.os.geteuid", lambda: 0)
    done = CliRunner().invoke(command, [str(signed[0])])
    if ends_with is None:
        assert isinstance(done.exception, BoxError)  # `evse_pi.cli.main.main` ends with Exit.REFUSED
        assert str(done.exception) == str(error)
    else:
        assert done.exit_code == ends_with
        assert str(error) in done.output
