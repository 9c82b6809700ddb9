"""Other users of the machine, and the run directory as the service manager lays it out for them."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from tests.support.forked import in_a_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TMPFILES = Path(__file__).parents[2] / "systemd" / "evse-pi.tmpfiles.conf"
STRANGER, PERSON = 60_001, 60_002  # a user of the machine, and one who is in the group evse-pi as well
PEOPLE, PROCESSES = 60_003, 60_004  # numbers of the groups evse-pi and evse-link
GROUPS = {"root": 0, "evse-pi": PEOPLE, "evse-link": PROCESSES}


def as_user(uid: int, case: Callable[[], Any], groups: tuple[int, ...] = ()) -> Any:
    """Return what `case` returns in a process of `uid` with no groups but its own and `groups`; needs root."""

    def changed() -> Any:
        os.setgroups(groups)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return case()

    return in_a_fork(changed)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that every user of the machine may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="evse-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        rmtree(folder)


def lay_out(run_dir: Path, users: Mapping[str, int]) -> None:
    """Make `run_dir` as tmpfiles.d says for /run/evse-pi, with these numbers of the users."""
    for line in TMPFILES.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        kind, path, mode, user, group = line.split()
        place = run_dir / Path(path).relative_to("/run/evse-pi")
        if kind == "d":
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        os.chown(place, {"root": 0, **users}[user], GROUPS[group])
        place.chmod(int(mode, 8))
