"""A box's own folders, kept and had back: what comes with them, what stays away, and a power cut at every step."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from boards.loader import load_board
from evse_pi.api.troubles import DoubtKind
from evse_pi.charging.demand_arbiter import LimitRequest
from evse_pi.charging.history_rows import value_row
from evse_pi.charging.settings import NOTHING_SET, settings_row
from evse_pi.charging.startup_state import owner_row
from evse_pi.core.states import LimitSource
from evse_pi.installation.files import SIMULATED_INSTALLATION, read_proven
from evse_pi.installation.seal import KEY_FILE
from evse_pi.installer.box_settings import BoxSettings, Who
from evse_pi.installer.calibration import Result
from evse_pi.node.machine_mark import KEY as MACHINE
from evse_pi.paths import Paths
from evse_pi.run import backup as backup_module
from evse_pi.run import restore as restore_module
from evse_pi.run.backup import Backup, collect, decoded
from evse_pi.run.file_switch import STAGE, carry_out
from evse_pi.run.restore import Wish, restore
from evse_pi.run.sealed_backup import BackupError
from evse_pi.sim.harness.virtual_clock import VirtualClock
from evse_pi.storage.database import Store
from evse_pi.storage.identity import IdentityFile
from evse_pi.storage.recall import load_startup_state
from evse_pi.storage.schema import MIGRATIONS
from hal.linear_scale import LinearScale
from hal.units import Milliamps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evse_pi.core.installation_limits import Installation

BOARD = load_board("reference")
WHO = Who("Jo Bloggs", "root")
HERE, ELSEWHERE = b"\x11" * 16, b"\x22" * 16
PIN = "480213"
SAME, IDENTITY, ANYWHERE = Wish(False, False), Wish(True, False), Wish(True, True)
SCALE = LinearScale(BOARD.pilot_adc.scale.gain_uv_per_code + 20, BOARD.pilot_adc.scale.offset_mv)
MATTER = {
    "fabric/1/record": b"operational key of fabric 1", "fabric/1/acl": b"acl", "fabric/1/group-keys": b"epoch keys",
    "fabric/1/resumption/00000000000000aa": b"shared secret", "fabrics/last-index": b"\1", "setup": b"passcode",
    "test-attestation/1": b"attestation key", "unique-id": b"unique", MACHINE: HERE,
    "event-number": b"\0" * 6 + b"\4\0",
}  # fmt: skip
HARMLESS = {"charged-energy/2": b"[5000, 7]", "state/0/00000028/0005": b"label"}


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both modules ask which machine this is; SoC serial numbers are not for a test to have."""
    is_machine(monkeypatch, HERE)


def is_machine(monkeypatch: pytest.MonkeyPatch, mark: bytes | None) -> None:
    for module in (backup_module, restore_module):
        monkeypatch.setattr(module, "machine_mark", lambda: mark)


