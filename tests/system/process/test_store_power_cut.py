"""Nothing that was acknowledged is lost: not to SIGKILL, not to a log that ends anywhere, not to a full disk."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from evse_pi.charging.history_rows import session_row, setting_row
from evse_pi.charging.session import SavedSession, Session
from evse_pi.storage.database import Store

if TYPE_CHECKING:
    from pathlib import Path

WRITER = """
import sys
from pathlib import Path
from evse_pi.charging.history_rows import session_row, setting_row
from evse_pi.charging.session import SavedSession, Session
from evse_pi.storage.database import Store

store = Store(Path(sys.argv[1]))
number = store.setting("count", 0)
while True:
    number += 1
    rows = [setting_row("count", number), session_row(SavedSession(Session(number, 0), "boot", 0))]
    if store.write(rows):
        print(number, flush=True)
"""
KILLS = 12


def write_until_killed(path: Path, after_s: float) -> int:
    """Return the last number that a writer acknowledged before it was killed, 0 for none."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(after_s)
        child.kill()
        assert child.stdout is not None
        rest = child.stdout.read()
    lines = [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    return int(lines[-1])


@pytest.mark.hazard("H-18")
def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    rng = random.Random(7)
    path = tmp_path / "evse.db"
    last = 0
    for _ in range(KILLS):
        acknowledged = write_until_killed(path, rng.uniform(0, 0.05))
        assert acknowledged > last
        store = Store(path)
        assert store.damaged is None
        last = store.setting("count")
        assert last >= acknowledged
        assert store.sessions(1)[0].session.number == last  # both rows of a write, or none
        store.close()


@pytest.mark.hazard("H-18")
def test_a_log_cut_off_anywhere_holds_every_write_before_the_cut(tmp_path: Path) -> None:
    """What a power cut leaves of a log is at least what was synced, and then whatever the card made of the rest."""
    path, log = tmp_path / "evse.db", tmp_path / "evse.db-wal"
    store = Store(path)
    sizes = []
    for number in range(1, 41):
        store.write([setting_row("count", number), session_row(SavedSession(Session(number, 0), "boot", 0))])
        sizes.append(log.stat().st_size)
    content, base = log.read_bytes(), path.read_bytes()
    rng = random.Random(3)
    cuts = [*sizes, *(rng.randrange(sizes[0], sizes[-1]) for _ in range(60))]
    for number, cut in enumerate(cuts):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "evse.db").write_bytes(base)
        torn = rng.randbytes(rng.randrange(5_000)) if number % 2 else b""
        (folder / "evse.db-wal").write_bytes(content[:cut] + torn)
        after = Store(folder / "evse.db")
        synced = sum(size <= cut for size in sizes)
        assert after.damaged is None
        assert after.setting("count") == synced
        assert after.sessions(1)[0].session.number == synced
        after.close()
        shutil.rmtree(folder)
    store.close()


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


FULL = """
import sys
from pathlib import Path
from evse_pi.charging.history_rows import setting_row
from evse_pi.storage.database import Store

store = Store(Path(sys.argv[1]))
number = 0
while store.write([setting_row("count", number + 1), setting_row(f"long {number}", "x" * 3000)]):
    number += 1
print(number, store.setting("count"), store.trouble is not None, flush=True)
store.close()
"""


@pytest.mark.hazard("H-18")
def test_a_file_that_may_not_grow_is_trouble_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "evse.db"
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
        preexec_fn=lambda: limit_files(150_000),
    )
    durable, seen, troubled = child.stdout.split()
    assert (int(seen), troubled) == (int(durable) + 1, "True")
    store = Store(path)
    assert store.setting("count") >= int(durable) > 0
    assert store.damaged is None
    store.close()
