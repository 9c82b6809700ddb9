"""How the box started: whether the firmware's settings were in force, and what the safety process refused."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from boards.boot_lines import problems
from evse_pi.api.status import Notice, NoticeKind
from evse_pi.api.texts import english as words
from evse_pi.clearance import kernel_boot_id
from evse_pi.installation.files import write_atomically
from evse_pi.link import FOLDER_MODE
from evse_pi.paths import BOOT_CHECK_FILE, REFUSAL_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from boards.spec import BoardSpec

log = logging.getLogger(__name__)

MAX_REFUSAL = 500


def boot_notices(board: BoardSpec, run_dir: Path) -> tuple[Notice, ...]:
    """Return what people must know of the firmware's settings, which is in the log, too."""
    try:
        found = check_boot_settings(board, run_dir)
    except OSError as error:
        found = (words.BOOT_SETTINGS_UNREADABLE.format(error=error),)
    for problem in found:
        log.warning("boot settings: %s", problem)
    return tuple(Notice(NoticeKind.BOOT, problem) for problem in found)


def check_boot_settings(board: BoardSpec, run_dir: Path) -> tuple[str, ...]:
    """Return what is wrong with the firmware's settings, one line each.

    The firmware reads them once: what was missing at the first start after it stays missing until the next, though it
    is in the file by now. Hence the first answer of each run of the machine is kept in `run_dir`.
    """
    now = problems(board)
    kept = run_dir / BOOT_CHECK_FILE
    this_start = {"boot": kernel_boot_id(), "board": board.name}
    try:
        first = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        first = None
    if not isinstance(first, dict) or {key: first.get(key) for key in this_start} != this_start:
        kept.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        write_atomically(kept, json.dumps({**this_start, "problems": now}).encode(), 0o640)
        return tuple(now)
    if first.get("problems") and not now:
        return (words.BOOT_SETTINGS_AT_NEXT_START,)
    return tuple(now)


def safety_refusal(run_dir: Path) -> str | None:
    """Return why the safety process could not start the last time, None when it could."""
    with suppress(OSError, UnicodeDecodeError):
        return (run_dir / REFUSAL_FILE).read_text()[:MAX_REFUSAL].strip() or None
    return None