class BoxFolders:
    """The folders of an installed box: settings and state apart, as /etc/evse-pi and /var/lib/evse-pi are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings, self.state = folder / "etc", folder / "lib"

    @property
    def paths(self) -> Paths:
        class Apart(Paths):
            settings_dir = self.settings

        return Apart(self.state, self.folder / "run")

    def set_up(self, capacity_ma: int, *, fabric: dict[str, bytes], calibrated: bool = True) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        box = BoxSettings(self.settings, VirtualClock())
        box.set_up(BOARD, replace(SIMULATED_INSTALLATION, circuit_capacity_ma=Milliamps(capacity_ma)), WHO)
        box.choose_pin(PIN, WHO)
        if calibrated:
            box.set_calibration(BOARD, Result(SCALE, {}), WHO)
        self.write(fabric | HARMLESS)

    def write(self, values: dict[str, bytes]) -> None:
        store = Store(self.state / "evse.db")
        owner = LimitRequest(LimitSource.OWNER, permitted=True, limit_ma=Milliamps(10_000))
        rows = [value_row(key, value) for key, value in values.items()]
        assert store.write([*rows, owner_row(owner), settings_row(NOTHING_SET)])
        store.close()
        printed = {key: value for key, value in values.items() if key.startswith(("setup", "test-attestation/"))}
        IdentityFile(self.state / "identity.json").update(printed)

    def values(self) -> dict[str, bytes]:
        store = Store(self.state / "evse.db")
        found = store.key_values()
        store.close()
        return dict(found)

    def installation(self) -> Installation:
        return read_proven(self.settings / "installation.toml", BOARD)[0].installation

    def backup(self, *, identities: bool = False) -> Backup:
        return decoded(collect(self.paths, BOARD, 1_800_000_000, identities=identities).encoded())

    def restore(self, backup: Backup, wish: Wish = SAME) -> None:
        restore(backup, wish, self.paths, WHO, VirtualClock())


@pytest.fixture
def box(tmp_path: Path) -> BoxFolders:
    made = BoxFolders(tmp_path / "box")
    made.set_up(20_000, fabric=MATTER)
    return made


@pytest.fixture
def other(tmp_path: Path) -> BoxFolders:
    made = BoxFolders(tmp_path / "other")
    made.set_up(16_000, fabric={"fabric/1/record": b"another key", "setup": b"another code"}, calibrated=False)
    return made


def test_settings_pin_calibration_and_history_come_back_on_a_new_card(box: BoxFolders, tmp_path: Path) -> None:
    kept = box.backup()
    new = BoxFolders(tmp_path / "new")
    new.restore(kept)
    assert new.installation().circuit_capacity_ma == 20_000
    assert read_proven(new.settings / "installation.toml", BOARD)[1] == SCALE
    BoxSettings(new.settings, VirtualClock()).pin.verify(PIN)
    assert {key: value for key, value in new.values().items() if key in HARMLESS} == HARMLESS
    assert not (new.settings / STAGE).exists()
    assert not (new.state / STAGE).exists()


def test_a_restored_box_charges_nothing_before_a_person_permits_it(box: BoxFolders) -> None:
    box.restore(box.backup())
    store = Store(box.state / "evse.db")
    state = load_startup_state(store, 1_800_000_000, first_start=False)
    store.close()
    assert not state.owner.permitted
    assert state.owner.limit_ma == 10_000
    assert state.doubt is not None
    assert state.doubt.kind is DoubtKind.RESTORED


def test_without_the_word_no_octet_of_the_identity_is_in_the_backup(box: BoxFolders) -> None:
    secrets = [value for key, value in MATTER.items() if len(value) > 3 and key != "event-number"]
    shown = b"".join(box.backup().files.values())
    assert [secret for secret in secrets if secret in shown] == []
    with_it = b"".join(box.backup(identities=True).files.values())
    assert [secret for secret in secrets if secret not in with_it] == []


def test_the_key_of_the_seal_is_in_no_backup(box: BoxFolders) -> None:
    key = (box.settings / KEY_FILE).read_bytes()
    assert key not in b"".join(box.backup(identities=True).files.values())


def test_without_the_word_the_box_keeps_the_identity_that_it_has(box: BoxFolders) -> None:
    kept = box.backup(identities=True)
    box.write({"fabric/2/record": b"let in since"})
    box.restore(kept)
    values = box.values()
    assert values["fabric/2/record"] == b"let in since"
    assert values["setup"] == MATTER["setup"]


def test_with_the_word_the_identity_comes_back_and_no_event_number_twice(box: BoxFolders, tmp_path: Path) -> None:
    kept = box.backup(identities=True)
    new = BoxFolders(tmp_path / "new")
    new.restore(kept, IDENTITY)
    values = new.values()
    assert values["fabric/1/record"] == MATTER["fabric/1/record"]
    assert int.from_bytes(values["event-number"], "big") > 1024 + 100_000
    assert not [key for key in values if "/resumption/" in key]
    assert IdentityFile(new.state / "identity.json").values()["setup"] == MATTER["setup"]


@pytest.mark.parametrize("mark", [ELSEWHERE, None])
@pytest.mark.parametrize("identities", [False, True])
def test_another_machine_is_refused_without_the_word_and_told_what_is_dangerous(
    box: BoxFolders, other: BoxFolders, monkeypatch: pytest.MonkeyPatch, mark: bytes | None, identities: bool
) -> None:
    kept = box.backup(identities=True)
    is_machine(monkeypatch, mark)
    before = tree(other.folder)
    with pytest.raises(BackupError, match=r"made on another machine.*--another-box") as refused:
        other.restore(kept, Wish(identities, another_box=False))
    assert ("must never run again" in str(refused.value)) is identities
    assert tree(other.folder) == before


def test_on_another_machine_no_calibration_is_taken_and_the_node_tells_whose_identity_it_is(
    box: BoxFolders, other: BoxFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = box.backup(identities=True)
    is_machine(monkeypatch, ELSEWHERE)
    other.restore(kept, ANYWHERE)
    assert read_proven(other.settings / "installation.toml", BOARD)[1] == BOARD.pilot_adc.scale
    assert other.values()[MACHINE] == HERE  # evse_pi.node.machine_mark.made_elsewhere tells it from that


def test_identities_that_are_not_in_the_backup_are_not_promised(box: BoxFolders) -> None:
    with pytest.raises(BackupError, match="holds no identity"):
        box.restore(box.backup(), IDENTITY)


def test_the_box_s_own_record_of_changes_goes_on_and_names_the_restore(box: BoxFolders) -> None:
    kept = box.backup()
    BoxSettings(box.settings, VirtualClock()).set_capacity(BOARD, Milliamps(16_000), None, WHO)
    box.restore(kept)
    trail = BoxSettings(box.settings, VirtualClock()).trail()
    assert trail.intact
    assert [entry.change.what for entry in trail.entries][-2:] == ["capacity", "restore"]
    assert box.installation().circuit_capacity_ma == 20_000


def test_on_a_new_card_the_record_of_the_backup_goes_on(box: BoxFolders, tmp_path: Path) -> None:
    new = BoxFolders(tmp_path / "new")
    new.restore(box.backup())
    trail = BoxSettings(new.settings, VirtualClock()).trail()
    assert trail.intact
    assert [entry.change.what for entry in trail.entries] == ["setup", "PIN", "calibration", "restore"]


def test_a_database_of_an_older_version_is_brought_up(box: BoxFolders) -> None:
    kept = box.backup()
    with closing(sqlite3.connect(":memory:")) as old:
        assert isinstance(MIGRATIONS[0], str)
        old.executescript(MIGRATIONS[0])
        old.execute("PRAGMA user_version = 1")
        old.commit()
        kept.files["evse.db"] = old.serialize()
    box.restore(kept)
    assert box.values()["setup"] == MATTER["setup"]
    with closing(sqlite3.connect(box.state / "evse.db")) as now:
        assert now.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("content", 2, "made by 9.9.9, newer than this software"),
        ("schema", len(MIGRATIONS) + 1, r"database has version \d+, of newer software \(9.9.9\)"),
        ("files", {"../../etc/passwd": ""}, "files that this software does not know: ../../etc/passwd"),
        ("files", {"boards/../x.toml": ""}, "does not know"),
        ("files", 5, "no content that this software knows"),
        ("machine", "rubbish", "no content that this software knows"),
    ],
)
def test_a_content_that_this_software_does_not_know_is_refused_by_name(
    box: BoxFolders, field: str, value: Any, problem: str
) -> None:
    import zlib

    told = json.loads(zlib.decompress(box.backup().encoded()))
    told |= {"software": "9.9.9", field: value}
    with pytest.raises(BackupError, match=problem):
        decoded(zlib.compress(json.dumps(told).encode()))


def test_an_installation_that_does_not_fit_its_board_changes_nothing(box: BoxFolders) -> None:
    kept = box.backup()
    kept.files["installation.toml"] = kept.files["installation.toml"].replace(b"20000", b"90000")
    before = tree(box.folder)
    with pytest.raises(BackupError, match="installation cannot be used"):
        box.restore(kept)
    assert carry_out(box.settings) is False
    assert without_stage(tree(box.folder)) == before


def test_what_is_set_is_not_kept_where_its_seal_is_broken(box: BoxFolders) -> None:
    file = box.settings / "installation.toml"
    file.write_bytes(file.read_bytes().replace(b"20000", b"32000"))
    with pytest.raises(BackupError, match="the seal is broken"):
        box.backup()


@pytest.mark.hazard("H-17")
def test_a_power_cut_at_any_step_leaves_the_former_box_or_the_restored_one(tmp_path: Path) -> None:
    """The child dies before its n-th change of a file; then comes what every start does first."""
    prepared = BoxFolders(tmp_path / "prepared")
    prepared.set_up(20_000, fabric=MATTER)
    kept = prepared.backup(identities=True)
    prepared.write({"fabric/2/record": b"let in since"})
    BoxSettings(prepared.settings, VirtualClock()).set_capacity(BOARD, Milliamps(16_000), None, WHO)
    outcomes = []
    for number in range(500):
        box = BoxFolders(tmp_path / str(number))
        shutil.copytree(prepared.folder, box.folder)
        whole = cut_at(number, lambda box=box: box.restore(kept, IDENTITY))  # type: ignore[misc]
        cut_twice = number % 3 == 0 and not cut_at(2, lambda box=box: carry_out(box.settings))  # type: ignore[misc]
        carry_out(box.settings)
        capacity, since = box.installation().circuit_capacity_ma, "fabric/2/record" in box.values()
        assert (capacity, since) in ((16_000, True), (20_000, False)), (number, cut_twice)
        assert BoxSettings(box.settings, VirtualClock()).trail().intact, number
        outcomes.append(capacity)
        shutil.rmtree(box.folder)
        if whole:
            break
    assert outcomes == sorted(outcomes, key=lambda capacity: capacity == 20_000)
    assert set(outcomes) == {16_000, 20_000}
    assert len(outcomes) > 40


def cut_at(number: int, change: Callable[[], object]) -> bool:
    """Run `change` in a child that ends before its `number`-th change of a file; return whether it came through."""
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            left = [number]

            def dying(event: str, arguments: tuple[Any, ...]) -> None:
                if event not in CHANGES and not (event == "open" and changes(arguments)):
                    return
                if left[0] == 0:
                    os._exit(77)
                left[0] -= 1

            sys.addaudithook(dying)
            change()
            os._exit(0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 77), status
    return status == 0


CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chown", "os.truncate", "sqlite3.connect")


def changes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def without_stage(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if STAGE not in name and "before-restore" not in name}
